// SPDX-License-Identifier: Apache-2.0

// Package prober gives package probe the network: sockets whose datagrams the
// kernel stamps, and the loop that serves them. Whom to ask when and what answers
// mean is probe's business; nothing here is written anywhere.
//
// The one concept is one connected socket for each host, for the whole run: the
// kernel finds the host of an answer, keeps strangers' packets and other hosts'
// queues away, and tells by ICMP why one does not answer. A run opens them one by
// one as hosts are asked for the first time, and allocates nothing after that.
package prober

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"time"

	"foliot/internal/clock"
	"foliot/internal/probe"
	"foliot/internal/source"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
)

// Config says how to measure.
type Config struct {
	Fleet    probe.Config
	Duration time.Duration // of the whole run, 0 for no limit
	// Look, if set, is called every Every by the loop, which waits for it: it
	// should be over in a fraction of a millisecond.
	Look  func(*probe.Fleet, clock.Now)
	Every time.Duration
}

// Sizes.
const (
	batch     = 8    // datagrams read from one socket at once
	datagram  = 1200 // longest NTP packet that is looked at, and a bit
	longest   = 500 * time.Millisecond
	burstSize = 32 // requests sent before answers are looked at again
)

// Prober is a run. One goroutine owns it.
type Prober struct {
	Fleet   *probe.Fleet
	Started clock.Now
	Ended   clock.Now // asking

	cfg      Config
	specs    []probe.Spec
	poller   *udpstamp.Poller
	stamping *udpstamp.Socket
	sockets  []*udpstamp.Socket // nil until the host is asked
	msgs     []udpstamp.Message
	txs      []udpstamp.Tx
	buf      []byte
	arrival  source.Arrival
	looked   clock.Mono
}

// New prepares a run. It measures the clock's precision, which takes some
// milliseconds, unless the configuration has it.
func New(cfg Config, specs []probe.Spec) (*Prober, error) {
	poller, err := udpstamp.NewPoller()
	if err != nil {
		return nil, err
	}
	if cfg.Fleet.Precision <= 0 {
		cfg.Fleet.Precision = sysclock.Precision()
	}
	p := &Prober{
		cfg: cfg, specs: specs, poller: poller, sockets: make([]*udpstamp.Socket, len(specs)),
		msgs: udpstamp.NewMessages(batch, datagram), txs: make([]udpstamp.Tx, batch), buf: make([]byte, 0, datagram),
	}
	// Without it the first answers would have stamps of ours; that is all.
	p.stamping, _ = udpstamp.KeepStamping()
	return p, nil
}

// Close closes all sockets.
func (p *Prober) Close() {
	for _, s := range p.sockets {
		if s != nil {
			s.Close()
		}
	}
	if p.stamping != nil {
		p.stamping.Close()
	}
	p.poller.Close()
}

// Run measures until everything is asked, the duration is over, or ctx ends. In
// every case what was measured is there.
func (p *Prober) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer context.AfterFunc(ctx, p.poller.Wake)()
	p.Started = sysclock.Read()
	p.Fleet = probe.NewFleet(p.cfg.Fleet, p.specs, p.Started)
	end := clock.Mono{}
	if p.cfg.Duration > 0 {
		end = p.Started.Mono.Add(clock.Interval(p.cfg.Duration))
	}
	stopped := false
	for {
		now := sysclock.Read()
		p.Ended = now
		if !stopped && (ctx.Err() != nil || !end.IsZero() && !now.Mono.Before(end)) {
			p.Fleet.Stop(now)
			stopped = true
		}
		now = p.send(now)
		p.look(now)
		if p.Fleet.Done() {
			return nil
		}
		wait := p.Fleet.Deadline().Sub(now.Mono).Duration()
		if !end.IsZero() && !stopped {
			wait = min(wait, end.Sub(now.Mono).Duration())
		}
		events, _, err := p.poller.Wait(max(0, min(wait, longest, p.untilLook(now))))
		if err != nil {
			return err
		}
		for i := range events {
			p.read(int(events[i].Token))
		}
	}
}

func (p *Prober) untilLook(now clock.Now) time.Duration {
	if p.cfg.Look == nil {
		return longest
	}
	return p.cfg.Every - now.Mono.Sub(p.looked).Duration()
}

func (p *Prober) look(now clock.Now) {
	if p.cfg.Look != nil && (p.looked.IsZero() || now.Mono.Sub(p.looked).Duration() >= p.cfg.Every) {
		p.looked = now.Mono
		p.cfg.Look(p.Fleet, now)
	}
}

// send sends what is due, and returns the time after it. If much is due at once
// (we were stopped for a while), answers have their turn in between.
func (p *Prober) send(now clock.Now) clock.Now {
	for range burstSize {
		i, b, id := p.Fleet.Next(now, p.buf[:0])
		if i < 0 {
			return now
		}
		if err := p.sendOne(i, b, id); err != nil {
			p.Fleet.Failed(i, faultOf(err))
		}
		now = sysclock.Read()
	}
	return now
}

// sendOne sends a request. The poller hears of the socket after that only: a
// datagram of a socket that is watched is held up by what telling takes between
// its stamp and the wire, so that the way there would seem longer than the way back.
func (p *Prober) sendOne(i int, b []byte, id uint32) error {
	s := p.sockets[i]
	if s == nil {
		var err error
		s, err = udpstamp.OpenClient(p.specs[i].Addr, udpstamp.Options{Precision: p.cfg.Fleet.Precision})
		if err != nil {
			return err
		}
		p.sockets[i] = s
	} else if err := p.poller.Remove(s.FD()); err != nil {
		return err
	}
	err := s.Send(&udpstamp.Datagram{Data: b, TxID: id})
	return errors.Join(err, p.poller.Add(s.FD(), uint64(i)))
}

// read takes in what waits at the socket of host i: transmit stamps first, since
// the answer to a request must find its stamp there.
func (p *Prober) read(i int) {
	s := p.sockets[i]
	n, err := s.RecvTx(p.txs)
	for k := range n {
		if p.txs[k].Stamp.Kind != clock.StampNone {
			p.Fleet.Transmitted(i, p.txs[k].ID, p.txs[k].Stamp)
		}
	}
	if err != nil {
		p.Fleet.Failed(i, faultOf(err))
	}
	n, err = s.Recv(p.msgs)
	if err != nil {
		p.Fleet.Failed(i, faultOf(err))
	}
	for k := range n {
		m := &p.msgs[k]
		if m.Truncated {
			continue
		}
		p.arrival = source.Arrival{Data: m.Data, Local: m.Local, Stamp: m.Stamp}
		p.Fleet.Received(i, &p.arrival, sysclock.Read())
	}
}

// faultOf tells what an error means for the host.
func faultOf(err error) probe.Fault {
	is := func(list ...error) bool {
		for _, e := range list {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	switch {
	case is(syscall.ECONNREFUSED):
		return probe.Refused
	case is(syscall.EPERM, syscall.EACCES):
		return probe.Forbidden
	case is(syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM):
		return probe.NoSocket
	}
	return probe.Unreachable // ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT and their like
}
