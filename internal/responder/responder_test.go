// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// epoch is the wall time at which the tests begin.
const epoch = int64(1_800_000_000_000_000_000)

func wall(ns int64) clock.Wall { return clock.At[clock.Realtime](epoch + ns) }

func random() func() uint64 { return rand.New(rand.NewPCG(1, 2)).Uint64 }

func snapshot() *Snapshot {
	return &Snapshot{
		Correction: clock.Correction{Since: wall(0), Offset: 0.25},
		Leap:       ntp.LeapInsert, Stratum: 2, RefID: 0xc0000201,
		RefTime:   clock.At[clock.Corrected](epoch - 100e9),
		RootDelay: 0.010, RootDisp: 0.001, DispRate: 1e-5, Precision: -20, Epoch: 77,
	}
}

// packet returns the octets of a request of n octets.
func packet(version uint8, mode ntp.Mode, n int) []byte {
	p := ntp.Packet{Version: version, Mode: mode, Poll: 6, Transmit: 0x123456789abcdef1}
	b := p.AppendTo(nil)
	if n < len(b) {
		return b[:n]
	}
	return append(b, make([]byte, n-len(b))...)
}

// everybody may ask, as often as they like.
var everybody = &Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}}), Keys: auth.Ring{7: key}}

// newServer returns a server with room for so many clients.
func newServer(stamps int) *Server {
	return NewServer(Config{Stamps: stamps, Log: 1 << 16, Key: clientlog.HashKey{3, 4}, Random: random()})
}

// serve answers b, which stays as it is. The answer is sealed 20 us after rx and
// leaves 10 us later.
func serve(s *Server, b []byte, port uint16, rx clock.Wall, snap *Snapshot) ([]byte, Verdict) {
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 9}), port)
	out, v := exchange(s, b, from, rx, everybody, snap)
	return out, v
}

func exchange(s *Server, b []byte, from netip.AddrPort, rx clock.Wall, p *Policy, snap *Snapshot) ([]byte, Verdict) {
	b = bytes.Clone(b)
	before := bytes.Clone(b)
	var out Reply
	in := Arrival{From: from, Stamp: clock.Stamp{Time: rx, Kind: clock.StampKernel}}
	if v := s.Receive(b, &in, p, snap, &out); v != Answer && v != Kissed {
		if !bytes.Equal(b, before) {
			panic("a request that is not answered was changed")
		}
		return nil, v
	}
	tag := s.Seal(&out, b[:out.Len], rx.Add(20*clock.Microsecond), snap)
	s.Transmitted(tag, clock.Stamp{Time: rx.Add(30 * clock.Microsecond), Kind: clock.StampKernel}, snap)
	return b[:out.Len], Answer
}

// TestEveryRequest sends every mode and version at every length, from the NTP
// port and from another.
func TestEveryRequest(t *testing.T) {
	r, snap := newServer(8), snapshot()
	for _, port := range []uint16{123, 40000} {
		for version := range uint8(8) {
			for mode := range ntp.Mode(8) {
				for n := range 1501 {
					b := packet(version, mode, n)
					got, v := serve(r, b, port, wall(int64(n)), snap)
					want := wantVerdict(version, mode, n, port)
					if v != want {
						t.Fatalf("version %d mode %d port %d, %d octets: %v, want %v", version, mode, port, n, v, want)
					}
					if len(got) > n {
						t.Fatalf("version %d mode %d: %d octets answer %d", version, mode, len(got), n)
					}
					if v == Answer {
						checkAnswer(t, got, version, mode)
					} else if got != nil {
						t.Fatalf("%v is answered", v)
					}
				}
			}
		}
	}
}

// wantVerdict is the table of RFC 5905 section 9.2 and of chrony's order of
// checks: length, version, mode, trailer. The octets after the header are zeros.
func wantVerdict(version uint8, mode ntp.Mode, n int, port uint16) Verdict {
	rest := n - ntp.HeaderLen
	switch {
	case n < 48 || n > 1140 || n%4 != 0:
		return BadLength
	case version < 1 || version > 4:
		return BadVersion
	case mode != ntp.ModeClient && mode != ntp.ModeActive && (mode != 0 || version != 1 || port == 123):
		return BadMode
	case rest == 0:
		return Answer
	case rest >= 20 && rest <= 68:
		return BadAuth // a MAC, of a key that we do not have
	}
	return BadTrailer
}

