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
	usage := (&options{program: "foliotctl"}).usage()
	for _, tc := range []struct {
		name, args, stdout, stderr string
		code                       int
	}{
		{"status", "-s LIVE status", "this is status\n", "", ExitOK},
		{"version", "-s LIVE version", "this is version\n", "", ExitOK},
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
	s := &session{o: &options{chronyc: true}}
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
				if _, ok := commands[name]; !ok && !own || c.Own && !own {
					t.Errorf("the manual has the command %s", name)
				}
			}
		}
	}
	gone := map[string]bool{"password": true, "authhash": true}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(commands)), slices.Collect(maps.Keys(ownCommands)), slices.Collect(maps.Keys(tools))) {
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
	for name := range commands {
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

// A signal ends the program although it waits for a line.
func TestInterrupted(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s := newSession(ctx, &options{program: "foliotctl"}, Streams{Out: io.Discard, Err: io.Discard})
	done := make(chan int)
	go func() { done <- s.converse(Streams{In: r}) }()
	fmt.Fprintln(w, "# the reader waits for the next line now")
	cancel()
	if code := <-done; code != ExitOK {
		t.Errorf("exit %d, want %d", code, ExitOK)
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		s, rest string
		n       int
		ok      bool
	}{
		{"12", "", 12, true}, {" -3x", "x", -3, true}, {"+4 5", " 5", 4, true}, {"x", "x", 0, false}, {"", "", 0, false},
		{"-", "-", 0, false}, {"0x10", "x10", 0, true}, {"4294967295", "", -1, true}, {"99999999999999999999", "", -1, true},
	} {
		if n, rest, ok := tryInt(tc.s); n != tc.n || rest != tc.rest || ok != tc.ok {
			t.Errorf("tryInt(%q) = %d, %q, %v", tc.s, n, rest, ok)
		}
	}
	for _, tc := range []struct {
		s, rest string
		v       float64
		ok      bool
	}{
		{"1.5", "", 1.5, true}, {" 1e-3 4", " 4", 1e-3, true}, {"3x", "x", 3, true}, {"1e", "e", 1, true}, {".5.5", ".5", .5, true},
		{"x", "x", 0, false}, {"", "", 0, false}, {"-2", "", -2, true}, {"1_0", "_0", 1, true},
	} {
		if v, rest, ok := tryFloat(tc.s); v != tc.v || rest != tc.rest || ok != tc.ok {
			t.Errorf("tryFloat(%q) = %v, %q, %v", tc.s, v, rest, ok)
		}
	}
}

func FuzzCommand(f *testing.F) {
	for _, line := range []string{"activity", "burst 1/2 ::/0", "add server 192.0.2.1 key 1", "manual delete 3", "selectopts GPS +trust",
		"selectopts GPS -", "clients -p 3 -k", "local stratum 3", "settime 12:00", "allow 1.2/7", "online 1/2"} {
		f.Add(line)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing is sent, no name is looked up
	f.Fuzz(func(t *testing.T, line string) {
		s := newSession(ctx, &options{hosts: []string{"127.0.0.1"}, wait: 1}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
		s.command(line)
		s.close()
	})
}
