// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"foliot/internal/auth"
)

// TestKeygen compares with what chronyc keygen prints for the same arguments,
// which is given as a pattern, and where chronyc prints what no key file may
// hold, wants an error.
func TestKeygen(t *testing.T) {
	for _, tt := range []struct {
		args, want string
		note       string // on standard error
		code       int
	}{
		{"", `1 SHA1 HEX:[0-9A-F]{40}`, "", exitOK},
		{"73", `73 SHA1 HEX:[0-9A-F]{40}`, "", exitOK},
		{"4294967295 MD5", `4294967295 MD5 HEX:[0-9A-F]{40}`, "", exitOK},
		{"73 SHA1 256", `73 SHA1 HEX:[0-9A-F]{64}`, "", exitOK},
		{"2 SHA384 81", `2 SHA384 HEX:[0-9A-F]{22}`, "", exitOK},
		{"2 SHA3-224 4096", `2 SHA3-224 HEX:[0-9A-F]{1000}[0-9A-F]{24}`, "", exitOK},
		{"2 MD5 79", `2 MD5 HEX:[0-9A-F]{20}`, "made a key of 80 bits, not 79 (min 80, max 4096)", exitOK},
		{"2 MD5 0", `2 MD5 HEX:[0-9A-F]{20}`, "made a key of 80 bits, not 0 (min 80, max 4096)", exitOK},
		{"2 MD5 -5", `2 MD5 HEX:[0-9A-F]{20}`, "made a key of 80 bits, not -5 (min 80, max 4096)", exitOK},
		{"2 MD5 8192", `2 MD5 HEX:[0-9A-F]{1000}[0-9A-F]{24}`, "made a key of 4096 bits, not 8192 (min 80, max 4096)", exitOK},
		{"2 AES128", `2 AES128 HEX:[0-9A-F]{32}`, "", exitOK},
		{"2 AES256 256", `2 AES256 HEX:[0-9A-F]{64}`, "", exitOK},
		{"2 AES128 256", `2 AES128 HEX:[0-9A-F]{32}`, "AES128 has 128 bits, not 256", exitOK},
		{"2 aes128", `2 AES128 HEX:[0-9A-F]{32}`, "", exitOK},
		{"0", ``, `invalid key ID "0" (min 1, max 4294967295)`, exitUsage},
		{"4294967296", ``, `invalid key ID "4294967296" (min 1, max 4294967295)`, exitUsage},
		{"-1", ``, `invalid key ID "-1" (min 1, max 4294967295)`, exitUsage},
		{"1x MD5", ``, `invalid key ID "1x" (min 1, max 4294967295)`, exitUsage},
		{"1 FOO", ``, `invalid key type "FOO" (one of MD5, SHA1, SHA256, SHA384, SHA512, SHA3-224, SHA3-256, SHA3-384, SHA3-512, AES128, AES256)`, exitUsage},
		{"1 TIGER", ``, `invalid key type "TIGER" (one of MD5,`, exitUsage},
		{"1 MD5 100x", ``, `invalid number of bits "100x" (min 80, max 4096)`, exitUsage},
		{"1 MD5 99999999999", ``, `invalid number of bits "99999999999" (min 80, max 4096)`, exitUsage},
		{"1 MD5 100 200", ``, "takes up to 3 arguments (ID, TYPE, BITS), got 4", exitUsage},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"--keygen"}, strings.Fields(tt.args)...), &stdout, &stderr)
		if code != tt.code {
			t.Errorf("--keygen %s: exit code %d, want %d", tt.args, code, tt.code)
		}
		pattern := "^$"
		if tt.want != "" {
			pattern = "^" + tt.want + "\n$"
		}
		if !regexp.MustCompile(pattern).MatchString(stdout.String()) {
			t.Errorf("--keygen %s printed %q, want %s", tt.args, &stdout, pattern)
		}
		if got := stderr.String(); !strings.Contains(got, tt.note) || tt.note == "" && got != "" {
			t.Errorf("--keygen %s complained %q, want %q", tt.args, got, tt.note)
		}
		if code == exitOK && stderr.Len() > 0 && strings.Contains(stderr.String(), "HEX:") {
			t.Errorf("--keygen %s told the secret twice", tt.args)
		}
	}
}

// TestKeygenIsRandom wants no two keys alike.
func TestKeygenIsRandom(t *testing.T) {
	seen := make(map[string]bool)
	for range 50 {
		var stdout, stderr bytes.Buffer
		Main([]string{"--keygen", "1", "AES256"}, &stdout, &stderr)
		ring, problems := auth.ParseKeys(stdout.Bytes())
		if len(ring) != 1 || len(problems) != 0 || seen[stdout.String()] {
			t.Fatalf("%q: %d keys, problems %v, seen before %v", &stdout, len(ring), problems, seen[stdout.String()])
		}
		seen[stdout.String()] = true
	}
}

// full is a file on a full disk, or randomness that is gone.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
func (full) Read([]byte) (int, error)  { return 0, errors.New("no more") }

func TestKeygenFails(t *testing.T) {
	r, err := parseKeyRequest(nil)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := r.generate(bytes.NewReader(make([]byte, 20)), full{}, &stderr); code != exitFatal || !strings.Contains(stderr.String(), "write key: no space") {
		t.Errorf("on a full disk: exit code %d, complained %q", code, &stderr)
	}
	stderr.Reset()
	if code := r.generate(full{}, &stdout, &stderr); code != exitFatal || stdout.Len() != 0 || !strings.Contains(stderr.String(), "no more") {
		t.Errorf("without randomness: exit code %d, printed %q, complained %q", code, &stdout, &stderr)
	}
}
