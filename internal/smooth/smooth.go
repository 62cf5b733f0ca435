// SPDX-License-Identifier: Apache-2.0

// Package smooth keeps the time that a server hands out free of steps
// (smoothtime): corrections of the served clock reach the clients slowly. It
// decides nothing about the clock itself.
//
// The one concept is the curve x(t), which is added to served time t to get
// smoothed time. A correction of served time by o moves x by -o, so that
// smoothed time goes on as before, and starts a new curve towards zero. Its
// slope f = dx/dt begins where the old curve was and changes by at most w per
// second, and does not exceed m in either direction. Of the curves that end at
// x = 0, f = 0 within these limits it is the fastest. It has three parts:
//
//	f rises (or falls) at w, x'' = w, until the peak P
//	f stays at m, if P would exceed m
//	f returns to zero at w
//
// With s the direction of the first part (s = 1 if x would end below zero when f
// is brought to zero at once, else -1), y = s*x and v = s*f, the peak follows from
// the way that both ramps cover together:
//
//	(P^2 - v^2)/2w + P^2/2w = -y     so     P = sqrt(v^2/2 - w*y)
//
// Offsets are in seconds and frequencies ratios; both are positive when clients
// get time that is ahead of, or faster than, served time.
package smooth

import (
	"math"

	"foliot/internal/clock"
)

// ramp is a part of the curve. The second derivative is constant in it.
type ramp struct {
	length float64 // seconds
	wander float64 // x'', 1/s
}

// curve is x(t) from an instant on.
type curve struct {
	since  clock.Served
	offset float64 // x at since, seconds
	freq   float64 // f at since, ratio
	ramps  [3]ramp
}

// plan returns the fastest curve from offset x and slope f to zero, within the
// slope m and its change w.
func plan(since clock.Served, x, f, m, w float64) curve {
	s := 1.0
	if x+f*math.Abs(f)/(2*w) > 0 {
		s = -1
	}
	y, v := s*x, s*f
	peak := math.Sqrt(max(v*v/2-w*y, 0))
	a, plateau := w, 0.0
	if peak > m {
		// A slope that is beyond m already, after a change of the clock's rate,
		// has to come back to m first.
		peak, a = m, math.Copysign(w, m-v)
		way := (m*m-v*v)/(2*a) + m*m/(2*w)
		plateau = max(-y-way, 0) / m
	}
	return curve{since: since, offset: x, freq: f, ramps: [3]ramp{
		{max((peak-v)/a, 0), s * a},
		{plateau, 0},
		{peak / w, -s * w},
	}}
}

// length returns the seconds from since to the end.
func (c *curve) length() float64 {
	return c.ramps[0].length + c.ramps[1].length + c.ramps[2].length
}

// at returns x, f and x” at t.
func (c *curve) at(t clock.Served) (x, f, wander float64) {
	d := t.Sub(c.since).Seconds()
	left := c.length() - d
	switch last := c.ramps[2]; {
	case left <= 0:
		return 0, 0, 0
	case d <= 0:
		// Before the correction: where smoothed time was then.
		return c.offset + c.freq*d, c.freq, c.ramps[0].wander
	case left <= last.length:
		// Seen from the end, where everything is zero, it is exact.
		return last.wander * left * left / 2, -last.wander * left, last.wander
	}
	x, f = c.offset, c.freq
	for _, r := range c.ramps[:2] {
		l := min(d, r.length)
		x += f*l + r.wander*l*l/2
		f += r.wander * l
		wander = r.wander
		if d -= l; d <= 0 {
			break
		}
	}
	return x, f, wander
}

// Smoother smooths served time. Not safe for concurrent use.
type Smoother struct {
	maxFreq   float64 // ratio
	maxWander float64 // 1/s
	leapOnly  bool
	active    bool
	curve     curve
}

// New returns a smoother whose frequency stays within maxFreq (ppm) and changes by
// no more than maxWander (ppm per second). With leapOnly it smooths leap seconds
// and nothing else, so that the time it takes is the same on every server. A
// limit that is not positive leaves nothing to smooth with: such a smoother never
// gets active.
func New(maxFreq, maxWander float64, leapOnly bool) *Smoother {
	return &Smoother{maxFreq: maxFreq * 1e-6, maxWander: maxWander * 1e-6, leapOnly: leapOnly}
}

