// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier tells the service manager what the daemon is doing, sd_notify(3).
// A nil Notifier is valid and tells nobody. Safe for concurrent use.
type Notifier struct {
	fd       int
	addr     unix.SockaddrUnix
	watchdog time.Duration
}

// NewNotifier reads NOTIFY_SOCKET and WATCHDOG_USEC from the environment and
// removes them from it. Without NOTIFY_SOCKET it returns nil. The address is a
// path that begins with / or, for an abstract socket, @.
func NewNotifier() (*Notifier, error) {
	addr := os.Getenv("NOTIFY_SOCKET")
	watchdog := watchdogInterval(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"))
	for _, v := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(v)
	}
	if addr == "" {
		return nil, nil
	}
	if len(addr) < 2 || addr[0] != '/' && addr[0] != '@' {
		return nil, fmt.Errorf("notify service manager: NOTIFY_SOCKET %q: %w", addr, ErrUnsupported)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("notify service manager: %w", os.NewSyscallError("socket", err))
	}
	return &Notifier{fd: fd, addr: unix.SockaddrUnix{Name: addr}, watchdog: watchdog}, nil
}

// watchdogInterval decodes the watchdog variables; 0 means that there is no
// watchdog, or that it is another process's.
func watchdogInterval(usec, pid string) time.Duration {
	if pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseUint(usec, 10, 53)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// WatchdogInterval returns how long the service manager waits for a Watchdog
// before it kills the daemon, 0 for ever. Call Watchdog at half of it.
func (n *Notifier) WatchdogInterval() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Ready says that the start, or the reload that Reloading began, is done.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// Reloading says that the configuration is being read again. Units of
// Type=notify-reload wait for the Ready that must follow.
func (n *Notifier) Reloading() error {
	if n == nil {
		return nil
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return fmt.Errorf("notify service manager: %w", os.NewSyscallError("clock_gettime", err))
	}
	return n.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(ts.Nano()/1000, 10))
}

// Stopping says that the daemon is on its way out.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Status sets the one-line description that systemctl status shows.
func (n *Notifier) Status(text string) error {
	return n.send("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

// Watchdog says that the daemon is alive.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// Close closes the socket.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(n.fd))
}

// send never blocks: a service manager that does not read loses the message.
func (n *Notifier) send(msg string) error {
	if n == nil {
		return nil
	}
	err := unix.Sendto(n.fd, []byte(msg), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, &n.addr)
	if err != nil {
		return fmt.Errorf("notify service manager: %w", os.NewSyscallError("sendto", err))
	}
	return nil
}

// ReadyFD tells a supervisor of the s6 kind that the start is done: it writes
// a newline to descriptor fd and closes it (chronyd's option -N).
func ReadyFD(fd int) error {
	f := os.NewFile(uintptr(fd), "readiness descriptor")
	if f == nil || fd < 3 {
		return fmt.Errorf("report readiness on descriptor %d: %w", fd, os.ErrInvalid)
	}
	defer f.Close()
	if _, err := f.WriteString("\n"); err != nil {
		return fmt.Errorf("report readiness on descriptor %d: %w", fd, err)
	}
	return nil
}
