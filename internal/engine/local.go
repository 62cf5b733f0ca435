// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/selection"
)

// useLocal tells whether the directive local is in force: enabled, no better
// reference, and its waiting time is over. A clock that lost its reference, by
// contradictory sources or a foreign step, waits as it did after the start.
func (e *Engine) useLocal(now clock.Now) bool {
	c := &e.cfg.Local
	if !c.Enabled {
		return false
	}
	if !e.ref.Synchronized {
		return e.activated() && now.Mono.Sub(e.unsynced).Seconds() >= c.WaitUnsynced
	}
	at := e.served(now)
	distance := e.ref.Distance(at)
	if distance < c.Activate {
		e.localActive = true
	}
	return e.activated() && distance > c.Distance && at.Sub(e.ref.Time).Seconds() >= c.WaitSynced
}

// activated tells whether the condition "activate" of local was ever met.
func (e *Engine) activated() bool { return e.cfg.Local.Activate == 0 || e.localActive }

// lose makes the clock unsynchronised.
func (e *Engine) lose(now clock.Now) {
	if e.ref.Synchronized {
		e.unsynced = now.Mono
	}
	e.ref.Lose()
}

// localDeadline is when local comes into force if nothing else happens, zero if
// that is not before the next housekeeping.
func (e *Engine) localDeadline() clock.Mono {
	c := &e.cfg.Local
	if !c.Enabled || e.onLocal || !e.activated() {
		return clock.Mono{}
	}
	left := c.WaitUnsynced - e.last.Mono.Sub(e.unsynced).Seconds()
	if e.ref.Synchronized {
		at := e.served(e.last)
		left = max(c.WaitSynced-at.Sub(e.ref.Time).Seconds(), (c.Distance-e.ref.Distance(at))/e.ref.DispersionRate())
	}
	if !(left <= housekeeping) {
		return clock.Mono{}
	}
	return e.last.Mono.Add(clock.Seconds(math.Max(left, 1e-6)))
}

// tickLocal publishes the local reference when it comes into force.
func (e *Engine) tickLocal(now clock.Now, out *Actions) {
	if !e.onLocal && e.useLocal(now) {
		e.refresh(now, out)
	}
}

// selectionConfig is how sources are selected. In one-shot mode an orphan is as
// good as any server.
func selectionConfig(c *Config) selection.Config {
	s := c.Selection
	if c.OneShot {
		s.OrphanStratum = 0
	}
	return s
}

// ownRefID is what the server of m calls us: orphans agree on one of them by
// that.
func ownRefID(m *member) ntp.RefID {
	if r, ok := m.assoc.Report(); ok && r.Local.IsValid() {
		return ntp.RefIDOf(r.Local)
	}
	return 0
}
