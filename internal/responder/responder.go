// SPDX-License-Identifier: Apache-2.0

// Package responder decides what a server answers. It sees octets and a
// timestamp and gives octets back; who may ask, and sending, are its callers'.
//
// The one concept is the [Snapshot]: all that is served is one immutable value,
// made by the engine at every update and read by whatever answers. Nothing in
// an answer is a constant or computed anywhere else.
//
// An answer is never longer than its request, and only requests are answered:
// nothing that is itself an answer can start a loop.
package responder

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Snapshot is what is served.
type Snapshot struct {
	Correction clock.Correction // from the wall clock to served time
	Smooth     Smoothing
	Leap       ntp.Leap
	Stratum    uint8 // as sent; 0 if not synchronised
	RefID      ntp.RefID
	RefTime    clock.Served
	RootDelay  float64 // seconds
	RootDisp   float64 // at RefTime, seconds
	DispRate   float64 // growth of RootDisp, seconds per second
	Precision  int8    // log2 seconds
	Epoch      uint32  // changes when the monotonic served time starts over
	MonoOffset clock.Offset
}

// Smoothing is what smoothtime adds to served time: a line, renewed with each
// snapshot. The zero value adds nothing.
type Smoothing struct {
	Since  clock.Served
	Offset clock.Offset
	Rate   clock.Frequency
}

// Served returns what the server's clock shows at the wall reading w.
func (s *Snapshot) Served(w clock.Wall) clock.Served {
	t := s.Correction.Served(w)
	if m := &s.Smooth; !m.Since.IsZero() {
		t = t.Shift(m.Offset + clock.Offset(float64(m.Rate)*t.Sub(m.Since).Seconds()))
	}
	return t
}

// Verdict says what becomes of a datagram at the server port. Its name is the
// label of the counter.
type Verdict uint8

// Verdicts.
const (
	Answer     Verdict = iota // reply with what Respond wrote
	BadLength                 // not 48 to 1140 octets in steps of four
	BadVersion                // not version 1 to 4
	BadMode                   // not a request
	BadTrailer                // what follows the header is neither field nor MAC
	BadAuth                   // a MAC that we cannot verify
	Denied                    // not allowed
	Limited                   // over the rate limit
	verdictCount
)

var verdictNames = [verdictCount]string{
	"answer", "bad_length", "bad_version", "bad_mode", "bad_trailer", "bad_auth", "denied", "limited",
}

func (v Verdict) String() string { return verdictNames[v] }

// Verdicts is the number of verdicts.
const Verdicts = int(verdictCount)

// Request is a datagram that was judged worth an answer.
type Request struct {
	Packet  ntp.Packet
	Trailer ntp.Trailer
	Len     int
}

// Judge decodes a datagram from source port port.
func Judge(b []byte, port uint16, r *Request) Verdict {
	if len(b) < ntp.HeaderLen || len(b) > ntp.MaxLen || len(b)%4 != 0 {
		return BadLength
	}
	if !r.Packet.Decode(b) {
		return BadVersion
	}
	switch p := &r.Packet; {
	case p.Mode == ntp.ModeClient, p.Mode == ntp.ModeActive:
	case p.Mode == ntp.ModeReserved && p.Version == 1 && port != 123:
		// Version 1 had no modes; a client is known by its port.
	default:
		return BadMode
	}
	var ok bool
	if r.Trailer, ok = ntp.SplitTrailer(b, r.Packet.Version); !ok {
		return BadTrailer
	}
	r.Len = len(b)
	return Answer
}

// Reply is an answer before it is sealed with its transmit timestamp.
type Reply struct {
	Packet      ntp.Packet
	Interleaved bool // Transmit is set, to the transmission before
	MonoRoot    bool // the request had a field F323; answer with one
	slot        int  // in the stamp store, -1 for none
}

// Responder makes answers. Not safe for concurrent use: each worker owns one.
type Responder struct {
	stamps *stampStore
	random func() uint64
}

// New returns a responder that keeps up to stamps timestamps of clients in
// interleaved mode (0 = none: interleaved mode is off).
func New(stamps int, random func() uint64) *Responder {
	return &Responder{stamps: newStampStore(stamps), random: random}
}

// Respond fills in the answer to req, which arrived at the wall time rx.
func (s *Responder) Respond(req *Request, rx clock.Wall, snap *Snapshot, out *Reply) {
	q := &req.Packet
	received := snap.Served(rx)
	*out = Reply{slot: -1}
	p := &out.Packet
	p.Leap, p.Stratum, p.RefID = snap.Leap, snap.Stratum, snap.RefID
	p.Version, p.Mode = q.Version, answerMode(q.Mode)
	p.Poll, p.Precision = q.Poll, snap.Precision
	p.RootDelay = ntp.ToShort(snap.RootDelay)
	p.RootDisp = ntp.ToShort(snap.RootDisp + math.Abs(received.Sub(snap.RefTime).Seconds())*snap.DispRate)
	if !snap.RefTime.IsZero() {
		p.Reference = ntp.FromInstant(snap.RefTime)
	}
	p.Origin = q.Transmit
	p.Receive = ntp.FromInstant(received).Fuzz(snap.Precision, s.random()) | 1
	s.interleave(q, p, out)
}

// interleave looks up when the answer before was really sent, for a client that
// repeats the receive timestamp of that answer as its origin. Only such clients
// cost memory: they are known by the lowest bit, 1 in our receive timestamps
// and 0 in our transmit timestamps.
func (s *Responder) interleave(q, p *ntp.Packet, out *Reply) {
	if s.stamps == nil || q.Version != ntp.Version || q.Mode == ntp.ModeActive || q.Origin&1 == 0 || q.Receive == q.Transmit {
		return
	}
	if sent, ok := s.stamps.take(q.Origin); ok && q.Receive != 0 {
		p.Origin, p.Transmit = q.Receive, sent
		out.Interleaved = true
	}
	out.slot = s.stamps.put(p.Receive)
}

// answerMode is the mode of an answer to a request of mode m.
func answerMode(m ntp.Mode) ntp.Mode {
	if m == ntp.ModeActive {
		return ntp.ModePassive
	}
	return ntp.ModeServer
}

// Seal sets the transmit timestamp of the reply: the wall time at which it is
// handed over for sending, read as late as possible. It returns the slot to
// tell [Responder.Transmitted] about, or -1.
func (s *Responder) Seal(r *Reply, w clock.Wall, snap *Snapshot) int {
	t := ntp.FromInstant(snap.Served(w))
	for {
		f := t.Fuzz(snap.Precision, s.random()) &^ 1
		if f != r.Packet.Origin && f != r.Packet.Receive && f != 0 {
			t = f
			break
		}
		t += 2
	}
	if !r.Interleaved {
		r.Packet.Transmit = t
	}
	if r.slot >= 0 {
		s.stamps.set(r.slot, t)
	}
	return r.slot
}

// Transmitted tells when the reply in a slot really left. Late or wild stamps
// are not believed.
func (s *Responder) Transmitted(slot int, w clock.Wall, snap *Snapshot) {
	if s.stamps == nil || slot < 0 || slot >= len(s.stamps.entries) {
		return
	}
	at := snap.Served(w)
	early := s.stamps.entries[slot].sent.Served()
	if d := at.Sub(early); d >= 0 && d <= clock.Second {
		s.stamps.set(slot, ntp.FromInstant(at)&^1)
	}
}
