// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/sim"
)

func TestDeadServer(t *testing.T) {
	l := newLab(t, plan{variant: LAN, server: func(_ int, s *sim.Server) {
		s.Dead = func(t float64) bool { return t > 6*hour && t < 10*hour }
	}})
	l.run(6 * hour)
	before := l.node.Snapshot
	if r, _ := l.assoc().Reach(); r != 0xff {
		t.Errorf("reach before: %#o, want 377", r)
	}
	l.below("error while the server is dead", l.run(10*hour), 200e-6)
	after := l.node.Snapshot
	if r, _ := l.assoc().Reach(); r != 0 {
		t.Errorf("reach after 4 h without an answer: %#o, want 0", r)
	}
	if after.Leap != ntp.LeapNone || !l.node.Status.Synchronized {
		t.Errorf("served leap %d, kernel %+v: want synchronised by the history", after.Leap, l.node.Status)
	}
	if e := math.Abs(l.node.Error()); float64(l.node.Status.MaxError) < e {
		t.Errorf("kernel maxerror %v, want above the true error %v", l.node.Status.MaxError, e)
	}
	if before.RefTime.IsZero() || after.RefTime.Sub(before.RefTime) > clock.Interval(minute*1e9) {
		t.Errorf("reference time moved by %v without an update", after.RefTime.Sub(before.RefTime))
	}
	l.run(10.5 * hour)
	l.below("error half an hour after it is back", l.run(11*hour), 10e-6)
	if r, _ := l.assoc().Reach(); r != 0xff {
		t.Errorf("reach after: %#o, want 377", r)
	}
}

// TestLiars: what a majority of liars can do at boot is bounded by the
// configuration, and a liar that others contradict is named.
func TestLiars(t *testing.T) {
	lies := func(by ...float64) func(int, *sim.Server) {
		return func(i int, s *sim.Server) {
			if i < len(by) {
				s.Offset = func(float64) float64 { return by[i] }
			}
		}
	}
	noSteps := makeStep(0, 0)
	limited := func(c *config.Config) {
		c.Clock.MaxChange = config.MaxChange{Set: true, Offset: 0.5, Ignore: 2}
	}
	tests := []struct {
		name   string
		lies   []float64
		clock  func(*config.Config)
		limit  float64 // of the clock's error after 30 min, seconds
		report engine.EventKind
		exit   engine.ExitReason
	}{
		{"they contradict each other", []float64{10, 20, -30}, nil, 0.1, engine.EvUnselected, 0},
		{"a minority", []float64{10, 10}, nil, 0.011, engine.EvFalseticker, 0},
		{"they agree, no steps", []float64{100, 100, 100}, noSteps, 30 * minute * 0.0834, engine.EvFalseticker, 0},
		{"they agree, maxchange", []float64{100, 100, 100}, limited, 0.1, engine.EvChangeFatal, engine.ExitMaxChange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := Default
			v.Clock = tt.clock
			l := newLab(t, plan{servers: 5, variant: v, server: lies(tt.lies...)})
			l.below("error of the clock", l.run(30*minute), tt.limit)
			if l.events[tt.report] == 0 {
				t.Errorf("events %v: want %d among them", l.events, tt.report)
			}
			if l.node.Exit != tt.exit {
				t.Errorf("exit %d, want %d", l.node.Exit, tt.exit)
			}
		})
	}
}

func TestNoMajorityIsUnsynchronised(t *testing.T) {
	l := newLab(t, plan{servers: 2, server: func(i int, s *sim.Server) {
		if i == 1 {
			s.Offset = func(t float64) float64 { return 5 * math.Min(1, math.Max(0, t-hour)) }
		}
	}})
	l.run(hour)
	if l.node.Snapshot.Leap != ntp.LeapNone {
		t.Fatalf("served leap %d before the lie, want 0", l.node.Snapshot.Leap)
	}
	l.below("error", l.run(2*hour), 1e-3)
	if l.node.Snapshot.Leap != ntp.LeapUnsync || l.node.Status.Synchronized {
		t.Errorf("served leap %d, kernel %+v: want unsynchronised", l.node.Snapshot.Leap, l.node.Status)
	}
	if ev := l.last[engine.EvUnselected]; ev.Outcome != selection.NoMajority {
		t.Errorf("reported outcome %d, want %d", ev.Outcome, selection.NoMajority)
	}
}

// TestEra passes the end of NTP's first era, 2036-02-07 06:28:16 UTC.
func TestEra(t *testing.T) {
	const end = 1<<32 - 2208988800
	for _, v := range []Variant{LAN, Poll0} {
		t.Run(v.Name, func(t *testing.T) {
			l := newLab(t, plan{start: end - 3600, variant: v})
			l.run(30 * minute)
			l.below("error over the end of the era", l.run(2*hour), 10e-6)
			if l.events[engine.EvJump] != 0 || l.events[engine.EvStepped] != 0 {
				t.Errorf("events %v: want no jump and no step", l.events)
			}
			if p, ok := l.assoc().Remote(); !ok || p.Transmit>>32 > 3600 {
				t.Errorf("last transmit timestamp %#x, want one of era 1", p.Transmit)
			}
		})
	}
}

