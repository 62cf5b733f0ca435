// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"slices"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
)

func doffset(o clock.Offset) command {
	return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.AddOffset(now, o, out)
	}
}

func dfreq(f clock.Frequency) command {
	return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.AddFrequency(now, f, out)
	}
}

func step(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
	return e.MakeStep(now, out)
}

// TestMakeStepCommand steps what a correction left to be slewed, in both directions.
func TestMakeStepCommand(t *testing.T) {
	for _, by := range []clock.Offset{-1, 1, 0.25} {
		w, _ := world(1)
		l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast})
		w.Run(3600)
		before := l.node.Error()
		l.must(engine.Done, "doffset", doffset(by))
		l.below("error right after doffset", l.node.Error()-before, 1e-6)
		l.below("served time right after doffset", l.node.ServedError()-float64(by), 1e-4)
		l.must(engine.Done, "makestep", step)
		l.below("error after makestep", l.node.Error()-float64(by), 1e-4)
		c := l.node.Engine.ClockCounts()
		if l.node.Steps != 1 || c.Steps != 1 || !within(c.StepSum, float64(by), 1e-4) || l.node.Engine.StepRefused() {
			t.Errorf("%d steps, counted %+v; want one of %v", l.node.Steps, c, by)
		}
		l.must(engine.Done, "makestep with nothing left", step)
		if l.node.Steps != 1 {
			t.Errorf("%d steps after another makestep, want 1", l.node.Steps)
		}
		w.Run(4200)
		l.below("error after ten minutes", l.node.Error(), 1e-3)
	}
}

// within tells whether a is b give or take tol.
func within(a, b, tol float64) bool { return math.Abs(a-b) <= tol }

// TestMakeStepWithout: without control of the clock nothing is stepped, and
// served time is as right as before.
func TestMakeStepWithout(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast, free: true, offset: 0.5})
	w.Run(600)
	l.must(engine.Failed, "makestep", step)
	if l.node.Steps != 0 || l.count(engine.EvStepFailed) != 1 {
		t.Errorf("%d steps, %d failures reported; want none, 1", l.node.Steps, l.count(engine.EvStepFailed))
	}
	l.below("served time", l.node.ServedError(), 1e-4)
}

// TestStepRefused: the world says no.
func TestStepRefused(t *testing.T) {
	w := newWire(false)
	w.advance(60 * clock.Second)
	w.e.AddOffset(w.now, 1, &w.acts)
	w.e.Perform(w, &w.acts)
	w.refuse = true
	a := w.e.MakeStep(w.now, &w.acts)
	w.e.Perform(w, &w.acts)
	c := w.e.ClockCounts()
	if a != engine.Done || !w.e.StepRefused() || c.Failures == 0 || c.Steps != 0 {
		t.Errorf("makestep: %v, refused %v, counted %+v; want done, and then refused", a, w.e.StepRefused(), c)
	}
	if left := float64(w.e.Tracking(w.now).Remaining); !within(left, 1, 0.2) {
		t.Errorf("%v s are left to be slewed, want about 1", left)
	}
	w.refuse = false
	w.e.MakeStep(w.now, &w.acts)
	w.e.Perform(w, &w.acts)
	if c := w.e.ClockCounts(); w.e.StepRefused() || c.Steps != 1 {
		t.Errorf("makestep again: refused %v, counted %+v", w.e.StepRefused(), c)
	}
}

// TestSetMakeStep: the limit counts from the command on.
func TestSetMakeStep(t *testing.T) {
	w, all1 := world(1)
	off := 0.0
	all1[0].Offset = func(float64) float64 { return off }
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), makestep(1, 3)), osc: fast})
	w.Run(3600)
	set := func(threshold float64, limit int) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetMakeStep(now, threshold, limit, out)
		}
	}
	l.must(engine.Done, "makestep 0.5 -1", set(0.5, -1))
	off = 0.7
	w.Run(5400)
	if l.node.Steps != 1 {
		t.Errorf("%d steps with makestep 0.5 -1 after the server moved by 0.7 s, want 1", l.node.Steps)
	}
	l.must(engine.Done, "makestep 0.5 0", set(0.5, 0))
	off = 0
	w.Run(9000)
	if l.node.Steps != 1 {
		t.Errorf("%d steps with makestep 0.5 0, want no more", l.node.Steps)
	}
	l.below("error", l.node.Error(), 1e-3)
}

