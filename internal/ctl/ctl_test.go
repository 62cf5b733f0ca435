// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foliot/internal/chronyc"
	"foliot/internal/control"
	"foliot/internal/manual"
)

// daemon answers on a socket until the end of the test.
func daemon(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ctl.sock")
	s, err := control.Listen(path, func(_ context.Context, verb string, w io.Writer) error {
		if verb == control.VerbReload {
			return errors.New("read /etc/foliot/foliot.conf: line 3: unknown directive")
		}
		fmt.Fprintln(w, "this is", verb)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return path
}

// foliotctl runs the program.
func foliotctl(stdin string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = Main(append([]string{"/usr/bin/foliotctl"}, args...), Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return out.String(), errs.String(), code
}

func TestOwnCommands(t *testing.T) {
	live := daemon(t)
	missing := filepath.Join(t.TempDir(), "none.sock")
	deaf := filepath.Join(t.TempDir(), "deaf.sock")
	ln, err := net.Listen("unix", deaf)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	usage := (&options{Options: chronyc.Options{Program: "foliotctl"}}).usage()
	for _, tc := range []struct {
		name, args, stdout, stderr string
		code                       int
	}{
		{"status", "-s LIVE status", "this is status\n", "", ExitOK},
		{"version", "-s LIVE version", "this is version\n", "", ExitOK},
		{"status as JSON", "--json -s LIVE status", "this is state\n", "", ExitOK},
		{"version as JSON", "--json -s LIVE version", "{\"version\":\"this is version\"}\n", "", ExitOK},
		{"log as JSON", "--json -s LIVE log", "[\"this is log\"]\n", "", ExitOK},
		{"ebpf as JSON", "--json -s LIVE ebpf", "this is ebpf-json\n", "", ExitOK},
		{"refused", "-s LIVE reload", "",
			"foliotctl: error: read /etc/foliot/foliot.conf: line 3: unknown directive\n", ExitRefused},
		{"help", "--help", usage, "", ExitOK},
		{"option last", "status -s LIVE", "",
			"foliotctl: error: unexpected argument \"-s LIVE\"\nfoliotctl: hint: options go before the command\n", ExitUsage},
		{"unknown option", "-x status", usage, "/usr/bin/foliotctl: invalid option -- 'x'\n", ExitRefused},
		{"not running", "-s MISSING status", "",
			"foliotctl: error: dial unix MISSING: connect: no such file or directory\n" +
				"foliotctl: hint: is foliotd running? another socket is chosen with -s\n", ExitUnreachable},
		{"deaf", "-s DEAF -t 30ms status", "",
			"foliotctl: error: ask DEAF: context deadline exceeded\n" +
				"foliotctl: hint: the daemon is busy or stopped, a longer wait is chosen with -t\n", ExitUnreachable},
		{"no daemon of chrony's protocol", "-h MISSING activity", "", "Could not open connection to daemon\n", ExitRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			paths := strings.NewReplacer("LIVE", live, "MISSING", missing, "DEAF", deaf)
			stdout, stderr, code := foliotctl("", strings.Fields(paths.Replace(tc.args))...)
			if code != tc.code || stdout != tc.stdout || stderr != paths.Replace(tc.stderr) {
				t.Errorf("foliotctl %s: exit %d\nstdout %q\nstderr %q\nwant exit %d\nstdout %q\nstderr %q",
					tc.args, code, stdout, stderr, tc.code, tc.stdout, paths.Replace(tc.stderr))
			}
		})
	}
}

func TestSocketVariable(t *testing.T) {
	t.Setenv(SocketVar, daemon(t))
	if stdout, stderr, code := foliotctl("", "status"); code != ExitOK || stdout != "this is status\n" {
		t.Errorf("foliotctl status: exit %d, stdout %q, stderr %q, want the answer of the daemon at %s", code, stdout, stderr, SocketVar)
	}
	if _, _, code := foliotctl("", "-s", "/nonexistent", "status"); code != ExitUnreachable {
		t.Errorf("foliotctl -s: exit %d, want %d: the option comes first", code, ExitUnreachable)
	}
}

// Called chronyc, the program has nothing of its own.
func TestChronycName(t *testing.T) {
	for _, args := range [][]string{{"--json", "activity"}, {"-s", "/x", "activity"}} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"chronyc"}, args...), Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
		if code != ExitRefused || !strings.HasPrefix(stderr.String(), "chronyc: invalid option -- '") {
			t.Errorf("chronyc %q: exit %d, %q", args, code, &stderr)
		}
	}
	s := &session{o: &options{plain: true}}
	for verb := range ownCommands {
		if _, ok := s.own(verb, ""); ok {
			t.Errorf("chronyc %s is a command of foliotctl's own", verb)
		}
	}
}

// Every command is in the manual, and the manual has no other; so it is with
// options.
func TestManual(t *testing.T) {
	named := make(map[string]bool)
	for _, g := range manual.Commands {
		for _, c := range g.Commands {
			for _, name := range c.Names() {
				named[name] = true
				own := ownCommands[name] != nil || tools[name] != nil
				if known := slices.Contains(chronyc.Commands(), name); !known && !own || c.Own && !own {
					t.Errorf("the manual has the command %s", name)
				}
			}
		}
	}
	gone := map[string]bool{"password": true, "authhash": true}
	for _, name := range slices.Concat(chronyc.Commands(), slices.Collect(maps.Keys(ownCommands)), slices.Collect(maps.Keys(tools))) {
		if !named[name] && !gone[name] {
			t.Errorf("the manual lacks the command %s", name)
		}
	}
	letters := "-"
	for _, o := range manual.ClientOptions {
		for flag := range strings.SplitSeq(o.Flags, ", ") {
			letters += flag
			if _, err := new(options).parse([]string{flag, "1s"}); err != nil {
				t.Errorf("the manual has the option %s: %v", flag, err)
			}
		}
	}
	for c := byte('!'); c <= '~'; c++ {
		_, err := new(options).parse([]string{"-" + string(c), "1s"})
		if old := strings.ContainsRune("adf-", rune(c)); err == nil && !old && !strings.Contains(letters, "-"+string(c)) {
			t.Errorf("the manual lacks the option -%c", c)
		}
	}
}

// Every command has its line in the help, and help knows no other.
func TestHelp(t *testing.T) {
	stdout, _, code := foliotctl("", "help")
	if code != ExitOK {
		t.Fatalf("help: exit %d", code)
	}
	undocumented := map[string]bool{"password": true, "authhash": true, "dfreq": true, "doffset": true, "cmddeny": true, "deny": true, "maxpoll": true, "quit": true}
	for _, name := range chronyc.Commands() {
		if !strings.Contains(stdout, "\n"+name) && !undocumented[name] {
			t.Errorf("help does not name %s", name)
		}
	}
	for line := range strings.Lines(stdout) {
		if len(line) > 80 {
			t.Errorf("help has a line of %d characters: %s", len(line), line)
		}
	}
}

func TestPrompt(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := Main([]string{"foliotctl", "-h", "127.0.0.1"}, Streams{In: strings.NewReader("foo\n"), Out: &stdout, Err: &stderr, Terminal: true})
	if code != ExitRefused || strings.Count(stdout.String(), "foliotctl> ") != 2 || !strings.HasSuffix(stdout.String(), "foliotctl> \n") {
		t.Errorf("exit %d, %q, %q", code, &stdout, &stderr)
	}
}
