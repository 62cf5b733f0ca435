// SPDX-License-Identifier: Apache-2.0

// Package getdate understands dates as people type them, in the forms that
// chronyc's settime always took: "16:30", "Nov 21, 2015 16:30:05", "2015-11-21
// 16:30 UTC", "tomorrow 6am", "2 hours ago". It is not for dates that programs
// write.
//
// The one concept is that a date is a heap of parts in any order: at most one
// time of day, calendar date, weekday and zone, and any number of relative steps.
// What is missing is taken from now; without a time of day it is midnight, unless
// there are only relative steps.
package getdate

import (
	"strconv"
	"strings"
	"time"
)

// Parse returns the instant that text names, seen from now and in now's time
// zone. It reports false for what is no date.
func Parse(text string, now time.Time) (time.Time, bool) {
	tokens, ok := split(strings.ToLower(text))
	if !ok {
		return time.Time{}, false
	}
	p := parser{tokens: tokens, year: now.Year(), month: now.Month(), day: now.Day()}
	for len(p.tokens) > 0 {
		if !p.part() {
			return time.Time{}, false
		}
	}
	if p.times > 1 || p.dates > 1 || p.weekdays > 1 || p.zones > 1 || p.month < 1 || p.month > 12 || p.day < 1 || p.day > 31 {
		return time.Time{}, false
	}
	return p.instant(now), true
}

// token is a number, a word, or one other character.
type token struct {
	text   string
	number bool
}

// split makes tokens of text. Remarks in parentheses and periods in
// abbreviations do not count.
func split(text string) ([]token, bool) {
	var all []token
	for text != "" {
		c := text[0]
		n := 1
		switch {
		case digit(c):
			n = span(text, digit)
			all = append(all, token{text[:n], true})
		case letter(c):
			n = span(text, func(c byte) bool { return letter(c) || c == '.' })
			all = append(all, token{text: strings.ReplaceAll(text[:n], ".", "")})
		case c == '(':
			if n = strings.IndexByte(text, ')') + 1; n == 0 {
				return nil, false
			}
		case c != ' ' && c != '\t':
			all = append(all, token{text: text[:1]})
		}
		text = text[n:]
	}
	return all, true
}

func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { return c >= 'a' && c <= 'z' }

func span(s string, in func(byte) bool) int {
	for i := range len(s) {
		if !in(s[i]) {
			return i
		}
	}
	return len(s)
}

// parser collects the parts of a date.
type parser struct {
	tokens []token

	times, dates, weekdays, zones, steps int // how many of each there were

	hour, minute, second int
	year                 int
	month                time.Month
	day                  int
	weekday              time.Weekday
	ordinal              int // of the weekday: 1 for the next one, today included
	east                 int // of the zone, seconds

	months, days int
	add          time.Duration
}

// word is the text of the nth token from here, "" if it is not there.
func (p *parser) word(n int) string {
	if n < len(p.tokens) {
		return p.tokens[n].text
	}
	return ""
}

func (p *parser) num(n int) (v int, ok bool) {
	if n >= len(p.tokens) || !p.tokens[n].number {
		return 0, false
	}
	v, err := strconv.Atoi(p.tokens[n].text)
	return v, err == nil && v < 1e9
}

// take goes on by n tokens.
func (p *parser) take(n int) bool {
	p.tokens = p.tokens[n:]
	return true
}

// part takes one part of the date.
func (p *parser) part() bool {
	if n, ok := p.num(0); ok {
		return p.clock() || p.slashed() || p.dashed() || p.dayFirst() || p.dayOfWeek(n, 1) || p.step(n, 1) || p.bare(n)
	}
	switch first := p.word(0); first {
	case ",":
		return p.take(1)
	case "+", "-":
		n, ok := p.num(1)
		if first == "-" {
			n = -n
		}
		return ok && p.step(n, 2)
	case "ago":
		p.months, p.days, p.add = -p.months, -p.days, -p.add
		return p.take(1)
	}
	if n, ok := ordinals[p.word(0)]; ok {
		return p.dayOfWeek(n, 1) || p.step(n, 1)
	}
	return p.monthFirst() || p.dayOfWeek(1, 0) || p.zone() || p.step(1, 0)
}

// clock takes a time of day: 16:30, 4:30:05 pm, 4pm, 16:30 +0200.
func (p *parser) clock() bool {
	h, _ := p.num(0)
	m, s, used := 0, 0, 1
	if v, ok := p.num(2); ok && p.word(1) == ":" {
		m, used = v, 3
		if v, ok := p.num(4); ok && p.word(3) == ":" {
			s, used = v, 5
		}
	}
	switch half := p.word(used); {
	case half == "am" || half == "pm":
		if h < 1 || h > 12 {
			return false
		}
		if h %= 12; half == "pm" {
			h += 12
		}
		used++
	case used == 1 || h > 23:
		return false
	}
	p.hour, p.minute, p.second = h, m, s
	p.times++
	return p.take(used) && p.shift()
}