func TestMaxUpdateSkew(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast})
	l.must(engine.Done, "maxupdateskew", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SetMaxUpdateSkew(now, 1e-12, out)
	})
	w.Run(3600)
	if f := l.node.Engine.Tracking(l.node.Now()).Frequency; f != 0 {
		t.Errorf("the frequency became %v although no estimate is certain enough", f)
	}
	l.reload(servers("10.0.0.1"))
	w.Run(7200)
	l.below("error of the rate after a reload", l.node.RateError(), 1e-6)
}

// TestSetLocal: local comes and goes by command, with all of its options.
func TestSetLocal(t *testing.T) {
	w, _ := world(0)
	l := newLab(t, w, options{osc: fast})
	set := func(c engine.LocalConfig) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetLocal(now, c, out)
		}
	}
	look := func(what string, stratum uint8) {
		t.Helper()
		if s := l.node.Snapshot; s.Stratum != stratum || l.onLocal() != (stratum > 0) {
			t.Errorf("%s: stratum %d, reference ID %08X served; want %d", what, s.Stratum, uint32(s.RefID), stratum)
		}
		if local := l.node.Engine.Tracking(l.node.Now()).Local; local != (stratum > 0) {
			t.Errorf("%s: the report says local: %v", what, local)
		}
	}
	w.Run(100)
	l.must(engine.Done, "local", set(engine.LocalConfig{Enabled: true, Stratum: 7, Distance: 1, Orphan: true}))
	look("local", 7)
	l.must(engine.Done, "local with a stratum too high", set(engine.LocalConfig{Enabled: true, Stratum: 99, Distance: 1}))
	look("stratum 99", 15)
	l.must(engine.Done, "local with a stratum too low", set(engine.LocalConfig{Enabled: true, Distance: 1}))
	look("stratum 0", 1)
	l.must(engine.Done, "local off", set(engine.LocalConfig{}))
	look("off", 0)
	l.must(engine.Done, "waitunsynced", set(engine.LocalConfig{Enabled: true, Stratum: 9, Distance: 1, WaitUnsynced: 200}))
	look("waiting", 0)
	w.Run(201)
	look("waited", 9)
	l.must(engine.Done, "activate", set(engine.LocalConfig{Enabled: true, Stratum: 9, Distance: 1, Activate: 0.1}))
	look("not activated", 0)
	l.reload(localAs(config.Local{Stratum: 5, Distance: 1}))
	look("configured", 5)
	l.reload(nil)
	look("not configured", 0)
	if n := len(l.settings()); n != 6 {
		t.Errorf("%d settings reported, want 6", n)
	}
}

// TestSetOrphan: orphan mode by command lets another orphan be followed.
func TestSetOrphan(t *testing.T) {
	w, all1 := world(1)
	all1[0].Stratum, all1[0].RefID = 8, ntp.RefIDLocal
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast})
	w.Run(60)
	status := func() byte { return byte(l.row(addrOf(1)).Status) }
	if status() != '*' {
		t.Fatalf("status %c, want selected", status())
	}
	l.must(engine.Done, "local orphan", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SetLocal(now, engine.LocalConfig{Enabled: true, Stratum: 6, Distance: 1, Orphan: true}, out)
	})
	w.Run(200)
	if status() != 'O' {
		t.Errorf("status %c with local stratum 6 orphan, want O", status())
	}
	l.must(engine.Done, "local off", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SetLocal(now, engine.LocalConfig{}, out)
	})
	w.Run(400)
	if status() != '*' {
		t.Errorf("status %c after local off, want selected", status())
	}
}

