// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// ask hands a copy of b to s and returns the verdict and the sealed answer.
func ask(s *Server, b []byte, from string, rx clock.Wall, p *Policy) ([]byte, Verdict) {
	b = bytes.Clone(b)
	var out Reply
	in := Arrival{From: netip.MustParseAddrPort(from), Stamp: clock.Stamp{Time: rx, Kind: clock.StampKernel}}
	v := s.Receive(b, &in, p, snapshot(), &out)
	if v != Answer && v != Kissed {
		return nil, v
	}
	s.Seal(&out, b[:out.Len], rx.Add(20*clock.Microsecond), snapshot())
	return b[:out.Len], v
}

// badMAC is a request with a MAC of a key that we have, of something else.
func badMAC() []byte {
	b := withMAC(packet(4, ntp.ModeClient, 48))
	b[len(b)-1] ^= 1
	return b
}

// strict lets 192.0.2.0/24 ask once in 16 s.
func strict() *Policy {
	return &Policy{
		Access: acl.New([]acl.Rule{{Allow: true, Prefix: netip.MustParsePrefix("192.0.2.0/24")}}),
		Keys:   auth.Ring{7: key},
		Limit:  clientlog.NewLimit(4, 1, 1, 0),
	}
}

// TestOrderOfVerdicts: of several faults the one that costs least to see decides,
// and only who may ask leaves a record.
func TestOrderOfVerdicts(t *testing.T) {
	const friend, stranger = "192.0.2.1:40000", "198.51.100.1:40000"
	control := packet(4, ntp.ModeControl, 48)
	for _, tt := range []struct {
		name   string
		b      []byte
		from   string
		before int // requests of the same client at once
		want   Verdict
		hits   uint32
	}{
		{"good", packet(4, 3, 48), friend, 0, Answer, 1},
		{"denied, bad MAC", badMAC(), stranger, 0, Denied, 0},
		{"denied, over the limit", packet(4, 3, 48), stranger, 5, Denied, 0},
		{"denied, bad mode", control, stranger, 0, BadMode, 0},
		{"denied, bad trailer", packet(4, 3, 120), stranger, 0, BadTrailer, 0},
		{"denied, bad length", packet(4, 3, 47), stranger, 0, BadLength, 0},
		{"bad mode", control, friend, 0, BadMode, 0},
		{"bad version, bad mode", packet(7, ntp.ModeControl, 48), friend, 0, BadVersion, 0},
		{"bad length, bad version", packet(7, 3, 45), friend, 0, BadLength, 0},
		{"bad MAC", badMAC(), friend, 0, BadAuth, 1},
		{"over the limit", packet(4, 3, 48), friend, 1, Limited, 2},
		{"over the limit, bad MAC", badMAC(), friend, 1, Limited, 2},
		{"over the limit, bad mode", control, friend, 1, BadMode, 1},
		{"the same client as IPv6", packet(4, 3, 48), "[::ffff:192.0.2.1]:40001", 1, Limited, 2},
	} {
		s, p := NewServer(Config{Log: 1 << 14, Random: func() uint64 { return math.MaxUint64 }}), strict()
		for range tt.before {
			ask(s, packet(4, 3, 48), tt.from, wall(0), p)
		}
		if b, v := ask(s, tt.b, tt.from, wall(1), p); v != tt.want || (b != nil) != (v == Answer) {
			t.Errorf("%s: %v with an answer of %d octets, want %v", tt.name, v, len(b), tt.want)
		}
		hits := uint32(0)
		if r := s.Clients().Lookup(clientlog.PrefixOf(netip.MustParseAddrPort(tt.from).Addr())); r != nil {
			hits = r.Hits
		}
		if hits != tt.hits {
			t.Errorf("%s: %d hits in the record, want %d", tt.name, hits, tt.hits)
		}
	}
}

// TestBadMACCostsAToken: keys are tried only as often as the limit allows, so
// that nobody can make us compute digests.
func TestBadMACCostsAToken(t *testing.T) {
	s, p := NewServer(Config{Log: 1 << 14, Random: func() uint64 { return math.MaxUint64 }}), strict()
	for i, tt := range []struct {
		b    []byte
		at   int64
		want Verdict
	}{
		{badMAC(), 0, BadAuth}, {withMAC(packet(4, 3, 48)), 1, Limited}, {badMAC(), 2, Limited},
		{withMAC(packet(4, 3, 48)), 17e9, Answer},
	} {
		if _, v := ask(s, tt.b, "192.0.2.1:40000", wall(tt.at), p); v != tt.want {
			t.Errorf("request %d: %v, want %v", i, v, tt.want)
		}
	}
}

