// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"math/rand/v2"
)

// Oscillator describes how a free clock runs. Rates are ratios; positive runs
// fast.
type Oscillator struct {
	Rate   float64 // constant error
	Wander float64 // random walk of the rate, ratio per sqrt(second)
	// Temperature: a sine of this amplitude and period.
	Amplitude, Period float64
	// StepAt is when the rate jumps by Step, in seconds of true time.
	StepAt, Step float64
}

// raw is a running oscillator: the monotonic clock of a node.
type raw struct {
	Oscillator
	rng  *rand.Rand
	walk float64 // of the random walk so far
	last float64 // true time at which value holds
	val  float64 // seconds shown, since the start
	rate float64 // in force until the next whole second of true time
}

func newRaw(o Oscillator, rng *rand.Rand, now float64) *raw {
	r := &raw{Oscillator: o, rng: rng, last: now}
	r.rate = r.rateAt(now)
	return r
}

func (r *raw) rateAt(t float64) float64 {
	f := r.Rate + r.walk
	if r.Period > 0 {
		f += r.Amplitude * math.Sin(2*math.Pi*t/r.Period)
	}
	if r.StepAt > 0 && t >= r.StepAt {
		f += r.Step
	}
	return f
}

// read returns what the clock shows at true time t, not before the last read.
// The rate changes at whole seconds.
func (r *raw) read(t float64) float64 {
	for {
		next := math.Floor(r.last) + 1
		if next > t {
			break
		}
		r.val += (next - r.last) * (1 + r.rate)
		r.last = next
		r.walk += r.Wander * r.rng.NormFloat64()
		r.rate = r.rateAt(next)
	}
	r.val += (t - r.last) * (1 + r.rate)
	r.last = t
	return r.val
}

// when estimates the true time at which the clock will show v.
func (r *raw) when(v float64) float64 { return r.last + (v-r.val)/(1+r.rate) }
