// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"math"
	"net/netip"
	"strconv"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// The functions of this file append one column each, in the layouts of C's
// printf, and allocate nothing while b has room.

// Name is what a line calls a source: its address or, where Addr is not valid,
// the reference ID.
type Name struct {
	Addr  netip.Addr
	RefID uint32
}

// appendText appends the name: an address, a reference ID of printable ASCII
// without trailing zeros, or any other as a dotted quad.
func (n Name) appendText(b []byte) []byte {
	if n.Addr.IsValid() {
		return n.Addr.AppendTo(b)
	}
	id := [4]byte{byte(n.RefID >> 24), byte(n.RefID >> 16), byte(n.RefID >> 8), byte(n.RefID)}
	k := 4
	for k > 0 && id[k-1] == 0 {
		k--
	}
	for _, c := range id[:k] {
		if c <= ' ' || c > '~' {
			k = 0
		}
	}
	if k == 0 {
		return netip.AddrFrom4(id).AppendTo(b)
	}
	return append(b, id[:k]...)
}

// String returns the name as the files have it.
func (n Name) String() string { return string(n.appendText(make([]byte, 0, 48))) }

// appendLeft appends the name left-adjusted in width columns (%-15s).
func (n Name) appendLeft(b []byte, width int) []byte {
	from := len(b)
	b = n.appendText(b)
	for len(b)-from < width {
		b = append(b, ' ')
	}
	return b
}

// padLeft moves what was appended since from to the right end of width columns.
func padLeft(b []byte, from, width int) []byte {
	n := len(b) - from
	if n >= width {
		return b
	}
	for range width - n {
		b = append(b, ' ')
	}
	copy(b[from+width-n:], b[from:from+n])
	for i := range width - n {
		b[from+i] = ' '
	}
	return b
}

// layout is a number layout: conversion 'e' or 'f' in width columns with prec
// digits after the point.
type layout struct {
	verb        byte
	width, prec int
}

// appendFloat appends x (%width.precVERB).
func appendFloat(b []byte, x float64, l layout) []byte {
	from := len(b)
	switch {
	case math.IsNaN(x):
		b = append(b, "nan"...)
	case math.IsInf(x, 1):
		b = append(b, "inf"...)
	case math.IsInf(x, -1):
		b = append(b, "-inf"...)
	default:
		b = strconv.AppendFloat(b, x, l.verb, l.prec, 64)
	}
	return padLeft(b, from, l.width)
}

// appendExp appends a space and x in the commonest layout (%10.3e).
func appendExp(b []byte, x float64) []byte {
	return appendFloat(append(b, ' '), x, layout{'e', 10, 3})
}

// fast turns a value with foliot's sign, positive for a slow local clock, into
// a column where positive means fast. Zero stays zero and gets no minus.
func fast[F clock.Offset | clock.Frequency](x F) float64 { return 0 - float64(x) }

// appendInt appends n (%widthd).
func appendInt(b []byte, n, width int) []byte {
	from := len(b)
	return padLeft(strconv.AppendInt(b, int64(n), 10), from, width)
}

// appendOctal appends n (%widtho).
func appendOctal(b []byte, n uint8, width int) []byte {
	from := len(b)
	return padLeft(strconv.AppendUint(b, uint64(n), 8), from, width)
}

// appendHex appends a 32-bit number (%08X).
func appendHex(b []byte, n uint32) []byte {
	const digits = "0123456789ABCDEF"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

// appendBits appends the low n bits of v as digits, highest first.
func appendBits(b []byte, v uint8, n int) []byte {
	for n--; n >= 0; n-- {
		b = append(b, '0'+v>>n&1)
	}
	return b
}

// appendBool appends 1 or 0.
func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, '1')
	}
	return append(b, '0')
}

// appendDate appends date and second in UTC.
func appendDate(b []byte, t clock.Served) []byte {
	return clock.Time(t).AppendFormat(b, time.DateTime)
}

// leapChar is the letter of a leap status.
func leapChar(l ntp.Leap) byte { return "N+-?"[l&3] }
