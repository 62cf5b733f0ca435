// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/fastpath"
	"foliot/internal/links"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/state"
	"foliot/internal/traffic"
)

var ethernet = net.HardwareAddr{2, 0, 0, 0, 0, 1}

// TestModeAt: which interfaces programs are attached to, and how.
func TestModeAt(t *testing.T) {
	serve := func(list ...config.XDPServe) config.Kernel { return config.Kernel{Serve: list} }
	up := links.Link{Name: "e0", Index: 9999, Up: true, MAC: ethernet}
	down, tunnel, known := up, up, up
	down.Up = false
	tunnel.MAC = nil
	known.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	for _, tt := range []struct {
		name  string
		iface links.Link
		want  wanted
		mode  fastpath.Mode
		ok    bool
	}{
		{"nothing asked for, no address", up, wanted{port: 123}, fastpath.Watch, false},
		{"named", up, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "e0"})}, fastpath.Auto, true},
		{"native", up, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "e0", Mode: config.XDPNative})}, fastpath.Native, true},
		{"generic", up, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "e0", Mode: config.XDPGeneric})}, fastpath.Generic, true},
		{"another", up, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "e1"})}, fastpath.Watch, false},
		{"another device is served at", up, wanted{port: 123, device: "e1", kernel: serve(config.XDPServe{Interface: "e0"})}, fastpath.Watch, false},
		{"another port", up, wanted{port: 1123, kernel: serve(config.XDPServe{Interface: "e0"})}, fastpath.Watch, false},
		{"restricted", up, wanted{port: 123, restrict: true, kernel: serve(config.XDPServe{Interface: "e0"})}, fastpath.Watch, false},
		{"down", down, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "e0"})}, fastpath.Auto, false},
		{"no Ethernet", tunnel, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "e0"})}, fastpath.Auto, false},
		{"watched", known, wanted{port: 123}, fastpath.Watch, true},
		{"auto", known, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "auto"})}, fastpath.Native, true},
		{"auto wants an address", up, wanted{port: 123, kernel: serve(config.XDPServe{Interface: "auto"})}, fastpath.Watch, false},
	} {
		if mode, ok := modeAt(&tt.iface, &tt.want); mode != tt.mode || ok != tt.ok {
			t.Errorf("%s: %v, %v, want %v, %v", tt.name, mode, ok, tt.mode, tt.ok)
		}
	}
	lo := links.Link{Name: "lo", Index: 1, Up: true, Loopback: true, Addrs: known.Addrs}
	w := wanted{port: 123, kernel: serve(config.XDPServe{Interface: "auto"})}
	if mode, ok := modeAt(&lo, &w); mode != fastpath.Watch || !ok {
		t.Errorf("loopback with auto: %v, %v, want it watched", mode, ok)
	}
}

// TestObstacles: why an interface that is named cannot be served at.
func TestObstacles(t *testing.T) {
	seen := map[string]*links.Link{"e0": {Name: "e0", Up: true, MAC: ethernet}, "e2": {Name: "e2", MAC: ethernet}}
	for _, tt := range []struct {
		name string
		want wanted
		part string
	}{
		{"e0", wanted{port: 123}, ""},
		{"e1", wanted{port: 123}, "no such interface"},
		{"e2", wanted{port: 123}, "down"},
		{"e0", wanted{port: 0}, "closed"},
		{"e0", wanted{port: 124}, "port 123 only"},
		{"e0", wanted{port: 123, restrict: true}, "restrict"},
		{"e0", wanted{port: 123, device: "e1"}, "binddevice"},
	} {
		got := obstacle(tt.name, &tt.want, seen)
		if (got == "") != (tt.part == "") || !strings.Contains(got, tt.part) {
			t.Errorf("%s, %+v: %q, want %q", tt.name, tt.want, got, tt.part)
		}
	}
	var log bytes.Buffer
	k := &Keeper{log: slog.New(slog.NewTextHandler(&log, nil)), places: make(map[string]*place)}
	w := wanted{port: 124, kernel: config.Kernel{Serve: []config.XDPServe{{Interface: "e0"}, {Interface: "auto"}}}}
	for range 3 {
		k.missing(&w, seen)
	}
	if n := strings.Count(log.String(), "port 123 only"); n != 1 || k.places["e0"] == nil || len(k.places) != 1 {
		t.Errorf("%d messages, places %v:\n%s", n, k.places, log.String())
	}
}

func TestBound(t *testing.T) {
	addr := netip.MustParseAddr
	for _, tt := range []struct {
		sockets []netip.Addr
		a       netip.Addr
		want    bool
	}{
		{nil, addr("192.0.2.1"), false},
		{[]netip.Addr{addr("0.0.0.0")}, addr("192.0.2.1"), true},
		{[]netip.Addr{addr("0.0.0.0")}, addr("2001:db8::1"), false},
		{[]netip.Addr{addr("::")}, addr("2001:db8::1"), true},
		{[]netip.Addr{addr("192.0.2.1")}, addr("192.0.2.1"), true},
		{[]netip.Addr{addr("192.0.2.1")}, addr("192.0.2.2"), false},
		{[]netip.Addr{addr("fe80::1%e0")}, addr("fe80::1"), true},
	} {
		if got := bound(tt.sockets, tt.a); got != tt.want {
			t.Errorf("sockets %v, address %v: %v", tt.sockets, tt.a, got)
		}
	}
	list := []links.Link{
		{Index: 1, Loopback: true, Addrs: []netip.Addr{addr("127.0.0.1"), addr("192.0.2.9")}},
		{Index: 2, Addrs: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}},
	}
	w := wanted{port: 123, addrs: []netip.Addr{addr("0.0.0.0")}}
	want := []fastpath.Own{{Addr: addr("127.0.0.1"), Interface: 1}, {Addr: addr("192.0.2.9")}, {Addr: addr("192.0.2.1"), Interface: 2}}
	if got := own(list, &w); !slices.Equal(got, want) {
		t.Errorf("own addresses %v, want %v", got, want)
	}
	for _, none := range []wanted{{port: 1123, addrs: w.addrs}, {port: 123, addrs: w.addrs, restrict: true}, {port: 123}} {
		if got := own(list, &none); got != nil {
			t.Errorf("%+v: own addresses %v", none, got)
		}
	}
}

