// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"slices"
)

// Point is one measurement for [Robust].
type Point struct {
	T float64 // when, seconds
	Y float64 // what, in any unit
}

// Robust returns the line y = at0 + slope*t with the least sum of absolute
// residuals through as many of the newest points (the last ones, in order of
// time) as lie on one by the test of runs, and how many those are. A point that
// is far off, like a time that somebody typed wrong, moves it little. It reports
// false if there are no two points at different times. The effort grows with the
// cube of the number of points: it is for a few.
func Robust(p []Point) (at0, slope float64, n int, ok bool) {
	for {
		if at0, slope, ok = leastAbsolute(p); !ok || len(p) <= 3 {
			return at0, slope, len(p), ok
		}
		if runsOf(p, at0, slope) > criticalRuns(len(p)) {
			return at0, slope, len(p), true
		}
		p = p[1:]
	}
}

// leastAbsolute looks through the slopes between any two points: a line with the
// least sum of absolute residuals goes through two points at least, and its
// intercept is the median of what the slope leaves.
func leastAbsolute(p []Point) (at0, slope float64, ok bool) {
	rest, least := make([]float64, len(p)), math.Inf(1)
	for i := range p {
		for j := range i {
			if p[i].T == p[j].T {
				continue
			}
			s := (p[i].Y - p[j].Y) / (p[i].T - p[j].T)
			for k := range p {
				rest[k] = p[k].Y - s*p[k].T
			}
			slices.Sort(rest)
			n := len(rest)
			a := 0.5 * (rest[(n-1)/2] + rest[n/2])
			sum := 0.0
			for _, r := range rest {
				sum += math.Abs(r - a)
			}
			if sum < least {
				at0, slope, least, ok = a, s, sum, true
			}
		}
	}
	return at0, slope, ok
}

// runsOf counts runs of residuals with the same sign.
func runsOf(p []Point, at0, slope float64) (n int) {
	above := false
	for i := range p {
		up := p[i].Y-at0-slope*p[i].T > 0
		if i == 0 || up != above {
			n++
		}
		above = up
	}
	return n
}
