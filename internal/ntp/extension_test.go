// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// packetWith returns a packet of the version with fields of the given lengths
// and a MAC of n octets including its key ID.
func packetWith(version uint8, n int, fields ...int) []byte {
	p := Packet{Version: version, Mode: ModeClient}
	b := p.AppendTo(nil)
	for i, l := range fields {
		b = AppendField(b, FieldType(0x2000+i), bytes.Repeat([]byte{byte(i + 1)}, l-4), 0)
	}
	mac := bytes.Repeat([]byte{0xaa}, n)
	if n >= 4 {
		binary.BigEndian.PutUint32(mac, 7)
	}
	return append(b, mac...)
}

func TestSplitTrailer(t *testing.T) {
	tests := []struct {
		name    string
		version uint8
		mac     int
		fields  []int
		ok      bool
	}{
		{"header alone", 4, 0, nil, true},
		{"MD5", 4, 20, nil, true},
		{"SHA1", 4, 24, nil, true},
		{"SHA256 on a bare header", 4, 36, nil, true},
		{"SHA512 on a bare header", 4, 68, nil, true},
		{"too long for a MAC", 4, 72, nil, false},
		{"4 octets", 4, 4, nil, false},
		{"8 octets", 4, 8, nil, false},
		{"16 octets are neither", 4, 16, nil, false},
		{"field of 28", 4, 0, []int{28}, true},
		{"field of 28, MD5", 4, 20, []int{28}, true},
		{"field of 28, SHA1", 4, 24, []int{28}, true},
		{"field of 16, MD5", 4, 20, []int{16}, true},
		{"fields of 16, 28", 4, 0, []int{16, 28}, true},
		{"fields of 16, 16, SHA1", 4, 24, []int{16, 16}, true},
		{"the longest field", 4, 0, []int{MaxLen - HeaderLen}, true},
		{"no long MAC after a field", 4, 36, []int{28}, false},
		{"4 octets after a field", 4, 4, []int{28}, false},
		{"16 octets after a field", 4, 16, []int{28}, false},
		{"version 3, MD5", 3, 20, nil, true},
		{"version 3, SHA1", 3, 24, nil, true},
		{"version 3, SHA512", 3, 68, nil, true},
		{"version 3, too long", 3, 72, nil, false},
		{"version 2, MD5", 2, 20, nil, true},
		{"version 1, MD5", 1, 20, nil, true},
		{"version 3 has no fields", 3, 20, []int{64}, false},
	}
	for _, tt := range tests {
		b := packetWith(tt.version, tt.mac, tt.fields...)
		tr, ok := SplitTrailer(b, tt.version)
		if ok != tt.ok {
			t.Errorf("%s: ok = %v, want %v", tt.name, ok, tt.ok)
		}
		if !ok {
			continue
		}
		macAt := len(b) - tt.mac
		if !bytes.Equal(tr.Fields, b[HeaderLen:macAt]) {
			t.Errorf("%s: %d octets of fields, want %d", tt.name, len(tr.Fields), macAt-HeaderLen)
		}
		if tt.mac == 0 && len(tr.MAC) != 0 {
			t.Errorf("%s: a MAC of %d octets, want none", tt.name, len(tr.MAC))
		}
		if tt.mac != 0 && (tr.KeyID != 7 || tr.MACOffset != macAt || !bytes.Equal(tr.MAC, b[macAt+4:])) {
			t.Errorf("%s: key %d, MAC of %d octets at %d, want key 7, %d octets at %d",
				tt.name, tr.KeyID, len(tr.MAC), tr.MACOffset, tt.mac-4, macAt)
		}
	}
}

// TestShortLastField: RFC 7822 section 7.5.1.4 makes the parse unambiguous by
// calling up to 24 octets at the end a MAC, so the last field of a packet
// without a MAC has at least 28.
func TestShortLastField(t *testing.T) {
	for _, n := range []int{20, 24} {
		tr, ok := SplitTrailer(packetWith(4, 0, 28, n), 4)
		if !ok || len(tr.Fields) != 28 || len(tr.MAC) != n-4 {
			t.Errorf("a last field of %d: fields %d, MAC %d, %v; want it read as a MAC", n, len(tr.Fields), len(tr.MAC), ok)
		}
	}
	if _, ok := SplitTrailer(packetWith(4, 0, 28, 16), 4); ok {
		t.Error("a last field of 16 is too short for a field and for a MAC, want false")
	}
}

func TestCryptoNAK(t *testing.T) {
	for _, fields := range [][]int{nil, {28}} {
		for version := uint8(1); version <= 4; version++ {
			if version < 4 && fields != nil {
				continue
			}
			b := append(packetWith(version, 0, fields...), 0, 0, 0, 0)
			tr, ok := SplitTrailer(b, version)
			if ok || len(tr.MAC) != 0 {
				t.Errorf("version %d, fields %v: a crypto-NAK gives ok %v, MAC of %d octets; want false, 0",
					version, fields, ok, len(tr.MAC))
			}
		}
	}
}

