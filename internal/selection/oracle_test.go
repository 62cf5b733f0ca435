// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"math"
	"math/rand/v2"
	"testing"

	"foliot/internal/source"
)

// verdict is what the oracle says of one set of sources: a letter for each one
// before combination ('-' may be selected) and the outcome.
type verdict struct {
	status  []Status
	outcome Outcome
}

// span is a closed interval.
type span struct{ lo, hi float64 }

func (s span) within(o span) bool { return s.lo >= o.lo && s.hi <= o.hi }

// judge applies the rules of RFC 5905 and chrony by trying every end of every
// interval as the place of the truth.
func judge(all []*Source, minSources int) verdict {
	v := verdict{status: make([]Status, len(all))}
	var in []int
	trusting := false
	for i, c := range all {
		v.status[i] = NotSelectable
		if c.Options&source.NoSelect == 0 {
			v.status[i] = Candidate
			in = append(in, i)
			trusting = trusting || c.Options&source.Trust != 0
		}
	}
	if len(in) == 0 {
		v.outcome = NoSelectable
		return v
	}
	best, trustedBest, depth, voters := mostShared(all, in, trusting)
	if depth*2 <= voters {
		for _, i := range in {
			v.status[i] = Falseticker
		}
		v.outcome = NoMajority
		return v
	}
	left := 0
	for _, i := range in {
		s := span{all[i].Lo, all[i].Hi}
		switch {
		case !s.within(best) && !best.within(s):
			v.status[i] = Falseticker
		case trusting && all[i].Options&source.Trust == 0 && !s.within(trustedBest):
			v.status[i] = Untrusted
		default:
			left++
		}
	}
	if left == 0 {
		v.outcome = NoMajority
		return v
	}
	v.outcome = Update
	v.require(all, left, minSources)
	return v
}

// mostShared finds the place that most trusted, then most sources share.
func mostShared(all []*Source, in []int, trusting bool) (best, trustedBest span, depth, voters int) {
	shared := func(x float64) (n, trusted int) {
		for _, i := range in {
			if all[i].Lo <= x && x <= all[i].Hi {
				n++
				if all[i].Options&source.Trust != 0 {
					trusted++
				}
			}
		}
		return n, trusted
	}
	mostN, mostTrusted := 0, -1
	for _, i := range in {
		for _, x := range []float64{all[i].Lo, all[i].Hi} {
			if n, tr := shared(x); tr > mostTrusted || tr == mostTrusted && n > mostN {
				mostN, mostTrusted = n, tr
			}
		}
	}
	best = span{math.Inf(1), math.Inf(-1)}
	trustedBest = best
	for _, i := range in {
		for _, x := range []float64{all[i].Lo, all[i].Hi} {
			n, tr := shared(x)
			if tr == mostTrusted {
				trustedBest = span{min(trustedBest.lo, x), max(trustedBest.hi, x)}
				if n == mostN {
					best = span{min(best.lo, x), max(best.hi, x)}
				}
			}
		}
		if !trusting || all[i].Options&source.Trust != 0 {
			voters++
		}
	}
	if trusting {
		return best, trustedBest, mostTrusted, voters
	}
	return best, trustedBest, mostN, voters
}

// require applies require, minsources and prefer.
func (v *verdict) require(all []*Source, left, minSources int) {
	wanted, met, preferred := false, false, false
	for i, c := range all {
		if c.Options&source.Require != 0 && c.Options&source.NoSelect == 0 {
			wanted = true
			met = met || v.status[i] == Candidate
		}
		preferred = preferred || c.Options&source.Prefer != 0 && v.status[i] == Candidate
	}
	to := Candidate
	switch {
	case left < minSources || wanted && !met:
		v.outcome, to = TooFew, WaitSources
	case preferred:
		to = NotPreferred
	}
	for i, c := range all {
		if v.status[i] == Candidate && (v.outcome == TooFew || c.Options&source.Prefer == 0) {
			v.status[i] = to
		}
	}
}

// randomSources are 1 to 12 sources with intervals on a coarse grid, so that
// ends coincide, or about a common truth.
func randomSources(rng *rand.Rand) []*Source {
	var all []*Source
	grid, options := rng.IntN(2) == 0, rng.IntN(3)
	for range 1 + rng.IntN(12) {
		s := good(rng.NormFloat64(), 0.01+rng.Float64())
		if grid {
			s = good(float64(rng.IntN(8)), float64(1+rng.IntN(3))*0.5)
		}
		for bit, likely := range map[source.SelectOptions]int{source.NoSelect: 10, source.Prefer: 6, source.Trust: 4, source.Require: 8} {
			if options > 0 && rng.IntN(likely) == 0 {
				s.Options |= bit
			}
		}
		all = append(all, s)
	}
	return all
}

// TestOracle compares the sweep over sorted ends with the oracle.
func TestOracle(t *testing.T) {
	rng := seeded(t)
	outcomes := map[Outcome]int{}
	for trial := range 20000 {
		cfg := defaults()
		cfg.MinSources = 1 + rng.IntN(3)
		all := randomSources(rng)
		r := New(cfg).Run(all, nil)
		want := judge(all, cfg.MinSources)
		outcomes[want.outcome]++
		if r.Outcome != want.outcome || (r.Selected >= 0) != (want.outcome == Update) {
			t.Fatalf("trial %d: outcome %d, selected %d; want outcome %d:%s", trial, r.Outcome, r.Selected, want.outcome, show(all))
		}
		for i, c := range all {
			got := c.Status
			if got == Selected || got == Combined || got == Outlier {
				got = Candidate
			}
			if got != want.status[i] {
				t.Fatalf("trial %d: source %d is %c, want %c (minsources %d):%s", trial, i, c.Status, want.status[i], cfg.MinSources, show(all))
			}
		}
	}
	for _, o := range []Outcome{Update, NoSelectable, NoMajority, TooFew} {
		if outcomes[o] < 20 {
			t.Errorf("outcome %d came up %d times in 20000 trials: the sources are not random enough", o, outcomes[o])
		}
	}
}

// The order of the sources must not matter.
func TestOrder(t *testing.T) {
	rng := seeded(t)
	for trial := range 2000 {
		all := randomSources(rng)
		New(defaults()).Run(all, nil)
		before := map[*Source]Status{}
		for _, c := range all {
			before[c] = c.Status
		}
		freshen(all)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		New(defaults()).Run(all, nil)
		for i, c := range all {
			out := func(s Status) bool { return s != Selected && s != Combined && s != Outlier }
			if out(c.Status) != out(before[c]) || out(c.Status) && c.Status != before[c] {
				t.Fatalf("trial %d: source %d is %c, was %c in another order:%s", trial, i, c.Status, before[c], show(all))
			}
		}
	}
}
