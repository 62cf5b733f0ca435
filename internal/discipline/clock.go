// SPDX-License-Identifier: Apache-2.0

// Package discipline steers the clock: it keeps the account of what was done to
// it, turns corrections into steps and slews, and says what is served.
//
// The one concept is the account kept by [Clock]. A correction takes effect on
// served time at once; the wall clock follows by running faster or slower until
// the difference is gone. At any instant served time is the wall clock plus a
// [clock.Correction], which everything that converts timestamps uses. Only
// frequency is ever set, and, within the rules for it, steps are made.
//
// The account decides nothing by itself and does nothing to the clock: it hands
// out orders and hears what became of them.
package discipline

import (
	"math"

	"foliot/internal/clock"
)

// Slew limits.
const (
	// minSlew is the shortest slew, seconds: timers must end it in time.
	minSlew = 1.0
	// maxSlew is the longest that one order lasts, seconds.
	maxSlew = 1e4
	// settled is a remainder not worth a slew of its own, seconds.
	settled = 1e-10
	// endRetry is when the end of a slew is ordered again if the kernel refused.
	endRetry = clock.Second
)

// ClockConfig bounds what may be done to the clock.
type ClockConfig struct {
	Controlled  bool            // false: never touch the clock (-x)
	MaxSlewRate clock.Frequency // maxslewrate, ratio (1/12)
	MaxDrift    clock.Frequency // maxdrift, ratio (0.1)
}

// Order is what Clock wants done to the real clock.
type Order struct {
	SetFrequency bool
	Frequency    clock.Frequency // total rate to set
	Step         clock.Offset    // not 0: step by that first
}

// Clock is the account of the system clock. Not safe for concurrent use.
type Clock struct {
	cfg        ClockConfig
	base       clock.Frequency // rate of served time against the raw oscillator
	actual     clock.Frequency // rate that the kernel has
	correction clock.Correction
	slewing    bool
	partial    bool // the slew will not be through at slewEnd
	slewEnd    clock.Mono
	ending     bool      // the end of the slew was ordered and not confirmed
	anchor     clock.Now // last reading that was as expected
	anchored   bool
	stepping   clock.Offset // a step that was ordered and not answered
}

// NewClock starts an account: the kernel's rate is freq at now.
func NewClock(cfg ClockConfig, freq clock.Frequency, now clock.Now) *Clock {
	return &Clock{
		cfg: cfg, base: freq, actual: freq,
		correction: clock.Correction{Since: now.Wall},
		anchor:     now, anchored: true,
	}
}

// Configure changes the limits.
func (c *Clock) Configure(cfg ClockConfig) { c.cfg = cfg }

// Correction returns the relation of wall clock and served time.
func (c *Clock) Correction() clock.Correction { return c.correction }

// Frequency returns the rate at which served time runs against the raw
// oscillator: what the clock needs to keep time.
func (c *Clock) Frequency() clock.Frequency { return c.base }

// Slewing tells whether a slew is under way, and when it ends.
func (c *Clock) Slewing() (clock.Mono, bool) { return c.slewEnd, c.slewing }

// Remaining returns what is still to be slewed out at now.
func (c *Clock) Remaining(now clock.Now) clock.Offset { return c.correction.At(now.Wall) }

// Adjust corrects served time at now by doffset and its rate by dfreq. The
// outstanding offset is to be slewed out over about duration seconds. It returns
// the change of rate that was really made (maxdrift may cut it) and the order.
func (c *Clock) Adjust(now clock.Now, dfreq clock.Frequency, doffset clock.Offset, duration float64) (clock.Frequency, Order) {
	old := c.base
	want := (1+old)*(1+dfreq) - 1
	c.base = min(max(want, -c.cfg.MaxDrift), c.cfg.MaxDrift)
	made := (1+c.base)/(1+old) - 1
	c.rebase(now.Wall, doffset)
	return made, c.order(now, duration)
}

// Jump corrects served time at now by doffset and orders the wall clock to be
// stepped by all that is outstanding.
func (c *Clock) Jump(now clock.Now, doffset clock.Offset) Order {
	c.rebase(now.Wall, doffset)
	if !c.cfg.Controlled {
		return Order{}
	}
	o := c.order(now, minSlew)
	c.stepping = c.correction.Offset
	c.slewing = false
	o.Step, o.Frequency, o.SetFrequency = c.stepping, c.base, true
	return o
}

// Resume orders the rate for what is outstanding, after a step was refused.
func (c *Clock) Resume(now clock.Now, duration float64) Order {
	c.rebase(now.Wall, 0)
	return c.order(now, duration)
}

// rebase moves the reference instant of the correction to w and adds doffset.
func (c *Clock) rebase(w clock.Wall, doffset clock.Offset) {
	c.correction.Offset = c.correction.At(w) + doffset
	c.correction.Since = w
}

