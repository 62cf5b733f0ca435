// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"foliot/internal/ntp"
)

// text collects the data of an answer: variables as name=value in lines, or
// binary words. The form is ntpd's, down to where lines break.
type text struct {
	b      []byte
	line   int // octets in the last line
	binary bool
	item   []byte // the variable in hand
}

// lineLen is how long lines may get.
const lineLen = 72

func (t *text) reset() { t.b, t.line, t.binary = t.b[:0], 0, false }

// word appends a binary word.
func (t *text) word(w uint16) {
	t.binary = true
	t.b = append(t.b, byte(w>>8), byte(w))
}

// finish returns the data.
func (t *text) finish() []byte {
	if len(t.b) > 0 && !t.binary {
		t.b = append(t.b, "\r\n"...)
	}
	return t.b
}

// name begins a variable.
func (t *text) name(s string) {
	t.item = append(append(t.item[:0], s...), '=')
}

// end appends the variable in hand.
func (t *text) end() {
	if len(t.b) > 0 {
		if len(t.item)+t.line+2 >= lineLen {
			t.b = append(t.b, ",\r\n"...)
			t.line = 0
		} else {
			t.b = append(t.b, ", "...)
			t.line += 2
		}
	}
	t.b = append(t.b, t.item...)
	t.line += len(t.item)
}

// fixed appends a number with digits behind the point. What is no number is left out.
func (t *text) fixed(name string, v float64, digits int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	t.name(name)
	t.item = strconv.AppendFloat(t.item, v, 'f', digits, 64)
	t.end()
}

// ms appends seconds as milliseconds with as many digits as ntpd has for
// measurements (6) and for the rest (3).
func (t *text) ms(name string, seconds float64, digits int) { t.fixed(name, seconds*1e3, digits) }

func (t *text) int(name string, v int64) {
	t.name(name)
	t.item = strconv.AppendInt(t.item, v, 10)
	t.end()
}

func (t *text) uint(name string, v uint64) {
	t.name(name)
	t.item = strconv.AppendUint(t.item, v, 10)
	t.end()
}

func (t *text) hex(name string, v uint64) {
	t.name(name)
	t.item = strconv.AppendUint(append(t.item, "0x"...), v, 16)
	t.end()
}

// stamp appends a timestamp as 0xSSSSSSSS.FFFFFFFF.
func (t *text) stamp(name string, v ntp.Timestamp) {
	t.name(name)
	t.item = appendStamp(t.item, v)
	t.end()
}

func appendStamp(b []byte, v ntp.Timestamp) []byte {
	b = appendHex8(append(b, "0x"...), uint32(v>>32))
	return appendHex8(append(b, '.'), uint32(v))
}

func appendHex8(b []byte, v uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}

// parseStamp reads what appendStamp writes.
func parseStamp(s string) (ntp.Timestamp, bool) {
	if len(s) != 19 || s[:2] != "0x" || s[10] != '.' {
		return 0, false
	}
	sec, err1 := strconv.ParseUint(s[2:10], 16, 32)
	frac, err2 := strconv.ParseUint(s[11:], 16, 32)
	return ntp.Timestamp(sec<<32 | frac), err1 == nil && err2 == nil
}

// bare appends a word as it is; it must be ours.
func (t *text) bare(name, v string) {
	t.name(name)
	t.item = append(t.item, v...)
	t.end()
}

// quoted appends a string in quotation marks. What could end it becomes a dot.
func (t *text) quoted(name, v string) {
	t.name(name)
	t.item = append(t.item, '"')
	for i := range len(v) {
		t.item = append(t.item, plain(v[i], " ,="))
	}
	t.item = append(t.item, '"')
	t.end()
}

// plain returns a printable octet, a dot for others and for those with a meaning in
// lists of variables, but for those of except.
func plain(c byte, except string) byte {
	switch {
	case c == '"' || c == '\\' || c <= ' ' && c != ' ' || c >= 0x7f:
		return '.'
	case c == ' ' || c == ',' || c == '=':
		for i := range len(except) {
			if except[i] == c {
				return c
			}
		}
		return '.'
	}
	return c
}

func (t *text) addr(name string, a netip.Addr) {
	t.name(name)
	t.item = a.Unmap().WithZone("").AppendTo(t.item)
	t.end()
}

// refID appends a reference identifier: of a clock of the given stratum, letters
// for a reference clock and an address for a server.
func (t *text) refID(name string, id ntp.RefID, stratum uint8) {
	b := [4]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
	if stratum > 1 && stratum < ntp.MaxStratum {
		t.addr(name, netip.AddrFrom4(b))
		return
	}
	t.letters(name, b)
}

// letters appends up to four letters. They may come from a stranger, so that
// those with a meaning become dots; and what may read as a number is quoted,
// because ntpq takes it for one and then ends with an exception.
func (t *text) letters(name string, b [4]byte) {
	var word []byte
	for _, c := range b {
		if c == 0 {
			break
		}
		word = append(word, plain(c, ""))
	}
	s := string(word)
	if s != "" && (s[0]|0x20 < 'a' || s[0]|0x20 > 'z') || strings.EqualFold(s, "nan") || strings.EqualFold(s, "inf") {
		t.quoted(name, s)
		return
	}
	t.bare(name, s)
}
