// SPDX-License-Identifier: Apache-2.0

// Package leap knows about leap seconds: the tables that list them and what a
// clock has to do about one. It reads no clock and no file and touches neither.
//
// The one concept is the day that ends with a leap second, the last of June or
// of December UTC. On it the leap is announced; at its end [Schedule] says what
// has to happen. Unix time has no second 23:59:60: a clock that only counts is
// suddenly ahead by 1 s when one is inserted (the correction is -1 s, see package
// clock for the sign) and behind when one is deleted (+1 s).
package leap

import (
	"errors"
	"fmt"
	"sort"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

const day = 86400 // seconds of Unix time

// Entry is a change of TAI-UTC.
type Entry struct {
	Unix int64 // the midnight since which it holds, Unix seconds
	TAI  int   // TAI-UTC from then on, seconds
}

// Table lists all leap seconds up to some time. It is immutable; goroutines may
// share it. The zero Table knows nothing.
type Table struct {
	Entries []Entry // ascending; the first one has no leap second before it
	Updated int64   // Unix seconds, 0 if unknown
	Expires int64   // Unix seconds from which later leap seconds may be missing, 0 if unknown
	// Verified tells that the file had a checksum, and that it was right.
	Verified bool
}

// At returns what there is to know at a time in Unix seconds: whether the UTC
// day that it belongs to ends with a leap second, TAI-UTC in seconds (0 if the
// table begins later), and whether the table has expired. An expired table may
// miss leap seconds but what it lists is true.
func (t *Table) At(unix int64) (l ntp.Leap, tai int, expired bool) {
	if t == nil {
		return ntp.LeapNone, 0, true
	}
	expired = t.Expires != 0 && unix >= t.Expires
	i := sort.Search(len(t.Entries), func(i int) bool { return t.Entries[i].Unix > unix })
	if i == 0 {
		return ntp.LeapNone, 0, expired
	}
	tai = t.Entries[i-1].TAI
	if i < len(t.Entries) && t.Entries[i].Unix == midnight(unix) {
		l = ntp.LeapInsert
		if t.Entries[i].TAI < tai {
			l = ntp.LeapDelete
		}
	}
	return l, tai, expired
}

// Leap seconds that every table lists, by which one is told from a table of
// something else, as chrony does.
const (
	lastOfJune2012     = 1341014400 // 2012-06-30 00:00:00, a day that ended with a leap second
	lastOfDecember2012 = 1356912000 // 2012-12-31 00:00:00, one that did not
)

// ErrNotLeap means a well-formed file without the leap seconds that there were.
var ErrNotLeap = errors.New("does not list the leap seconds of 2012")

// Check tells whether t lists leap seconds: 34 s and an insertion on 2012-06-30,
// 35 s and nothing on 2012-12-31.
func (t *Table) Check() error {
	l, tai, _ := t.At(lastOfJune2012)
	if l != ntp.LeapInsert || tai != 34 {
		return ErrNotLeap
	}
	l, tai, _ = t.At(lastOfDecember2012)
	if l != ntp.LeapNone || tai != 35 {
		return ErrNotLeap
	}
	return nil
}

// add appends an entry. Changes other than by one second at a midnight after the
// one before are no leap seconds.
func (t *Table) add(e Entry) error {
	if e.Unix%day != 0 {
		return fmt.Errorf("%d is not a midnight", e.Unix)
	}
	if n := len(t.Entries); n > 0 {
		last := t.Entries[n-1]
		if d := e.TAI - last.TAI; e.Unix <= last.Unix || d != 1 && d != -1 {
			return fmt.Errorf("%d s from %d on does not follow %d s from %d on", e.TAI, e.Unix, last.TAI, last.Unix)
		}
	}
	t.Entries = append(t.Entries, e)
	return nil
}

// midnight returns the end of the UTC day that the Unix second belongs to.
func midnight(unix int64) int64 {
	d := unix % day
	if d < 0 {
		d += day
	}
	return unix - d + day
}

// Date tells whether t is on a day that may end with a leap second: 30 June or 31
// December. Other months are allowed by ITU-R TF.460 and have never been used;
// an announcement for them is an error of the source.
func Date(t clock.Served) bool {
	d := clock.Time(t)
	switch d.Month() {
	case 6:
		return d.Day() == 30
	case 12:
		return d.Day() == 31
	}
	return false
}

// Vote returns the leap that more than half of the sources announce, given how
// many there are and how many announce an insertion and a deletion.
func Vote(sources, insert, del int) ntp.Leap {
	switch {
	case 2*insert > sources:
		return ntp.LeapInsert
	case 2*del > sources:
		return ntp.LeapDelete
	}
	return ntp.LeapNone
}
