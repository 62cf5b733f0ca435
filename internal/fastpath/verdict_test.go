// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/traffic"
)

func address(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func rule(allow bool, prefix string) acl.Rule {
	return acl.Rule{Allow: allow, Prefix: netip.MustParsePrefix(prefix)}
}

// notNTP is the verdict of what is not even counted.
const notNTP = Verdict(traffic.Verdicts)

// edit returns a change of the header of a request.
func edit(change func(p *ntp.Packet)) func(f *frame) {
	return func(f *frame) {
		p := request(4, ntp.ModeClient)
		change(&p)
		f.payload = p.AppendTo(nil)
	}
}

// verdicts are changes of a plain request, and what becomes of it then.
var verdicts = []struct {
	name   string
	change func(f *frame)
	want   Verdict
	only   int // 4 or 6: over this version of IP only
}{
	{"plain", func(f *frame) {}, traffic.Answered, 0},
	{"version 3", edit(func(p *ntp.Packet) { p.Version = 3 }), traffic.Answered, 0},
	{"from the NTP port", func(f *frame) { f.from = netip.AddrPortFrom(f.from.Addr(), 123) }, traffic.Answered, 0},
	{"origin of our transmit timestamp", edit(func(p *ntp.Packet) { p.Origin, p.Receive = 2, 7 }), traffic.Answered, 0},
	{"version 3 with our receive timestamp", edit(func(p *ntp.Packet) { p.Version, p.Origin = 3, 3 }), traffic.Answered, 0},
	{"receive timestamp is transmit timestamp", edit(func(p *ntp.Packet) { p.Origin, p.Receive = 3, p.Transmit }), traffic.Answered, 0},
	{"no checksum", func(f *frame) { f.noChecksum = true }, traffic.Answered, 4},
	{"no checksum over IPv6", func(f *frame) { f.noChecksum = true }, traffic.UpChecksum, 6},
	{"checksum left to the card", func(f *frame) { f.partial = true }, traffic.Answered, 0},
	{"padding of Ethernet", func(f *frame) { f.pad = 18 }, traffic.Answered, 0},
	{"wrong checksum", func(f *frame) { f.badChecksum = true }, traffic.UpChecksum, 0},
	{"wrong checksum of IP", func(f *frame) { f.badIP = true }, traffic.UpChecksum, 4},
	{"version 2", edit(func(p *ntp.Packet) { p.Version = 2 }), traffic.UpVersion, 0},
	{"version 1", edit(func(p *ntp.Packet) { p.Version = 1 }), traffic.UpVersion, 0},
	{"version 5", edit(func(p *ntp.Packet) { p.Version = 5 }), traffic.UpVersion, 0},
	{"interleaved", edit(func(p *ntp.Packet) { p.Origin, p.Receive = 3, 7 }), traffic.UpInterleaved, 0},
	{"symmetric", edit(func(p *ntp.Packet) { p.Mode = ntp.ModeActive }), traffic.Seen, 0},
	{"reply", edit(func(p *ntp.Packet) { p.Mode = ntp.ModeServer }), traffic.Seen, 0},
	{"control message", edit(func(p *ntp.Packet) { p.Mode = 6 }), traffic.Seen, 0},
	{"reply to a client here", func(f *frame) { f.from, f.to = server(f), netip.AddrPortFrom(f.to.Addr(), 4000) }, traffic.Seen, 0},
	{"with a MAC", func(f *frame) { f.payload = append(f.payload, make([]byte, 20)...) }, traffic.UpLength, 0},
	{"too short", func(f *frame) { f.payload = f.payload[:47] }, traffic.UpLength, 0},
	{"an odd octet", func(f *frame) { f.payload = append(f.payload, 0) }, traffic.UpLength, 0},
	{"not ours", func(f *frame) { f.to = netip.AddrPortFrom(f.to.Addr().Next(), 123) }, traffic.UpAddress, 0},
	{"frame for another host", func(f *frame) { f.foreign = true }, traffic.UpAddress, 0},
	{"multicast frame", func(f *frame) { f.multicast = true }, traffic.UpAddress, 0},
	{"from nobody", func(f *frame) { f.from = address("0.0.0.0:4000") }, traffic.UpAddress, 4},
	{"from loopback", func(f *frame) { f.from = address("127.0.0.2:4000") }, traffic.UpAddress, 4},
	{"from a multicast group", func(f *frame) { f.from = address("224.0.1.1:4000") }, traffic.UpAddress, 4},
	{"from everybody", func(f *frame) { f.from = address("255.255.255.255:4000") }, traffic.UpAddress, 4},
	{"from nobody", func(f *frame) { f.from = address("[::]:4000") }, traffic.UpAddress, 6},
	{"from loopback", func(f *frame) { f.from = address("[::1]:4000") }, traffic.UpAddress, 6},
	{"from a multicast group", func(f *frame) { f.from = address("[ff02::101]:4000") }, traffic.UpAddress, 6},
	{"from IPv4 in IPv6", func(f *frame) { f.from = address("[::ffff:192.0.2.1]:4000") }, traffic.UpAddress, 6},
	{"from port 0", func(f *frame) { f.from = netip.AddrPortFrom(f.from.Addr(), 0) }, traffic.UpForm, 0},
	{"VLAN", func(f *frame) { f.tags = []uint16{0x8100} }, traffic.UpForm, 0},
	{"VLAN in VLAN", func(f *frame) { f.tags = []uint16{0x88a8, 0x8100} }, traffic.UpForm, 0},
	{"three VLANs", func(f *frame) { f.tags = []uint16{0x88a8, 0x8100, 0x8100} }, notNTP, 0},
	{"IP options", func(f *frame) { f.options = 8 }, traffic.UpForm, 4},
	{"all IP options", func(f *frame) { f.options = 40 }, traffic.UpForm, 4},
	{"more fragments", func(f *frame) { f.fragment = 0x2000 }, traffic.UpForm, 4},
	{"a later fragment", func(f *frame) { f.fragment = 0x2005 }, notNTP, 4},
	{"do not fragment", func(f *frame) { f.fragment = 0x4000 }, traffic.Answered, 4},
	{"hop-by-hop options", func(f *frame) { f.headers = []byte{0} }, traffic.UpForm, 6},
	{"long destination options", func(f *frame) { f.headers, f.options = []byte{60, 43}, 64 }, traffic.UpForm, 6},
	{"six extension headers", func(f *frame) { f.headers = []byte{0, 60, 43, 60, 60, 60} }, traffic.UpForm, 6},
	{"seven extension headers", func(f *frame) { f.headers = []byte{0, 60, 43, 60, 60, 60, 60} }, notNTP, 6},
	{"first fragment", func(f *frame) { f.headers, f.fragment = []byte{44}, 1 }, traffic.UpForm, 6},
	{"a later fragment", func(f *frame) { f.headers, f.fragment = []byte{44}, 0x101 }, notNTP, 6},
	{"authentication header", func(f *frame) { f.headers = []byte{51} }, notNTP, 6},
	{"UDP claims more", func(f *frame) { f.udpLen, f.noChecksum = 8, true }, traffic.UpLength, 0},
	{"UDP claims nothing", func(f *frame) { f.udpLen, f.noChecksum = -56, true }, traffic.UpLength, 0},
	{"frame ends in NTP", func(f *frame) { f.cut = 1 }, traffic.UpForm, 0},
	{"frame ends in UDP", func(f *frame) { f.cut = 50 }, notNTP, 0},
	{"frame ends in IP", func(f *frame) { f.cut = 60 }, notNTP, 0},
	{"another port", func(f *frame) { f.to = netip.AddrPortFrom(f.to.Addr(), 53) }, notNTP, 0},
	{"TCP", func(f *frame) { f.protocol = 6 }, notNTP, 0},
	{"IP of version 5", func(f *frame) { f.version = 5 }, notNTP, 4},
	{"IP header too short", func(f *frame) { f.ihl = 4 }, notNTP, 4},
}

// server is the address of whom a reply comes from.
func server(f *frame) netip.AddrPort { return netip.AddrPortFrom(f.from.Addr(), 123) }

func actionOf(v Verdict) uint32 {
	switch v {
	case traffic.Answered, traffic.Kissed:
		return xdpTX
	case traffic.Denied, traffic.Limited:
		return xdpDrop
	}
	return xdpPass
}

func TestVerdicts(t *testing.T) {
	b := newBench(t, Config{})
	for _, tt := range verdicts {
		for _, v6 := range []bool{false, true} {
			if tt.only == 4 && v6 || tt.only == 6 && !v6 {
				continue
			}
			f := plain(v6)
			tt.change(&f)
			data := f.bytes()
			b.publish() // this test may be slower than a lease
			v, action, out := b.verdict(data)
			if v != tt.want || action != actionOf(tt.want) {
				t.Errorf("%s, IPv6 %v: verdict %d, action %d, want %v", tt.name, v6, v, action, tt.want)
				continue
			}
			if action == xdpTX {
				b.reply(tt.name, &f, out)
			} else if !bytes.Equal(out, data) {
				t.Errorf("%s, IPv6 %v: the frame was changed", tt.name, v6)
			}
		}
	}
}

// reply checks the frame of an answer to f.
func (b *bench) reply(name string, f *frame, out []byte) {
	b.Helper()
	in := f.bytes()
	if len(out) != len(in) {
		b.Fatalf("%s: %d octets are answered with %d", name, len(in), len(out))
	}
	back := frame{from: f.to, to: f.from, fragment: 0x4000}
	head := 14 + 20
	if !f.from.Addr().Is4() {
		head = 14 + 40
	}
	back.payload = out[head+8 : head+8+ntp.HeaderLen]
	want := back.bytes()
	copy(want[0:], in[6:12])
	copy(want[6:], in[0:6])
	if f.from.Addr().Is4() {
		want[15], want[18], want[19], want[22] = 0, 0, 0, 64
		want[24], want[25] = 0, 0
		binary.BigEndian.PutUint16(want[24:], ^fold(sumOf(want[14:34])))
	} else {
		copy(want[14:], []byte{0x60, 0, 0, 0})
		want[21] = 64
	}
	want = append(want, make([]byte, f.pad)...)
	if !bytes.Equal(out, want) {
		b.Errorf("%s: the frame is\n%x, want\n%x", name, out, want)
	}
	b.like(name, in[head+8:head+8+ntp.HeaderLen], back.payload, f.from)
}

// like compares an answer with that of the responder to the same request in the
// same state, but for the time at which they were made.
func (b *bench) like(name string, q, got []byte, from netip.AddrPort) {
	b.Helper()
	r, err := readTAI()
	b.must(err)
	s := responder.NewServer(responder.Config{Random: func() uint64 { return 0 }})
	want := bytes.Clone(q)
	var out responder.Reply
	in := responder.Arrival{From: from, Stamp: clock.Stamp{Time: r.wall, Kind: clock.StampKernel}}
	policy := responder.Policy{Access: access("0.0.0.0/0", "::/0")}
	if v := s.Receive(want, &in, &policy, &b.snap, &out); v != responder.Answer {
		b.Fatalf("%s: the responder says %v", name, v)
	}
	s.Seal(&out, want, r.wall, &b.snap)
	var g, w ntp.Packet
	g.Decode(got)
	w.Decode(want)
	if g.Receive&1 != 1 || g.Transmit&1 != 0 {
		b.Errorf("%s: receive %#x, transmit %#x: lowest bits want 1, 0", name, g.Receive, g.Transmit)
	}
	if d := w.Receive.Served().Sub(g.Receive.Served()); d < -clock.Microsecond || d > clock.Second {
		b.Errorf("%s: received %v s before the clock was read", name, d.Seconds())
	}
	if d := g.Transmit.Served().Sub(g.Receive.Served()); d < -100 || d > 10*clock.Microsecond {
		b.Errorf("%s: transmitted %v ns after it was received", name, int64(d))
	}
	for _, p := range []*ntp.Packet{&g, &w} {
		p.Receive, p.Transmit = 0, 0
	}
	// The dispersion grows while the test runs.
	if d := int64(w.RootDisp) - int64(g.RootDisp); d < 0 || d > 1 {
		b.Errorf("%s: root dispersion %d, want %d", name, g.RootDisp, w.RootDisp)
	}
	g.RootDisp = w.RootDisp
	// So does what smoothing adds, to the reference time too.
	if d := w.Reference.Served().Sub(g.Reference.Served()); b.snap.Smooth.Rate != 0 && d > -10*clock.Microsecond && d < 10*clock.Microsecond {
		g.Reference = w.Reference
	}
	if g != w {
		b.Errorf("%s: answered %+v, want %+v", name, g, w)
	}
}

// TestLengths: of requests of all lengths only those of 48 octets are answered.
func TestLengths(t *testing.T) {
	b := newBench(t, Config{})
	for _, v6 := range []bool{false, true} {
		for n := 1; n <= 1500; n++ {
			f := plain(v6)
			f.payload = append(f.payload, make([]byte, 1500)...)[:n]
			if n%100 == 0 {
				b.publish()
			}
			want := traffic.UpLength
			if n == ntp.HeaderLen {
				want = traffic.Answered
			}
			if v, action, _ := b.verdict(f.bytes()); v != want || action != actionOf(want) {
				t.Fatalf("%d octets: verdict %d, action %d, want %v", n, v, action, want)
			}
		}
	}
}

// TestEveryHeader sends all first octets: what is answered is what the responder
// answers, and nothing that is an answer.
func TestEveryHeader(t *testing.T) {
	b := newBench(t, Config{})
	for lvm := range 256 {
		f := plain(lvm&1 == 0)
		f.payload[0] = byte(lvm)
		version, mode := lvm>>3&7, lvm&7
		want := traffic.Seen
		if mode == 3 {
			want = traffic.UpVersion
			if version == 3 || version == 4 {
				want = traffic.Answered
			}
		}
		b.publish()
		v, _, out := b.verdict(f.bytes())
		if v != want {
			t.Errorf("first octet %#x: verdict %d, want %v", lvm, v, want)
		}
		if v == traffic.Answered {
			b.reply("first octet", &f, out)
			if again, _, _ := b.verdict(out); again == traffic.Answered {
				t.Errorf("first octet %#x: the answer is answered", lvm)
			}
		}
	}
}

// TestPoll: an answer tells the client to ask no more often than the limit lets it.
func TestPoll(t *testing.T) {
	b := newBench(t, Config{})
	for _, tt := range []struct {
		limit *clientlog.Limit
		asked int8
		want  int8
	}{
		{nil, -7, -7}, {nil, 6, 6}, {nil, -128, -128}, {nil, 127, 127},
		{clientlog.NewLimit(3, 8, 2, 0), -7, 3}, {clientlog.NewLimit(3, 8, 2, 0), 3, 3}, {clientlog.NewLimit(3, 8, 2, 0), 10, 10},
		{clientlog.NewLimit(-4, 8, 2, 0), -7, -4}, {clientlog.NewLimit(-4, 8, 2, 0), -1, -1}, {clientlog.NewLimit(12, 8, 2, 0), -128, 12},
	} {
		b.policy(tt.limit, "0.0.0.0/0")
		f := plain(false)
		f.payload[2] = byte(tt.asked)
		f.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 1, byte(tt.asked)}), 4000)
		b.publish()
		v, _, out := b.verdict(f.bytes())
		if got := int8(out[14+28+2]); v != traffic.Answered || got != tt.want {
			t.Errorf("poll %d is answered with %d (%v), want %d", tt.asked, got, v, tt.want)
		}
	}
}

