// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
	"foliot/internal/sim"
)

// diary is the hash of all that two engines do.
type diary struct {
	h hash.Hash
	n int
}

func (d *diary) number(v ...float64) {
	for _, x := range v {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], math.Float64bits(x))
		d.h.Write(b[:])
	}
	d.n++
}

// action writes down what the world is asked to do: clock orders, look-ups,
// events, and what is served.
func (d *diary) action(t float64, a *engine.Action) {
	d.number(t, float64(a.Kind), float64(a.Source), float64(a.Frequency), float64(a.Base), float64(a.Offset))
	d.number(float64(a.Event.Kind), a.Event.Value, float64(a.Event.Source.ID), float64(a.Status.MaxError))
	fmt.Fprint(d.h, a.Name, a.Snapshot, a.Drift, a.Exit, a.Listen)
}

// chronicle runs an hour of two peers with servers, a pool, a liar, loss, and an
// interleaved source, and returns the hash of all datagrams and actions.
func chronicle(seed uint64) (sum string, entries int) {
	d := &diary{h: sha256.New()}
	w, servers := world(6)
	servers[2].Offset = func(float64) float64 { return 3 }
	servers[3].Dead = func(t float64) bool { return math.Mod(t, 600) < 200 }
	w.Link(addrOf(1), nodeAddr).Loss = 0.3
	w.Link(addrOf(2), nodeAddr).Duplicate = 0.3
	w.Name("pool.example", addrOf(3), addrOf(4), addrOf(5), addrOf(6))
	other := addrOf(101)
	l := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
	w.Connect(nodeAddr, other, l, l)
	w.Tap = func(from, to netip.AddrPort, data []byte) {
		d.number(w.Now())
		fmt.Fprint(d.h, from, to)
		d.h.Write(data)
	}
	add := func(addr, peer netip.Addr, change func(*config.Config)) *sim.Node {
		c := config.Default()
		c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
		p := config.DefaultSource(config.KindPeer, peer.String())
		p.MinPoll, p.MaxPoll, p.XLeave = 4, 6, true
		c.Server.Broadcasts = []config.Broadcast{{Interval: 60, Dest: network}, {Interval: 60, Dest: group}}
		c.Sources = append(c.Sources, p)
		change(c)
		return w.Add(sim.Host{
			Addr: addr, Oscillator: sim.Oscillator{Rate: 20e-6, Wander: 1e-9}, Offset: 1.5, Kernel: true, OnAction: d.action,
			Engine: setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: seed}),
		})
	}
	node := add(nodeAddr, other, func(c *config.Config) {
		pool("pool.example", 3, nil)(c)
		all := append(c.Sources, config.DefaultSource(config.KindServer, "10.0.0.1"), config.DefaultSource(config.KindServer, "10.0.0.2"))
		all[len(all)-1].XLeave = true
		c.Sources = all
	})
	add(other, nodeAddr, func(*config.Config) {})
	meddle(w, node, d)
	w.Run(3600)
	return fmt.Sprintf("%x", d.h.Sum(nil)), d.n
}

// meddle gives the node a command every four minutes.
func meddle(w *sim.World, node *sim.Node, d *diary) {
	l := &lab{node: node}
	added := config.DefaultSource(config.KindServer, "ntp.example")
	w.Name("ntp.example", addrOf(2), addrOf(3))
	for i, c := range []command{
		l.adding(added), deleting(addrOf(5)), online(false, addrOf(1)), online(true), doffset(0.5), step, dfreq(1e-6),
		func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetManual(now, true, out)
		},
		func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			_, a := e.SetTime(now, e.ServedAt(now).Add(clock.Second), out)
			return a
		},
		func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Refresh(now, out) },
		func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.ResetSources(now, out)
		},
		func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.Burst(now, engine.Which{}, 2, 5, out)
		},
	} {
		w.At(float64(i+1)*240, func() { d.number(float64(l.obey(c))) })
	}
}

// TestDeterminism: the same seed and the same facts give the same actions, octet
// for octet, whatever order maps are walked in; another seed gives others.
func TestDeterminism(t *testing.T) {
	first, n := chronicle(1)
	if n < 1000 {
		t.Errorf("%d entries in the diary of an hour, want at least 1000", n)
	}
	for range 4 {
		if again, m := chronicle(1); again != first || m != n {
			t.Errorf("seed 1 again: %s in %d entries, want %s in %d", again, m, first, n)
		}
	}
	if other, _ := chronicle(2); other == first {
		t.Errorf("seed 2: the same %s as seed 1", other)
	}
}
