// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/setup"
	"foliot/internal/sim"
)

// localAs returns a change that serves the local clock as l says.
func localAs(l config.Local) func(*config.Config) {
	l.Enabled = true
	return func(c *config.Config) { c.Local = l }
}

// switched runs until the node begins or ends to serve its local clock, and
// returns the time, to a tenth of a second.
func (l *lab) switched(end float64) float64 {
	was := l.onLocal()
	for l.w.Now() < end {
		l.w.Run(l.w.Now() + 0.1)
		if l.onLocal() != was {
			return l.w.Now()
		}
	}
	return math.Inf(1)
}

func (l *lab) onLocal() bool { return l.node.Snapshot.RefID == ntp.RefIDLocal }

// near fails the test if got is not want give or take tol.
func (l *lab) near(what string, got, want, tol float64) {
	l.t.Helper()
	if !(math.Abs(got-want) <= tol) {
		l.t.Errorf("%s at %.1f s, want %.1f +- %.1f", what, got, want, tol)
	}
}

// TestLocalServed looks at all that is served in each state: not synchronised,
// local, synchronised, and local again.
func TestLocalServed(t *testing.T) {
	w, s := world(1)
	s[0].Dead = func(t float64) bool { return t < 100 || t > 2000 }
	l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), localAs(config.Local{Stratum: 7, Distance: 0.01, WaitUnsynced: 50}))})
	look := func(at float64, leap ntp.Leap, stratum uint8, id ntp.RefID, delay, disp, rate float64) {
		t.Helper()
		w.Run(at)
		g := l.node.Snapshot
		if g.Leap != leap || g.Stratum != stratum || g.RefID != id {
			t.Errorf("at %v s: leap %d, stratum %d, reference ID %08X; want %d, %d, %08X", at, g.Leap, g.Stratum, uint32(g.RefID), leap, stratum, uint32(id))
		}
		if math.Abs(g.RootDelay-delay) > 0.1*delay || math.Abs(g.RootDisp-disp) > disp || disp == 1 && g.RootDisp != 1 || math.Abs(g.DispRate-rate) > 0.9*rate {
			t.Errorf("at %v s: root delay %v, dispersion %v growing by %v; want about %v, %v, %v", at, g.RootDelay, g.RootDisp, g.DispRate, delay, disp, rate)
		}
		age := l.node.Engine.ServedAt(l.node.Now()).Sub(g.RefTime).Seconds()
		switch {
		case leap == ntp.LeapUnsync && !g.RefTime.IsZero():
			t.Errorf("at %v s: a reference time although not synchronised", at)
		case id == ntp.RefIDLocal && !(age >= 1 && age <= 17.1):
			t.Errorf("at %v s: the local reference time is %v s ago, want 1 to 17", at, age)
		case stratum == 2 && !(age >= 0 && age < 70):
			t.Errorf("at %v s: the reference time is %v s ago, want up to a poll", at, age)
		}
		if known := at >= 1900; l.node.Status.Synchronized != known {
			t.Errorf("at %v s: the kernel is told %v, want %v: whatever is served, it knows how good the clock is", at, !known, known)
		}
	}
	look(49, ntp.LeapUnsync, 0, 0, 1, 1, 0)
	look(51, ntp.LeapNone, 7, ntp.RefIDLocal, 0, 0, 0)
	look(99, ntp.LeapNone, 7, ntp.RefIDLocal, 0, 0, 0)
	look(1900, ntp.LeapNone, 2, ntp.RefIDOf(addrOf(1)), 105e-6, 50e-6, 2e-6)
	l.switched(40000)
	look(math.Ceil(w.Now()), ntp.LeapNone, 7, ntp.RefIDLocal, 0, 0, 0)
}

// TestLocalOnTime: the local clock is served from the very time on at which its
// conditions are met.
func TestLocalOnTime(t *testing.T) {
	w, s := world(1)
	s[0].Dead = func(t float64) bool { return t > 1000 }
	l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), localAs(config.Local{Stratum: 7, WaitSynced: 333}))})
	l.near("local at the start", l.w.Now(), 0, 0)
	if !l.onLocal() {
		t.Error("waitunsynced 0: not local at the start")
	}
	if at := l.switched(300); at > 60 {
		t.Errorf("local until %v s, want until the first update", at)
	}
	w.Run(1100)
	last := l.latest(engine.EvTracking).at
	l.near("waitsynced 333", l.switched(5000), last+333, 0.2)

	l.reload(all(servers("10.0.0.1"), localAs(config.Local{Stratum: 7, Distance: 0.02})))
	if l.onLocal() {
		t.Error("local after a reload with a larger distance")
	}
	track := func() engine.Tracking { return l.node.Engine.Tracking(l.node.Now()) }
	now, d := w.Now(), track().MaxError
	w.Run(now + 1000)
	want := now + (0.02-d)/(track().MaxError-d)*1000
	l.near("distance 0.02", l.switched(100000), want, 1)
	l.below("root distance then", track().MaxError-0.02, 1e-6)
}

