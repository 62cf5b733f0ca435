// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"foliot/internal/clock"
)

// host is what really happens between reading the clock and leaving: a time for
// the first datagram and one for each behind it, noise around both, and now and
// then somebody else has the processor for up to milliseconds.
type host struct {
	rng         *rand.Rand
	first, step float64 // nanoseconds
}

func (h *host) takes(i int) float64 {
	d := h.first + float64(i)*h.step + 60*h.rng.NormFloat64()
	if h.rng.IntN(20) == 0 {
		d += 1000 * math.Exp(2*math.Abs(h.rng.NormFloat64()))
	}
	return d
}

// learn sends batches of up to 16 datagrams.
func (h *host) learn(l *Lead, batches int) {
	for range batches {
		for i := range 1 + h.rng.IntN(16) {
			l.Learn(i, clock.Interval(h.takes(i))-l.At(i))
		}
	}
}

// TestLead: what is foretold is the median of what happens, of which a twentieth
// takes far longer, and follows it when the host changes.
func TestLead(t *testing.T) {
	h := &host{rng: rand.New(rand.NewPCG(1, 2))}
	var l Lead
	for i := range 16 {
		if l.At(i) != 0 {
			t.Fatalf("the zero Lead foretells %v at place %d", l.At(i), i)
		}
	}
	for _, tt := range []struct{ first, step float64 }{
		{2500, 900}, {700, 150}, {9000, 4000}, {0, 0}, {19000, 9000}, {2500, 900},
	} {
		h.first, h.step = tt.first, tt.step
		h.learn(&l, 3000)
		for _, i := range []int{0, 1, 5, 15} {
			var all []float64
			for range 1001 {
				all = append(all, h.takes(i))
			}
			slices.Sort(all)
			median := max(all[len(all)/2], 0)
			if off := l.At(i).Seconds()*1e9 - median; math.Abs(off) > 150+60*float64(i) { // the step is known to a stamp's share
				t.Errorf("first %v ns, step %v ns: at place %d %v is foretold, the median is %.0f ns", tt.first, tt.step, i, l.At(i), median)
			}
		}
	}
}

// TestLeadIsBounded: whatever it is told, a Lead stays within its limits, and one
// stamp moves it by a step only.
func TestLeadIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var l Lead
	for range 100_000 {
		i := rng.IntN(64)
		late := clock.Interval(rng.Int64() >> rng.IntN(63))
		if rng.IntN(2) == 0 {
			late = -late
		}
		before := l
		l.Learn(i, late)
		if l.first.value < 0 || l.first.value > longestLead || l.step.value < 0 || l.step.value > longestStep {
			t.Fatalf("%+v after %v at place %d", l, late, i)
		}
		const most = mostCut*leadGain + 1e-9
		if math.Abs(l.first.value-before.first.value) > most || math.Abs(l.step.value-before.step.value) > most {
			t.Fatalf("one stamp, %v late, moves %+v to %+v", late, before, l)
		}
	}
	for range 10_000 {
		l.Learn(0, math.MaxInt64)
		l.Learn(1, math.MaxInt64)
	}
	if l.first.value != longestLead || l.step.value != longestStep {
		t.Errorf("%+v, want it at its limits", l)
	}
	for range 10_000 {
		l.Learn(0, math.MinInt64)
		l.Learn(1, math.MinInt64)
	}
	if l.At(0) != 0 || l.At(10) != 0 {
		t.Errorf("%+v, want it back at nothing", l)
	}
}

// TestLeadIsQuick: a host whose datagrams take 9 us from now on is believed within
// a hundred stamps, a second at the pace of a worker's probes.
func TestLeadIsQuick(t *testing.T) {
	h := &host{rng: rand.New(rand.NewPCG(5, 6)), first: 9000}
	var l Lead
	for range 100 {
		l.Learn(0, clock.Interval(h.takes(0))-l.At(0))
	}
	if off := l.At(0) - 9000; off < -300 || off > 300 {
		t.Errorf("%v ns are foretold after 100 stamps, want about 9000", int64(l.At(0)))
	}
}
