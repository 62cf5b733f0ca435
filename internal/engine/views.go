// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"iter"

	"foliot/internal/selection"
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

// TAI returns TAI-UTC in seconds, 0 if it is not known.
func (e *Engine) TAI() int { return e.leap.TAI() }
