// SPDX-License-Identifier: Apache-2.0

package racksctl

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foliot/internal/rackstat"
)

// call runs a command line and returns what it printed.
func call(in string, args ...string) (code int, out, err string) {
	var o, e bytes.Buffer
	code = Main(args, Streams{In: strings.NewReader(in), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, ExitUsage, "usage:"}, {[]string{"help"}, ExitOK, "usage:"}, {[]string{"run", "--help"}, ExitOK, "usage:"},
		{[]string{"walk"}, ExitUsage, `unknown command "walk"`},
		{[]string{"run"}, ExitUsage, "run takes one inventory, not 0"},
		{[]string{"run", "-n", "-1", "-"}, ExitUsage, "count -1"},
		{[]string{"run", "-n", "0", "-"}, ExitUsage, "needs --time"},
		{[]string{"run", "-i", "3s", "-"}, ExitUsage, "interval 3s"},
		{[]string{"run", "-i", "100ms", "-"}, ExitUsage, "interval 100ms"},
		{[]string{"run", "--asymmetry", "x", "-"}, ExitUsage, `asymmetry "x"`},
		{[]string{"run", "--series", "1", "-"}, ExitUsage, "series 1"},
		{[]string{"run", "-4", "-6", "-"}, ExitUsage, "exclude each other"},
		{[]string{"run", "-", "--require", "p98=1s"}, ExitUsage, `unknown requirement "p98"`},
		{[]string{"run", "--nosuch", "-"}, ExitUsage, "nosuch"},
		{[]string{"run", "-"}, ExitUsage, "-:1: unexpected word"},
		{[]string{"report", "/nosuch.json"}, ExitFailed, "no such file"},
		{[]string{"report", "-"}, ExitUsage, "read report -"},
		{[]string{"compare", "-"}, ExitUsage, "compare takes two files, not 1"},
	} {
		code, out, err := call("a b c\n", tt.args...)
		if code != tt.code || !strings.Contains(out+err, tt.want) {
			t.Errorf("%q: exit code %d, %q, want %d, %q", tt.args, code, out+err, tt.code, tt.want)
		}
	}
}

// TestDead: a host that refuses makes a report of all forms, and exit code 3.
func TestDead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	code, out, err := call("127.0.0.1:1 r1\n", "run", "--quiet", "-n", "1", "-", "--json", path("a.json"), "--csv", path("a.csv"), "--html", path("a.html"))
	if code != ExitNothing || !strings.Contains(out, "refused") || !strings.Contains(err, "no host could be measured") {
		t.Fatalf("exit code %d, %q, %q", code, out, err)
	}
	for _, name := range []string{"a.json", "a.csv", "a.html"} {
		if b, err := os.ReadFile(path(name)); err != nil || len(b) == 0 {
			t.Errorf("%s: %d octets, %v", name, len(b), err)
		}
	}
	if code, _, _ := call("", "report", path("a.json"), "--html", "-"); code != ExitNothing {
		t.Errorf("shown again: exit code %d", code)
	}
}

// TestShowAgain: a report is read back, judged anew, and compared.
func TestShowAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	r := &rackstat.Report{Started: "then", Hosts: []rackstat.Host{
		{Name: "a", Rack: "r", State: "ok", Measured: true, Synced: true, Raw: 1e-6, Bound: 1e-7},
		{Name: "b", Rack: "r", State: "ok", Measured: true, Synced: true, Raw: 3e-6, Bound: 1e-7},
	}}
	r.Fill(rackstat.Median)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"report", path, "--require", "max=2us"}, ExitOK, "max <= 2.00 us holds: 1.00 us"},
		{[]string{"report", path, "--require", "max=1ns", "--require", "reachable=1%"}, ExitFailed, "max <= 1.00 ns DOES NOT HOLD"},
		{[]string{"report", path, "--require", "reachable=1%"}, ExitOK, "reachable >= 1% holds"},
		{[]string{"report", path, "--require", "max=2us", "--against", "self"}, ExitFailed, "DOES NOT HOLD: 3.00 us"},
		{[]string{"report", path, "--against", "c"}, ExitFailed, "host c was not measured"},
		{[]string{"report", path, "--csv", "-"}, ExitOK, "rack,zone"},
		{[]string{"report", path, "--json", "-"}, ExitOK, `"format":1`},
		{[]string{"compare", path, path}, ExitOK, "0 hosts moved, 2 did not"},
		{[]string{"compare", "--json", "-", path, path}, ExitOK, `"steady":2`},
	} {
		code, out, err := call("", tt.args...)
		if code != tt.code || !strings.Contains(out+err, tt.want) {
			t.Errorf("%q: exit code %d, %q, want %d, %q", tt.args, code, out+err, tt.code, tt.want)
		}
	}
}