// TestStates: what the programs serve is what the responder does, whatever the
// snapshot.
func TestStates(t *testing.T) {
	b := newBench(t, Config{})
	base := b.snap
	at := base.RefTime
	for _, tt := range []struct {
		name   string
		change func(s *responder.Snapshot)
	}{
		{"as it is", func(s *responder.Snapshot) {}},
		{"stratum 1", func(s *responder.Snapshot) { s.Stratum, s.RefID, s.Leap = 1, 0x47505300, ntp.LeapNone }},
		{"no reference", func(s *responder.Snapshot) { s.RefTime, s.RootDisp = clock.Served{}, 0; s.DispRate = 0 }},
		{"reference to come", func(s *responder.Snapshot) { s.RefTime = at.Add(3600 * clock.Second) }},
		{"slewing", func(s *responder.Snapshot) { s.Correction.Rate, s.Correction.Offset = 0.08, -3 }},
		{"slewing back", func(s *responder.Snapshot) { s.Correction.Rate = -0.08 }},
		{"smoothing", func(s *responder.Snapshot) {
			s.Smooth = responder.Smoothing{Since: at, Offset: 0.125, Rate: -1e-5}
		}},
		{"precision of a second", func(s *responder.Snapshot) { s.Precision = -1 }},
		{"precision of a nanosecond", func(s *responder.Snapshot) { s.Precision = -30 }},
		{"precision beyond", func(s *responder.Snapshot) { s.Precision = -40 }},
		{"large dispersion", func(s *responder.Snapshot) { s.RootDisp, s.RootDelay = 70000, 70000 }},
	} {
		b.snap = base
		tt.change(&b.snap)
		b.publish()
		for _, v6 := range []bool{false, true} {
			f := plain(v6)
			_, action, out := b.verdict(f.bytes())
			if action != xdpTX {
				t.Fatalf("%s: not answered", tt.name)
			}
			if b.snap.Precision < -10 {
				b.reply(tt.name, &f, out)
			}
		}
	}
}

