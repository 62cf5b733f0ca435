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

// byHand is a clock that nothing but typed times sets: 450 ms ahead, 100 ppm fast.
func byHand(t *testing.T, change func(*config.Config)) (*sim.World, *lab) {
	w := sim.New(3)
	return w, newLab(t, w, options{
		osc: sim.Oscillator{Rate: 100e-6}, offset: 0.45,
		config: all(func(c *config.Config) { c.Clock.Manual, c.Clock.StepLimit = true, 0 }, change),
	})
}

func nothing(*config.Config) {}

// settime types the true time at the time at, off by wrong.
func (l *lab) settime(at, wrong float64) (r engine.Typed, a engine.Answer) {
	l.w.Run(at)
	l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) {
		t := clock.At[clock.Corrected](sim.Epoch * 1e9).Add(clock.Seconds(l.w.Now() + wrong))
		r, a = e.SetTime(now, t, out)
	})
	return r, a
}

func (l *lab) manual() []engine.ManualSample { return l.node.Engine.ManualSamples() }

// TestSetTime: one time sets the clock, two and more its frequency too.
func TestSetTime(t *testing.T) {
	_, l := byHand(t, nothing)
	const hour = 3600
	for i, want := range []struct{ offset, dfreq float64 }{{-0.81, 0}, {-0.36, -100e-6}, {0, 0}, {0, 0}} {
		r, a := l.settime(float64(i+1)*hour, 0)
		if a != engine.Done || !within(float64(r.Offset), want.offset, 2e-3) || !within(float64(r.DFreq), want.dfreq, 1e-6) {
			t.Errorf("settime %d: %v, offset %v, frequency changed by %v; want about %v, %v", i, a, r.Offset, r.DFreq, want.offset, want.dfreq)
		}
		if f := l.node.Engine.Tracking(l.node.Now()).Frequency; r.Frequency != f || i > 0 && !within(float64(f), -100e-6, 1e-6) {
			t.Errorf("settime %d: frequency %v, the clock's is %v, want about -100 ppm", i, r.Frequency, f)
		}
		l.below("served time after settime", l.node.ServedError(), 1e-4)
		l.w.Run(l.w.Now() + 20)
		l.below("error 20 s after settime", l.node.Error(), 5e-3)
	}
	l.below("error of the rate", l.node.RateError(), 1e-6)
	for i, s := range l.manual() {
		if i == 0 && !within(float64(s.Original), -0.81, 1e-3) || i == 1 && !within(float64(s.Original), -0.36, 1e-3) || !within(float64(s.Offset), 0, 5e-3) {
			t.Errorf("sample %d: %+v", i, s)
		}
	}
	if n := len(l.manual()); n != 4 || l.node.Engine.ClockCounts().Steps != 0 {
		t.Errorf("%d samples, %d steps; want 4, none", n, l.node.Engine.ClockCounts().Steps)
	}
}

// TestSetTimeClaims: a person is no source.
func TestSetTimeClaims(t *testing.T) {
	w, l := byHand(t, nothing)
	l.settime(3600, 0)
	tr := l.node.Engine.Tracking(l.node.Now())
	if tr.Synchronized || l.node.Snapshot.Leap != ntp.LeapUnsync || l.node.Status.Synchronized || tr.Name != "" || !within(float64(tr.Skew), 0.1, 1e-6) {
		t.Errorf("synchronised %v, leap %d served, kernel told %v, name %q, skew %v; want no claims",
			tr.Synchronized, l.node.Snapshot.Leap, l.node.Status.Synchronized, tr.Name, tr.Skew)
	}
	logged := l.latest(engine.EvTracking)
	if logged.at != 3600 || logged.ev.Source.ID != 0 {
		t.Errorf("tracking logged at %v s of source %d, want at 3600 s of none", logged.at, logged.ev.Source.ID)
	}
	l.must(engine.Done, "local", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SetLocal(now, engine.LocalConfig{Enabled: true, Stratum: 10, Distance: 1}, out)
	})
	w.Run(3700)
	if !l.onLocal() {
		t.Error("a clock set by hand is not served by local")
	}
}

