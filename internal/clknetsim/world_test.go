// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/setup"
)

// engineConfig returns the configuration of a client of the names.
func engineConfig(t *testing.T, change func(c *config.Config), names ...string) engine.Config {
	t.Helper()
	c := config.Default()
	c.Clock.StepThreshold, c.Clock.StepLimit = 0.5, 3
	for _, n := range names {
		s := config.DefaultSource(config.KindServer, n)
		s.IBurst, s.MinPoll, s.MaxPoll = true, 3, 4
		c.Sources = append(c.Sources, s)
	}
	if change != nil {
		change(c)
	}
	return setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: 7})
}

func runNode(t *testing.T, s *server, o Options) engine.ExitReason {
	t.Helper()
	s.start()
	reason, err := Run(o)
	s.wait()
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	if !s.deregistered {
		t.Error("the node left without a word")
	}
	return reason
}

func TestSynchronizes(t *testing.T) {
	tests := []struct {
		name         string
		offset, rate float64
		server       string
		env          map[string]string
	}{
		{"step", 1.25, 50e-6, "192.168.123.1", nil},
		{"step back", -3600.5, -50e-6, "192.168.123.1", nil},
		{"slew", 1e-3, -20e-6, "192.168.123.1", nil},
		{"coarse rate", 0.01, 800e-6, "192.168.123.1", nil},
		{"name", 0.01, 20e-6, "node1.net2.clk", nil},
		{"ipv6", 0.01, 20e-6, "node1.net1.clk", map[string]string{envFamily: "6"}},
		{"daemon stamps", 0.01, 20e-6, "192.168.123.1", map[string]string{envStamping: "0"}},
		{"duplicates", 0.01, 20e-6, "192.168.123.1", map[string]string{envMultiply: "4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tt.offset, tt.rate, 600)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			if got := runNode(t, s, Options{Engine: engineConfig(t, nil, tt.server)}); got != 0 {
				t.Errorf("exit reason %d, want 0", got)
			}
			if off := s.real - s.now; math.Abs(off) > 5e-6 {
				t.Errorf("clock is off by %g s after %g s, want less than 5 us", off, s.now)
			}
			if r := (1+s.rate)*(1+s.kernel()) - 1; math.Abs(r) > 0.5e-6 {
				t.Errorf("rate is off by %g, want less than 0.5e-6", r)
			}
			if s.status&StatusUnsync != 0 || s.maxError > 10e3 {
				t.Errorf("kernel status %#x with an error of %d us, want synchronized within 10 ms", s.status, s.maxError)
			}
			if limit := 20 + 4*len(s.requests) + 600; s.selects > limit {
				t.Errorf("%d waits for %d requests, want at most %d", s.selects, len(s.requests), limit)
			}
		})
	}
}

// TestUncontrolled demands that a clock that is not to be touched never is.
func TestUncontrolled(t *testing.T) {
	s := newServer(t, 1.25, 50e-6, 300)
	o := Options{Engine: engineConfig(t, nil, "192.168.123.1")}
	o.Engine.Clock.Controlled = false
	runNode(t, s, o)
	for i, m := range s.modes {
		if m != 0 {
			t.Errorf("adjtimex call %d has modes %#x", i, m)
		}
	}
	if len(s.requests) < 10 {
		t.Errorf("%d requests, want 10 at least", len(s.requests))
	}
	if want := 1.25 + s.raw; s.real != want && math.Abs(s.real-want) > 1e-9 {
		t.Errorf("clock shows %.9f, want %.9f", s.real, want)
	}
}

// TestRefused demands that the engine hears of a clock that cannot be set.
func TestRefused(t *testing.T) {
	s := newServer(t, 1.25, 50e-6, 100)
	s.refuse = true
	failed := 0
	runNode(t, s, Options{Engine: engineConfig(t, nil, "192.168.123.1"), OnEvent: func(_ clock.Now, ev *engine.Event) {
		if ev.Kind == engine.EvFrequencyFailed || ev.Kind == engine.EvStepFailed {
			failed++
		}
	}})
	if failed == 0 {
		t.Error("no event tells of it")
	}
}

// TestOneShot demands that a node leaves in order before the end.
func TestOneShot(t *testing.T) {
	s := newServer(t, 1.25, 50e-6, 600)
	o := Options{Engine: engineConfig(t, nil, "192.168.123.1")}
	o.Engine.OneShot = true
	if got := runNode(t, s, o); got != engine.ExitDone {
		t.Errorf("exit reason %d, want %d", got, engine.ExitDone)
	}
	if s.now > 60 || math.Abs(s.real-s.now) > 1e-3 {
		t.Errorf("clock is off by %g s at %g s, want less than 1 ms before 60 s", s.real-s.now, s.now)
	}
}

