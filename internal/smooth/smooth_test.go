// SPDX-License-Identifier: Apache-2.0

package smooth

import (
	"math"
	"math/rand/v2"
	"testing"

	"foliot/internal/clock"
)

func at(s float64) clock.Served {
	return clock.At[clock.Corrected](1_900_000_000e9).Add(clock.Seconds(s))
}

func active(maxFreq, maxWander float64) *Smoother {
	s := New(maxFreq, maxWander, false)
	s.Activate(at(0))
	return s
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// TestLeapSmear is the example of chrony.conf(5): 62500 s and a peak of 32 ppm.
func TestLeapSmear(t *testing.T) {
	s := New(400, 0.001024, true)
	s.Settle(at(0), 1)
	s.Update(at(1), 0.5)
	s.Retune(at(2), 1e-3)
	if o, f := s.At(at(3)); o != 0 || f != 0 || !s.Active() {
		t.Fatalf("an ordinary correction is smoothed: %v, %v", o, f)
	}
	s.Leap(at(99), -1) // inserted: served time goes back from 100 to 99
	if got := s.Remaining(at(99)); !near(got, 62500, 1e-6) {
		t.Errorf("it takes %v s, want 62500", got)
	}
	tests := []struct{ t, offset, ppm, wander float64 }{
		{99, 1, 0, -0.001024},
		{99 + 31249, 0.500032, -31.998976, -0.001024},
		{99 + 31251, 0.499968, -31.998976, 0.001024},
		{99 + 62499, 0.000512e-6, -0.001024, 0.001024},
		{99 + 62500, 0, 0, 0},
		{1e6, 0, 0, 0},
	}
	for _, tt := range tests {
		st := s.State(at(tt.t))
		if !near(float64(st.Offset), tt.offset, 1e-9) || !near(st.Freq.PPM(), tt.ppm, 1e-7) || !near(st.Wander*1e6, tt.wander, 1e-9) {
			t.Errorf("at %v s: %+v, want offset %v, %v ppm, wander %v", tt.t, st, tt.offset, tt.ppm, tt.wander)
		}
		if st.Updated != at(99) || !st.LeapOnly || !st.Active {
			t.Errorf("at %v s: %+v", tt.t, st)
		}
	}
}

func TestPlateau(t *testing.T) {
	s := active(100, 1) // 100 s to the limit and as much back, 5 ms each
	s.Update(at(10), 0.110)
	if got := s.Remaining(at(10)); !near(got, 100+1000+100, 1e-6) {
		t.Errorf("it takes %v s, want 1200", got)
	}
	for _, tt := range []struct{ t, offset, ppm float64 }{
		{10, -0.110, 0}, {60, -0.110 + 1.25e-3, 50}, {110, -0.105, 100}, {610, -0.055, 100}, {1110, -0.005, 100}, {1160, -1.25e-3, 50}, {1210, 0, 0},
	} {
		o, f := s.At(at(tt.t))
		if !near(float64(o), tt.offset, 1e-12) || !near(f.PPM(), tt.ppm, 1e-6) {
			t.Errorf("at %v s: %v, %v ppm, want %v, %v ppm", tt.t, o, f.PPM(), tt.offset, tt.ppm)
		}
	}
}

func TestActivation(t *testing.T) {
	s := New(400, 0.01, false) // settles below 100 ppm of skew
	s.Update(at(1), 1)
	s.Leap(at(1), 1)
	s.Settle(at(2), 101e-6)
	if o, f := s.At(at(3)); o != 0 || f != 0 || s.Active() || s.State(at(3)) != (State{}) {
		t.Errorf("not active, but %v, %v", o, f)
	}
	s.Settle(at(4), 99e-6)
	if !s.Active() || s.Remaining(at(4)) != 0 {
		t.Errorf("active %v, remaining %v", s.Active(), s.Remaining(at(4)))
	}
	s.Update(at(5), 1)
	s.Activate(at(6))
	if o, _ := s.At(at(5)); o != -1 {
		t.Errorf("activated twice: %v, want -1", o)
	}
	s.Reset(at(7))
	if o, f := s.At(at(8)); o != 0 || f != 0 || !s.Active() {
		t.Errorf("after the reset %v, %v, active %v", o, f, s.Active())
	}
	for _, s := range []*Smoother{New(0, 1, true), New(1, 0, false), New(-1, -1, true)} {
		s.Activate(at(0))
		s.Settle(at(0), 0)
		if s.Active() {
			t.Errorf("limits %v, %v: active", s.maxFreq, s.maxWander)
		}
	}
}

func TestShift(t *testing.T) {
	s := active(400, 0.01)
	s.Update(at(10), 0.5)
	x, f := s.At(at(1000))
	s.Shift(-1)
	if y, g := s.At(at(999)); x != y || f != g || x == 0 {
		t.Errorf("before the leap second %v, %v, after it %v, %v", x, f, y, g)
	}
}

// follow integrates the curve numerically from one instant to another: slope and
// offset have to follow from the second derivative, within the limits.
func follow(t *testing.T, s *Smoother, from, to float64) {
	t.Helper()
	const steps = 400
	const tick = 2e-9 // instants are rounded to the nanosecond
	h := (to - from) / steps
	w, m := s.maxWander, s.maxFreq
	before := s.State(at(from))
	limit := max(m, math.Abs(float64(before.Freq)))
	for i := 1; i <= steps; i++ {
		now := s.State(at(from + h*float64(i)))
		df := float64(now.Freq - before.Freq)
		if math.Abs(df) > w*(h*(1+1e-9)+tick)+1e-15 {
			t.Fatalf("step %d of %v s: the frequency changes by %v, more than %v", i, h, df, w*h)
		}
		if math.Abs(float64(now.Freq)) > limit*(1+1e-9) {
			t.Fatalf("step %d: frequency %v beyond %v", i, now.Freq, limit)
		}
		mean := float64(now.Freq+before.Freq) / 2
		scale := 1e-14*(1+math.Abs(float64(now.Offset))) + w*(h+tick)*(h+tick)/4 + math.Abs(mean)*tick
		if dx := float64(now.Offset - before.Offset); !near(dx, mean*h, scale) {
			t.Fatalf("step %d of %v s: the offset changes by %v, the integral is %v", i, h, dx, mean*h)
		}
		if now.Remaining > before.Remaining {
			t.Fatalf("step %d: remaining grows from %v to %v", i, before.Remaining, now.Remaining)
		}
		before = now
	}
}

func logUniform(r *rand.Rand, lo, hi float64) float64 {
	return math.Exp(math.Log(lo) + r.Float64()*math.Log(hi/lo))
}

// TestRandomCorrections makes corrections in the middle of curves and follows
// each curve to the next correction, the last one to its end.
func TestRandomCorrections(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		s := active(logUniform(r, 1, 1e5), logUniform(r, 1e-4, 10))
		now := 0.0
		for range 5 {
			o := (r.Float64() - 0.5) * logUniform(r, 1e-6, 10)
			x, f := s.At(at(now))
			s.Update(at(now+o), clock.Offset(o))
			now += o
			y, g := s.At(at(now))
			// Smoothed time and its rate go on: what served time gained is lost.
			if !near(float64(y+clock.Offset(o)), float64(x), 1e-9*(1+math.Abs(float64(f)))+1e-14*math.Abs(float64(x))) || !near(float64(f), float64(g), s.maxWander*1e-8+1e-15) {
				t.Fatalf("correction by %v: from %v, %v to %v, %v", o, x, f, y, g)
			}
			if r.IntN(3) == 0 {
				d := (r.Float64() - 0.5) * 4 * s.maxFreq
				s.Retune(at(now), clock.Frequency(d))
				if _, h := s.At(at(now)); !near((1+float64(h))*(1+d), 1+float64(g), 1e-12) {
					t.Fatalf("retuned by %v: rate from %v to %v", d, g, h)
				}
			}
			span := s.Remaining(at(now)) * r.Float64()
			follow(t, s, now, now+span)
			now += span
		}
		end := now + s.Remaining(at(now))
		follow(t, s, now, end)
		if o, f := s.At(at(end + 1e-6)); o != 0 || f != 0 {
			t.Fatalf("after the end %v, %v", o, f)
		}
		if x, f := s.At(at(end - 1e-3)); !near(float64(x), 0, s.maxWander*1e-6) || !near(float64(f), 0, s.maxWander*1.1e-3) {
			t.Fatalf("just before the end %v, %v", x, f)
		}
	}
}