func checkAnswer(t *testing.T, b []byte, version uint8, mode ntp.Mode) {
	t.Helper()
	var p ntp.Packet
	if !p.Decode(b) {
		t.Fatalf("the answer %x does not decode", b)
	}
	want := ntp.ModeServer
	if mode == ntp.ModeActive {
		want = ntp.ModePassive
	}
	if p.Version != version || p.Mode != want || p.Origin != 0x123456789abcdef1 || p.Poll != 6 {
		t.Fatalf("request of version %d, mode %d is answered with %+v", version, mode, p)
	}
}

// TestNoPingPong bounces answers between two responders: it stops at once, for
// every kind of first packet and from whatever port.
func TestNoPingPong(t *testing.T) {
	a, b, snap := newServer(8), newServer(8), snapshot()
	for _, port := range []uint16{123, 40000} {
		for first := range 256 {
			pkt := packet(4, 0, 48)
			pkt[0] = byte(first)
			answer, v := serve(a, pkt, port, wall(0), snap)
			if v != Answer {
				continue
			}
			for _, back := range []uint16{123, 40000} {
				if again, v := serve(b, answer, back, wall(1), snap); v == Answer {
					t.Errorf("first octet %#x: the answer %x is answered with %x", first, answer, again)
				}
			}
		}
	}
}

func TestAnswer(t *testing.T) {
	r, snap := newServer(0), snapshot()
	b, _ := serve(r, packet(3, ntp.ModeClient, 48), 40000, wall(0), snap)
	var p ntp.Packet
	p.Decode(b)
	if p.Leap != ntp.LeapInsert || p.Stratum != 2 || p.RefID != 0xc0000201 || p.Precision != -20 {
		t.Errorf("answer %+v does not show the snapshot", p)
	}
	if d := p.Receive.Served().Nanos() - epoch; d < 249_999_000 || d > 250_001_000 {
		t.Errorf("received %d ns after the epoch, want 250 ms: the correction", d)
	}
	if d := p.Transmit.Served().Nanos() - epoch; d < 250_019_000 || d > 250_021_000 {
		t.Errorf("transmitted %d ns after the epoch, want 250.02 ms", d)
	}
	if p.Reference != ntp.FromInstant(snap.RefTime) {
		t.Errorf("reference time %#x, want %#x", p.Reference, ntp.FromInstant(snap.RefTime))
	}
	if p.RootDelay != ntp.ToShort(0.010) {
		t.Errorf("root delay %v", p.RootDelay.Seconds())
	}
	// 100.25 s after the update.
	if want := ntp.ToShort(0.001 + 100.25e-5); p.RootDisp != want {
		t.Errorf("root dispersion %v, want %v", p.RootDisp.Seconds(), want.Seconds())
	}
	snap.RefTime, snap.Stratum, snap.Leap = clock.Served{}, 0, ntp.LeapUnsync
	b, _ = serve(r, packet(4, ntp.ModeClient, 48), 40000, wall(0), snap)
	p.Decode(b)
	if p.Reference != 0 || p.Leap != ntp.LeapUnsync || p.Stratum != 0 {
		t.Errorf("an unsynchronised answer is %+v", p)
	}
}

func TestSmoothing(t *testing.T) {
	s := snapshot()
	plain := s.Served(wall(10e9))
	if s.Smooth.Offset = 1; s.Served(wall(10e9)) != plain {
		t.Error("smoothing without a start adds something")
	}
	s.Smooth = Smoothing{Since: plain.Add(-10 * clock.Second), Offset: 0.5, Rate: -1e-3}
	if got := s.Served(wall(10e9)).Sub(plain).Seconds(); math.Abs(got-0.49) > 1e-9 {
		t.Errorf("smoothing adds %v s, want 0.49", got)
	}
}

// TestFuzzBits: bits below the precision are random, the others are the time,
// and the lowest bit tells receive timestamps from transmit timestamps.
func TestFuzzBits(t *testing.T) {
	for precision := math.MinInt8; precision <= math.MaxInt8; precision++ {
		snap := &Snapshot{Precision: int8(precision), Stratum: 1}
		bits := max(0, min(32+precision, 31))
		r := newServer(0)
		ones, zeros := ntp.Timestamp(0), ^ntp.Timestamp(0)
		for range 200 {
			b, _ := serve(r, packet(4, ntp.ModeClient, 48), 40000, wall(123456789), snap)
			var p ntp.Packet
			p.Decode(b)
			ones, zeros = ones|p.Receive, zeros&p.Receive
			if p.Receive&1 != 1 || p.Transmit&1 != 0 {
				t.Fatalf("precision %d: receive %#x, transmit %#x: lowest bits want 1, 0", precision, p.Receive, p.Transmit)
			}
			want := ntp.FromInstant(snap.Served(wall(123456789)))
			if p.Receive>>max(bits, 1) != want>>max(bits, 1) {
				t.Fatalf("precision %d: receive %#x, want %#x but for %d bits", precision, p.Receive, want, bits)
			}
		}
		if moved := ones &^ zeros; moved != (1<<bits-1)&^1 {
			t.Errorf("precision %d: bits %#x are random, want the lowest %d but one", precision, moved, bits)
		}
	}
}

