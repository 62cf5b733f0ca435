// SPDX-License-Identifier: Apache-2.0

// Package scenario holds the situations in which foliot's accuracy is judged:
// networks and oscillators of the simulated world, run for a day, with the error
// against true time sampled each second. Tests hold them to limits, and
// `make sim` prints them as a table.
package scenario

import (
	"math"
	"net/netip"

	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
	"foliot/internal/sim"
)

// Scenario is one situation. All times are in hours of true time.
type Scenario struct {
	Name     string
	About    string
	Hours    float64 // length
	Event    float64 // when something happens, 0 if nothing does
	Phases   []Phase // what is measured separately
	Variants []Variant
	Build    func(w *sim.World, v Variant, event float64) Trial // event in seconds
}

// Phase is a part of a scenario that counts by itself, in hours.
type Phase struct {
	Name     string
	From, To float64
	// Start is where settling times count from.
	Start float64
}

// Trial is a scenario in a world.
type Trial struct {
	Node  *sim.Node
	Error func() float64 // of the node's clock, seconds; nil: its error against UTC
}

// Variant is how the client is configured.
type Variant struct {
	Name    string
	Options func(s *config.Source)
	Clock   func(c *config.Config)
	Line    bool // estimate with the fitted line in place of the filter bank
}

// Variants of the table.
var (
	Default = Variant{Name: "default", Options: func(*config.Source) {}}
	LAN     = Variant{Name: "lan", Options: polls(0, 4)}
	Poll0   = Variant{Name: "poll0", Options: func(s *config.Source) {
		polls(0, 0)(s)
		s.XLeave, s.IBurst = true, false
	}}
	Poll46 = Variant{Name: "poll46", Options: polls(4, 6)}
	Poll10 = Variant{Name: "poll10", Options: polls(10, 10)}
	Step   = Variant{Name: "step", Options: func(*config.Source) {}, Clock: makeStep(0.1, 3)}
	Slew   = Variant{Name: "slew", Options: func(*config.Source) {}, Clock: makeStep(0, 0)}
)

func polls(least, most int8) func(*config.Source) {
	return func(s *config.Source) { s.MinPoll, s.MaxPoll = least, most }
}

func makeStep(threshold float64, limit int) func(*config.Config) {
	return func(c *config.Config) { c.Clock.StepThreshold, c.Clock.StepLimit = threshold, limit }
}

// Addresses of the hosts in the scenarios.
var (
	clientAddr = netip.AddrFrom4([4]byte{10, 0, 0, 100})
	serverAddr = netip.AddrFrom4([4]byte{10, 0, 0, 1})
)

// Run runs the scenario once and returns what each phase measured.
func (s *Scenario) Run(seed uint64, v Variant) []Result {
	w := sim.New(seed)
	t := s.Build(w, v, s.Event*3600)
	if t.Error == nil {
		t.Error = t.Node.Error
	}
	recs := make([]recorder, len(s.Phases))
	for i, p := range s.Phases {
		recs[i] = newRecorder(p, s.Hours)
	}
	w.Every(1, func() {
		err, rate := t.Error(), t.Node.RateError()
		for i := range recs {
			recs[i].note(w.Now(), err, rate, t.Node.Sent)
		}
	})
	w.Run(s.Hours*3600 + 0.5)
	out := make([]Result, len(recs))
	for i := range recs {
		out[i] = recs[i].result(t.Node.Sources())
		out[i].Steps = t.Node.Steps
	}
	return out
}

// Shorter returns the scenario with an event after hours instead of its own, or
// without an event with that length; what is measured after the event stays as
// long as it was.
func (s *Scenario) Shorter(hours float64) Scenario {
	out := *s
	out.Phases = append([]Phase(nil), s.Phases...)
	if s.Event == 0 {
		out.Hours = math.Min(s.Hours, hours)
		return out
	}
	cut := math.Max(0, s.Event-hours)
	out.Hours, out.Event = s.Hours-cut, s.Event-cut
	for i := range out.Phases {
		p := &out.Phases[i]
		if p.Start > 0 {
			p.Start -= cut
		}
		if p.From > 1 {
			p.From = math.Max(p.From-cut, 1)
		}
		if p.To > 0 {
			p.To -= cut
		}
	}
	return out
}

// client adds the node under test, which follows the servers at addrs.
func client(w *sim.World, v Variant, osc sim.Oscillator, offset float64, addrs ...netip.Addr) *sim.Node {
	return node(w, clientAddr, v, osc, offset, addrs...)
}

func node(w *sim.World, addr netip.Addr, v Variant, osc sim.Oscillator, offset float64, addrs ...netip.Addr) *sim.Node {
	e := v.engine(addr, true, addrs...)
	e.Seed = w.Random()
	return w.Add(sim.Host{Addr: addr, Oscillator: osc, Offset: offset, Kernel: true, Engine: e})
}

// engine is the configuration of the node at addr that follows the servers at
// addrs and serves everybody.
func (v *Variant) engine(addr netip.Addr, controlled bool, addrs ...netip.Addr) engine.Config {
	c := config.Default()
	c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
	for _, a := range addrs {
		s := config.DefaultSource(config.KindServer, a.String())
		s.IBurst = true
		if v.Options != nil {
			v.Options(&s)
		}
		c.Sources = append(c.Sources, s)
	}
	if v.Clock != nil {
		v.Clock(c)
	}
	c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
	e := setup.Engine(c, &setup.Files{}, &setup.Machine{
		Quantum: 1e-9, Controlled: controlled, Seed: uint64(addr.As4()[3]),
	})
	e.Line = v.Line
	return e
}
