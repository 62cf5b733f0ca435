// SPDX-License-Identifier: Apache-2.0

package engine

import "foliot/internal/source"

// AuthMode says how sources with and without authentication go together
// (authselectmode).
type AuthMode uint8

// Modes of authselectmode.
const (
	AuthIgnore  AuthMode = iota // authentication does not matter for selection
	AuthMix                     // authenticated sources are trusted and required if there are both kinds
	AuthPrefer                  // the others are not selected if there is an authenticated one
	AuthRequire                 // the others are never selected
)

// mixOptions, before each run of selection, gives each source the selection options that follow from its own and
// from authselectmode. One that is never selected must not keep the others out.
func (e *Engine) mixOptions() {
	with, without := 0, 0
	count := func(c *source.Config) {
		switch {
		case c.Select&source.NoSelect != 0:
		case c.Authenticated:
			with++
		default:
			without++
		}
	}
	for _, m := range e.members {
		count(m.assoc.Config())
	}
	for _, n := range e.entries {
		if n.members == 0 {
			count(&n.cfg.Template) // it will be there one day
		}
	}
	for _, m := range e.members {
		m.sel.Options = e.cfg.AuthMode.apply(m.assoc.Config(), with, without)
	}
}

// apply adds to the options of a source what the mode asks for, among so many
// sources with and without authentication.
func (a AuthMode) apply(c *source.Config, with, without int) source.SelectOptions {
	switch o := c.Select; {
	case o&source.NoSelect != 0:
	case c.Authenticated && a == AuthMix && without > 0:
		return o | source.Require | source.Trust
	case !c.Authenticated && (a == AuthRequire || a == AuthPrefer && with > 0):
		return o | source.NoSelect
	}
	return c.Select
}
