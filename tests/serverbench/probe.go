// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/udpstamp"
)

// A probe asks again this long after it got an answer, or if it gets none.
const (
	probeEvery   = time.Millisecond
	probeTimeout = 20 * time.Millisecond
)

// probe is a client with the kernel's stamps, in basic or interleaved mode. As
// real ones it waits for the answer to its last request and for no other, because
// an interleaved answer does not say which request it answers.
type probe struct {
	socket  *udpstamp.Socket
	xleave  bool
	random  *rand.Rand
	pending *exchange // nil if answered
	next    time.Time // when to ask again
	last    *exchange // answered last
	id      uint32
	samples samples
}

// exchange is a request and its answer. Times are Unix time in nanoseconds, 0 if
// not known.
type exchange struct {
	request ntp.Packet
	reply   ntp.Packet
	before  *exchange // whose answer the request repeats, nil for none
	left    int64     // the request, by the kernel
	came    int64     // the answer, by the kernel
}

// samples are what a probe measured of a server, in seconds.
type samples struct {
	Sent     int
	Answered int
	Late     []float64 // departure of an answer minus its transmit timestamp
	Offset   []float64 // that a client computes; the truth is 0
}

// newProbe opens a probe; call it inside the namespace.
func newProbe(to netip.Addr, xleave bool) (*probe, error) {
	s, err := udpstamp.OpenClient(netip.AddrPortFrom(to, ntpPort), udpstamp.Options{})
	if err != nil {
		return nil, err
	}
	return &probe{socket: s, xleave: xleave, random: rand.New(rand.NewPCG(5, 6))}, nil
}

func (p *probe) close() { p.socket.Close() }

// ask sends a request if it is time for one.
func (p *probe) ask(now time.Time) error {
	if now.Before(p.next) {
		return nil
	}
	e := &exchange{request: ntp.Packet{
		Version: ntp.Version, Mode: ntp.ModeClient, Poll: 6, Precision: 32, Transmit: ntp.Timestamp(p.random.Uint64()),
	}}
	if p.xleave && p.last != nil {
		e.before, p.last.before = p.last, nil
		e.request.Origin = p.last.reply.Receive
		e.request.Receive = ntp.FromInstant(clock.At[clock.Realtime](p.last.came))
	}
	p.id++
	p.pending, p.next = e, now.Add(probeTimeout)
	p.samples.Sent++
	err := p.socket.Send(&udpstamp.Datagram{Data: e.request.AppendTo(nil), TxID: p.id})
	if udpstamp.Transient(err) {
		return nil
	}
	return err
}

// take reads the stamps and answers that are there. departed tells when the
// answer to the request with a receive timestamp left the server.
func (p *probe) take(now time.Time, departed map[ntp.Timestamp]int64) error {
	var txs [4]udpstamp.Tx
	n, err := p.socket.RecvTx(txs[:])
	for _, t := range txs[:n] {
		if t.ID == p.id && p.pending != nil {
			p.pending.left = t.Stamp.Time.Nanos()
		}
	}
	if err != nil && !udpstamp.Transient(err) {
		return err
	}
	msgs := udpstamp.NewMessages(4, ntp.MaxLen)
	n, err = p.socket.Recv(msgs)
	for i := range msgs[:n] {
		if m := &msgs[i]; m.Stamp.Kind == clock.StampKernel && p.answered(m.Data, m.Stamp.Time.Nanos(), departed) {
			p.next = now.Add(probeEvery)
		}
	}
	if err != nil && !udpstamp.Transient(err) {
		return err
	}
	return nil
}

// answered makes a sample of the answer to the last request, and tells whether
// it is one.
func (p *probe) answered(b []byte, came int64, departed map[ntp.Timestamp]int64) bool {
	var reply ntp.Packet
	e := p.pending
	if e == nil || !reply.Decode(b) {
		return false
	}
	e.reply, e.came = reply, came
	switch {
	case e.before != nil && reply.Origin == e.request.Receive:
		p.sample(e.before, reply.Transmit, departed)
	case reply.Origin != e.request.Transmit:
		return false
	case !p.xleave:
		p.sample(e, reply.Transmit, departed)
	}
	p.last, p.pending = e, nil
	return true
}

// sample makes one of an exchange whose answer left at transmit, as the server
// says.
func (p *probe) sample(e *exchange, transmit ntp.Timestamp, departed map[ntp.Timestamp]int64) {
	p.samples.Answered++
	said, received := transmit.Wall().Nanos(), e.reply.Receive.Wall().Nanos()
	if left, ok := departed[e.reply.Receive]; ok {
		p.samples.Late = append(p.samples.Late, float64(left-said)*1e-9)
	}
	if e.left != 0 {
		p.samples.Offset = append(p.samples.Offset, float64(received-e.left+said-e.came)*0.5e-9)
	}
}