// TestCalibrator: the lead is learned, and a program that knows less than the thread
// is turned off until it knows more.
func TestCalibrator(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c calibrator
	feed := func(n int, program, thread clock.Interval) {
		for range n {
			late := 2000 + clock.Interval(r.NormFloat64()*float64(program))
			c.learn(late, clock.Interval(r.NormFloat64()*float64(thread)))
		}
	}
	feed(enough/2, 20_000, 100)
	if !c.helps() {
		t.Error("turned off after few answers")
	}
	c = calibrator{}
	feed(400, 200, 2000)
	if v := c.value(); v < 1800 || v > 2200 {
		t.Errorf("lead %d ns, want about 2000", v)
	}
	if !c.helps() {
		t.Error("ten times better does not help")
	}
	feed(400, 20_000, 2000)
	if c.helps() {
		t.Error("ten times worse helps")
	}
	feed(400, 200, 2000)
	if !c.helps() {
		t.Error("not turned on again")
	}
}

// TestNothing: what is not there does nothing, and says why.
func TestNothing(t *testing.T) {
	k := New(Config{Kernel: config.Kernel{Load: config.LoadOff}, Log: slog.New(slog.DiscardHandler)})
	if k != nil {
		t.Fatal("a keeper of nothing")
	}
	k.Publish(&responder.Snapshot{})
	k.Enact(responder.Policy{})
	k.At(nil, "", nil)
	k.Configure(config.Kernel{}, 123, 0)
	k.Run(t.Context())
	k.Close()
	s := clock.Stamp{Kind: clock.StampKernel}
	if got := k.Arrived(netip.Addr{}, 0, 0, s); got != s || k.Loaded() || k.Serving() {
		t.Error("it did something")
	}
	var p state.Programs
	var c responder.Counters
	k.Look(&p, &c)
	var out strings.Builder
	Report(&p, &out)
	if p.Wanted || out.String() != "eBPF programs   : none: turned off (ebpf off)\n" {
		t.Errorf("%+v: %s", p, out.String())
	}
	refused := &Keeper{refused: errors.New("no rights")}
	refused.Look(&p, &c)
	if !p.Wanted || p.Loaded || p.Trouble != "no rights" {
		t.Errorf("%+v", p)
	}
}

// TestReport: every count that is not 0 is in both reports.
func TestReport(t *testing.T) {
	p := state.Programs{Wanted: true, Loaded: true, Serving: true, OneStepWanted: true,
		Features: []state.Feature{{Name: "tc links (tcx)", Since: "6.6"}},
		Interfaces: []state.ProgramAt{
			{Name: "eth0", Mode: "native", Asked: true, Serves: true}, {Name: "eth1", Mode: "watch", Asked: true, Trouble: "held"},
		}}
	in := &p.Interfaces[0].In
	in.Verdicts[1][traffic.Answered], in.Verdicts[0][traffic.Limited] = 1001, 1002
	in.Kinds[3][ntp.ModeClient], in.Sizes[1], in.Octets = 1003, 1004, 1005
	p.Residence.Buckets[12], p.Residence.Sum = 1006, 1006*3000
	var text, doc bytes.Buffer
	Report(&p, &text)
	if err := JSON(&p, &doc); err != nil || !json.Valid(doc.Bytes()) {
		t.Fatalf("%v: %s", err, doc.String())
	}
	for _, want := range []string{"answered in the kernel", "off, since it is no better", "tc links (tcx) (Linux 6.6", "1006 measured, mean 3µs, half below 4.096µs",
		"answer 1001", "limited 1002", "v3/client 1003", "48 1004", "eth1: held", "failed"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for _, want := range []string{`"answer":[0,1001]`, `"limited":[1002,0]`, `"v3/client":1003`, `"octets":1005`, `"trouble":"held"`, `"serving":true`} {
		if !strings.Contains(doc.String(), want) {
			t.Errorf("no %s in %s", want, doc.String())
		}
	}
	Report(&state.Programs{Loaded: true}, io.Discard)
}

// TestServed: requests that ended in the kernel are counted as the responder does.
func TestServed(t *testing.T) {
	var f fastpath.Interface
	for v := range traffic.Verdicts {
		f.In.Verdicts[0][v], f.In.Verdicts[1][v] = uint64(100+v), uint64(200+v)
	}
	f.In.Answers[3], f.In.Answers[4], f.In.Answers[7] = 5, 6, 7
	var c responder.Counters
	served(&c, &f)
	for from, to := range map[traffic.Verdict]responder.Verdict{
		traffic.Answered: responder.Answer, traffic.Kissed: responder.Kissed, traffic.Denied: responder.Denied, traffic.Limited: responder.Limited,
	} {
		if c.Verdicts[to] != uint64(300+2*int(from)) || c.V6[to] != uint64(200+int(from)) {
			t.Errorf("%v: %d, %d of IPv6", to, c.Verdicts[to], c.V6[to])
		}
	}
	if c.Versions != [ntp.Version]uint64{0, 0, 5, 6} {
		t.Errorf("versions %v", c.Versions)
	}
}
