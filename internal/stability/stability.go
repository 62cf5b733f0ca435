// SPDX-License-Identifier: Apache-2.0

// Package stability describes how a clock wanders: Allan deviation, modified Allan
// deviation, time deviation and maximum time interval error over averaging times.
// It knows nothing of where the clock's error comes from, nor of confidence.
//
// The one concept is the phase record: x[i] is the time error of the clock in
// seconds, taken every tau0 seconds, and a statistic at m looks at tau = m*tau0.
// A constant offset changes none of them, a constant frequency only MTIE.
//
// Definitions: IEEE Std 1139-2008 annex A for ADEV (the overlapping estimator)
// and MDEV, ITU-T G.810 (08/96) II.3 for TDEV and II.5 for MTIE; the estimators
// and the test data are those of NIST SP 1065 (Riley, 2008).
package stability

import (
	"math"
	"slices"
)

// Point is what is known at one averaging time.
type Point struct {
	Tau  float64 `json:"tau"`  // seconds
	N    int     `json:"n"`    // terms behind ADEV
	ADEV float64 `json:"adev"` // ratio
	MDEV float64 `json:"mdev"` // ratio; NaN-free: 0 if there are too few points, likewise TDEV
	TDEV float64 `json:"tdev"` // seconds
	MTIE float64 `json:"mtie"` // seconds
}

// Of returns all statistics at m = 1, 2, 4, ... as far as the record carries them.
func Of(x []float64, tau0 float64) []Point {
	var list []Point
	for m := 1; len(x)-2*m >= 1 && tau0 > 0; m *= 2 {
		p := Point{Tau: float64(m) * tau0, MTIE: MTIE(x, m)}
		p.ADEV, p.N = ADEV(x, tau0, m)
		if mdev, n := MDEV(x, tau0, m); n > 0 {
			p.MDEV = mdev
			p.TDEV = timeDeviation(p.Tau, mdev)
		}
		list = append(list, p)
	}
	return list
}

// ADEV returns the overlapping Allan deviation at m*tau0, and of how many terms
// it is made:
//
//	sigma_y^2 = sum_{i=0}^{N-2m-1} (x[i+2m] - 2 x[i+m] + x[i])^2 / (2 tau^2 (N-2m))
func ADEV(x []float64, tau0 float64, m int) (dev float64, terms int) {
	n := len(x) - 2*m
	if m < 1 || n < 1 {
		return 0, 0
	}
	sum := 0.0
	for i := range n {
		d := x[i+2*m] - 2*x[i+m] + x[i]
		sum += d * d
	}
	tau := float64(m) * tau0
	return math.Sqrt(sum/(2*float64(n))) / tau, n
}

// MDEV returns the modified Allan deviation at m*tau0, and of how many terms it
// is made:
//
//	Mod sigma_y^2 = sum_{j=0}^{N-3m} (sum_{i=j}^{j+m-1} x[i+2m] - 2 x[i+m] + x[i])^2
//	                / (2 m^2 tau^2 (N-3m+1))
//
// The inner sum moves by one term at each end from j to j+1.
func MDEV(x []float64, tau0 float64, m int) (dev float64, terms int) {
	n := len(x) - 3*m + 1
	if m < 1 || n < 1 {
		return 0, 0
	}
	inner, sum := 0.0, 0.0
	for i := range m {
		inner += x[i+2*m] - 2*x[i+m] + x[i]
	}
	for j := range n {
		sum += inner * inner
		if j+1 < n {
			inner += x[j+3*m] - 3*x[j+2*m] + 3*x[j+m] - x[j]
		}
	}
	tau := float64(m) * tau0
	return math.Sqrt(sum/(2*float64(n))) / (float64(m) * tau), n
}

// TDEV returns the time deviation at m*tau0 in seconds, tau/sqrt(3) times the
// modified Allan deviation.
func TDEV(x []float64, tau0 float64, m int) (dev float64, terms int) {
	mdev, n := MDEV(x, tau0, m)
	return timeDeviation(float64(m)*tau0, mdev), n
}

// timeDeviation is TDEV of the modified Allan deviation at tau.
func timeDeviation(tau, mdev float64) float64 { return tau / math.Sqrt(3) * mdev }

// MTIE returns the largest difference between two of any m+1 points in a row, in
// seconds. The extremes of the window that moves are at the heads of two queues,
// each sorted, from which what can never be an extreme again is dropped.
func MTIE(x []float64, m int) float64 {
	if m < 1 || len(x) <= m {
		return 0
	}
	high, low := make([]int, 0, m+2), make([]int, 0, m+2)
	most := 0.0
	for i, v := range x {
		for len(high) > 0 && x[high[len(high)-1]] <= v {
			high = high[:len(high)-1]
		}
		for len(low) > 0 && x[low[len(low)-1]] >= v {
			low = low[:len(low)-1]
		}
		high, low = append(high, i), append(low, i)
		if high[0] < i-m {
			high = slices.Delete(high, 0, 1)
		}
		if low[0] < i-m {
			low = slices.Delete(low, 0, 1)
		}
		if i >= m {
			most = max(most, x[high[0]]-x[low[0]])
		}
	}
	return most
}

// Regular makes a record with even steps of measurements at the times t, which
// must increase: the step is the median of theirs, and between two neighbours the
// line counts. Where measurements are missing for long the record is smoother
// than the clock; lost says what share of its steps lies in gaps of more than two.
func Regular(t, x []float64) (even []float64, tau0, lost float64) {
	if len(t) < 3 || len(t) != len(x) {
		return nil, 0, 0
	}
	steps := make([]float64, len(t)-1)
	for i := range steps {
		steps[i] = t[i+1] - t[i]
	}
	sorted := slices.Clone(steps)
	slices.Sort(sorted)
	if sorted[0] <= 0 {
		return nil, 0, 0
	}
	tau0 = sorted[len(sorted)/2]
	n := int(min((t[len(t)-1]-t[0])/tau0, maxRecord)) + 1
	even = make([]float64, n)
	j, gaps := 0, 0
	for i := range even {
		at := t[0] + float64(i)*tau0
		for j < len(steps)-1 && t[j+1] < at {
			j++
		}
		if steps[j] > 2*tau0 {
			gaps++
		}
		even[i] = x[j] + (x[j+1]-x[j])*(at-t[j])/steps[j]
	}
	return even, tau0, float64(gaps) / float64(n)
}

// maxRecord bounds the length of an even record: a series with long gaps would
// otherwise make a record of any length.
const maxRecord = 1 << 16
