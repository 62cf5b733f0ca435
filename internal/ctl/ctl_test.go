// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"foliot/internal/control"
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

func TestCommand(t *testing.T) {
	live := daemon(t)
	missing := filepath.Join(t.TempDir(), "none.sock")
	deaf := filepath.Join(t.TempDir(), "deaf.sock")
	ln, err := net.Listen("unix", deaf)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, tc := range []struct {
		name, args, stdout, stderr string
		code                       int
	}{
		{"status", "-s LIVE status", "this is status\n", "", ExitOK},
		{"version", "-s LIVE version", "this is version\n", "", ExitOK},
		{"refused", "-s LIVE reload", "",
			"foliotctl: error: read /etc/foliot/foliot.conf: line 3: unknown directive\n", ExitRefused},
		{"help", "help", usage, "", ExitOK},
		{"-h", "-h", usage, "", ExitOK},
		{"no command", "", "",
			"foliotctl: error: no command given\nfoliotctl: hint: run \"foliotctl help\" for the commands\n", ExitUsage},
		{"unknown command", "-s LIVE dance", "",
			"foliotctl: error: unknown command \"dance\"\nfoliotctl: hint: run \"foliotctl help\" for the commands\n", ExitUsage},
		{"option last", "status -s LIVE", "",
			"foliotctl: error: unexpected argument \"-s\"\nfoliotctl: hint: options go before the command\n", ExitUsage},
		{"unknown option", "-x status", "",
			"foliotctl: error: flag provided but not defined: -x\nfoliotctl: hint: run \"foliotctl help\" for the options\n", ExitUsage},
		{"not running", "-s MISSING status", "",
			"foliotctl: error: dial unix MISSING: connect: no such file or directory\n" +
				"foliotctl: hint: is foliotd running? another socket is chosen with -s\n", ExitUnreachable},
		{"deaf", "-s DEAF -t 30ms status", "",
			"foliotctl: error: ask DEAF: context deadline exceeded\n" +
				"foliotctl: hint: the daemon is busy or stopped, a longer wait is chosen with -t\n", ExitUnreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			paths := strings.NewReplacer("LIVE", live, "MISSING", missing, "DEAF", deaf)
			var stdout, stderr bytes.Buffer
			code := Main(strings.Fields(paths.Replace(tc.args)), &stdout, &stderr)
			if code != tc.code || stdout.String() != tc.stdout || stderr.String() != paths.Replace(tc.stderr) {
				t.Errorf("foliotctl %s: exit %d\nstdout %q\nstderr %q\nwant exit %d\nstdout %q\nstderr %q",
					tc.args, code, &stdout, &stderr, tc.code, tc.stdout, paths.Replace(tc.stderr))
			}
		})
	}
}

func TestSocketVariable(t *testing.T) {
	t.Setenv(SocketVar, daemon(t))
	var stdout, stderr bytes.Buffer
	if code := Main([]string{"status"}, &stdout, &stderr); code != ExitOK || stdout.String() != "this is status\n" {
		t.Errorf("foliotctl status: exit %d, stdout %q, stderr %q, want the answer of the daemon at %s", code, &stdout, &stderr, SocketVar)
	}
	if code := Main([]string{"-s", "/nonexistent", "status"}, &stdout, &stderr); code != ExitUnreachable {
		t.Errorf("foliotctl -s: exit %d, want %d: the option comes first", code, ExitUnreachable)
	}
}
