// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/drifts"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/setup"
	"foliot/internal/sim"
)

var fast = sim.Oscillator{Rate: 20e-6, Wander: 1e-10}

func makestep(threshold float64, limit int) func(*config.Config) {
	return func(c *config.Config) { c.Clock.StepThreshold, c.Clock.StepLimit = threshold, limit }
}

func TestMakeStep(t *testing.T) {
	tests := []struct {
		name      string
		threshold float64
		limit     int
		offset    float64
		steps     int
		within    float64 // seconds until the clock is right
	}{
		{"above the threshold", 1, 3, 5, 1, 60},
		{"behind", 1, 3, -5, 1, 60},
		{"below the threshold", 1, 3, 0.5, 0, 120},
		{"no update may step", 1, 0, 5, 0, 240},
		{"years", 1, 3, 1e9, 1, 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := world(1)
			l := newLab(t, w, options{config: all(servers("10.0.0.1"), makestep(tt.threshold, tt.limit)), osc: fast, offset: tt.offset})
			w.Run(tt.within)
			l.below("error", l.node.Error(), 1e-3)
			if l.node.Steps != tt.steps || l.count(engine.EvStepped) != tt.steps {
				t.Errorf("%d steps, %d reported, want %d", l.node.Steps, l.count(engine.EvStepped), tt.steps)
			}
			w.Run(3600)
			l.below("error after an hour", l.node.Error(), 20e-6)
		})
	}
}

// TestMakeStepLimit: the server steps when the limit of updates is used up, and
// when there is no limit.
func TestMakeStepLimit(t *testing.T) {
	for limit, steps := range map[int]int{3: 0, -1: 1} {
		w, all1 := world(1)
		all1[0].Offset = func(t float64) float64 {
			if t < 3600 {
				return 0
			}
			return 2
		}
		l := newLab(t, w, options{config: all(servers("10.0.0.1"), makestep(1, limit)), osc: fast})
		w.Run(2 * 3600)
		if l.node.Steps != steps {
			t.Errorf("makestep 1 %d: %d steps, want %d", limit, l.node.Steps, steps)
		}
		l.below("error against the server", l.node.Error()-2, 1e-3)
		if l.count(engine.EvClockWrong)+l.count(engine.EvStepped) == 0 {
			t.Errorf("makestep 1 %d: nothing was reported", limit)
		}
	}
}

func TestMaxChange(t *testing.T) {
	tests := []struct {
		name    string
		change  config.MaxChange
		step    float64 // of the server after an hour
		ignored bool
		exit    engine.ExitReason
		follows bool
	}{
		{"within", config.MaxChange{Set: true, Offset: 1, Start: 1, Ignore: 2}, 0.5, false, 0, true},
		{"beyond, then exit", config.MaxChange{Set: true, Offset: 1, Start: 1, Ignore: 2}, 5, true, engine.ExitMaxChange, false},
		{"beyond, ignored for ever", config.MaxChange{Set: true, Offset: 1, Start: 1, Ignore: -1}, 5, true, 0, false},
		{"not yet checked", config.MaxChange{Set: true, Offset: 1, Start: 100000}, 5, false, 0, true},
		{"none", config.MaxChange{}, 5, false, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, s := world(1)
			s[0].Offset = func(t float64) float64 {
				if t < 3600 {
					return 0
				}
				return tt.step
			}
			l := newLab(t, w, options{config: all(servers("10.0.0.1"), func(c *config.Config) { c.Clock.MaxChange = tt.change }), osc: fast})
			w.Run(2 * 3600)
			want := 0.0
			if tt.follows {
				want = tt.step
			}
			l.below("error against what is to be followed", l.node.Error()-want, 0.01)
			if got := l.count(engine.EvChangeIgnored) > 0; got != tt.ignored {
				t.Errorf("ignored: %v, want %v", got, tt.ignored)
			}
			if l.node.Exit != tt.exit {
				t.Errorf("exit %d, want %d", l.node.Exit, tt.exit)
			}
		})
	}
}

// TestUncontrolled: with -x the clock stays as it is, and what is served is right.
func TestUncontrolled(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast, offset: 7, free: true})
	w.Run(3600)
	for w.Now() < 4*3600 {
		w.Run(w.Now() + 7)
		l.below("served error", l.node.ServedError(), 15e-6)
		l.below("error in answers", l.node.GivenError(), 15e-6)
	}
	if got, want := l.node.Error(), 7+4*3600*20e-6; math.Abs(got-want) > 1e-3 || l.node.Steps != 0 {
		t.Errorf("the clock is off by %v after %d steps, want %v, untouched", got, l.node.Steps, want)
	}
	if l.node.Snapshot.Leap != ntp.LeapNone || l.node.Snapshot.Stratum != 2 {
		t.Errorf("served: %+v, want synchronised at stratum 2", l.node.Snapshot)
	}
}

