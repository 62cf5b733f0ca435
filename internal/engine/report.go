// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"iter"

	"foliot/internal/clock"
	"foliot/internal/smooth"
)

// ClockCounts is what was done to the clock since the start. Counters only grow.
type ClockCounts struct {
	Steps    uint64  // by us
	StepSum  float64 // of those with their signs, seconds; positive: forward
	Slews    uint64  // changes of the rate
	Foreign  uint64  // changes by somebody else that were noticed
	Failures uint64  // orders that the kernel refused
}

// ClockCounts returns what was done to the clock since the start.
func (e *Engine) ClockCounts() ClockCounts { return e.counts }

// Controlled tells whether the clock is steered (not with -x).
func (e *Engine) Controlled() bool { return e.cfg.Clock.Controlled }

// Quantum returns the resolution of the clock, seconds.
func (e *Engine) Quantum() float64 { return e.cfg.Quantum }

// Smoothing returns what smoothtime adds to served time at now. It reports false
// if smoothtime is off.
func (e *Engine) Smoothing(now clock.Now) (smooth.State, bool) {
	if e.smooth == nil {
		return smooth.State{}, false
	}
	return e.smooth.State(e.served(now)), true
}

// ManualEnabled tells whether times that people type count.
func (e *Engine) ManualEnabled() bool { return e.manual.on }

// Local returns how the local clock is served.
func (e *Engine) Local() LocalConfig { return e.cfg.Local }

// Unresolved yields the names that have no address yet, in order.
func (e *Engine) Unresolved() iter.Seq2[EntryID, string] {
	return func(yield func(EntryID, string) bool) {
		for _, n := range e.entries {
			if n.members == 0 && !yield(n.id, n.cfg.Name) {
				return
			}
		}
	}
}

// EntryPoll returns the shortest polling interval of a name, log2 seconds.
func (e *Engine) EntryPoll(id EntryID) int8 {
	for _, n := range e.entries {
		if n.id == id {
			return n.cfg.Template.MinPoll
		}
	}
	return 0
}

// Pooled tells whether the association id came from a pool.
func (e *Engine) Pooled(id SourceID) bool {
	m := e.byID[id]
	return m != nil && m.entry.cfg.Pool
}
