// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"net/netip"

	"foliot/internal/config"
	"foliot/internal/sim"
)

// Oscillator of a common computer that starts 20 ppm fast.
func crystal(wander float64) sim.Oscillator {
	return sim.Oscillator{Rate: 20e-6, Wander: wander}
}

// startOffset is how far clocks are ahead at the start, seconds.
const startOffset = 10e-3

// one builds a client of one server over a symmetric link.
func one(d sim.Delay, o sim.Oscillator, offset float64) func(*sim.World, Variant) *sim.Node {
	return func(w *sim.World, v Variant) *sim.Node {
		w.Serve(&sim.Server{Addr: serverAddr})
		w.Connect(clientAddr, serverAddr, sim.Link{Delay: d}, sim.Link{Delay: d})
		return client(w, v, o, offset, serverAddr)
	}
}

// Table is every scenario, by the letter of its row.
var Table = []Scenario{
	{Name: "a", About: "LAN: 50 us + exp 5 us each way, wander 1e-9", Hours: 24, From: 1,
		Build: one(sim.Exponential(50e-6, 5e-6), crystal(1e-9), startOffset)},
	{Name: "b", About: "data centre: 5 us + normal 50 ns, wander 1e-10", Hours: 24, From: 1,
		Build: one(sim.Normal(5e-6, 50e-9), crystal(1e-10), startOffset)},
	{Name: "c", About: "WAN: 10 ms + Lomax(2.5) of mean 1 ms, wander 1e-9", Hours: 24, From: 1,
		Build: one(sim.Lomax(10e-3, 1e-3, 2.5), crystal(1e-9), startOffset)},
	{Name: "d", About: "bursts one way: 200 us + exp 20 us, + exp 3 ms for 150 of 600 s", Hours: 24, From: 1,
		Build: bursts},
	{Name: "e", About: "temperature: 1 ppm sine of 30 min, link as a", Hours: 24, From: 1,
		Build: one(sim.Exponential(50e-6, 5e-6), sim.Oscillator{Rate: 20e-6, Amplitude: 1e-6, Period: 1800}, startOffset)},
	{Name: "f", About: "frequency step of 5 ppm at 12 h, link as a: after", Hours: 24, From: 12,
		Build: one(sim.Exponential(50e-6, 5e-6), sim.Oscillator{Rate: 20e-6, StepAt: 43200, Step: 5e-6}, startOffset)},
	{Name: "g", About: "server steps 100 ms at 12 h, 200 us + exp 20 us: before", Hours: 12, From: 1,
		Build: one(sim.Exponential(200e-6, 20e-6), crystal(1e-9), startOffset)},
	{Name: "h", About: "4 servers, one at +50 ms, 1 ms + exp 100 us, wander 1e-9", Hours: 24, From: 1,
		Build: liar},
	{Name: "i", About: "30 % loss each way, 100 us + exp 20 us, wander 1e-9", Hours: 24, From: 1,
		Build: lossy},
	{Name: "j", About: "chain of strata 1-2-3-4, hops of 100 us + exp 20 us, last node", Hours: 24, From: 1,
		Build: chain},
	{Name: "k", About: "cold start: +100 ppm, +0.3 s, 200 us + exp 20 us", Hours: 24, From: 1,
		Build: coldStart},
	{Name: "l", About: "outage of 4 h after 12 h, wander 1e-10, link as a", Hours: 24, From: 12,
		Build: outage},
	{Name: "m", About: "fixed polls of 1024 s for 4 days, 1 ms + exp 100 us", Hours: 96, From: 6,
		Build: sparse},
}

func bursts(w *sim.World, v Variant) *sim.Node {
	quiet := sim.Exponential(200e-6, 20e-6)
	w.Serve(&sim.Server{Addr: serverAddr})
	w.Connect(clientAddr, serverAddr, sim.Link{Delay: sim.Bursts(quiet, 3e-3, 150, 600)}, sim.Link{Delay: quiet})
	return client(w, v, crystal(1e-9), startOffset, serverAddr)
}

func liar(w *sim.World, v Variant) *sim.Node {
	d := sim.Exponential(1e-3, 100e-6)
	var addrs []netip.Addr
	for i := range byte(4) {
		a := netip.AddrFrom4([4]byte{10, 0, 0, 1 + i})
		s := &sim.Server{Addr: a}
		if i == 3 {
			s.Offset = func(float64) float64 { return 50e-3 }
		}
		w.Serve(s)
		w.Connect(clientAddr, a, sim.Link{Delay: d}, sim.Link{Delay: d})
		addrs = append(addrs, a)
	}
	return client(w, v, crystal(1e-9), startOffset, addrs...)
}

func lossy(w *sim.World, v Variant) *sim.Node {
	l := sim.Link{Delay: sim.Exponential(100e-6, 20e-6), Loss: 0.3}
	w.Serve(&sim.Server{Addr: serverAddr})
	w.Connect(clientAddr, serverAddr, l, l)
	return client(w, v, crystal(1e-9), startOffset, serverAddr)
}

func chain(w *sim.World, v Variant) *sim.Node {
	d := sim.Exponential(100e-6, 20e-6)
	w.Serve(&sim.Server{Addr: serverAddr})
	up := serverAddr
	var last *sim.Node
	for i := range byte(3) {
		a := netip.AddrFrom4([4]byte{10, 0, 0, 10 + i})
		w.Connect(a, up, sim.Link{Delay: d}, sim.Link{Delay: d})
		last = node(w, a, v, crystal(1e-9), startOffset, up)
		up = a
	}
	return last
}

func coldStart(w *sim.World, v Variant) *sim.Node {
	d := sim.Exponential(200e-6, 20e-6)
	w.Serve(&sim.Server{Addr: serverAddr})
	w.Connect(clientAddr, serverAddr, sim.Link{Delay: d}, sim.Link{Delay: d})
	v.Clock = func(c *config.Config) { c.Clock.StepThreshold, c.Clock.StepLimit = 0.1, 3 }
	return client(w, v, sim.Oscillator{Rate: 100e-6}, 0.3, serverAddr)
}

func outage(w *sim.World, v Variant) *sim.Node {
	d := sim.Exponential(50e-6, 5e-6)
	w.Serve(&sim.Server{Addr: serverAddr, Dead: func(t float64) bool { return t >= 12*3600 && t < 16*3600 }})
	w.Connect(clientAddr, serverAddr, sim.Link{Delay: d}, sim.Link{Delay: d})
	return client(w, v, crystal(1e-10), startOffset, serverAddr)
}

func sparse(w *sim.World, v Variant) *sim.Node {
	v.Options = polls(10, 10)
	return one(sim.Exponential(1e-3, 100e-6), crystal(1e-9), startOffset)(w, v)
}
