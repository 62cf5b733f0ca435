// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"math"
	"math/bits"

	"foliot/internal/clock"
)

// pace is a mean interval: its logarithm to base 2 in nanoseconds, times
// paceUnit. 0 means unknown.
type pace int16

const (
	paceUnit = 256 // one doubling
	paceGain = 4   // the newest interval has this part of the mean
)

// flood is the pace of 1/16 s.
const flood pace = 25*paceUnit + 220

// paceOf returns the pace of one interval (above 0). Between the powers of two
// it is a straight line, at most 0.09 below the logarithm.
func paceOf(d clock.Interval) pace {
	n := uint64(d)
	whole := bits.Len64(n) - 1
	part := (n << (64 - whole)) >> 56 // the 8 bits below the highest
	return max(pace(whole*paceUnit+int(part)), 1)
}

// add takes another interval into the mean.
func (p *pace) add(d clock.Interval) {
	v := paceOf(d)
	if *p == 0 {
		*p = v
		return
	}
	*p += (v - *p) / paceGain
}

// log2 returns the mean as log2 seconds.
func (p pace) log2() (float64, bool) {
	return float64(p)/paceUnit - math.Log2(1e9), p != 0
}