// TestServedTime: the timestamps are the snapshot's, to the nanosecond, for as
// long as a lease is.
func TestServedTime(t *testing.T) {
	b := newBench(t, Config{})
	for _, rate := range []clock.Frequency{0, 1e-4, -1e-4, 0.09, -0.09} {
		b.snap.Correction.Rate, b.snap.Precision = rate, -32
		real, err := readTAI()
		b.must(err)
		for _, age := range []clock.Interval{0, clock.Millisecond, clock.Second, maxLease - 100*clock.Millisecond} {
			// The line is published as of some time ago.
			b.tai = func() (taiReading, error) {
				return taiReading{real.tai - int64(age), real.wall.Add(-age)}, nil
			}
			b.publish()
			b.tai = readTAI
			before, err := readTAI()
			b.must(err)
			f := plain(false)
			_, action, out := b.verdict(f.bytes())
			after, err := readTAI()
			b.must(err)
			if action != xdpTX {
				t.Fatalf("rate %v, %v s old: not answered", rate, age.Seconds())
			}
			rx := ntp.Timestamp(binary.BigEndian.Uint64(out[14+28+32:]))
			early, late := ntp.FromInstant(b.snap.Served(before.wall)), ntp.FromInstant(b.snap.Served(after.wall))
			if int64(rx-early) < -10 || int64(late-rx) < -10 {
				t.Errorf("rate %v, %v s old: received %d units after the clock was read, %d before", rate, age.Seconds(), int64(rx-early), int64(late-rx))
			}
		}
	}
}

