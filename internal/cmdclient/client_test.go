// SPDX-License-Identifier: Apache-2.0

package cmdclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"foliot/internal/cmdmon"
)

// echo answers each request on conn with how many sources there are: n.
func echo(t *testing.T, conn net.PacketConn, n uint32) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1000)
		for {
			_, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var h cmdmon.RequestHeader
			h.Decode(b)
			head := cmdmon.ReplyHeader{Command: h.Command, Sequence: h.Sequence}
			conn.WriteTo(cmdmon.AppendReply(nil, head, &cmdmon.NSourcesReply{N: n}), from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

func literal(_ context.Context, host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	return nil
}

func ask(t *testing.T, c *Client) uint32 {
	t.Helper()
	_, reply, err := c.Ask(t.Context(), cmdmon.NSources, nil)
	var m cmdmon.NSourcesReply
	if err != nil || !cmdmon.DecodeReply(reply, &m) {
		t.Fatalf("Ask: %x, %v", reply, err)
	}
	return m.N
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d.sock")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, 7)
	c, err := Open(t.Context(), []string{filepath.Join(dir, "none.sock"), path, "127.0.0.1"}, 1, literal)
	if err != nil {
		t.Fatal(err)
	}
	ours := c.conn.LocalAddr().String()
	modes := map[string]os.FileMode{ours: 0o666, filepath.Dir(ours): 0o711, filepath.Dir(filepath.Dir(ours)): 0o711}
	for p, want := range modes {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", p, info, err, want)
		}
	}
	if n := ask(t, c); n != 7 {
		t.Errorf("%d sources, want 7", n)
	}
	if n := ask(t, c); n != 7 {
		t.Errorf("%d sources the second time, want 7", n)
	}
	c.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A host that does not answer is left for the next one.
func TestFallback(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := uint16(silent.LocalAddr().(*net.UDPAddr).Port)
	path := filepath.Join(t.TempDir(), "d.sock")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, 3)
	c, err := Open(t.Context(), []string{"nothing", "127.0.0.1", path}, port, literal)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Timeout, c.Retries = 20*time.Millisecond, 1
	begin := time.Now()
	if n := ask(t, c); n != 3 {
		t.Errorf("%d sources, want 3", n)
	}
	if took := time.Since(begin); took < 60*time.Millisecond {
		t.Errorf("the next host was asked after %v, want 20 + 40 ms", took)
	}
	for i := range 2 {
		b := make([]byte, 100)
		silent.SetReadDeadline(time.Now().Add(time.Second))
		n, _, err := silent.ReadFrom(b)
		var h cmdmon.RequestHeader
		if err != nil || n != cmdmon.RequestLen(cmdmon.NSources) || !h.Decode(b) || int(h.Attempt) != i {
			t.Errorf("attempt %d: %d octets, %+v, %v", i, n, h, err)
		}
	}
}

func TestNobody(t *testing.T) {
	if _, err := Open(t.Context(), []string{"", "/nonexistent/sock", "name"}, 1, literal); !errors.Is(err, ErrNoHost) {
		t.Errorf("Open: %v, want ErrNoHost", err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(conn.LocalAddr().(*net.UDPAddr).Port)
	conn.Close()
	c, err := Open(t.Context(), []string{"127.0.0.1"}, port, literal)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, _, err := c.Ask(t.Context(), cmdmon.Tracking, nil); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("Ask: %v, want ErrNoAnswer", err)
		}
	}
}

func TestInterrupt(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, err := Open(ctx, []string{"127.0.0.1"}, uint16(silent.LocalAddr().(*net.UDPAddr).Port), literal)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Timeout = time.Minute
	if _, _, err := c.Ask(ctx, cmdmon.Tracking, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask: %v, want the end of the context", err)
	}
}
