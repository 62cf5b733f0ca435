// SPDX-License-Identifier: Apache-2.0

// Package cmdclient asks a daemon in chrony's command protocol, as chronyc does:
// where the daemon is, how to reach it, how long to wait, and which reply is
// one. What the messages say is package cmdmon's.
//
// The one concept is the fallback: hosts are tried in their order, and one that
// gives no answer is left for the next, for good.
package cmdclient

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"foliot/internal/cmdmon"
)

// DefaultHosts is where a daemon may be, in the order of trying: foliotd's
// socket, chronyd's, and this machine by the network.
var DefaultHosts = []string{"/run/foliot/foliotd.sock", "/run/chrony/chronyd.sock", "127.0.0.1", "::1"}

// Defaults of chronyc.
const (
	DefaultPort    = 323
	DefaultTimeout = time.Second
	DefaultRetries = 2
)

// Errors that callers tell apart.
var (
	ErrNoHost   = errors.New("no host to talk to")
	ErrNoAnswer = errors.New("no answer")
)

// Lookup finds the addresses of a host.
type Lookup func(ctx context.Context, host string) []netip.Addr

// Client talks to one daemon. It is not safe for concurrent use.
type Client struct {
	Timeout time.Duration // for the first answer; each further attempt waits twice as long
	Retries int           // how often a request is sent again

	targets []target // those not tried yet
	conn    net.Conn
	remove  func() // what the socket left in the file system
}

// target is a daemon's socket: a path, or an address with port.
type target struct {
	path string
	addr netip.AddrPort
}

// Open makes a socket to the first of the hosts, paths or names or addresses, to
// which there can be one. The error is [ErrNoHost] if there is none.
func Open(ctx context.Context, hosts []string, port uint16, lookup Lookup) (*Client, error) {
	c := &Client{Timeout: DefaultTimeout, Retries: DefaultRetries}
	for _, h := range hosts {
		if h != "" && h[0] == '/' {
			c.targets = append(c.targets, target{path: h})
			continue
		}
		for _, a := range lookup(ctx, h) {
			c.targets = append(c.targets, target{addr: netip.AddrPortFrom(a, port)})
		}
	}
	if !c.next() {
		return nil, ErrNoHost
	}
	return c, nil
}

// Close closes the socket.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	if c.remove != nil {
		c.remove()
		c.remove = nil
	}
}

// next makes a socket to the next target, and reports whether there is one.
func (c *Client) next() bool {
	c.Close()
	for len(c.targets) > 0 && c.conn == nil {
		t := c.targets[0]
		c.targets = c.targets[1:]
		if t.path != "" {
			c.dialUnix(t.path)
			continue
		}
		if conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(t.addr)); err == nil {
			c.conn = conn
		}
	}
	return c.conn != nil
}

// Ask sends a request and returns its reply, whose header is h. It goes on to the
// next host if this one gives no answer; the error is [ErrNoAnswer] if none did,
// or that of ctx.
func (c *Client) Ask(ctx context.Context, command cmdmon.Command, m cmdmon.Request) (h cmdmon.ReplyHeader, reply []byte, err error) {
	for c.conn != nil {
		h, reply, err = c.exchange(ctx, command, m)
		if err == nil || ctx.Err() != nil {
			return h, reply, err
		}
		if !c.next() {
			break
		}
	}
	return h, nil, ErrNoAnswer
}

// exchange sends a request to this host, several times if need be.
func (c *Client) exchange(ctx context.Context, command cmdmon.Command, m cmdmon.Request) (h cmdmon.ReplyHeader, reply []byte, err error) {
	conn := c.conn
	defer context.AfterFunc(ctx, func() { conn.Close() })() // interrupts the wait, and there is no next request
	wait := c.Timeout
	for attempt := range c.Retries + 1 {
		request := cmdmon.AppendRequest(nil, cmdmon.RequestHeader{
			Command: command, Attempt: uint16(attempt), Sequence: sequence(),
		}, m)
		if _, err = conn.Write(request); err != nil {
			return h, nil, err
		}
		h, reply, err = receive(conn, request, time.Now().Add(wait))
		if ctx.Err() != nil {
			return h, nil, ctx.Err()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return h, reply, err
		}
		wait *= 2
	}
	return h, nil, ErrNoAnswer
}

// sequence is a number that nobody can guess who does not see the request.
func sequence() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// receive waits until the deadline for the reply to a request. Packets that are
// none are passed over.
func receive(conn net.Conn, request []byte, deadline time.Time) (h cmdmon.ReplyHeader, reply []byte, err error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return h, nil, err
	}
	buf := make([]byte, cmdmon.MaxReply+1)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return h, nil, err
		}
		if h.Decode(buf[:n]) && answers(h, request) {
			return h, buf[:n], nil
		}
	}
}

// answers tells whether a reply with header h is one to the request.
func answers(h cmdmon.ReplyHeader, request []byte) bool {
	var asked cmdmon.RequestHeader
	asked.Decode(request)
	return h.Command == asked.Command && h.Sequence == asked.Sequence &&
		(h.Version == cmdmon.Version || h.Status == cmdmon.BadPacketVersion)
}
