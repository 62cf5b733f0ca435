// SPDX-License-Identifier: Apache-2.0

package leap

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Mode says who applies a leap second to the clock (leapsecmode).
type Mode uint8

// Modes. A clock that may not be controlled cannot be in ModeSystem: nobody
// would tell the kernel. Use ModeStep, which corrects served time.
const (
	ModeSystem Mode = iota // the kernel, by a step
	ModeStep               // we, by a step
	ModeSlew               // we, by slewing
	ModeIgnore             // nobody; later measurements show the error
)

// How says what an [Order] asks for.
type How uint8

// What is to be done about a leap second.
const (
	// Nothing: no order.
	Nothing How = iota
	// Step: correct served time by Offset and step the wall clock with it.
	Step
	// Slew: correct served time by Offset; the wall clock follows slowly.
	Slew
	// Stepped: the kernel has stepped the wall clock, and so served time, by
	// Offset. That was no foreign jump.
	Stepped
)

// Order is what has to be done because of a leap second: move served time by
// Offset (-1 s for an inserted second, +1 s for a deleted one).
//
// True time leaps too. So the instants of past measurements move by Offset, as
// with every correction, but the offsets that were measured stay as they are,
// unlike with any other correction.
type Order struct {
	How    How
	Offset clock.Offset // seconds, -1 or +1
	At     clock.Served // when it is due, in the time that it ends
}

// Times around a leap second.
const (
	// near is the distance from it within which a measurement is not trusted:
	// the other clock may leap a little sooner or later.
	near = 5 * clock.Second
	// lead is how long before a leap of the kernel's it counts as under way.
	lead = clock.Second / 2
	// settled is how long before a leap of the kernel's a comparison of the
	// clocks is surely one from before, even if made late: after an inserted
	// second the last second of the day is counted twice.
	settled = 2 * clock.Second
	// tooLate is how late we may apply a leap second ourselves. After that
	// (the machine slept) measurements have to show what the clock needs.
	tooLate = 10 * clock.Second
)

type phase uint8

const (
	idle  phase = iota
	armed       // a leap second is announced for the end of this day
	open        // it is under way
)

// Schedule carries a clock through leap seconds. Not safe for concurrent use.
//
// In ModeSystem it does not trust that the kernel does what it was told: from
// the monotonic clock it finds out whether the wall clock was stepped, and orders
// the step if it was not.
type Schedule struct {
	mode     Mode
	next     Mode // takes over when no leap second is under way
	smeared  bool
	table    *Table
	phase    phase
	leap     ntp.Leap // announced, while not idle
	midnight clock.Served
	done     clock.Served // the last midnight that was dealt with
	today    clock.Served // the end of the day of the last Update
	tai      int
	fresh    bool // the comparison is from the last seconds before the leap
	compared bool // mono and at are set: one reading before the leap
	mono     clock.Mono
	at       clock.Served
}

// NewSchedule returns a schedule for the mode.
func NewSchedule(m Mode) *Schedule { return &Schedule{mode: m, next: m} }

// SetMode changes the mode. A leap second that is under way ends as it began.
func (s *Schedule) SetMode(m Mode) {
	s.next = m
	if s.phase != open {
		s.mode = m
	}
}

// SetTable gives the schedule a table of leap seconds, nil for none. Sources may
// announce further ones.
func (s *Schedule) SetTable(t *Table) { s.table = t }

// SetSmeared says whether served time is smoothed (smoothtime), so that with
// ModeSlew clients see no leap second and are told of none.
func (s *Schedule) SetSmeared(on bool) { s.smeared = on }

// Update takes note that the served time is at and the monotonic clock shows
// mono, while the sources by majority announce a leap second for the end of the
// day, or none. It returns what is to be done now. It must be called at
// [Schedule.Deadline] and at each new announcement, and may be called any time.
func (s *Schedule) Update(mono clock.Mono, at clock.Served, announced ntp.Leap) Order {
	if s.phase == open {
		return s.finish(mono, at)
	}
	if s.phase == idle || at.Before(s.due()) {
		s.arm(at, announced)
	}
	if s.phase != armed {
		return Order{}
	}
	s.compare(mono, at)
	if at.Before(s.begin()) {
		return Order{}
	}
	return s.start(mono, at)
}

// arm learns whether today ends with a leap second.
func (s *Schedule) arm(at clock.Served, announced ntp.Leap) {
	unix := floorSecond(at)
	l, tai, _ := s.table.At(unix)
	s.tai = tai
	s.today = clock.At[clock.Corrected](midnight(unix) * 1e9)
	if l == ntp.LeapNone && Date(at) && (announced == ntp.LeapInsert || announced == ntp.LeapDelete) {
		l = announced
	}
	if l == ntp.LeapNone || s.today == s.done {
		s.phase, s.compared, s.fresh = idle, false, false
		return
	}
	if s.phase == idle || s.midnight != s.today {
		s.compared, s.fresh = false, false
	}
	s.phase, s.leap, s.midnight = armed, l, s.today
}

// compare notes a reading of both clocks unless the kernel may have stepped.
func (s *Schedule) compare(mono clock.Mono, at clock.Served) {
	if !s.compared || at.Before(s.due().Add(-settled)) {
		s.mono, s.at, s.compared = mono, at, true
	}
	s.fresh = !at.Before(s.due().Add(-near))
}

