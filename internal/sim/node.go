// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/responder"
)

// Host describes a node to be added.
type Host struct {
	Addr       netip.Addr
	Oscillator Oscillator
	Offset     float64 // of the clock at the start, seconds; positive: ahead
	Engine     engine.Config
	Kernel     bool // stamps are the kernel's, told apart from sending; else the daemon's
	Uncontrol  bool // the clock cannot be set
	NoLeaps    bool // the kernel does not carry out leap seconds
	OnEvent    func(t float64, ev *engine.Event)
	OnAction   func(t float64, a *engine.Action) // every action but sending, before it is carried out
}

// Node is a host with an engine and a clock of its own.
type Node struct {
	w      *World
	host   Host
	osc    *raw
	offset float64 // wall minus raw at the last change of rate, from the start
	base   float64 // raw at the last change of rate
	wall0  int64   // Unix nanoseconds that wall counts from
	freq   clock.Frequency
	asleep float64 // raw seconds spent suspended
	leap   kernelLeap
	Engine *engine.Engine
	acts   engine.Actions
	ports  map[uint16]engine.SourceID // open client sockets
	socket map[engine.SourceID]uint16
	listen bool
	dead   bool // asleep, or ended

	Snapshot responder.Snapshot
	Status   engine.KernelStatus
	Drift    engine.Drift
	Exit     engine.ExitReason
	Sent     int // client packets
	Steps    int
	Lookups  int
}

// monoBase keeps monotonic instants away from zero, which means none.
const monoBase = 1000

// Add adds a node and starts its engine.
func (w *World) Add(h Host) *Node {
	n := &Node{
		w: w, host: h, osc: newRaw(h.Oscillator, w.rng, w.now),
		offset: h.Offset + w.utc(w.now), wall0: w.start * 1e9,
		ports: make(map[uint16]engine.SourceID), socket: make(map[engine.SourceID]uint16),
	}
	w.hosts[h.Addr] = n
	w.nodes = append(w.nodes, n)
	n.Engine = engine.New(h.Engine)
	n.Engine.Start(n.Now(), 0, &n.acts)
	n.perform()
	return n
}

// wallSeconds returns what the wall clock shows, in seconds since the start.
func (n *Node) wallSeconds() float64 {
	v := n.osc.read(n.w.now)
	s := n.offset + (v-n.base)*(1+float64(n.freq))
	if n.leap.due(s + float64(n.w.start)) {
		by := n.leap.carryOut()
		n.offset += by
		s += by
	}
	return s
}

// Now implements engine.World.
func (n *Node) Now() clock.Now {
	s := n.wallSeconds()
	whole := math.Floor(s)
	ns := n.wall0 + int64(whole)*1e9 + int64(math.Round((s-whole)*1e9))
	return clock.Now{
		Wall: clock.At[clock.Realtime](ns),
		Mono: clock.At[clock.Raw](int64(math.Round((n.osc.read(n.w.now) - n.asleep + monoBase) * 1e9))),
	}
}

// Error returns how far the wall clock is off UTC, in seconds; positive is ahead.
func (n *Node) Error() float64 { return n.wallSeconds() - n.w.utc(n.w.now) }

// ServedError is the same for the time that the engine serves, which includes
// what is still to be slewed out but not what smoothtime adds.
func (n *Node) ServedError() float64 {
	return n.Engine.ServedAt(n.Now()).Sub(n.w.trueTime(n.w.now)).Seconds()
}

// GivenError is the same for the time in replies, smoothtime included.
func (n *Node) GivenError() float64 {
	return n.Snapshot.Served(n.Now().Wall).Sub(n.w.trueTime(n.w.now)).Seconds()
}

// Sources returns how many associations the engine was configured with.
func (n *Node) Sources() int { return len(n.host.Engine.Sources) }

// RateError returns the error of the wall clock's rate.
func (n *Node) RateError() float64 {
	return (1+n.osc.rate)*(1+float64(n.freq)) - 1
}

// Push steps the clock behind the engine's back, as another program would.
func (n *Node) Push(s float64) {
	n.offset += s
	if n.leap.armed {
		n.leap.set(n.Status.Leap, n.unixSeconds())
	}
}

// Meddle sets the clock's rate behind the engine's back; the engine is told, as by
// a world that looks at the kernel from time to time.
func (n *Node) Meddle(f clock.Frequency) {
	n.offset, n.base = n.wallSeconds(), n.osc.read(n.w.now)
	n.freq = clock.FromKernel(clock.ToKernel(f))
	n.Tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Disturbed(now, n.freq, out) })
}

// Tell hands the engine a fact, and carries out what it wants done.
func (n *Node) Tell(fact func(e *engine.Engine, now clock.Now, out *engine.Actions)) {
	fact(n.Engine, n.Now(), &n.acts)
	n.perform()
}

// Suspend stops the node for d seconds: its monotonic clock stands, its wall
// clock goes on.
func (n *Node) Suspend(d float64) {
	before := n.osc.read(n.w.now)
	n.dead = true
	n.w.At(n.w.now+d, func() {
		n.dead = false
		n.asleep += n.osc.read(n.w.now) - before
	})
}

