// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"math"
	"slices"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/source"
)

const (
	// takeover is the score at which another source replaces the selected one.
	takeover = 10
	// outlierPenalty keeps a source that did not fit in out of the
	// combination for so many updates.
	outlierPenalty = 32
)

// choose selects one of the candidates and combines it with those near it.
func (s *Selector) choose(all []*Source, updated *Source, r Result) Result {
	r.Leap = s.vote(all)
	s.preferOnly(all)
	s.score(all, updated)
	best := s.best(all)
	r.Changed = best != s.selected
	s.selected, s.untried = best, s.untried || r.Changed
	best.Status = Selected
	for _, c := range all {
		c.noteBad()
	}
	r.Selected = slices.Index(all, best)
	if !best.Fresh {
		if s.untried {
			best.Status = WaitUpdate
		}
		r.Outcome = Wait
		s.mark(all)
		return r
	}
	r.Outcome, s.untried = Update, false
	s.combine(all, &r)
	for _, c := range all {
		c.Fresh = false
	}
	return r
}

// vote lets more than half of those that are left (of the trusted ones, if
// there are any) announce a leap second.
func (s *Selector) vote(all []*Source) ntp.Leap {
	var votes [4]int
	n, trusted := 0, false
	for _, c := range all {
		trusted = trusted || c.Status == Candidate && c.Options&source.Trust != 0
	}
	for _, c := range all {
		if c.Status == Candidate && (!trusted || c.Options&source.Trust != 0) {
			votes[c.Leap&3]++
			n++
		}
	}
	for _, l := range [...]ntp.Leap{ntp.LeapInsert, ntp.LeapDelete} {
		if votes[l]*2 > n {
			return l
		}
	}
	return ntp.LeapNone
}

// preferOnly leaves only preferred sources, if there are any.
func (s *Selector) preferOnly(all []*Source) {
	for _, p := range all {
		if p.Status != Candidate || p.Options&source.Prefer == 0 {
			continue
		}
		for _, c := range all {
			if c.Status == Candidate && c.Options&source.Prefer == 0 {
				c.Status = NotPreferred
			}
		}
		return
	}
}

// distance is what the score compares: root distance, and a surcharge for a
// higher stratum, and for network sources against reference clocks.
func (s *Selector) distance(c *Source, lowest uint8) float64 {
	d := c.Distance + float64(c.Stratum-lowest)*s.cfg.StratumWeight
	if !c.Refclock {
		d += s.cfg.ReselectDist
	}
	return max(d, 1e-9)
}

// score updates the scores of all against the selected source. It moves only on
// a new sample of one of the two, so that the speed of a takeover follows from
// samples, not from how often this runs.
func (s *Selector) score(all []*Source, updated *Source) {
	lowest := uint8(ntp.MaxStratum)
	for _, c := range all {
		if c.Status == Candidate {
			lowest = min(lowest, c.Stratum)
		}
	}
	if s.selected == nil || s.selected.Status != Candidate {
		for _, c := range all {
			c.Score = 1
			if c.Status == Candidate {
				c.Score = 1 / s.distance(c, lowest)
			}
		}
		return
	}
	ref := s.distance(s.selected, lowest)
	for _, c := range all {
		switch {
		case c.Status != Candidate || c == s.selected:
			c.Score = 1
		case c == updated || s.selected == updated:
			c.Score = max(1, c.Score*ref/s.distance(c, lowest))
		}
	}
}

// best returns the source to select: the one that is selected, unless another
// has outdone it.
func (s *Selector) best(all []*Source) *Source {
	var top *Source
	for _, c := range all {
		if c.Status == Candidate && (top == nil || c.Score > top.Score) {
			top = c
		}
	}
	if s.selected != nil && s.selected.Status == Candidate && top.Score <= takeover {
		return s.selected
	}
	for _, c := range all {
		c.Score = 1
	}
	return top
}

// mark shows which sources would be combined.
func (s *Selector) mark(all []*Source) {
	for _, c := range all {
		if c.Status == Candidate {
			c.Status = Combined
			if c.penalty > 0 {
				c.Status = Outlier
			}
		}
	}
}

// combine averages the selected source with those that agree with it: offsets
// by the inverse of their standard deviation times their root distance (a source
// from afar may be off by an asymmetry that no variance shows), frequencies by
// the inverse of their variance.
func (s *Selector) combine(all []*Source, r *Result) {
	sel := s.selected
	limit := s.cfg.CombineLimit * (sel.Distance + s.cfg.ReselectDist)
	var sumO, wO, sumF, wF, wander, noise float64
	n := 0
	for _, c := range all {
		if c != sel && c.Status != Candidate {
			continue
		}
		if c != sel && !s.fitsIn(c, limit) {
			c.Status = Outlier
			continue
		}
		if c != sel {
			c.Status = Combined
		}
		e := &c.Estimate
		w := 1 / (max(e.OffsetSD, 1e-9) * max(c.Distance, 1e-9))
		wf := 1 / max(e.FreqSD*e.FreqSD, 1e-24)
		sumO, wO = sumO+w*float64(e.Offset), wO+w
		sumF, wF = sumF+wf*float64(e.Freq), wF+wf
		wander, noise = wander+e.Wander, noise+e.Noise
		n++
	}
	e := sel.Estimate
	e.Offset, e.Freq = clock.Offset(sumO/wO), clock.Frequency(sumF/wF)
	e.OffsetSD = s.spread(all, float64(e.Offset), wO)
	e.FreqSD = math.Sqrt(1 / wF)
	e.Wander, e.Noise = wander/float64(n), noise/float64(n)
	r.Estimate, r.Combined = e, n
	r.RootDelay, r.RootDisp, r.Stratum = sel.RootDelay, sel.RootDisp, sel.Stratum
}

// fitsIn tells whether the source may be combined with the selected one: near
// enough, of the same frequency, and for a while already.
func (s *Selector) fitsIn(c *Source, limit float64) bool {
	sel := s.selected
	df := math.Abs(float64(c.Estimate.Freq - sel.Estimate.Freq))
	allowed := s.cfg.CombineLimit * (3*(c.Estimate.FreqSD+sel.Estimate.FreqSD) + s.cfg.ClockError)
	if c.Distance > limit || df > allowed {
		c.penalty = outlierPenalty
		return false
	}
	if c.penalty > 0 {
		c.penalty--
		return false
	}
	return true
}

// spread is the standard deviation of the combined offset: that of each source
// and what it is off the mean.
func (s *Selector) spread(all []*Source, mean, total float64) float64 {
	v := 0.0
	for _, c := range all {
		if c != s.selected && c.Status != Combined {
			continue
		}
		e := &c.Estimate
		w := 1 / (max(e.OffsetSD, 1e-9) * max(c.Distance, 1e-9))
		d := float64(e.Offset) - mean
		v += w / total * (e.OffsetSD*e.OffsetSD + d*d)
	}
	return math.Sqrt(v)
}
