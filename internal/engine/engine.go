// SPDX-License-Identifier: Apache-2.0

// Package engine is the deterministic heart of foliot: it gets facts (a packet
// with its stamps, a deadline that passed, a name that resolved), each with the
// time at which it happened, and gives actions (send this, set the clock so,
// tell people that). It reads no clock, owns no socket and knows no random
// number but those of its seed: the same facts give the same actions, octet for
// octet, on any machine.
//
// A [World] runs it:
//
//	for {
//		wait for input or e.Deadline()
//		e.Receive(now, packet, &acts)   // or Tick, Transmitted, Resolved, ...
//		e.Perform(world, &acts)
//	}
//
// Every fact begins with a look at the clock itself: if the wall clock is not
// where the monotonic clock says that it must be, somebody else moved it, and
// the history is void.
package engine

import (
	"math/rand/v2"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/discipline"
	"foliot/internal/drifts"
	"foliot/internal/leap"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/smooth"
	"foliot/internal/source"
)

// Engine is the daemon's brain. Not safe for concurrent use: one goroutine owns it.
type Engine struct {
	cfg   Config
	rng   *rand.Rand
	start clock.Now
	last  clock.Now // the last reading of the clocks

	clk    *discipline.Clock
	ref    *discipline.Reference
	sel    *selection.Selector
	leap   *leap.Schedule
	smooth *smooth.Smoother
	fall   *drifts.Fallback
	temp   clock.Frequency // compensation in force
	server *responder.Server
	snap   responder.Snapshot

	entries    []*entry // sources as configured
	members    []*member
	byID       map[SourceID]*member
	byPeer     map[netip.AddrPort]*member
	lastID     SourceID
	lastEntry  EntryID
	broadcasts []broadcast
	ranked     []*selection.Source // scratch for a run of selection
	table      []SelectionRow      // scratch for telling its result

	lastDrift   clock.Mono
	nextHouse   clock.Mono
	fallen      int        // log2 of the span of the fallback drift in force, 0 = none
	lastTx      clock.Mono // of any source, to keep requests apart
	announced   ntp.Leap   // by the sources
	toldLeap    ntp.Leap   // to the kernel
	toldTAI     int
	toldLoss    bool // that sources are of no use was said once since the start
	listening   bool
	unsynced    clock.Mono // since when, unless synchronised
	onLocal     bool       // the local reference is what is served
	localActive bool       // the condition "activate" was met once
	monoOffset  float64    // sum of all offset corrections, seconds
	epoch       uint32     // of the monotonic served time
	failing     bool       // setting the frequency fails
	finished    bool       // one-shot mode has its result
	tracking    Tracking
	manual      manual
	counts      ClockCounts
	refused     bool // the last step was
}

// member is one association and what selection knows of it.
type member struct {
	id    SourceID
	entry *entry
	slot  int // index in Engine.members
	assoc *source.Association
	sel   selection.Source
	req   source.Request
	txID  TxID
	told  selection.Status
	kiss  bool // a kiss of death came since the last valid answer
}

// New returns an engine that does nothing until Start.
func New(cfg Config) *Engine {
	e := &Engine{
		cfg:    cfg,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x666f6c696f74)),
		byID:   make(map[SourceID]*member),
		byPeer: make(map[netip.AddrPort]*member),
		sel:    selection.New(selectionConfig(&cfg)),
		ref:    discipline.NewReference(cfg.Discipline),
		leap:   leap.NewSchedule(leapMode(&cfg)),
	}
	e.configureLeap()
	e.newServer()
	e.epoch = e.rng.Uint32()
	e.fall = drifts.NewFallback(cfg.Fallback)
	e.smooth = newSmoother(&cfg.Smooth)
	e.manual.on = cfg.Manual
	return e
}

// Start begins at now, with the kernel's clock running at the rate freq.
func (e *Engine) Start(now clock.Now, freq clock.Frequency, out *Actions) {
	e.start, e.last, e.lastDrift, e.unsynced = now, now, now.Mono, now.Mono
	e.nextHouse = now.Mono.Add(clock.Seconds(housekeeping))
	e.clk = discipline.NewClock(e.cfg.Clock, freq, now)
	if d := e.cfg.Drift; d != nil {
		e.ref.Skew = float64(d.Skew)
		_, order := e.clk.Adjust(now, (1+d.Frequency)/(1+freq)-1, 0, 0)
		e.carryOut(order, out)
	}
	e.setSources(now, out)
	e.setBroadcasts(now)
	e.openPort(out)
	e.refresh(now, out)
}

