// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/binary"
	"fmt"
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Want is what comes back. What the state says about the clock is the same in
// every answer, and what is said about the request follows from it; a Want says
// the rest.
type Want struct {
	Answer      bool
	Interleaved bool   // the answer tells when the one before left
	Field       bool   // the field F323 is answered
	Key         uint32 // of the MAC
	MAC         int    // octets of the digest, 0 for no MAC
	Kiss        bool   // RATE
	poll        int8
	polled      bool // poll is what the answer says
}

// What comes back: nothing, or an answer.
var (
	none   = Want{}
	answer = Want{Answer: true}
)

func (w Want) interleaved() Want { w.Interleaved = true; return w }
func (w Want) field() Want       { w.Field = true; return w }

// mac is an answer with a digest of n octets by a key.
func (w Want) mac(key uint32, n int) Want { w.Key, w.MAC = key, n; return w }

// polls is an answer with another poll than the request's.
func (w Want) polls(n int8) Want { w.poll, w.polled = n, true; return w }

// one is the step of a row that has no more.
func one(ask Ask, want Want) []Step { return []Step{{Ask: ask, Want: want}} }

// from is one with an unusual sender.
func from(f From, ask Ask, want Want) []Step { return []Step{{Ask: ask, Want: want, From: f}} }

// but is what a target answers instead.
func but(target, why string, wants ...Want) []But {
	return []But{{Target: target, Wants: wants, Why: why}}
}

// length is how many octets the answer has.
func (w *Want) length() int {
	n := ntp.HeaderLen
	if w.Field {
		n += 4 + ntp.MonoRootLen
	}
	if w.MAC > 0 {
		n += 4 + w.MAC
	}
	return n
}

// judge compares what came back with what is wanted.
func (s *State) judge(target string, w Want, x *Exchanged, h History) error {
	switch {
	case !w.Answer && x.Reply == nil:
		return nil
	case !w.Answer:
		return fmt.Errorf("an answer of %d octets, want none", len(x.Reply))
	case x.Reply == nil:
		return fmt.Errorf("no answer")
	case len(x.Reply) > len(x.Request):
		return fmt.Errorf("%d octets are answered with %d", len(x.Request), len(x.Reply))
	case len(x.Reply) != w.length():
		return fmt.Errorf("the answer has %d octets, want %d", len(x.Reply), w.length())
	}
	q, a := header(x.Request), header(x.Reply)
	says := s.says(target)
	if w.Kiss {
		says = says.kissed(target)
	}
	for _, err := range []error{
		w.echoes(&q, &a, says), says.judge(&a, x), w.times(&q, &a, x, h), w.trailer(&a, x.Reply),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// echoes checks what the answer takes over from the request.
func (w *Want) echoes(q, a *ntp.Packet, says *Says) error {
	mode, poll, origin := ntp.ModeServer, max(q.Poll, says.MinPoll), q.Transmit
	if q.Mode == ntp.ModeActive {
		mode = ntp.ModePassive
	}
	if w.polled {
		poll = w.poll
	}
	if w.Interleaved {
		origin = q.Receive
	}
	switch {
	case a.Version != q.Version:
		return fmt.Errorf("version %d, want %d", a.Version, q.Version)
	case a.Mode != mode:
		return fmt.Errorf("mode %d, want %d", a.Mode, mode)
	case a.Poll != poll:
		return fmt.Errorf("poll %d, want %d", a.Poll, poll)
	case a.Origin != origin:
		return fmt.Errorf("origin %#x, want %#x", a.Origin, origin)
	}
	return nil
}

// slack is how far served time may be from the true time. All clocks here are the
// same clock, but a daemon measures it.
const slack = 10 * clock.Millisecond

// times checks the timestamps that the server makes.
func (w *Want) times(q, a *ntp.Packet, x *Exchanged, h History) error {
	early, late := x.Before.Add(-slack), x.After.Add(slack)
	rx, tx := a.Receive.Served(), a.Transmit.Served()
	switch {
	case a.Receive&1 != 1 || a.Transmit&1 != 0:
		return fmt.Errorf("lowest bits of receive and transmit are %d and %d, want 1 and 0", a.Receive&1, a.Transmit&1)
	case rx.Before(early) || rx.After(late):
		return fmt.Errorf("received %v s after the request was sent", rx.Sub(x.Before).Seconds())
	case w.Interleaved:
		return earlier(q, a, h)
	case tx.Before(rx.Add(-clock.Microsecond)) || tx.After(late):
		return fmt.Errorf("transmitted %v s after receiving", tx.Sub(rx).Seconds())
	case a.Transmit == a.Receive || a.Transmit == a.Origin:
		return fmt.Errorf("timestamps are equal: %+v", a)
	}
	return nil
}

// earlier checks that a tells when the reply that q names was sent.
func earlier(q, a *ntp.Packet, h History) error {
	for i := range h {
		x := &h[i]
		before := header(x.Reply)
		if before.Receive != q.Origin {
			continue
		}
		tx := a.Transmit.Served()
		if tx.Before(before.Receive.Served()) || tx.After(x.After.Add(slack)) {
			return fmt.Errorf("the reply before left %v s after it came", tx.Sub(before.Receive.Served()).Seconds())
		}
		return nil
	}
	return fmt.Errorf("interleaved answer to a request that names no reply")
}

// trailer checks what follows the header.
func (w *Want) trailer(a *ntp.Packet, b []byte) error {
	body := ntp.HeaderLen
	if w.Field {
		body += 4 + ntp.MonoRootLen
		if err := fieldError(a, b[ntp.HeaderLen:body]); err != nil {
			return err
		}
	}
	if w.MAC == 0 {
		return nil
	}
	if id := binary.BigEndian.Uint32(b[body:]); id != w.Key {
		return fmt.Errorf("the MAC is of key %d, want %d", id, w.Key)
	}
	if want := ring[w.Key].AppendMAC(nil, b[:body]); string(want[:w.MAC]) != string(b[body+4:]) {
		return fmt.Errorf("the MAC is %x, want %x", b[body+4:], want[:w.MAC])
	}
	return nil
}

// fieldError checks the field F323 of an answer.
func fieldError(a *ntp.Packet, b []byte) error {
	be := binary.BigEndian
	const unit = 1 << 28 // of a second
	delay, disp := float64(be.Uint32(b[8:]))/unit, float64(be.Uint32(b[12:]))/unit
	switch {
	case be.Uint32(b) != 0xf323001c || be.Uint32(b[4:]) != ntp.MonoRootMagic:
		return fmt.Errorf("the field begins with %x", b[:8])
	case math.Abs(delay-a.RootDelay.Seconds()) > 2.0/65536 || math.Abs(disp-a.RootDisp.Seconds()) > 2.0/65536:
		return fmt.Errorf("the field has delay %v and dispersion %v, the header %v and %v",
			delay, disp, a.RootDelay.Seconds(), a.RootDisp.Seconds())
	case be.Uint64(b[16:]) == 0:
		return fmt.Errorf("the field has no time")
	}
	return nil
}
