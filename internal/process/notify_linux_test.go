// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNotifier(t *testing.T) {
	for _, tc := range []struct{ name, addr string }{
		{"path", filepath.Join(t.TempDir(), "notify")},
		{"abstract", fmt.Sprintf("@foliot-test-%d", os.Getpid())},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := unixSocket(t, unix.SOCK_DGRAM)
			if err := unix.Bind(int(srv.Fd()), &unix.SockaddrUnix{Name: tc.addr}); err != nil {
				t.Fatal(err)
			}
			t.Setenv("NOTIFY_SOCKET", tc.addr)
			t.Setenv("WATCHDOG_USEC", "30000000")
			t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
			n, err := NewNotifier()
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			if v, ok := os.LookupEnv("NOTIFY_SOCKET"); ok {
				t.Errorf("NOTIFY_SOCKET is still %q", v)
			}
			if got := n.WatchdogInterval(); got != 30*time.Second {
				t.Errorf("WatchdogInterval = %v, want 30s", got)
			}
			checkMessages(t, n, srv)
		})
	}
}

func checkMessages(t *testing.T, n *Notifier, srv *os.File) {
	t.Helper()
	for _, tc := range []struct {
		send func() error
		want string
	}{
		{n.Ready, "READY=1"},
		{n.Stopping, "STOPPING=1"},
		{n.Watchdog, "WATCHDOG=1"},
		{func() error { return n.Status("a\nREADY=1") }, "STATUS=a READY=1"},
		{n.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
	} {
		if err := tc.send(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 256)
		k, err := srv.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got := string(b[:k])
		if usec, ok := strings.CutPrefix(got, "RELOADING=1\nMONOTONIC_USEC="); ok {
			var ts unix.Timespec
			unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
			at, err := strconv.ParseInt(usec, 10, 64)
			if age := ts.Nano()/1000 - at; err != nil || age < 0 || age > 10e6 {
				t.Errorf("reloading since %q us (%v), which is %d us ago", usec, err, age)
			}
			got = "RELOADING=1\nMONOTONIC_USEC="
		}
		if got != tc.want {
			t.Errorf("message %q, want %q", got, tc.want)
		}
	}
}

func TestNotifierAbsent(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n, err := NewNotifier()
	if n != nil || err != nil {
		t.Fatalf("NewNotifier = %v, %v, want nil, nil", n, err)
	}
	err = errors.Join(n.Ready(), n.Reloading(), n.Stopping(), n.Status("x"), n.Watchdog(), n.Close())
	if err != nil || n.WatchdogInterval() != 0 {
		t.Errorf("nil Notifier: %v, watchdog %v, want no error and 0", err, n.WatchdogInterval())
	}
	for _, addr := range []string{"relative", "/", "vsock:2:1234"} {
		t.Setenv("NOTIFY_SOCKET", addr)
		if _, err := NewNotifier(); !errors.Is(err, ErrUnsupported) {
			t.Errorf("NOTIFY_SOCKET=%q: %v, want ErrUnsupported", addr, err)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	n, err = NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Ready(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Ready without a listener = %v, want not exist", err)
	}
}

func TestWatchdogInterval(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, tc := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"1500000", "", 1500 * time.Millisecond},
		{"1500000", self, 1500 * time.Millisecond},
		{"1500000", "1", 0},
		{"", "", 0},
		{"-1", "", 0},
		{"99999999999999999999", "", 0},
	} {
		if got := watchdogInterval(tc.usec, tc.pid); got != tc.want {
			t.Errorf("watchdogInterval(%q, %q) = %v, want %v", tc.usec, tc.pid, got, tc.want)
		}
	}
}

func TestReadyFD(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := ReadyFD(fd); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if n, err := r.Read(b); n != 1 || b[0] != '\n' {
		t.Errorf("read %q, %v, want a newline", b[:n], err)
	}
	if n, _ := r.Read(b); n != 0 {
		t.Errorf("descriptor still open after ReadyFD, read %q", b[:n])
	}
	if err := ReadyFD(1); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("ReadyFD(1) = %v, want invalid", err)
	}
}