// TestPortIsClosed demands silence while the engine wants no server port.
func TestPortIsClosed(t *testing.T) {
	s := newServer(t, 0, 0, 50)
	s.ask(20, 5, 123, 40000)
	runNode(t, s, Options{Engine: engineConfig(t, nil, "192.168.123.1")})
	if len(s.sent) != 0 {
		t.Errorf("a closed port sent %d messages", len(s.sent))
	}
}

// ask sends a client's request to the node.
func (s *server) ask(at float64, host, port, from uint32) {
	b := make([]byte, 48)
	b[0] = 4<<3 | byte(ntp.ModeClient)
	binary.BigEndian.PutUint64(b[40:], 0x123456789abcdef0)
	s.put(parcel{at: at, subnet: 1, host: host, srcPort: from, dstPort: port, data: b})
}

func TestServes(t *testing.T) {
	for _, family := range []string{"4", "6"} {
		for _, port := range []uint16{0, 1123} {
			s := newServer(t, 0.02, 30e-6, 200)
			t.Setenv(envFamily, family)
			o := Options{Port: port, Engine: engineConfig(t, func(c *config.Config) {
				c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
			}, "node1.net1.clk")}
			want := uint32(o.port())
			s.ask(150, 5, want, 40000)
			s.ask(150.5, 6, want+1, 40000) // nobody listens there
			runNode(t, s, o)
			if len(s.sent) != 1 {
				t.Fatalf("port %d: %d replies, want 1", want, len(s.sent))
			}
			r := s.sent[0]
			if r.subnet != 1 || r.host != 5 || r.srcPort != want || r.dstPort != 40000 || r.at < 150 || r.at > 150.001 {
				t.Errorf("port %d: reply %+v", want, r)
			}
			var p ntp.Packet
			if !p.Decode(r.data) || p.Mode != ntp.ModeServer || p.Stratum != 2 || p.Origin != 0x123456789abcdef0 {
				t.Errorf("port %d: reply %+v", want, p)
			}
			true64 := float64(p.Transmit.Served().Nanos()-startOf2010*1e9) * 1e-9
			if math.Abs(true64-r.at) > 10e-6 {
				t.Errorf("port %d: reply says %.9f at %.9f", want, true64, r.at)
			}
		}
	}
}

// TestClientPorts demands a port of its own for each request, or the one that
// was configured for all.
func TestClientPorts(t *testing.T) {
	for _, fixed := range []uint16{0, 2123} {
		s := newServer(t, 0, 0, 120)
		runNode(t, s, Options{ClientPort: fixed, Engine: engineConfig(t, nil, "192.168.123.1")})
		seen := map[uint32]bool{}
		for _, r := range s.requests {
			seen[r.srcPort] = true
			if fixed != 0 && r.srcPort != uint32(fixed) || fixed == 0 && (r.srcPort < firstPort || r.srcPort >= firstPort+portCount) {
				t.Errorf("port %d: request from port %d", fixed, r.srcPort)
			}
		}
		if fixed == 0 && len(seen) < len(s.requests)-1 {
			t.Errorf("%d ports for %d requests", len(seen), len(s.requests))
		}
	}
}

// TestForgery demands that a client socket hears its server only.
func TestForgery(t *testing.T) {
	s := newServer(t, 0, 0, 60)
	got := 0
	lie := respond(make([]byte, 48), 1e6)
	s.put(parcel{at: 0.20005, host: 3, srcPort: 123, dstPort: 2123, data: lie})
	s.put(parcel{at: 0.20005, host: ntpHost, srcPort: 124, dstPort: 2123, data: lie})
	s.put(parcel{at: 0.20005, subnet: 1, host: ntpHost, srcPort: 123, dstPort: 2123, data: lie})
	s.put(parcel{at: 0.20006, host: ntpHost, srcPort: 123, dstPort: 2123, data: lie}) // only the engine can tell
	o := Options{ClientPort: 2123, Engine: engineConfig(t, nil, "192.168.123.1")}
	o.OnEvent = func(_ clock.Now, ev *engine.Event) {
		if ev.Kind == engine.EvMeasurement {
			got++
		}
	}
	runNode(t, s, o)
	if got == 0 || got > len(s.requests) {
		t.Errorf("%d measurements from %d requests", got, len(s.requests))
	}
	if off := s.real - s.now; math.Abs(off) > 1e-3 {
		t.Errorf("clock is off by %g s", off)
	}
}

// TestEarly demands that a wait that ends too soon is continued, and that the
// engine is not called before its deadline.
func TestEarly(t *testing.T) {
	s := newServer(t, 0, 20e-6, 120)
	s.stale = 0.25
	runNode(t, s, Options{Engine: engineConfig(t, nil, "192.168.123.1")})
	if len(s.requests) < 8 {
		t.Errorf("%d requests, want 8 at least", len(s.requests))
	}
	if limit := 100 * len(s.requests); s.selects > limit {
		t.Errorf("%d waits, want at most %d", s.selects, limit)
	}
}

