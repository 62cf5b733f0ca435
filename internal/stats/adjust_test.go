// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"foliot/internal/clock"
)

// A history that is moved with the clock must say the same about true time:
// the served instant plus the offset then, before and after.

// rounding is what each change may cost, nanoseconds.
const rounding = 2.0

func randomChange(rng *rand.Rand, now clock.Served) change {
	c := change{
		at:      now.Add(clock.Seconds(100 * rng.Float64())),
		dfreq:   clock.Frequency(1e-4 * rng.NormFloat64()),
		doffset: clock.Offset(math.Pow(10, -9+10*rng.Float64()) * rng.NormFloat64()),
	}
	if rng.IntN(4) == 0 {
		c.dfreq = 0.08 * clock.Frequency(rng.Float64()-0.5)
	}
	return c
}

func TestRegisterAdjust(t *testing.T) {
	rng := seeded(t)
	for trial := range 50 {
		r := NewRegister(Limits{})
		for _, s := range history(rng, 3+rng.IntN(100)) {
			r.Add(s)
		}
		var want []float64
		for i := range r.Held() {
			s := r.Sample(i)
			want = append(want, truth(s.Time, s.Offset))
		}
		ahead := r.Last().Time.Add(clock.Seconds(64))
		predicted, changes := truth(ahead, lineAt(r, ahead)), 1+rng.IntN(5)
		for range changes {
			c := randomChange(rng, r.Last().Time)
			last, line, delay := c.apply(r.Last().Time), r.Line(), r.MinDelay()
			r.Adjust(c.at, c.dfreq, c.doffset)
			ahead = c.apply(ahead)
			if f := (line.Freq - c.dfreq) / (1 + c.dfreq); !near(float64(r.Line().Freq), float64(f), 1e-15) {
				t.Fatalf("trial %d: frequency = %g after %+v, want %g", trial, r.Line().Freq, c, f)
			}
			if r.Last().Time != last || r.MinDelay() != delay {
				t.Fatalf("trial %d: last at %v, delay %g after %+v; want %v, %g", trial, r.Last().Time, r.MinDelay(), c, last, delay)
			}
		}
		for i := range r.Held() {
			s := r.Sample(i)
			if got := truth(s.Time, s.Offset); !near(got, want[i], rounding*float64(changes)) {
				t.Fatalf("trial %d: sample %d tells %.1f ns after %d changes, want %.1f", trial, i, got, changes, want[i])
			}
		}
		if got := truth(ahead, lineAt(r, ahead)); !near(got, predicted, rounding*float64(changes)) {
			t.Fatalf("trial %d: the line predicts %.1f ns after %d changes, want %.1f", trial, got, changes, predicted)
		}
	}
}

func lineAt(r *Register, t clock.Served) clock.Offset {
	l := r.Line()
	return l.At(t)
}

func estimators() map[string]Estimator {
	return map[string]Estimator{"tracker": NewTracker(Prior{}), "line": &Line{}}
}

// Without samples in between, a change of the clock leaves the prediction as it
// was, to the nanosecond.
func TestEstimatorAdjust(t *testing.T) {
	for name, e := range estimators() {
		t.Run(name, func(t *testing.T) {
			rng := seeded(t)
			for trial := range 20 {
				e.Reset()
				r := NewRegister(Limits{})
				for _, s := range history(rng, 3+rng.IntN(40)) {
					r.Add(s)
					e.Add(r)
				}
				before, _ := e.Estimate()
				ahead := before.Time.Add(clock.Seconds(200 * rng.Float64()))
				c := randomChange(rng, before.Time)
				e.Adjust(c.at, c.dfreq, c.doffset)
				after, ok := e.Estimate()
				want := truth(ahead, before.At(ahead).Offset)
				moved := c.apply(ahead)
				if got := truth(moved, after.At(moved).Offset); !ok || !near(got, want, rounding) {
					t.Fatalf("trial %d: predicts %.1f ns after %+v, want %.1f", trial, got, c, want)
				}
				if !near(after.OffsetSD, before.OffsetSD, 1e-9*before.OffsetSD) {
					t.Fatalf("trial %d: OffsetSD = %g after %+v, want %g", trial, after.OffsetSD, c, before.OffsetSD)
				}
			}
		})
	}
}