// Active tells whether served time is smoothed. At the start it is not: the
// first corrections are large and go to the clients as they are.
func (s *Smoother) Active() bool { return s.active }

// settled is the ratio of the clock's skew to the allowed wander below which
// smoothing begins by itself, seconds.
const settled = 1e4

// Settle activates a smoother at the served time at, if the clock, whose frequency
// is known to within skew, is steady enough to be smoothed.
func (s *Smoother) Settle(at clock.Served, skew clock.Frequency) {
	if s.leapOnly || float64(skew) < settled*s.maxWander {
		s.Activate(at)
	}
}

// Activate begins to smooth at the served time at, unless it has begun.
func (s *Smoother) Activate(at clock.Served) {
	if !s.active && s.maxFreq > 0 && s.maxWander > 0 {
		s.active = true
		s.Reset(at)
	}
}

// Reset makes smoothed time equal to served time, by a step: after a step of the
// clock, or when a person asks for it.
func (s *Smoother) Reset(at clock.Served) { s.curve = curve{since: at} }

// Update takes note that served time was corrected by offset (positive: moved
// forward) and is at after that. Without effect while not active or if only leap
// seconds are smoothed.
func (s *Smoother) Update(at clock.Served, offset clock.Offset) {
	if s.active && !s.leapOnly {
		s.correct(at, offset, 0)
	}
}

// Retune takes note that from at on served time runs faster by the ratio dfreq
// than it did. Smoothed time keeps its rate at first. Without effect while not
// active or if only leap seconds are smoothed.
func (s *Smoother) Retune(at clock.Served, dfreq clock.Frequency) {
	if s.active && !s.leapOnly {
		s.correct(at, 0, dfreq)
	}
}

// Leap takes note that a leap second, which the clients are not told of, corrected
// served time by offset and that it is at after that. Without effect while not
// active.
func (s *Smoother) Leap(at clock.Served, offset clock.Offset) {
	if s.active {
		s.correct(at, offset, 0)
	}
}

// Shift takes note that served time was moved by offset together with the time of
// the clients: a leap second that they are told of. What is added to served time
// stays as it is.
func (s *Smoother) Shift(offset clock.Offset) {
	s.curve.since = s.curve.since.Shift(offset)
}

func (s *Smoother) correct(at clock.Served, offset clock.Offset, dfreq clock.Frequency) {
	x, f, _ := s.curve.at(at.Shift(-offset))
	d := float64(dfreq)
	s.curve = plan(at, x-float64(offset), (f-d)/(1+d), s.maxFreq, s.maxWander)
}

// At returns what to add to the served time t to get smoothed time, in seconds,
// and how fast that changes. Both are zero while not active.
func (s *Smoother) At(t clock.Served) (clock.Offset, clock.Frequency) {
	if !s.active {
		return 0, 0
	}
	x, f, _ := s.curve.at(t)
	return clock.Offset(x), clock.Frequency(f)
}

// Remaining returns the seconds from the served time t until smoothed time is
// served time, if nothing else is corrected.
func (s *Smoother) Remaining(t clock.Served) float64 {
	return max(s.curve.length()-t.Sub(s.curve.since).Seconds(), 0)
}

// State is what chronyc smoothing shows.
type State struct {
	Active    bool
	LeapOnly  bool
	Offset    clock.Offset    // as At returns it
	Freq      clock.Frequency // as At returns it
	Wander    float64         // change of Freq, 1/s
	Updated   clock.Served    // when the curve was begun, zero if it never was
	Remaining float64         // seconds
}

// State returns the state at the served time t.
func (s *Smoother) State(t clock.Served) State {
	st := State{Active: s.active, LeapOnly: s.leapOnly, Updated: s.curve.since, Remaining: s.Remaining(t)}
	if s.active {
		var x, f float64
		x, f, st.Wander = s.curve.at(t)
		st.Offset, st.Freq = clock.Offset(x), clock.Frequency(f)
	}
	return st
}
