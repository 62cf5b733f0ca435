// SPDX-License-Identifier: Apache-2.0

// Package selection decides which sources tell the truth (RFC 5905 section
// 11.2, with chrony's refinements) and combines them.
//
// Each source claims that the true offset lies in an interval: its estimate,
// give or take its root distance. The truth is taken to be where most intervals
// overlap; a source whose interval misses that place is a falseticker. Of the
// others one is selected, and sticks until another is clearly better; those
// that agree with it closely are combined with it.
package selection

import (
	"foliot/internal/ntp"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// Config is what a person decides about selection; the comments give chrony's
// directive and default.
type Config struct {
	MaxDistance   float64 // maxdistance, seconds (3)
	MaxJitter     float64 // maxjitter, seconds (1)
	MinSources    int     // minsources (1)
	CombineLimit  float64 // combinelimit (3); 0 = do not combine
	ReselectDist  float64 // reselectdist, seconds (1e-4)
	StratumWeight float64 // stratumweight, seconds per stratum (1e-3)
	MinStratum    uint8   // minstratum (0)
	MaxStratum    uint8   // maxstratum (15)
	ClockError    float64 // maxclockerror, seconds per second (1e-6)
	OrphanStratum uint8   // local stratum when orphan mode is on, else 0
}

// Status says what selection thinks of a source. The letters are those of
// chrony's selectdata report.
type Status byte

// Statuses, from unusable to selected.
const (
	NotSelectable Status = 'N' // option noselect
	Missing       Status = 'M' // no samples
	Unsync        Status = 's' // not synchronised
	BadStratum    Status = 'r' // stratum out of range
	TooFar        Status = 'd' // root distance above maxdistance
	Jittery       Status = '~' // standard deviation above maxjitter
	WaitStats     Status = 'w' // others may soon be better
	Stale         Status = 'S' // unreachable, and too old
	Orphan        Status = 'O' // a server without reference, like us
	Untrusted     Status = 'T' // not within the trusted interval
	NotPreferred  Status = 'P' // others are preferred
	WaitSources   Status = 'W' // too few sources, or a required one is missing
	WaitUpdate    Status = 'U' // selected, waiting for a fresh sample
	Falseticker   Status = 'x'
	Outlier       Status = 'D' // true, but too far from the selected to combine
	Combined      Status = '+'
	Selected      Status = '*'
)

// Source is one candidate. The first group is the caller's, filled in before
// each run; Status and the rest is selection's.
type Source struct {
	Options   source.SelectOptions
	Refclock  bool
	Have      bool           // there are enough samples for an estimate
	Estimate  stats.Estimate // carried to now
	SD        float64        // of the samples
	RootDelay float64        // of the best sample, seconds
	RootDisp  float64        // of the best sample, grown to now, seconds
	FirstAge  float64        // age of the oldest fitted sample, seconds
	LastAge   float64        // age of the newest sample, seconds
	Stratum   uint8
	Leap      ntp.Leap
	RefID     ntp.RefID // of the source itself: what we would call it
	OwnRefID  ntp.RefID // what it would call us, 0 if not known
	Reach     uint8
	ReachSize int
	Unreached int  // polls since it answered
	MaxUnread int  // maxunreach
	Fresh     bool // has a new sample since the clock was last updated

	Status   Status
	Lo, Hi   float64 // the interval, seconds
	Distance float64 // root distance, seconds
	Score    float64 // against the selected source; above 10 it takes over
	Bad      int     // successive runs in which it was found useless
	penalty  int     // updates for which it stays out of the combination
}

// Outcome says why the clock can or cannot be updated.
type Outcome uint8

// Outcomes of a run.
const (
	Update       Outcome = iota // Result holds a new combined estimate
	Wait                        // nothing new
	NoSelectable                // no source is usable
	NoMajority                  // the sources contradict each other
	TooFew                      // minsources or require is not met
)

// Result is what a run found.
type Result struct {
	Outcome  Outcome
	Selected int // index of the selected source, -1 for none
	Changed  bool
	// Valid iff Outcome is Update.
	Estimate  stats.Estimate // combined
	RootDelay float64
	RootDisp  float64
	Stratum   uint8
	Leap      ntp.Leap
	Combined  int
	// For the message about NoSelectable and NoMajority.
	Agreeing, Total, Unreachable int
}

// Selector keeps what it needs between runs. Not safe for concurrent use.
type Selector struct {
	cfg      Config
	selected *Source
	untried  bool // the clock was not updated since selected is the selected one
	edges    []edge
}

// edge is one end of an interval.
type edge struct {
	at   float64
	end  bool
	from *Source
}

// New returns a selector that has selected nothing.
func New(cfg Config) *Selector { return &Selector{cfg: cfg} }

// Configure changes the configuration; what is selected stays.
func (s *Selector) Configure(cfg Config) { s.cfg = cfg }

// Reset forgets the selection.
func (s *Selector) Reset() { s.selected = nil }

// Selected returns the selected source or nil.
func (s *Selector) Selected() *Source { return s.selected }

// Run selects among all; updated is the one with a new sample, or nil.
func (s *Selector) Run(all []*Source, updated *Source) Result {
	r := Result{Selected: -1, Total: len(all)}
	candidates := s.classify(all, &r)
	if candidates == 0 {
		s.admitOrphan(all)
		if candidates = count(all, Candidate); candidates == 0 {
			return s.none(all, r, NoSelectable)
		}
	}
	if s.selected == nil && s.worthWaiting(all) {
		demote(all, Candidate, WaitStats)
		r.Outcome = Wait
		return r
	}
	if !s.intersect(all, candidates, &r) {
		return s.none(all, r, NoMajority)
	}
	if !s.enough(all) {
		demote(all, Candidate, WaitSources)
		return s.none(all, r, TooFew)
	}
	return s.choose(all, updated, r)
}

// Candidate marks a source that passed all tests so far in this run.
const Candidate Status = '-'

func count(all []*Source, st Status) (n int) {
	for _, c := range all {
		if c.Status == st {
			n++
		}
	}
	return n
}

func demote(all []*Source, from, to Status) {
	for _, c := range all {
		if c.Status == from {
			c.Status = to
		}
	}
}

// none ends a run without a selection.
func (s *Selector) none(all []*Source, r Result, why Outcome) Result {
	r.Outcome, r.Changed = why, s.selected != nil
	s.selected = nil
	for _, c := range all {
		if c.Reach == 0 {
			r.Unreachable++
		}
		c.Score = 1
		c.noteBad()
	}
	return r
}

// noteBad counts runs in which the source was useless through its own fault.
func (c *Source) noteBad() {
	switch c.Status {
	case Falseticker, TooFar, Jittery, BadStratum:
		c.Bad++
	default:
		c.Bad = 0
	}
}

// classify tests each source alone and returns how many are left.
func (s *Selector) classify(all []*Source, r *Result) (n int) {
	oldest := 0.0 // sample of a reachable source, seconds ago
	for _, c := range all {
		c.Status = s.test(c)
		if c.Status == Candidate && c.Reach != 0 {
			oldest = max(oldest, c.FirstAge)
		}
	}
	for _, c := range all {
		if c.Status == Candidate && c.Reach == 0 && (c.LastAge > oldest || c.Unreached > c.MaxUnread) {
			c.Status = Stale
		}
		if c.Status == Candidate {
			n++
		}
	}
	return n
}

// test looks at one source by itself.
func (s *Selector) test(c *Source) Status {
	switch {
	case c.Options&source.NoSelect != 0:
		return NotSelectable
	case !c.Have:
		return Missing
	}
	s.interval(c)
	switch {
	case c.Leap == ntp.LeapUnsync:
		return Unsync
	case c.Stratum < s.cfg.MinStratum && !c.Refclock, c.Stratum > s.cfg.MaxStratum:
		return BadStratum
	case !(c.Distance <= s.cfg.MaxDistance):
		return TooFar
	case !(c.SD <= s.cfg.MaxJitter):
		return Jittery
	case s.cfg.OrphanStratum != 0 && c.Stratum >= s.cfg.OrphanStratum && !c.Refclock:
		return Orphan
	}
	return Candidate
}

// interval computes where the source puts the truth: within its root distance of
// where the estimate is, which has an error of its own. Samples that are old
// compared to their span say little about now.
func (s *Selector) interval(c *Source) {
	c.Distance = c.RootDelay/2 + c.RootDisp
	if c.FirstAge < 2*c.LastAge {
		c.Distance += s.cfg.ClockError * (2*c.LastAge - c.FirstAge)
	}
	o, margin := float64(c.Estimate.Offset), c.Distance+3*c.Estimate.OffsetSD
	c.Lo, c.Hi = o-margin, o+margin
}

// admitOrphan lets the orphan server with the smallest reference ID be
// followed, if it is smaller than ours: so the servers of an isolated network
// agree on one of them. One of a higher stratum follows an orphan itself.
func (s *Selector) admitOrphan(all []*Source) {
	var least *Source
	for _, c := range all {
		if c.Status == Orphan && c.Stratum == s.cfg.OrphanStratum && c.Reach != 0 && (least == nil || c.RefID < least.RefID) {
			least = c
		}
	}
	if least != nil && least.RefID < least.OwnRefID {
		least.Status = Candidate
	}
}

// worthWaiting tells whether a source that has just begun to answer may soon
// be as good as those that are ready.
func (s *Selector) worthWaiting(all []*Source) bool {
	size := 0
	var best uint8
	for _, c := range all {
		size = max(size, c.ReachSize)
		if c.Status == Candidate {
			best = max(best, c.Reach)
		}
	}
	if size >= 8 {
		return false
	}
	for _, c := range all {
		if c.Status == Missing && c.Reach != 0 && c.Reach == best>>1 {
			return true
		}
	}
	return false
}

// enough checks minsources and require.
func (s *Selector) enough(all []*Source) bool {
	wanted, met, n := false, false, 0
	for _, c := range all {
		if c.Options&source.Require != 0 && c.Options&source.NoSelect == 0 {
			wanted = true
			met = met || c.Status == Candidate
		}
		if c.Status == Candidate {
			n++
		}
	}
	return n >= s.cfg.MinSources && (!wanted || met)
}
