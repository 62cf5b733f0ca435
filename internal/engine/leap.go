// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"foliot/internal/clock"
	"foliot/internal/leap"
	"foliot/internal/ntp"
)

// leapMode is the mode that can work: a clock that is not controlled is not
// stepped by the kernel for us, only served time can be.
func leapMode(c *Config) leap.Mode {
	if c.Leap.Mode == leap.ModeSystem && !c.Clock.Controlled {
		return leap.ModeStep
	}
	return c.Leap.Mode
}

// configureLeap tells the schedule what people decided.
func (e *Engine) configureLeap() {
	e.leap.SetMode(leapMode(&e.cfg))
	e.leap.SetTable(e.cfg.Leap.Table)
	e.leap.SetSmeared(e.cfg.Smooth.Enabled)
}

// leapDeadline is when the schedule wants to be asked again, on the monotonic
// clock as far as can be told from the last reading.
func (e *Engine) leapDeadline() clock.Mono {
	d := e.leap.Deadline()
	if d.IsZero() {
		return clock.Mono{}
	}
	left := d.Sub(e.served(e.last)).Seconds() / (1 + float64(e.clk.Frequency()))
	return e.last.Mono.Add(clock.Seconds(max(left, 1e-6)))
}

// announceLeap takes note of what the sources announce by majority.
func (e *Engine) announceLeap(now clock.Now, l ntp.Leap, out *Actions) {
	e.announced = l
	e.tickLeap(now, out)
}

// tickLeap carries the clock through leap seconds.
func (e *Engine) tickLeap(now clock.Now, out *Actions) {
	order := e.leap.Update(now.Mono, e.served(now), e.announced)
	if order.How != leap.Nothing {
		e.announced = ntp.LeapNone
		e.leapNow(&order, now, out)
	}
	e.tellLeap(now, out)
}

// leapNow moves served time over a leap second. True time leaps too: measured
// offsets stay as they are, and only the instants of the past move.
func (e *Engine) leapNow(o *leap.Order, now clock.Now, out *Actions) {
	at := e.served(now)
	e.moveHistory(at, 0, o.Offset)
	for _, m := range e.members {
		m.assoc.Shift(o.Offset)
	}
	e.manual.shift(o.Offset)
	e.ref.Adjust(at, 0, o.Offset)
	switch o.How {
	case leap.Stepped:
		e.clk.Anticipate(o.Offset)
		e.clk.Watch(now)
	case leap.Step:
		e.clk.Adjust(now, 0, o.Offset, 0)
		e.carryOut(e.clk.Jump(now, 0), out)
	case leap.Slew:
		_, order := e.clk.Adjust(now, 0, o.Offset, 0)
		e.carryOut(order, out)
	}
	e.smoothLeap(o, now)
	e.refresh(now, out)
}

// smoothLeap lets smoothed time leap with true time, or hides a leap second that
// is slewed.
func (e *Engine) smoothLeap(o *leap.Order, now clock.Now) {
	switch {
	case e.smooth == nil:
	case o.How == leap.Slew:
		e.smooth.Leap(e.served(now), o.Offset)
	default:
		e.smooth.Shift(o.Offset)
	}
}

// tellLeap reports a change of what the kernel is told.
func (e *Engine) tellLeap(now clock.Now, out *Actions) {
	l, tai := e.leap.Kernel(), e.leap.TAI()
	if l != e.toldLeap {
		ev := out.event(EvLeapSecond)
		switch l {
		case ntp.LeapInsert:
			ev.Count = 1
		case ntp.LeapDelete:
			ev.Count = -1
		}
		e.toldLeap = l
		e.refresh(now, out)
	}
	if tai != 0 && tai != e.toldTAI {
		e.toldTAI = tai
		out.event(EvTAI).Count = tai
		e.refresh(now, out)
	}
}