// TestFieldLengths tries every length in the length word of a field.
func TestFieldLengths(t *testing.T) {
	b := make([]byte, 200)
	for n := range 300 {
		binary.BigEndian.PutUint16(b[2:], uint16(n))
		_, body, rest, ok := NextField(b)
		want := n >= 16 && n%4 == 0 && n <= len(b)
		if ok != want {
			t.Errorf("length word %d: ok = %v, want %v", n, ok, want)
		}
		if ok && (len(body) != n-4 || len(rest) != len(b)-n) {
			t.Errorf("length word %d: body %d, rest %d", n, len(body), len(rest))
		}
	}
	for n := range 16 {
		if _, _, _, ok := NextField(b[:n]); ok {
			t.Errorf("%d octets hold a field", n)
		}
	}
}

func TestAppendField(t *testing.T) {
	for _, tt := range []struct{ body, least, want int }{
		{0, 16, 16}, {12, 16, 16}, {13, 16, 20}, {24, 0, 28}, {24, 28, 28}, {1, 28, 28}, {25, 28, 32}, {23, 28, 28},
	} {
		body := bytes.Repeat([]byte{0xee}, tt.body)
		b := AppendField([]byte("abcd"), FieldMonoRoot, body, tt.least)
		typ, got, rest, ok := NextField(b[4:])
		name := fmt.Sprintf("body %d, least %d", tt.body, tt.least)
		if !ok || typ != FieldMonoRoot || len(rest) != 0 || len(b)-4 != tt.want {
			t.Errorf("%s: %d octets, type %#x, ok %v; want %d", name, len(b)-4, typ, ok, tt.want)
			continue
		}
		if !bytes.Equal(got[:tt.body], body) || len(bytes.Trim(got[tt.body:], "\x00")) != 0 {
			t.Errorf("%s: body %x is not the body and zeros", name, got)
		}
	}
}

func FuzzSplitTrailer(f *testing.F) {
	for _, n := range []int{0, 4, 16, 20, 24, 36, 68} {
		f.Add(packetWith(4, n), uint8(4))
		f.Add(packetWith(4, n, 16, 28), uint8(4))
		f.Add(packetWith(3, n), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, version uint8) {
		var p Packet
		if !p.Decode(b) {
			return
		}
		tr, ok := SplitTrailer(b, version)
		if !ok {
			if len(tr.MAC) != 0 {
				t.Fatalf("a trailer that is none has a MAC: %+v", tr)
			}
			return
		}
		n := HeaderLen + len(tr.Fields)
		if len(tr.MAC) != 0 {
			if tr.MACOffset != n || tr.KeyID != binary.BigEndian.Uint32(b[n:]) {
				t.Fatalf("MAC at %d of key %d, want at %d", tr.MACOffset, tr.KeyID, n)
			}
			n += 4 + len(tr.MAC)
			if len(tr.MAC) < 16 || len(tr.MAC) > 64 || len(tr.MAC) > 20 && len(tr.Fields) > 0 {
				t.Fatalf("MAC of %d octets behind %d of fields", len(tr.MAC), len(tr.Fields))
			}
		}
		if n != len(b) {
			t.Fatalf("fields and MAC end at %d of %d", n, len(b))
		}
		if version != Version && len(tr.Fields) != 0 {
			t.Fatalf("version %d with fields", version)
		}
		rest := tr.Fields
		for len(rest) > 0 {
			var body []byte
			if _, body, rest, ok = NextField(rest); !ok || len(body) < 12 {
				t.Fatalf("fields %x do not read to their end", tr.Fields)
			}
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add(uint16(0xF323), make([]byte, 24), uint16(0x010A), []byte("correction"), uint8(20))
	f.Add(uint16(0), []byte{}, uint16(0xffff), bytes.Repeat([]byte{1}, 65), uint8(0))
	f.Fuzz(func(t *testing.T, type1 uint16, body1 []byte, type2 uint16, body2 []byte, mac uint8) {
		if len(body1)+len(body2) > 900 || mac != 0 && (mac < 20 || mac > MaxMACLen || mac%4 != 0) {
			return
		}
		p := Packet{Version: 4}
		b := AppendField(p.AppendTo(nil), FieldType(type1), body1, minField)
		b = AppendField(b, FieldType(type2), body2, 28)
		b = append(b, bytes.Repeat([]byte{0x55}, int(mac))...)
		tr, ok := SplitTrailer(b, 4)
		if !ok || len(b) != HeaderLen+len(tr.Fields)+int(mac) {
			t.Fatalf("appended fields do not split: %+v %v", tr, ok)
		}
		typ, got, rest, ok := NextField(tr.Fields)
		if !ok || typ != FieldType(type1) || !bytes.HasPrefix(got, body1) {
			t.Fatalf("first field reads %#x %x", typ, got)
		}
		typ, got, rest, ok = NextField(rest)
		if !ok || typ != FieldType(type2) || !bytes.HasPrefix(got, body2) || len(rest) != 0 {
			t.Fatalf("second field reads %#x %x, rest %x", typ, got, rest)
		}
	})
}
