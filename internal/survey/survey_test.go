// SPDX-License-Identifier: Apache-2.0

package survey_test

import (
	"math"
	"net/netip"
	"reflect"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/setup"
	"foliot/internal/sim"
	"foliot/internal/state"
	"foliot/internal/survey"
)

// client returns a simulated client of so many servers, after so many seconds.
// The clock of the last server is wrong by a second.
func client(tb testing.TB, servers int, seconds float64, change func(*config.Config)) *sim.Node {
	tb.Helper()
	w := sim.New(3)
	me := netip.MustParseAddr("10.200.0.1")
	c := config.Default()
	for i := range servers {
		s := &sim.Server{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
		if i == servers-1 {
			s.Offset = func(float64) float64 { return 1 }
		}
		w.Serve(s)
		l := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
		w.Connect(me, s.Addr, l, l)
		one := config.DefaultSource(config.KindServer, s.Addr.String())
		one.IBurst, one.MinPoll, one.MaxPoll = true, 4, 6
		c.Sources = append(c.Sources, one)
	}
	if change != nil {
		change(c)
	}
	cfg := setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: 9})
	n := w.Add(sim.Host{Addr: me, Offset: 0.01, Kernel: true, Engine: cfg})
	w.Run(seconds)
	return n
}

func TestTake(t *testing.T) {
	n := client(t, 4, 600, func(c *config.Config) {
		c.Sources[1].NoSelect = true
		c.Sources = append(c.Sources, config.DefaultSource(config.KindServer, "nowhere.test"))
	})
	var s state.State
	survey.Take(n.Engine, n.Now(), &s)
	tr := &s.Tracking
	if !tr.Synchronized || tr.Local || tr.Stratum != 2 || tr.Leap != ntp.LeapNone || tr.Updates == 0 || tr.Interval <= 0 {
		t.Errorf("tracking %+v, want synchronised at stratum 2", tr)
	}
	if age := s.Served.Sub(tr.RefTime).Seconds(); age < 0 || age > 130 {
		t.Errorf("the last update was %.0f s ago, want within two polls", age)
	}
	if !reflect.DeepEqual(s.Unsolved, []string{"nowhere.test"}) {
		t.Errorf("unsolved %q, want nowhere.test", s.Unsolved)
	}
	if len(s.Sources) != 4 {
		t.Fatalf("%d sources, want 4", len(s.Sources))
	}
	for i, want := range []selection.Status{0, selection.NotSelectable, 0, selection.Falseticker} {
		if got := s.Sources[i].Status; want != 0 && got != want {
			t.Errorf("source %d is %c, want %c", i, got, want)
		}
	}
	selected := 0
	for i := range s.Sources {
		x := &s.Sources[i]
		if x.Status == selection.Selected {
			selected++
			if x.Addr.Addr() != tr.Addr || x.Name != tr.Source || x.RefID != tr.RefID {
				t.Errorf("tracking follows %s (%s), selected is %s (%s)", tr.Addr, tr.Source, x.Addr, x.Name)
			}
		}
		check(t, x, i == 3)
	}
	if selected != 1 {
		t.Errorf("%d sources are selected, want 1", selected)
	}
}

// check looks at one source; the clock of the one that is wrong is ahead by a
// second.
func check(t *testing.T, x *state.Source, wrong bool) {
	t.Helper()
	offset := 0.0
	if wrong {
		offset = 1
	}
	m := &x.Samples
	if math.Abs(float64(m.Offset)-offset) > 1e-3 || math.Abs(float64(m.Last)-offset) > 1e-3 {
		t.Errorf("%s: offset %g, of the last sample %g, want about %g", x.Name, m.Offset, m.Last, offset)
	}
	if m.N < 4 || m.LastAge < 0 || m.LastAge > 70 || m.Span <= 0 || m.Jitter <= 0 || m.Delay < 90e-6 || m.Delay > 1e-3 {
		t.Errorf("%s: samples %+v", x.Name, m)
	}
	if x.Reach != 0xff || x.Reached != 8 || x.Stratum != 1 || x.State != state.Online || !x.HasReport || !x.Local.IsValid() {
		t.Errorf("%s: reach %o of %d, stratum %d, state %d, report %v", x.Name, x.Reach, x.Reached, x.Stratum, x.State, x.HasReport)
	}
	if c := &x.Counts; x.KernelRx != c.Received || x.KernelTx != c.Sent || c.Good == 0 {
		t.Errorf("%s: %d and %d stamps of the kernel, counts %+v", x.Name, x.KernelTx, x.KernelRx, c)
	}
}

// TestKeeps: a State does not change with what happens later.
func TestKeeps(t *testing.T) {
	n := client(t, 3, 300, nil)
	var s, same state.State
	survey.Take(n.Engine, n.Now(), &s)
	survey.Take(n.Engine, n.Now(), &same)
	if !reflect.DeepEqual(s, same) {
		t.Fatal("two states of one moment differ")
	}
	n.Engine.Disturbed(n.Now(), clock.FromPPM(5), new(engine.Actions))
	var later state.State
	survey.Take(n.Engine, n.Now(), &later)
	if !reflect.DeepEqual(s, same) {
		t.Error("a state changed")
	}
	if later.Tracking.Synchronized || later.Sources[0].Samples.N != 0 {
		t.Errorf("after a disturbance: synchronised %v, %d samples", later.Tracking.Synchronized, later.Sources[0].Samples.N)
	}
}

// TestUnsynchronised takes a state before there was an answer.
func TestUnsynchronised(t *testing.T) {
	n := client(t, 2, 0, nil)
	var s state.State
	survey.Take(n.Engine, n.Now(), &s)
	tr := &s.Tracking
	if tr.Synchronized || tr.Source != "" || tr.Addr.IsValid() || tr.Stratum != 0 || tr.Leap != ntp.LeapUnsync || !tr.RefTime.IsZero() {
		t.Errorf("tracking %+v, want nothing", tr)
	}
	if x := &s.Sources[0]; x.HasReport || x.Samples.LastAge >= 0 || x.Lo != 0 || x.Hi != 0 {
		t.Errorf("source %+v, want no samples", x)
	}
}

func TestLocal(t *testing.T) {
	n := client(t, 1, 1, func(c *config.Config) {
		c.Sources = nil
		c.Local.Enabled, c.Local.Stratum = true, 7
		c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 400, MaxWander: 0.01}
	})
	var s state.State
	survey.Take(n.Engine, n.Now(), &s)
	if tr := &s.Tracking; tr.Synchronized || !tr.Local || tr.Stratum != 7 || tr.RefID != ntp.RefIDLocal {
		t.Errorf("tracking %+v, want local at stratum 7", tr)
	}
	if s.Smooth.Active || s.Smooth.LeapOnly {
		t.Errorf("smoothing %+v, want inactive", s.Smooth)
	}
}

func BenchmarkTake1000(b *testing.B) {
	n := client(b, 1000, 40, nil)
	now := n.Now()
	var s state.State
	b.ReportAllocs()
	for b.Loop() {
		survey.Take(n.Engine, now, &s)
	}
}
