// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRandomPorts(t *testing.T) {
	seen := map[uint16]bool{}
	for range 20 {
		c, err := OpenClient(netip.AddrPortFrom(loopback4, 9), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		at, err := c.LocalAddr()
		if err != nil {
			t.Fatal(err)
		}
		if e := ephemeralPorts(); at.Port() < e.first || at.Port() > e.last || seen[at.Port()] {
			t.Errorf("client port %d: want a new one in %d..%d", at.Port(), e.first, e.last)
		}
		seen[at.Port()] = true
	}
}

func TestOpenErrors(t *testing.T) {
	tests := []struct {
		name string
		open func() (*Socket, error)
	}{
		{"no address", func() (*Socket, error) { return OpenServer(Options{}) }},
		{"unknown device", func() (*Socket, error) { return OpenServer(Options{Local: loopback4, Device: "nonesuch0"}) }},
		{"foreign address", func() (*Socket, error) { return OpenServer(Options{Local: netip.MustParseAddr("192.0.2.77")}) }},
		{"unknown zone", func() (*Socket, error) {
			return OpenClient(netip.MustParseAddrPort("[fe80::1%nonesuch0]:123"), Options{})
		}},
	}
	for _, tt := range tests {
		if s, err := tt.open(); err == nil {
			s.Close()
			t.Errorf("%s: no error", tt.name)
		}
	}
	s, err := OpenServer(Options{Local: netip.MustParseAddr("192.0.2.77"), FreeBind: true, RecvBuffer: 1 << 18})
	if err != nil {
		t.Fatalf("OpenServer with FreeBind: %v", err)
	}
	defer s.Close()
	if size, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || size < 1<<18 {
		t.Logf("receive buffer %d octets, %v: limited by net.core.rmem_max", size, err)
	}
}

func TestServersShareAPort(t *testing.T) {
	first, err := OpenServer(Options{Local: loopback4, Port: freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	at, err := first.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenServer(Options{Local: loopback4, Port: at.Port()})
	if err != nil {
		t.Fatalf("second server at %v: %v", at, err)
	}
	second.Close()
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	s, err := OpenServer(Options{Local: loopback4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at, err := s.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	return at.Port()
}

func TestParseEphemeral(t *testing.T) {
	tests := []struct {
		limits, reserved string
		first, last      uint16
		refused          []uint16
	}{
		{"32768\t60999\n", "\n", 32768, 60999, nil},
		{"1024 1030", "1025,1027-1028\n", 1024, 1030, []uint16{1025, 1027, 1028}},
		{"1 65535", "65535-65535", 1, 65535, []uint16{65535}},
		{"60999 32768", "x,5-,-", 32768, 60999, nil},
		{"", "", 32768, 60999, nil},
	}
	for _, tt := range tests {
		e := parseEphemeral(tt.limits, tt.reserved)
		if e.first != tt.first || e.last != tt.last || len(e.reserved) != len(tt.refused) {
			t.Errorf("parseEphemeral(%q, %q) = %+v, want %d..%d without %v", tt.limits, tt.reserved, e, tt.first, tt.last, tt.refused)
		}
		for _, p := range tt.refused {
			if got := e.choose(uint64(p - e.first)); got != 0 {
				t.Errorf("choose of reserved port %d = %d, want 0", p, got)
			}
		}
		if got := e.choose(uint64(e.last-e.first) + 1); got != e.first && !e.reserved[e.first] {
			t.Errorf("choose(one past the range) = %d, want %d", got, e.first)
		}
	}
}

func FuzzEphemeral(f *testing.F) {
	f.Add("32768\t60999\n", "8080,9148-9150\n", uint64(5))
	f.Add("1 1", "1", uint64(1<<63))
	f.Fuzz(func(t *testing.T, limits, reserved string, r uint64) {
		e := parseEphemeral(limits, reserved)
		if e.first == 0 || e.first > e.last {
			t.Fatalf("parseEphemeral(%q, %q) = %d..%d", limits, reserved, e.first, e.last)
		}
		if p := e.choose(r); p != 0 && (p < e.first || p > e.last || e.reserved[p]) {
			t.Errorf("choose(%d) = %d of %d..%d", r, p, e.first, e.last)
		}
	})
}

// TestClientsShareAPort has two clients and a server on one port: each must get
// what is meant for it and nothing else, whichever was opened first.
func TestClientsShareAPort(t *testing.T) {
	for _, serverFirst := range []bool{true, false} {
		port := freePort(t)
		var server *Socket
		openShared := func() {
			s, err := OpenServer(Options{Local: netip.IPv4Unspecified(), Port: port})
			if err != nil {
				t.Fatalf("server first %v: %v", serverFirst, err)
			}
			server = s
		}
		if serverFirst {
			openShared()
		}
		var remotes, clients [2]*Socket
		for i := range clients {
			remotes[i] = mustServer(t)
			at, err := remotes[i].LocalAddr()
			if err != nil {
				t.Fatal(err)
			}
			if clients[i], err = OpenClient(at, Options{Port: port}); err != nil {
				t.Fatalf("server first %v: client %d: %v", serverFirst, i, err)
			}
			defer clients[i].Close()
		}
		if !serverFirst {
			openShared()
		}
		defer server.Close()
		stranger := mustServer(t)
		to := netip.AddrPortFrom(loopback4, port)
		for _, c := range []struct {
			name     string
			from, at *Socket
		}{{"stranger", stranger, server}, {"first remote", remotes[0], clients[0]}, {"second remote", remotes[1], clients[1]}} {
			if err := c.from.Send(&Datagram{To: to, Data: []byte(c.name)}); err != nil {
				t.Fatal(err)
			}
		}
		for name, s := range map[string]*Socket{"stranger": server, "first remote": clients[0], "second remote": clients[1]} {
			msgs := NewMessages(4, 64)
			n, err := s.Recv(msgs)
			if err != nil || n != 1 || string(msgs[0].Data) != name {
				t.Errorf("server first %v: socket for %q received %d datagrams, first %q, %v", serverFirst, name, n, msgs[0].Data, err)
			}
		}
	}
}

func mustServer(t *testing.T) *Socket {
	t.Helper()
	s, err := OpenServer(Options{Local: loopback4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestMissing(t *testing.T) {
	if got := (Features{Stamps: true, OwnIDs: true, RxFilter: true, Nanowait: true}).Missing(); len(got) != 0 {
		t.Errorf("Missing of a kernel with everything = %v, want none", got)
	}
	list := Features{}.Missing()
	if len(list) != 4 {
		t.Errorf("Missing of a kernel with nothing = %v, want 4", list)
	}
	for _, m := range list {
		if m.Cost == "" || m.MinKernel == "" {
			t.Errorf("Missing: %+v lacks its cost or kernel", *m)
		}
	}
}
