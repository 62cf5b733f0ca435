// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// valueError says why a word is no good value. It is framed by the directive or
// the option that wanted the value.
type valueError struct {
	word      string
	kind      string // what was wanted: "an integer"
	allowed   string // which values are: "min 0, max 63"
	malformed bool   // the word is not of that kind at all
}

// setter stores a word; nil means that it did.
type setter func(word string) *valueError

// integers are the types of whole settings.
type integers interface {
	~int | ~int16 | ~int8 | ~uint8 | ~uint16 | ~uint32 | ~int64
}

// integer returns a setter for decimal numbers from lo to hi.
func integer[T integers](to *T, lo, hi int64) setter {
	return func(word string) *valueError {
		e := &valueError{word: word, kind: "an integer", allowed: fmt.Sprintf("min %d, max %d", lo, hi)}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil && !isRange(err) {
			e.malformed = true
			return e
		}
		if err != nil || n < lo || n > hi {
			return e
		}
		*to = T(n)
		return nil
	}
}

// capped is integer for settings that chronyd takes at any size and uses up to
// a limit.
func capped[T integers](to *T, lo, limit int64) setter {
	return func(word string) *valueError {
		var n int64
		if e := integer(&n, lo, math.MaxInt64)(word); e != nil {
			return e
		}
		*to = T(min(n, limit))
		return nil
	}
}

// number returns a setter for numbers from lo to hi, either may be infinite.
// The words are those of strtod, without infinity and not-a-number.
func number(to *float64, lo, hi float64) setter {
	return func(word string) *valueError {
		e := &valueError{word: word, kind: "a number", allowed: bounds(lo, hi)}
		v, ok := parseFloat(word)
		if !ok {
			e.malformed = true
			return e
		}
		if !(lo <= v && v <= hi) || math.IsInf(v, 0) {
			return e
		}
		*to = v
		return nil
	}
}

// bounds says in words what is allowed.
func bounds(lo, hi float64) string {
	var parts []string
	if !math.IsInf(lo, 0) {
		parts = append(parts, fmt.Sprintf("min %g", lo))
	}
	if !math.IsInf(hi, 0) {
		parts = append(parts, fmt.Sprintf("max %g", hi))
	}
	if len(parts) == 0 {
		return "any finite number"
	}
	return strings.Join(parts, ", ")
}

// parseFloat reads what C's strtod reads: ParseFloat takes digit separators on
// top of that, and wants an exponent after hexadecimal digits.
func parseFloat(word string) (float64, bool) {
	lower := strings.ToLower(word)
	if strings.ContainsAny(lower, "_n") { // separators, "inf", "nan"
		return 0, false
	}
	digits := strings.TrimLeft(lower, "+-")
	if strings.HasPrefix(digits, "0x") && !strings.Contains(digits, "p") {
		lower += "p0"
	}
	v, err := strconv.ParseFloat(lower, 64)
	return v, err == nil || isRange(err)
}

// isRange tells a number that is too large from a word that is no number.
func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}

// choice returns a setter for one of several words, in any case.
func choice[T any](to *T, values map[string]T) setter {
	return func(word string) *valueError {
		v, ok := values[strings.ToLower(word)]
		if !ok {
			return &valueError{
				word: word, kind: "known", malformed: true,
				allowed: "allowed: " + strings.Join(keys(values), ", "),
			}
		}
		*to = v
		return nil
	}
}

// text returns a setter that takes any word.
func text(to *string) setter {
	return func(word string) *valueError {
		*to = word
		return nil
	}
}

// fileName returns a setter for a file; "/" stands for none.
func fileName(to *string) setter {
	return func(word string) *valueError {
		*to = word
		if word == "/" {
			*to = ""
		}
		return nil
	}
}
