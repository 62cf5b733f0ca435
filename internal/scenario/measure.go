// SPDX-License-Identifier: Apache-2.0

package scenario

import "math"

// Result is what a phase measured.
type Result struct {
	RMS       float64    // of the time error, seconds
	Max       float64    // of |time error|, seconds
	Overshoot float64    // largest error on the other side of zero than the first, seconds
	End       float64    // |time error| at the end, seconds
	RateRMS   float64    // of the frequency error, ratio
	Poll      float64    // mean seconds between requests to one server
	Settle    [3]float64 // seconds until the error stays below Levels for 15 minutes, NaN for never
	Steps     int        // of the clock, in the whole run
}

// Levels are the errors that settling times are given for, seconds.
var Levels = [3]float64{1e-3, 100e-6, 10e-6}

// calm is how long the error must stay below a level, seconds.
const calm = 900

// recorder sums up the error in a phase.
type recorder struct {
	from, to, start float64
	n               float64
	sum, max, rate  float64
	first, last     float64
	over            float64
	sent0, sent     int
	settle          settling
}

func newRecorder(p Phase, hours float64) recorder {
	r := recorder{from: p.From * 3600, to: p.To * 3600, start: p.Start * 3600}
	if p.To == 0 {
		r.to = hours * 3600
	}
	r.settle.begin(r.start)
	return r
}

func (r *recorder) note(t, err, rate float64, sent int) {
	if t >= r.start && t <= r.to {
		r.settle.note(t, math.Abs(err))
	}
	if t < r.from || t > r.to {
		return
	}
	if r.n == 0 {
		r.first, r.sent0 = err, sent
	}
	r.n++
	r.sum += err * err
	r.rate += rate * rate
	r.max = math.Max(r.max, math.Abs(err))
	if err*r.first < 0 {
		r.over = math.Max(r.over, math.Abs(err))
	}
	r.last, r.sent = err, sent
}

// result sums up, for a node with so many sources.
func (r *recorder) result(sources int) Result {
	return Result{
		RMS: math.Sqrt(r.sum / r.n), Max: r.max, Overshoot: r.over, End: math.Abs(r.last),
		RateRMS: math.Sqrt(r.rate / r.n),
		Poll:    (r.n - 1) * float64(sources) / math.Max(1, float64(r.sent-r.sent0)),
		Settle:  r.settle.result(),
	}
}

// settling watches for the first time from which the error stays low.
type settling struct {
	start float64
	since [3]float64 // when the error was last seen above the level
	done  [3]bool
}

func (s *settling) begin(start float64) {
	s.start = start
	for i := range s.since {
		s.since[i] = start
	}
}

func (s *settling) note(t, err float64) {
	for i, level := range Levels {
		if s.done[i] {
			continue
		}
		if err >= level {
			s.since[i] = t + 1
		} else if t-s.since[i] >= calm {
			s.done[i] = true
		}
	}
}

// result gives seconds from the start, NaN for never.
func (s *settling) result() (out [3]float64) {
	for i := range out {
		out[i] = s.since[i] - s.start
		if !s.done[i] {
			out[i] = math.NaN()
		}
	}
	return out
}