// TestTransmitIsUnique: the transmit timestamp is none of the others, even when
// time stands still and nothing is random.
func TestTransmitIsUnique(t *testing.T) {
	snap := &Snapshot{Precision: -32}
	r := NewServer(Config{Random: func() uint64 { return 0 }})
	at := ntp.FromInstant(snap.Served(wall(0)))
	for _, origin := range []ntp.Timestamp{at, at &^ 1, at | 1, at + 2} {
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: origin}
		b := q.AppendTo(nil)
		var out Reply
		r.Receive(b, &Arrival{From: anybody, Stamp: clock.Stamp{Time: wall(0)}}, everybody, snap, &out)
		r.Seal(&out, b, wall(0), snap)
		var p ntp.Packet
		p.Decode(b)
		if p.Transmit == p.Origin || p.Transmit == p.Receive || p.Transmit == 0 || p.Transmit&1 != 0 {
			t.Errorf("origin %#x: receive %#x, transmit %#x", p.Origin, p.Receive, p.Transmit)
		}
		if d := int64(p.Transmit - at); d < -1 || d > 4 {
			t.Errorf("origin %#x: transmit is %d units from the time", p.Origin, d)
		}
	}
}

func withField(body []byte, n int) []byte {
	b := packet(4, ntp.ModeClient, 48)
	return append(ntp.AppendField(b, ntp.FieldMonoRoot, body, 0), make([]byte, n)...)
}

// key is one that the tests' policy knows.
var key = newKey(7)

func newKey(id uint32) auth.Key {
	k, err := auth.NewKey(id, auth.SHA1, []byte("secret of key "+string(rune('a'+id))))
	if err != nil {
		panic(err)
	}
	return k
}

func withMAC(b []byte) []byte {
	mac := key.AppendMAC(nil, b)
	return append(binary.BigEndian.AppendUint32(b, key.ID()), mac...)
}

func monoBody(n int) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b, ntp.MonoRootMagic)
	return b
}

func TestMonoRootField(t *testing.T) {
	tests := []struct {
		name     string
		req      []byte
		answered bool
	}{
		{"as clients send it", withField(monoBody(24), 0), true},
		{"with a MAC", withMAC(withField(monoBody(24), 0)), true},
		{"behind another field", ntp.AppendField(ntp.AppendField(packet(4, 3, 48), 0x104, make([]byte, 28), 0),
			ntp.FieldMonoRoot, monoBody(24), 0), true},
		{"without magic", withField(make([]byte, 24), 0), false},
		{"too long", withField(monoBody(28), 0), false},
		{"another field", ntp.AppendField(packet(4, 3, 48), 0x104, monoBody(24), 28), false},
		{"none", packet(4, 3, 48), false},
	}
	for _, tt := range tests {
		snap := snapshot()
		snap.MonoOffset = -3
		b, v := serve(newServer(0), tt.req, 40000, wall(0), snap)
		if v != Answer {
			t.Errorf("%s: %v", tt.name, v)
			continue
		}
		if len(b) > len(tt.req) {
			t.Errorf("%s: %d octets answer %d", tt.name, len(b), len(tt.req))
		}
		tr, split := ntp.SplitTrailer(b, 4)
		if tr.KeyID != 0 && !key.Verify(b[:tr.MACOffset], tr.MAC) {
			t.Errorf("%s: the MAC is wrong", tt.name)
		}
		typ, body, rest, ok := ntp.NextField(tr.Fields)
		if ok != tt.answered || len(rest) != 0 || !split {
			t.Errorf("%s: a field %v with %d octets behind, want %v", tt.name, ok, len(rest), tt.answered)
		}
		if !ok {
			continue
		}
		be := binary.BigEndian
		at := ntp.Timestamp(be.Uint64(body[12:])).Served().Nanos() - epoch
		if typ != ntp.FieldMonoRoot || len(body) != 24 || be.Uint32(body) != 0xF5BEDD9A ||
			be.Uint32(body[4:]) != 2684355 || be.Uint32(body[20:]) != 77 || at != 250e6-3e9 {
			t.Errorf("%s: field %#x %x, monotonic time %d", tt.name, uint16(typ), body, at)
		}
		if got, want := be.Uint32(body[8:]), uint32(math.Ceil((0.001+100.25e-5)*(1<<28))); got != want {
			t.Errorf("%s: root dispersion %d, want %d", tt.name, got, want)
		}
	}
}

