// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"foliot/internal/cmdmon"
)

// word is a word, as it is.
func word(key, s string) cell { return cell{key, s, s, s} }

// column is a word at the left of a column.
func column(key, s string, width int) cell { return cell{key, fmt.Sprintf("%-*s", width, s), s, s} }

// count is an integer at the right of a column.
func count[T ~int8 | ~int16 | ~int32 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int](key string, n T, width int) cell {
	return cell{key, fmt.Sprintf("%*d", width, n), fmt.Sprint(n), n}
}

// octal is a set of bits as the reachability register is written.
func octal(key string, n uint16, width int) cell {
	return cell{key, fmt.Sprintf("%*o", width, n), fmt.Sprintf("%o", n), n}
}

// number is a number with digits after the point. Its sign is shown if it is
// negative; see signed.
func number(key string, v float64, digits int) cell {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	return cell{key, s, s, float(v)}
}

// signed is a number that always shows its sign, but in CSV.
func signed(key string, v float64, digits int) cell {
	c := number(key, v, digits)
	c.text = fmt.Sprintf("%+.*f", digits, v)
	return c
}

// wide is a number at the right of a column, in text only.
func wide(c cell, width int) cell {
	c.text = fmt.Sprintf("%*s", width, c.text)
	return c
}

// float is a number for JSON, with the digits that the protocol's 24 bits carry.
func float(v float64) json.Number {
	return json.Number(strconv.FormatFloat(v, 'g', -1, 32))
}

// aside is a number whose sign is said in words: below for what is not positive,
// above for what is.
func aside(c cell, v float64, unit, above, below string) cell {
	way := below
	if v > 0 {
		way = above
	}
	c.text = fmt.Sprintf("%s %s %s", trimSign(c.text), unit, way)
	return c
}

func trimSign(s string) string {
	if len(s) > 0 && s[0] == '-' {
		return s[1:]
	}
	return s
}

// offset is a time in seconds in four digits and a unit, its sign always shown.
func offset(key string, v float64) cell {
	return cell{key, scaled(v, true), fmt.Sprintf("%.9f", v), float(v)}
}

// spread is a time in seconds in four digits and a unit, without sign.
func spread(key string, v float64) cell {
	return cell{key, scaled(v, false), fmt.Sprintf("%.9f", v), float(v)}
}

// units are the steps of [scaled]: up to limit seconds, one of the unit is scale
// seconds, and digits come after the point.
var units = []struct {
	limit, scale float64
	name         string
	digits       int
}{
	{9999.5e-9, 1e-9, "ns", 0}, {9999.5e-6, 1e-6, "us", 0}, {9999.5e-3, 1e-3, "ms", 0},
	{999.5, 1, "s", 1}, {99999.5, 1, "s", 0}, {99999.5 * 60, 60, "m", 0},
	{99999.5 * 3600, 3600, "h", 0}, {99999.5 * 86400, 86400, "d", 0}, {math.Inf(1), 86400 * 365, "y", 0},
}

// scaled writes a time of v seconds in six characters, or seven with a sign.
func scaled(v float64, sign bool) string {
	for _, u := range units {
		if math.Abs(v) >= u.limit {
			continue
		}
		width := 6 - len(u.name)
		if sign {
			return fmt.Sprintf("%+*.*f%s", width+1, u.digits, v/u.scale, u.name)
		}
		return fmt.Sprintf("%*.*f%s", width, u.digits, v/u.scale, u.name)
	}
	return fmt.Sprint(v)
}

// ppm is a frequency in a column.
func ppm(key string, v float64, sign bool) cell {
	digits, layout := 3, "%10.*f"
	if math.Abs(v) >= 99999.5 {
		digits = 0
	}
	if sign {
		layout = "%+10.*f"
	}
	return cell{key, fmt.Sprintf(layout, digits, v), fmt.Sprintf("%.3f", v), float(v)}
}

// age is a number of seconds in four characters with a unit, "-" for none.
func age(key string, s uint32) cell {
	c := cell{key, "", fmt.Sprint(s), s}
	switch {
	case s == cmdmon.NoSample:
		c.text, c.json = "   -", nil
	case s < 1200:
		c.text = fmt.Sprintf("%4d", s)
	case s < 36000:
		c.text = fmt.Sprintf("%3dm", s/60)
	case s < 345600:
		c.text = fmt.Sprintf("%3dh", s/3600)
	case s/86400 > 999:
		c.text = fmt.Sprintf("%3dy", s/86400/365)
	default:
		c.text = fmt.Sprintf("%3dd", s/86400)
	}
	return c
}

// interval is a logarithm of seconds between requests, "-" for none.
func interval(key string, n int8) cell {
	if n == cmdmon.NoInterval {
		return cell{key, " -", fmt.Sprint(n), nil}
	}
	return cell{key, fmt.Sprintf("%2d", n), fmt.Sprint(n), n}
}

// refID is a reference identifier in hexadecimal.
func refID(key string, id uint32) cell { return word(key, fmt.Sprintf("%08X", id)) }

// instant is a point in time, UTC.
func instant(key string, t cmdmon.Timespec) cell {
	u := time.Unix(t.Sec, int64(t.Nsec)).UTC()
	return cell{key, u.Format("Mon Jan 02 15:04:05 2006"), fmt.Sprintf("%d.%09d", t.Sec, t.Nsec), u.Format(time.RFC3339Nano)}
}

// yes is a claim.
func yes(key string, b bool) cell {
	s := "No"
	if b {
		s = "Yes"
	}
	return cell{key, s, s, b}
}

// bits are the low n bits of v.
func bits(key string, v uint16, n int) cell {
	return word(key, fmt.Sprintf("%0*b", n, v&(1<<n-1)))
}

// leaps are the names of leap indicators, and their letters.
var leaps = [...]struct {
	name   string
	letter byte
}{{"Normal", 'N'}, {"Insert second", '+'}, {"Delete second", '-'}, {"Not synchronised", '?'}}

// leap is a leap indicator by its name.
func leap(key string, n uint16) cell {
	if int(n) >= len(leaps) {
		return word(key, "Invalid")
	}
	return word(key, leaps[n].name)
}

// leapLetter is a leap indicator by its letter, its name in CSV and JSON.
func leapLetter(key string, n uint8) cell {
	c := leap(key, uint16(n))
	c.text = "?"
	if int(n) < len(leaps) {
		c.text = string(leaps[n].letter)
	}
	return c
}

// named is a number by its name.
func named[T comparable](key string, v T, names map[T]string) cell {
	if s, ok := names[v]; ok {
		return word(key, s)
	}
	return word(key, "Invalid")
}
