// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"math"
	"strings"

	"foliot/internal/clock"
)

// length writes seconds with three digits that count, in the unit that suits.
func length(s float64) string {
	f, unit := seconds(math.Abs(s))
	return digits(s*f) + " " + unit
}

// signed is length with a sign.
func signed(s float64) string {
	text := minus(length(s))
	if s > 0 {
		return "+" + text
	}
	return text
}

func ppm(f clock.Frequency, sign bool) string {
	if sign {
		return minus(fmt.Sprintf("%+.3f ppm", f.PPM()))
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

// brief writes a length of time that nobody needs exactly.
func brief(s float64) string {
	switch {
	case s < 0.9995:
		return length(s)
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

// ago writes how long something has been.
func ago(s float64) string {
	if s < 1 {
		return "just now"
	}
	return brief(s) + " ago"
}

func times(n uint64) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return grouped(n) + " times"
}

// grouped writes a count with thin spaces between thousands.
func grouped(n uint64) string {
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
