// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"foliot/internal/clock"
)

func TestMedian(t *testing.T) {
	type in struct{ offset, disp float64 }
	for _, tc := range []struct {
		name string
		in   []in
		want float64 // offset
		time float64 // seconds: of the sample, or the mean of the two
	}{
		{"one", []in{{5, 1}}, 5, 0},
		{"two", []in{{1, 1}, {3, 1}}, 2, 0.5},
		{"three", []in{{9, 1}, {1, 1}, {4, 1}}, 4, 2},
		{"four", []in{{9, 1}, {1, 1}, {4, 1}, {2, 1}}, 3, 2.5},
		{"five", []in{{9, 1}, {1, 1}, {4, 1}, {2, 1}, {-100, 1}}, 2, 3},
		{"dispersed ones are dropped", []in{{9, 9}, {1, 1}, {4, 1.4}, {2, 1}, {-100, 1.6}, {3, 1}}, 2.5, 4},
		{"of four all count", []in{{9, 9}, {1, 1}, {4, 9}, {2, 9}}, 3, 2.5},
		{"all but one are dispersed", []in{{9, 9}, {1, 1}, {4, 9}, {2, 9}, {3, 9}}, 1, 1},
	} {
		m := NewMedian(len(tc.in))
		for i, x := range tc.in {
			if _, ok := m.Take(); ok {
				t.Errorf("%s: Take() gave a sample after %d of %d", tc.name, i, len(tc.in))
			}
			m.Poll()
			m.Add(Sample{Time: at(float64(i)), Offset: clock.Offset(x.offset), Disp: clock.Dispersion(x.disp), Delay: 0.5, RootDelay: 0.5, RootDisp: 1})
		}
		s, ok := m.Take()
		if !ok || !near(float64(s.Offset), tc.want, 1e-12) || s.Time != at(tc.time) || s.Delay != 0.5 || s.RootDelay != 0.5 || s.RootDisp < 1 {
			t.Errorf("%s: Take() = %+v, %v; want offset %g at %g s", tc.name, s, ok, tc.want, tc.time)
		}
		if _, ok := m.Take(); ok {
			t.Errorf("%s: Take() gave a second sample", tc.name)
		}
	}
}

func TestMedianSize(t *testing.T) {
	for _, tc := range []struct{ size, want int }{{-1, 1}, {0, 1}, {1, 1}, {7, 7}, {MaxMedian, MaxMedian}, {MaxMedian + 1, MaxMedian}} {
		if got := NewMedian(tc.size).Len(); got != tc.want {
			t.Errorf("NewMedian(%d).Len() = %d, want %d", tc.size, got, tc.want)
		}
	}
}

func TestMedianReset(t *testing.T) {
	m := NewMedian(2)
	m.Poll()
	m.Add(sampleAt(0, 1, 1))
	m.Reset()
	m.Poll()
	m.Add(sampleAt(1, 2, 1))
	if s, ok := m.Take(); ok {
		t.Errorf("Take() = %+v after one of two polls since Reset", s)
	}
}

// Polls without a sample count, and the next filter begins without the rest of
// the last one.
func TestMedianLostPolls(t *testing.T) {
	m := NewMedian(3)
	for round := range 3 {
		for range 3 {
			m.Poll()
		}
		if s, ok := m.Take(); ok {
			t.Errorf("round %d: Take() = %+v after three polls without a sample", round, s)
		}
		m.Poll()
		m.Add(sampleAt(0, float64(round), 1))
		m.Poll()
		if s, ok := m.Take(); ok {
			t.Errorf("round %d: Take() = %+v after two of three polls", round, s)
		}
		m.Poll()
		if s, ok := m.Take(); !ok || s.Offset != clock.Offset(round) {
			t.Errorf("round %d: Take() = %+v, %v after one sample in three polls, want it", round, s, ok)
		}
	}
	// Of more samples than polls the newest count.
	for i := range 10 {
		m.Add(sampleAt(float64(i), float64(i), 1))
	}
	for range 3 {
		m.Poll()
	}
	if s, ok := m.Take(); !ok || s.Offset != 8 {
		t.Errorf("Take() = %+v, %v of offsets 0 to 9 in three polls, want the median of the last three", s, ok)
	}
}

func TestMedianShift(t *testing.T) {
	m := NewMedian(1)
	m.Poll()
	m.Add(sampleAt(0, 0.25, 1))
	m.Shift(0.5)
	if s, ok := m.Take(); !ok || s.Offset != 0.75 || s.Time != at(0) {
		t.Errorf("Take() = %+v, %v after Shift(0.5) of an offset of 0.25, want 0.75", s, ok)
	}
}

// The median of a long filter is as sure as it says, and hardly moved by
// outliers.
func TestMedianSpread(t *testing.T) {
	rng := fixed(2)
	m := NewMedian(51)
	var errs []float64
	claim := 0.0
	for range 200 {
		for i := range 51 {
			o := 1e-3 * rng.NormFloat64()
			if i < 5 {
				o += 1
			}
			m.Poll()
			m.Add(sampleAt(float64(i), o, 1e-3))
		}
		s, _ := m.Take()
		errs = append(errs, float64(s.Offset))
		claim += float64(s.Disp) / 200
	}
	if ratio := rms(errs) / claim; ratio < 0.3 || ratio > 3 {
		t.Errorf("RMS error of the median %.3g, claimed %.3g; want about the same", rms(errs), claim)
	}
}

