// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// start runs a server until the end of the test and returns it with its path.
func start(t *testing.T, h Handler, change func(*Server)) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "ctl.sock")
	s, err := Listen(path, h)
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("socket after Run: %v, want not exist", err)
		}
	})
	return s, path
}

func unchanged(*Server) {}

func do(path, verb string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := Do(ctx, path, verb, &out)
	return out.String(), err
}

func TestServe(t *testing.T) {
	_, path := start(t, func(ctx context.Context, verb string, w io.Writer) error {
		fmt.Fprintf(w, "asked for %s\n\nok\n", verb)
		switch verb {
		case "fail":
			return errors.New("foliot.conf:3: no such directive")
		case "flood":
			_, err := w.Write(make([]byte, maxAnswer))
			return err
		}
		return nil
	}, unchanged)
	for _, tc := range []struct{ verb, out, err string }{
		{"status", "asked for status\n\nok\n", ""},
		{"fail", "asked for fail\n\nok\n", "foliot.conf:3: no such directive"},
		{"flood", "asked for flood\n\nok\n", "answer is too long"},
	} {
		out, err := do(path, tc.verb)
		var refused *RemoteError
		if errors.As(err, &refused) != (tc.err != "") || refused != nil && refused.Reason != tc.err || out != tc.out {
			t.Errorf("%s: %q, %v, want %q, %q", tc.verb, out, err, tc.out, tc.err)
		}
	}
	if _, err := do(path, "two words"); !errors.Is(err, ErrMalformed) {
		t.Errorf("Do with a malformed verb = %v, want ErrMalformed", err)
	}
	for p, want := range map[string]os.FileMode{path: os.ModeSocket | 0o700, filepath.Dir(path): os.ModeDir | 0o750} {
		if info, err := os.Lstat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v, want %v", p, info.Mode(), err, want)
		}
	}
}

// TestRemoveOwn: a socket that has the number of ours, which is gone, stays.
func TestRemoveOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	later := own.ModTime().Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	removeOwn(path, own)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a later file of the same number was removed: %v", err)
	}
	if own, err = os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if err := removeOwn(path, own); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("our own file is still there")
	}
}

func TestServeMalformedRequest(t *testing.T) {
	_, path := start(t, func(context.Context, string, io.Writer) error { return nil }, unchanged)
	for _, request := range []string{"GET / HTTP/1.1\r\n", strings.Repeat("a", 1000), "\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(request))
		b, _ := io.ReadAll(conn)
		conn.Close()
		if want := "error read request: malformed message\n"; string(b) != want {
			t.Errorf("request %q: %q, want %q", request, b, want)
		}
	}
}

func TestServeForeignUser(t *testing.T) {
	_, path := start(t, func(context.Context, string, io.Writer) error {
		t.Error("the handler ran")
		return nil
	}, func(s *Server) { s.allowed = func(uid uint32) bool { return int(uid) != os.Getuid() } })
	want := fmt.Sprintf("user %d may not give commands", os.Getuid())
	if out, err := do(path, "reload"); out != "" || err == nil || err.Error() != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func TestAllowedUsers(t *testing.T) {
	s, _ := start(t, nil, unchanged)
	me := uint32(os.Geteuid())
	for uid, want := range map[uint32]bool{0: true, me: true, me + 1: false, 65534: me == 65534} {
		if got := s.allowed(uid); got != want {
			t.Errorf("allowed(%d) = %v, want %v", uid, got, want)
		}
	}
}

// A connection that sends nothing is dropped, and does not keep others out.
func TestServeSilentClients(t *testing.T) {
	s, path := start(t, func(context.Context, string, io.Writer) error { return nil },
		func(s *Server) { s.patient = 200 * time.Millisecond })
	var silent []net.Conn
	for range maxConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	for len(s.slots) < maxConns {
		time.Sleep(time.Millisecond)
	}
	if _, err := do(path, "status"); err == nil || err.Error() != "too many connections" {
		t.Errorf("connection %d: %v, want too many connections", maxConns+1, err)
	}
	for _, c := range silent {
		if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
			t.Errorf("silent client got %q, %v, want the end", b, err)
		}
	}
	for len(s.slots) > 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := do(path, "status"); err != nil {
		t.Errorf("after the silent ones are gone: %v", err)
	}
}

func TestHandlerCallsDoNotOverlap(t *testing.T) {
	var inside, calls atomic.Int32
	_, path := start(t, func(context.Context, string, io.Writer) error {
		if inside.Add(1) != 1 {
			t.Error("two calls at the same time")
		}
		calls.Add(1)
		time.Sleep(2 * time.Millisecond)
		inside.Add(-1)
		return nil
	}, unchanged)
	var clients sync.WaitGroup
	for range maxConns {
		clients.Go(func() {
			if _, err := do(path, "status"); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if calls.Load() != maxConns {
		t.Errorf("%d calls, want %d", calls.Load(), maxConns)
	}
}

// The end of ctx reaches a command that is running, and Run waits for it.
func TestStopDuringCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctl.sock")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := Listen(path, func(ctx context.Context, _ string, w io.Writer) error {
		cancel()
		<-ctx.Done()
		fmt.Fprintln(w, "stopping")
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	out, err := do(path, "reload")
	if out != "stopping\n" || err == nil || err.Error() != context.Canceled.Error() {
		t.Errorf("got %q, %v, want the answer of the cancelled command", out, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestListenStaleAndForeignFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ctl.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("Listen beside a live daemon = %v, want ErrInUse", err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	s, err := Listen(path, nil)
	if err != nil {
		t.Fatalf("Listen over a stale socket: %v", err)
	}
	s.ln.Close()

	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.sock")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{target, link} {
		if _, err := Listen(p, nil); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("Listen(%s) = %v, want refusal", p, err)
		}
		if _, err := os.Lstat(p); err != nil {
			t.Errorf("%s was removed", p)
		}
	}
	if b, _ := os.ReadFile(target); string(b) != "x" {
		t.Errorf("precious file: %q", b)
	}
}

func TestListenUnsafeDirectory(t *testing.T) {
	base := t.TempDir()
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	dirs := []string{open, link, filepath.Join(base, "missing", "deep")}
	if os.Geteuid() == 0 {
		foreign := filepath.Join(base, "foreign")
		if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, foreign)
	}
	for _, dir := range dirs {
		if s, err := Listen(filepath.Join(dir, "ctl.sock"), nil); err == nil {
			s.ln.Close()
			t.Errorf("Listen in %s succeeded, want refusal", dir)
		}
	}
}

// A daemon that started later at the same path must keep its socket.
func TestRunLeavesSuccessorsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctl.sock")
	s, err := Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("successor"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "successor" {
		t.Errorf("successor's file: %q, %v", b, err)
	}
}

func TestDoDeadline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deaf.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := Do(ctx, path, "status", io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do with a deaf server = %v, want deadline exceeded", err)
	}
}