// TestSetTimeRefused: typed times that do not count, and why.
func TestSetTimeRefused(t *testing.T) {
	w, l := byHand(t, func(c *config.Config) { c.Clock.Manual = false })
	look := func(what string, at, wrong float64, want engine.Answer) {
		t.Helper()
		if _, got := l.settime(at, wrong); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	set := func(on bool) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetManual(now, on, out)
		}
	}
	look("before manual on", 10, 0, engine.NotEnabled)
	l.must(engine.Done, "manual on", set(true))
	look("out of the era", 11, 6e9, engine.Failed)
	look("before 1976", 11, -sim.Epoch, engine.Failed)
	look("in order", 12, 0, engine.Done)
	look("again within a second", 12.9, 0, engine.Failed)
	look("again after more", 13.2, 0, engine.Done)
	l.must(engine.Done, "manual off", set(false))
	look("after manual off", 20, 0, engine.NotEnabled)
	if n := len(l.manual()); n != 2 {
		t.Errorf("%d samples after manual off, want the 2 of before", n)
	}
	l.must(engine.Done, "manual reset", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.ResetManual(now, out)
	})
	if n := len(l.manual()); n != 0 {
		t.Errorf("%d samples after manual reset", n)
	}
	l.reload(func(c *config.Config) { c.Clock.Manual = true })
	look("switched on by a reload", w.Now()+10, 0, engine.Done)
	if !l.node.Engine.ManualEnabled() {
		t.Error("manual input is not reported as enabled")
	}
	l.reload(nil)
	look("switched off by a reload", w.Now()+10, 0, engine.NotEnabled)
	if len(l.manual()) != 1 {
		t.Errorf("%d samples after reloads, want 1", len(l.manual()))
	}
}

// TestSetTimeMaxChange: maxchange counts for people too.
func TestSetTimeMaxChange(t *testing.T) {
	_, l := byHand(t, func(c *config.Config) { c.Clock.MaxChange = config.MaxChange{Set: true, Offset: 10, Ignore: 5} })
	l.settime(10, 3600)
	if l.count(engine.EvChangeIgnored) != 1 {
		t.Error("a change of an hour was not refused")
	}
	l.below("served time", l.node.ServedError()-0.451, 1e-3)
}

// TestSetTimeSteps: makestep counts for people too.
func TestSetTimeSteps(t *testing.T) {
	_, l := byHand(t, makestep(0.1, 1))
	l.settime(100, 0)
	if l.node.Steps != 1 {
		t.Errorf("%d steps, want 1", l.node.Steps)
	}
	l.below("error", l.node.Error(), 1e-4)
}

// TestManualDelete: a time that was typed wrong moves the frequency little, and
// not at all once it is deleted.
func TestManualDelete(t *testing.T) {
	_, l := byHand(t, nothing)
	const hour = 3600
	for i := range 6 {
		l.settime(float64(i+1)*hour, 0.02*math.Pow(-1, float64(i)))
	}
	l.settime(7*hour, 300)
	l.below("error of the frequency with a wrong one", l.slow()-100e-6, 20e-6)
	l.below("served time", l.node.ServedError()-300, 0.1)
	remove := func(i int) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.DeleteManual(now, i, out)
		}
	}
	l.w.Run(7*hour + 60)
	for _, i := range []int{-1, 7, 100} {
		l.must(engine.BadSample, "manual delete", remove(i))
	}
	l.must(engine.Done, "manual delete 6", remove(6))
	l.below("served time after it was deleted", l.node.ServedError(), 0.1)
	l.below("error of the frequency after it was deleted", l.slow()-100e-6, 5e-6)
	if n := len(l.manual()); n != 6 {
		t.Errorf("%d samples, want 6", n)
	}
	largest := 0.0
	for _, s := range l.manual() {
		largest = math.Max(largest, math.Abs(float64(s.Residual)))
	}
	if largest < 1e-3 || largest > 0.1 {
		t.Errorf("the largest residual is %v, want about 20 ms", largest)
	}
	for range 6 {
		l.must(engine.Done, "manual delete 0", remove(0))
	}
	l.must(engine.BadSample, "manual delete 0", remove(0))
}

