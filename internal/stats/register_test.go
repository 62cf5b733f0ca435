// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"testing"

	"foliot/internal/clock"
)

func TestRegisterLimits(t *testing.T) {
	for _, tc := range []struct {
		name           string
		limits         Limits
		added          int
		fitted, held   int
		least          float64 // MinDelay, seconds
		boundsDelays   bool    // DelayBound and DelayLimit say something
		haveLine, full bool
	}{
		{"empty", Limits{}, 0, 0, 0, math.Inf(1), false, false, false},
		{"one", Limits{}, 1, 1, 1, 1e-3, false, false, false},
		{"two", Limits{}, 2, 2, 2, 1e-3, false, false, false},
		{"three", Limits{}, 3, 3, 3, 1e-3, false, true, false},
		{"five", Limits{}, 5, 5, 5, 1e-3, false, true, false},
		{"six", Limits{}, 6, 6, 6, 1e-3, true, true, false},
		{"the longest fit", Limits{}, 64, 64, 64, 1e-3, true, true, false},
		{"the longest memory", Limits{}, 400, 64, 128, 1e-3, true, true, true},
		{"maxsamples", Limits{MaxSamples: 10}, 50, 10, 50, 1e-3, true, true, false},
		{"maxsamples below minsamples", Limits{MinSamples: 20, MaxSamples: 8}, 50, 8, 50, 1e-3, true, true, false},
		{"maxsamples of one", Limits{MaxSamples: 1}, 50, 1, 50, 1e-3, false, false, false},
		{"maxsamples beyond the memory", Limits{MaxSamples: 1000}, 200, 64, 128, 1e-3, true, true, true},
		{"mindelay", Limits{MinDelay: 5e-4}, 10, 10, 10, 5e-4, true, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := NewRegister(tc.limits)
			for i := range tc.added {
				// Alternating residuals never shorten the fit.
				r.Add(sampleAt(float64(i), 1e-6*float64(i%2), 1e-3))
			}
			if r.Len() != tc.fitted || r.Held() != tc.held {
				t.Errorf("%d added: %d fitted of %d held, want %d of %d", tc.added, r.Len(), r.Held(), tc.fitted, tc.held)
			}
			if got := float64(r.MinDelay()); got != tc.least {
				t.Errorf("MinDelay() = %g, want %g", got, tc.least)
			}
			if got := r.Line().OK; got != tc.haveLine {
				t.Errorf("Line().OK = %v, want %v", got, tc.haveLine)
			}
			if tc.added == 0 {
				if r.Span() != 0 {
					t.Errorf("Span() = %v of nothing, want 0", r.Span())
				}
				return
			}
			last := at(float64(tc.added - 1))
			if got, want := r.Span(), clock.Seconds(float64(tc.fitted-1)); got != want || r.Last().Time != last {
				t.Errorf("Span() = %v, last at %v; want %v, %v", got, r.Last().Time, want, last)
			}
			if got, want := r.Oldest(), at(float64(tc.added-tc.fitted)); got != want {
				t.Errorf("Oldest() = %v, want %v", got, want)
			}
			if got, want := r.Sample(0).Time, at(float64(tc.added-tc.held)); got != want {
				t.Errorf("Sample(0) is of %v, want %v", got, want)
			}
			_, bound := r.DelayBound(last, 10)
			_, limit := r.DelayLimit(last, 2)
			if bound != tc.boundsDelays || limit != tc.boundsDelays {
				t.Errorf("DelayBound and DelayLimit known: %v, %v; want %v", bound, limit, tc.boundsDelays)
			}
		})
	}
}

// At least minsamples stay in the fit, however badly the line fits.
func TestRegisterMinSamples(t *testing.T) {
	for _, tc := range []struct{ given, want int }{{0, 6}, {1, 3}, {3, 3}, {12, 12}} {
		r := NewRegister(Limits{MinSamples: tc.given})
		least := MaxSamples
		for i := range 60 {
			s := float64(i)
			r.Add(sampleAt(s, 1e-3*s*s*s, 1e-3)) // a cubic
			if i >= 20 {
				least = min(least, r.Len())
			}
		}
		if least < tc.want || least > tc.want+8 {
			t.Errorf("minsamples %d: a cubic shortens the fit to %d samples, want %d or a few more", tc.given, least, tc.want)
		}
	}
}

