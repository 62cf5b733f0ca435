// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run runs the command and returns what it said.
func run(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = Command(args, &o, &e)
	return code, o.String(), e.String()
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "ntp.conf"), filepath.Join(dir, "foliot.conf")
	if err := os.WriteFile(in, []byte("server a\ncrypto\nrestrict default kod nomodify notrap nopeer noquery\nkeys \"/a b\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, text, notes := run(in)
	if code != 0 || !strings.Contains(text, "\nserver a\n") || !strings.Contains(text, "\nrestrict -4 default kod nomodify notrap nopeer noquery\n") {
		t.Errorf("code %d, %q", code, text)
	}
	if !strings.Contains(text, "#   crypto directive at line 2 in file "+in) || strings.Count(notes, "foliotctl: note: ") != 2 || !strings.Contains(notes, Lost+"keys /a b") {
		t.Errorf("notes %q, text %q", notes, text)
	}
	if code, printed, _ := run(in, "-o", out); code != 0 || printed != "" {
		t.Errorf("with -o: code %d, %q", code, printed)
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != text {
		t.Errorf("the file holds %q, error %v", b, err)
	}
	if code, _, e := run(in, "-o", out); code != 1 || !strings.Contains(e, "file exists") {
		t.Errorf("a file that exists: code %d, %q", code, e)
	}
	if code, o, e := run(filepath.Join(dir, "none")); code != 1 || o != "" || !strings.Contains(e, "no such file") {
		t.Errorf("a missing file: code %d, %q, %q", code, o, e)
	}
	for _, args := range [][]string{nil, {"a", "b"}, {"-x", "a"}, {"a", "-o"}} {
		if code, _, e := run(args...); code != 2 || !strings.Contains(e, Usage) {
			t.Errorf("%q: code %d, %q", args, code, e)
		}
	}
	if code, _, e := run("--ntp-conf", filepath.Join("testdata", "rhel9-chrony.conf")); code != 1 || !strings.Contains(e, "Invalid directive") {
		t.Errorf("a chrony.conf as ntp.conf: code %d, %q", code, e)
	}
}
