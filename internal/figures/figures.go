// SPDX-License-Identifier: Apache-2.0

// Package figures writes numbers for people who look: three digits that count, in
// the unit that suits. Reports in chrony's formats are package report's.
//
// The one concept is that a figure has one width of meaning: what it leaves out is
// too small to matter beside what it says.
package figures

import (
	"fmt"
	"math"
	"strings"

	"foliot/internal/clock"
)

// Length writes seconds with three digits that count, in the unit that suits.
func Length(s float64) string {
	f, unit := Seconds(math.Abs(s))
	return digits(s*f) + " " + unit
}

// Signed is [Length] with a sign.
func Signed(s float64) string {
	text := Minus(Length(s))
	if s > 0 {
		return "+" + text
	}
	return text
}

// PPM writes a frequency, with a sign if it may have one.
func PPM(f clock.Frequency, sign bool) string {
	if sign {
		return Minus(fmt.Sprintf("%+.3f ppm", f.PPM()))
	}
	return fmt.Sprintf("%.3f ppm", f.PPM())
}

// digits writes three digits that count.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 9.995:
		return fmt.Sprintf("%.2f", v)
	case a < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// Brief writes a length of time that nobody needs exactly.
func Brief(s float64) string {
	switch {
	case s < 0.9995:
		return Length(s)
	case s < 10 && s != math.Trunc(s):
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 7200:
		return fmt.Sprintf("%.0f min", s/60)
	case s < 172800:
		return fmt.Sprintf("%.0f h", s/3600)
	}
	return fmt.Sprintf("%.0f days", s/86400)
}

// Ago writes how long something has been.
func Ago(s float64) string {
	if s < 1 {
		return "just now"
	}
	return Brief(s) + " ago"
}

// Times writes how often something happened.
func Times(n uint64) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return Grouped(n) + " times"
}

// Grouped writes a count with thin spaces between thousands.
func Grouped(n uint64) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Seconds returns the unit that suits a number of seconds, and what to multiply
// with for it. What three digits round up to a thousand is one of the next unit.
func Seconds(largest float64) (factor float64, unit string) {
	switch {
	case largest < 999.5e-9:
		return 1e9, "ns"
	case largest < 999.5e-6:
		return 1e6, "µs"
	case largest < 999.5e-3:
		return 1e3, "ms"
	}
	return 1, "s"
}

// Minus puts the proper sign in place of the hyphen.
func Minus(s string) string { return strings.Replace(s, "-", "−", 1) }
