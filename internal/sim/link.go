// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"math/rand/v2"
)

// Delay draws the time that a datagram takes, in seconds, at true time t.
type Delay func(r *rand.Rand, t float64) float64

// Link is one direction of a path.
type Link struct {
	Delay     Delay
	Loss      float64 // probability that a datagram is lost
	Duplicate float64 // probability that it arrives twice
}

// Fixed is a constant delay.
func Fixed(s float64) Delay {
	return func(*rand.Rand, float64) float64 { return s }
}

// Exponential is a constant and a queue that is mostly short.
func Exponential(base, mean float64) Delay {
	return func(r *rand.Rand, _ float64) float64 { return base + mean*r.ExpFloat64() }
}

// Normal is jitter without a sharp minimum.
func Normal(base, sd float64) Delay {
	return func(r *rand.Rand, _ float64) float64 { return math.Abs(base + sd*r.NormFloat64()) }
}

// Lomax is a queue with a heavy tail: shape 2.5 has a finite variance and no
// more (Pareto of the second kind).
func Lomax(base, mean, shape float64) Delay {
	scale := mean * (shape - 1)
	return func(r *rand.Rand, _ float64) float64 {
		return base + scale*(math.Pow(1-r.Float64(), -1/shape)-1)
	}
}

// Bursts adds an exponential queue of the given mean during the first busy
// seconds of each period.
func Bursts(d Delay, mean, busy, period float64) Delay {
	return func(r *rand.Rand, t float64) float64 {
		v := d(r, t)
		if math.Mod(t, period) < busy {
			v += mean * r.ExpFloat64()
		}
		return v
	}
}