// TestFuzz: the bits below the precision are random, the others are not.
func TestFuzz(t *testing.T) {
	b := newBench(t, Config{})
	for _, precision := range []int8{-12, -20, -28} {
		b.snap.Precision = precision
		b.publish()
		bits := 32 + int(precision)
		var ones, zeros [2]uint64
		for range 200 {
			f := plain(false)
			_, _, out := b.verdict(f.bytes())
			for i := range ones {
				v := binary.BigEndian.Uint64(out[14+28+32+8*i:])
				ones[i] |= v
				zeros[i] |= ^v
			}
		}
		for i := range ones {
			if low := ones[i] & zeros[i] & (1<<bits - 2); low != 1<<bits-2 {
				t.Errorf("precision %d: of timestamp %d bits %#x are random, want the lowest %d but one", precision, i, low, bits)
			}
		}
	}
}

// TestLease: without a fresh state nothing is answered.
func TestLease(t *testing.T) {
	b := newBench(t, Config{})
	verdict := func(want Verdict, when string) {
		t.Helper()
		f := plain(false)
		if v, _, _ := b.verdict(f.bytes()); v != want {
			t.Errorf("%s: %v, want %v", when, v, want)
		}
	}
	verdict(traffic.Answered, "fresh")
	b.must(b.Withdraw())
	verdict(traffic.UpLease, "withdrawn")
	b.publish()
	verdict(traffic.Answered, "fresh again")
	b.snap.Leap = ntp.LeapUnsync
	b.publish()
	verdict(traffic.UpLease, "unsynchronised")
	b.snap.Leap = ntp.LeapNone
	b.must(b.Publish(&b.snap, 300*clock.Millisecond, Leads{}))
	verdict(traffic.Answered, "for 0.3 s")
	time.Sleep(350 * time.Millisecond)
	verdict(traffic.UpLease, "after 0.35 s")
	b.tai = func() (taiReading, error) {
		r, err := readTAI()
		return taiReading{r.tai + 1e9, r.wall.Add(clock.Second)}, err
	}
	b.publish()
	verdict(traffic.UpLease, "when the clock was set back")
	b.tai = readTAI
	b.must(b.Publish(&b.snap, math.MaxInt64, Leads{}))
	verdict(traffic.Answered, "with the longest lease")
}

