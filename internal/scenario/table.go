// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"net/netip"

	"foliot/internal/config"
	"foliot/internal/sim"
)

// crystal is the oscillator of a common computer: 20 ppm fast, and wandering.
func crystal(wander float64) sim.Oscillator {
	return sim.Oscillator{Rate: 20e-6, Wander: wander}
}

// startOffset is how far clocks are ahead at the start, seconds.
const startOffset = 10e-3

// Links that several rows have.
var (
	near    = sim.Exponential(50e-6, 5e-6)
	campus  = sim.Exponential(200e-6, 20e-6)
	hop     = sim.Exponential(100e-6, 20e-6)
	distant = sim.Exponential(1e-3, 100e-6)
)

// settled is the only phase of most rows: from the first hour on.
var settled = []Phase{{Name: "all", From: 1}}

// both are the variants of most rows.
var both = []Variant{Default, LAN}

// Table is every scenario, by the letter of its row.
var Table = []Scenario{
	{Name: "a", About: "LAN: 50 us + exp 5 us each way, wander 1e-9",
		Hours: 24, Phases: settled, Variants: both, Build: one(near, crystal(1e-9))},
	{Name: "b", About: "data centre: 5 us + normal 50 ns, wander 1e-10",
		Hours: 24, Phases: settled, Variants: []Variant{Default, LAN, Poll0},
		Build: one(sim.Normal(5e-6, 50e-9), crystal(1e-10))},
	{Name: "c", About: "WAN: 10 ms + Lomax(2.5) of mean 1 ms, wander 1e-9",
		Hours: 24, Phases: settled, Variants: []Variant{Default, Poll46},
		Build: one(sim.Lomax(10e-3, 1e-3, 2.5), crystal(1e-9))},
	{Name: "d", About: "bursts one way: 200 us + exp 20 us, + exp 3 ms for 150 of 600 s, wander 1e-9",
		Hours: 24, Phases: settled, Variants: both, Build: bursts},
	{Name: "e", About: "temperature: 1 ppm sine of 30 min, link as a, wander 1e-9",
		Hours: 24, Phases: settled, Variants: both,
		Build: one(near, sim.Oscillator{Rate: 20e-6, Wander: 1e-9, Amplitude: 1e-6, Period: 1800})},
	{Name: "f", About: "frequency step of 5 ppm at 12 h, link as a, wander 1e-10",
		Hours: 24, Event: 12, Variants: both, Build: frequencyStep,
		Phases: []Phase{{Name: "before", From: 10, To: 12}, {Name: "after", From: 12, Start: 12}}},
	{Name: "g", About: "server steps 100 ms at 12 h, 200 us + exp 20 us, wander 1e-10; error against the server",
		Hours: 24, Event: 12, Variants: both, Build: serverStep,
		Phases: []Phase{{Name: "before", From: 1, To: 12 - 1.0/3600}, {Name: "after", From: 12 + 1.0/3600, Start: 12 + 1.0/3600}}},
	{Name: "h", About: "4 servers, one at +50 ms, 1 ms + exp 100 us, wander 1e-9",
		Hours: 24, Phases: settled, Variants: both, Build: liar},
	{Name: "i", About: "30 % loss each way, 100 us + exp 20 us, wander 1e-9",
		Hours: 24, Phases: settled, Variants: both, Build: lossy},
	{Name: "j", About: "chain of strata 1-2-3-4, hops of 100 us + exp 20 us, wander 1e-9, last node",
		Hours: 24, Phases: settled, Variants: both, Build: chain},
	{Name: "k", About: "cold start: +100 ppm, +0.3 s, 200 us + exp 20 us, wander 1e-10",
		Hours: 2, Phases: settled, Variants: []Variant{Step, Slew, LAN}, Build: coldStart},
	{Name: "l", About: "outage of 4 h after 12 h, 200 us + exp 20 us, wander 1e-10",
		Hours: 24, Event: 12, Variants: both, Build: outage,
		Phases: []Phase{{Name: "outage", From: 12, To: 16}, {Name: "after", From: 16, Start: 16}}},
	{Name: "m", About: "fixed polls of 1024 s for 4 days, 1 ms + exp 100 us, wander 1e-9",
		Hours: 96, Phases: settled, Variants: []Variant{Poll10}, Build: one(distant, crystal(1e-9))},
}