// TestKiss: an answer over the limit says RATE and nothing about our clock but
// when the request came; it is as good an answer as any to who checks its origin
// and its MAC.
func TestKiss(t *testing.T) {
	const client = "192.0.2.1:40000"
	// Bits that neither leak nor spare: one in 2^kod of them is a kiss.
	s := NewServer(Config{Stamps: 8, Log: 1 << 14, Random: func() uint64 { return 1 }})
	p := strict()
	p.Limit = clientlog.NewLimit(4, 2, 1, 2)
	ask(s, packet(4, 3, 48), client, wall(0), p)
	last, _ := ask(s, packet(4, 3, 48), client, wall(1e6), p)
	for _, req := range [][]byte{packet(4, 3, 48), packet(3, 3, 48), packet(4, 1, 48), packet(1, 0, 48),
		withMAC(packet(4, 3, 48)), withMAC(withField(monoBody(24), 0))} {
		b, v := ask(s, req, client, wall(2e6), p)
		var q, a ntp.Packet
		if v != Kissed || !a.Decode(b) || !q.Decode(req) {
			t.Fatalf("%x: %v, answer %x, want a kiss", req, v, b)
		}
		want := ntp.Packet{
			Leap: ntp.LeapUnsync, Version: q.Version, Mode: answerMode(q.Mode), Poll: 6, Precision: -20,
			RefID: ntp.KissRate, Origin: q.Transmit, Receive: a.Receive, Transmit: a.Transmit,
		}
		if a != want || a.Receive&1 == 0 || a.Transmit == 0 || a.Transmit&1 != 0 || len(b) > len(req) {
			t.Errorf("kiss %+v, want %+v", a, want)
		}
		if tr, ok := ntp.SplitTrailer(b, a.Version); !ok || len(tr.MAC) > 0 && !key.Verify(b[:tr.MACOffset], tr.MAC) ||
			(len(tr.MAC) > 0) != (len(req) > 48) {
			t.Errorf("kiss %x for %x: the MAC is wrong", b, req)
		}
	}
	if c := s.Counters; c.Verdicts[Kissed] != 6 || c.Answered() != 8 || c.Authenticated != 2 || c.Refused() != 0 {
		t.Errorf("counters %+v", c)
	}
	if _, v := ask(s, badMAC(), client, wall(2e6), p); v != BadAuth {
		t.Errorf("a bad MAC over the limit: %v, want no kiss", v)
	}
	// A kiss takes nothing from a client in interleaved mode: after it the stamp
	// of the answer before is still there.
	var a ntp.Packet
	a.Decode(last)
	inter := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: a.Receive, Receive: 5, Transmit: 6}
	x, _ := ask(s, inter.AppendTo(nil), client, wall(40e9), p)
	a.Decode(x)
	inter.Origin = a.Receive
	ask(s, inter.AppendTo(nil), client, wall(40e9), p)
	x, v := ask(s, inter.AppendTo(nil), client, wall(40e9), p)
	if v != Kissed {
		t.Fatalf("%v, want a kiss", v)
	}
	n, _ := s.Stamps()
	if a.Decode(x); n != 1 || a.Origin != 6 {
		t.Errorf("a kiss in interleaved mode: %d stamps held, origin %d", n, a.Origin)
	}
}

// TestPoll: answers name the pace that the limit allows, if the client's is
// faster.
func TestPoll(t *testing.T) {
	for _, tt := range []struct{ limit, asked, want int8 }{
		{4, 6, 6}, {8, 6, 8}, {-6, -7, -6}, {-6, -6, -6}, {12, -128, 12}, {-19, -128, -19}, {12, 127, 127}, {0, 17, 17},
	} {
		p := *everybody
		p.Limit = clientlog.NewLimit(int(tt.limit), 8, 1, 0)
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Poll: tt.asked, Transmit: 1}
		b, v := ask(newServer(0), q.AppendTo(nil), "192.0.2.1:123", wall(0), &p)
		var a ntp.Packet
		if a.Decode(b); v != Answer || a.Poll != tt.want {
			t.Errorf("limit %d, poll %d: %v, poll %d, want %d", tt.limit, tt.asked, v, a.Poll, tt.want)
		}
	}
}

