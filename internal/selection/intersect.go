// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"slices"

	"foliot/internal/source"
)

// intersect finds the interval that most sources share and marks the others as
// falsetickers. Trusted sources, if there are any, outvote all others, and those
// that claim more than the interval that they share are left out. It reports
// false when there is no majority.
func (s *Selector) intersect(all []*Source, candidates int, r *Result) bool {
	s.edges = s.edges[:0]
	trusted := 0
	for _, c := range all {
		if c.Status != Candidate {
			continue
		}
		s.edges = append(s.edges, edge{c.Lo, false, c}, edge{c.Hi, true, c})
		if c.Options&source.Trust != 0 {
			trusted++
		}
	}
	slices.SortStableFunc(s.edges, compareEdges)
	best := s.deepest()
	voters := candidates
	r.Agreeing = best.depth
	if trusted > 0 {
		voters, r.Agreeing = trusted, best.trustedDepth
	}
	if r.Agreeing*2 <= voters {
		if best.depth <= 1 {
			r.Agreeing = 0
		}
		demote(all, Candidate, Falseticker)
		return false
	}
	for _, c := range all {
		switch {
		case c.Status != Candidate:
		case !c.agrees(best):
			c.Status = Falseticker
		case trusted > 0 && c.Options&source.Trust == 0 && (c.Lo < best.trustedLo || c.Hi > best.trustedHi):
			c.Status = Untrusted
		}
	}
	return count(all, Candidate) > 0
}

// compareEdges orders by place; at one place beginnings come before ends, so
// that intervals that touch overlap.
func compareEdges(a, b edge) int {
	switch {
	case a.at < b.at:
		return -1
	case a.at > b.at:
		return 1
	case !a.end && b.end:
		return -1
	case a.end && !b.end:
		return 1
	}
	return 0
}

// overlap is an interval and how many sources share it, and the interval that
// as many trusted ones share, with others or without.
type overlap struct {
	lo, hi               float64
	depth, trustedDepth  int
	trustedLo, trustedHi float64
}

// deepest sweeps over the edges for the place with most trusted, then most
// sources. Where several places are equally deep it spans from the first to the
// last of them.
func (s *Selector) deepest() (best overlap) {
	depth, trusted := 0, 0
	for i := range s.edges {
		e := &s.edges[i]
		t := 0
		if e.from.Options&source.Trust != 0 {
			t = 1
		}
		if !e.end {
			depth, trusted = depth+1, trusted+t
			if trusted > best.trustedDepth {
				best = overlap{trustedDepth: trusted, trustedLo: e.at}
			}
			if trusted == best.trustedDepth && depth > best.depth {
				best.lo, best.depth = e.at, depth
			}
			continue
		}
		if trusted == best.trustedDepth {
			best.trustedHi = e.at
			if depth == best.depth {
				best.hi = e.at
			}
		}
		depth, trusted = depth-1, trusted-t
	}
	return best
}

// agrees tells whether the source's interval contains the best one or lies in
// it.
func (c *Source) agrees(best overlap) bool {
	return c.Lo >= best.lo && c.Hi <= best.hi || c.Lo <= best.lo && c.Hi >= best.hi
}