// TestNoOvershoot starts at rest: the offset has to shrink all the way and must
// not change sign.
func TestNoOvershoot(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		s := active(logUniform(r, 1, 1e5), logUniform(r, 1e-4, 10))
		o := logUniform(r, 1e-6, 100)
		if r.IntN(2) == 0 {
			o = -o
		}
		s.Update(at(0), clock.Offset(o))
		span := s.Remaining(at(0))
		last := math.Inf(1)
		for i := range 1000 {
			x, _ := s.At(at(span * float64(i) / 1000))
			left := -float64(x) * math.Copysign(1, o)
			if left < 0 || left > last {
				t.Fatalf("max %v, wander %v, offset %v: %v after %v at step %d", s.maxFreq, s.maxWander, o, left, last, i)
			}
			last = left
		}
	}
}

// TestFastest compares the time with that of the best of many bang-bang curves:
// accelerate for a, coast for b, brake to a stop.
func TestFastest(t *testing.T) {
	for _, o := range []float64{0.001, 0.02, 0.3} {
		s := active(100, 1)
		s.Update(at(0), clock.Offset(o))
		best := math.Inf(1)
		for a := 0.5; a <= 100; a += 0.5 {
			f := a * 1e-6
			way := f * a
			if way > o {
				break
			}
			best = min(best, 2*a+(o-way)/f)
		}
		if got := s.Remaining(at(0)); got > best*(1+1e-9) || got < best*0.98 {
			t.Errorf("offset %v takes %v s, the best curve on a grid %v s", o, got, best)
		}
	}
}

