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