// order plans a slew of the outstanding offset from now on.
func (c *Clock) order(now clock.Now, duration float64) Order {
	c.slewing, c.partial, c.ending = false, false, false
	// Until the kernel has the rate ordered, if ever (without control it never
	// has), served time runs in software on top of what it has.
	c.correction.Rate = (c.base - c.actual) / (1 + c.actual)
	if !c.cfg.Controlled {
		return Order{}
	}
	rate := clock.Frequency(0)
	if left := float64(c.correction.Offset); math.Abs(left) > settled {
		d := min(max(duration, minSlew), maxSlew)
		limit := float64(c.cfg.MaxSlewRate)
		rate = clock.Frequency(min(max(left/d, -limit), limit))
		d = math.Abs(left / float64(rate*(1+c.base)))
		c.partial, d = d > maxSlew, min(d, maxSlew)
		c.slewing, c.slewEnd = true, now.Mono.Add(clock.Seconds(d))
	}
	total := (1+c.base)*(1+rate) - 1
	limit := clock.MaxKernelFrequency
	return Order{SetFrequency: true, Frequency: min(max(total, -limit), limit)}
}

// EndSlew orders the base rate if a slew has run its time, or the next part of
// a slew that takes longer than one order may last.
func (c *Clock) EndSlew(now clock.Now) (Order, bool) {
	if !c.slewing || now.Mono.Before(c.slewEnd) {
		return Order{}, false
	}
	c.rebase(now.Wall, 0)
	if c.partial {
		return c.order(now, maxSlew), true
	}
	// It is over when the kernel has confirmed the rate; until then again.
	c.ending, c.slewEnd = true, now.Mono.Add(endRetry)
	return Order{SetFrequency: true, Frequency: c.base}, true
}

// Free returns the order that lets the clock run at its base rate, whatever was
// going on. It is none without control.
func (c *Clock) Free() Order {
	return Order{SetFrequency: c.cfg.Controlled, Frequency: c.base}
}

// Rated hears that the kernel has the rate f since at. The wall clock then
// gains on served time by the ratio of the two rates.
func (c *Clock) Rated(at clock.Now, f clock.Frequency) {
	c.rebase(at.Wall, 0)
	if c.ending {
		c.slewing, c.ending = false, false
	}
	c.actual = f
	c.correction.Rate = (1+c.base)/(1+f) - 1
	c.anchor = at
}

// Stepped hears that the wall clock was stepped as ordered; at was read after.
// It returns the size of the step.
func (c *Clock) Stepped(at clock.Now) clock.Offset {
	o := c.stepping
	c.stepping = 0
	c.correction.Since = c.correction.Since.Shift(o)
	c.correction.Offset -= o
	c.rebase(at.Wall, 0)
	c.anchor = at
	return o
}

// Anticipate hears that the kernel will have stepped, or has stepped, the wall
// clock by o on its own account (a leap second): no jump of served time.
func (c *Clock) Anticipate(o clock.Offset) {
	c.anchor.Wall = c.anchor.Wall.Shift(o)
	c.correction.Since = c.correction.Since.Shift(o)
}

// Tolerances for telling a jump from the noise of reading two clocks.
const (
	jumpTolerance     = 10e-3 // seconds
	driftTolerance    = 10e-6 // ratio, of a clock that only we steer
	driftUncontrolled = 1e-3  // ratio, of a clock that another may steer
)

// Watch compares the wall clock with the monotonic one and reports a jump that
// nobody ordered: a step by someone else, or a suspended machine. After a jump
// the account starts over at now, and [Clock.Free] must be ordered.
func (c *Clock) Watch(now clock.Now) (jump clock.Offset, jumped bool) {
	elapsed := now.Mono.Sub(c.anchor.Mono).Seconds()
	expected := c.anchor.Wall.Shift(clock.Offset(elapsed * (1 + float64(c.actual))))
	off := now.Wall.Sub(expected).Seconds()
	tolerance := driftTolerance
	if !c.cfg.Controlled {
		tolerance = driftUncontrolled
	}
	c.anchor = now
	if math.Abs(off) <= jumpTolerance+tolerance*math.Abs(elapsed) {
		return 0, false
	}
	c.restart(now)
	return clock.Offset(off), true
}

// Disturbed hears that someone else set the kernel's rate to f.
func (c *Clock) Disturbed(now clock.Now, f clock.Frequency) {
	c.actual = f
	c.restart(now)
}

// Cancel gives up what is still to be slewed out: served time jumps to the wall
// clock. [Clock.Free] must be ordered.
func (c *Clock) Cancel(now clock.Now) { c.restart(now) }

// restart forgets what was going on. The kernel may still have the rate of a slew:
// [Clock.Free] must be ordered.
func (c *Clock) restart(now clock.Now) {
	c.anchor = now
	c.slewing, c.ending, c.partial, c.stepping = false, false, false, 0
	c.correction = clock.Correction{Since: now.Wall, Rate: (1+c.base)/(1+c.actual) - 1}
}
