// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"math"
	"strconv"
	"strings"
)

// This file reads numbers as C's scanf does, because chronyc's users may rely on
// it: what follows a number does not make it wrong.

// cut takes the first word off a line whose words are separated by one space.
func cut(line string) (word, rest string) {
	word, rest, _ = strings.Cut(line, " ")
	return word, rest
}

// normalize makes the words of a line separated by one space. A comment is no
// line.
func normalize(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	if line != "" && strings.ContainsRune("!;#%", rune(line[0])) {
		return ""
	}
	return line
}

// Split takes the first word off a line as it was typed; a comment has none.
func Split(line string) (word, rest string) { return cut(normalize(line)) }

// Atoi is C's: the integer that s begins with, 0 if there is none.
func Atoi(s string) int {
	n, _ := scanInt(s)
	return n
}

// scanInt is atoi: the integer that s begins with, 0 if there is none.
func scanInt(s string) (n int, rest string) {
	n, rest, _ = tryInt(s)
	return n, rest
}

// tryInt is scanf's %d. What does not fit into 32 bits wraps.
func tryInt(s string) (n int, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	end := signs(s)
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == signs(s) {
		return 0, s, false
	}
	v, _ := strconv.ParseInt(s[:end], 10, 64) // at the limit if it is beyond
	return int(int32(v)), s[end:], true
}

func signs(s string) int {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return 1
	}
	return 0
}

// tryFloat is scanf's %lf.
func tryFloat(s string) (v float64, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	word, _ := cut(s)
	for end := len(word); end > 0; end-- {
		if strings.ContainsAny(word[:end], "_xX") {
			continue
		}
		v, err := strconv.ParseFloat(word[:end], 64)
		if err == nil || math.IsInf(v, 0) {
			return v, s[end:], true
		}
	}
	return 0, s, false
}
