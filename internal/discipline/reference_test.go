// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

func at(s float64) clock.Served { return clock.At[clock.Corrected](epoch).Add(clock.Seconds(s)) }

func update(offset float64) *Update {
	return &Update{
		Estimate: stats.Estimate{Time: at(0), Offset: clock.Offset(offset), OffsetSD: 1e-5, Freq: 1e-6, FreqSD: 1e-8},
		Stratum:  2, RefID: 0x7f000001, Combined: 1, RootDelay: 0.02, RootDisp: 0.003, Interval: 64,
	}
}

func TestStep(t *testing.T) {
	for _, tc := range []struct {
		name      string
		threshold float64
		limit     int
		offsets   []float64
		remaining float64
		want      []bool
	}{
		{"no makestep", 0, 0, []float64{100, 100}, 0, []bool{false, false}},
		{"the first three", 1, 3, []float64{2, 0.1, -2, 2, 2}, 0, []bool{true, false, true, false, false}},
		{"the first one", 1, 1, []float64{2, 2}, 0, []bool{true, false}},
		{"always", 1, -1, []float64{2, 0.5, 2, -2, 2, 2}, 0, []bool{true, false, true, true, true, true}},
		{"at the threshold", 1, -1, []float64{1, 1.001}, 0, []bool{false, true}},
		{"with what is outstanding", 1, -1, []float64{0.6, -0.6}, 0.6, []bool{true, false}},
	} {
		r := NewReference(Config{StepThreshold: tc.threshold, StepLimit: tc.limit, MaxUpdateSkew: 1e-3, CorrTimeRatio: 3})
		for i, o := range tc.offsets {
			u := update(o)
			p := r.Plan(u, clock.Offset(tc.remaining))
			if p.Step != tc.want[i] || p.Verdict != Follow || float64(p.DOffset) != o {
				t.Errorf("%s: update %d with offset %g: %+v, want step %v", tc.name, i, o, p, tc.want[i])
			}
			r.Followed(u, u.Estimate.Freq, &p)
		}
	}
}

func TestMaxChange(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cfg     Config
		offsets []float64
		want    []PlanVerdict
	}{
		{"no maxchange", Config{}, []float64{1e6}, []PlanVerdict{Follow}},
		{"from the start", Config{MaxChange: 1}, []float64{0.5, 2}, []PlanVerdict{Follow, GiveUp}},
		{"after two updates", Config{MaxChange: 1, ChangeStart: 2}, []float64{5, -5, 5}, []PlanVerdict{Follow, Follow, GiveUp}},
		{"two are ignored", Config{MaxChange: 1, ChangeIgnore: 2}, []float64{5, 0.5, -5, 5}, []PlanVerdict{Ignore, Follow, Ignore, GiveUp}},
		{"all are ignored", Config{MaxChange: 1, ChangeIgnore: -1}, []float64{5, 5, 5, 5, 0.1}, []PlanVerdict{Ignore, Ignore, Ignore, Ignore, Follow}},
		{"chrony's example", Config{MaxChange: 1000, ChangeStart: 1, ChangeIgnore: 2}, []float64{5000, 2000, 999, 2000, 2000}, []PlanVerdict{Follow, Ignore, Follow, Ignore, GiveUp}},
		{"at the limit", Config{MaxChange: 1}, []float64{1, -1}, []PlanVerdict{Follow, Follow}},
	} {
		tc.cfg.CorrTimeRatio = 3
		r := NewReference(tc.cfg)
		for i, o := range tc.offsets {
			u := update(o)
			p := r.Plan(u, 0)
			if p.Verdict != tc.want[i] {
				t.Errorf("%s: update %d with offset %g: verdict %d, want %d", tc.name, i, o, p.Verdict, tc.want[i])
			}
			if p.Verdict == Follow {
				r.Followed(u, 0, &p)
			}
		}
	}
}

// An update that is not followed takes none of makestep's.
func TestIgnoredStep(t *testing.T) {
	r := NewReference(Config{StepThreshold: 1, StepLimit: 1, MaxChange: 10, ChangeIgnore: -1, CorrTimeRatio: 3})
	if p := r.Plan(update(100), 0); p.Verdict != Ignore || p.Step {
		t.Errorf("offset 100: %+v, want it ignored", p)
	}
	if p := r.Plan(update(5), 0); !p.Step {
		t.Errorf("offset 5 after one that was ignored: %+v, want a step", p)
	}
}

func TestMaxUpdateSkew(t *testing.T) {
	r := NewReference(Config{MaxUpdateSkew: 1e-6, CorrTimeRatio: 3})
	u := update(1e-3)
	u.Estimate.FreqSD = 2e-6
	if p := r.Plan(u, 0); p.DFreq != 0 || p.DOffset != 1e-3 {
		t.Errorf("frequency known to 2 ppm: %+v, want only the offset corrected", p)
	}
	u.Estimate.FreqSD = 0.5e-6
	if p := r.Plan(u, 0); p.DFreq != 1e-6 {
		t.Errorf("frequency known to 0.5 ppm: %+v, want it corrected", p)
	}
}