// pair connects the client with one server over a symmetric link.
func pair(w *sim.World, s *sim.Server, d sim.Delay) {
	s.Addr = serverAddr
	w.Serve(s)
	w.Connect(clientAddr, serverAddr, sim.Link{Delay: d}, sim.Link{Delay: d})
}

// one builds a client of one server over a symmetric link.
func one(d sim.Delay, o sim.Oscillator) func(*sim.World, Variant, float64) Trial {
	return func(w *sim.World, v Variant, _ float64) Trial {
		pair(w, &sim.Server{}, d)
		return Trial{Node: client(w, v, o, startOffset, serverAddr)}
	}
}

func bursts(w *sim.World, v Variant, _ float64) Trial {
	w.Serve(&sim.Server{Addr: serverAddr})
	w.Connect(clientAddr, serverAddr, sim.Link{Delay: campus}, sim.Link{Delay: sim.Bursts(campus, 3e-3, 150, 600)})
	return Trial{Node: client(w, v, crystal(1e-9), startOffset, serverAddr)}
}

func frequencyStep(w *sim.World, v Variant, event float64) Trial {
	pair(w, &sim.Server{}, near)
	o := crystal(1e-10)
	o.StepAt, o.Step = event, 5e-6
	return Trial{Node: client(w, v, o, startOffset, serverAddr)}
}

func serverStep(w *sim.World, v Variant, event float64) Trial {
	s := &sim.Server{Offset: func(t float64) float64 {
		if t < event {
			return 0
		}
		return 100e-3
	}}
	pair(w, s, campus)
	n := client(w, v, crystal(1e-10), startOffset, serverAddr)
	return Trial{Node: n, Error: func() float64 { return n.Error() - s.Fault(w.Now()) }}
}

func liar(w *sim.World, v Variant, _ float64) Trial {
	var addrs []netip.Addr
	for i := range byte(4) {
		a := netip.AddrFrom4([4]byte{10, 0, 0, 1 + i})
		s := &sim.Server{Addr: a}
		if i == 3 {
			s.Offset = func(float64) float64 { return 50e-3 }
		}
		w.Serve(s)
		w.Connect(clientAddr, a, sim.Link{Delay: distant}, sim.Link{Delay: distant})
		addrs = append(addrs, a)
	}
	return Trial{Node: client(w, v, crystal(1e-9), startOffset, addrs...)}
}

func lossy(w *sim.World, v Variant, _ float64) Trial {
	l := sim.Link{Delay: hop, Loss: 0.3}
	w.Serve(&sim.Server{Addr: serverAddr})
	w.Connect(clientAddr, serverAddr, l, l)
	return Trial{Node: client(w, v, crystal(1e-9), startOffset, serverAddr)}
}

func chain(w *sim.World, v Variant, _ float64) Trial {
	w.Serve(&sim.Server{Addr: serverAddr})
	up := serverAddr
	var last *sim.Node
	for i := range byte(3) {
		a := netip.AddrFrom4([4]byte{10, 0, 0, 10 + i})
		w.Connect(a, up, sim.Link{Delay: hop}, sim.Link{Delay: hop})
		last = node(w, a, v, crystal(1e-9), startOffset, up)
		up = a
	}
	return Trial{Node: last}
}

func coldStart(w *sim.World, v Variant, _ float64) Trial {
	pair(w, &sim.Server{}, campus)
	if v.Clock == nil {
		v.Clock = func(c *config.Config) { c.Clock.StepThreshold, c.Clock.StepLimit = 0.1, 3 }
	}
	return Trial{Node: client(w, v, sim.Oscillator{Rate: 100e-6, Wander: 1e-10}, 0.3, serverAddr)}
}

func outage(w *sim.World, v Variant, event float64) Trial {
	pair(w, &sim.Server{Dead: func(t float64) bool { return t >= event && t < event+4*3600 }}, campus)
	return Trial{Node: client(w, v, crystal(1e-10), startOffset, serverAddr)}
}
