// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"foliot/internal/clock"
	"foliot/internal/drifts"
	"foliot/internal/ntp"
	"foliot/internal/smooth"
	"foliot/internal/source"
)

// housekeeping is the pace of what has no deadline of its own: the local
// reference, fallback drifts, the kernel's error bounds. Seconds.
const housekeeping = 16

func (e *Engine) houseDeadline() clock.Mono { return e.nextHouse }

// keepHouse does the slow chores.
func (e *Engine) keepHouse(now clock.Now, out *Actions) {
	if now.Mono.Before(e.nextHouse) {
		return
	}
	e.nextHouse = now.Mono.Add(clock.Seconds(housekeeping))
	e.fallback(now, out)
	e.refresh(now, out)
	if e.cfg.OneShot {
		e.giveUp(out)
	}
}

// fallback sets the clock to the long-term mean of its frequency while nothing
// better is known (fallbackdrift).
func (e *Engine) fallback(now clock.Now, out *Actions) {
	if e.ref.Updates() == 0 {
		return
	}
	age := e.served(now).Sub(e.ref.Time).Seconds()
	f, span, ok := e.fall.Choose(age)
	if !ok || span == e.fallen {
		return
	}
	e.fallen = span
	e.setFrequency(drifts.Compensate(f, e.temp), now, out)
	ev := out.event(EvFallback)
	ev.Count, ev.Value = span, float64(f)
}

// setFrequency makes served time run at the rate f against the raw oscillator.
func (e *Engine) setFrequency(f clock.Frequency, now clock.Now, out *Actions) {
	e.correct(now, (1+f)/(1+e.clk.Frequency())-1, 0, out)
}

// Temperature takes a reading of the sensor in (tempcomp): the compensation for
// it replaces the one before. A reading that asks for an absurd one is ignored.
func (e *Engine) Temperature(now clock.Now, value float64, out *Actions) {
	if e.cfg.TempComp == nil {
		return
	}
	e.watch(now, out)
	comp, ok := e.cfg.TempComp.Compensation(value)
	if !ok {
		out.event(EvTemperatureWild).Value = value
		return
	}
	f := drifts.Compensate(drifts.Uncompensate(e.clk.Frequency(), e.temp), comp)
	e.temp = comp
	e.setFrequency(f, now, out)
	ev := out.event(EvTemperature)
	ev.Time, ev.Value, ev.Limit = e.served(now), value, float64(comp)
}

// saveDrift remembers the frequency, not too often.
func (e *Engine) saveDrift(now clock.Now, out *Actions) {
	if now.Mono.Sub(e.lastDrift).Seconds() < e.cfg.DriftInterval {
		return
	}
	e.lastDrift = now.Mono
	out.add(ActDrift).Drift = e.drift()
}

func (e *Engine) drift() Drift {
	return Drift{Frequency: drifts.Uncompensate(e.clk.Frequency(), e.temp), Skew: clock.Frequency(e.ref.Skew)}
}

// giveUp ends one-shot mode when every source had its burst and none will do.
func (e *Engine) giveUp(out *Actions) {
	if e.finished || slices.ContainsFunc(e.members, hopeful) {
		return
	}
	for _, n := range e.entries {
		if n.asking && n.tries < 2 {
			return // its name may still resolve
		}
	}
	e.finished = true
	out.add(ActExit).Exit = ExitNoSource
}

// enoughAnswers is how many answers show whether a source will do.
const enoughAnswers = 4

// hopeful tells whether the source may still set the clock in one-shot mode.
func hopeful(m *member) bool {
	return m.assoc.State() == source.BurstOnline ||
		m.assoc.Unanswered() < 2 && m.assoc.Counters.Valid < enoughAnswers
}

// Stop ends all slewing, remembers the frequency and says goodbye to the
// kernel: from now on the clock runs free at its best known rate.
func (e *Engine) Stop(now clock.Now, out *Actions) {
	e.carryOut(e.clk.Free(), out)
	if e.ref.Updates() > 0 && !e.cfg.OneShot {
		out.add(ActDrift).Drift = e.drift()
	}
	k := &out.add(ActStatus).Status
	k.MaxError, k.EstError = 16, 16
	if e.ref.Synchronized {
		k.Synchronized = true
		k.MaxError = clock.Dispersion(e.ref.Distance(e.served(now)))
		k.EstError = clock.Dispersion(e.ref.OffsetSD)
	}
	k.Leap = ntp.LeapNone
}

// Configure changes to another configuration. Sources that stay keep their
// history; what the engine started with (seed, drift, precision) stays too. What
// commands changed is undone, as the comment on commands says.
func (e *Engine) Configure(now clock.Now, cfg Config, out *Actions) {
	cfg.Seed, cfg.Drift, cfg.Precision, cfg.Quantum = e.cfg.Seed, e.cfg.Drift, e.cfg.Precision, e.cfg.Quantum
	cfg.OneShot = e.cfg.OneShot
	old := e.cfg
	e.cfg = cfg
	e.manual.on = cfg.Manual
	e.replaceParts(&old)
	e.sel.Configure(selectionConfig(&cfg))
	e.ref.Configure(cfg.Discipline)
	e.clk.Configure(cfg.Clock)
	e.configureLeap()
	e.setSources(now, out)
	e.restrictSources(out)
	e.setBroadcasts(now)
	e.openPort(out)
	e.refresh(now, out)
}

// replaceParts makes anew what cannot change its configuration, where that differs
// from the old one.
func (e *Engine) replaceParts(old *Config) {
	if e.cfg.Smooth != old.Smooth {
		e.smooth = newSmoother(&e.cfg.Smooth)
	}
	if e.cfg.Fallback != old.Fallback {
		e.fall, e.fallen = drifts.NewFallback(e.cfg.Fallback), 0
	}
	if e.cfg.Stamps != old.Stamps || e.cfg.ClientLog != old.ClientLog {
		e.newServer()
	}
	if e.cfg.TempComp == nil {
		e.temp = 0 // from now on part of the frequency like any other
	}
}

// newSmoother returns the smoother that is configured, nil for none.
func newSmoother(c *SmoothConfig) *smooth.Smoother {
	if !c.Enabled {
		return nil
	}
	return smooth.New(c.MaxFreq, c.MaxWander, c.LeapOnly)
}
