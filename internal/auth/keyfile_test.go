// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// describe lists what a parser found, in order of ID.
func describe(ring Ring, problems []Problem) string {
	var b strings.Builder
	for id := range uint32(100) {
		if k, ok := ring[id]; ok {
			fmt.Fprintf(&b, "%d %s %q\n", k.id, k.typ, k.own.secret)
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
		{"secret in UTF-8, with a space of its own", "25 SHA1 p\u00e4ss\u00a0w\u3000rd", "25 SHA1 \"p\u00e4ss\\u00a0w\\u3000rd\"\n"},
		{"secret in Latin-1", "25 SHA1 p\xe4ss\xa0w\x85rter", "25 SHA1 \"p\\xe4ss\\xa0w\\x85rter\"\n"},
		{"white space", " 25\vSHA1\f abcdefghij\r", "25 SHA1 \"abcdefghij\"\n"},
		{"quotes and signs", "25 SHA1 \"a'b\\c`$%&/()=?*<>|~", "25 SHA1 \"\\\"a'b\\\\c`$%&/()=?*<>|~\"\n"},
		{"a prefix behind the prefix", "25 ASCII:HEX:0g\n26 ASCII:ASCII:abcdefghij", "25 MD5 \"HEX:0g\"\n26 MD5 \"ASCII:abcdefghij\"\nline 1: key 25: only 48 bits long, at least 80 are recommended (kept)\n"},
		{"zero octet", "25 SHA1 abcdefghij\x00klmnopqrst\n26 abcdefghij", "26 MD5 \"abcdefghij\"\nline 1: holds a zero octet\n"},
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
		{"no secret behind a type", "1 SHA1\n2 aes128\n3 TIGER", "line 1: key 1: no secret behind the type\nline 2: key 2: no secret behind the type\nline 3: key 3: no secret behind the type\n"},
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

// TestSecretIsNotTold puts a secret where it does not belong, as a slip of the
// one who edits a key file does.
func TestSecretIsNotTold(t *testing.T) {
	const secret = "hyacinthTulip7"
	broken := 0
	for _, form := range []string{
		"%s", "%s 1", "%s SHA1 x", "1 %s SHA1", "1 %s x y", "1 SHA1 x %s", "1 SHA1 %[1]s %[1]s", "1 HEX:%s", "1 SHA1 HEX:0%s",
		"1 AES128 %s", "1 AES256 ASCII:%s", "1 TIGER %s", "1 WHIRLPOOL %s", "0 SHA1 %s", "-1 %s", "1 SHA1 %s\x00",
		"1 MD5 %s\n1 MD5 %[1]s", "1 M %s ::1", "1 SHA1 HEX:\n1 %s\n",
	} {
		text := fmt.Sprintf(form, secret)
		for _, parse := range []func([]byte) (Ring, []Problem){ParseKeys, ParseNTPKeys} {
			ring, problems := parse([]byte(text))
			broken += len(problems)
			said := strings.ToLower(fmt.Sprintf("%v %+v %#v %v %#v %d", problems, problems, problems, ring, ring, ring))
			for i := range len(secret) - 4 {
				if part := strings.ToLower(secret[i : i+5]); strings.Contains(said, part) {
					t.Fatalf("%q: %q tells %q of the secret", text, said, part)
				}
			}
		}
	}
	if broken < 30 {
		t.Errorf("%d problems found in broken lines, want at least 30", broken)
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
				line := fmt.Sprintf("%d %s HEX:%X", id, k.typ, k.own.secret)
				if len(line) > maxLine {
					continue
				}
				again, _ := ParseKeys([]byte(line))
				if !bytes.Equal(again[id].own.secret, k.own.secret) || again[id].typ != k.typ {
					t.Fatalf("%q: key %d written as %q is read differently", text, id, line)
				}
			}
		}
	})
}
