// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"iter"
	"math"
	"net/netip"
	"slices"

	"foliot/internal/clock"
	"foliot/internal/source"
)

// entry is one configured server, peer or pool: a name, and the associations
// that it became.
type entry struct {
	id       EntryID
	cfg      SourceConfig
	literal  bool // the name is an address; it is never looked up
	asking   bool // an answer is awaited
	tries    int
	retry    clock.Mono // when to look the name up (again), zero = not now
	patience clock.Mono // until when no member is replaced
	offline  bool       // who becomes a member is not asked for now
	members  int        // associations of this name
	unhappy  SourceID   // the member that the answer shall replace, 0 = none
}

// Name resolution pace.
const (
	resolveFirst = 7.0 // seconds before the second try; doubles
	resolveLimit = 9   // doublings
	replaceEvery = 7 * 512.0
)

// setSources makes the entries follow the configuration, keeping those that
// stay with their history, in the order of the configuration.
func (e *Engine) setSources(now clock.Now, out *Actions) {
	old := e.entries
	e.entries = nil
	for i := range e.cfg.Sources {
		want := &e.cfg.Sources[i]
		at := slices.IndexFunc(old, func(n *entry) bool { return n != nil && n.cfg.same(want) })
		if at >= 0 {
			n := old[at]
			old[at] = nil
			n.cfg = *want
			e.reconfigure(n, now)
			e.entries = append(e.entries, n)
			continue
		}
		e.addEntry(*want, now, out)
	}
	for _, n := range old {
		if n != nil {
			e.dropEntry(n, out)
		}
	}
}

func (e *Engine) reconfigure(n *entry, now clock.Now) {
	for _, m := range e.members {
		if m.entry != n {
			continue
		}
		cfg := n.cfg.Template
		cfg.Name, cfg.Addr = m.assoc.Config().Name, m.assoc.Config().Addr
		m.assoc.Configure(cfg)
		m.sel.MaxUnread = cfg.MaxUnreach
	}
	if n.cfg.Pool && n.members < n.cfg.MaxSources && !n.asking {
		n.retry = now.Mono
	}
}

func (e *Engine) addEntry(cfg SourceConfig, now clock.Now, out *Actions) {
	e.lastEntry++
	n := &entry{id: e.lastEntry, cfg: cfg, offline: cfg.Template.Offline}
	e.entries = append(e.entries, n)
	if a, ok := literal(cfg.Name); ok {
		n.literal = true
		e.addMember(n, a, now, out)
		return
	}
	n.retry = now.Mono
	e.retryName(n, now, out)
}

func (e *Engine) dropEntry(n *entry, out *Actions) {
	for i := len(e.members) - 1; i >= 0; i-- {
		if e.members[i].entry == n {
			e.removeMember(e.members[i], out)
		}
	}
}

// maxMembers is how many associations there can be: the slot of one is in the
// lower half of its TxID.
const maxMembers = 1 << 16

// addMember makes an association with addr, unless there is one already.
func (e *Engine) addMember(n *entry, addr netip.Addr, now clock.Now, out *Actions) bool {
	at := addrPort(addr, n.cfg.Port)
	if e.hasAddr(at) || len(e.members) >= maxMembers {
		return false
	}
	e.lastID++
	cfg := n.cfg.Template
	cfg.Name, cfg.Addr = n.cfg.Name, at
	m := &member{id: e.lastID, entry: n, slot: len(e.members)}
	m.assoc = source.New(cfg, e.cfg.estimator(cfg.Prior))
	m.sel.MaxUnread, m.sel.Score = cfg.MaxUnreach, 1
	e.members = append(e.members, m)
	e.byID[m.id] = m
	if cfg.Symmetric {
		e.byPeer[at] = m
	}
	n.members++
	out.event(EvAdded).Source = m.ref()
	e.restrictSources(out)
	if !n.offline {
		env := e.env(m, now)
		m.assoc.Online(now, &env)
		m.assoc.Delay(now, 0.2+float64(m.slot)*2e-3)
	}
	return true
}

func (e *Engine) hasAddr(at netip.AddrPort) bool {
	return slices.ContainsFunc(e.members, func(m *member) bool { return m.assoc.Config().Addr == at })
}

func (e *Engine) removeMember(m *member, out *Actions) {
	if e.sel.Selected() == &m.sel {
		e.sel.Reset()
	}
	m.entry.members--
	out.event(EvRemoved).Source = m.ref()
	out.add(ActHangup).Source = m.id
	delete(e.byID, m.id)
	delete(e.byPeer, m.assoc.Config().Addr)
	e.members = slices.Delete(e.members, m.slot, m.slot+1)
	for i, o := range e.members {
		if o.slot != i {
			o.slot, o.txID = i, 0
		}
	}
	e.restrictSources(out)
}

// retryName asks for the addresses of a name when it is time to.
func (e *Engine) retryName(n *entry, now clock.Now, out *Actions) {
	if n.retry.IsZero() || now.Mono.Before(n.retry) || n.literal {
		return
	}
	a := out.add(ActResolve)
	a.Name, a.Family = n.cfg.Name, n.cfg.Family
	n.asking = true
	wait := resolveFirst * math.Ldexp(1, min(n.tries, resolveLimit))
	n.tries++
	n.retry = now.Mono.Add(clock.Seconds(wait * (1 + 0.1*e.rng.Float64())))
}