func TestRegisterSetLimits(t *testing.T) {
	r := NewRegister(Limits{})
	for i := range 50 {
		r.Add(sampleAt(float64(i), 1e-6*float64(i%2), 1e-3))
	}
	r.SetLimits(Limits{MaxSamples: 10, FixedAsym: true, Asymmetry: 0.25})
	if r.Held() != 50 || r.Asymmetry() != 0.25 {
		t.Errorf("after SetLimits: %d held, asymmetry %g; want 50, 0.25", r.Held(), r.Asymmetry())
	}
	r.Add(sampleAt(50, 0, 1e-3))
	if r.Len() != 10 {
		t.Errorf("%d fitted after SetLimits with 10 at most", r.Len())
	}
}

// A sample that is not later than the last one begins a new history.
func TestRegisterBackwards(t *testing.T) {
	for _, tc := range []struct {
		name string
		to   float64
		held int
	}{{"later", 10, 11}, {"same time", 9, 1}, {"earlier", 3.5, 1}} {
		r := NewRegister(Limits{})
		for i := range 10 {
			r.Add(sampleAt(float64(i), 0, 1e-3))
		}
		r.Add(sampleAt(tc.to, 0.5, 1e-3))
		if r.Held() != tc.held || r.Last().Time != at(tc.to) {
			t.Errorf("%s: %d held, the last at %v; want %d, %v", tc.name, r.Held(), r.Last().Time, tc.held, at(tc.to))
		}
	}
}

func TestRegisterReset(t *testing.T) {
	r := NewRegister(Limits{FixedAsym: true, Asymmetry: -0.3})
	for i := range 20 {
		r.Add(sampleAt(float64(i), 1e-3, 1e-3))
	}
	r.Reset()
	if r.Held() != 0 || r.Len() != 0 || r.Line().OK || r.Line().Skew != worstSkew || r.Asymmetry() != -0.3 {
		t.Errorf("after Reset: %d held, line %+v, asymmetry %g; want none, the worst, -0.3", r.Held(), r.Line(), r.Asymmetry())
	}
}

func TestRegisterShift(t *testing.T) {
	r := NewRegister(Limits{})
	for i := range 20 {
		r.Add(sampleAt(float64(i), 1e-3, 1e-3))
	}
	r.Shift(0.25)
	for i := range r.Held() {
		if got := float64(r.Sample(i).Offset); !near(got, 0.251, 1e-12) {
			t.Errorf("offset %d = %g after Shift by 0.25, want 0.251", i, got)
		}
	}
	if got := float64(r.Line().Offset); !near(got, 0.251, 1e-9) {
		t.Errorf("offset of the line = %g after Shift by 0.25, want 0.251", got)
	}
}

// The best sample has the least root distance once its age is counted.
func TestRegisterBest(t *testing.T) {
	for _, tc := range []struct {
		name string
		skew clock.Frequency
		want int
	}{{"no drift", 0, 2}, {"a little drift", 1e-6, 5}, {"much drift", 1e-3, 7}} {
		r := NewRegister(Limits{})
		for i, d := range []float64{9e-3, 5e-3, 1e-3, 4e-3, 6e-3, 1.1e-3, 5e-3, 2e-3} {
			s := sampleAt(100*float64(i), 1e-6*float64(i%2), 1e-3)
			s.RootDelay, s.RootDisp = clock.Delay(d), clock.Dispersion(d/4)
			r.Add(s)
		}
		if got := r.Best(at(710), tc.skew); got.Time != at(100*float64(tc.want)) {
			t.Errorf("%s: best sample is of %.0f s, want of %d s", tc.name, got.Time.Sub(at(0)).Seconds(), 100*tc.want)
		}
	}
}

// The bounds on the delay widen with the ratio and with the age.
func TestDelayBounds(t *testing.T) {
	rng := fixed(9)
	r := NewRegister(Limits{ClockError: 1e-6})
	for i := range 20 {
		r.Add(sampleAt(16*float64(i), 1e-4*rng.NormFloat64(), 1e-3))
	}
	last := r.Last().Time
	get := func(age, ratio float64) (bound, limit float64) {
		b, _ := r.DelayBound(last.Add(clock.Seconds(age)), ratio)
		l, _ := r.DelayLimit(last.Add(clock.Seconds(age)), ratio)
		return b, float64(l)
	}
	b, l := get(0, 2)
	if want := 2 * r.Line().SD; !near(b, want, 1e-12) || !near(l, 2e-3, 1e-12) {
		t.Errorf("bounds at ratio 2 = %g, %g; want %g, 2e-3", b, l, want)
	}
	older, limit := get(1000, 2)
	if grown := 1000 * (float64(r.Line().Skew) + 1e-6); !near(older-b, grown, 1e-12) || !near(limit-l, grown, 1e-12) {
		t.Errorf("bounds grow by %g and %g in 1000 s, want %g", older-b, limit-l, grown)
	}
}
