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

// Scenario is one situation.
type Scenario struct {
	Name  string
	About string
	Hours float64 // length
	From  float64 // the RMS and maximum count from this hour on
	Build func(w *sim.World, v Variant) *sim.Node
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
		s.XLeave = true
	}}
	WAN = Variant{Name: "minpoll 4 maxpoll 6", Options: polls(4, 6)}
)

func polls(least, most int8) func(*config.Source) {
	return func(s *config.Source) { s.MinPoll, s.MaxPoll = least, most }
}

// Result is what a run measured.
type Result struct {
	RMS     float64    // of the time error, seconds
	Max     float64    // of |time error|, seconds
	RateRMS float64    // of the frequency error, ratio
	Poll    float64    // mean seconds between requests to one server
	Settle  [3]float64 // seconds until the error stays below Levels for 15 minutes
	After   Late       // what happened after the scenario's event
	Steps   int
}

// Late is measured from the event of a scenario on.
type Late struct {
	RMS, Max float64
	Settle   [3]float64
}

// Levels are the errors that settling times are given for, seconds.
var Levels = [3]float64{1e-3, 100e-6, 10e-6}

// calm is how long the error must stay below a level.
const calm = 900

// Addresses of the hosts in the scenarios.
var (
	clientAddr = netip.AddrFrom4([4]byte{10, 0, 0, 100})
	serverAddr = netip.AddrFrom4([4]byte{10, 0, 0, 1})
)

// Run runs the scenario once.
func (s *Scenario) Run(seed uint64, v Variant) Result {
	w := sim.New(seed)
	n := s.Build(w, v)
	rec := recorder{from: s.From * 3600}
	w.Every(1, func() { rec.note(w.Now(), n.Error(), n.RateError()) })
	w.Run(s.Hours * 3600)
	r := rec.result()
	r.Steps = n.Steps
	r.Poll = s.Hours * 3600 * float64(n.Sources()) / math.Max(1, float64(n.Sent))
	return r
}

// recorder sums up the error.
type recorder struct {
	from     float64
	n        float64
	sum, max float64
	rate     float64
	settle   settling
}

func (r *recorder) note(t, err, rate float64) {
	r.settle.note(t, math.Abs(err))
	if t < r.from {
		return
	}
	r.n++
	r.sum += err * err
	r.rate += rate * rate
	r.max = math.Max(r.max, math.Abs(err))
}

func (r *recorder) result() Result {
	return Result{
		RMS: math.Sqrt(r.sum / r.n), Max: r.max, RateRMS: math.Sqrt(r.rate / r.n),
		Settle: r.settle.result(),
	}
}

// settling watches for the first time from which the error stays low.
type settling struct {
	since [3]float64 // when the error was last seen above the level
	done  [3]bool
	last  float64
}

func (s *settling) note(t, err float64) {
	for i, level := range Levels {
		if s.done[i] {
			continue
		}
		if err >= level {
			s.since[i] = t + 1
		} else if t-s.since[i] >= calm {
			s.done[i] = true
		}
	}
	s.last = t
}

// result gives seconds, NaN for never.
func (s *settling) result() (out [3]float64) {
	for i := range out {
		out[i] = s.since[i]
		if !s.done[i] {
			out[i] = math.NaN()
		}
	}
	return out
}

// client adds the node under test, which follows the servers at addrs.
func client(w *sim.World, v Variant, osc sim.Oscillator, offset float64, addrs ...netip.Addr) *sim.Node {
	return node(w, clientAddr, v, osc, offset, addrs...)
}

func node(w *sim.World, addr netip.Addr, v Variant, osc sim.Oscillator, offset float64, addrs ...netip.Addr) *sim.Node {
	c := config.Default()
	c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
	for _, a := range addrs {
		s := config.DefaultSource(config.KindServer, a.String())
		s.IBurst = true
		v.Options(&s)
		c.Sources = append(c.Sources, s)
	}
	if v.Clock != nil {
		v.Clock(c)
	}
	c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
	return w.Add(sim.Host{
		Addr: addr, Oscillator: osc, Offset: offset, Kernel: true,
		Engine: mustEngine(c, uint64(addr.As4()[3]), v.Line),
	})
}

func mustEngine(c *config.Config, seed uint64, line bool) engine.Config {
	e, err := setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: seed})
	if err != nil {
		panic("scenario: " + err.Error())
	}
	e.Line = line
	return e
}
