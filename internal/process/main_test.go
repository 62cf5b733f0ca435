// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// roleVar makes the test binary play one of the roles below instead of running
// its tests.
const roleVar = "FOLIOT_TEST_ROLE"

var roles = map[string]func() error{
	"detach-ready":  roleDetachReady,
	"detach-fail":   func() error { return roleDetach(func(l *Launch) { l.Fail(errors.New("no such port")); os.Exit(3) }) },
	"detach-die":    func() error { return roleDetach(func(*Launch) { os.Exit(7) }) },
	"detach-listen": roleDetachListen,
	"drop":          roleDrop,
	"mlock":         roleMlock,
	"realtime":      roleRealtime,
	"signals":       roleSignals,
	"pidfile":       rolePidfile,
}

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleVar)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child prepares the test binary to play a role.
func child(role string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleVar+"="+role), env...)
	return cmd
}

// play runs a role and returns its standard output. A role that cannot be
// played here says so with a line that begins with "skip: ".
func play(t *testing.T, role string, env ...string) string {
	t.Helper()
	cmd := child(role, env...)
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	if err := cmd.Run(); err != nil {
		if reason, ok := strings.CutPrefix(errout.String(), "skip: "); ok {
			t.Skip(strings.TrimSpace(reason))
		}
		t.Fatalf("role %s: %v\nstdout: %s\nstderr: %s", role, err, out.String(), errout.String())
	}
	return out.String()
}

// eventually waits for a condition that another process brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for range 500 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("after 5 s still not: %s", what)
}

// busyThreads makes the runtime start n further threads that stay alive.
func busyThreads(n int) (release func()) {
	stop, started := make(chan struct{}), make(chan struct{})
	for range n {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			<-stop
		}()
		<-started
	}
	return func() { close(stop) }
}
