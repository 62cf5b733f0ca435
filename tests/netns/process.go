// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a child in a namespace.
type Process struct {
	Name string
	cmd  *exec.Cmd
	out  buffer
	done chan struct{}
	err  error
}

// buffer collects what a child prints.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// unclocked is what every child runs under: it can never set the clock.
var unclocked = []string{"setpriv", "--bounding-set=-sys_time"}

// Command returns a command in the namespace, without the right to set the
// clock. The number of its process is that of the program itself.
func (s *Space) Command(args ...string) *exec.Cmd {
	all := append([]string{"netns", "exec", s.Name}, unclocked...)
	return exec.Command("ip", append(all, args...)...)
}

// Start starts a command as a child that ends with the lab, or with us.
func (l *Lab) Start(name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := beget(cmd); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.procs = append(l.procs, p)
	l.mu.Unlock()
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// parent is the thread that starts all children. They end with the thread that
// started them, and others may end before us: those of workers do.
var parent = sync.OnceValue(func() chan<- func() {
	tasks := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range tasks {
			f()
		}
	}()
	return tasks
})

// beget starts a child, on the processors of the thread that calls.
func beget(cmd *exec.Cmd) error {
	var here unix.CPUSet
	if err := unix.SchedGetaffinity(0, &here); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	started := make(chan error)
	parent() <- func() {
		err := unix.SchedSetaffinity(0, &here)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}
	return <-started
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is what the process has printed.
func (p *Process) Log() string { return p.out.String() }

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Running tells whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process at once and waits for it.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Wait waits up to limit for the process to end by itself and returns its exit
// code.
func (p *Process) Wait(limit time.Duration) (code int, err error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s still runs after %s", p.Name, limit)
	}
}

// CPU returns the processor time that all threads of the process have used.
func (p *Process) CPU() (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID()))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("read threads of %s: %w", p.Name, errors.Join(err, os.ErrNotExist))
	}
	total := time.Duration(0)
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		ns, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	return total, nil
}

// Status returns a line of /proc/PID/status, without its name.
func Status(pid int, field string) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("no %s in the status of process %d", field, pid)
}