func TestOneShot(t *testing.T) {
	tests := []struct {
		name   string
		offset float64
		free   bool
		spoil  func(*sim.Server)
		server string
		exit   engine.ExitReason
		right  float64 // error of the clock at the end
		within float64
	}{
		{"sets the clock", 0.3, false, nil, "10.0.0.1", engine.ExitDone, 0, 1e-3},
		{"from afar", -1e8, false, nil, "10.0.0.1", engine.ExitDone, 0, 1e-3},
		{"only looks", 0.3, true, nil, "10.0.0.1", engine.ExitDone, 0.3, 1e-2},
		{"no answer", 0.3, false, func(s *sim.Server) { s.Dead = func(float64) bool { return true } }, "10.0.0.1", engine.ExitNoSource, 0.3, 1e-2},
		{"not synchronised", 0.3, false, func(s *sim.Server) { s.Leap = ntp.LeapUnsync }, "10.0.0.1", engine.ExitNoSource, 0.3, 1e-2},
		{"unknown name", 0.3, false, nil, "nowhere.example", engine.ExitNoSource, 0.3, 1e-2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, s := world(1)
			if tt.spoil != nil {
				tt.spoil(s[0])
			}
			l := newLab(t, w, options{config: servers(tt.server), osc: fast, offset: tt.offset, free: tt.free, oneShot: true})
			for w.Now() < 120 && l.node.Exit == 0 {
				w.Run(w.Now() + 0.1)
			}
			if l.node.Exit != tt.exit {
				t.Fatalf("exit %d after %.1f s, want %d", l.node.Exit, w.Now(), tt.exit)
			}
			l.below("error of the clock", l.node.Error()-tt.right, tt.within)
			ev := l.latest(engine.EvInitialOffset)
			if tt.exit == engine.ExitDone && math.Abs(ev.ev.Value+tt.offset) > 1e-2 {
				t.Errorf("reported offset %v, want %v", ev.ev.Value, -tt.offset)
			}
			if stepped := ev.ev.Count == 1; tt.exit == engine.ExitDone && stepped == tt.free {
				t.Errorf("reported a step: %v, with free %v", stepped, tt.free)
			}
		})
	}
}

// TestFallbackDrift: without a source the clock runs at the mean of its past, not
// at the last estimate.
func TestFallbackDrift(t *testing.T) {
	w, s := world(1)
	s[0].Dead = func(t float64) bool { return t > 12*3600 }
	l := newLab(t, w, options{osc: sim.Oscillator{Rate: 20e-6, Amplitude: 1e-6, Period: 2 * 3600}, config: all(servers("10.0.0.1"),
		func(c *config.Config) { c.Clock.FallbackDrift = config.FallbackDrift{Min: 10, Max: 13} })})
	w.Run(12 * 3600)
	if n := l.count(engine.EvFallback); n != 0 {
		t.Errorf("%d fallbacks while synchronised, want none", n)
	}
	w.Run(15 * 3600)
	var spans []int
	for _, h := range l.events {
		if h.ev.Kind == engine.EvFallback {
			spans = append(spans, h.ev.Count)
		}
	}
	if len(spans) != 4 || spans[0] != 10 || spans[3] != 13 {
		t.Errorf("fallbacks of 2^%v s, want 10, 11, 12, 13", spans)
	}
	if f := l.latest(engine.EvFallback).ev.Value; math.Abs(f+20e-6) > 0.4e-6 {
		t.Errorf("the longest mean is %.3g, want -20e-6 within 0.4e-6", f)
	}
}

// TestTemperature: the compensation replaces the one before; a wild reading is
// ignored; the drift file does not hold the compensation.
func TestTemperature(t *testing.T) {
	w, _ := world(1)
	files := setup.Files{TempComp: drifts.NewPolynomial(drifts.Polynomial{T0: 20, K1: 0.1})}
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast, files: files})
	heat := func(v float64) {
		l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Temperature(now, v, out) })
	}
	w.Run(4 * 3600)
	f0 := l.node.Engine.Tracking(l.node.Now()).Frequency
	heat(30)
	f1 := l.node.Engine.Tracking(l.node.Now()).Frequency
	if d := float64(f1 - f0); math.Abs(d-1e-6) > 1e-10 {
		t.Errorf("10 degrees more: the frequency moved by %v, want 1e-6", d)
	}
	l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Stop(now, out) })
	if d := float64(l.node.Drift.Frequency - f0); math.Abs(d) > 1e-10 {
		t.Errorf("the drift file would hold %v more than without compensation, want 0", d)
	}
	heat(20)
	if d := float64(l.node.Engine.Tracking(l.node.Now()).Frequency - f0); math.Abs(d) > 1e-10 {
		t.Errorf("back at 20 degrees: the frequency is off by %v, want 0", d)
	}
	heat(1000)
	if l.count(engine.EvTemperatureWild) != 1 || l.count(engine.EvTemperature) != 2 {
		t.Errorf("%d wild readings, %d others, want 1 and 2", l.count(engine.EvTemperatureWild), l.count(engine.EvTemperature))
	}
}

// TestDrift: what one run remembers, the next begins with.
func TestDrift(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast})
	w.Run(6 * 3600)
	if n := len(l.drifts); n < 4 || n > 6 {
		t.Errorf("remembered %d times in 6 h, want hourly", n)
	}
	d := l.drifts[len(l.drifts)-1]
	if math.Abs(float64(d.Frequency)+20e-6) > 0.1e-6 || !(d.Skew > 0 && d.Skew < 1e-6) {
		t.Errorf("remembered %+v, want -20e-6 within 1e-7", d)
	}
	w2, s := world(1)
	s[0].Dead = func(float64) bool { return true }
	l2 := newLab(t, w2, options{config: servers("10.0.0.1"), osc: fast, files: setup.Files{Drift: &d}})
	w2.Run(3600)
	l2.below("error after an hour without a server", l2.node.Error(), 1e-3)
	l2.below("error of the rate", l2.node.RateError(), 0.2e-6)
}

// TestStop: no slew goes on without the daemon.
func TestStop(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), makestep(0, 0)), osc: fast, offset: 5})
	w.Run(15)
	l.below("rate of the slew", l.node.RateError()+1.0/12, 0.01)
	l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Stop(now, out) })
	l.below("error of the rate after the stop", l.node.RateError(), 100e-6)
}
