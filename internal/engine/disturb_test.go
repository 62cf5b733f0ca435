// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/sim"
)

// slewing starts a node whose clock is 20 s ahead and may not be stepped, and
// runs it until it slews at full rate.
func slewing(t *testing.T) (*sim.World, *lab, func()) {
	t.Helper()
	w, servers := world(1)
	dead := false
	servers[0].Dead = func(float64) bool { return dead }
	l := newLab(t, w, options{offset: 20, config: func(c *config.Config) {
		s := config.DefaultSource(config.KindServer, "10.0.0.1")
		s.IBurst = true
		c.Clock.StepLimit = 0
		c.Sources = append(c.Sources, s)
	}})
	w.Run(30)
	if r := l.node.RateError(); math.Abs(r) < 0.05 {
		t.Fatalf("rate %g at 30 s, want that of a slew of 20 s", r)
	}
	return w, l, func() { dead = true }
}

// A clock that somebody moved in the middle of a slew must not go on slewing:
// nobody knows any more where to.
func TestJumpEndsSlew(t *testing.T) {
	disturb := map[string]func(*sim.World, *lab){
		"step":    func(_ *sim.World, l *lab) { l.node.Push(5) },
		"suspend": func(_ *sim.World, l *lab) { l.node.Suspend(3600) },
	}
	for name, do := range disturb {
		t.Run(name, func(t *testing.T) {
			w, l, kill := slewing(t)
			do(w, l)
			kill()
			w.Run(w.Now() + 3700)
			if r := l.node.RateError(); math.Abs(r) > 1e-4 {
				t.Errorf("rate %g an hour later, want the base rate", r)
			}
		})
	}
}

// Whatever happened before, the clock runs at its base rate when the daemon has
// left.
func TestStopEndsSlew(t *testing.T) {
	_, l, _ := slewing(t)
	l.node.Tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Stop(now, out) })
	if r := l.node.RateError(); math.Abs(r) > 1e-4 {
		t.Errorf("rate %g after Stop, want the base rate", r)
	}
}

// A rate that somebody else set is set back at once, and the clock is
// synchronised again as soon as there are samples.
func TestForeignRateIsUndone(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: func(c *config.Config) {
		s := config.DefaultSource(config.KindServer, "10.0.0.1")
		s.IBurst = true
		c.Sources = append(c.Sources, s)
	}})
	w.Run(7200)
	l.node.Meddle(30e-6)
	w.Run(7201)
	if r := l.node.RateError(); math.Abs(r) > 1e-6 {
		t.Errorf("rate %g after another program set 30 ppm, want ours", r)
	}
	w.Run(9000)
	if !l.node.Engine.Tracking(l.node.Now()).Synchronized || math.Abs(l.node.Error()) > 1e-3 {
		t.Errorf("error %g s half an hour later, want synchronised within 1 ms", l.node.Error())
	}
}

// A server that answers nothing but kisses of death is not reachable.
func TestKissesAreNoAnswers(t *testing.T) {
	w, servers := world(1)
	l := newLab(t, w, options{config: func(c *config.Config) {
		s := config.DefaultSource(config.KindServer, "10.0.0.1")
		s.IBurst = true
		c.Sources = append(c.Sources, s)
	}})
	w.Run(2000)
	servers[0].Kiss = ntp.KissRate
	w.Run(20000)
	if r := l.node.Engine.Rows()[0]; r.Reach != 0 {
		t.Errorf("reach %o after 5 h of kisses, want 0", r.Reach)
	}
	told := 0
	for _, h := range l.events {
		if h.ev.Kind == engine.EvKissOfDeath {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}