// An estimator whose clock is corrected all the time must end where one ends
// whose clock runs free.
func TestEstimatorSteered(t *testing.T) {
	steered := estimators()
	for name, free := range estimators() {
		t.Run(name, func(t *testing.T) {
			rng := seeded(t)
			a, b := NewRegister(Limits{}), NewRegister(Limits{})
			e := steered[name]
			var changes []change
			move := func(s clock.Served) clock.Served {
				for _, c := range changes {
					s = c.apply(s)
				}
				return s
			}
			for i, s := range history(rng, 80) {
				a.Add(s)
				free.Add(a)
				moved := s
				moved.Time = move(s.Time)
				moved.Offset -= clock.Offset(moved.Time.Sub(s.Time).Seconds())
				b.Add(moved)
				e.Add(b)
				x, _ := free.Estimate()
				y, _ := e.Estimate()
				want := truth(x.Time, x.Offset)
				give := 3*x.OffsetSD*1e9 + 4*rounding*float64(len(changes)+1)
				if got := truth(y.Time, y.Offset); !near(got, want, give) {
					t.Fatalf("sample %d: %.1f ns when steered, want %.1f +- %.1f as when free", i, got, want, give)
				}
				c := change{moved.Time.Add(clock.Second), clock.Frequency(1e-7 * rng.NormFloat64()), clock.Offset(rng.NormFloat64())}
				b.Adjust(c.at, c.dfreq, c.doffset)
				e.Adjust(c.at, c.dfreq, c.doffset)
				changes = append(changes, c)
			}
		})
	}
}

func TestEstimatorShift(t *testing.T) {
	for name, e := range estimators() {
		rng := fixed(3)
		r := NewRegister(Limits{})
		for _, s := range history(rng, 30) {
			r.Add(s)
			e.Add(r)
		}
		before, _ := e.Estimate()
		e.Shift(0.5)
		after, _ := e.Estimate()
		if got := float64(after.Offset - before.Offset); !near(got, 0.5, 1e-9) || after.Freq != before.Freq || after.Time != before.Time {
			t.Errorf("%s: Shift(0.5) moved the offset by %g (frequency %g, before %g)", name, got, after.Freq, before.Freq)
		}
	}
}

func TestEstimatorReset(t *testing.T) {
	for name, e := range estimators() {
		e.Reset()
		if est, ok := e.Estimate(); ok {
			t.Errorf("%s: Estimate() = %+v, true before the first sample", name, est)
		}
		r := NewRegister(Limits{})
		r.Add(sampleAt(0, 0.25, 1e-3))
		e.Add(r)
		if est, ok := e.Estimate(); !ok || !near(float64(est.Offset), 0.25, 1e-6) || est.Time != at(0) {
			t.Errorf("%s: Estimate() = %+v, %v after one sample with offset 0.25", name, est, ok)
		}
		e.Reset()
		if est, ok := e.Estimate(); ok {
			t.Errorf("%s: Estimate() = %+v, true after Reset", name, est)
		}
	}
}

func TestEstimateAt(t *testing.T) {
	e := Estimate{Time: at(0), Offset: 1e-3, Freq: 1e-6, OffsetSD: 3e-6, FreqSD: 4e-8, Wander: 1e-9, Noise: 5e-6}
	for _, tc := range []struct{ dt, offset, sd float64 }{
		{0, 1e-3, 3e-6},
		{100, 1.1e-3, math.Sqrt(9e-12 + 16e-12 + 1e-18*1e6/3)},
		{-100, 0.9e-3, math.Sqrt(9e-12 + 16e-12 + 1e-18*1e6/3)},
	} {
		got := e.At(at(tc.dt))
		if !near(float64(got.Offset), tc.offset, 1e-15) || !near(got.OffsetSD, tc.sd, 1e-15) || got.Time != at(tc.dt) || got.Freq != e.Freq {
			t.Errorf("At(%g s) = %+v, want offset %g and OffsetSD %g", tc.dt, got, tc.offset, tc.sd)
		}
	}
}
