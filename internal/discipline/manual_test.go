// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/stats"
)

// SetMakeStep counts updates from when it is called, whatever the limit was.
func TestSetMakeStep(t *testing.T) {
	r := NewReference(Config{StepThreshold: 1, StepLimit: 1})
	u := Update{Estimate: stats.Estimate{Offset: 0.5}, Interval: 16}
	r.Plan(&u, 0)
	for _, tc := range []struct {
		threshold float64
		limit     int
		steps     int // of four updates
	}{{0.1, 1, 1}, {0.1, 2, 2}, {0.1, 0, 0}, {0.1, -1, 4}, {1, -1, 0}, {0.1, 1, 1}} {
		r.SetMakeStep(tc.threshold, tc.limit)
		steps := 0
		for range 4 {
			if r.Plan(&u, 0).Step {
				steps++
			}
		}
		if steps != tc.steps {
			t.Errorf("makestep %g %d: %d of 4 updates step, want %d", tc.threshold, tc.limit, steps, tc.steps)
		}
	}
}

// After a person set the clock nothing is claimed about it.
func TestTold(t *testing.T) {
	r := NewReference(Config{MaxUpdateSkew: 1e-3, ClockError: 1e-6})
	u := Update{Estimate: stats.Estimate{Time: clock.At[clock.Corrected](epoch), Offset: 2, Freq: 5e-6}, RefID: 7}
	p := r.Plan(&u, 0)
	if p.DOffset != 2 || p.DFreq != 5e-6 || p.Duration != 0 {
		t.Errorf("plan %+v, want to follow offset and frequency as fast as allowed", p)
	}
	r.Told(&u, 5e-6, &p)
	if r.Synchronized || r.Updates() != 1 || r.LastOffset != 2 || r.RMSOffset() != 2 || math.Abs(r.Skew-0.1) > 1e-6 || r.Residual != 0 {
		t.Errorf("reference %+v after a typed time, want not synchronised, with a skew of 10 %%", r)
	}
}

func TestCancel(t *testing.T) {
	r := newRig(t, defaults(), 1e-5)
	r.carryOut(r.adjust(0, 0.5, 100), 0)
	r.m.pass(10)
	r.clk.Cancel(r.m.now())
	r.carryOut(r.clk.Free(), 0)
	if _, slewing := r.clk.Slewing(); slewing || r.clk.Remaining(r.m.now()) != 0 {
		t.Errorf("still slewing (%v) %g s after Cancel", slewing, r.clk.Remaining(r.m.now()))
	}
	r.m.served = r.m.wall
	r.m.pass(100)
	r.check("time after Cancel")
}
