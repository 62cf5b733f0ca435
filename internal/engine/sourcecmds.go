// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"
	"slices"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/source"
)

// SetOnline makes sources poll, or stop polling; what was learned stays (online,
// offline). Who is online is not configuration: it survives a reload.
func (e *Engine) SetOnline(now clock.Now, w Which, on bool, out *Actions) Answer {
	e.watch(now, out)
	waiting := false
	if w.all() {
		for _, n := range e.entries {
			n.offline = !on
			waiting = waiting || n.members == 0
		}
	}
	if on {
		e.hurryNames(now, out)
	}
	if !e.connect(now, w, func(netip.AddrPort) bool { return on }, out) && !waiting {
		return NoSuchSource
	}
	return Done
}

// OnOffline makes sources poll if reachable says that there is a route to them,
// else stop (onoffline). Names that have not resolved are as they were.
func (e *Engine) OnOffline(now clock.Now, w Which, reachable func(netip.AddrPort) bool, out *Actions) Answer {
	e.watch(now, out)
	e.hurryNames(now, out)
	if !e.connect(now, w, reachable, out) && !w.all() {
		return NoSuchSource
	}
	return Done
}

// connect sets each of the sources online or not and reports whether there are
// any. Selection runs once for all, so that no source takes over in passing.
func (e *Engine) connect(now clock.Now, w Which, on func(netip.AddrPort) bool, out *Actions) (any bool) {
	lost := false
	for _, m := range e.members {
		if w.matches(m.assoc.Config().Addr.Addr()) {
			any = true
			lost = e.connectOne(m, now, on, out) || lost
		}
	}
	if lost {
		e.choose(nil, now, out)
	}
	return any
}

// connectOne reports whether m went offline.
func (e *Engine) connectOne(m *member, now clock.Now, on func(netip.AddrPort) bool, out *Actions) bool {
	was := m.online()
	if on(m.assoc.Config().Addr) {
		env := e.env(m, now)
		m.assoc.Online(now, &env)
	} else {
		m.assoc.Offline()
	}
	if is := m.online(); is == was {
		return false
	} else if is {
		out.event(EvOnline).Source = m.ref()
		return false
	}
	out.event(EvOffline).Source = m.ref()
	return true
}

// online tells whether m is polled, or will be after its burst.
func (m *member) online() bool {
	s := m.assoc.State()
	return s == source.Online || s == source.BurstOnline
}

// hurryNames looks up the names that have not resolved.
func (e *Engine) hurryNames(now clock.Now, out *Actions) {
	for _, n := range e.entries {
		if n.members == 0 && !n.asking {
			n.retry = now.Mono
			e.retryName(n, now, out)
		}
	}
}

// Burst asks sources up to total times in quick succession, until good of the
// answers are of use (burst). Peers are left alone: the other side would not keep
// step.
func (e *Engine) Burst(now clock.Now, w Which, good, total int, out *Actions) Answer {
	e.watch(now, out)
	answer := NoSuchSource
	for _, m := range e.members {
		cfg := m.assoc.Config()
		if !w.matches(cfg.Addr.Addr()) {
			continue
		}
		answer = Done
		if !cfg.Symmetric {
			env := e.env(m, now)
			m.assoc.StartBurst(good, total, now, &env)
		}
	}
	return answer
}

// AddSource adds a source to those configured (add). A reload drops it, unless it
// is configured then.
func (e *Engine) AddSource(now clock.Now, cfg SourceConfig, out *Actions) Answer {
	e.watch(now, out)
	if a := e.acceptable(&cfg); a != Done {
		return a
	}
	e.addEntry(cfg, now, out)
	e.openPort(out)
	return Done
}

// Exchange removes sources and adds others, as when the files that they are written
// in change (reload sources). It returns what became of each added one. Of sources
// that are there twice the later one goes. A reload undoes it, as it does AddSource.
func (e *Engine) Exchange(now clock.Now, gone, added []SourceConfig, out *Actions) []Answer {
	e.watch(now, out)
	for i := range gone {
		for _, n := range slices.Backward(e.entries) {
			if n.cfg.same(&gone[i]) {
				e.deleteEntry(n, out)
				break
			}
		}
	}
	answers := make([]Answer, len(added))
	for i, cfg := range added {
		answers[i] = e.AddSource(now, cfg, out)
	}
	if len(gone) > 0 {
		e.openPort(out)
		e.choose(nil, now, out)
	}
	return answers
}

// acceptable tells whether cfg can be added. Commands name a source by its address
// alone, so there is one at each.
func (e *Engine) acceptable(cfg *SourceConfig) Answer {
	addr, ok := literal(cfg.Name)
	if !ok {
		return e.acceptableName(cfg)
	}
	addr = addr.Unmap()
	switch {
	case cfg.Family == FamilyIPv4 && !addr.Is4(), cfg.Family == FamilyIPv6 && !addr.Is6():
		return InvalidFamily
	case e.at(addr) != nil:
		return AlreadyKnown
	case !e.room(1):
		return TooManySources
	}
	return Done
}

