// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// rolePidfile tells whether this process got the pid file, and stays alive
// until its standard input ends.
func rolePidfile() error {
	answer := "created"
	if _, err := CreatePidfile(os.Getenv("PIDFILE")); err != nil {
		answer = err.Error()
	}
	os.Stdout.WriteString(answer + "\n")
	os.Stdin.Read(make([]byte, 1))
	return nil
}

func TestPidfile(t *testing.T) {
	self := strconv.Itoa(os.Getpid()) + "\n"
	for _, tc := range []struct {
		name    string
		prepare func(path string) error
	}{
		{"none", func(string) error { return nil }},
		{"stale", func(p string) error { return os.WriteFile(p, []byte("4194303\n"), 0o644) }},
		{"ours from an earlier life", func(p string) error { return os.WriteFile(p, []byte(self), 0o644) }},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o644) }},
		{"nonsense", func(p string) error { return os.WriteFile(p, []byte("-1"), 0o644) }},
		{"fifo", func(p string) error { return unix.Mkfifo(p, 0o666) }},
		{"dangling link", func(p string) error { return os.Symlink(p+".elsewhere", p) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			if err := tc.prepare(path); err != nil {
				t.Fatal(err)
			}
			p, err := CreatePidfile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != self {
				t.Errorf("content %q, %v, want %q", b, err, self)
			}
			if _, err := os.Lstat(path + ".elsewhere"); err == nil {
				t.Error("wrote through the link")
			}
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after Remove: %v, want not exist", err)
			}
		})
	}
}

// A service user who owns the directory plants a link to a precious file: the
// file must keep its content, also when it names a live process.
func TestPidfilePlantedLink(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "shadow")
	if err := os.WriteFile(precious, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pid")
	if err := os.Symlink(precious, path); err != nil {
		t.Fatal(err)
	}
	p, err := CreatePidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, path); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(); err == nil {
		t.Error("Remove took a planted link for its own file")
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "1\n" {
		t.Errorf("precious file: %q, %v, want it untouched", b, err)
	}
}

func TestPidfileLiveInstance(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	cmd := child("pidfile", "PIDFILE="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	out.Read(make([]byte, 64)) // it has the file
	content := strconv.Itoa(cmd.Process.Pid) + "\n"
	_, err = CreatePidfile(path)
	var running *RunningError
	if !errors.As(err, &running) || running.PID != cmd.Process.Pid {
		t.Fatalf("CreatePidfile = %v, want RunningError{PID: %d}", err, cmd.Process.Pid)
	}
	if b, _ := os.ReadFile(path); string(b) != content {
		t.Errorf("content %q, want %q: it is not ours", b, content)
	}
	in.Close()
}

func TestPidfileOtherProcesses(t *testing.T) {
	zombie := child("pidfile", "PIDFILE=/nonexistent/pid")
	if err := zombie.Start(); err != nil { // ends at once: it has no input
		t.Fatal(err)
	}
	t.Cleanup(func() { zombie.Wait() })
	eventually(t, "the process is a zombie", func() bool {
		state, err := statusField(fmt.Sprintf("/proc/%d/status", zombie.Process.Pid), "State")
		return err == nil && strings.HasPrefix(state, "Z")
	})
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { sleep.Process.Kill(); sleep.Wait() })
	for _, tc := range []struct {
		name string
		pid  int
	}{{"zombie", zombie.Process.Pid}, {"another program", sleep.Process.Pid}} {
		if alive(tc.pid) {
			t.Errorf("%s: process %d counts as a running instance", tc.name, tc.pid)
		}
	}
	if !alive(os.Getpid()) {
		t.Error("this program does not count as running")
	}
}

func TestPidfileErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "pid"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "missing", "pid"), filepath.Join(dir, "pid")} {
		if _, err := CreatePidfile(path); err == nil || !strings.HasPrefix(err.Error(), "create pidfile "+path) {
			t.Errorf("CreatePidfile(%s) = %v, want an error that names the path", path, err)
		}
	}
}

// Of several instances that find the same stale file only one may win.
func TestPidfileRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, []byte("4194303\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const n = 6
	answers := make([]string, n)
	var started sync.WaitGroup
	for i := range n {
		cmd := child("pidfile", "PIDFILE="+path)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); cmd.Wait() })
		started.Go(func() {
			b := make([]byte, 512)
			k, _ := out.Read(b)
			answers[i] = string(b[:k])
		})
	}
	started.Wait()
	won := 0
	for _, a := range answers {
		if a == "created\n" {
			won++
		} else if !strings.Contains(a, "is still running") {
			t.Errorf("unexpected answer %q", a)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d instances got the pid file, want 1: %q", won, n, answers)
	}
}

func FuzzParsePID(f *testing.F) {
	for _, s := range []string{"1\n", "4194303", "", "-1", "99999999999", " 12 ", "0x10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if pid := parsePID(s); pid < 0 || pid >= 1<<22 {
			t.Errorf("parsePID(%q) = %d, out of range", s, pid)
		}
	})
}
