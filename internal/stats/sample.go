// SPDX-License-Identifier: Apache-2.0

// Package stats turns the samples of one source into an estimate of how far
// the local clock is from it, how fast that changes, and how sure that is.
//
// The [Register] keeps the recent samples and describes them by a weighted
// straight line, as chrony does; people see its numbers (sourcestats), and the
// delay tests use them. The clock follows an [Estimator]: either that line
// ([Line]) or the adaptive bank of Kalman filters ([Tracker]), the default.
//
// All times are served time. Whenever the served clock changes its rate by
// dfreq and its phase by doffset at the instant T, every stored instant t
// moves to t + doffset + (t-T)*dfreq, as if the clock had always run so, and
// the history stays valid. Nothing here reads a clock or allocates.
package stats

import (
	"math"

	"foliot/internal/clock"
)

// Sample is one accepted measurement of a source.
type Sample struct {
	Time      clock.Served     // middle of the exchange
	Offset    clock.Offset     // positive: the local clock is behind
	Measured  clock.Offset     // the same as it was measured, without what was corrected since
	Delay     clock.Delay      // round trip to the source
	Disp      clock.Dispersion // error of the measurement itself
	RootDelay clock.Delay      // round trip to the primary reference
	RootDisp  clock.Dispersion // error accumulated since the primary reference
}

// distance is the root distance that the sample alone has.
func (s *Sample) distance() float64 {
	return float64(s.Disp) + 0.5*float64(s.Delay)
}

// adjust moves the sample with the served clock.
func (s *Sample) adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	moved := doffset + clock.Offset(s.Time.Sub(at).Seconds()*float64(dfreq))
	s.Time = s.Time.Shift(moved)
	s.Offset -= moved
}

// Estimate is what is known of a source at an instant.
type Estimate struct {
	Time     clock.Served
	Offset   clock.Offset    // positive: the local clock is behind
	OffsetSD float64         // standard deviation of Offset, seconds
	Freq     clock.Frequency // positive: the local clock is slow
	FreqSD   float64         // standard deviation of Freq, ratio
	Noise    float64         // standard deviation of a good sample, seconds
	Wander   float64         // random walk of the frequency, ratio per sqrt(second)
}

// At returns e carried forward (or back) to t.
func (e Estimate) At(t clock.Served) Estimate {
	dt := t.Sub(e.Time).Seconds()
	grown := e.OffsetSD*e.OffsetSD + dt*dt*e.FreqSD*e.FreqSD + e.Wander*e.Wander*math.Abs(dt*dt*dt)/3
	e.Time = t
	e.Offset += clock.Offset(float64(e.Freq) * dt)
	e.OffsetSD = math.Sqrt(grown)
	return e
}

// Estimator follows the offset of one source.
type Estimator interface {
	// Add takes in the newest sample of the register.
	Add(r *Register)
	// Estimate returns what is known as of the newest sample. It reports
	// false before the first one.
	Estimate() (Estimate, bool)
	// Adjust follows a change of the served clock.
	Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset)
	// Shift adds a correction to the source's offset: its time, not ours, moved.
	Shift(doffset clock.Offset)
	// Reset forgets everything.
	Reset()
}
