// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math"
	"math/rand/v2"
	"testing"

	"foliot/internal/clock"
)

// TestResidence compares the bucket with the one that floating point finds.
func TestResidence(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	cases := []clock.Interval{0, 1, 953, 954, clock.Microsecond, clock.Second, clock.Second + 1, clock.Hour, math.MaxInt64}
	for range 10000 {
		cases = append(cases, clock.Interval(math.Exp2(rng.Float64()*40)))
	}
	for _, d := range cases {
		var r Residence
		r.Add(d)
		got := -1
		for i, n := range r.Buckets {
			if n == 1 {
				got = i
			}
		}
		want := int(math.Ceil(math.Log2(d.Seconds()))) - ResidenceMin
		if d == 0 {
			want = 0
		}
		want = min(max(want, 0), ResidenceBuckets-1)
		// Whole ticks: at the edge of a bucket the next one is right too.
		edge := math.Abs(d.Seconds()/math.Exp2(math.Round(math.Log2(d.Seconds())))-1) < 2e-3
		if got != want && !edge || r.Sum != d {
			t.Fatalf("seed %d: %d ns: bucket %d, sum %d, want %d and %d", seed, d, got, r.Sum, want, d)
		}
	}
}

func TestResidenceOfNothing(t *testing.T) {
	var r, sum Residence
	r.Add(-1)
	if r != (Residence{}) {
		t.Errorf("a negative stay was counted: %+v", r)
	}
	r.Add(clock.Millisecond)
	sum.Merge(&r)
	sum.Merge(&r)
	if sum.Sum != 2*clock.Millisecond || sum.Buckets[11] != 2 {
		t.Errorf("two stays of 1 ms merged: %+v, want two in bucket 11 (up to 2^-9 s)", sum)
	}
}
