// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"math"
	"testing"

	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/sim"
)

// leapMidnight is 2026-07-01 00:00:00 UTC, for the sake of the test the end of a
// day with a leap second.
const leapMidnight = 1782864000

// leapCase is a way to get over a leap second.
type leapCase struct {
	name  string
	mode  config.LeapMode
	deaf  bool    // the kernel does not carry leap seconds out
	begin float64 // seconds from midnight from which on the clock may be wrong
	right float64 // and from which on it is right again, within limit
	limit float64
	bits  bool // the server port announces it
	tells bool // the kernel is told
}

var leapCases = []leapCase{
	{"system", config.LeapSystem, false, 0, 0, 10e-6, true, true},
	{"system, deaf kernel", config.LeapSystem, true, 0, 3, 50e-6, true, true},
	{"step", config.LeapStep, false, 0, 2, 10e-6, true, false},
	{"slew", config.LeapSlew, false, 0, 20, 1e-3, true, false},
	{"ignore", config.LeapIgnore, false, 0, 300, 1e-3, true, false},
}

func TestLeapSecond(t *testing.T) {
	for _, sign := range []int{1, -1} {
		for _, tt := range leapCases {
			t.Run(fmt.Sprintf("%s/%+d", tt.name, sign), func(t *testing.T) { checkLeap(t, &tt, sign) })
		}
	}
}

func checkLeap(t *testing.T, tt *leapCase, sign int) {
	const midnight = 6 * hour
	v := Variant{Options: polls(4, 6), Clock: func(c *config.Config) { c.Leap.Mode = tt.mode }}
	l := newLab(t, plan{start: leapMidnight - midnight, servers: 3, variant: v, host: func(h *sim.Host) { h.NoLeaps = tt.deaf }})
	l.w.Leap(leapMidnight, sign)
	due := midnight
	want := ntp.LeapInsert
	if sign < 0 {
		due, want = midnight-1, ntp.LeapDelete
	}
	l.run(hour)
	l.below("error before", l.run(due-3), 10e-6)
	if got := l.node.Snapshot.Leap; tt.bits && got != want {
		t.Errorf("served leap before: %d, want %d", got, want)
	}
	if got := l.node.Status.Leap; tt.tells != (got == want) {
		t.Errorf("the kernel is told leap %d, want %d: %v", got, want, tt.tells)
	}
	worst := l.run(due + max(tt.right, 3))
	if tt.right == 0 {
		l.below("error during", worst, tt.limit)
	} else {
		l.below("error during", worst, 1.001)
	}
	l.below("error after", l.run(due+15*minute), tt.limit)
	if got := l.node.Snapshot.Leap; got != ntp.LeapNone {
		t.Errorf("served leap after: %d, want 0", got)
	}
	if got := l.node.Status.Leap; got != ntp.LeapNone {
		t.Errorf("the kernel is told leap %d after it, want 0", got)
	}
	if n := l.events[engine.EvJump]; n != 0 {
		t.Errorf("%d jumps reported, want none", n)
	}
	l.below("error an hour later", l.run(due+2*hour), 10e-6+tt.limit/10)
	l.below("error of the rate", math.Abs(l.node.RateError()), 1e-6)
}

// TestLeapServed: during the leap second clients are told that we are not sure.
func TestLeapServed(t *testing.T) {
	const midnight = 2 * hour
	for _, mode := range []config.LeapMode{config.LeapSystem, config.LeapStep, config.LeapSlew} {
		v := Variant{Options: polls(4, 6), Clock: func(c *config.Config) { c.Leap.Mode = mode }}
		l := newLab(t, plan{start: leapMidnight - midnight, variant: v})
		l.w.Leap(leapMidnight, 1)
		l.run(midnight - 1)
		if got := l.node.Snapshot.Leap; got != ntp.LeapInsert {
			t.Errorf("mode %d: served leap a second before: %d, want 1", mode, got)
		}
		sure := true
		for i := range 20 {
			l.w.Run(midnight - 0.9 + float64(i)*0.1)
			sure = sure && l.node.Snapshot.Leap != ntp.LeapUnsync
		}
		if sure {
			t.Errorf("mode %d: served leap during the leap second was never 3", mode)
		}
	}
}

// TestLeapVote: a leap second that a minority announces does not happen.
func TestLeapVote(t *testing.T) {
	const midnight = 2 * hour
	l := newLab(t, plan{start: leapMidnight - midnight, servers: 3, variant: Variant{Options: polls(4, 6)},
		server: func(i int, s *sim.Server) {
			if i == 0 {
				s.Leap = ntp.LeapInsert
			}
		}})
	l.run(hour)
	l.below("error", l.run(midnight+hour), 10e-6)
	if got := l.node.Status.Leap; got != ntp.LeapNone {
		t.Errorf("the kernel is told leap %d, want 0", got)
	}
}

// TestLeapWithoutControl: the served time of a daemon that may not steer leaps.
func TestLeapWithoutControl(t *testing.T) {
	const midnight = 2 * hour
	v := Variant{Options: polls(4, 6)}
	l := newLab(t, plan{start: leapMidnight - midnight, variant: v, host: func(h *sim.Host) {
		h.Uncontrol = true
		h.Engine = v.engine(clientAddr, false, serverAddr)
	}})
	l.w.Leap(leapMidnight, 1)
	l.run(midnight - 2)
	l.below("served error before", math.Abs(l.node.ServedError()), 10e-6)
	for t := midnight + 3.5; t < midnight+hour; t += 10 {
		l.w.Run(t)
		l.below("served error after", math.Abs(l.node.ServedError()), 20e-6)
	}
	if l.node.Steps != 0 {
		t.Errorf("%d steps, want none", l.node.Steps)
	}
}
