// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	tests := []struct {
		addr string
		host Host
		ok   bool
		back bool // the host has this address
	}{
		{"192.168.123.1", Host{0, 0}, true, true},
		{"192.168.123.2", Host{0, 1}, true, true},
		{"192.168.124.10", Host{1, 9}, true, true},
		{"192.168.255.254", Host{132, 253}, true, true},
		{"192.168.123.255", Host{0, everyNode}, true, false},
		{"192.168.125.255", Host{2, everyNode}, true, false},
		{"::ffff:192.168.123.7", Host{0, 6}, true, false},
		{"fc00::123:1", Host{0, 0}, true, true},
		{"fc00::123:a", Host{0, 9}, true, true},
		{"fc00::123:10c", Host{1, 11}, true, true},
		{"fc00::123:84fe", Host{132, 253}, true, true},
		{"192.168.122.1", Host{}, false, false},
		{"192.168.123.0", Host{}, false, false},
		{"192.169.123.1", Host{}, false, false},
		{"10.0.0.1", Host{}, false, false},
		{"fc00::123:0", Host{}, false, false},
		{"fc00::123:1ff", Host{}, false, false},
		{"fc00::124:1", Host{}, false, false},
		{"fc01::123:1", Host{}, false, false},
	}
	for _, tt := range tests {
		a := netip.MustParseAddr(tt.addr)
		h, ok := hostOf(a)
		if h != tt.host || ok != tt.ok {
			t.Errorf("hostOf(%s) = %v, %v, want %v, %v", a, h, ok, tt.host, tt.ok)
		}
		if got := h.addr(a.Is6()); tt.back && got != a {
			t.Errorf("%v has address %s, want %s", h, got, a)
		}
	}
	if h, ok := hostOf(netip.Addr{}); ok {
		t.Errorf("no address is %v", h)
	}
	for _, h := range []Host{{0, everyNode}, {0, 254}, {133, 0}} {
		if a := h.addr(false); a.IsValid() {
			t.Errorf("%v has address %s, want none", h, a)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name string
		ipv6 bool
		want string
	}{
		{"node1.net1.clk", false, "192.168.123.1"},
		{"node12.net2.clk", false, "192.168.124.12"},
		{"node12.net2.clk.", false, "192.168.124.12"},
		{"node12.net2.clk", true, "fc00::123:10c"},
		{"nodes-1-2-3.net1.clk", false, "192.168.123.3 192.168.123.2 192.168.123.1"},
		{"nodes-7.net1.clk", false, "192.168.123.7"},
		{"nodes-1-2.net1.clk", true, "fc00::123:2 fc00::123:1"},
		{"192.168.123.9", true, "192.168.123.9"},
		{"fc00::123:1", false, "fc00::123:1"},
		{"2001:db8::1", false, "2001:db8::1"},
		{"node0.net1.clk", false, ""},
		{"node1.net0.clk", false, ""},
		{"node255.net1.clk", false, ""},
		{"node1.net1", false, ""},
		{"node1.clk", false, ""},
		{"node1-2.net1.clk", false, ""},
		{"nodes-1--2.net1.clk", false, ""},
		{"nodes-.net1.clk", false, ""},
		{"host1.net1.clk", false, ""},
		{"time.example.org", false, ""},
		{"", false, ""},
	}
	for _, tt := range tests {
		got := strings.Trim(fmt.Sprint(lookup(tt.name, tt.ipv6)), "[]")
		if got != tt.want {
			t.Errorf("lookup(%q, %v) = %q, want %q", tt.name, tt.ipv6, got, tt.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	plain := environment{node: 2, socket: socketPath, patience: 10e9, start: startOf2010, stamps: true, multiply: 1}
	tests := []struct {
		name string
		vars string
		want func(e *environment) // changes plain
		bad  string               // part of the error
	}{
		{"defaults", "NODE=3", func(*environment) {}, ""},
		{"socket", "NODE=3 SOCKET=/tmp/x CONNECT_TIMEOUT=2",
			func(e *environment) { e.socket, e.patience = "/tmp/x", 2e9 }, ""},
		{"start", "NODE=3 START_DATE=1700000000", func(e *environment) { e.start = 1700000000 }, ""},
		{"no stamps", "NODE=3 TIMESTAMPING=0", func(e *environment) { e.stamps = false }, ""},
		{"hardware stamps", "NODE=3 TIMESTAMPING=2", func(*environment) {}, ""},
		{"multiply", "NODE=3 RECV_MULTIPLY=4", func(e *environment) { e.multiply = 4 }, ""},
		{"ipv6", "NODE=3 IP_FAMILY=6", func(e *environment) { e.ipv6 = true }, ""},
		{"seed", "NODE=3 RANDOM_SEED=100", func(e *environment) { e.seed, e.seeded = 103, true }, ""},
		{"no node", "", nil, "CLKNETSIM_NODE is 0"},
		{"high node", "NODE=255", nil, "CLKNETSIM_NODE is 255"},
		{"no number", "NODE=x", nil, "CLKNETSIM_NODE"},
		{"no stamping", "NODE=1 TIMESTAMPING=3", nil, "CLKNETSIM_TIMESTAMPING is 3"},
		{"late start", "NODE=1 START_DATE=9000000001", nil, "CLKNETSIM_START_DATE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vars := map[string]string{}
			for _, v := range strings.Fields(tt.vars) {
				name, value, _ := strings.Cut(v, "=")
				vars["CLKNETSIM_"+name] = value
			}
			got, err := readEnvironment(func(name string) string { return vars[name] })
			if tt.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tt.bad) {
					t.Errorf("%s: error %v, want one with %q", tt.vars, err, tt.bad)
				}
				return
			}
			want := plain
			tt.want(&want)
			if err != nil || got != want {
				t.Errorf("%s: got %+v, %v, want %+v", tt.vars, got, err, want)
			}
		})
	}
}

func TestActive(t *testing.T) {
	for value, want := range map[string]bool{"": false, "1": true} {
		t.Setenv(envNode, value)
		if got := Active(); got != want {
			t.Errorf("%s=%q: Active() = %v, want %v", envNode, value, got, want)
		}
	}
}
