// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// statusField returns one line of a /proc/.../status file.
func statusField(path, name string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^` + name + `:\s*(.*)$`).FindSubmatch(b)
	if m == nil {
		return "", fmt.Errorf("%s: no field %s", path, name)
	}
	return string(m[1]), nil
}

// roleDrop drops to nobody and prints what is left on every thread, one line a
// thread, then tries to become root again.
func roleDrop() error {
	if os.Geteuid() != 0 {
		return errors.New("skip: needs root")
	}
	pidfile, err := CreatePidfile(os.Getenv("PIDFILE"))
	if err != nil {
		return err
	}
	defer busyThreads(4)()
	kept, err := Drop(Identity{UID: 65534, GID: 65534, Groups: []int{65534}}, CapNetBindService|CapSysTime)
	if errors.Is(err, ErrUnsupported) {
		return fmt.Errorf("skip: %w (run with CGO_ENABLED=0)", err)
	}
	if err != nil {
		return err
	}
	defer busyThreads(2)() // threads born after the drop
	fmt.Printf("kept %x\n", uint64(kept))
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		var line []string
		for _, f := range []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"} {
			v, err := statusField(task, f)
			if err != nil {
				return err
			}
			line = append(line, f+"="+strings.Join(strings.Fields(v), ","))
		}
		fmt.Println(strings.Join(line, " "))
	}
	if err := unix.Setresuid(0, 0, 0); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setresuid(0) after the drop = %v, want EPERM", err)
	}
	if _, err := os.ReadFile("/etc/shadow"); err == nil {
		return errors.New("/etc/shadow is still readable")
	}
	return pidfile.Remove()
}

func TestDrop(t *testing.T) {
	have, err := Permitted()
	if err != nil {
		t.Fatal(err)
	}
	pidfile := filepath.Join(t.TempDir(), "pid") // nobody cannot delete it
	lines := strings.Split(strings.TrimSpace(play(t, "drop", "PIDFILE="+pidfile)), "\n")
	if b, err := os.ReadFile(pidfile); err != nil || len(b) != 0 {
		t.Errorf("pid file after Remove without the right to delete it: %q, %v, want it empty", b, err)
	}
	want := (CapNetBindService | CapSysTime) & have
	if lines[0] != fmt.Sprintf("kept %x", uint64(want)) {
		t.Errorf("got %q, want kept %x", lines[0], uint64(want))
	}
	threads := lines[1:]
	if len(threads) < 7 {
		t.Errorf("only %d threads reported, want at least 7", len(threads))
	}
	caps := fmt.Sprintf("%016x", uint64(want))
	line := "Uid=65534,65534,65534,65534 Gid=65534,65534,65534,65534 Groups=65534 CapInh=0000000000000000 CapPrm=" +
		caps + " CapEff=" + caps + " CapBnd=" + caps + " CapAmb=0000000000000000 NoNewPrivs=1"
	for _, got := range threads {
		if got != line {
			t.Errorf("a thread has\n%s\nwant\n%s", got, line)
		}
	}
}

func TestCapsString(t *testing.T) {
	for _, tc := range []struct {
		caps Caps
		want string
	}{
		{0, "none"},
		{CapSysTime, "CAP_SYS_TIME"},
		{CapSysTime | CapNetBindService, "CAP_NET_BIND_SERVICE CAP_SYS_TIME"},
		{CapBPF | 1<<0, "CAP_BPF capability 0"},
	} {
		if got := tc.caps.String(); got != tc.want {
			t.Errorf("Caps(%#x) = %q, want %q", uint64(tc.caps), got, tc.want)
		}
	}
}

func roleMlock() error {
	_, err := LockMemory()
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("skip: %w", err)
	}
	if err != nil {
		return err
	}
	b := make([]byte, 8<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	locked, err := statusField("/proc/self/status", "VmLck")
	runtime.KeepAlive(b)
	fmt.Print(locked)
	return err
}

func TestLockMemory(t *testing.T) {
	var kB int
	out := play(t, "mlock")
	if _, err := fmt.Sscanf(out, "%d kB", &kB); err != nil || kB < 8<<10 {
		t.Errorf("VmLck = %q (%v), want at least the 8 MiB that were touched", out, err)
	}
}

func roleRealtime() error {
	runtime.LockOSThread()
	if err := SetRealtime(7); errors.Is(err, unix.EPERM) {
		return fmt.Errorf("skip: %w", err)
	} else if err != nil {
		return err
	}
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return err
	}
	fmt.Printf("policy %d priority %d reset %v\n", attr.Policy, attr.Priority, attr.Flags&unix.SCHED_FLAG_RESET_ON_FORK != 0)
	return nil
}

func TestSetRealtime(t *testing.T) {
	if got, want := play(t, "realtime"), "policy 1 priority 7 reset true\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, prio := range []int{-1, 100} {
		if err := SetRealtime(prio); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("SetRealtime(%d) = %v, want invalid", prio, err)
		}
	}
	if err := SetRealtime(0); err != nil {
		t.Errorf("SetRealtime(0) = %v, want nothing done", err)
	}
}

// roleSignals echoes what it receives until a stop.
func roleSignals() error {
	s := NotifySignals()
	defer s.Close()
	fmt.Println("caught")
	for {
		select {
		case <-s.Reload:
			fmt.Println("reload")
		case sig := <-s.Stop:
			fmt.Println("stop", sig)
			return nil
		}
	}
}

func TestSignals(t *testing.T) {
	for _, stop := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
		cmd := child("signals")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var got []string
		b := make([]byte, 64)
		for _, sig := range []unix.Signal{unix.SIGHUP, stop, 0} {
			n, _ := out.Read(b)
			got = append(got, strings.TrimSpace(string(b[:n])))
			if sig != 0 {
				cmd.Process.Signal(sig)
			}
		}
		want := []string{"caught", "reload", "stop " + stop.String()}
		if err := cmd.Wait(); err != nil || !slices.Equal(got, want) {
			t.Errorf("HUP, %v: %q, %v, want %q", stop, got, err, want)
		}
	}
}

func TestFindUser(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nshort:x:1\nfoliot:x:990:991:Time:/:/sbin/nologin\nbad:x:-3:1::/:/bin/false\n"
	const group = "root:x:0:\nfoliot:x:991:foliot\nptp:x:44:other,foliot\nnear:x:45:foliots\nbroken\n"
	for _, tc := range []struct {
		name string
		want Identity
		ok   bool
	}{
		{"root", Identity{UID: 0, GID: 0, Groups: []int{0}}, true},
		{"foliot", Identity{UID: 990, GID: 991, Groups: []int{991, 44}}, true},
		{"990", Identity{UID: 990, GID: 991, Groups: []int{991, 44}}, true},
		{"bad", Identity{}, false},
		{"short", Identity{}, false},
		{"nobody", Identity{}, false},
		{"", Identity{}, false},
	} {
		got, err := findUser(tc.name, passwd, group)
		if (err == nil) != tc.ok || got.UID != tc.want.UID || got.GID != tc.want.GID || !slices.Equal(got.Groups, tc.want.Groups) {
			t.Errorf("findUser(%q) = %+v, %v, want %+v, ok %v", tc.name, got, err, tc.want, tc.ok)
		}
	}
	if id, err := LookupUser("root"); err != nil || id.UID != 0 {
		t.Errorf("LookupUser(root) = %+v, %v, want user 0", id, err)
	}
}
