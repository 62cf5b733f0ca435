// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"testing"
)

// on returns n points a second apart, the last at time 0, by turns a little above
// and below a line.
func on(at0, slope float64, n int) (p []Point) {
	for i := range n {
		t := float64(i - n + 1)
		p = append(p, Point{t, at0 + slope*t + []float64{1e-6, -1e-6}[i%2]})
	}
	return p
}

func TestRobust(t *testing.T) {
	outlier := on(2, 0.5, 9)
	outlier[4].Y += 1000
	last := on(2, 0.5, 9)
	last[8].Y -= 1000
	bent := append(on(0, -1, 20), on(0, 3, 20)...)
	for i := range bent[:20] {
		bent[i].T -= 20
		bent[i].Y += -60 // joins the other where that begins
	}
	for _, tc := range []struct {
		name       string
		points     []Point
		at0, slope float64
		n          int // of the newest points, at least
		ok         bool
	}{
		{"none", nil, 0, 0, 0, false},
		{"one", on(1, 2, 1), 0, 0, 0, false},
		{"two", on(1, -2, 2), 1, -2, 2, true},
		{"two at once", []Point{{0, 1}, {0, 2}}, 0, 0, 0, false},
		{"three", on(1, 2, 3), 1, 2, 3, true},
		{"an outlier", outlier, 2, 0.5, 8, true},
		{"the last is an outlier", last, 2, 0.5, 7, true},
	} {
		at0, slope, n, ok := Robust(tc.points)
		if ok != tc.ok || ok && (math.Abs(at0-tc.at0) > 3e-6 || math.Abs(slope-tc.slope) > 3e-6 || n < tc.n) {
			t.Errorf("%s: %g + %g t of %d points, %v; want %g + %g t of %d at least, %v", tc.name, at0, slope, n, ok, tc.at0, tc.slope, tc.n, tc.ok)
		}
	}
	at0, slope, n, ok := Robust(bent)
	if !ok || math.Abs(at0) > 3 || math.Abs(slope-3) > 0.3 || n >= 30 || n < 15 {
		t.Errorf("a line with a bend before the 20 newest: %g + %g t of %d, %v; want about 3 t of about 20", at0, slope, n, ok)
	}
}

// No line near the one found has a smaller sum of absolute residuals.
func TestRobustIsLeast(t *testing.T) {
	rng := seeded(t)
	sum := func(p []Point, a, b float64) (s float64) {
		for _, x := range p {
			s += math.Abs(x.Y - a - b*x.T)
		}
		return s
	}
	for range 300 {
		p := on(rng.NormFloat64(), rng.NormFloat64(), 2+rng.IntN(15))
		for i := range p {
			p[i].T += 0.4 * rng.Float64()
			p[i].Y += math.Pow(rng.NormFloat64(), 3)
		}
		a, b, n, ok := Robust(p)
		if !ok {
			t.Fatalf("no line through %v", p)
		}
		p = p[len(p)-n:]
		least := sum(p, a, b)
		for range 200 {
			size := math.Pow(10, -4*rng.Float64())
			if got := sum(p, a+size*rng.NormFloat64(), b+size*rng.NormFloat64()); got < least-1e-9 {
				t.Fatalf("residuals %v about the line %g + %g t of %v, want no more than %v", least, a, b, p, got)
			}
		}
	}
}

func TestJitter(t *testing.T) {
	r := NewRegister(Limits{})
	if j := r.Jitter(); j != 0 {
		t.Errorf("jitter %g without samples, want 0", j)
	}
	for i, o := range []float64{0, 3e-6, -1e-6} {
		r.Add(sampleAt(float64(16*i), o, 1e-4))
	}
	if j := r.Jitter(); math.Abs(j-math.Sqrt(12.5)*1e-6) > 1e-15 {
		t.Errorf("jitter %g, want the root of the mean of 3 us and -4 us squared", j)
	}
}
