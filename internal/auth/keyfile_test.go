// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// describe lists what a parser found, in order of ID.
func describe(ring Ring, problems []Problem) string {
	var b strings.Builder
	for id := range uint32(100) {
		if k, ok := ring[id]; ok {
			fmt.Fprintf(&b, "%d %s %q\n", k.id, k.typ, k.secret)
		}
	}
	for _, p := range problems {
		fmt.Fprintf(&b, "%s", p)
		if p.Kept {
			b.WriteString(" (kept)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestParseKeys(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"comments", "\n  \n# a\n! b\n; c\n % d\n", ""},
		{"two columns", "10 tulip-hyacinth", "10 MD5 \"tulip-hyacinth\"\n"},
		{"weak", "10 tulip\r\n", "10 MD5 \"tulip\"\nline 1: key 10: only 40 bits long, at least 80 are recommended (kept)\n"},
		{"ascii", "20 MD5 ASCII:crocus4567", "20 MD5 \"crocus4567\"\n"},
		{"hex", "25\tSHA1  HEX:933F62BE1D604E68a81b", "25 SHA1 \"\\x93?b\\xbe\\x1d`Nh\\xa8\\x1b\"\n"},
		{"hex in two columns", "25 HEX:30313233343536373839", "25 MD5 \"0123456789\"\n"},
		{"prefix in small letters is part of the secret", "25 hex:abcdefgh", "25 MD5 \"hex:abcdefgh\"\n"},
		{"comment sign within", "25 a#b!c;d%efg", "25 MD5 \"a#b!c;d%efg\"\n"},
		{"aes", "30 AES128 HEX:30313233343536373839303132333435", "30 AES128 \"0123456789012345\"\n"},
		{"aes ascii", "30 AES256 0123456789012345ABCDEFGHIJKLMNOP", "30 AES256 \"0123456789012345ABCDEFGHIJKLMNOP\"\n"},
		{"aes length", "30 AES128 HEX:30", "line 1: key 30: AES128 needs a secret of 128 bits, got 8\n"},
		{"bad lines in between", "x y\n1 SHA1 abcdefghij\n2\n3 SHA9 topsecret\n4 SHA1 topsecret more\n5 HEX:1\n6 HEX:\n0 abc\n4294967296 abc\n-1 abc\n8 TIGER topsecret\n9 abcdefghij", `1 SHA1 "abcdefghij"
9 MD5 "abcdefghij"
line 1: key ID is not a number from 1 to 4294967295
line 3: key 2: no secret
line 4: key 3: key type: unknown algorithm
line 5: key 4: more than ID, type and secret
line 6: key 5: secret is not a hexadecimal number of whole octets
line 7: key 6: secret is empty
line 8: key ID is not a number from 1 to 4294967295
line 9: key ID is not a number from 1 to 4294967295
line 10: key ID is not a number from 1 to 4294967295
line 11: key 8: key type TIGER: algorithm is not supported
`},
		{"twice", "1 abcdefghij\n1 SHA1 klmnopqrst", "1 SHA1 \"klmnopqrst\"\nline 2: key 1: defined before, this one counts (kept)\n"},
		{"long line", "1 " + strings.Repeat("a", 2046) + "\n2 " + strings.Repeat("b", 2045)[:10], "2 MD5 \"bbbbbbbbbb\"\nline 1: longer than 2047 octets\n"},
	}
	for _, tt := range tests {
		if got := describe(ParseKeys([]byte(tt.in))); got != tt.want {
			t.Errorf("%s: %q gives\n%swant\n%s", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestParseNTPKeys(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"comments", "# head\n 1 M tulip-hyacinth # tail\n2 MD5 abcdefghij#tail\n", "1 MD5 \"tulip-hyacinth\"\n2 MD5 \"abcdefghij\"\n"},
		{"sha", "1 SHA abcdefghij\n2 sha1 3031323334353637383930313233343536373839", "1 SHA1 \"abcdefghij\"\n2 SHA1 \"01234567890123456789\"\n"},
		{"20 characters are literal", "1 MD5 30313233343536373839", "1 MD5 \"30313233343536373839\"\n"},
		{"21 characters are not", "1 MD5 303132333435363738391", "line 1: key 1: secret is not a hexadecimal number of whole octets\n"},
		{"aes filled", "1 AES128CMAC 0123456789", "1 AES128 \"0123456789\\x00\\x00\\x00\\x00\\x00\\x00\"\n"},
		{"aes cut", "1 AES 0123456789012345678", "1 AES128 \"0123456789012345\"\n"},
		{"two columns", "1 abc", "line 1: key 1: needs a type and a secret\n"},
		{"only a comment behind", "1 M #abc", "line 1: key 1: needs a type and a secret\n"},
		{"addresses", "1 M abcdefghij 10.0.0.1", "line 1: key 1: a list of addresses behind the secret is not supported\n"},
		{"unknown", "1 N abcdefghij", "line 1: key 1: key type: unknown algorithm\n"},
	}
	for _, tt := range tests {
		if got := describe(ParseNTPKeys([]byte(tt.in))); got != tt.want {
			t.Errorf("%s: %q gives\n%swant\n%s", tt.name, tt.in, got, tt.want)
		}
	}
}

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
		{1, SHA1, 0, "1 SHA1 HEX:000102030405060708090A0B0C0D0E0F10111213"},
		{0, SHA1, 80, "1 SHA1 HEX:00010203040506070809"},
		{3, MD5, 40, "3 MD5 HEX:00010203040506070809"},
		{3, SHA3256, 81, "3 SHA3-256 HEX:000102030405060708090A"},
		{3, AES128, 40, "3 AES128 HEX:000102030405060708090A0B0C0D0E0F"},
		{3, AES256, 0, "3 AES256 HEX:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"},
	}
	for _, tt := range tests {
		got, err := Generate(tt.id, tt.typ, tt.bits, new(counter))
		if got != tt.want || err != nil {
			t.Errorf("Generate(%d, %s, %d) = %q, %v, want %q", tt.id, tt.typ, tt.bits, got, err, tt.want)
		}
		if ring, problems := ParseKeys([]byte(got)); len(ring) != 1 || len(problems) != 0 {
			t.Errorf("%q is read as %v, %v", got, ring, problems)
		}
	}
	if line, _ := Generate(1, SHA1, 1e6, new(counter)); len(line) != len("1 SHA1 HEX:")+2*4096/8 {
		t.Errorf("a million bits give a line of %d octets", len(line))
	}
	if _, err := Generate(1, 0, 0, new(counter)); err == nil {
		t.Error("type 0 gives a key")
	}
	if line, err := Generate(1, SHA1, 0, io.LimitReader(new(counter), 19)); err == nil {
		t.Errorf("a source that ends gives %q", line)
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, s := range []string{
		"10 tulip\n20 MD5 ASCII:crocus\n25 SHA1 HEX:933F62BE1D604E68A81B557F18CFA200483F5B70\n",
		"30 AES128 HEX:7EA62AE64D190114D46D5A082F948EC1\n# x\n\r\n",
		"1 M abc # c\n2 AES128CMAC abc\n3 SHA1 3031323334353637383930313233343536373839 ::1",
	} {
		f.Add([]byte(s))
	}
	msg := make([]byte, 48)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]byte) (Ring, []Problem){ParseKeys, ParseNTPKeys} {
			ring, problems := parse(text)
			lines := bytes.Count(text, []byte("\n")) + 1
			if len(ring) > lines || len(problems) > 2*lines {
				t.Fatalf("%q: %d keys, %d problems in %d lines", text, len(ring), len(problems), lines)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Line > lines || p.Text == "" || p.Kept && p.ID == 0 {
					t.Fatalf("%q: problem %+v", text, p)
				}
			}
			for id, k := range ring {
				if id == 0 || k.ID() != id || !k.Verify(msg, k.AppendMAC(nil, msg)) {
					t.Fatalf("%q: key %d is %v", text, id, k)
				}
				line := fmt.Sprintf("%d %s HEX:%X", id, k.typ, k.secret)
				if len(line) > maxLine {
					continue
				}
				again, _ := ParseKeys([]byte(line))
				if !bytes.Equal(again[id].secret, k.secret) || again[id].typ != k.typ {
					t.Fatalf("%q: key %d written as %q is read differently", text, id, line)
				}
			}
		}
	})
}
