// SPDX-License-Identifier: Apache-2.0

// Package responder decides what a server answers. It sees octets, a sender and
// a timestamp, and turns the octets into an answer where they stand; receiving and
// sending are its callers'.
//
// The one concept is that a [Server] reads two immutable values: the [Snapshot]
// is what is served, made by the engine at every update; the [Policy] is what
// people decided. Nothing in an answer is a constant or computed anywhere else,
// so every thread that answers gives the same answers.
//
// An answer is never longer than its request, and only requests are answered:
// nothing that is itself an answer can start a loop.
package responder

import (
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
	return t.Shift(s.Smooth.at(t))
}

// at returns what is added at the instant t of served time without it.
func (m *Smoothing) at(t clock.Served) clock.Offset {
	if m.Since.IsZero() {
		return 0
	}
	return m.Offset + clock.Offset(float64(m.Rate)*t.Sub(m.Since).Seconds())
}
