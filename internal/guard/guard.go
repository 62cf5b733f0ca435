// SPDX-License-Identifier: Apache-2.0

// Package guard keeps a crash of the daemon from leaving the clock at the rate
// of an unfinished slew, up to 10 % off, with nobody to end it. It does not
// watch a daemon that hangs, and it cannot outlive a signal that kills the whole
// control group.
//
// The one concept: a second process that sleeps. It shares one word of memory
// with the daemon, the base rate of the clock, which the daemon updates by a
// plain store; and it reads from a socket whose other end only the daemon has.
// When that end closes and the daemon did not say that this was in order, the
// daemon is dead, however it died, and the guard sets the base rate and exits.
package guard

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// Arg is the first argument by which a process is told to be a guard. main
// looks for it before anything else:
//
//	if len(os.Args) > 1 && os.Args[1] == guard.Arg {
//		os.Exit(guard.Main())
//	}
const Arg = "--guard"

const (
	startTimeout = 5 * time.Second // for the new process to report
	closeTimeout = 2 * time.Second // for it to end when it was told to
	oomScore     = "-900"          // nearly last to be killed for memory
)

// Config says how the guard runs.
type Config struct {
	// UID and GID are whom it runs as, 0 for the daemon's own. The daemon needs
	// the right to change to them.
	UID, GID uint32
	// Quiet gives it no standard error: a daemon in the background has none
	// either, and must not hold the one of the command line open.
	Quiet bool

	env  []string // added to the guard's environment
	keep uintptr  // capability to keep, 0 for CAP_SYS_TIME
}

// Guard is the daemon's end. Its methods are safe for concurrent use.
type Guard struct {
	page   *page
	conn   *os.File
	proc   *os.Process
	exited chan struct{}
}

// Start starts the guard and returns when it is ready. Call it while the daemon
// still has CAP_SYS_TIME, the only capability that the guard then keeps. It
// does nothing before the first SetBase.
func Start(cfg Config) (*Guard, error) {
	p, memory, err := newPage()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer memory.Close()
	ours, theirs, err := connection()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer theirs.Close()
	proc, err := spawn(cfg, memory, theirs)
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start guard: %w", err)
	}
	g := &Guard{page: p, conn: ours, proc: proc, exited: make(chan struct{})}
	go func() {
		proc.Wait() // reaps it; how it ended does not matter
		close(g.exited)
	}()
	theirs.Close() // so that its end shows at ours
	if err := g.ready(); err != nil {
		g.conn.Close()
		proc.Kill()
		<-g.exited
		return nil, fmt.Errorf("start guard: %w", err)
	}
	// Needs CAP_SYS_RESOURCE; without it the guard is as mortal as any process.
	os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", proc.Pid), []byte(oomScore), 0)
	return g, nil
}

// ready waits for the first octet from the guard.
func (g *Guard) ready() error {
	var b [1]byte
	if err := g.conn.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	if _, err := g.conn.Read(b[:]); err != nil {
		return fmt.Errorf("wait for its report: %w", err)
	}
	return nil
}

// SetBase sets the rate that the clock is to have when the daemon dies. It is a
// store to memory, cheap enough for every change. Rates beyond the kernel's
// limits are clamped to them.
func (g *Guard) SetBase(f clock.Frequency) { g.page.base.Store(pack(clock.ToKernel(f))) }

// PID returns the guard's process ID.
func (g *Guard) PID() int { return g.proc.Pid }

// Exited returns a channel that is closed when the guard has ended. Before
// Close that is a fault: the clock is unguarded.
func (g *Guard) Exited() <-chan struct{} { return g.exited }

// Closed tells whether Close was called.
func (g *Guard) Closed() bool { return g.page.bye.Load() != 0 }

// Close tells the guard that the daemon ends in order, with the clock at a rate
// that may stay, and waits until the guard has ended.
func (g *Guard) Close() error {
	g.page.bye.Store(1)
	err := g.conn.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	select {
	case <-g.exited:
		return err
	case <-time.After(closeTimeout):
	}
	g.proc.Kill()
	<-g.exited
	return fmt.Errorf("close guard: process %d did not end within %v", g.proc.Pid, closeTimeout)
}

// connection returns the two ends of a stream. Unlike a pipe it carries the
// guard's report back.
func connection() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // for the deadline
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fds[0]), "guard"), os.NewFile(uintptr(fds[1]), "daemon"), nil
}

// spawn starts the process from a thread of its own, which gives away what the
// guard must not have: a child inherits from the thread that forks. The thread
// ends with its goroutine, as it stays locked.
func spawn(cfg Config, memory, conn *os.File) (*os.Process, error) {
	if cfg.keep == 0 {
		cfg.keep = unix.CAP_SYS_TIME
	}
	type result struct {
		proc *os.Process
		err  error
	}
	done := make(chan result, 1)
	go onMortalThread(func() {
		permitted := restrictThread(cfg.keep)
		proc, err := startProcess(cfg, memory, conn, permitted)
		done <- result{proc, err}
	})
	r := <-done
	return r.proc, r.err
}

// onMortalThread calls f on a thread that ends with the calling goroutine. The
// process's first thread never ends: it is held while another calls f.
func onMortalThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go onMortalThread(func() {
		f()
		close(done)
	})
	<-done
	runtime.UnlockOSThread()
}

// restrictThread leaves the calling thread's children no capability but the one
// to keep and tells whether they can have that one. Without CAP_SETPCAP
// the bounding set stays; then only the ambient set gives capabilities to a
// child that is not root.
func restrictThread(keep uintptr) (permitted bool) {
	unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	for c := uintptr(0); ; c++ {
		if c == keep {
			continue
		}
		// EINVAL ends the list of this kernel, EPERM says that none can go.
		if unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) != nil {
			break
		}
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	return data[keep/32].Permitted&(1<<(keep%32)) != 0
}

func startProcess(cfg Config, memory, conn *os.File, permitted bool) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	sys := &syscall.SysProcAttr{Setsid: true}
	if cfg.UID != 0 || cfg.GID != 0 {
		sys.Credential = &syscall.Credential{Uid: cfg.UID, Gid: cfg.GID}
	}
	if permitted && (cfg.UID != 0 || os.Geteuid() != 0) {
		sys.AmbientCaps = []uintptr{cfg.keep}
	}
	stderr := os.Stderr
	if cfg.Quiet {
		stderr = null
	}
	attr := &os.ProcAttr{
		Dir:   "/",
		Env:   append([]string{"GOMAXPROCS=1", "GOGC=off"}, cfg.env...),
		Files: []*os.File{null, null, stderr, memoryFD: memory, connFD: conn},
		Sys:   sys,
	}
	// The file may have been replaced by an upgrade; this is always the same one.
	return os.StartProcess("/proc/self/exe", []string{os.Args[0], Arg}, attr)
}
