// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// Conn is a connection to a clknetsim server. It is used by one goroutine; each
// request is answered before the next one is sent.
type Conn struct {
	fd  int
	out []byte // the request being built
	in  []byte // the reply; one octet longer than any, to notice those that are longer
}

// Pauses between attempts to connect: the server may not have made its socket.
const (
	firstPause   = 10 * time.Millisecond
	laterPause   = 100 * time.Millisecond
	quickRetries = 50
)

// Dial connects to the server's socket at path, and tries again for as long as
// timeout while there is no server.
func Dial(path string, timeout time.Duration) (*Conn, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket to clknetsim: %w", err)
	}
	pause := firstPause
	for waited, tries := time.Duration(0), 1; ; waited, tries = waited+pause, tries+1 {
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		if err == nil {
			return &Conn{fd: fd, in: make([]byte, maxReply+1)}, nil
		}
		if !notYet(err) || waited >= timeout {
			break
		}
		if tries > quickRetries {
			pause = laterPause
		}
		time.Sleep(pause)
	}
	syscall.Close(fd)
	return nil, fmt.Errorf("connect to clknetsim at %s: %w", path, err)
}

// notYet tells whether a later attempt to connect may succeed.
func notYet(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EINTR)
}

// Close closes the connection. The server takes it for a failure of the node
// unless [Conn.Deregister] came before.
func (c *Conn) Close() error { return syscall.Close(c.fd) }

// begin starts a request with its header.
func (c *Conn) begin(r request) { c.out = appendHeader(c.out[:0], r) }

// post sends the request as one record.
func (c *Conn) post() error {
	for {
		n, err := syscall.Write(c.fd, c.out)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("send request %d to clknetsim: %w", order.Uint32(c.out), err)
		case n != len(c.out):
			return fmt.Errorf("send request %d to clknetsim: %w", order.Uint32(c.out), io.ErrShortWrite)
		}
		return nil
	}
}

// ask sends the request and returns the reply, valid until the next request.
func (c *Conn) ask() ([]byte, error) {
	if err := c.post(); err != nil {
		return nil, err
	}
	for {
		n, err := syscall.Read(c.fd, c.in)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("receive reply %d from clknetsim: %w", order.Uint32(c.out), err)
		case n <= 0:
			return nil, fmt.Errorf("receive reply %d from clknetsim: %w", order.Uint32(c.out), io.ErrUnexpectedEOF)
		}
		return c.in[:n], nil
	}
}

// Register makes the connection that of a node, counted from 0. It returns when
// the simulated time of the node's start has come, with the numbers of subnets
// and of clocks.
func (c *Conn) Register(node uint32) (subnets, clocks uint32, err error) {
	c.begin(reqRegister)
	c.out = put32(c.out, node)
	b, err := c.ask()
	if err != nil {
		return 0, 0, err
	}
	return decodeRegistered(b)
}

// Times reads the clock with the index clk, 0 being the system clock.
func (c *Conn) Times(clk uint32) (Times, error) {
	c.begin(reqGetTime)
	c.out = put32(c.out, clk)
	b, err := c.ask()
	if err != nil {
		return Times{}, err
	}
	return decodeTimes(b)
}

// SetTime sets clock clk to t, in seconds since the simulation began.
func (c *Conn) SetTime(clk uint32, t float64) error {
	c.begin(reqSetTime)
	c.out = appendSetTime(c.out, clk, t)
	return c.post()
}

// Adjust performs adjtimex(2) on clock clk. Afterwards t holds the state of the
// clock. It returns the leap state, or -1 when the simulator refuses.
func (c *Conn) Adjust(clk uint32, t *Timex) (state int32, err error) {
	c.begin(reqAdjtimex)
	c.out = appendTimex(put32(c.out, clk, 0), t)
	b, err := c.ask()
	if err != nil {
		return 0, err
	}
	return decodeAdjusted(b, t)
}

// Select lets simulated time pass until the node's CLOCK_MONOTONIC has gone on
// by timeout seconds, a message is queued (if read is set), or the simulation
// is over. A timeout of 0 returns at once even with messages queued.
func (c *Conn) Select(timeout float64, read bool) (Wake, error) {
	c.begin(reqSelect)
	c.out = appendSelect(c.out, timeout, read)
	b, err := c.ask()
	if err != nil {
		return Wake{}, err
	}
	return decodeWake(b)
}

// Send puts a message on the link to m.Host. Messages to nodes that do not
// exist are lost.
func (c *Conn) Send(m *Message) error {
	if len(m.Data) > MaxData {
		return fmt.Errorf("send %d octets through clknetsim: %w", len(m.Data), syscall.EMSGSIZE)
	}
	c.begin(reqSend)
	c.out = appendMessage(c.out, m)
	return c.post()
}

// Receive takes the oldest queued message, of KindNone if there is none. Its
// data is valid until the next request.
func (c *Conn) Receive() (Message, error) {
	c.begin(reqReceive)
	b, err := c.ask()
	if err != nil {
		return Message{}, err
	}
	return decodeMessage(b)
}

// ReferenceSample reads the latest sample of the node's reference clock. The
// first call starts that clock.
func (c *Conn) ReferenceSample() (Sample, error) {
	c.begin(reqRefSample)
	b, err := c.ask()
	if err != nil {
		return Sample{}, err
	}
	return decodeSample(b)
}

// ReferenceOffsets returns the next offsets of the node's hardware clock from
// true time, in seconds, at most 1024.
func (c *Conn) ReferenceOffsets() ([]float64, error) {
	c.begin(reqRefOffsets)
	b, err := c.ask()
	if err != nil {
		return nil, err
	}
	return decodeOffsets(b)
}

// Deregister takes the node out of the simulation, which goes on without it.
func (c *Conn) Deregister() error {
	c.begin(reqDeregister)
	return c.post()
}
