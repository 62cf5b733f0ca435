// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/ntp"
	"foliot/internal/udpstamp"
)

// pair is what a client computes from one exchange, ns: with the stamp of its
// socket, and with that of the program in its driver. The truth is zero.
type pair struct{ socket, program float64 }

// arrival prints which stamp of an answer makes the better sample at a client,
// whose driver runs a program that watches: both are of the same answers. The
// server answers in the kernel, so that little else is seen.
func (b *bench) arrival() error {
	server, err := b.load(1, nil)
	if err != nil {
		return err
	}
	defer server.Close()
	defer b.renew(server, fastpath.Leads{})()
	watch, err := b.load(1, nil)
	if err != nil {
		return err
	}
	defer watch.Close()
	if err := b.far.Inside(func() error { _, err := server.Attach(b.link.BDev, fastpath.Native); return err }); err != nil {
		return err
	}
	if err := b.near.Inside(func() error { _, err := watch.Attach(b.link.ADev, fastpath.Native); return err }); err != nil {
		return err
	}
	fmt.Printf("\n%-34s %10s %10s %10s %10s\n", "offset by the arrival stamp, ns", "median", "p10", "p90", "spread")
	for _, loaded := range []bool{false, true} {
		stop := func() {}
		if loaded {
			if stop, err = b.flood(); err != nil {
				return err
			}
		}
		pairs, err := b.pairs(watch)
		stop()
		if err != nil {
			return err
		}
		name := map[bool]string{false: "quiet", true: "loaded"}[loaded]
		spread("socket, "+name, pairs, func(p pair) float64 { return p.socket })
		spread("program in the driver, "+name, pairs, func(p pair) float64 { return p.program })
	}
	return nil
}

func spread(name string, pairs []pair, of func(pair) float64) {
	var v []float64
	for _, p := range pairs {
		v = append(v, of(p))
	}
	slices.Sort(v)
	at := func(q float64) float64 { return quantile(v, q) }
	fmt.Printf("%-34s %+10.0f %+10.0f %+10.0f %10.0f\n", name, at(0.5), at(0.1), at(0.9), at(0.9)-at(0.1))
}

// flood keeps the client's interface busy with datagrams that nobody wants, until
// the returned function is called.
func (b *bench) flood() (stop func(), err error) {
	var conn net.Conn
	err = b.far.Inside(func() (err error) {
		conn, err = net.Dial("udp", netip.AddrPortFrom(b.link.A4, 9).String())
		return err
	})
	if err != nil {
		return nil, err
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var octets [512]byte
		for {
			select {
			case <-done:
				return
			default:
				conn.Write(octets[:]) // refused: nobody listens there
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		conn.Close()
	}, nil
}

// pairs asks many times.
func (b *bench) pairs(watch *fastpath.Fastpath) (list []pair, err error) {
	var sock *udpstamp.Socket
	err = b.near.Inside(func() (err error) {
		sock, err = udpstamp.OpenClient(netip.AddrPortFrom(b.link.B4, 123), udpstamp.Options{})
		return err
	})
	if err != nil {
		return nil, err
	}
	defer sock.Close()
	local, err := sock.LocalAddr()
	if err != nil {
		return nil, err
	}
	const pace = 2 * time.Millisecond
	lost := 0
	for id := uint32(1); id < uint32(16*b.duration/pace); id++ {
		p, err := b.exchange(sock, watch, local.Port(), id)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(p.program) {
			lost++
			continue
		}
		list = append(list, p)
	}
	if len(list) < 50 || lost > len(list) {
		return nil, fmt.Errorf("%d exchanges, %d without all stamps", len(list), lost)
	}
	return list, nil
}

// exchange asks once; what is not known of it is not a number.
func (b *bench) exchange(sock *udpstamp.Socket, watch *fastpath.Fastpath, port uint16, id uint32) (pair, error) {
	nothing := pair{math.NaN(), math.NaN()}
	q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(uint64(id)*0x9E3779B97F4A7C15 | 1)}
	if err := sock.Send(&udpstamp.Datagram{Data: q.AppendTo(nil), TxID: id}); err != nil {
		return nothing, err
	}
	msgs, txs := udpstamp.NewMessages(1, 2048), make([]udpstamp.Tx, 8)
	var t1, t4 clock.Wall
	var p ntp.Packet
	for end := time.Now().Add(2 * time.Millisecond); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		if n, _ := sock.RecvTx(txs); n > 0 && txs[n-1].ID == id {
			t1 = txs[n-1].Stamp.Time
		}
		if n, _ := sock.Recv(msgs); n > 0 && p.Decode(msgs[0].Data) && p.Origin == q.Transmit {
			t4 = msgs[0].Stamp.Time
		}
	}
	arrived, _ := watch.Stamps(fastpath.Exchange{Peer: b.link.B4, Port: port, Transmit: q.Transmit})
	if t1.IsZero() || t4.IsZero() || arrived.IsZero() {
		return nothing, nil
	}
	forth, left := p.Receive.Wall().Sub(t1), p.Transmit.Wall()
	return pair{float64(forth+left.Sub(t4)) / 2, float64(forth+left.Sub(arrived)) / 2}, nil
}