// TestPolicySwap: the next request is judged by the new policy; records stay.
func TestPolicySwap(t *testing.T) {
	s := NewServer(Config{Log: 1 << 14, Random: func() uint64 { return math.MaxUint64 }})
	const client = "192.0.2.1:40000"
	closed, keyless, open := &Policy{}, &Policy{Access: everybody.Access}, strict()
	for i, tt := range []struct {
		p    *Policy
		b    []byte
		want Verdict
	}{
		{closed, packet(4, 3, 48), Denied}, {everybody, packet(4, 3, 48), Answer}, {everybody, withMAC(packet(4, 3, 48)), Answer},
		{keyless, withMAC(packet(4, 3, 48)), BadAuth}, {keyless, packet(4, 3, 48), Answer}, {open, packet(4, 3, 48), Answer},
		{open, packet(4, 3, 48), Limited}, {everybody, packet(4, 3, 48), Answer}, {open, packet(4, 3, 48), Limited}, {closed, packet(4, 3, 48), Denied},
	} {
		if _, v := ask(s, tt.b, client, wall(int64(i)), tt.p); v != tt.want {
			t.Errorf("request %d: %v, want %v", i, v, tt.want)
		}
	}
	r := s.Clients().Lookup(clientlog.PrefixOf(netip.MustParseAddr("192.0.2.1")))
	if r == nil || r.Hits != 8 || r.Drops != 2 {
		t.Errorf("record %+v, want 8 hits and 2 drops", r)
	}
}

// macTypes are all types of keys, and one key of each.
var macTypes = func() map[auth.Type]auth.Key {
	keys := make(map[auth.Type]auth.Key)
	for typ := auth.MD5; typ <= auth.AES256; typ++ {
		secret := bytes.Repeat([]byte{byte(typ)}, 32)
		if typ == auth.AES128 {
			secret = secret[:16]
		}
		k, err := auth.NewKey(100+uint32(typ), typ, secret)
		if err != nil {
			panic(err)
		}
		keys[typ] = k
	}
	return keys
}()

// TestKeys: a MAC is answered with one of the same key and length, whatever the
// type, whole or, in version 4, cut as RFC 7822 wants it behind fields.
func TestKeys(t *testing.T) {
	p := &Policy{Access: everybody.Access, Keys: auth.Ring{}}
	for _, k := range macTypes {
		p.Keys[k.ID()] = k
	}
	for typ, k := range macTypes {
		for _, version := range []uint8{1, 3, 4} {
			for _, n := range []int{k.MACLen(), min(k.MACLen(), auth.ShortMACLen), 16} {
				for _, field := range []bool{false, true} {
					name := fmt.Sprintf("%v, version %d, %d octets, field %v", typ, version, n, field)
					req := packet(version, ntp.ModeClient, 48)
					if field {
						req = withField(monoBody(24), 0)
						req[0] = packet(version, ntp.ModeClient, 48)[0]
					}
					body := len(req)
					req = binary.BigEndian.AppendUint32(req, k.ID())
					req = append(req, k.AppendMAC(nil, req[:body])[:n]...)
					b, v := ask(newServer(0), req, "192.0.2.1:40000", wall(0), p)
					want := Answer
					switch {
					case field && (version < 4 || n > 20) && (version == 4 || 4+n+body-48 > 72):
						want = BadTrailer
					case field && version < 4, n != k.MACLen() && (version < 4 || n != min(k.MACLen(), 20)):
						want = BadAuth
					}
					if v != want {
						t.Errorf("%s: %v, want %v", name, v, want)
					}
					if v != Answer {
						continue
					}
					tr, ok := ntp.SplitTrailer(b, version)
					if !ok || tr.KeyID != k.ID() || len(tr.MAC) != n || !k.Verify(b[:tr.MACOffset], tr.MAC) || len(b) != len(req) {
						t.Errorf("%s: the answer %x has no good MAC", name, b)
					}
				}
			}
		}
	}
}
