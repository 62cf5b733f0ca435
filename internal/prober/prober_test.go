// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/probe"
	"foliot/internal/resolve"
)

// answer serves time at a port of the loopback interface, without allocating, until
// the test ends.
func answer(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var p ntp.Packet
			if !p.Decode(buf[:n]) {
				continue
			}
			now := ntp.FromInstant(clock.At[clock.Realtime](time.Now().UnixNano()))
			a := ntp.Packet{Version: 4, Mode: ntp.ModeServer, Stratum: 2, Precision: -25, RefID: 1, Origin: p.Transmit, Receive: now, Transmit: now}
			a.Encode(buf)
			conn.WriteToUDPAddrPort(buf[:ntp.HeaderLen], from)
		}
	}()
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(conn.LocalAddr().(*net.UDPAddr).Port))
}

// TestRun: a host that answers, the same twice, one that refuses, one without a
// route, and an end by time.
func TestRun(t *testing.T) {
	at := answer(t)
	specs := []probe.Spec{{Addr: at}, {Addr: at}, {Addr: netip.MustParseAddrPort("127.0.0.1:1")}, {Addr: netip.MustParseAddrPort("[2001:db8::1%lo]:123")}}
	p, err := New(Config{Fleet: probe.Config{Count: 3, Series: 16, Asymmetry: 1}, Duration: 20 * time.Second}, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := p.Ended.Mono.Sub(p.Started.Mono).Duration(); d > 15*time.Second {
		t.Errorf("three requests a second apart took %s", d)
	}
	for i, want := range []probe.Reason{probe.Measured, probe.Measured, probe.WasRefused} {
		r := p.Fleet.Result(i, clock.Correction{}.Served(p.Ended.Wall))
		if r.Reason != want {
			t.Errorf("host %d: %s, want %s", i, r.Reason, want)
		}
		if want == probe.Measured && (math.Abs(float64(r.Offset)) > r.Bound || r.Answered != 3) {
			t.Errorf("host %d: %g within %g, %d answers", i, r.Offset, r.Bound, r.Answered)
		}
	}
	if r := p.Fleet.Result(3, clock.Served{}); r.Samples > 0 {
		t.Errorf("a host that does not exist: %+v", r)
	}
}

// TestInterrupt: the end of the context ends the run soon, and what was measured
// stays.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := New(Config{Fleet: probe.Config{Series: 16, Asymmetry: 1}}, []probe.Spec{{Addr: answer(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	time.AfterFunc(1500*time.Millisecond, cancel)
	begin := time.Now()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
	if r := p.Fleet.Result(0, clock.Correction{}.Served(p.Ended.Wall)); r.Reason != probe.Measured {
		t.Errorf("%s", r.Reason)
	}
}

// TestNoAllocs: once every host was asked, a probe allocates nothing: sending,
// stamps and answers included. What little the runtime itself allocates is far
// less than one object a probe.
func TestNoAllocs(t *testing.T) {
	at := answer(t)
	specs := make([]probe.Spec, 200)
	for i := range specs {
		specs[i].Addr = at
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var before, after runtime.MemStats
	var sent uint64
	total := func(f *probe.Fleet) (n uint64) {
		for i := range f.Len() {
			n += f.Result(i, clock.Served{}).Sent
		}
		return n
	}
	looks := 0
	p, err := New(Config{Fleet: probe.Config{Series: 16, Asymmetry: 1}, Every: time.Second, Duration: 10 * time.Second, Look: func(f *probe.Fleet, _ clock.Now) {
		switch looks++; looks {
		case 4:
			sent = total(f)
			runtime.ReadMemStats(&before)
		case 7:
			runtime.ReadMemStats(&after)
			sent = total(f) - sent
			cancel()
		}
	}}, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if looks < 7 || sent < 100 {
		t.Skipf("the machine is too busy: %d looks, %d probes", looks, sent)
	}
	if n := float64(after.Mallocs-before.Mallocs) / float64(sent); n > 0.1 && !raceEnabled {
		t.Errorf("%.2f allocations a probe, in %d", n, sent)
	}
}

func TestAddresses(t *testing.T) {
	names := []string{"127.0.0.1", "::1", "::ffff:192.0.2.1", "127.0.0.1", "localhost"}
	list := Addresses(t.Context(), names, resolve.IPv4)
	if list[0].Addr != netip.MustParseAddr("127.0.0.1") || list[3].Addr != list[0].Addr || list[2].Addr != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%v", list)
	}
	if err := list[1].Err; err == nil || !strings.Contains(err.Error(), "IPv6 addresses only") {
		t.Errorf("an IPv6 address among IPv4: %v", err)
	}
	if list := Addresses(t.Context(), []string{"127.0.0.1"}, resolve.IPv6); list[0].Err == nil {
		t.Error("an IPv4 address among IPv6")
	}
	many := make([]string, 2*resolve.Queue)
	for i := range many {
		many[i] = "localhost"
	}
	for i, l := range Addresses(t.Context(), many, resolve.Any) {
		if l.Addr != list[4].Addr && l.Err == nil && !l.Addr.IsLoopback() {
			t.Fatalf("name %d: %v", i, l)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l := Addresses(ctx, []string{"nosuch.invalid"}, resolve.Any); l[0].Err == nil {
		t.Error("a look-up after the end")
	}
}

func TestFaults(t *testing.T) {
	for err, want := range map[error]probe.Fault{
		syscall.ECONNREFUSED: probe.Refused, syscall.ENETUNREACH: probe.Unreachable, syscall.EAFNOSUPPORT: probe.Unreachable,
		syscall.EPERM: probe.Forbidden, syscall.EMFILE: probe.NoSocket, errors.New("other"): probe.Unreachable,
	} {
		if got := faultOf(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
