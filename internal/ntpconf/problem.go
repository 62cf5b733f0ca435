// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"foliot/internal/config"
)

// problem is a mistake in the configuration, in the form of chronyconf's.
type problem struct {
	what   string
	detail string // may be empty
	at     config.Origin
}

func (e *problem) Error() string {
	text := e.what + " at " + e.at.String()
	if e.detail != "" {
		text += ": " + e.detail
	}
	return text
}

// bad is the error for arguments that cannot be understood.
func (s *statement) bad(format string, args ...any) error {
	return &problem{what: "Could not parse " + s.name + " directive", detail: fmt.Sprintf(format, args...), at: s.at}
}

// unknown is the error for an option that the directive does not have.
func (s *statement) unknown(option, hint string) error {
	if hint != "" {
		hint = ", " + hint
	}
	return &problem{what: "Invalid option in " + s.name + " directive", detail: printable(option) + hint, at: s.at}
}

// outside is the error for a value that is none, or out of range.
func (s *statement) outside(option, word string, lo, hi float64) error {
	limits := "any finite number"
	switch {
	case !math.IsInf(hi, 0):
		limits = fmt.Sprintf("min %g, max %g", lo, hi)
	case !math.IsInf(lo, 0):
		limits = fmt.Sprintf("min %g", lo)
	}
	if option != "" {
		option += " option of "
	}
	return &problem{what: fmt.Sprintf("Invalid value %s in %s%s directive (%s)", printable(word), option, s.name, limits), at: s.at}
}

// number reads a number from lo to hi.
func (s *statement) number(option, word string, lo, hi float64) (float64, error) {
	v, err := strconv.ParseFloat(word, 64)
	if err != nil || strings.ContainsAny(word, "_xX") || !(lo <= v && v <= hi) || math.IsInf(v, 0) {
		return 0, s.outside(option, word, lo, hi)
	}
	return v, nil
}

// integer reads a whole number from lo to hi.
func (s *statement) integer(option, word string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < lo || n > hi {
		return 0, s.outside(option, word, float64(lo), float64(hi))
	}
	return n, nil
}

// printable makes a word of a file fit for a message.
func printable(word string) string {
	const most = 64
	if len(word) > most {
		word = word[:most] + "..."
	}
	return strings.Trim(strconv.Quote(word), `"`)
}

var inf = math.Inf(1)

// option is an option of a directive.
type option struct {
	flag bool // no value follows
	set  func(word string) error
}

// options reads words as options; -4 and -6 may be among the names.
func (s *statement) options(words []string, known map[string]option) error {
	for len(words) > 0 {
		name := strings.ToLower(words[0])
		o, ok := known[name]
		if !ok {
			return s.unknown(words[0], suggest(name, known))
		}
		word := ""
		if words = words[1:]; !o.flag {
			if len(words) == 0 {
				return s.unknown(name, "which needs a value")
			}
			word, words = words[0], words[1:]
		}
		if o.set == nil {
			continue
		}
		if err := o.set(word); err != nil {
			return err
		}
	}
	return nil
}

// yes is an option that stores true.
func yes(to *bool) option {
	return option{flag: true, set: func(string) error {
		*to = true
		return nil
	}}
}

// float is an option with a number from lo to hi.
func (s *statement) float(name string, to *float64, lo, hi float64) option {
	return option{set: func(word string) (err error) {
		*to, err = s.number(name, word, lo, hi)
		return err
	}}
}

// whole is an option with a whole number from lo to hi.
func (s *statement) whole(name string, to *int, lo, hi int) option {
	return option{set: func(word string) (err error) {
		*to, err = s.integer(name, word, lo, hi)
		return err
	}}
}

// idle is an option with a number that has no effect.
func (p *parser) idle(s *statement, name, why string) option {
	return option{set: func(word string) error {
		if _, err := s.number(name, word, -inf, inf); err != nil {
			return err
		}
		p.inert(s, name+" option", why)
		return nil
	}}
}