// shift takes the zone after a time of day, if it is there: +0200.
func (p *parser) shift() bool {
	sign := p.word(0)
	n, ok := p.num(1)
	if !ok || len(p.word(1)) != 4 || sign != "+" && sign != "-" {
		return true
	}
	p.east = (n/100*60 + n%100) * 60
	if sign == "-" {
		p.east = -p.east
	}
	p.zones++
	return p.take(2)
}

// date notes a calendar date. A year of two digits is between 1969 and 2068.
func (p *parser) date(y, m, d, used int) bool {
	switch {
	case y < 69:
		y += 2000
	case y < 100:
		y += 1900
	}
	p.year, p.month, p.day = y, time.Month(m), d
	p.dates++
	return p.take(used)
}

// slashed takes 11/21, 11/21/2015 and 2015/11/21.
func (p *parser) slashed() bool {
	a, _ := p.num(0)
	b, ok := p.num(2)
	if !ok || p.word(1) != "/" {
		return false
	}
	c, ok := p.num(4)
	switch {
	case !ok || p.word(3) != "/":
		return p.date(p.year, a, b, 3)
	case a >= 1000:
		return p.date(a, b, c, 5)
	}
	return p.date(c, a, b, 5)
}

// dashed takes 2015-11-21 and 21-Nov-2015.
func (p *parser) dashed() bool {
	a, _ := p.num(0)
	c, ok := p.num(4)
	if !ok || p.word(1) != "-" || p.word(3) != "-" {
		return false
	}
	if b, ok := p.num(2); ok {
		return p.date(a, b, c, 5)
	}
	m := monthOf(p.word(2))
	return m != 0 && p.date(c, m, a, 5)
}

// dayFirst takes 21 Nov and 21 Nov 2015.
func (p *parser) dayFirst() bool {
	d, _ := p.num(0)
	m := monthOf(p.word(1))
	if m == 0 {
		return false
	}
	if y, ok := p.num(2); ok && p.word(3) != ":" {
		return p.date(y, m, d, 3)
	}
	return p.date(p.year, m, d, 2)
}

// monthFirst takes Nov 21 and Nov 21, 2015.
func (p *parser) monthFirst() bool {
	m := monthOf(p.word(0))
	d, ok := p.num(1)
	if m == 0 || !ok {
		return false
	}
	if y, ok := p.num(3); ok && p.word(2) == "," && p.word(4) != ":" {
		return p.date(y, m, d, 4)
	}
	return p.date(p.year, m, d, 2)
}

// bare takes a number with nothing around it: the year after a date and a time,
// a date of eight digits, or a time of day as 16 or 1630.
func (p *parser) bare(n int) bool {
	switch {
	case p.times > 0 && p.dates > 0 && p.steps == 0:
		p.dates--
		return p.date(n, int(p.month), p.day, 1)
	case n > 10000:
		return p.date(n/10000, n/100%100, n%100, 1)
	case n < 100:
		p.hour, p.minute, p.second = n, 0, 0
	default:
		p.hour, p.minute, p.second = n/100, n%100, 0
	}
	p.times++
	return p.hour < 24 && p.take(1)
}

// dayOfWeek takes a weekday that is the nth from now on, at the token where.
func (p *parser) dayOfWeek(n, where int) bool {
	d, ok := weekdays[p.word(where)]
	if !ok {
		return false
	}
	p.weekday, p.ordinal = d, n
	p.weekdays++
	return p.take(where + 1)
}

// zone takes the name of a time zone, and the "dst" after it.
func (p *parser) zone() bool {
	hours, ok := zones[p.word(0)]
	if !ok {
		return false
	}
	p.east = int(hours * 3600)
	p.zones++
	if p.take(1); p.word(0) == "dst" {
		p.east += 3600
		p.take(1)
	}
	return true
}

// step takes a unit of time, at the token where, that is to be added n times.
func (p *parser) step(n, where int) bool {
	u, ok := units[p.word(where)]
	if !ok {
		u, ok = units[strings.TrimSuffix(p.word(where), "s")]
	}
	if !ok {
		return false
	}
	p.months += n * u.months
	p.days += n * u.days
	p.add += time.Duration(n) * u.add
	p.steps++
	return p.take(where + 1)
}

// instant puts the parts together.
func (p *parser) instant(now time.Time) time.Time {
	zone := now.Location()
	if p.zones > 0 {
		zone = time.FixedZone("", p.east)
	}
	if p.times == 0 && p.dates == 0 && p.weekdays == 0 && p.steps > 0 {
		p.hour, p.minute, p.second = now.Clock()
	}
	t := time.Date(p.year, p.month, p.day, p.hour, p.minute, p.second, 0, zone)
	if p.weekdays > 0 && p.dates == 0 {
		ahead := (int(p.weekday) - int(t.Weekday()) + 7) % 7
		if p.ordinal > 0 {
			p.ordinal--
		}
		t = t.AddDate(0, 0, ahead+7*p.ordinal)
	}
	return t.AddDate(0, p.months, p.days).Add(p.add)
}