func TestMedianAdjust(t *testing.T) {
	rng := seeded(t)
	for trial := range 50 {
		a, b := NewMedian(5), NewMedian(5)
		var moved []change
		for i := range 5 {
			s := sampleAt(16*float64(i), 1e-3*rng.NormFloat64(), 1e-3)
			a.Poll()
			b.Poll()
			a.Add(s)
			u := s
			for _, c := range moved {
				u.Time = c.apply(u.Time)
			}
			u.Offset -= clock.Offset(u.Time.Sub(s.Time).Seconds())
			b.Add(u)
			// Small enough not to change the order of the offsets.
			c := change{u.Time, clock.Frequency(1e-9 * rng.NormFloat64()), clock.Offset(rng.NormFloat64())}
			b.Adjust(c.at, c.dfreq, c.doffset)
			moved = append(moved, c)
		}
		x, _ := a.Take()
		y, ok := b.Take()
		if got, want := truth(y.Time, y.Offset), truth(x.Time, x.Offset); !ok || !near(got, want, 12) {
			t.Fatalf("trial %d: the median tells %.1f ns of true time when adjusted, want %.1f", trial, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	dists := map[string]func(*rand.Rand) float64{
		"uniform":     func(r *rand.Rand) float64 { return 1e-3 + 1e-3*r.Float64() },
		"exponential": func(r *rand.Rand) float64 { return 1e-3 + 0.3e-3*r.ExpFloat64() },
		"normal":      func(r *rand.Rand) float64 { return 1e-3 + 0.1e-3*r.NormFloat64() },
	}
	for name, dist := range dists {
		for _, p := range []float64{0.05, 0.25, 0.5, 0.75, 0.95} {
			rng := fixed(8)
			q := NewQuantile(p, 1e-6)
			var seen []float64
			allowed := 0
			const settle, n = 2000, 20000
			for i := range n {
				v := dist(rng)
				seen = append(seen, v)
				if i >= settle && q.Allows(v) {
					allowed++
				}
				q.Add(v)
			}
			slices.Sort(seen)
			want := seen[int(p*n)]
			if !near(q.est, want, 0.06*want) {
				t.Errorf("%s: quantile %g = %.3g, want %.3g within 6 %%", name, p, q.est, want)
			}
			if share := float64(allowed) / (n - settle); !near(share, p, 0.06) {
				t.Errorf("%s: quantile %g allows %.3f of the values, want about that many", name, p, share)
			}
		}
	}
}

// At the start everything is allowed, then what changes is followed.
func TestQuantileFollows(t *testing.T) {
	rng := fixed(8)
	q := NewQuantile(0.25, 1e-6)
	for i := range 5 {
		if !q.Allows(1e9) {
			t.Fatalf("1e9 refused after %d values", i)
		}
		q.Add(1e-3 + 1e-4*rng.Float64())
	}
	for range 2000 {
		q.Add(1e-3 + 1e-4*rng.Float64())
	}
	if q.Allows(2e-3) || !q.Allows(1e-3) {
		t.Errorf("of values in 1..1.1e-3: 2e-3 allowed: %v, 1e-3 allowed: %v; want false, true", q.Allows(2e-3), q.Allows(1e-3))
	}
	for range 2000 {
		q.Add(4e-3 + 1e-4*rng.Float64())
	}
	if !q.Allows(3.9e-3) || q.Allows(4.2e-3) {
		t.Errorf("of values in 4..4.1e-3: 3.9e-3 allowed: %v, 4.2e-3 allowed: %v; want true, false", q.Allows(3.9e-3), q.Allows(4.2e-3))
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	rng := fixed(1)
	var samples [256]Sample
	for i := range samples {
		samples[i] = sampleAt(16*float64(i), 1e-3*rng.NormFloat64(), 1e-3+1e-3*rng.ExpFloat64())
	}
	r, tracker, line := NewRegister(Limits{}), NewTracker(Prior{}), &Line{}
	median, quantile := NewMedian(7), NewQuantile(0.5, 1e-6)
	sum, n := 0.0, 0
	step := func() {
		s := samples[n%len(samples)]
		s.Time = at(16 * float64(n))
		n++
		median.Poll()
		median.Add(s)
		if m, ok := median.Take(); ok {
			sum += float64(m.Offset)
		}
		quantile.Add(float64(s.Delay))
		if quantile.Allows(1e-3) {
			sum++
		}
		r.Add(s)
		b, _ := r.DelayBound(s.Time, 2)
		for _, e := range [...]Estimator{tracker, line} {
			e.Add(r)
			est, _ := e.Estimate()
			e.Adjust(s.Time, 0, 0)
			sum += float64(est.Offset) + b
		}
		r.Adjust(s.Time, 0, 0)
		median.Adjust(s.Time, 0, 0)
		sum += float64(r.Best(s.Time, 1e-6).Offset)
	}
	step()
	if got := allocations(func() {
		for range 10000 {
			step()
		}
	}); got != 0 {
		t.Errorf("10000 samples make %g allocations, want 0", got)
	}
	if math.IsNaN(sum) {
		t.Error("the estimates are not numbers")
	}
}

// allocations runs f a few times and returns the least number of allocations:
// now and then the runtime itself makes one.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for i := 0; i < 2 && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