// unixSeconds returns what the wall clock shows, in Unix seconds.
func (n *Node) unixSeconds() float64 { return n.wallSeconds() + float64(n.w.start) }

// wake returns the true time of the engine's next deadline.
func (n *Node) wake() float64 {
	d := n.Engine.Deadline()
	if d.IsZero() || n.dead {
		return math.Inf(1)
	}
	return math.Max(n.osc.when(float64(d.Nanos())*1e-9-monoBase+n.asleep), n.w.now)
}

func (n *Node) tick() {
	n.w.now += 1e-9 // never stand still between two nanoseconds
	n.Engine.Tick(n.Now(), &n.acts)
	n.perform()
}

func (n *Node) perform() { n.Engine.Perform(n, &n.acts) }

// SetClock implements engine.World.
func (n *Node) SetClock(a *engine.Action) engine.ClockDone {
	n.watchAction(a)
	if n.host.Uncontrol {
		return engine.ClockDone{At: n.Now(), Frequency: n.freq}
	}
	n.offset, n.base = n.wallSeconds(), n.osc.read(n.w.now)
	if a.Kind == engine.ActStep {
		n.Push(float64(a.Offset))
		n.Steps++
	} else {
		n.freq = clock.FromKernel(clock.ToKernel(a.Frequency))
	}
	return engine.ClockDone{At: n.Now(), Frequency: n.freq, OK: true}
}

// Send implements engine.World.
func (n *Node) Send(e *engine.Engine, s *engine.Send, b []byte) bool {
	wall := n.Now().Wall
	e.Seal(s, b, wall)
	port := uint16(123)
	if s.Source != 0 {
		n.Sent++
		port = n.clientPort(s)
	}
	d := &datagram{from: netip.AddrPortFrom(n.host.Addr, port), to: s.To, data: append([]byte(nil), b...)}
	if !n.w.send(d) {
		return false
	}
	if n.host.Kernel && s.TxID != 0 {
		tx := engine.Transmitted{ID: s.TxID, Stamp: clock.Stamp{Time: wall, Kind: clock.StampKernel}}
		n.w.At(n.w.now, func() {
			n.Engine.Transmitted(n.Now(), &tx, &n.acts)
			n.perform()
		})
	}
	return true
}

// clientPort returns the port of the source's socket, a new one if it is to be
// fresh.
func (n *Node) clientPort(s *engine.Send) uint16 {
	if p, ok := n.socket[s.Source]; ok && !s.Fresh {
		return p
	}
	n.hangup(s.Source)
	for {
		p := uint16(32768 + n.w.rng.IntN(28000))
		if _, used := n.ports[p]; !used {
			n.ports[p], n.socket[s.Source] = s.Source, p
			return p
		}
	}
}

func (n *Node) hangup(id engine.SourceID) {
	if p, ok := n.socket[id]; ok {
		delete(n.ports, p)
		delete(n.socket, id)
	}
}

func (n *Node) watchAction(a *engine.Action) {
	if n.host.OnAction != nil {
		n.host.OnAction(n.w.now, a)
	}
}

// Do implements engine.World.
func (n *Node) Do(a *engine.Action) {
	n.watchAction(a)
	switch a.Kind {
	case engine.ActHangup:
		n.hangup(a.Source)
	case engine.ActResolve:
		n.resolve(a.Name)
	case engine.ActStatus:
		n.Status = a.Status
		if !n.host.NoLeaps && !n.host.Uncontrol {
			n.leap.set(a.Status.Leap, n.unixSeconds())
		}
	case engine.ActPublish:
		n.Snapshot = a.Snapshot
	case engine.ActDrift:
		n.Drift = a.Drift
	case engine.ActListen:
		n.listen = a.Listen
	case engine.ActExit:
		n.Exit, n.dead = a.Exit, true
	case engine.ActEvent:
		if n.host.OnEvent != nil {
			n.host.OnEvent(n.w.now, &a.Event)
		}
	}
}

// resolve answers a look-up a little later.
func (n *Node) resolve(name string) {
	n.Lookups++
	n.w.At(n.w.now+0.05, func() {
		if n.dead {
			return
		}
		r := engine.Resolved{Name: name, Addrs: n.w.names[name]}
		n.Engine.Resolved(n.Now(), &r, &n.acts)
		n.perform()
	})
}

// deliver hands a datagram to the engine if a socket is open for it.
func (n *Node) deliver(d *datagram) {
	if n.dead {
		return
	}
	in := engine.Received{From: d.from, Local: n.host.Addr, Data: d.data}
	switch id, ok := n.ports[d.to.Port()]; {
	case ok:
		in.Source = id
	case d.to.Port() != 123 || !n.listen:
		return
	}
	now := n.Now()
	in.Stamp = clock.Stamp{Time: now.Wall, Kind: clock.StampDaemon}
	if n.host.Kernel {
		in.Stamp.Kind = clock.StampKernel
	}
	n.Engine.Receive(now, &in, &n.acts)
	n.perform()
}
