// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"foliot/internal/cmdmon"
)

var me = Owner{UID: os.Geteuid(), GID: os.Getegid()}

// dir makes a directory with a mode.
func dir(t *testing.T, mode os.FileMode) string {
	t.Helper()
	d := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(d, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d, mode); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestUnix asks through a unix socket, as chronyc does from a socket of its own.
func TestUnix(t *testing.T) {
	d := dir(t, 0o700)
	path := filepath.Join(d, "sock")
	s := newServer(&desk{state: full()}, nil)
	if err := s.OpenUnix(path, me); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("socket: mode %v, %v, want nothing for others", info.Mode(), err)
	}
	s.Run(context.Background())
	own := &net.UnixAddr{Name: filepath.Join(d, "chronyc"), Net: "unixgram"}
	c, err := net.DialUnix("unixgram", own, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exchangeWith(t, c, cmdmon.Shutdown, cmdmon.Success)
	exchangeWith(t, c, cmdmon.Tracking, cmdmon.Success)

	nobody, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	nobody.Write(cmdmon.AppendRequest(nil, cmdmon.RequestHeader{Command: cmdmon.Tracking}, nil))
	waitFor(t, "a request without an address is dropped", func() bool { return s.Counts()[Unsent] == 1 })

	s.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + ": not within 5 s")
		}
	}
}

// exchangeWith sends a command and wants an answer with a status.
func exchangeWith(t *testing.T, c net.Conn, cmd cmdmon.Command, want cmdmon.Status) {
	t.Helper()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(cmdmon.AppendRequest(nil, cmdmon.RequestHeader{Command: cmd, Sequence: 5}, body(cmd))); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var h cmdmon.ReplyHeader
	if !h.Decode(b[:n]) || h.Command != cmd || h.Sequence != 5 || h.Status != want {
		t.Errorf("%s: %+v, want %v", cmd, h, want)
	}
}

// TestUDP asks over both families, from this host. The socket is bound to every
// address: the answer must come from the one that was asked, or a connected client
// does not hear it.
func TestUDP(t *testing.T) {
	for _, at := range []string{"0.0.0.0:0", "[::]:0", "127.0.0.1:0", "[::1]:0"} {
		s := newServer(&desk{}, nil)
		if err := s.OpenUDP(netip.MustParseAddrPort(at), ""); err != nil {
			if strings.Contains(at, "[") {
				t.Logf("%s: %v", at, err)
				continue
			}
			t.Fatal(err)
		}
		s.Run(context.Background())
		port := s.sockets[0].udp.LocalAddr().(*net.UDPAddr).Port
		to := []string{"127.0.0.1"}
		switch at {
		case "0.0.0.0:0":
			to = []string{"127.0.0.1", "127.0.0.2"}
		case "[::]:0", "[::1]:0":
			to = []string{"::1"}
		}
		for _, a := range to {
			addr := netip.MustParseAddr(a)
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(port))))
			if err != nil {
				t.Fatal(err)
			}
			exchangeWith(t, c, cmdmon.Tracking, cmdmon.Success)
			exchangeWith(t, c, cmdmon.Shutdown, cmdmon.Unauthorised)
			c.Close()
		}
		s.Close()
		if by := s.Counts(); by[Answered] != 2*uint64(len(to)) {
			t.Errorf("%s: counted %v", at, by)
		}
	}
}

// TestUnsafePaths wants sockets only where nobody else can put something.
func TestUnsafePaths(t *testing.T) {
	file := func(d string) string {
		path := filepath.Join(d, "sock")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(d string) string {
		path := filepath.Join(d, "sock")
		if err := os.Symlink(file(dir(t, 0o700)), path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name  string
		mode  os.FileMode
		make  func(dir string) string
		owner Owner
		want  string
	}{
		{"open to read", 0o755, nil, me, "open to everybody"},
		{"open to enter", 0o701, nil, me, "open to everybody"},
		{"open to write", 0o773, nil, me, "open to everybody"},
		{"somebody else's", 0o770, nil, Owner{UID: me.UID + 1, GID: me.GID}, "belongs to user"},
		{"another group's", 0o770, nil, Owner{UID: me.UID, GID: me.GID + 1}, "belongs to group"},
		{"a file", 0o700, file, me, "not a socket"},
		{"a link", 0o700, link, me, "not a socket"},
		{"fine", 0o770, nil, me, ""},
	} {
		d := dir(t, tt.mode)
		path := filepath.Join(d, "sock")
		if tt.make != nil {
			path = tt.make(d)
		}
		before, _ := os.Lstat(path)
		s := newServer(&desk{}, nil)
		err := s.OpenUnix(path, tt.owner)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		s.Close()
		if after, _ := os.Lstat(path); before != nil && (after == nil || !os.SameFile(before, after)) {
			t.Errorf("%s: what was there is gone", tt.name)
		}
	}
	s := newServer(&desk{}, nil)
	if err := s.OpenUnix(filepath.Join(t.TempDir(), "none", "sock"), me); err == nil {
		t.Error("no directory: no error")
	}
}

// TestStale replaces what a dead daemon left, not what a live one has.
func TestStale(t *testing.T) {
	path := filepath.Join(dir(t, 0o700), "sock")
	open := func() (*Server, error) {
		s := newServer(&desk{}, nil)
		return s, s.OpenUnix(path, me)
	}
	live, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err != errInUse {
		t.Errorf("beside a live one: %v, want %v", err, errInUse)
	}
	live.sockets[0].unix.Close()      // as if it had died
	time.Sleep(20 * time.Millisecond) // file times have the resolution of a tick
	next, err := open()
	if err != nil {
		t.Fatalf("after a dead one: %v", err)
	}
	live.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the first one removed the socket of the second: %v", err)
	}
	next.Close()
}

func TestPrepareDir(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "a", "b", "sock")
	if err := PrepareDir(path, me); err != nil {
		t.Fatal(err)
	}
	if err := checkDir(filepath.Dir(path), me); err != nil {
		t.Error(err)
	}
	d := dir(t, 0o755)
	if err := PrepareDir(filepath.Join(d, "sock"), me); err != nil {
		t.Error(err)
	}
	if info, _ := os.Lstat(d); info.Mode().Perm() != 0o755 {
		t.Errorf("the mode of a directory that was there is %v now", info.Mode())
	}
}
