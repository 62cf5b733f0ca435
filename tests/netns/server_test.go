// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServer lets stock chronyd follow foliotd.
func TestServer(t *testing.T) {
	for _, tt := range []struct {
		name string
		v6   bool
		opts string
	}{
		{name: "IPv4"},
		{name: "IPv6", v6: true},
		{name: "xleave", opts: "xleave"},
		{name: "key SHA1", opts: "key 1"},
		{name: "key AES128", opts: "key 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			addr := b.link.B4
			if tt.v6 {
				addr = b.link.B6
			}
			path, err := b.lab.Write(keys, "keys")
			b.must(err)
			b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nkeyfile "+path+"\n")
			d := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s %s\nkeyfile %s\n", addr, fast, tt.opts, path))
			b.chronySelected(d, addr, 12*time.Second)
			all := b.measured(d, addr, 8, 15*time.Second)
			b.accurate(all)
			last := all[len(all)-1]
			if last.Interleaved != (tt.opts == "xleave") {
				t.Errorf("interleaved is %v with options %q", last.Interleaved, tt.opts)
			}
			if last.Stratum != 5 {
				t.Errorf("stratum is %d, want 5", last.Stratum)
			}
		})
	}
}

// TestDenied proves that access is refused where it is not allowed.
func TestDenied(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.foliotd(b.b, "server", "allow fd77::/16\nlocal stratum 5\n")
	d := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\nserver %s %s\n", b.link.B4, fast, b.link.B6, fast))
	b.chronySelected(d, b.link.B6, 12*time.Second)
	b.measured(d, b.link.B6, 6, 10*time.Second)
	for _, m := range Measurements(d.LogFile("measurements")) {
		if m.Source == b.link.B4.String() {
			t.Errorf("a client that is not allowed got an answer: %+v", m)
		}
	}
}

// TestPeers joins foliotd and chronyd as peers, each in turn the one with the
// reference.
func TestPeers(t *testing.T) {
	for _, tt := range []struct {
		name, foliotd, chronyd, opts string
		edition                      func() (Chrony, error)
	}{
		{"foliotd leads", "local stratum 4\n", "", "", installed},
		{"chronyd leads", "", "local stratum 4\n", "", installed},
		{"chronyd leads, xleave", "", "local stratum 4\n", "xleave", installed},
		{"foliotd leads, key", "local stratum 4\n", "", "key 1", installed},
		{"chronyd leads, key SHA512", "", "local stratum 4\n", "key 3", installed},
		{"foliotd leads, newer chronyd, xleave", "local stratum 4\n", "", "xleave", Newer},
		{"newer chronyd leads, key", "", "local stratum 4\n", "key 2", Newer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			chrony, err := tt.edition()
			able(t, err)
			path, err := b.lab.Write(keys, "keys")
			b.must(err)
			more := "minpoll 0 maxpoll 0 " + tt.opts + "\nallow all\nkeyfile " + path + "\n"
			f := b.foliotd(b.a, "foliotd", fmt.Sprintf("peer %s %s", b.link.B4, more)+tt.foliotd)
			c := b.chronydOf(chrony, b.b, "chronyd", fmt.Sprintf("peer %s %s", b.link.A4, more)+tt.chronyd)
			if tt.chronyd != "" {
				b.selected(f, b.link.B4, 20*time.Second)
				b.accurate(b.measured(f, b.link.B4, 6, 15*time.Second))
				return
			}
			b.chronySelected(c, b.link.A4, 20*time.Second)
			b.accurate(b.measured(c, b.link.A4, 6, 15*time.Second))
		})
	}
}

// TestFlood sends a server many datagrams of nonsense; it must go on serving,
// and keep quiet about them.
func TestFlood(t *testing.T) {
	b := newBench(t)
	server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\n")
	client := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	b.chronySelected(client, b.link.B4, 12*time.Second)
	quiet := strings.Count(server.Log(), "\n")

	const datagrams = 100_000
	conn, err := b.a.dial(netip.AddrPortFrom(b.link.B4, 123))
	b.must(err)
	defer conn.Close()
	sent := flood(conn, datagrams)
	if sent < datagrams/2 {
		t.Fatalf("only %d of %d datagrams could be sent", sent, datagrams)
	}

	if !server.Running() {
		t.Fatal("the server died of the flood")
	}
	before := len(b.measured(client, b.link.B4, 1, time.Second))
	b.accurate(b.measured(client, b.link.B4, before+5, 15*time.Second)[before:])
	if extra := strings.Count(server.Log(), "\n") - quiet; extra > 3 {
		t.Errorf("%d messages during a flood of %d datagrams, want at most 3", extra, sent)
	}
	rss, err := Status(server.PID(), "VmRSS")
	b.must(err)
	t.Logf("%d datagrams sent, afterwards VmRSS is %s", sent, rss)
}

// flood sends n datagrams: half are random octets of random length, half look
// like NTP packets of all modes and versions with random content.
func flood(conn net.Conn, n int) (sent int) {
	r := rand.New(rand.NewPCG(1, 2))
	var b [200]byte
	for range n {
		size := r.IntN(len(b) + 1)
		for i := 0; i < size; i += 8 {
			v := r.Uint64()
			for k := i; k < min(i+8, size); k++ {
				b[k] = byte(v >> (8 * (k - i)))
			}
		}
		if r.IntN(2) == 0 {
			size = 48 + 4*r.IntN(20)
			b[0] = byte(r.IntN(4))<<6 | byte(1+r.IntN(4))<<3 | byte(r.IntN(8))
		}
		if _, err := conn.Write(b[:size]); err == nil {
			sent++
		} else if !errors.Is(err, syscall.ECONNREFUSED) {
			time.Sleep(time.Millisecond) // buffers are full
		}
	}
	return sent
}

// dial returns a connected UDP socket in the namespace.
func (s *Space) dial(to netip.AddrPort) (conn net.Conn, err error) {
	err = s.Inside(func() error {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	return conn, err
}

// listen returns a UDP socket bound in the namespace.
func (s *Space) listen(at netip.AddrPort) (conn *net.UDPConn, err error) {
	err = s.Inside(func() error {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	return conn, err
}