func FuzzSmoother(f *testing.F) {
	f.Add(400.0, 0.001, 0.5, 100.0, -1.0, 1e-4)
	f.Add(50000.0, 0.01, -3.0, 1.0, 3.0, -0.1)
	f.Fuzz(func(t *testing.T, freq, wander, o1, span, o2, d float64) {
		for _, v := range []float64{freq, wander, o1, span, o2, d} {
			if math.IsNaN(v) || math.Abs(v) > 1e6 {
				return
			}
		}
		if freq < 1e-3 || wander < 1e-6 || math.Abs(d) > 0.1 {
			return
		}
		s := active(freq, wander)
		s.Update(at(0), clock.Offset(o1))
		s.Retune(at(span), clock.Frequency(d))
		s.Update(at(span), clock.Offset(o2))
		left := s.Remaining(at(span))
		if math.IsNaN(left) || left < 0 || math.IsInf(left, 0) {
			t.Fatalf("remaining %v", left)
		}
		if left > 1e9 {
			return // beyond what instants can hold
		}
		for i := range 10 {
			x, g := s.At(at(span + left*float64(i)/10))
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) || math.Abs(float64(g)) > 0.3+2*freq*1e-6 {
				t.Fatalf("part %d: %v, %v", i, x, g)
			}
		}
	})
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := active(400, 0.001)
	sum := 0.0
	n := testing.AllocsPerRun(1, func() {
		for i := range 10000 {
			s.Update(at(float64(i)), 1e-6)
			o, _ := s.At(at(float64(i)))
			sum += float64(o)
		}
	})
	if n != 0 || sum == 0 {
		t.Errorf("%v allocations, sum %v", n, sum)
	}
}
