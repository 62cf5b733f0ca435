// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"testing"

	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/setup"
	"foliot/internal/sim"
)

// TestLocal looks at what is served at some times.
func TestLocal(t *testing.T) {
	const never = 1e9
	tests := []struct {
		name   string
		local  config.Local
		dead   float64           // until then, and from 5000 s on
		strata map[float64]uint8 // by time; 0 stands for unsynchronised
	}{
		{"at once", config.Local{Stratum: 7, Distance: 1}, 1000, map[float64]uint8{100: 7, 2000: 2}},
		{"never synchronised, activate", config.Local{Stratum: 7, Distance: 1, Activate: 0.5}, never, map[float64]uint8{100: 0, 40000: 0}},
		{"waitunsynced", config.Local{Stratum: 7, Distance: 1, WaitUnsynced: 300}, never, map[float64]uint8{250: 0, 350: 7}},
		{"distance grows over the limit", config.Local{Stratum: 7, Distance: 0.01}, 1000, map[float64]uint8{4950: 2, 5100: 2, 20000: 7}},
		{"activate met before", config.Local{Stratum: 7, Distance: 0.01, Activate: 0.005}, 1000, map[float64]uint8{100: 0, 4950: 2, 20000: 7}},
		{"waitsynced", config.Local{Stratum: 7, Distance: 0.01, WaitSynced: 20000}, 1000, map[float64]uint8{4950: 2, 20000: 2, 26000: 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, s := world(1)
			s[0].Dead = func(t float64) bool { return t < tt.dead || t > 5000 }
			l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), func(c *config.Config) {
				c.Local = tt.local
				c.Local.Enabled = true
			})})
			for at := 50.0; at <= 40000; at += 50 {
				w.Run(at)
				l.checkServed(tt.strata)
			}
		})
	}
}

// checkServed compares the stratum that is served now, 0 if not synchronised.
func (l *lab) checkServed(strata map[float64]uint8) {
	want, ok := strata[l.w.Now()]
	if !ok {
		return
	}
	s := l.node.Snapshot
	got := s.Stratum
	if s.Leap == ntp.LeapUnsync {
		got = 0
		if s.RootDelay != 1 || s.RootDisp != 1 || s.DispRate != 0 {
			l.t.Errorf("not synchronised, with root delay %v, dispersion %v; want 1, 1", s.RootDelay, s.RootDisp)
		}
	}
	if got != want {
		l.t.Errorf("at %v s: stratum %d, want %d (0: not synchronised)", l.w.Now(), got, want)
	}
	if local := s.RefID == ntp.RefIDLocal; local != (got == 7) {
		l.t.Errorf("at %v s: reference ID %#x with stratum %d", l.w.Now(), s.RefID, got)
	}
}

// TestOrphans: of isolated servers in orphan mode the one with the smallest
// reference ID leads, and the others follow it.
func TestOrphans(t *testing.T) {
	w := sim.New(4)
	var nodes []*sim.Node
	link := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
	for i := range byte(3) {
		for j := range i {
			w.Connect(addrOf(20+i), addrOf(20+j), link, link)
		}
	}
	for i := range byte(3) {
		c := config.Default()
		c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
		c.Local.Enabled, c.Local.Orphan, c.Local.Stratum, c.Local.WaitUnsynced = true, true, 10, 60
		c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
		for j := range byte(3) {
			if j != i {
				s := config.DefaultSource(config.KindServer, addrOf(20+j).String())
				s.MinPoll, s.MaxPoll, s.IBurst = 4, 6, true
				c.Sources = append(c.Sources, s)
			}
		}
		nodes = append(nodes, w.Add(sim.Host{
			Addr: addrOf(20 + i), Offset: float64(i) * 0.1, Oscillator: sim.Oscillator{Rate: float64(i) * 10e-6, Wander: 1e-10}, Kernel: true,
			Engine: setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: uint64(i) + 1}),
		}))
	}
	w.Run(3 * 3600)
	leader := nodes[0]
	if s := leader.Snapshot; s.Stratum != 10 || s.RefID != ntp.RefIDLocal {
		t.Errorf("the leader serves stratum %d, reference ID %#x; want 10 and the local one", s.Stratum, s.RefID)
	}
	for i, n := range nodes[1:] {
		if s := n.Snapshot; s.Stratum != 11 || s.RefID != ntp.RefIDOf(addrOf(20)) {
			t.Errorf("orphan %d serves stratum %d, reference ID %#x; want 11 and %#x", i+1, s.Stratum, s.RefID, ntp.RefIDOf(addrOf(20)))
		}
		if d := n.Error() - leader.Error(); math.Abs(d) > 50e-6 {
			t.Errorf("orphan %d is %v off the leader, want within 50 us", i+1, d)
		}
	}
}

// TestSmoothTime: a correction of our clock reaches the clients slowly, and at
// last wholly.
func TestSmoothTime(t *testing.T) {
	w, s := world(1)
	s[0].Offset = func(t float64) float64 {
		if t < 4*3600 {
			return 0
		}
		return 10e-3
	}
	l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), func(c *config.Config) {
		c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 50, MaxWander: 0.01}
	})})
	w.Run(4 * 3600)
	l.below("error in answers before", l.node.GivenError(), 50e-6)
	if l.node.Snapshot.RefID != ntp.RefIDSmooth {
		t.Fatalf("reference ID %#x, want that of smoothed time", l.node.Snapshot.RefID)
	}
	last, fastest := l.node.GivenError(), 0.0
	for w.Now() < 8*3600 {
		w.Run(w.Now() + 1)
		d := math.Abs(l.node.GivenError() - last)
		last = l.node.GivenError()
		fastest = max(fastest, d)
	}
	if fastest > 55e-6 {
		t.Errorf("answers moved by up to %.3g s in a second, want at most 50e-6", fastest)
	}
	l.below("error of the clock against the server", l.node.Error()-10e-3, 50e-6)
	l.below("error in answers against the server", last-10e-3, 50e-6)
}

// TestPort: the server port is open while somebody may ask.
func TestPort(t *testing.T) {
	w, _ := world(1)
	closed := func(c *config.Config) { c.Server.Access = nil }
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), closed)})
	if l.node.Engine.Listening() {
		t.Error("the port is open without an access rule")
	}
	l.reload(servers("10.0.0.1"))
	if !l.node.Engine.Listening() {
		t.Error("the port is closed with allow all")
	}
	l.reload(all(servers("10.0.0.1"), closed))
	if l.node.Engine.Listening() {
		t.Error("the port is open after a reload without an access rule")
	}
	if n := l.count(engine.EvRemoved); n != 0 {
		t.Errorf("%d sources removed by reloads, want none", n)
	}
}
