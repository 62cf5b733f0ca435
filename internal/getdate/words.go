// SPDX-License-Identifier: Apache-2.0

package getdate

import (
	"strings"
	"time"
)

// monthOf is the number of a month by its name or the first letters of it, 0 for
// another word.
func monthOf(word string) int {
	if word == "sept" {
		return 9
	}
	for m := time.January; m <= time.December; m++ {
		name := strings.ToLower(m.String())
		if word == name || word == name[:3] {
			return int(m)
		}
	}
	return 0
}

var weekdays = map[string]time.Weekday{
	"sunday": time.Sunday, "sun": time.Sunday, "monday": time.Monday, "mon": time.Monday,
	"tuesday": time.Tuesday, "tues": time.Tuesday, "tue": time.Tuesday,
	"wednesday": time.Wednesday, "wednes": time.Wednesday, "wed": time.Wednesday,
	"thursday": time.Thursday, "thurs": time.Thursday, "thur": time.Thursday, "thu": time.Thursday,
	"friday": time.Friday, "fri": time.Friday, "saturday": time.Saturday, "sat": time.Saturday,
}

// ordinals are words in place of numbers. The second is missing, because it is a
// unit.
var ordinals = map[string]int{
	"last": -1, "next": 1, "first": 1, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
	"ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12,
}

// unit is what a word adds.
type unit struct {
	months, days int
	add          time.Duration
}

// units are those words, in the singular.
var units = map[string]unit{
	"year": {months: 12}, "month": {months: 1}, "fortnight": {days: 14}, "week": {days: 7}, "day": {days: 1},
	"hour": {add: time.Hour}, "minute": {add: time.Minute}, "min": {add: time.Minute},
	"second": {add: time.Second}, "sec": {add: time.Second},
	"tomorrow": {days: 1}, "yesterday": {days: -1}, "today": {}, "now": {}, "this": {},
}

// zones are names of time zones, in hours east of UTC, and the letters of the
// military, which count westward as they were misprinted in RFC 822.
var zones = map[string]float64{
	"gmt": 0, "ut": 0, "utc": 0, "wet": 0, "bst": 1, "wat": -1, "at": -2, "ast": -4, "adt": -3, "est": -5, "edt": -4,
	"cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "yst": -9, "ydt": -8, "hst": -10, "hdt": -9,
	"cat": -10, "ahst": -10, "nt": -11, "idlw": -12, "cet": 1, "met": 1, "mewt": 1, "mest": 2, "mesz": 2, "swt": 1,
	"sst": 2, "fwt": 1, "fst": 2, "eet": 2, "bt": 3, "zp4": 4, "zp5": 5, "zp6": 6, "wast": 7, "wadt": 8, "cct": 8,
	"jst": 9, "east": 10, "eadt": 11, "gst": 10, "nzt": 12, "nzst": 12, "nzdt": 13, "idle": 12,
	"a": -1, "b": -2, "c": -3, "d": -4, "e": -5, "f": -6, "g": -7, "h": -8, "i": -9, "k": -10, "l": -11, "m": -12,
	"n": 1, "o": 2, "p": 3, "q": 4, "r": 5, "s": 6, "t": 7, "u": 8, "v": 9, "w": 10, "x": 11, "y": 12, "z": 0,
}