func TestSmoothtime(t *testing.T) {
	activate := func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.ActivateSmoothing(now, out)
	}
	reset := func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.ResetSmoothing(now, out)
	}
	w, _ := world(1)
	plain := newLab(t, w, options{config: servers("10.0.0.1"), addr: addrOf(102)})
	plain.must(engine.NotEnabled, "activate without smoothtime", activate)
	plain.must(engine.NotEnabled, "reset without smoothtime", reset)
	if _, on := plain.node.Engine.Smoothing(plain.node.Now()); on {
		t.Error("smoothing reported without smoothtime")
	}
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), func(c *config.Config) {
		c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 400, MaxWander: 1e-9}
	}), osc: fast})
	w.Run(600)
	state := func() bool { s, _ := l.node.Engine.Smoothing(l.node.Now()); return s.Active }
	if state() {
		t.Fatal("smoothing is active before it was asked for")
	}
	l.must(engine.Done, "activate", activate)
	l.must(engine.Done, "activate again", activate)
	if !state() || l.node.Snapshot.RefID != ntp.RefIDSmooth {
		t.Errorf("active %v, reference ID %08X served", state(), uint32(l.node.Snapshot.RefID))
	}
	l.must(engine.Done, "doffset", doffset(0.01))
	l.below("given time right after doffset", l.node.GivenError(), 1e-3)
	l.must(engine.Done, "reset", reset)
	l.below("given time after reset", l.node.GivenError()-0.01, 1e-3)
	l.must(engine.Done, "doffset", doffset(-0.01))
	l.below("given time right after doffset", l.node.GivenError()-0.01, 1e-3)
	l.must(engine.Done, "makestep", step)
	l.below("given time after makestep", l.node.GivenError(), 1e-3)
	if got, want := l.settings(), []engine.Option{engine.OptSmoothActive, engine.OptOffset, engine.OptSmoothReset, engine.OptOffset}; !slices.Equal(got, want) {
		t.Errorf("settings %v reported, want %v", got, want)
	}
}

func TestFrequencyAndOffset(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast})
	w.Run(3600)
	check := l.untouched(addrOf(1))
	before := l.node.RateError()
	l.must(engine.Done, "dfreq", dfreq(10e-6))
	if by := l.node.RateError() - before; !within(by, 10e-6, 1e-8) {
		t.Errorf("the rate changed by %v, want 10 ppm", by)
	}
	l.must(engine.Done, "dfreq back", dfreq(-10e-6))
	check("after dfreq there and back")
	l.must(engine.Done, "doffset", doffset(0.05))
	l.must(engine.Done, "doffset back", doffset(-0.05))
	check("after doffset there and back")
	l.must(engine.Done, "dfreq beyond maxdrift", dfreq(5))
	if f := float64(l.node.Engine.Tracking(l.node.Now()).Frequency); !within(f, 0.1, 1e-9) {
		t.Errorf("frequency %v, want maxdrift", f)
	}
	l.must(engine.Failed, "no number", dfreq(clock.Frequency(math.NaN())))
	for _, o := range []float64{1e12, -1e12, math.Inf(1), math.NaN(), 1e10, -3e9} {
		l.must(engine.Failed, "doffset out of the era", doffset(clock.Offset(o)))
	}
	l.below("served time after those refused", l.node.ServedError(), 1e-3)
}

// TestCounts: what others do to the clock is counted too.
func TestCounts(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast, offset: 5})
	w.Run(3600)
	l.node.Push(3)
	w.Run(3700)
	l.node.Meddle(1e-4)
	w.Run(4000)
	c := l.node.Engine.ClockCounts()
	if c.Foreign != 2 || c.Steps < 1 || c.StepSum > -4.9 || c.Slews < 10 || c.Failures != 0 {
		t.Errorf("counted %+v, want 2 foreign changes, steps of -5 s, slews, no failures", c)
	}
	tr := l.node.Engine.Tracking(l.node.Now())
	if tr.Addr != addrOf(1) || tr.Name != "10.0.0.1" || tr.Updates < 50 {
		t.Errorf("%d updates from %v (%s), want at least 50 from 10.0.0.1", tr.Updates, tr.Addr, tr.Name)
	}
	if e := l.node.Engine; !e.Controlled() || e.Quantum() != 1e-9 {
		t.Errorf("controlled %v, quantum %v", e.Controlled(), e.Quantum())
	}
}
