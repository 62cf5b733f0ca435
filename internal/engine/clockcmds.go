// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// MakeStep steps the wall clock by all that is still to be slewed out (makestep).
// It fails without clock control, and if the kernel refuses: [Engine.StepRefused]
// tells once the actions are carried out.
func (e *Engine) MakeStep(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	e.refused = false
	left := e.clk.Remaining(now)
	if !e.cfg.Clock.Controlled || !sane(e.served(now)) {
		out.event(EvStepFailed)
		return Failed
	}
	if e.smooth != nil {
		e.smooth.Reset(e.served(now)) // clients see the step too
	}
	if math.Abs(float64(left)) < clock.Nanosecond.Seconds() {
		e.refresh(now, out)
		return Done
	}
	e.carryOut(e.clk.Jump(now, 0), out)
	return Done
}

// StepRefused tells whether the world could not carry out the step of the last
// MakeStep.
func (e *Engine) StepRefused() bool { return e.refused }

// SetMakeStep lets the next limit updates step what is beyond threshold seconds
// (makestep THRESHOLD LIMIT): none if limit is 0, all if it is negative.
func (e *Engine) SetMakeStep(now clock.Now, threshold float64, limit int, out *Actions) Answer {
	e.watch(now, out)
	e.cfg.Discipline.StepThreshold, e.cfg.Discipline.StepLimit = threshold, limit
	e.ref.SetMakeStep(threshold, limit)
	e.tellSetting(OptMakeStep, threshold, out).Count = limit
	return Done
}

// SetMaxUpdateSkew changes maxupdateskew.
func (e *Engine) SetMaxUpdateSkew(now clock.Now, skew clock.Frequency, out *Actions) Answer {
	e.watch(now, out)
	e.cfg.Discipline.MaxUpdateSkew = skew
	e.ref.Configure(e.cfg.Discipline)
	e.tellSetting(OptMaxUpdateSkew, float64(skew), out)
	return Done
}

// Strata that local can have.
const (
	minLocalStratum = 1
	maxLocalStratum = ntp.MaxStratum - 1
)

// SetLocal serves the local clock as c says, or not at all if c is not enabled
// (local, local off). Whether the condition "activate" was met once stays.
func (e *Engine) SetLocal(now clock.Now, c LocalConfig, out *Actions) Answer {
	e.watch(now, out)
	on := 0
	if c.Enabled {
		c.Stratum = min(max(c.Stratum, minLocalStratum), maxLocalStratum)
		e.cfg.Local, on = c, 1
	}
	e.cfg.Local.Enabled = c.Enabled
	e.cfg.Selection.OrphanStratum = e.cfg.Local.orphanStratum()
	e.sel.Configure(selectionConfig(&e.cfg))
	e.tellSetting(OptLocal, 0, out).Count = on
	e.refresh(now, out)
	return Done
}

// orphanStratum is the stratum of orphans, 0 without orphan mode.
func (c *LocalConfig) orphanStratum() uint8 {
	if c.Enabled && c.Orphan {
		return c.Stratum
	}
	return 0
}

// ActivateSmoothing begins to smooth served time, unless it has begun (smoothtime
// activate).
func (e *Engine) ActivateSmoothing(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	if e.smooth == nil {
		return NotEnabled
	}
	if !e.smooth.Active() {
		e.smooth.Activate(e.served(now))
		e.tellSmoothing(OptSmoothActive, now, out)
	}
	return Done
}

// ResetSmoothing makes smoothed time equal to served time, by a step (smoothtime
// reset).
func (e *Engine) ResetSmoothing(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	if e.smooth == nil {
		return NotEnabled
	}
	e.smooth.Reset(e.served(now))
	e.tellSmoothing(OptSmoothReset, now, out)
	return Done
}

func (e *Engine) tellSmoothing(o Option, now clock.Now, out *Actions) {
	ev := e.tellSetting(o, 0, out)
	if e.cfg.Smooth.LeapOnly {
		ev.Count = 1
	}
	e.refresh(now, out)
}

// AddFrequency makes the clock run faster by the ratio d (dfreq; chronyc's
// number has the other sign). It is cut to maxdrift.
func (e *Engine) AddFrequency(now clock.Now, d clock.Frequency, out *Actions) Answer {
	e.watch(now, out)
	if math.IsNaN(float64(d)) {
		return Failed
	}
	e.correct(now, d, 0, out)
	e.tellSetting(OptFrequency, float64(d), out)
	return Done
}

// AddOffset moves served time by o, which is then slewed out (doffset; chronyc's
// number has the other sign). It fails if no timestamp could hold the result.
func (e *Engine) AddOffset(now clock.Now, o clock.Offset, out *Actions) Answer {
	e.watch(now, out)
	if math.IsNaN(float64(o)) || !sane(e.served(now).Shift(o)) {
		return Failed
	}
	e.correct(now, 0, o, out)
	e.tellSetting(OptOffset, float64(o), out)
	return Done
}

// sane tells whether timestamps can tell t: it is of this era.
func sane(t clock.Served) bool {
	off := ntp.FromInstant(t).Served().Sub(t)
	return t.Nanos() > 0 && off > -clock.Second && off < clock.Second
}

// Allow adds a rule to those about who may ask, as if it had been the last one
// configured (allow, deny, and these with all). A reload forgets it.
func (e *Engine) Allow(now clock.Now, r acl.Rule, out *Actions) Answer {
	e.watch(now, out)
	if !r.Valid() {
		return BadSubnet
	}
	e.cfg.Policy.Access = e.cfg.Policy.Access.With(r)
	out.add(ActPolicy).Policy = e.cfg.Policy
	e.openPort(out)
	ev := e.tellSetting(OptAccess, 0, out)
	ev.Name = "any address"
	if !r.Everything {
		ev.Name = subnet(r.Prefix)
	}
	if r.Allow {
		ev.Count++
	}
	if r.All {
		ev.Count += 2
	}
	return Done
}

// subnet writes a prefix, and one of a single address as that.
func subnet(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.Masked().String()
}

// Allowed tells whether a may ask (accheck).
func (e *Engine) Allowed(a netip.Addr) bool {
	p := &e.cfg.Policy
	return p.Access.Allowed(a) && p.Restrict.Of(netip.AddrPortFrom(a, 0))&(acl.Ignore|acl.NoServe) == 0
}