func (e *Engine) acceptableName(cfg *SourceConfig) Answer {
	n := 1
	if cfg.Pool {
		n = cfg.MaxSources
	}
	switch {
	case cfg.Name == "" || slices.ContainsFunc([]byte(cfg.Name), unprintable):
		return InvalidName
	case !e.room(n):
		return TooManySources
	}
	return Done
}

// unprintable tells whether c has no place in a name: it is no visible ASCII.
func unprintable(c byte) bool { return c <= ' ' || c > '~' }

// room tells whether n more associations fit in.
func (e *Engine) room(n int) bool {
	for _, x := range e.entries {
		if x.members == 0 {
			n++
		}
	}
	return len(e.members)+n <= maxMembers
}

// DeleteSource removes the association with addr (delete). A pool is then smaller
// by one. A reload brings back what is configured.
func (e *Engine) DeleteSource(now clock.Now, addr netip.Addr, out *Actions) Answer {
	e.watch(now, out)
	m := e.at(addr)
	if m == nil {
		return NoSuchSource
	}
	n := m.entry
	e.removeMember(m, out)
	if n.cfg.MaxSources--; !n.cfg.Pool || n.cfg.MaxSources <= 0 {
		e.deleteEntry(n, out)
	}
	e.openPort(out)
	e.choose(nil, now, out)
	return Done
}

// DeleteUnresolved removes a name that has not resolved yet, by the ID under which
// [Engine.Unresolved] yields it (delete ID#...).
func (e *Engine) DeleteUnresolved(now clock.Now, id EntryID, out *Actions) Answer {
	e.watch(now, out)
	at := slices.IndexFunc(e.entries, func(n *entry) bool { return n.id == id && n.members == 0 })
	if at < 0 {
		return NoSuchSource
	}
	e.deleteEntry(e.entries[at], out)
	return Done
}

func (e *Engine) deleteEntry(n *entry, out *Actions) {
	e.dropEntry(n, out)
	e.entries = slices.DeleteFunc(e.entries, func(x *entry) bool { return x == n })
}

// Reselect selects anew, without a preference for the source that is selected
// (reselect).
func (e *Engine) Reselect(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	e.sel.Reset()
	e.choose(nil, now, out)
	return Done
}

// SetReselectDist changes reselectdist, in seconds.
func (e *Engine) SetReselectDist(now clock.Now, d float64, out *Actions) Answer {
	e.watch(now, out)
	if d != e.cfg.Selection.ReselectDist {
		e.cfg.Selection.ReselectDist = d
		e.sel.Configure(selectionConfig(&e.cfg))
		e.tellSetting(OptReselectDist, d, out)
	}
	return Done
}

// ResetSources drops all that is known of the sources and the offset that is being
// slewed out, as if the clock had been moved by an unknown amount (reset sources).
func (e *Engine) ResetSources(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	for _, m := range e.members {
		m.assoc.Restart()
		m.sel.Bad, m.sel.Fresh, m.sel.Have, m.sel.Score = 0, false, false, 1
	}
	e.choose(nil, now, out)
	e.clk.Cancel(now)
	e.startOver(now, out)
	e.tellSetting(OptReset, 0, out)
	return Done
}

// Refresh looks all names up again; a source whose address its name no longer has
// is replaced (refresh).
func (e *Engine) Refresh(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	for _, n := range e.entries {
		if !n.literal && !n.asking {
			n.retry, n.tries = now.Mono, 0
			e.retryName(n, now, out)
		}
	}
	return Done
}

// SetKeys replaces the symmetric keys of the sources and of the server (rekey).
// Who used a key that is not in the ring any more is not believed any more.
func (e *Engine) SetKeys(now clock.Now, ring auth.Ring, out *Actions) Answer {
	e.watch(now, out)
	for _, n := range e.entries {
		if t := &n.cfg.Template; t.Authenticated {
			t.Key = ring[t.KeyID]
		}
	}
	for _, m := range e.members {
		if cfg := *m.assoc.Config(); cfg.Authenticated {
			cfg.Key = ring[cfg.KeyID]
			m.assoc.Configure(cfg)
		}
	}
	e.cfg.Policy.Keys = ring
	out.add(ActPolicy).Policy = e.cfg.Policy
	return Done
}

// tellSetting reports that an option of the whole was set.
func (e *Engine) tellSetting(o Option, v float64, out *Actions) *Event {
	ev := out.event(EvSetting)
	ev.Option, ev.Value = o, v
	return ev
}