// Resolved takes the addresses of a name in.
func (e *Engine) Resolved(now clock.Now, r *Resolved, out *Actions) {
	e.watch(now, out)
	for _, n := range e.entries {
		if !n.asking || n.cfg.Name != r.Name {
			continue
		}
		n.asking = false
		if len(r.Addrs) == 0 {
			if n.tries == 1 {
				out.event(EvUnresolved).Name = n.cfg.Name
			}
			continue
		}
		e.useAddrs(n, r.Addrs, now, out)
	}
}

// useAddrs fills the entry up with members, or replaces one: the unhappy one, or,
// when the names of working sources are looked up anew (refresh), one whose
// address the name no longer has.
func (e *Engine) useAddrs(n *entry, addrs []netip.Addr, now clock.Now, out *Actions) {
	want, have := 1, 0
	if n.cfg.Pool {
		want = n.cfg.MaxSources
	}
	gone := (*member)(nil)
	for _, m := range e.members {
		if m.entry != n {
			continue
		}
		have++
		if here := m.assoc.Config().Addr; gone == nil && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return addrPort(a, n.cfg.Port) == here }) {
			gone = m
		}
	}
	if n.unhappy != 0 {
		gone, n.unhappy = e.byID[n.unhappy], 0
		e.replace(gone, addrs, now, out)
	} else if have >= want && gone != nil {
		e.replace(gone, addrs, now, out)
	}
	for _, a := range addrs {
		if have >= want {
			break
		}
		if e.addMember(n, a, now, out) {
			have++
		}
	}
	e.nextLookup(n, have >= want, now)
	e.openPort(out)
}

// nextLookup says when the name is to be looked up again.
func (e *Engine) nextLookup(n *entry, full bool, now clock.Now) {
	n.retry, n.tries = clock.Mono{}, 0
	if !full {
		// A pool hands out other addresses each time; ask for more later.
		n.tries = resolveLimit
		n.retry = now.Mono.Add(clock.Seconds(replaceEvery * (1 + e.rng.Float64())))
	} else if e.cfg.RefreshEvery > 0 {
		n.retry = now.Mono.Add(clock.Seconds(e.cfg.RefreshEvery))
	}
}

// replace points m at an address that is not in use. When there is none, it stays.
// Where the search begins is random: the first address may be a bad one that was
// replaced before.
func (e *Engine) replace(m *member, addrs []netip.Addr, now clock.Now, out *Actions) {
	if m == nil {
		return
	}
	first := e.rng.IntN(len(addrs))
	for i := range addrs {
		at := addrPort(addrs[(first+i)%len(addrs)], m.entry.cfg.Port)
		if e.hasAddr(at) {
			continue
		}
		old := m.ref()
		delete(e.byPeer, old.Addr)
		out.add(ActHangup).Source = m.id
		if e.sel.Selected() == &m.sel {
			e.sel.Reset()
		}
		env := e.env(m, now)
		m.assoc.Redirect(at, now, &env)
		m.sel.Bad, m.sel.Fresh, m.sel.Have = 0, false, false
		if m.assoc.Config().Symmetric {
			e.byPeer[at] = m
		}
		ev := out.event(EvReplaced)
		ev.Source, ev.Old = m.ref(), old
		return
	}
}

// Usefulness limits, in updates and in polls.
const (
	badLimit     = 4
	missingLimit = 8
)

// replaceBad asks for another address for a member that has been of no use for
// long: a falseticker, or one that does not answer.
func (e *Engine) replaceBad(m *member, now clock.Now) {
	n := m.entry
	if n.literal || n.asking || n.unhappy != 0 {
		return
	}
	if m.sel.Bad < badLimit && m.assoc.Unanswered() < missingLimit {
		return
	}
	if now.Mono.Before(n.patience) {
		return
	}
	n.patience = now.Mono.Add(clock.Seconds(replaceEvery * (0.5 + e.rng.Float64())))
	n.unhappy = m.id
	n.retry, n.tries = now.Mono, 0
}

// unsent takes a source offline that cannot be reached, if it is to be so
// (auto_offline): there is no network.
func (e *Engine) unsent(id SourceID, out *Actions) {
	m := e.byID[id]
	if m == nil || !m.assoc.Config().AutoOffline || m.assoc.State() == source.Offline {
		return
	}
	m.assoc.Offline()
	out.event(EvOffline).Source = m.ref()
}

// Associations iterates over the associations, in order.
func (e *Engine) Associations() iter.Seq2[SourceRef, *source.Association] {
	return func(yield func(SourceRef, *source.Association) bool) {
		for _, m := range e.members {
			if !yield(m.ref(), m.assoc) {
				return
			}
		}
	}
}

// Association returns the association id, nil if it is gone.
func (e *Engine) Association(id SourceID) *source.Association {
	if m := e.byID[id]; m != nil {
		return m.assoc
	}
	return nil
}

// Rows describes what the last run of selection made of the sources. The
// result is valid until the next fact.
func (e *Engine) Rows() []SelectionRow {
	e.mixOptions() // sources may have come or gone since
	return e.rows()
}

// ServedAt returns the served time at now.
func (e *Engine) ServedAt(now clock.Now) clock.Served { return e.served(now) }
