// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reach returns the reach register of a source in a status, -1 if it is not
// there.
func reach(status, addr string) int64 {
	f := strings.Fields(Row(status, addr))
	if len(f) < 5 {
		return -1
	}
	v, err := strconv.ParseInt(f[len(f)-3], 8, 32)
	if err != nil {
		return -1
	}
	return v
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// TestLinkDown takes the link away and brings it back.
func TestLinkDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	b.selected(d, b.link.B4, 10*time.Second)
	b.measured(d, b.link.B4, 8, 12*time.Second)
	messages := strings.Count(d.Log(), "\n")
	b.must(b.link.Down())
	b.until(15*time.Second, "reach falls to 0", func() bool {
		status, _ := d.Ctl("status")
		return reach(status, b.link.B4.String()) == 0
	})
	b.must(b.link.Up())
	before := len(b.measured(d, b.link.B4, 1, time.Second))
	b.accurate(b.measured(d, b.link.B4, before+4, 15*time.Second)[before:])
	b.selected(d, b.link.B4, 15*time.Second)
	if extra := strings.Count(d.Log(), "\n") - messages; extra > 6 {
		t.Errorf("%d messages about a link that was down, want at most 6", extra)
	}
}

// TestServerComesLate starts the server after the client.
func TestServerComesLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	time.Sleep(3 * time.Second) // the client asks in vain, and is refused by ICMP
	b.chronyd(b.b, "server", serving)
	b.selected(d, b.link.B4, 20*time.Second)
}

// TestReload changes the configuration under a running daemon, by command and
// by signal.
func TestReload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	config := fmt.Sprintf("server %s %s\n", b.link.B4, fast)
	d := b.foliotd(b.a, "client", config)
	b.selected(d, b.link.B4, 10*time.Second)
	b.until(15*time.Second, "reach is 377", func() bool {
		status, _ := d.Ctl("status")
		return reach(status, b.link.B4.String()) == 0o377
	})

	b.must(d.Rewrite(config + fmt.Sprintf("server %s %s\n", b.link.B6, fast)))
	if out, err := d.Ctl("reload"); err != nil {
		t.Fatalf("reload: %v: %s", err, out)
	}
	status, err := d.Ctl("status")
	b.must(err)
	if got := reach(status, b.link.B4.String()); got != 0o377 {
		t.Errorf("reach after a reload is %o, want 377: history was lost", got)
	}
	if !strings.HasPrefix(Row(status, b.link.B4.String()), "*") {
		t.Errorf("the source is no longer selected after a reload:\n%s", status)
	}
	b.measured(d, b.link.B6, 2, 10*time.Second)

	b.must(d.Rewrite(config + "server\n"))
	out, err := d.Ctl("reload")
	if err == nil || !strings.Contains(out, d.Config) || !strings.Contains(out, "line 6") {
		t.Errorf("reload of a bad file: error %v, answer %q, want it to name line 6 of %s", err, out, d.Config)
	}
	b.must(d.Signal(syscall.SIGHUP))
	b.until(5*time.Second, "SIGHUP with a bad file is reported", func() bool {
		return strings.Contains(d.Log(), "Could not reload the configuration") && strings.Contains(d.Log(), "line 6")
	})
	status, err = d.Ctl("status")
	b.must(err)
	if reach(status, b.link.B4.String()) != 0o377 || Row(status, b.link.B6.String()) == "" {
		t.Errorf("a bad file changed something:\n%s", status)
	}

	b.must(d.Rewrite(config))
	b.must(d.Signal(syscall.SIGHUP))
	b.until(5*time.Second, "SIGHUP removes the source that is gone", func() bool {
		status, _ = d.Ctl("status")
		return Row(status, b.link.B6.String()) == ""
	})
	if got := reach(status, b.link.B4.String()); got != 0o377 {
		t.Errorf("reach after SIGHUP is %o, want 377", got)
	}
}

// TestReloadServer changes who is served.
func TestReloadServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.b, "server", "local stratum 5\n")
	c := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	time.Sleep(2 * time.Second)
	if got := Measurements(c.LogFile("measurements")); len(got) != 0 {
		t.Fatalf("answers although nobody is allowed: %+v", got)
	}
	b.must(d.Rewrite("local stratum 5\nallow all\n"))
	if out, err := d.Ctl("reload"); err != nil {
		t.Fatalf("reload: %v: %s", err, out)
	}
	b.chronySelected(c, b.link.B4, 15*time.Second)
}

