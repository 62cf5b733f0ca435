// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"fmt"

	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// roleDetach runs fn as the daemon.
func roleDetach(fn func(*Launch)) error {
	l, code := Detach(os.Stderr)
	if l == nil {
		os.Exit(code)
	}
	fn(l)
	return nil
}

// roleDetachReady reports the daemon's surroundings in a file and stays until
// that file is gone.
func roleDetachReady() error {
	return roleDetach(func(l *Launch) {
		report := os.Getenv("REPORT")
		early, _ := os.Getwd()
		if err := l.Ready(); err != nil {
			os.WriteFile(report, []byte(err.Error()), 0o600)
			return
		}
		cwd, _ := os.Getwd()
		sid, _ := unix.Getsid(0)
		text := fmt.Sprintf("%s\n%s\n%v\n", early, cwd, sid == os.Getpid())
		for fd := range 3 {
			link, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			text += link + "\n"
		}
		text += strconv.Itoa(os.Getpid()) + "\n"
		os.WriteFile(report+".tmp", []byte(text), 0o600)
		os.Rename(report+".tmp", report)
	})
}

func TestDetachReady(t *testing.T) {
	dir := t.TempDir()
	report := filepath.Join(dir, "report")
	cmd := child("detach-ready", "REPORT="+report)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Fatalf("launch: %v, output %q, want success without output", err, out)
	}
	eventually(t, "the daemon reports", func() bool { _, err := os.Stat(report); return err == nil })
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	want := []string{dir, "/", "true", "/dev/null", "/dev/null", "/dev/null"}
	if len(lines) != len(want)+1 || strings.Join(lines[:len(want)], " ") != strings.Join(want, " ") {
		t.Errorf("early cwd, cwd, session leader, stdio, pid: got %q, want %q and a pid", lines, want)
	}
	if lines[len(lines)-1] == strconv.Itoa(cmd.Process.Pid) {
		t.Error("the daemon has the pid of the command")
	}
}

func TestDetachFailure(t *testing.T) {
	for _, tc := range []struct{ name, role, want string }{
		{"reported", "detach-fail", "no such port\n"},
		{"died", "detach-die", "start daemon: ended before it was ready (exit status 7)\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errout bytes.Buffer
			cmd := child(tc.role)
			cmd.Stdout, cmd.Stderr = &out, &errout
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code = %d (%v), want 1", code, err)
			}
			if errout.String() != tc.want || out.Len() != 0 {
				t.Errorf("stderr %q, stdout %q, want %q and nothing", errout.String(), out.String(), tc.want)
			}
		})
	}
}

// A variable left in the environment must not make a program take itself for
// the daemon.
func TestDetachLeftoverVariable(t *testing.T) {
	for _, v := range []string{"", "x", "-1", "0", "2", "999"} {
		t.Setenv(launchVar, v)
		if l := inherited(); l != nil {
			t.Errorf("%s=%q: taken for the daemon", launchVar, v)
		}
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Setenv(launchVar, fmt.Sprint(f.Fd()))
	if l := inherited(); l != nil {
		t.Errorf("%s leads to %s: taken for the daemon", launchVar, os.DevNull)
	}
}

// roleDetachListen answers on the socket that it inherited.
func roleDetachListen() error {
	if os.Getenv("LISTEN_PID") == "self" {
		// A shell cannot know the pid before the exec; neither can the test.
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	return roleDetach(func(l *Launch) {
		files := ListenFiles()
		if len(files) != 1 {
			l.Fail(fmt.Errorf("%d sockets", len(files)))
			return
		}
		if _, ok := os.LookupEnv("LISTEN_FDS"); ok {
			l.Fail(fmt.Errorf("LISTEN_FDS is still set"))
			return
		}
		l.Ready()
		if fd, _, err := unix.Accept(int(files[0].Fd())); err == nil {
			unix.Write(fd, []byte(files[0].Name()))
			unix.Close(fd)
		}
	})
}

func TestListenFilesThroughDetach(t *testing.T) {
	addr := &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "sock")}
	f := unixSocket(t, unix.SOCK_STREAM)
	if err := unix.Bind(int(f.Fd()), addr); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(int(f.Fd()), 1); err != nil {
		t.Fatal(err)
	}
	run := func(env ...string) ([]byte, error) {
		cmd := child("detach-listen", env...)
		cmd.ExtraFiles = []*os.File{f}
		return cmd.CombinedOutput()
	}

	out, err := run("LISTEN_PID=1", "LISTEN_FDS=1")
	if _, ok := err.(*exec.ExitError); !ok || string(out) != "0 sockets\n" {
		t.Errorf("sockets meant for process 1: %v, output %q, want failure with 0 sockets", err, out)
	}
	out, err = run("LISTEN_PID=self", "LISTEN_FDS=1", "LISTEN_FDNAMES=ntp")
	if err != nil {
		t.Fatalf("sockets meant for the command: %v, output %q", err, out)
	}
	c := unixSocket(t, unix.SOCK_STREAM)
	if err := unix.Connect(int(c.Fd()), addr); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	if n, _ := c.Read(b); string(b[:n]) != "ntp" {
		t.Errorf("the daemon answered %q on the inherited socket, want its name %q", b[:n], "ntp")
	}
}

// unixSocket makes a socket without package net, which would make the test
// binary use cgo.
func unixSocket(t *testing.T, kind int) *os.File {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	t.Cleanup(func() { f.Close() })
	return f
}
