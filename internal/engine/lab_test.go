// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
	"foliot/internal/sim"
	"foliot/internal/source"
)

// lab is one engine in a simulated world, and what it reported.
type lab struct {
	t      *testing.T
	w      *sim.World
	node   *sim.Node
	files  setup.Files
	events []happening
	looked []float64 // times of look-ups
	drifts []engine.Drift
	policy func(a *engine.Action) // hears of each ActPolicy, may be nil
}

// happening is an event and when it was.
type happening struct {
	at float64
	ev engine.Event
}

// options say what the engine of a lab is made of.
type options struct {
	config  func(c *config.Config)
	files   setup.Files
	free    bool // the clock may not be steered
	oneShot bool
	osc     sim.Oscillator
	offset  float64
	addr    netip.Addr // invalid: nodeAddr
}

var nodeAddr = addrOf(100)

func addrOf(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, n}) }

// world returns a world with servers at 10.0.0.1 and following.
func world(servers int) (*sim.World, []*sim.Server) {
	w := sim.New(5)
	var all []*sim.Server
	for i := range servers {
		s := &sim.Server{Addr: addrOf(byte(i + 1))}
		all = append(all, w.Serve(s))
		l := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
		w.Connect(nodeAddr, s.Addr, l, l)
	}
	return w, all
}

func newLab(t *testing.T, w *sim.World, o options) *lab {
	t.Helper()
	l := &lab{t: t, w: w, files: o.files}
	cfg := l.engine(o.config, o.free)
	cfg.OneShot = o.oneShot
	if !o.addr.IsValid() {
		o.addr = nodeAddr
	}
	l.node = w.Add(sim.Host{
		Addr: o.addr, Oscillator: o.osc, Offset: o.offset, Kernel: true, Uncontrol: o.free, Engine: cfg,
		OnEvent: func(at float64, ev *engine.Event) { l.events = append(l.events, happening{at, *ev}) },
		OnAction: func(at float64, a *engine.Action) {
			switch a.Kind {
			case engine.ActResolve:
				l.looked = append(l.looked, at)
			case engine.ActDrift:
				l.drifts = append(l.drifts, a.Drift)
			case engine.ActPolicy:
				if l.policy != nil {
					l.policy(a)
				}
			}
		},
	})
	return l
}

// engine translates a configuration that begins with the defaults.
func (l *lab) engine(change func(c *config.Config), free bool) engine.Config {
	c := config.Default()
	c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
	c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
	if change != nil {
		change(c)
	}
	return setup.Engine(c, &l.files, &setup.Machine{Quantum: 1e-9, Controlled: !free, Seed: 9})
}

// servers returns a change that adds servers by their addresses or names.
func servers(names ...string) func(*config.Config) {
	return func(c *config.Config) {
		for _, n := range names {
			s := config.DefaultSource(config.KindServer, n)
			s.IBurst, s.MinPoll, s.MaxPoll = true, 4, 6
			c.Sources = append(c.Sources, s)
		}
	}
}

// all applies several changes.
func all(changes ...func(*config.Config)) func(*config.Config) {
	return func(c *config.Config) {
		for _, f := range changes {
			f(c)
		}
	}
}

func (l *lab) tell(fact func(e *engine.Engine, now clock.Now, out *engine.Actions)) {
	l.node.Tell(fact)
}

func (l *lab) reload(change func(*config.Config)) {
	cfg := l.engine(change, false)
	l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Configure(now, cfg, out) })
}

// count returns how often a kind of event was reported.
func (l *lab) count(k engine.EventKind) (n int) {
	for i := range l.events {
		if l.events[i].ev.Kind == k {
			n++
		}
	}
	return n
}

// latest returns the last event of a kind.
func (l *lab) latest(k engine.EventKind) happening {
	for i := len(l.events) - 1; i >= 0; i-- {
		if l.events[i].ev.Kind == k {
			return l.events[i]
		}
	}
	return happening{at: math.NaN()}
}

// assocs returns the associations by address.
func (l *lab) assocs() map[netip.Addr]*source.Association {
	m := make(map[netip.Addr]*source.Association)
	for ref, a := range l.node.Engine.Associations() {
		m[ref.Addr.Addr()] = a
	}
	return m
}

// below fails the test if |got| is not below limit.
func (l *lab) below(what string, got, limit float64) {
	l.t.Helper()
	if !(math.Abs(got) < limit) {
		l.t.Errorf("%s: %.3g, want within %.3g", what, got, limit)
	}
}
