// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"math/rand/v2"
	"testing"

	"foliot/internal/clock"
)

// TestImpatient: who asks again sooner without an answer is answered, who floods
// is not, however uneven the flood.
func TestImpatient(t *testing.T) {
	if got := paceOf(clock.Second / 16); got != flood {
		t.Errorf("the pace of 1/16 s is %d, flood is %d", got, flood)
	}
	for _, tt := range []struct {
		name        string
		calm, hasty clock.Interval
		want        bool
	}{
		{"twice as often", 2 * clock.Second, clock.Second, false},
		{"four times as often", 4 * clock.Second, clock.Second, true},
		{"less often", clock.Second, 4 * clock.Second, false},
		{"a pause before a flood", clock.Second, clock.Microsecond, true},
		{"floods", 10 * clock.Millisecond, clock.Microsecond, false},
		{"not known", 0, clock.Second, false},
	} {
		r := Record{}
		if tt.calm != 0 {
			r.calm = paceOf(tt.calm)
		}
		r.hasty = paceOf(tt.hasty)
		if got := r.impatient(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestUnevenFlood: of a flood in bursts one request in 2^leak is answered, and no
// more because of the pauses between the bursts.
func TestUnevenFlood(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	limit := NewLimit(3, 8, 2, 0)
	table := New(1<<16, HashKey{1, 2})
	now, answers := clock.At[clock.Realtime](1e18), 0
	const requests = 20000
	for i := range requests {
		now = now.Add(clock.Interval(1000 + r.IntN(100_000)))
		if i%24 == 0 {
			now = now.Add(20 * clock.Millisecond)
		}
		if table.Hit(Prefix{lo: 1}, now, 4, limit, r.Uint64) == Pass {
			answers++
		}
	}
	if answers < requests*23/100 || answers > requests*27/100 {
		t.Errorf("%d of %d requests are answered, want a quarter", answers, requests)
	}
}