func TestSlewTime(t *testing.T) {
	plan := func(ratio, interval, offset float64) float64 {
		u := update(offset)
		u.Interval = interval
		return NewReference(Config{MaxUpdateSkew: 1, CorrTimeRatio: ratio}).Plan(u, 0).Duration
	}
	d := plan(3, 64, 1e-5)
	if d <= 0 || d > 64 {
		t.Errorf("slew of the uncertainty takes %g s at an update interval of 64 s, want 0 to 64", d)
	}
	if got := plan(6, 64, 1e-5); math.Abs(got-2*d) > 1e-9 {
		t.Errorf("slew takes %g s at twice the corrtimeratio, want twice %g", got, d)
	}
	if got := plan(3, 128, 1e-5); got <= d {
		t.Errorf("slew takes %g s at twice the interval, want more than %g", got, d)
	}
	if got := plan(3, 64, 1); got > d {
		t.Errorf("slew of a large offset takes %g s, want at most %g as of a small one", got, d)
	}
}

func TestFollowed(t *testing.T) {
	r := NewReference(Config{MaxUpdateSkew: 1e-3, CorrTimeRatio: 3, ClockError: 1e-6})
	if r.Synchronized || r.Leap != ntp.LeapUnsync || r.Updates() != 0 {
		t.Fatalf("a new reference: %+v, want not synchronised", r)
	}
	u := update(0.25)
	u.Leap = ntp.LeapInsert
	p := r.Plan(u, 0)
	r.Followed(u, 0.75e-6, &p)
	if !r.Synchronized || r.Leap != ntp.LeapInsert || r.Stratum != 3 || r.RefID != u.RefID || r.Updates() != 1 || r.Interval != 0 {
		t.Errorf("after an update: %+v, want stratum 3, leap 1", r)
	}
	if r.Time != at(0.25) || r.LastOffset != 0.25 || r.RMSOffset() != 0.25 {
		t.Errorf("after an update: time %v, offset %g, RMS %g; want %v, 0.25, 0.25", r.Time, r.LastOffset, r.RMSOffset(), at(0.25))
	}
	if math.Abs(r.Residual-0.25e-6) > 1e-15 || r.Skew != 1e-8 || r.RootDelay != 0.02 || r.RootDisp < 0.003 {
		t.Errorf("after an update: residual %g, skew %g, root delay %g, dispersion %g", r.Residual, r.Skew, r.RootDelay, r.RootDisp)
	}
	u = update(-0.05)
	u.Estimate.Time = at(64.25)
	p = r.Plan(u, 0)
	r.Followed(u, u.Estimate.Freq, &p)
	if math.Abs(r.Interval-63.95) > 1e-9 || r.Updates() != 2 {
		t.Errorf("interval %g after updates at 0.25 and 64.2 s, want 63.95 (%d updates)", r.Interval, r.Updates())
	}
	for _, next := range []struct {
		offset clock.Offset
		rms    float64
	}{{-0.01, 0.01}, {0.02, 0.02}, {0.01, math.Sqrt(4e-4 - 0.1*3e-4)}} {
		u = update(float64(next.offset))
		p = r.Plan(u, 0)
		r.Followed(u, u.Estimate.Freq, &p)
		if got := r.RMSOffset(); math.Abs(got-next.rms) > 1e-12 {
			t.Errorf("RMS offset %g after %g, want %g: a mean from the first larger one on", got, next.offset, next.rms)
		}
	}
	r.Lose()
	if r.Synchronized || r.Leap != ntp.LeapUnsync || r.Stratum != 3 {
		t.Errorf("after Lose: %+v, want not synchronised, and the rest kept", r)
	}
}

func TestDispersion(t *testing.T) {
	r := NewReference(Config{MaxUpdateSkew: 1e-3, CorrTimeRatio: 3, ClockError: 1e-6})
	u := update(0)
	p := r.Plan(u, 0)
	r.Followed(u, 0, &p)
	rate := 1e-8 + 1e-6 + 1e-6 // skew, residual, maxclockerror
	if math.Abs(r.DispersionRate()-rate) > 1e-15 {
		t.Errorf("dispersion grows by %g s/s, want %g", r.DispersionRate(), rate)
	}
	for _, age := range []float64{0, 100, 1e6} {
		if got, want := r.Dispersion(at(age)), r.RootDisp+age*rate; math.Abs(got-want) > 1e-12 {
			t.Errorf("dispersion %g after %g s, want %g", got, age, want)
		}
		if got, want := r.Distance(at(age)), 0.01+r.Dispersion(at(age)); math.Abs(got-want) > 1e-12 {
			t.Errorf("distance %g after %g s, want %g", got, age, want)
		}
	}
}

func TestReferenceAdjust(t *testing.T) {
	r := NewReference(Config{})
	r.Adjust(at(100), 0, 5)
	if !r.Time.IsZero() {
		t.Errorf("Adjust gave the time %v to a reference without one", r.Time)
	}
	u := update(0)
	r.Followed(u, 0, &Plan{})
	r.Adjust(at(100), 1e-3, 0.5)
	if want := at(0.5 - 0.1); r.Time != want {
		t.Errorf("time %v after an adjustment, want %v", r.Time, want)
	}
}

func TestReferenceConfigure(t *testing.T) {
	cfg := Config{StepThreshold: 1, StepLimit: 1, CorrTimeRatio: 3}
	r := NewReference(cfg)
	r.Plan(update(0), 0)
	r.Configure(cfg)
	if p := r.Plan(update(5), 0); p.Step {
		t.Error("the same makestep limit counts anew after Configure")
	}
	cfg.StepLimit = 2
	r.Configure(cfg)
	if p := r.Plan(update(5), 0); !p.Step {
		t.Error("another makestep limit does not count from Configure on")
	}
}
