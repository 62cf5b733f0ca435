// SPDX-License-Identifier: Apache-2.0

package ntp

import "encoding/binary"

// FieldType is an extension field type, RFC 7822 section 3.
type FieldType uint16

// Extension fields that foliot reads or writes; other fields are passed over.
const (
	// FieldMonoRoot carries root delay and dispersion at 2^-28 s and a
	// monotonic receive timestamp (experimental, also sent by chrony).
	FieldMonoRoot FieldType = 0xF323
	// FieldCorrection carries the network correction (experimental).
	FieldCorrection FieldType = 0x010A
)

// Trailer is what follows the header of a packet.
type Trailer struct {
	// Fields are the extension fields, walked with [NextField].
	Fields []byte
	// KeyID and MAC are valid iff len(MAC) != 0. MAC is the digest without
	// the key ID; the octets it covers are the packet up to MACOffset.
	KeyID     uint32
	MAC       []byte
	MACOffset int
}

// SplitTrailer separates extension fields and MAC of a packet whose header
// decoded. It reports false when the octets after the header are neither. The
// result aliases b. A version below 4 has no extension fields.
//
// RFC 7822 section 7.5.1.4: what is left is a MAC as soon as it is short enough
// to be one; 24 octets after a field, and up to 68 right after the header when
// it does not read as a chain of fields.
func SplitTrailer(b []byte, version uint8) (Trailer, bool) {
	var t Trailer
	pos := HeaderLen
	for version == Version && len(b)-pos > MaxMACLen {
		n := fieldLen(b[pos:])
		if n == 0 {
			break
		}
		pos += n
	}
	rest := len(b) - pos
	longest := MaxMACLen
	if pos == HeaderLen {
		longest = MaxLongMACLen
	}
	t.Fields = b[HeaderLen:pos]
	switch {
	case rest == 0:
	case rest >= minMACLen && rest <= longest:
		t.KeyID = binary.BigEndian.Uint32(b[pos:])
		t.MAC, t.MACOffset = b[pos+4:], pos
	case rest == 4 && binary.BigEndian.Uint32(b[pos:]) == 0:
		// A crypto-NAK: a key ID of zero and nothing else. It says that
		// authentication went wrong; it authenticates nothing.
		t.MAC, t.MACOffset = nil, pos
		return t, false
	default:
		return t, false
	}
	return t, true
}

// fieldLen returns the length of the field at the start of b including its
// four octets of header, or 0 if there is none.
func fieldLen(b []byte) int {
	if len(b) < minField {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < minField || n%4 != 0 || n > len(b) {
		return 0
	}
	return n
}

// NextField splits the first extension field off fields. It reports false at
// the end. The body aliases fields and includes the padding.
func NextField(fields []byte) (typ FieldType, body, rest []byte, ok bool) {
	n := fieldLen(fields)
	if n == 0 {
		return 0, nil, nil, false
	}
	return FieldType(binary.BigEndian.Uint16(fields)), fields[4:n], fields[n:], true
}

// AppendField appends a field with body, padded with zeros to a multiple of
// four octets and to at least least octets (RFC 7822: 16, or 28 for the last
// field of a packet without a MAC).
func AppendField(b []byte, typ FieldType, body []byte, least int) []byte {
	n := max(4+(len(body)+3)&^3, least)
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, body...)
	for len(b) < start+n {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[start:], uint16(typ))
	binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	return b
}

// The body of [FieldMonoRoot] begins with a magic number.
const (
	MonoRootMagic = 0xF5BEDD9A
	MonoRootLen   = 24 // octets of the body
)

// FindMonoRoot returns the body of the first field [FieldMonoRoot] of the right
// form, if there is one. It aliases fields.
func FindMonoRoot(fields []byte) ([]byte, bool) {
	for {
		typ, body, rest, ok := NextField(fields)
		if !ok {
			return nil, false
		}
		if typ == FieldMonoRoot && len(body) == MonoRootLen && binary.BigEndian.Uint32(body) == MonoRootMagic {
			return body, true
		}
		fields = rest
	}
}
