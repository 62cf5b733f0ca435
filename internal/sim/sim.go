// SPDX-License-Identifier: Apache-2.0

// Package sim is a world of simulated clocks and networks in which engines run
// thousands of times faster than in the real one. True time is known, so the
// error of every clock can be measured exactly; nothing depends on the machine,
// so every run repeats.
//
// A [World] holds hosts and the links between them. A host is a [Node], with an
// engine that steers its oscillator, or a [Server], which answers from true time
// and may be faulty in all the ways that servers are.
//
// Timestamps are exact, as a network card would take them, and computing takes
// no time.
package sim

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Epoch is the wall time at which simulations begin: 2026-01-01 00:00:00 UTC.
const Epoch = 1767225600

// World is a simulation. Not safe for concurrent use.
type World struct {
	now   float64 // true seconds since the start
	seq   uint64
	queue eventQueue
	rng   *rand.Rand
	hosts map[netip.Addr]host
	nodes []*Node
	links map[[2]netip.Addr]*Link
	names map[string][]netip.Addr
	start int64 // Unix seconds of true time 0
	leap  leapSecond

	// Tap, if set, sees every datagram that is sent, before it is lost or delayed.
	Tap func(from, to netip.AddrPort, data []byte)
}

// leapSecond is when UTC leaps, if ever.
type leapSecond struct {
	sign     int     // +1: a second is inserted, -1: deleted, 0: no leap second
	midnight float64 // the midnight of UTC that it comes before, seconds as Now counts
	at       float64 // when UTC is moved, the same
}

// host is whatever can get a datagram.
type host interface {
	deliver(d *datagram)
}

// datagram is on its way.
type datagram struct {
	from, to netip.AddrPort
	data     []byte
}

// event is something to do at a true time.
type event struct {
	at  float64
	seq uint64 // order among equals
	do  func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{}
	*q = (*q)[:last]
	return e
}

// New returns an empty world whose randomness follows from seed.
func New(seed uint64) *World { return NewAt(seed, Epoch) }

// NewAt returns a world that begins at the Unix second start.
func NewAt(seed uint64, start int64) *World {
	return &World{
		rng:   rand.New(rand.NewPCG(seed, 0x73696d)),
		hosts: make(map[netip.Addr]host),
		links: make(map[[2]netip.Addr]*Link),
		names: make(map[string][]netip.Addr),
		start: start,
	}
}

// Now returns true time, in seconds since the start.
func (w *World) Now() float64 { return w.now }

// Random draws a number that follows from the world's seed, for the seeds of
// engines.
func (w *World) Random() uint64 { return w.rng.Uint64() }

// At runs do at the true time t, in seconds since the start.
func (w *World) At(t float64, do func()) {
	w.seq++
	heap.Push(&w.queue, event{at: max(t, w.now), seq: w.seq, do: do})
}

// Every runs do at each multiple of period from now on.
func (w *World) Every(period float64, do func()) {
	n := math.Floor(w.now/period) + 1
	var again func()
	again = func() {
		do()
		n++
		w.At(n*period, again)
	}
	w.At(n*period, again)
}

// Name makes name resolve to addrs from now on.
func (w *World) Name(name string, addrs ...netip.Addr) { w.names[name] = addrs }

// Connect sets the link between two hosts, one direction each.
func (w *World) Connect(a, b netip.Addr, there, back Link) {
	w.links[[2]netip.Addr{a, b}] = &there
	w.links[[2]netip.Addr{b, a}] = &back
}

// Link returns the link from a to b, which may be changed while the world runs.
func (w *World) Link(a, b netip.Addr) *Link { return w.links[[2]netip.Addr{a, b}] }

// Inject delivers a datagram that nobody there sent, after delay seconds.
func (w *World) Inject(from, to netip.AddrPort, data []byte, delay float64) {
	h := w.hosts[to.Addr()]
	d := &datagram{from: from, to: to, data: append([]byte(nil), data...)}
	w.At(w.now+delay, func() { h.deliver(d) })
}

// Leap makes UTC leap at the end of the day before the Unix second midnight: a
// second is inserted (sign +1) or deleted (-1). As POSIX has it, UTC goes back by
// a second at midnight, or skips the last second before it.
func (w *World) Leap(midnight int64, sign int) {
	at := float64(midnight - w.start)
	w.leap = leapSecond{sign: sign, midnight: at, at: at}
	if sign < 0 {
		w.leap.at--
	}
}

// utc returns UTC at true time t, in the same count.
func (w *World) utc(t float64) float64 {
	if w.leap.sign != 0 && t >= w.leap.at {
		return t - float64(w.leap.sign)
	}
	return t
}

// announced returns the leap indicator that a good server has at true time t.
func (w *World) announced(t float64) ntp.Leap {
	switch {
	case t >= w.leap.at || t < w.leap.midnight-86400:
		return ntp.LeapNone
	case w.leap.sign > 0:
		return ntp.LeapInsert
	case w.leap.sign < 0:
		return ntp.LeapDelete
	}
	return ntp.LeapNone
}

// Run simulates until the true time end.
func (w *World) Run(end float64) {
	for {
		t, node := end, (*Node)(nil)
		for _, n := range w.nodes {
			if d := n.wake(); d < t {
				t, node = d, n
			}
		}
		if len(w.queue) > 0 && w.queue[0].at <= t {
			e := heap.Pop(&w.queue).(event)
			w.now = max(w.now, e.at)
			e.do()
			continue
		}
		w.now = max(w.now, t)
		if node == nil {
			return
		}
		node.tick()
	}
}

// send puts a datagram on the link between its hosts. It reports whether there is
// one.
func (w *World) send(d *datagram) bool {
	if w.Tap != nil {
		w.Tap(d.from, d.to, d.data)
	}
	l := w.links[[2]netip.Addr{d.from.Addr(), d.to.Addr()}]
	to := w.hosts[d.to.Addr()]
	if l == nil || to == nil {
		return false
	}
	copies := 1
	if w.rng.Float64() < l.Duplicate {
		copies = 2
	}
	for range copies {
		if w.rng.Float64() < l.Loss {
			continue
		}
		w.At(w.now+l.Delay(w.rng, w.now), func() { to.deliver(d) })
	}
	return true
}

// trueTime returns the served time of a perfect clock at true time t.
func (w *World) trueTime(t float64) clock.Served { return w.reading(w.utc(t)) }

// reading returns the instant t seconds after the start by the clock that t is of.
func (w *World) reading(t float64) clock.Served {
	whole := math.Floor(t)
	return clock.At[clock.Corrected]((w.start+int64(whole))*1e9 + int64(math.Round((t-whole)*1e9)))
}
