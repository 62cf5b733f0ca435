// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"foliot/internal/ntp"
	"foliot/tests/netns"
)

// wire exchanges datagrams with a server across a veth pair.
//
// That nothing comes back is known without waiting: behind the requests follows a
// marker, a plain request that any server answers, and what is not there when its
// answer comes does not come. The marker is of version 2, so that whatever answers
// the requests faster than a socket does leaves the marker to the socket.
type wire struct {
	space            *netns.Space
	server4, server6 netip.Addr
	marks            uint64
	probes           int
	limited          bool // markers of one client would run into the rate limit
	buf              [2048]byte
}

const (
	window     = 24                     // requests between markers: no buffer overflows
	patience   = 300 * time.Millisecond // for the answer to a marker
	stragglers = 20 * time.Millisecond  // answers that another thread makes
)

func (w *wire) dial(from netip.AddrPort) (*net.UDPConn, error) {
	to := w.server4
	if from.Addr().Is6() {
		to = w.server6
	}
	return w.space.Dial(from, netip.AddrPortFrom(to, 123))
}

// mark returns a request that no row makes.
func (w *wire) mark() ([]byte, ntp.Timestamp) {
	w.marks++
	t := ntp.Timestamp(0xffffffff<<32 | w.marks)
	return plain(2, t), t
}

// prober returns a socket of a client that has not asked for long.
func (w *wire) prober() (*net.UDPConn, error) {
	w.probes++
	return w.dial(netip.AddrPortFrom(client(Clients4, 0xf000+w.probes%0x1000), 4000))
}

// probe asks once.
func (w *wire) probe() []byte {
	conn, err := w.prober()
	if err != nil {
		return nil
	}
	defer conn.Close()
	q, _ := w.mark()
	if _, err := conn.Write(q); err != nil {
		return nil
	}
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := conn.Read(w.buf[:])
	if err != nil {
		return nil
	}
	return append([]byte(nil), w.buf[:n]...)
}

// Exchange implements Target.
func (w *wire) Exchange(from netip.AddrPort, requests ...[]byte) (replies [][]byte, err error) {
	conn, err := w.dial(from)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	own := !w.limited && (Clients4.Contains(from.Addr()) || Clients6.Contains(from.Addr()))
	for len(requests) > 0 {
		n := min(len(requests), window)
		for _, q := range requests[:n] {
			if _, err := conn.Write(q); err != nil {
				return nil, err
			}
		}
		requests = requests[n:]
		var got [][]byte
		if own {
			got, err = w.until(conn)
		} else {
			got, err = w.beside(conn)
		}
		if err != nil {
			return nil, err
		}
		replies = append(replies, got...)
	}
	return replies, nil
}

// until returns what comes back to conn before the answer to a marker from there.
func (w *wire) until(conn *net.UDPConn) (replies [][]byte, err error) {
	for range 10 {
		q, mark := w.mark()
		if _, err := conn.Write(q); err != nil {
			return nil, err
		}
		for end := time.Now().Add(patience); ; {
			b, err := w.read(conn, end)
			if err != nil {
				return nil, err
			}
			if b == nil {
				break
			}
			if a := header(b); a.Origin == mark && a.Version == 2 {
				return replies, nil
			} else if a.Origin>>32 != 0xffffffff || a.Version != 2 {
				replies = append(replies, b)
			}
		}
	}
	return nil, errors.New("the server does not answer")
}

// beside is until with a marker from another client.
func (w *wire) beside(conn *net.UDPConn) (replies [][]byte, err error) {
	marker, err := w.prober()
	if err != nil {
		return nil, err
	}
	defer marker.Close()
	if _, err := w.until(marker); err != nil {
		return nil, err
	}
	for {
		b, err := w.read(conn, time.Now().Add(stragglers))
		if b == nil || err != nil {
			return replies, err
		}
		replies = append(replies, b)
	}
}

// read returns a datagram, nil if none comes until end.
func (w *wire) read(conn *net.UDPConn, end time.Time) ([]byte, error) {
	conn.SetReadDeadline(end)
	n, err := conn.Read(w.buf[:])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("the server's port is closed: %w", err)
	case err != nil:
		return nil, err
	}
	return append([]byte(nil), w.buf[:n]...), nil
}