// TestVersion asks the running daemon who it is.
func TestVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.a, "daemon", "")
	b.until(5*time.Second, "the socket appears", func() bool { return exists(d.Socket) })
	if out, err := d.Ctl("version"); err != nil || !strings.Contains(out, "foliotd") {
		t.Errorf("version: error %v, answer %q, want the name of the program", err, out)
	}
}

// TestEnd ends the daemon politely and with force, and starts it again.
func TestEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	pid := filepath.Join(d.Dir, "pid")
	b.selected(d, b.link.B4, 10*time.Second)

	b.must(d.Signal(syscall.SIGTERM))
	code, err := d.Wait(5 * time.Second)
	b.must(err)
	if code != 0 {
		t.Errorf("exit code after SIGTERM is %d, want 0", code)
	}
	for _, path := range []string{pid, d.Socket} {
		if exists(path) {
			t.Errorf("%s is still there after SIGTERM", path)
		}
	}

	b.must(d.Start("-d"))
	b.selected(d, b.link.B4, 10*time.Second)
	d.Kill()
	if !exists(pid) || !exists(d.Socket) {
		t.Fatal("the test is wrong: SIGKILL cannot have removed pid file and socket")
	}
	b.must(d.Start("-d"))
	b.selected(d, b.link.B4, 10*time.Second)

	second := b.lab.Path("client2")
	b.must(os.MkdirAll(second, 0o755))
	p, err := b.lab.Start("second", d.Command("-d"))
	b.must(err)
	code, err = p.Wait(5 * time.Second)
	b.must(err)
	if code == 0 || !strings.Contains(p.Log(), "still running") {
		t.Errorf("a second daemon with the same pid file: exit code %d, printed %q", code, p.Log())
	}
	if !d.Running() {
		t.Error("the second daemon ended the first")
	}
}

// TestDaemonise starts foliotd without -d: the parent ends when the daemon runs,
// or says why it does not.
func TestDaemonise(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	d := b.prepare(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	log := filepath.Join(d.Dir, "messages")
	b.must(d.Start("-l", log))
	code, err := d.Wait(10 * time.Second)
	b.must(err)
	text, err := os.ReadFile(filepath.Join(d.Dir, "pid"))
	if code != 0 || err != nil {
		t.Fatalf("parent: exit code %d, pid file: %v, printed %q", code, err, d.Log())
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	b.must(err)
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	if name, err := Status(pid, "Name"); err != nil || name != "foliotd" {
		t.Fatalf("process %d is %q (%v), want foliotd", pid, name, err)
	}
	if parent, err := Status(pid, "PPid"); err != nil || parent == strconv.Itoa(os.Getpid()) {
		t.Errorf("parent of the daemon is %s (%v), want it to be detached", parent, err)
	}
	if out, err := d.Ctl("status"); err != nil {
		t.Errorf("the parent ended before the daemon answers: %v: %s", err, out)
	}
	b.selected(d, b.link.B4, 10*time.Second)
	b.must(syscall.Kill(pid, syscall.SIGTERM))
	b.until(5*time.Second, "the daemon ends", func() bool { return syscall.Kill(pid, 0) != nil })
	messages, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(messages), "foliotd exiting") {
		t.Errorf("log file: %v, %q, want it to end with the exit", err, messages)
	}
}

// TestDaemoniseFails wants the reason on the terminal, and a code.
func TestDaemoniseFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, tt := range []struct{ name, config, want string }{
		{"unknown directive", "nonsense 1\n", "line 5"},
		{"bad argument", "server 192.0.2.1 minpoll 99\n", "line 5"},
	} {
		d := b.prepare(b.a, strings.ReplaceAll(tt.name, " ", "-"), tt.config)
		b.must(d.Start("-l", filepath.Join(d.Dir, "messages")))
		code, err := d.Wait(10 * time.Second)
		b.must(err)
		if code == 0 || !strings.Contains(d.Log(), tt.want) {
			t.Errorf("%s: exit code %d, printed %q, want a code and %q", tt.name, code, d.Log(), tt.want)
		}
		if exists(filepath.Join(d.Dir, "pid")) {
			t.Errorf("%s: a pid file was left", tt.name)
		}
	}
}
