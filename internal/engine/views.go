// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"iter"

	"foliot/internal/clock"
	"foliot/internal/selection"
	"foliot/internal/smooth"
	"foliot/internal/source"
)

// View is what there is to see of one association. Its pointers are valid until the
// next fact, and nothing may be changed through them.
type View struct {
	Source SourceRef
	Pool   bool // it is a member of a pool
	Assoc  *source.Association
	Choice *selection.Source // what selection made of it
}

// Views iterates over the associations, in order.
func (e *Engine) Views() iter.Seq[View] {
	return func(yield func(View) bool) {
		for _, m := range e.members {
			if !yield(View{Source: m.ref(), Pool: m.entry.cfg.Pool, Assoc: m.assoc, Choice: &m.sel}) {
				return
			}
		}
	}
}

// Unresolved returns the names of which no address is in use.
func (e *Engine) Unresolved() (names []string) {
	used := make(map[*entry]bool, len(e.entries))
	for _, m := range e.members {
		used[m.entry] = true
	}
	for _, n := range e.entries {
		if !used[n] && !n.literal {
			names = append(names, n.cfg.Name)
		}
	}
	return names
}

// Smoothing returns the state of smoothtime at now, false without it.
func (e *Engine) Smoothing(now clock.Now) (smooth.State, bool) {
	if e.smooth == nil {
		return smooth.State{}, false
	}
	return e.smooth.State(e.served(now)), true
}

// TAI returns TAI-UTC in seconds, 0 if it is not known.
func (e *Engine) TAI() int { return e.leap.TAI() }

// Updates returns how many updates the clock followed.
func (e *Engine) Updates() uint64 { return uint64(e.ref.Updates()) }
