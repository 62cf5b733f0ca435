// SPDX-License-Identifier: Apache-2.0

package leap

import (
	"fmt"
	"strings"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// world is a clock with a kernel that applies leap seconds, and a daemon that
// carries the orders of a schedule out. True time has no leap seconds: it is
// what served time would be without them, plus the leap seconds that were.
type world struct {
	s        *Schedule
	mono     clock.Mono
	at       clock.Served
	ppm      int64          // by which the served clock is fast against mono
	obey     bool           // the kernel does what the flag says
	late     clock.Interval // every deadline is served so much later
	kernel   bool           // the kernel has applied the leap second
	midnight clock.Served
	log      strings.Builder
}

// run lets the clock run for so long, kernel included.
func (w *world) run(d clock.Interval) {
	edge := w.midnight
	if w.s.Kernel() == ntp.LeapDelete {
		edge = edge.Add(-clock.Second)
	}
	w.mono = w.mono.Add(d)
	before := w.at
	w.at = w.at.Add(d + clock.Interval(int64(d)/1e6*w.ppm))
	if w.obey && !w.kernel && before.Before(edge) && !w.at.Before(edge) {
		switch w.s.Kernel() {
		case ntp.LeapInsert:
			w.at, w.kernel = w.at.Add(-clock.Second), true
		case ntp.LeapDelete:
			w.at, w.kernel = w.at.Add(clock.Second), true
		}
	}
}

// update calls the schedule and carries out what it says.
func (w *world) update(announced ntp.Leap) {
	o := w.s.Update(w.mono, w.at, announced)
	switch o.How {
	case Step, Slew:
		w.at = w.at.Shift(o.Offset)
	case Nothing:
		return
	}
	fmt.Fprintf(&w.log, "%s %+g at %s; ", [...]string{"", "step", "slew", "stepped"}[o.How], float64(o.Offset),
		clock.Time(o.At).Format("15:04:05"))
}

// pass lets the schedule handle deadlines until the monotonic clock shows end.
func (w *world) pass(t *testing.T, end clock.Mono, announced ntp.Leap) {
	for range 1000 {
		deadline, left := w.s.Deadline(), end.Sub(w.mono)
		d := deadline.Sub(w.at) + w.late
		if deadline.IsZero() || d >= left {
			w.run(left)
			return
		}
		w.run(max(d, clock.Microsecond))
		w.update(announced)
	}
	t.Fatalf("the deadline %s at %s is never met", clock.Time(w.s.Deadline()), clock.Time(w.at))
}

func TestSchedule(t *testing.T) {
	const insert, del, none = ntp.LeapInsert, ntp.LeapDelete, ntp.LeapNone
	tests := []struct {
		name string
		mode Mode
		leap ntp.Leap
		obey bool
		late clock.Interval
		ppm  int64
		want string // orders
		off  int    // seconds by which the clock is ahead afterwards
	}{
		{name: "system, insert", mode: ModeSystem, leap: insert, obey: true, want: "stepped -1 at 00:00:00; "},
		{name: "system, delete", mode: ModeSystem, leap: del, obey: true, want: "stepped +1 at 23:59:59; "},
		{name: "system, insert, fast clock", mode: ModeSystem, leap: insert, obey: true, ppm: 500, want: "stepped -1 at 00:00:00; "},
		{name: "system, insert, slow clock", mode: ModeSystem, leap: insert, obey: true, ppm: -500, want: "stepped -1 at 00:00:00; "},
		{name: "system, insert, kernel does not", mode: ModeSystem, leap: insert, want: "step -1 at 00:00:00; "},
		{name: "system, delete, kernel does not", mode: ModeSystem, leap: del, want: "step +1 at 23:59:59; "},
		{name: "system, insert, 0.8 s late", mode: ModeSystem, leap: insert, obey: true, late: 800 * clock.Millisecond, want: "stepped -1 at 00:00:00; "},
		{name: "system, insert, 2 s late", mode: ModeSystem, leap: insert, obey: true, late: 2 * clock.Second, want: "stepped -1 at 00:00:00; "},
		{name: "system, delete, 2 s late", mode: ModeSystem, leap: del, obey: true, late: 2 * clock.Second, want: "stepped +1 at 23:59:59; "},
		{name: "system, insert, 20 s late", mode: ModeSystem, leap: insert, obey: true, late: 20 * clock.Second, want: "stepped -1 at 00:00:00; "},
		{name: "system, insert, 20 s late, kernel does not", mode: ModeSystem, leap: insert, late: 20 * clock.Second, want: "", off: 1},
		{name: "step, insert", mode: ModeStep, leap: insert, want: "step -1 at 00:00:00; "},
		{name: "step, delete", mode: ModeStep, leap: del, want: "step +1 at 23:59:59; "},
		{name: "step, insert, 1.5 s late", mode: ModeStep, leap: insert, late: 3 * clock.Second / 2, want: "step -1 at 00:00:00; "},
		{name: "step, insert, 20 s late", mode: ModeStep, leap: insert, late: 20 * clock.Second, want: "", off: 1},
		{name: "slew, insert", mode: ModeSlew, leap: insert, want: "slew -1 at 00:00:00; "},
		{name: "slew, delete", mode: ModeSlew, leap: del, want: "slew +1 at 23:59:59; "},
		{name: "ignore, insert", mode: ModeIgnore, leap: insert, want: "", off: 1},
		{name: "ignore, delete", mode: ModeIgnore, leap: del, want: "", off: -1},
		{name: "no leap", mode: ModeSystem, leap: none, obey: true, want: ""},
	}
	for _, tt := range tests {
		for _, fromTable := range []bool{false, true} {
			start := served("2030-06-29T13:30:00Z")
			w := &world{s: NewSchedule(tt.mode), mono: clock.At[clock.Raw](1e9), at: start,
				ppm: tt.ppm, obey: tt.obey, late: tt.late, midnight: served("2030-07-01T00:00:00Z")}
			announced := tt.leap
			if fromTable {
				table := historical()
				if announced != none {
					table.Entries = append(table.Entries, Entry{after("2030-06"), 37 + map[ntp.Leap]int{insert: 1, del: -1}[announced]})
				}
				w.s.SetTable(table)
				announced = none
			}
			// Sources announce all month; only the last day counts.
			for range 4 * 24 {
				w.update(announced)
				w.pass(t, w.mono.Add(clock.Hour), announced)
			}
			if got := w.log.String(); got != tt.want {
				t.Errorf("%s, from table %v: %q, want %q", tt.name, fromTable, got, tt.want)
			}
			elapsed := w.mono.Sub(clock.At[clock.Raw](1e9))
			elapsed += clock.Interval(int64(elapsed) / 1e6 * tt.ppm)
			ahead := w.at.Sub(start) - elapsed
			switch tt.leap {
			case insert:
				ahead += clock.Second
			case del:
				ahead -= clock.Second
			}
			if d := ahead - clock.Interval(tt.off)*clock.Second; d > clock.Millisecond || d < -clock.Millisecond {
				t.Errorf("%s, from table %v: the clock ends %v s ahead, want %d", tt.name, fromTable, ahead.Seconds(), tt.off)
			}
			if w.s.Kernel() != none || w.s.Serving(w.at) != none {
				t.Errorf("%s, from table %v: flag %d and indicator %d stay", tt.name, fromTable, w.s.Kernel(), w.s.Serving(w.at))
			}
		}
	}
}

// TestTimeline steps through the seconds around a leap second.
func TestTimeline(t *testing.T) {
	type row struct {
		at      string // served time, of 30 June unless it begins with "1 "
		serving ntp.Leap
		kernel  ntp.Leap
		near    bool
		blind   bool // Unsettled
	}
	const ins, del, unsync, none = ntp.LeapInsert, ntp.LeapDelete, ntp.LeapUnsync, ntp.LeapNone
	tests := []struct {
		name    string
		mode    Mode
		leap    ntp.Leap
		smeared bool
		rows    []row
	}{
		{"system, insert", ModeSystem, ins, false, []row{
			{"12:00:00", ins, ins, false, false}, {"23:59:54.9", ins, ins, false, false}, {"23:59:55", ins, ins, true, false},
			{"23:59:58", ins, ins, true, true}, {"23:59:59.4", ins, ins, true, true}, {"23:59:59.5", unsync, ins, true, true},
			{"23:59:59.2", unsync, ins, true, true}, {"1 00:00:00.9", unsync, ins, true, true},
			{"1 00:00:01", none, none, true, false}, {"1 00:00:05.1", none, none, false, false}}},
		{"system, delete", ModeSystem, del, false, []row{
			{"12:00:00", del, del, false, false}, {"23:59:58.4", del, del, true, true}, {"23:59:58.5", unsync, del, true, true},
			{"1 00:00:00.2", unsync, del, true, true}, {"1 00:00:01", none, none, true, false}}},
		{"step, insert", ModeStep, ins, false, []row{
			{"12:00:00", ins, none, false, false}, {"23:59:59.9", ins, none, true, false}, {"1 00:00:00", unsync, none, true, false},
			{"23:59:59.1", unsync, none, true, false}, {"1 00:00:00.9", unsync, none, true, false}, {"1 00:00:01", none, none, true, false}}},
		{"slew, delete", ModeSlew, del, false, []row{
			{"23:59:58.9", del, none, true, false}, {"23:59:59", unsync, none, true, false}, {"1 00:00:00.9", unsync, none, true, false},
			{"1 00:00:01", none, none, true, false}}},
		{"slew, insert, smeared", ModeSlew, ins, true, []row{
			{"12:00:00", none, none, false, false}, {"1 00:00:00", none, none, true, false}, {"1 00:00:01", none, none, true, false}}},
		{"ignore, insert", ModeIgnore, ins, false, []row{
			{"12:00:00", ins, none, false, false}, {"23:59:59.9", ins, none, true, false}, {"1 00:00:00", none, none, true, false}}},
	}
	for _, tt := range tests {
		s := NewSchedule(tt.mode)
		s.SetSmeared(tt.smeared)
		for i, r := range tt.rows {
			date, tod := "2030-06-30T", r.at
			if rest, ok := strings.CutPrefix(r.at, "1 "); ok {
				date, tod = "2030-07-01T", rest
			}
			at := served(date + tod + "Z")
			s.Update(clock.At[clock.Raw](int64(i+1)*1e9), at, tt.leap)
			got := row{r.at, s.Serving(at), s.Kernel(), s.Near(at), s.Unsettled(at)}
			if got != r {
				t.Errorf("%s: got %+v, want %+v", tt.name, got, r)
			}
		}
	}
}

func TestAnnouncements(t *testing.T) {
	s := NewSchedule(ModeSystem)
	mono := clock.At[clock.Raw](1e9)
	check := func(at string, announced, want ntp.Leap) {
		t.Helper()
		s.Update(mono, served(at), announced)
		if got := s.Kernel(); got != want {
			t.Errorf("%s, announced %d: %d, want %d", at, announced, got, want)
		}
	}
	check("2030-06-29T23:00:00Z", ntp.LeapInsert, ntp.LeapNone)
	check("2030-09-30T23:00:00Z", ntp.LeapInsert, ntp.LeapNone)
	check("2030-12-31T01:00:00Z", ntp.LeapInsert, ntp.LeapInsert)
	check("2030-12-31T02:00:00Z", ntp.LeapNone, ntp.LeapNone) // taken back
	check("2030-12-31T03:00:00Z", ntp.LeapDelete, ntp.LeapDelete)
	check("2030-12-31T04:00:00Z", ntp.LeapInsert, ntp.LeapInsert)
	check("2030-12-31T05:00:00Z", ntp.LeapUnsync, ntp.LeapNone)
	if d := s.Deadline(); !d.IsZero() {
		t.Errorf("without a table and a leap second the deadline is %s", clock.Time(d))
	}
	table := historical()
	table.Entries = append(table.Entries, Entry{after("2030-12"), 38})
	s.SetTable(table)
	check("2030-12-30T12:00:00Z", ntp.LeapNone, ntp.LeapNone)
	if d, want := s.Deadline(), served("2030-12-31T00:00:00Z"); d != want {
		t.Errorf("with a table the deadline is %s, want %s", clock.Time(d), clock.Time(want))
	}
	check("2030-12-31T00:00:00Z", ntp.LeapDelete, ntp.LeapInsert) // the table knows better
	if got := s.TAI(); got != 37 {
		t.Errorf("TAI before the leap second = %d, want 37", got)
	}
	check("2030-12-31T23:59:59.6Z", ntp.LeapNone, ntp.LeapInsert)
	if got := s.TAI(); got != 0 {
		t.Errorf("TAI during the leap second = %d, want 0", got)
	}
	check("2031-01-01T00:00:01Z", ntp.LeapNone, ntp.LeapNone)
	if got := s.TAI(); got != 38 {
		t.Errorf("TAI after the leap second = %d, want 38", got)
	}
	// Set back by hand, the clock does not have the same leap second again.
	check("2030-12-31T23:00:00Z", ntp.LeapInsert, ntp.LeapNone)
}

func TestChangesInFlight(t *testing.T) {
	s := NewSchedule(ModeStep)
	mono := clock.At[clock.Raw](1e9)
	s.Update(mono, served("2030-06-30T12:00:00Z"), ntp.LeapInsert)
	if o := s.Update(mono, served("2030-07-01T00:00:00.1Z"), ntp.LeapInsert); o.How != Step || o.Offset != -1 {
		t.Fatalf("order %+v, want a step of -1", o)
	}
	s.SetMode(ModeSystem)
	if got := s.Serving(served("2030-06-30T23:59:59.1Z")); got != ntp.LeapUnsync {
		t.Errorf("a new mode ended the leap second: indicator %d", got)
	}
	s.Update(mono, served("2030-07-01T00:00:01Z"), ntp.LeapInsert)
	s.Update(mono, served("2030-12-31T12:00:00Z"), ntp.LeapInsert)
	if s.Kernel() != ntp.LeapInsert {
		t.Error("the new mode does not hold after the leap second")
	}
	// In the middle of the leap second somebody sets the clock back by an hour.
	s.Update(mono, served("2030-12-31T23:59:59.7Z"), ntp.LeapInsert)
	s.Update(mono, served("2030-12-31T22:59:59.7Z"), ntp.LeapInsert)
	s.Update(mono, served("2030-12-31T22:59:59.8Z"), ntp.LeapInsert)
	if got := s.Serving(served("2030-12-31T22:59:59.8Z")); got != ntp.LeapInsert {
		t.Errorf("an hour before the leap second again: indicator %d, want an announcement", got)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := NewSchedule(ModeSystem)
	s.SetTable(historical())
	at, mono := served("2030-06-30T12:00:00Z"), clock.At[clock.Raw](1e9)
	armed := 0
	n := testing.AllocsPerRun(1, func() {
		for range 10000 {
			s.Update(mono, at, ntp.LeapInsert)
			if s.Serving(at) == ntp.LeapInsert && !s.Near(at) {
				armed++
			}
		}
	})
	if n != 0 || armed != 20000 {
		t.Errorf("%v allocations, %d of 20000 armed", n, armed)
	}
}