// anybody is the address of a client.
var anybody = netip.MustParseAddrPort("192.0.2.9:40000")

func TestFixed28(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		want uint32
	}{{0, 0}, {-1, 0}, {1, 1 << 28}, {1e-12, 1}, {15.75, 63 << 26}, {16, math.MaxUint32}, {1e9, math.MaxUint32}, {math.Inf(1), math.MaxUint32}} {
		if got := fixed28(tt.v); got != tt.want {
			t.Errorf("fixed28(%v) = %d, want %d", tt.v, got, tt.want)
		}
	}
}

func TestVerdictNames(t *testing.T) {
	seen := make(map[string]bool)
	for v := range Verdict(Verdicts) {
		if v.String() == "" || seen[v.String()] {
			t.Errorf("verdict %d is called %q", v, v)
		}
		seen[v.String()] = true
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	snap := snapshot()
	for _, interleaved := range []bool{false, true} {
		r := newServer(16)
		ask := withField(monoBody(24), 0)
		b := make([]byte, len(ask))
		in := Arrival{From: anybody, Stamp: clock.Stamp{Kind: clock.StampKernel}}
		var hits int
		var out Reply
		n := testing.AllocsPerRun(1, func() {
			hits = 0
			for i := range int64(10000) {
				copy(b, ask)
				if interleaved {
					binary.BigEndian.PutUint64(b[24:], uint64(out.receive))
					binary.BigEndian.PutUint64(b[32:], uint64(i+1))
				}
				in.Stamp.Time = wall(i * 1e6)
				if v := r.Receive(b, &in, everybody, snap, &out); v != Answer {
					t.Fatal(v)
				}
				tag := r.Seal(&out, b[:out.Len], in.Stamp.Time.Add(10), snap)
				r.Transmitted(tag, clock.Stamp{Time: in.Stamp.Time.Add(1e4), Kind: clock.StampKernel}, snap)
				if out.Interleaved {
					hits++
				}
			}
		})
		if n != 0 {
			t.Errorf("interleaved %v: %v allocations in 10000 requests, want 0", interleaved, n)
		}
		if interleaved && hits < 9998 || !interleaved && hits != 0 {
			t.Errorf("interleaved %v: %d interleaved answers", interleaved, hits)
		}
		if c := &r.Counters; interleaved && c.TrueTx != c.Interleaved {
			t.Errorf("%d of %d interleaved answers have the kernel's timestamp", c.TrueTx, c.Interleaved)
		}
	}
}

func FuzzServe(f *testing.F) {
	f.Add(packet(4, ntp.ModeClient, 48), uint16(40000), int8(-20))
	f.Add(withField(monoBody(24), 20), uint16(123), int8(-32))
	f.Add(packet(1, 0, 48), uint16(40000), int8(0))
	f.Add(packet(4, ntp.ModeActive, 116), uint16(123), int8(127))
	f.Fuzz(func(t *testing.T, b []byte, port uint16, precision int8) {
		r, other, snap := newServer(2), newServer(2), snapshot()
		snap.Precision = precision
		for i := range int64(3) {
			answer, v := serve(r, b, port, wall(i*1e9), snap)
			if v != Answer {
				if answer != nil {
					t.Fatalf("%v is answered", v)
				}
				continue
			}
			if len(answer) > len(b) {
				t.Fatalf("%d octets answer %d", len(answer), len(b))
			}
			var q, p ntp.Packet
			if !p.Decode(answer) || !q.Decode(b) {
				t.Fatalf("%x is answered with %x", b, answer)
			}
			if p.Origin != q.Transmit && p.Origin != q.Receive || p.Receive&1 == 0 || p.Transmit&1 == 1 || p.Version != q.Version {
				t.Fatalf("%+v is answered with %+v", q, p)
			}
			if _, v := serve(other, answer, port, wall(0), snap); v == Answer {
				t.Fatalf("the answer %x is answered", answer)
			}
		}
	})
}