// start begins with the leap second.
func (s *Schedule) start(mono clock.Mono, at clock.Served) Order {
	s.phase = open
	if s.mode == ModeSystem {
		// It may be over already if we come late.
		return s.finish(mono, at)
	}
	if s.mode == ModeIgnore || at.Sub(s.due()) > tooLate {
		s.close(at)
		return Order{}
	}
	how := Step
	if s.mode == ModeSlew {
		how = Slew
	}
	return Order{How: how, Offset: s.offset(), At: s.due()}
}

// finish ends the leap second one second into the new day.
func (s *Schedule) finish(mono clock.Mono, at clock.Served) Order {
	if at.Before(s.midnight.Add(-tooLate)) {
		// Somebody set the clock back: the leap second is still to come.
		s.phase, s.compared, s.fresh = idle, false, false
		return Order{}
	}
	if at.Before(s.end()) {
		return Order{}
	}
	o := Order{How: s.outcome(mono, at), Offset: s.offset(), At: s.due()}
	s.close(at)
	if o.How == Nothing {
		return Order{}
	}
	return o
}

// outcome finds out what the kernel did, and so what is left to do.
func (s *Schedule) outcome(mono clock.Mono, at clock.Served) How {
	if s.mode != ModeSystem {
		return Nothing
	}
	gained := at.Sub(s.at).Seconds() - mono.Sub(s.mono).Seconds()
	switch {
	case math.Abs(gained-float64(s.offset())) < 0.5:
		return Stepped
	case math.Abs(gained) < 0.5 && at.Sub(s.due()) <= tooLate:
		return Step
	}
	return Nothing
}

// close ends the leap second and begins the new day.
func (s *Schedule) close(at clock.Served) {
	s.phase, s.done, s.mode = idle, s.midnight, s.next
	s.compared, s.fresh = false, false
	s.arm(at, ntp.LeapNone)
}

// offset is what the leap second does to the clock.
func (s *Schedule) offset() clock.Offset {
	if s.leap == ntp.LeapInsert {
		return -1
	}
	return 1
}

// due is when the clock has to be moved: after the last second of the day, or
// before it if it is deleted.
func (s *Schedule) due() clock.Served {
	if s.leap == ntp.LeapDelete {
		return s.midnight.Add(-clock.Second)
	}
	return s.midnight
}

// begin is when the leap second counts as under way.
func (s *Schedule) begin() clock.Served {
	if s.mode == ModeSystem {
		return s.due().Add(-lead)
	}
	return s.due()
}

// end is when it is over, by the time after it: two seconds after it began.
func (s *Schedule) end() clock.Served { return s.midnight.Add(clock.Second) }

// Deadline returns the served instant at which Update must be called next, zero
// for none. Served time goes back when a second is inserted, and with it the
// time that is left.
func (s *Schedule) Deadline() clock.Served {
	switch {
	case s.phase == open:
		return s.end()
	case s.phase == armed && s.mode == ModeSystem && !s.fresh:
		return s.due().Add(-near)
	case s.phase == armed:
		return s.begin()
	case s.table != nil:
		return s.today
	}
	return clock.Served{}
}

// Serving returns the leap indicator for replies of a synchronised server at t:
// the announcement on the day, "not synchronised" while the leap second is under
// way, nothing when it is smeared.
func (s *Schedule) Serving(t clock.Served) ntp.Leap {
	switch {
	case s.phase == idle, s.smeared && s.mode == ModeSlew:
		return ntp.LeapNone
	case s.phase == armed && t.Before(s.begin()):
		return s.leap
	case s.mode == ModeIgnore:
		return ntp.LeapNone
	}
	return ntp.LeapUnsync
}

// Kernel returns the leap second that the kernel must be told about.
func (s *Schedule) Kernel() ntp.Leap {
	if s.mode != ModeSystem || s.phase == idle {
		return ntp.LeapNone
	}
	return s.leap
}

// TAI returns TAI-UTC for the kernel in seconds, as of the last Update, or 0 to
// leave it alone: the table does not say, somebody else handles leap seconds, or
// the kernel is about to change it itself.
func (s *Schedule) TAI() int {
	if s.mode != ModeSystem || s.phase == open {
		return 0
	}
	return s.tai
}

// Unsettled tells whether the kernel may step the wall clock about now, so that
// a jump between it and the monotonic clock must not be judged: the Order that
// ends the leap second tells what happened.
func (s *Schedule) Unsettled(t clock.Served) bool {
	return s.mode == ModeSystem &&
		(s.phase == open || s.phase == armed && !t.Before(s.due().Add(-settled)))
}

// Near tells whether t is so close to a leap second that a measurement of another
// clock at that time says nothing.
func (s *Schedule) Near(t clock.Served) bool {
	around := func(m clock.Served) bool {
		d := t.Sub(m)
		return !m.IsZero() && -near <= d && d <= near
	}
	return s.phase != idle && around(s.midnight) || around(s.done)
}

// floorSecond returns the Unix second that t is in.
func floorSecond(t clock.Served) int64 {
	sec := t.Nanos() / 1e9
	if t.Nanos()%1e9 < 0 {
		sec--
	}
	return sec
}
