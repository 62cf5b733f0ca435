// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/sim"
)

var (
	network = netip.MustParseAddrPort("10.0.0.255:123")
	group   = netip.MustParseAddrPort("[ff02::101]:9123")
)

// broadcasts returns a change that adds a broadcast directive.
func broadcasts(interval int, dest netip.AddrPort) func(*config.Config) {
	return func(c *config.Config) {
		c.Server.Broadcasts = append(c.Server.Broadcasts, config.Broadcast{Interval: interval, Dest: dest})
	}
}

// heard is a broadcast packet, and the state of the sender when it left.
type heard struct {
	at   float64
	from netip.AddrPort
	to   netip.AddrPort
	ntp.Packet
	snap responder.Snapshot
	off  float64 // of served time against true time
}

// hear collects the broadcasts of the node that node returns.
func hear(w *sim.World, node func() *sim.Node) *[]heard {
	all := new([]heard)
	w.Tap = func(from, to netip.AddrPort, data []byte) {
		h := heard{at: w.Now(), from: from, to: to}
		if !h.Decode(data) || h.Mode != ntp.ModeBroadcast {
			return
		}
		h.snap, h.off = node().Snapshot, node().GivenError()
		*all = append(*all, h)
	}
	return all
}

// sentTo returns the times of the packets to dest.
func sentTo(all []heard, dest netip.AddrPort) (at []float64) {
	for _, h := range all {
		if h.to == dest {
			at = append(at, h.at)
		}
	}
	return at
}

// TestBroadcast looks at the packets in each state of the clock, and at their
// times.
func TestBroadcast(t *testing.T) {
	local := func(c *config.Config) { c.Local.Enabled, c.Local.Stratum = true, 7 }
	for _, tt := range []struct {
		name    string
		config  func(*config.Config)
		leap    ntp.Leap
		stratum uint8
		id      ntp.RefID
	}{
		{"not synchronised", nil, ntp.LeapUnsync, 0, 0},
		{"local", local, ntp.LeapNone, 7, ntp.RefIDLocal},
		{"synchronised", servers("10.0.0.1"), ntp.LeapNone, 2, ntp.RefIDOf(addrOf(1))},
		{"smoothed", all(servers("10.0.0.1"), func(c *config.Config) {
			c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 50, MaxWander: 0.01}
		}), ntp.LeapNone, 2, ntp.RefIDSmooth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := world(1)
			var l *lab
			packets := hear(w, func() *sim.Node { return l.node })
			change := all(broadcasts(64, network), broadcasts(100, group), func(c *config.Config) { c.Server.Access = nil })
			if tt.config != nil {
				change = all(change, tt.config)
			}
			l = newLab(t, w, options{osc: fast, config: change})
			if !l.node.Engine.Listening() {
				t.Error("the server port is not open")
			}
			w.Run(7200)
			checkTimes(t, sentTo(*packets, network), 64, 7200)
			checkTimes(t, sentTo(*packets, group), 100, 7200)
			last := (*packets)[len(*packets)-1]
			if last.Leap != tt.leap || last.Stratum != tt.stratum || last.RefID != tt.id {
				t.Errorf("leap %d, stratum %d, reference ID %#x; want %d, %d, %#x", last.Leap, last.Stratum, last.RefID, tt.leap, tt.stratum, tt.id)
			}
			for _, h := range *packets {
				h.check(t)
			}
		})
	}
}

// checkTimes compares times with what chronyd does: the first packet after one
// interval, and 0 to 2 % more than that between any two.
func checkTimes(t *testing.T, at []float64, interval, length float64) {
	t.Helper()
	if n := float64(len(at)); n < math.Floor(length/interval/1.02) || n > length/interval {
		t.Errorf("%d packets in %g s, want one each %g to %g s", len(at), length, interval, 1.02*interval)
	}
	before, least, most := 0.0, math.Inf(1), 0.0
	for _, x := range at {
		least, most = min(least, x-before), max(most, x-before)
		before = x
	}
	const slack = 1e-3 // the intervals are those of the node's oscillator
	if least < interval-slack || most > 1.02*interval+slack {
		t.Errorf("intervals from %g to %g s, want %g to %g", least, most, interval, 1.02*interval)
	}
	if len(at) >= 10 && most-least < 0.01*interval {
		t.Errorf("intervals from %g to %g s: they hardly differ", least, most)
	}
}