// TestLocalAfterLoss: a clock whose sources contradict each other, or that
// somebody moved, waits anew.
func TestLocalAfterLoss(t *testing.T) {
	local := localAs(config.Local{Stratum: 7, Distance: 1, WaitUnsynced: 200})
	t.Run("no majority", func(t *testing.T) {
		w, s := world(2)
		s[1].Offset = func(t float64) float64 {
			if t < 1000 {
				return 0
			}
			return 5
		}
		l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1", "10.0.0.2"), local)})
		w.Run(1000)
		if st := l.node.Snapshot.Stratum; st != 2 {
			t.Fatalf("stratum %d while both servers agree, want 2", st)
		}
		at := l.switched(5000)
		l.near("local", at, l.latest(engine.EvUnselected).at+200, 0.2)
	})
	t.Run("foreign step", func(t *testing.T) {
		w, s := world(1)
		s[0].Dead = func(t float64) bool { return t > 1000 }
		l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), local)})
		w.Run(1200)
		l.node.Push(10)
		l.near("local", l.switched(5000), l.latest(engine.EvJump).at+200, 0.2)
	})
}

// TestLocalActivate: local waits until the clock was once good enough, and that
// stays so.
func TestLocalActivate(t *testing.T) {
	for _, tt := range []struct {
		name     string
		activate float64
		local    bool
	}{{"met", 0.05, true}, {"never met", 1e-6, false}} {
		t.Run(tt.name, func(t *testing.T) {
			w, s := world(1)
			s[0].Dead = func(t float64) bool { return t < 500 || t > 1000 }
			l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), localAs(config.Local{Stratum: 7, Distance: 0.1, Activate: tt.activate}),
				func(c *config.Config) { c.Clock.MaxClockError = 100 })})
			if at := l.switched(1000); !math.IsInf(at, 1) {
				t.Errorf("local at %v s, before the clock lost its server", at)
			}
			if at := l.switched(1000 + 0.1/100e-6); math.IsInf(at, 1) == tt.local {
				t.Errorf("local at %v s, want local %v within %v s", at, tt.local, 0.1/100e-6)
			}
			l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) {
				l.node.Push(100)
				e.Tick(l.node.Now(), out)
			})
			if got := l.onLocal(); got != tt.local {
				t.Errorf("after a foreign step local is %v, want %v", got, tt.local)
			}
		})
	}
}

// TestOrphanTakeover: when the leader of three orphans cannot be reached, the
// second takes over, and the third follows that one; all follow the leader again
// when it is back.
func TestOrphanTakeover(t *testing.T) {
	w := sim.New(8)
	link := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
	var nodes [3]*sim.Node
	for i := range byte(3) {
		for j := range i {
			w.Connect(addrOf(20+i), addrOf(20+j), link, link)
		}
	}
	for i := range byte(3) {
		c := config.Default()
		c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
		c.Local = config.Local{Enabled: true, Orphan: true, Stratum: 5, WaitSynced: 150}
		c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
		for j := range byte(3) {
			if j != i {
				s := config.DefaultSource(config.KindServer, addrOf(20+j).String())
				s.MinPoll, s.MaxPoll = 4, 4
				c.Sources = append(c.Sources, s)
			}
		}
		nodes[i] = w.Add(sim.Host{
			Addr: addrOf(20 + i), Offset: float64(i) * 0.01, Kernel: true,
			Engine: setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: uint64(i) + 1}),
		})
	}
	cut := func(loss float64) {
		for i := range byte(2) {
			w.Link(addrOf(20), addrOf(21+i)).Loss = loss
			w.Link(addrOf(21+i), addrOf(20)).Loss = loss
		}
	}
	check := func(what string, want ...ntp.RefID) {
		t.Helper()
		for i, n := range nodes {
			stratum := uint8(6)
			if want[i] == ntp.RefIDLocal {
				stratum = 5
			}
			if s := n.Snapshot; s.Leap != ntp.LeapNone || s.Stratum != stratum || s.RefID != want[i] {
				t.Errorf("%s: orphan %d serves leap %d, stratum %d, reference ID %08X; want 0, %d, %08X",
					what, i, s.Leap, s.Stratum, uint32(s.RefID), stratum, uint32(want[i]))
			}
		}
	}
	first, second := ntp.RefIDOf(addrOf(20)), ntp.RefIDOf(addrOf(21))
	w.Run(1000)
	check("all there", ntp.RefIDLocal, first, first)
	cut(1)
	w.Run(1100)
	check("the leader is just gone", ntp.RefIDLocal, first, first)
	w.Run(2000)
	check("the leader is gone", ntp.RefIDLocal, ntp.RefIDLocal, second)
	cut(0)
	w.Run(3000)
	check("the leader is back", ntp.RefIDLocal, first, first)
}

// TestOrphanOneShot: -q and -Q take what time there is, also from an orphan that
// would have to follow us.
func TestOrphanOneShot(t *testing.T) {
	for _, once := range []bool{false, true} {
		w := sim.New(5)
		w.Serve(&sim.Server{Addr: addrOf(200), Stratum: 10})
		link := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
		w.Connect(nodeAddr, addrOf(200), link, link)
		l := newLab(t, w, options{oneShot: once, offset: 3, config: all(servers("10.0.0.200"), localAs(config.Local{Orphan: true, Stratum: 10}))})
		w.Run(60)
		if n := l.count(engine.EvInitialOffset); (n == 1) != once {
			t.Errorf("one-shot %v: %d initial offsets", once, n)
		}
		if n := l.count(engine.EvSelected); (n > 0) != once {
			t.Errorf("one-shot %v: the orphan was selected %d times", once, n)
		}
	}
}