// TestRepeats demands the same messages from the same seed.
func TestRepeats(t *testing.T) {
	var first []parcel
	for range 2 {
		s := newServer(t, 0.02, 30e-6, 200)
		t.Setenv(envSeed, "11")
		runNode(t, s, Options{Engine: engineConfig(t, nil, "192.168.123.1")})
		if first == nil {
			first = s.requests
			continue
		}
		if len(first) != len(s.requests) {
			t.Fatalf("%d requests, then %d", len(first), len(s.requests))
		}
		for i, r := range s.requests {
			if string(r.data) != string(first[i].data) || r.srcPort != first[i].srcPort || r.at != first[i].at {
				t.Fatalf("request %d: %+v, then %+v", i, first[i], r)
			}
		}
	}
}

// TestHooks demands the order of the calls and times that fit.
func TestHooks(t *testing.T) {
	s := newServer(t, 0, 0, 100)
	t.Setenv(envStart, "1700000000")
	var prepared clock.Now
	var drifts, events int
	runNode(t, s, Options{
		Engine:  engineConfig(t, nil, "192.168.123.1"),
		Prepare: func(now clock.Now) { prepared = now },
		OnEvent: func(now clock.Now, _ *engine.Event) {
			events++
			if prepared.Mono.IsZero() || now.Mono.Before(prepared.Mono) {
				t.Errorf("event at %d, prepared at %d", now.Mono.Nanos(), prepared.Mono.Nanos())
			}
		},
		OnDrift: func(engine.Drift) { drifts++ },
	})
	if prepared.Wall.Nanos() != 1700000000e9 {
		t.Errorf("began at %d ns, want 1700000000 s", prepared.Wall.Nanos())
	}
	if drifts == 0 || events == 0 {
		t.Errorf("%d drifts and %d events, want some of each", drifts, events)
	}
	if node := binary.NativeEndian.Uint32(s.register); node != ourNode-1 {
		t.Errorf("registered as node %d, want %d", node, ourNode-1)
	}
}

func TestNanos(t *testing.T) {
	tests := []struct {
		seconds float64
		want    int64
	}{
		{0, 0}, {1, 1e9}, {0.1, 1e8}, {-0.25, -25e7}, {-3600.5, -36005e8},
		{1e8 + 0.5, 1e17 + 5e8}, {86399.123456789, 86399123456789}, {4e-10, 0}, {6e-10, 1},
	}
	for _, tt := range tests {
		if got := nanos(tt.seconds); got != tt.want {
			t.Errorf("nanos(%v) = %d, want %d", tt.seconds, got, tt.want)
		}
	}
}

func TestStepBy(t *testing.T) {
	tests := []struct {
		offset    clock.Offset
		sec, frac int64
	}{
		{1.25, 1, 250e6}, {-1.25, -2, 750e6}, {-3, -3, 0}, {1e-9, 0, 1}, {-1e-9, -1, 999999999}, {1e8, 1e8, 0},
	}
	for _, tt := range tests {
		if got := stepBy(tt.offset); got.Sec != tt.sec || got.Frac != tt.frac || got.Modes != 0x2100 {
			t.Errorf("stepBy(%v) = %+v, want %d s %d ns", tt.offset, got, tt.sec, tt.frac)
		}
	}
}

func TestStatusOf(t *testing.T) {
	tests := []struct {
		name string
		in   engine.KernelStatus
		want Timex
	}{
		{"unsynchronized", engine.KernelStatus{MaxError: 20, EstError: 16},
			Timex{Modes: 0x201c, Status: 0x40, MaxError: 16e6, EstError: 16e6}},
		{"synchronized", engine.KernelStatus{Synchronized: true, MaxError: 1.5e-6, EstError: 1e-6},
			Timex{Modes: 0x201c, MaxError: 2, EstError: 1}},
		{"insert", engine.KernelStatus{Synchronized: true, Leap: ntp.LeapInsert}, Timex{Modes: 0x201c, Status: 0x10}},
		{"delete", engine.KernelStatus{Synchronized: true, Leap: ntp.LeapDelete}, Timex{Modes: 0x201c, Status: 0x20}},
		{"tai", engine.KernelStatus{Synchronized: true, TAI: 37}, Timex{Modes: 0x209c, Constant: 37}},
	}
	for _, tt := range tests {
		if got := statusOf(&tt.in); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestDialWaits(t *testing.T) {
	s := newServer(t, 0, 0, 10)
	if _, err := Dial(s.path, 0); err == nil {
		t.Fatal("connected to nobody")
	}
	go func() {
		time.Sleep(30 * time.Millisecond)
		s.start()
	}()
	c, err := Dial(s.path, 10*time.Second)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if _, _, err := c.Register(0); err != nil {
		t.Errorf("register: %v", err)
	}
	if err := c.Deregister(); err != nil {
		t.Errorf("deregister: %v", err)
	}
	s.wait()
	c.Close()
}
