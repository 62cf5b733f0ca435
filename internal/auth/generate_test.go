// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"io"
	"strings"
	"testing"
)

// counter is a source of octets that a test can foresee.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

func TestGenerate(t *testing.T) {
	tests := []struct {
		id   uint32
		typ  Type
		bits int
		want string
	}{
		{1, SHA1, DefaultBits, "1 SHA1 HEX:000102030405060708090A0B0C0D0E0F10111213"},
		{4294967295, SHA1, 80, "4294967295 SHA1 HEX:00010203040506070809"},
		{3, MD5, 40, "3 MD5 HEX:00010203040506070809"},
		{3, MD5, -5, "3 MD5 HEX:00010203040506070809"},
		{3, SHA3256, 81, "3 SHA3-256 HEX:000102030405060708090A"},
		{3, AES128, 40, "3 AES128 HEX:000102030405060708090A0B0C0D0E0F"},
		{3, AES256, DefaultBits, "3 AES256 HEX:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"},
	}
	for _, tt := range tests {
		if got, err := Generate(tt.id, tt.typ, tt.bits, new(counter)); got != tt.want || err != nil {
			t.Errorf("Generate(%d, %s, %d) = %q, %v, want %q", tt.id, tt.typ, tt.bits, got, err, tt.want)
		}
	}
	if line, _ := Generate(1, SHA1, 1e6, new(counter)); len(line) != len("1 SHA1 HEX:")+2*4096/8 {
		t.Errorf("a million bits give a line of %d octets", len(line))
	}
	for _, typ := range []Type{0, typeCount, 255} {
		if line, err := Generate(1, typ, 80, new(counter)); err == nil {
			t.Errorf("type %d gives %q", typ, line)
		}
	}
	if line, err := Generate(0, SHA1, 80, new(counter)); err == nil {
		t.Errorf("ID 0 gives %q", line)
	}
	if line, err := Generate(1, SHA1, 160, io.LimitReader(new(counter), 19)); err == nil {
		t.Errorf("a source that ends gives %q", line)
	}
}

// TestGeneratedLines reads every kind and length of line back: the same key, and
// nothing to complain about.
func TestGeneratedLines(t *testing.T) {
	for typ := MD5; typ < typeCount; typ++ {
		for bits := MinBits; bits <= MaxBits; bits += 37 {
			line, err := Generate(7, typ, bits, new(counter))
			if err != nil {
				t.Fatalf("Generate(7, %s, %d): %v", typ, bits, err)
			}
			ring, problems := ParseKeys([]byte(line + "\n"))
			k := ring[7]
			if len(ring) != 1 || len(problems) != 0 || k.Type() != typ || k.Bits() != typ.SecretBits(bits) {
				t.Fatalf("%s of %d bits: %q is read as %v, problems %v", typ, bits, line, ring, problems)
			}
			if n := k.Bits() - bits; types[typ].keyLen == 0 && (n < 0 || n > 7) {
				t.Fatalf("%s of %d bits: %d bits were made", typ, bits, k.Bits())
			}
			for i, c := range k.own.secret {
				if c != byte(i) {
					t.Fatalf("%s of %d bits: octet %d of the secret is %#x, want %#x", typ, bits, i, c, byte(i))
				}
			}
			if line != strings.TrimSpace(line) || strings.Count(line, " ") != 2 {
				t.Fatalf("%q is not three words", line)
			}
		}
	}
}