// slow returns by how much the clock is made slower, whatever is slewed.
func (l *lab) slow() float64 { return -float64(l.node.Engine.Tracking(l.node.Now()).Frequency) }

// TestManualMany: the oldest gives way, and what others do to the clock voids all.
func TestManualMany(t *testing.T) {
	w, l := byHand(t, nothing)
	for i := range 20 {
		if _, a := l.settime(float64(i+1)*600, 0); a != engine.Done {
			t.Errorf("settime %d: %v", i, a)
		}
	}
	all := l.manual()
	if n := len(all); n != 16 {
		t.Fatalf("%d samples, want 16", n)
	}
	if age := l.node.Engine.ServedAt(l.node.Now()).Sub(all[0].When).Seconds(); !within(age, 15*600, 1) {
		t.Errorf("the oldest is %v s old, want 9000", age)
	}
	l.node.Push(5)
	w.Run(w.Now() + 100)
	if n := len(l.manual()); n != 0 {
		t.Errorf("%d samples after somebody else moved the clock, want none", n)
	}
	l.settime(w.Now()+10, 0)
	l.below("served time", l.node.ServedError(), 1e-4)
}

// TestManualBesideSources: sources are followed again after a typed time, and
// samples of both move together.
func TestManualBesideSources(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), func(c *config.Config) { c.Clock.Manual = true }), osc: fast})
	w.Run(3600)
	check := l.untouched(addrOf(1))
	l.settime(3601, 1)
	if s := l.manual()[0]; !within(float64(s.Original), 1, 1e-3) || !within(float64(s.Offset), 0, 1e-3) {
		t.Errorf("sample %+v, want 1 s as typed, and corrected", s)
	}
	if l.node.Engine.Tracking(l.node.Now()).Synchronized {
		t.Error("synchronised right after a typed time")
	}
	w.Run(4200)
	l.below("error", l.node.Error(), 1e-3)
	check("after the source was followed again")
	if s := l.manual()[0]; !within(float64(s.Offset), 1, 1e-3) {
		t.Errorf("sample %+v, want off by 1 s again", s)
	}
}

// TestManualUnsynced: local waits from the typed time on, which ends what was
// claimed before.
func TestManualUnsynced(t *testing.T) {
	w, all1 := world(1)
	all1[0].Dead = func(t float64) bool { return t > 1000 }
	l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1"), localAs(config.Local{Stratum: 7, Distance: 1, WaitUnsynced: 200}), func(c *config.Config) { c.Clock.Manual = true })})
	l.settime(1200, 0)
	w.Run(1399)
	if l.onLocal() {
		t.Error("local is in force before its time")
	}
	w.Run(1402)
	if !l.onLocal() {
		t.Error("local is not in force 200 s after the typed time")
	}
}

// TestManualLeap: a leap second moves typed times, and says nothing about them.
func TestManualLeap(t *testing.T) {
	const midnight, length = 1483228800, 2 * 3600 // 2017-01-01, after a leap second
	w := sim.NewAt(5, midnight-length)
	s := w.Serve(&sim.Server{Addr: addrOf(1)})
	w.Connect(nodeAddr, s.Addr, sim.Link{Delay: sim.Fixed(1e-4)}, sim.Link{Delay: sim.Fixed(1e-4)})
	w.Leap(midnight, 1)
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), func(c *config.Config) { c.Clock.Manual = true }), osc: fast})
	w.Run(length - 600)
	l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.SetTime(now, e.ServedAt(now), out) })
	before := l.manual()[0]
	w.Run(length + 600)
	after := l.manual()[0]
	if moved := after.When.Sub(before.When).Seconds(); !within(moved, -1, 1e-3) {
		t.Errorf("the sample moved by %v s, want -1 s", moved)
	}
	l.below("offset of the sample", float64(after.Offset), 1e-3)
	l.below("error", l.node.Error(), 1e-3)
}