// TestMark: answers have the DSCP that is asked for, and a right checksum.
func TestMark(t *testing.T) {
	b := newBench(t, Config{})
	for _, dscp := range []uint8{0, 46, 63, 1} {
		b.must(b.Mark(dscp))
		for _, v6 := range []bool{false, true} {
			v, _, out := b.verdict(plain(v6).bytes())
			if v != traffic.Answered {
				t.Fatalf("verdict %v", v)
			}
			ip := out[14:]
			class := ip[1]
			if v6 {
				class = ip[0]<<4 | ip[1]>>4
				if ip[0]>>4 != 6 || ip[1]&15 != 0 || ip[2] != 0 || ip[3] != 0 {
					t.Errorf("header begins %x", ip[:4])
				}
			} else if fold(sumOf(ip[:20])) != 0xffff {
				t.Errorf("checksum of IP is wrong with DSCP %d", dscp)
			}
			if class != dscp<<2 {
				t.Errorf("IPv6 %v: class %#x, want DSCP %d", v6, class, dscp)
			}
		}
	}
}

// TestNoStation: where an interface has no address, as lo, frames for whomever are
// answered, but for those to a group.
func TestNoStation(t *testing.T) {
	b := newBench(t, Config{})
	b.must(b.note(0, &net.Interface{Index: lo}, true))
	for _, v6 := range []bool{false, true} {
		f, group := plain(v6), plain(v6)
		f.foreign, group.multicast = true, true
		for want, data := range map[Verdict][]byte{traffic.Answered: f.bytes(), traffic.UpAddress: group.bytes()} {
			if v, _, _ := b.verdict(data); v != want {
				t.Errorf("IPv6 %v: %v, want %v", v6, v, want)
			}
		}
	}
}
