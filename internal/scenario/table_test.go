// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"slices"
	"testing"
	"time"
)

// share is how much of chrony's error is allowed.
const share = 0.9

// allowances are limits in seconds for what share of chrony's figure does not fit.
var allowances = map[[3]string]float64{
	// The error at the end of an outage is one draw of the oscillator's walk,
	// whatever the daemon knew: 100 us of standard deviation.
	{"l", "default", "outage"}: 250e-6,
	{"l", "lan", "outage"}:     250e-6,
}

// manySeeds are rows whose error depends on chance so much (how soon after the
// event the next request is due) that three runs say little.
var manySeeds = map[string]uint64{"g": 15}

// median returns the median of an odd number of values.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// TestTable holds every row to a share of chrony's error: the median of three
// seeds or more, in runs of 8 hours, or with the event after 4.
func TestTable(t *testing.T) {
	for i := range Table {
		s := Table[i].Shorter(8)
		if s.Event > 0 {
			s = Table[i].Shorter(4)
		}
		for _, v := range s.Variants {
			t.Run(s.Name+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				checkRow(t, &s, v)
			})
		}
	}
}

func checkRow(t *testing.T, s *Scenario, v Variant) {
	errs := make([][]float64, len(s.Phases))
	for seed := range max(3, manySeeds[s.Name]) {
		for i, r := range s.Run(seed+1, v) {
			e := r.RMS
			if s.Phases[i].Name == "outage" {
				e = r.End
			}
			errs[i] = append(errs[i], e)
		}
	}
	for i, p := range s.Phases {
		want, ok := Chrony(s.Name, v.Name, p.Name)
		if !ok {
			t.Fatalf("row %s, %s, %s: chrony's figures are not known", s.Name, v.Name, p.Name)
		}
		limit := share * want.RMS
		if a := allowances[[3]string{s.Name, v.Name, p.Name}]; a != 0 {
			limit = a
		}
		got := median(errs[i])
		t.Logf("%s: %.3g s, chrony %.3g s, ratio %.2f", p.Name, got, want.RMS, got/want.RMS)
		if !(got <= limit) {
			t.Errorf("row %s, %s, %s (%s): errors %.3g, median %.3g s, want at most %.3g s",
				s.Name, v.Name, p.Name, s.About, errs[i], got, limit)
		}
	}
}

// TestSpeed: a day of one client takes less than 5 seconds.
func TestSpeed(t *testing.T) {
	for _, v := range both {
		start := time.Now()
		Table[0].Run(1, v)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("a day of row a, %s: %v, want less than 5 s", v.Name, d)
		}
	}
}

func TestRunsRepeat(t *testing.T) {
	s := Table[2].Shorter(4)
	a, b, c := s.Run(7, Poll46), s.Run(7, Poll46), s.Run(8, Poll46)
	if a[0].RMS != b[0].RMS || a[0].Poll != b[0].Poll {
		t.Errorf("seed 7 twice: %+v and %+v, want the same", a[0], b[0])
	}
	if a[0].RMS == c[0].RMS {
		t.Errorf("seeds 7 and 8: the same error %v", a[0].RMS)
	}
}

func TestSettling(t *testing.T) {
	var s settling
	s.begin(100)
	for i := range 3000 {
		e := 5e-3
		if i > 200 {
			e = 50e-6
		}
		s.note(100+float64(i), e)
	}
	got := s.result()
	if got[0] != 201 || got[1] != 201 || got[2] == got[2] {
		t.Errorf("settling: %v, want 201 201 NaN", got)
	}
}

func TestShorter(t *testing.T) {
	g := Table[6].Shorter(4)
	if g.Name != "g" || g.Event != 4 || g.Hours != 16 {
		t.Errorf("row g with the event at 4 h: %s, event %v, %v h; want g, 4, 16", g.Name, g.Event, g.Hours)
	}
	if p := g.Phases[0]; p.From != 1 || p.To >= 4 || p.To < 3.999 {
		t.Errorf("before: %+v, want from 1 to almost 4", p)
	}
	if p := g.Phases[1]; p.Start <= 4 || p.Start > 4.001 || p.To != 0 {
		t.Errorf("after: %+v, want from a second after 4 to the end", p)
	}
}