// check compares a packet with what the sender served at that time.
func (h *heard) check(t *testing.T) {
	t.Helper()
	s := &h.snap
	poll := map[netip.AddrPort]int8{network: 6, group: 7}[h.to]
	if h.from != netip.AddrPortFrom(nodeAddr, 123) || h.Version != 4 || h.Poll != poll || h.Precision != s.Precision {
		t.Errorf("at %v s from %v: version %d, poll %d, precision %d; want port 123, version 4, poll %d, precision %d",
			h.at, h.from, h.Version, h.Poll, h.Precision, poll, s.Precision)
	}
	if h.Leap != s.Leap || h.Stratum != s.Stratum || h.RefID != s.RefID || h.RootDelay != ntp.ToShort(s.RootDelay) {
		t.Errorf("at %v s: %+v differs from %+v", h.at, h.Packet, s)
	}
	sent := h.Transmit.Served()
	if want := s.RootDisp + sent.Sub(s.RefTime).Seconds()*s.DispRate; !s.RefTime.IsZero() && math.Abs(h.RootDisp.Seconds()-want) > 2.0/65536 {
		t.Errorf("at %v s: root dispersion %v, want %v", h.at, h.RootDisp.Seconds(), want)
	}
	var ref ntp.Timestamp
	if !s.RefTime.IsZero() {
		ref = ntp.FromInstant(s.RefTime)
	}
	if h.Reference != ref || h.Origin != 0 || h.Receive != 0 {
		t.Errorf("at %v s: reference %#x, origin %#x, receive %#x; want %#x, 0, 0", h.at, h.Reference, h.Origin, h.Receive, ref)
	}
	is := sent.Sub(clock.At[clock.Corrected](sim.Epoch * 1e9)).Seconds()
	if d := is - h.at - h.off; math.Abs(d) > 10e-9 {
		t.Errorf("at %v s: transmit timestamp is %v s off served time", h.at, d)
	}
}

// TestBroadcastReload: lines that stay keep their phase, others come and go, and
// the port with them.
func TestBroadcastReload(t *testing.T) {
	w, _ := world(1)
	var l *lab
	packets := hear(w, func() *sim.Node { return l.node })
	closed := func(c *config.Config) { c.Server.Access = nil }
	l = newLab(t, w, options{config: all(closed, broadcasts(1000, network))})
	w.Run(1500)
	l.reload(all(closed, broadcasts(300, group), broadcasts(1000, network)))
	w.Run(2200)
	checkTimes(t, sentTo(*packets, network), 1000, 2200)
	if at := sentTo(*packets, group); len(at) != 2 || at[0] < 1800 || at[0] > 1806 {
		t.Errorf("packets of the new line at %v, want two, the first after one interval from 1500 on", at)
	}
	before := len(sentTo(*packets, network))
	l.reload(all(closed, broadcasts(300, group), broadcasts(900, network)))
	w.Run(3050)
	if n := len(sentTo(*packets, network)); n != before {
		t.Errorf("%d packets within a changed interval, want none", n-before)
	}
	l.reload(closed)
	if l.node.Engine.Listening() {
		t.Error("the port is open after the last line went")
	}
	n := len(*packets)
	w.Run(6000)
	if len(*packets) != n {
		t.Errorf("%d packets after the last line went, want none", len(*packets)-n)
	}
	l.reload(all(broadcasts(300, group), func(c *config.Config) { c.Server.Port = 0 }))
	w.Run(9000)
	if len(*packets) != n || l.node.Engine.Listening() {
		t.Errorf("%d packets with port 0, port open %v; want none, false", len(*packets)-n, l.node.Engine.Listening())
	}
}

// TestBroadcastTwice: a line that is there twice is sent twice, each with its own
// phase, which a reload keeps.
func TestBroadcastTwice(t *testing.T) {
	w, _ := world(1)
	var l *lab
	packets := hear(w, func() *sim.Node { return l.node })
	twice := all(broadcasts(64, network), broadcasts(64, network))
	l = newLab(t, w, options{config: twice})
	l.reload(twice)
	w.Run(6 * 64)
	at := sentTo(*packets, network)
	if len(at) != 10 {
		t.Errorf("%d packets, want 10", len(at))
	}
	for i := range at[1:] {
		if at[i+1]-at[i] < 1e-3 {
			t.Errorf("packets at %v s: two at once", at)
		}
	}
}

// TestBroadcastNoAllocations sends 10,000 packets of one line, and one of each of
// 10,000.
func TestBroadcastNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, tt := range []struct{ lines, rounds int }{{1, 10000}, {10000, 1}} {
		cfg := plainConfig()
		for i := range tt.lines {
			dest := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 255}), 123)
			cfg.Broadcasts = append(cfg.Broadcasts, engine.BroadcastConfig{Interval: 16, Dest: dest})
		}
		c := counter{wire: wire{now: clock.Now{Wall: clock.At[clock.Realtime](wireStart), Mono: clock.At[clock.Raw](wireStart)}}}
		c.e = engine.New(cfg)
		c.e.Start(c.now, 0, &c.acts)
		c.e.Perform(&c, &c.acts)
		n := testing.AllocsPerRun(1, func() {
			for range tt.rounds {
				c.advance(17 * clock.Second)
				c.e.Tick(c.now, &c.acts)
				c.e.Perform(&c, &c.acts)
			}
		})
		if n != 0 {
			t.Errorf("%d lines: %v allocations in 10,000 packets, want 0", tt.lines, n)
		}
		if c.sent != 20000 || c.late != 0 {
			t.Errorf("%d lines: %d packets, %d without the time of sending; want 20000, 0", tt.lines, c.sent, c.late)
		}
	}
}

// counter is a wire at which nobody answers.
type counter struct {
	wire
	sent int
	late int // packets whose transmit timestamp is not that of sending
}

func (c *counter) Send(e *engine.Engine, s *engine.Send, b []byte) bool {
	c.sent++
	c.now.Wall = c.now.Wall.Add(clock.Microsecond)
	e.Seal(s, b, c.now.Wall)
	var p ntp.Packet
	if !p.Decode(b) || math.Abs(p.Transmit.Wall().Sub(c.now.Wall).Seconds()) > 100e-9 {
		c.late++
	}
	return true
}
