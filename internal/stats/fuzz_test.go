// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"testing"

	"foliot/internal/clock"
)

// Whatever the samples are, what is said about them are numbers, and deviations
// are not negative. The fuzzer chooses from values at the edges.
var (
	oddSteps   = [...]float64{0, 1e-9, 2e-9, 1e-6, 1, 16, 64, 1024, 1e5, 1e8, -1e-9, -1, -1e5}
	oddOffsets = [...]float64{0, 1e-9, -1e-9, 1e-6, -1e-6, 1e-3, 0.5, -0.5, 100, 1e5, -1e5, 4e9, -4e9}
	oddDelays  = [...]float64{0, 1e-9, 1e-6, 1e-3, 1e-3, 1e-3, 0.1, 3, 1000}
	oddFreqs   = [...]float64{0, 1e-9, -1e-9, 1e-6, -1e-6, 500e-6, -500e-6, 0.1, -0.1, 0.01}
)

// life is a history with all that keeps one.
type life struct {
	r       *Register
	est     [2]Estimator
	m       *Median
	q       *Quantile
	now     float64
	samples int
}

func newLife(l Limits) *life {
	return &life{r: NewRegister(l), est: [2]Estimator{NewTracker(Prior{Precision: l.Precision}), &Line{}}, m: NewMedian(5), q: NewQuantile(0.5, 0)}
}

// do carries out one event that three octets choose.
func (l *life) do(op, x, y byte) {
	now := at(l.now)
	switch {
	case op < 200:
		l.now += oddSteps[int(op)%len(oddSteps)]
		// What the clock did since is in the offset: stay within 292 years.
		l.now = min(max(l.now, -1e9), 4e9)
		s := sampleAt(l.now, oddOffsets[int(x)%len(oddOffsets)], oddDelays[int(y)%len(oddDelays)])
		s.Disp = clock.Dispersion(oddDelays[int(x)%len(oddDelays)])
		l.samples++
		l.m.Poll()
		l.m.Add(s)
		l.q.Add(float64(s.Delay))
		l.r.Add(s)
		for _, e := range l.est {
			e.Add(l.r)
		}
	case op < 240:
		f, o := clock.Frequency(oddFreqs[int(x)%len(oddFreqs)]), clock.Offset(oddOffsets[int(y)%11])
		l.r.Adjust(now, f, o)
		l.m.Adjust(now, f, o)
		for _, e := range l.est {
			e.Adjust(now, f, o)
		}
	case op < 250:
		o := clock.Offset(oddOffsets[int(y)%11])
		l.r.Shift(o)
		for _, e := range l.est {
			e.Shift(o)
		}
	default:
		l.r.Reset()
		l.est[0].Reset()
		l.est[1].Reset()
		l.samples = 0
	}
}

func (l *life) check(t *testing.T, i int) {
	t.Helper()
	f := l.r.Line()
	if !finite(float64(f.Offset), f.OffsetSD, float64(f.Freq), float64(f.Skew), f.SD, float64(f.At(at(l.now+1e6)))) ||
		f.OffsetSD < 0 || f.Skew <= 0 || f.SD <= 0 {
		t.Fatalf("event %d: line %+v", i, f)
	}
	if a := l.r.Asymmetry(); !finite(a) || math.Abs(a) > 0.5 {
		t.Fatalf("event %d: asymmetry %g", i, a)
	}
	if l.samples == 0 {
		return
	}
	for _, e := range l.est {
		est, ok := e.Estimate()
		ahead := est.At(at(l.now + 1e6))
		if !ok || !finite(float64(est.Offset), est.OffsetSD, float64(est.Freq), est.FreqSD, est.Noise, est.Wander, float64(ahead.Offset), ahead.OffsetSD) ||
			est.OffsetSD < 0 || est.FreqSD < 0 || est.Noise < 0 || est.Wander < 0 || ahead.OffsetSD < est.OffsetSD {
			t.Fatalf("event %d: estimate %+v of %T (%v), a million seconds later %+v", i, est, e, ok, ahead)
		}
	}
	if s, ok := l.m.Take(); ok && !finite(float64(s.Offset), float64(s.Delay), float64(s.Disp)) {
		t.Fatalf("event %d: median %+v", i, s)
	}
	if !finite(l.q.est, l.q.step) {
		t.Fatalf("event %d: quantile %g, step %g", i, l.q.est, l.q.step)
	}
	if b := l.r.Best(at(l.now), 1e-6); b == nil {
		t.Fatalf("event %d: no best sample of %d", i, l.r.Held())
	}
}

func live(t *testing.T, data []byte) {
	l := newLife(Limits{Precision: 1e-9})
	for i := 0; i+2 < len(data); i += 3 {
		l.do(data[i], data[i+1], data[i+2])
		l.check(t, i/3)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{5, 1, 3, 5, 2, 3, 5, 11, 3, 205, 7, 9, 5, 12, 0, 12, 0, 0, 251, 0, 0, 8, 3, 3})
	f.Add([]byte{1, 0, 0, 1, 0, 0, 1, 0, 0, 201, 8, 0, 202, 8, 0, 1, 0, 0, 1, 0, 0})
	f.Fuzz(live)
}

// TestHistory is the fuzz test with random events, longer than a fuzzer makes them.
func TestHistory(t *testing.T) {
	rng := seeded(t)
	for range 60 {
		data := make([]byte, 3*(1+rng.IntN(400)))
		// Few kinds of events in one life: rare ones meet.
		kinds := 1 + rng.IntN(12)
		var some [12]byte
		for i := range some {
			some[i] = byte(rng.IntN(256))
		}
		for i := range data {
			data[i] = some[rng.IntN(kinds)]
			if rng.IntN(10) == 0 {
				data[i] = byte(rng.IntN(256))
			}
		}
		live(t, data)
	}
}