// Deadline returns the instant at which Tick must be called, zero for never.
func (e *Engine) Deadline() clock.Mono {
	var first clock.Mono
	sooner := func(t clock.Mono) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, m := range e.members {
		sooner(m.assoc.Deadline())
	}
	for _, n := range e.entries {
		sooner(n.retry)
	}
	if end, ok := e.clk.Slewing(); ok {
		sooner(end)
	}
	for i := range e.broadcasts {
		sooner(e.broadcasts[i].due)
	}
	sooner(e.leapDeadline())
	sooner(e.localDeadline())
	sooner(e.houseDeadline())
	return first
}

// Tick does everything that is due at now.
func (e *Engine) Tick(now clock.Now, out *Actions) {
	e.watch(now, out)
	if order, ok := e.clk.EndSlew(now); ok {
		e.carryOut(order, out)
	}
	e.tickLeap(now, out)
	for _, m := range e.members {
		if d := m.assoc.Deadline(); !d.IsZero() && !now.Mono.Before(d) {
			e.serve1(m, now, out)
		}
	}
	for _, n := range e.entries {
		e.retryName(n, now, out)
	}
	e.tickLocal(now, out)
	e.tickBroadcasts(now, out)
	e.keepHouse(now, out)
}

// env describes the daemon to an association.
func (e *Engine) env(m *member, now clock.Now) source.Env {
	env := source.Env{
		Correction: e.clk.Correction(),
		Precision:  e.cfg.Precision,
		Quantum:    e.cfg.Quantum,
		ClockError: clock.Dispersion(e.cfg.Discipline.ClockError),
		Rand:       e.rng,
		Serving:    e.listening,
		NearLeap:   e.leap.Near(e.served(now)),
		Local:      e.published(now),
	}
	if m != nil {
		env.Selected = e.sel.Selected() == &m.sel
	}
	return env
}

// served returns the served time at now.
func (e *Engine) served(now clock.Now) clock.Served {
	return e.clk.Correction().Served(now.Wall)
}

// serve1 does what is due for one association.
func (e *Engine) serve1(m *member, now clock.Now, out *Actions) {
	env := e.env(m, now)
	switch m.assoc.OnDeadline(now, &env, &m.req) {
	case source.Transmit:
		e.separate(m, now)
		e.sendRequest(m, out)
		e.sampled(m, now, out)
		if m.assoc.Unanswered() > 1 {
			e.lostReply(m, now, out)
		}
	case source.Hangup:
		out.add(ActHangup).Source = m.id
	}
}

// Requests of different sources are kept apart by a fraction of the polling
// interval, so that their answers do not queue behind each other.
const (
	minSeparation = 2e-3 // seconds
	maxSeparation = 0.2
)

func (e *Engine) separate(sent *member, now clock.Now) {
	e.lastTx = now.Mono
	for _, m := range e.members {
		if m == sent || m.assoc.Deadline().IsZero() {
			continue
		}
		gap := min(max(clock.Pow2(m.assoc.Poll()-3), minSeparation), maxSeparation)
		gap = min(gap, clock.Pow2(m.assoc.Poll())/float64(2*len(e.members)))
		if m.assoc.Deadline().Sub(now.Mono).Seconds() < gap {
			m.assoc.Delay(now, gap)
		}
	}
}

// watch looks whether somebody else moved the clock. While the kernel may be
// busy with a leap second, the schedule judges what happened.
func (e *Engine) watch(now clock.Now, out *Actions) {
	e.last = now
	if e.leap.Unsettled(e.served(now)) {
		return
	}
	if jump, ok := e.clk.Watch(now); ok {
		e.counts.Foreign++
		out.event(EvJump).Value = float64(jump)
		e.startOver(now, out)
	}
}

// Disturbed tells that somebody else set the kernel's rate to freq.
func (e *Engine) Disturbed(now clock.Now, freq clock.Frequency, out *Actions) {
	e.counts.Foreign++
	out.event(EvInterference).Value = float64(freq)
	e.clk.Disturbed(now, freq)
	e.startOver(now, out)
}

// startOver drops the history: it was measured with a clock that is no more.
func (e *Engine) startOver(now clock.Now, out *Actions) {
	for _, m := range e.members {
		m.assoc.Forget()
		m.assoc.Hurry(now)
	}
	e.manual.n = 0
	e.lose(now)
	e.sel.Reset()
	// Whatever rate the kernel has now, of a slew that is no more or of somebody
	// else's making, ours is the best that is known.
	e.carryOut(e.clk.Free(), out)
	e.epoch = e.rng.Uint32()
	if e.smooth != nil {
		e.smooth.Reset(e.served(now))
	}
	e.refresh(now, out)
}

// event adds an event action.
func (a *Actions) event(k EventKind) *Event {
	act := a.add(ActEvent)
	act.Event.Kind = k
	return &act.Event
}