func TestSuspend(t *testing.T) {
	l := newLab(t, plan{variant: LAN})
	l.w.At(2*hour, func() { l.node.Suspend(hour) })
	l.run(3*hour + 1)
	l.run(3*hour + 5*minute)
	if ev := l.last[engine.EvJump]; l.events[engine.EvJump] != 1 || math.Abs(ev.Value-hour) > 1 {
		t.Errorf("%d jumps, the last of %v s; want one of 3600 s", l.events[engine.EvJump], ev.Value)
	}
	l.run(3*hour + 20*minute)
	l.below("error from 20 min after the sleep", l.run(4*hour), 10e-6)
}

func TestHalfLost(t *testing.T) {
	for _, tt := range []struct {
		v     Variant
		limit float64
	}{{Default, 30e-6}, {LAN, 10e-6}} {
		l := newLab(t, plan{variant: tt.v})
		l.w.Link(clientAddr, serverAddr).Loss = 0.5
		l.w.Link(serverAddr, clientAddr).Loss = 0.5
		l.run(hour)
		l.below(tt.v.Name+": error with half of the packets lost each way", l.run(6*hour), tt.limit)
	}
}

// TestForeignStep: somebody else steps the clock.
func TestForeignStep(t *testing.T) {
	tests := []struct {
		name  string
		by    float64
		clock func(*config.Config)
		after float64 // seconds until the error must be small
	}{
		{"forward 1 s", 1, nil, 10 * minute},
		{"back 1 s", -1, nil, 10 * minute},
		{"forward 1e6 s", 1e6, makeStep(1, -1), 10 * minute},
		{"back 1e6 s", -1e6, makeStep(1, -1), 10 * minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := LAN
			v.Clock = tt.clock
			l := newLab(t, plan{variant: v})
			l.run(hour)
			l.node.Push(tt.by)
			l.run(hour + tt.after)
			if ev := l.last[engine.EvJump]; l.events[engine.EvJump] != 1 || math.Abs(ev.Value-tt.by) > 1e-3 {
				t.Errorf("%d jumps, the last of %v s; want one of %v s", l.events[engine.EvJump], ev.Value, tt.by)
			}
			l.below("error afterwards", l.run(hour+tt.after+30*minute), 20e-6)
		})
	}
}

func TestForeignFrequency(t *testing.T) {
	l := newLab(t, plan{variant: LAN})
	l.run(hour)
	l.node.Meddle(clock.FromPPM(80))
	l.below("error while it is found", l.run(hour+10*minute), 10e-3)
	if l.events[engine.EvInterference] != 1 {
		t.Errorf("%d reports, want 1", l.events[engine.EvInterference])
	}
	l.below("error afterwards", l.run(2*hour), 10e-6)
	l.below("error of the rate", math.Abs(l.node.RateError()), 1e-6)
}

func TestOffline(t *testing.T) {
	l := newLab(t, plan{variant: LAN})
	l.run(hour)
	switchTo := func(on bool) {
		l.node.Tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.SetOnline(now, engine.Which{}, on, out) })
	}
	switchTo(false)
	asked := l.servers[0].Requests
	l.below("error while offline", l.run(3*hour), 100e-6)
	if got := l.servers[0].Requests - asked; got != 0 {
		t.Errorf("%d requests while offline, want none", got)
	}
	switchTo(true)
	l.run(3*hour + 10*minute)
	if l.servers[0].Requests == asked {
		t.Error("no requests after going online")
	}
	l.below("error online", l.run(4*hour), 10e-6)
}

func TestInterleavedClient(t *testing.T) {
	v := Variant{Name: "xleave", Options: func(s *config.Source) { polls(0, 4)(s); s.XLeave = true }}
	l := newLab(t, plan{variant: v})
	l.run(hour)
	l.below("error", l.run(6*hour), 5e-6)
	if r, ok := l.assoc().Report(); !ok || !r.Interleaved {
		t.Errorf("the last exchange: %+v, want an interleaved one", r)
	}
	// Now and then a packet is lost; the rest stays interleaved.
	l.w.Link(serverAddr, clientAddr).Loss = 0.2
	l.below("error with loss", l.run(9*hour), 8e-6)
	c := l.assoc().Counters
	if c.Good < c.Valid/2 {
		t.Errorf("%d samples of %d valid packets, want at least half", c.Good, c.Valid)
	}
}
