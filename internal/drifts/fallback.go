// SPDX-License-Identifier: Apache-2.0

// Package drifts predicts the frequency of the clock without measuring time:
// from its own past (fallbackdrift) and from the temperature of the oscillator
// (tempcomp). It steers nothing and reads no sensor.
//
// The one concept is the frequency that the clock needs to keep time; like every
// [clock.Frequency] it is positive when the clock has to be sped up.
package drifts

import (
	"math"

	"foliot/internal/clock"
)

// FallbackConfig is the directive fallbackdrift: the shortest and the longest
// interval, log2 seconds. None is used if one is 0 or the longest is shorter.
type FallbackConfig struct {
	Min, Max int
}

// maxSpan is the longest interval, log2 seconds: 136 years.
const maxSpan = 32

// Fallback keeps averages of the frequency over spans T of 2^Min, 2^(Min+1) ...
// 2^Max seconds. Each is the exponential mean
//
//	F += (1 - exp(-dt/T)) * (f - F)
//
// of frequencies f that held for dt seconds each, and counts once they make up 2*T
// seconds. While there are so few that dt is a larger share of them than the
// factor says, it is their plain mean. Not safe for concurrent use.
type Fallback struct {
	min   int // log2 seconds
	means []mean
}

type mean struct {
	freq float64 // ratio
	seen float64 // seconds that it is made of
}

// NewFallback returns averages that know nothing.
func NewFallback(c FallbackConfig) *Fallback {
	if c.Min <= 0 || c.Max < c.Min || c.Min > maxSpan {
		return &Fallback{}
	}
	return &Fallback{min: c.Min, means: make([]mean, min(c.Max, maxSpan)-c.Min+1)}
}

// Add takes note that for the last dt seconds the clock kept time with the
// frequency f. Only synchronised time counts. A dt that is not positive is passed
// over.
func (b *Fallback) Add(f clock.Frequency, dt float64) {
	if !(dt > 0) || math.IsInf(dt, 0) {
		return
	}
	for i := range b.means {
		m := &b.means[i]
		span := math.Ldexp(1, b.min+i)
		gain := max(-math.Expm1(-dt/span), dt/(m.seen+dt))
		m.freq += gain * (float64(f) - m.freq)
		m.seen += dt
	}
}

// ready tells whether mean i counts.
func (b *Fallback) ready(i int) bool { return b.means[i].seen >= math.Ldexp(1, b.min+i+1) }

// Choose returns the frequency to use when the last update of the clock is age
// seconds ago, and the span of the average that it is, log2 seconds: the longest
// that counts and is not longer than age. It reports false if there is none: the
// frequency of the last update is still the best.
func (b *Fallback) Choose(age float64) (f clock.Frequency, span int, ok bool) {
	for i := len(b.means) - 1; i >= 0; i-- {
		if age >= math.Ldexp(1, b.min+i) && b.ready(i) {
			return clock.Frequency(b.means[i].freq), b.min + i, true
		}
	}
	return 0, 0, false
}

// Next returns the age in seconds, later than age, at which Choose will give
// another answer, 0 for none.
func (b *Fallback) Next(age float64) float64 {
	for i := range b.means {
		if t := math.Ldexp(1, b.min+i); t > age && b.ready(i) {
			return t
		}
	}
	return 0
}
