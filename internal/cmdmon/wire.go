// SPDX-License-Identifier: Apache-2.0

package cmdmon

import (
	"bytes"
	"encoding/binary"
)

// body is the data of a message. A type names its fields once, in the order of
// the wire, and both directions follow that.
type body interface{ fields(w *wire) }

// wire moves fields between a message and octets, in the direction that writing
// says. A read past the end leaves the field alone and sets short.
type wire struct {
	b       []byte // what is written so far, or what is still to be read
	writing bool
	short   bool
}

func appendBody(b []byte, m body) []byte {
	w := wire{b: b, writing: true}
	m.fields(&w)
	return w.b
}

// decodeBody reads m from b, which may be longer.
func decodeBody(b []byte, m body) bool {
	w := wire{b: b}
	m.fields(&w)
	return !w.short
}

// next returns the n octets where the next field is, or nil.
func (w *wire) next(n int) []byte {
	if w.writing {
		w.b = append(w.b, make([]byte, n)...)
		return w.b[len(w.b)-n:]
	}
	if len(w.b) < n {
		w.b, w.short = nil, true
		return nil
	}
	field := w.b[:n]
	w.b = w.b[n:]
	return field
}

// skip leaves n octets zero, or does not look at them.
func (w *wire) skip(n int) { w.next(n) }

// ones leaves n octets that are set in all bits, where chrony has room for more.
func (w *wire) ones(n int) {
	field := w.next(n)
	if w.writing {
		copy(field, bytes.Repeat([]byte{0xff}, n))
	}
}

func integer8[T ~uint8 | ~int8](w *wire, v *T) {
	field := w.next(1)
	switch {
	case field == nil:
	case w.writing:
		field[0] = uint8(*v)
	default:
		*v = T(field[0])
	}
}

func integer16[T ~uint16 | ~int16](w *wire, v *T) {
	field := w.next(2)
	switch {
	case field == nil:
	case w.writing:
		binary.BigEndian.PutUint16(field, uint16(*v))
	default:
		*v = T(binary.BigEndian.Uint16(field))
	}
}

func integer32[T ~uint32 | ~int32](w *wire, v *T) {
	field := w.next(4)
	switch {
	case field == nil:
	case w.writing:
		binary.BigEndian.PutUint32(field, uint32(*v))
	default:
		*v = T(binary.BigEndian.Uint32(field))
	}
}

// integers64 moves fields that chrony calls Integer64: two halves, the high one first.
func (w *wire) integers64(all ...*uint64) {
	for _, v := range all {
		field := w.next(8)
		switch {
		case field == nil:
		case w.writing:
			binary.BigEndian.PutUint64(field, *v)
		default:
			*v = binary.BigEndian.Uint64(field)
		}
	}
}

func (w *wire) counts(all ...*uint32) {
	for _, v := range all {
		integer32(w, v)
	}
}

func (w *wire) floats(all ...*float64) {
	for _, v := range all {
		f := ToFloat(*v)
		integer32(w, &f)
		if !w.writing {
			*v = f.Value()
		}
	}
}

// flag moves a 32-bit integer that is 0 or not.
func (w *wire) flag(v *bool) {
	var n uint32
	if *v {
		n = 1
	}
	integer32(w, &n)
	if !w.writing {
		*v = n != 0
	}
}

// text moves a string in n octets, the last of which is zero. A name without its
// end is read as empty, which is no name.
func (w *wire) text(n int, v *string) {
	field := w.next(n)
	switch {
	case field == nil:
	case w.writing:
		copy(field[:n-1], *v)
	default:
		s, _, whole := bytes.Cut(field, []byte{0})
		if !whole {
			s = nil
		}
		*v = string(s)
	}
}
