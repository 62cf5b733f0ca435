// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"bytes"
	"encoding/binary"
	"fmt"
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

// model is a server said plainly: it answers into memory of its own, so it cannot
// read what it wrote over, and forgets no stamp. It draws its random numbers in
// the same order as the server.
type model struct {
	random func() uint64
	policy *Policy
	stamps map[modelKey]*modelStamp
	counts Counters
}

type modelKey struct {
	who     netip.Addr
	receive ntp.Timestamp
}

type modelStamp struct {
	sent ntp.Timestamp
	kind clock.StampKind
}

// traffic is a request and its fate.
type traffic struct {
	req   []byte
	from  netip.AddrPort
	rx    clock.Stamp
	tx    clock.Wall  // as it is when the answer is sealed
	left  clock.Stamp // of kind none: unknown
	owner bool        // whether From is who the origin was given to
}

// verdict is the model's. Limits are clientlog's, so d tells.
func (m *model) verdict(x *traffic, d clientlog.Decision) (Verdict, ntp.Trailer) {
	b := x.req
	if len(b) < 48 || len(b) > 1140 || len(b)%4 != 0 {
		return BadLength, ntp.Trailer{}
	}
	version, mode := b[0]>>3&7, b[0]&7
	if version == 0 || version > 4 {
		return BadVersion, ntp.Trailer{}
	}
	if mode != 3 && mode != 1 && (mode != 0 || version != 1 || x.from.Port() == 123) {
		return BadMode, ntp.Trailer{}
	}
	tr, ok := ntp.SplitTrailer(b, version)
	if !ok {
		return BadTrailer, tr
	}
	if !m.policy.Access.Allowed(x.from.Addr().Unmap()) {
		return Denied, tr
	}
	if d == clientlog.Drop {
		return Limited, tr
	}
	if len(tr.MAC) > 0 {
		k, ok := m.policy.Keys[tr.KeyID]
		cut := len(tr.MAC) < k.MACLen() && b[0]>>3&7 != 4
		if !ok || cut || !k.Verify(b[:tr.MACOffset], tr.MAC) {
			return BadAuth, tr
		}
	}
	if d == clientlog.Kiss {
		return Kissed, tr
	}
	return Answer, tr
}

// answer is the octets of the answer, put together field by field.
func (m *model) answer(x *traffic, v Verdict, tr *ntp.Trailer, snap *Snapshot) []byte {
	be := binary.BigEndian
	received := snap.Served(x.rx.Time)
	receive := ntp.FromInstant(received).Fuzz(snap.Precision, m.random()) | 1
	version, mode := x.req[0]>>3&7, byte(4)
	if x.req[0]&7 == 1 {
		mode = 2
	}
	poll := int8(x.req[2])
	if l := m.policy.Limit; l != nil && l.Interval > poll {
		poll = l.Interval
	}
	disp := snap.RootDisp + math.Abs(received.Sub(snap.RefTime).Seconds())*snap.DispRate
	var h []byte
	if v == Kissed {
		h = append(h, 3<<6|version<<3|mode, 0, byte(poll), byte(snap.Precision))
		h = append(append(h, make([]byte, 8)...), "RATE\x00\x00\x00\x00\x00\x00\x00\x00"...)
	} else {
		h = append(h, byte(snap.Leap)<<6|version<<3|mode, snap.Stratum, byte(poll), byte(snap.Precision))
		h = be.AppendUint32(be.AppendUint32(h, uint32(ntp.ToShort(snap.RootDelay))), uint32(ntp.ToShort(disp)))
		h = be.AppendUint64(be.AppendUint32(h, uint32(snap.RefID)), uint64(ntp.FromInstant(snap.RefTime)))
	}
	origin, transmit, entry := m.interleave(x, v, receive)
	sent := ntp.FromInstant(snap.Served(x.tx)).Fuzz(snap.Precision, m.random()) &^ 1
	if transmit == 0 {
		transmit = sent
	}
	if entry != nil {
		*entry = modelStamp{sent: sent, kind: clock.StampDaemon}
		if left := snap.Served(x.left.Time); x.left.Kind != clock.StampNone {
			*entry = modelStamp{sent: ntp.FromInstant(left) &^ 1, kind: x.left.Kind}
		}
	}
	h = be.AppendUint64(be.AppendUint64(be.AppendUint64(h, uint64(origin)), uint64(receive)), uint64(transmit))
	if _, ok := ntp.FindMonoRoot(tr.Fields); ok {
		h = append(be.AppendUint16(be.AppendUint16(h, 0xf323), 28), 0xf5, 0xbe, 0xdd, 0x9a)
		h = be.AppendUint32(be.AppendUint32(h, fixed28(snap.RootDelay)), fixed28(disp))
		h = be.AppendUint64(h, uint64(ntp.FromInstant(received.Shift(snap.MonoOffset))))
		h = be.AppendUint32(h, snap.Epoch)
	}
	if n := len(tr.MAC); n > 0 {
		mac := m.policy.Keys[tr.KeyID].AppendMAC(nil, h)
		h = append(be.AppendUint32(h, tr.KeyID), mac[:n]...)
		m.counts.Authenticated++
	}
	return h
}

// interleave returns origin and, in interleaved mode, transmit timestamp of the
// answer, and where to keep when it left.
func (m *model) interleave(x *traffic, v Verdict, receive ntp.Timestamp) (origin, transmit ntp.Timestamp, entry *modelStamp) {
	var q ntp.Packet
	q.Decode(x.req)
	if v == Kissed || q.Version != 4 || q.Mode == ntp.ModeActive || q.Origin&1 == 0 || q.Receive == q.Transmit {
		return q.Transmit, 0, nil
	}
	origin = q.Transmit
	who := x.from.Addr().Unmap()
	if e := m.stamps[modelKey{who, q.Origin}]; e != nil && q.Receive != 0 {
		origin, transmit = q.Receive, e.sent
		m.counts.Interleaved++
		if e.kind != clock.StampDaemon {
			m.counts.TrueTx++
		}
	}
	delete(m.stamps, modelKey{who, q.Origin})
	entry = new(modelStamp)
	m.stamps[modelKey{who, receive}] = entry
	return origin, transmit, entry
}

// street is where requests come from: a few clients, of whom each knows what it
// and the others were told.
type street struct {
	rng   *rand.Rand
	now   clock.Wall
	addrs []netip.Addr
	told  []modelStampOf
}

type modelStampOf struct {
	who               netip.Addr
	receive, transmit ntp.Timestamp
}

func newStreet(rng *rand.Rand) *street {
	s := &street{rng: rng, now: wall(0)}
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::1", "2001:db8::2", "198.51.100.1"} {
		s.addrs = append(s.addrs, netip.MustParseAddr(a))
	}
	return s
}

// next is a request: mostly a good one, of any kind.
func (s *street) next(keys []auth.Key) (x traffic) {
	r := s.rng
	s.now = s.now.Add(clock.Interval(1 + r.Int64N(1e9)))
	x.from = netip.AddrPortFrom(s.addrs[r.IntN(len(s.addrs))], []uint16{123, 40000}[r.IntN(2)])
	x.rx = clock.Stamp{Time: s.now, Kind: clock.StampDaemon + clock.StampKind(r.IntN(2))}
	x.tx = s.now.Add(clock.Interval(r.Int64N(1e6)))
	if r.IntN(3) > 0 {
		x.left = clock.Stamp{Time: x.tx.Add(clock.Interval(r.Int64N(1e6))), Kind: clock.StampKernel + clock.StampKind(r.IntN(3))}
	}
	q := ntp.Packet{
		Leap: ntp.Leap(r.IntN(4)), Version: 4, Mode: ntp.ModeClient, Stratum: uint8(r.Uint32()), Poll: int8(r.Uint32()),
		Transmit: ntp.Timestamp(r.Uint64()), Origin: ntp.Timestamp(r.Uint64() * r.Uint64N(2)), Receive: ntp.Timestamp(r.Uint64()),
	}
	if r.IntN(4) == 0 {
		q.Version, q.Mode = uint8(r.IntN(8)), ntp.Mode(r.IntN(8))
	}
	if n := len(s.told); n > 0 && r.IntN(4) > 0 {
		last := s.told[n-1-r.IntN(min(n, 8))]
		q.Origin = last.receive
		if r.IntN(4) == 0 {
			q.Origin = last.transmit
		}
		if r.IntN(2) == 0 {
			x.from = netip.AddrPortFrom(last.who, x.from.Port())
		}
		x.owner = x.from.Addr() == last.who
	}
	switch r.IntN(10) {
	case 0:
		q.Receive = 0
	case 1:
		q.Receive = q.Transmit
	}
	x.req = s.trailer(q.AppendTo(nil), keys)
	return x
}

// trailer puts fields and a MAC behind the header, or something like them.
func (s *street) trailer(b []byte, keys []auth.Key) []byte {
	r := s.rng
	for range r.IntN(3) {
		switch r.IntN(3) {
		case 0:
			b = ntp.AppendField(b, ntp.FieldType(r.Uint32()), make([]byte, r.IntN(100)), 28)
		case 1:
			b = ntp.AppendField(b, ntp.FieldMonoRoot, monoBody(24), 28)
		}
	}
	switch r.IntN(6) {
	case 0, 1:
		k := keys[r.IntN(len(keys))]
		mac := k.AppendMAC(nil, b)
		if n := auth.ShortMACLen; len(b) > 48 || r.IntN(3) == 0 {
			mac = mac[:min(n, len(mac))]
		}
		b = append(binary.BigEndian.AppendUint32(b, k.ID()), mac...)
		if r.IntN(5) == 0 {
			b[r.IntN(len(b))] ^= 1
		}
	case 2:
		b = append(b, make([]byte, r.IntN(80))...)
	}
	return b
}

// town is a server, its model and the street they stand in.
type town struct {
	testing.TB
	s    *Server
	m    *model
	st   *street
	keys []auth.Key
	snap *Snapshot
}

// newTown returns a town where all but one address may ask, with more stamps than
// there will be requests.
func newTown(t testing.TB, rng *rand.Rand, stamps int) *town {
	v := &town{TB: t, st: newStreet(rng), snap: snapshot()}
	p := &Policy{Access: acl.New([]acl.Rule{
		{Allow: true, Everything: true}, {Prefix: netip.MustParsePrefix("198.51.100.0/24")}}), Keys: auth.Ring{}}
	for typ := auth.MD5; typ <= auth.AES256; typ++ {
		k := macTypes[typ]
		v.keys = append(v.keys, k)
		p.Keys[k.ID()] = k
	}
	a, b := rng.Uint64(), rng.Uint64()
	v.s = NewServer(Config{Stamps: stamps, Log: 1 << 12, Key: clientlog.HashKey{a, b}, Random: rand.New(rand.NewPCG(a, b)).Uint64})
	v.m = &model{random: rand.New(rand.NewPCG(a, b)).Uint64, policy: p, stamps: make(map[modelKey]*modelStamp)}
	return v
}

// pass lets a request through both and compares. It returns the answer.
func (v *town) pass(x *traffic) []byte {
	v.Helper()
	got := append(bytes.Clone(x.req), 0xaa, 0xaa, 0xaa, 0xaa)
	var out Reply
	in := Arrival{From: x.from, Stamp: x.rx}
	b := got[: len(x.req) : len(x.req)+4]
	verdict := v.s.Receive(b, &in, v.m.policy, v.snap, &out)
	d := clientlog.Pass
	switch verdict {
	case Limited:
		d = clientlog.Drop
	case Kissed:
		d = clientlog.Kiss
	}
	want, tr := v.m.verdict(x, d)
	if verdict != want {
		v.Fatalf("%x from %v: %v, want %v", x.req, x.from, verdict, want)
	}
	v.m.counts.Verdicts[want]++
	if x.from.Addr().Is6() {
		v.m.counts.V6[want]++
	}
	if want != Answer && want != Kissed {
		if !bytes.Equal(b, x.req) {
			v.Fatalf("%v, and %x became %x", verdict, x.req, b)
		}
		return nil
	}
	v.m.counts.Versions[x.req[0]>>3&7-1]++
	if x.rx.Kind == clock.StampDaemon {
		v.m.counts.DaemonRx++
	}
	tag := v.s.Seal(&out, b[:out.Len], x.tx, v.snap)
	if x.left.Kind != clock.StampNone {
		v.s.Transmitted(tag, x.left, v.snap)
	}
	if answer := v.m.answer(x, want, &tr, v.snap); !bytes.Equal(b[:out.Len], answer) {
		v.Fatalf("%v to %x:\n     %x,\nwant %x", want, x.req, b[:out.Len], answer)
	}
	if out.Len > len(x.req) || !bytes.Equal(got[len(x.req):], []byte{0xaa, 0xaa, 0xaa, 0xaa}) {
		v.Fatalf("%d octets answer %d, behind them %x", out.Len, len(x.req), got[len(x.req):])
	}
	if out.Interleaved && !x.owner {
		v.Fatalf("%v got the stamp of another", x.from)
	}
	return b[:out.Len]
}

// run passes n requests and returns the octets of all answers.
func (v *town) run(n int) []byte {
	v.Helper()
	var all []byte
	for i := range n {
		if i%50 == 0 {
			v.snap.Correction.Offset += clock.Offset(v.st.rng.NormFloat64() * 1e-3)
			v.snap.Precision = int8(-10 - v.st.rng.IntN(20))
		}
		x := v.st.next(v.keys)
		answer := v.pass(&x)
		all = append(all, answer...)
		var p ntp.Packet
		if p.Decode(answer) {
			v.st.told = append(v.st.told, modelStampOf{x.from.Addr(), p.Receive, p.Transmit})
		}
	}
	return all
}

// TestAgainstModel: for any requests the answers are those of the plain model,
// octet for octet, and the counters say what was sent.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			v := newTown(t, rand.New(rand.NewPCG(seed, 1)), 1<<14)
			v.run(5000)
			if v.s.Counters != v.m.counts {
				t.Errorf("counters %+v, want %+v", v.s.Counters, v.m.counts)
			}
			c := v.s.Counters
			if c.Interleaved < 300 || c.TrueTx < 100 || c.Authenticated < 200 {
				t.Errorf("too little happened: %+v", c)
			}
			if c.Answered()+c.Refused() != 5000 {
				t.Errorf("%d answered and %d refused of 5000", c.Answered(), c.Refused())
			}
			versions := uint64(0)
			for _, n := range c.Versions {
				versions += n
			}
			twice := c
			if twice.Add(&c); versions != c.Answered() || twice.Answered() != 2*c.Answered() || twice.Interleaved != 2*c.Interleaved ||
				twice.TrueTx != 2*c.TrueTx || twice.DaemonRx != 2*c.DaemonRx || twice.Authenticated != 2*c.Authenticated || twice.Versions[3] != 2*c.Versions[3] {
				t.Errorf("added to itself %+v is %+v", c, twice)
			}
		})
	}
}

// TestDeterminism: the same seed and the same facts give the same octets, with a
// limit that draws random numbers too; another seed gives others.
func TestDeterminism(t *testing.T) {
	run := func(facts, seed uint64) []byte {
		v := newTown(t, rand.New(rand.NewPCG(facts, 2)), 1)
		p := *v.m.policy
		p.Limit = clientlog.NewLimit(4, 2, 1, 1)
		s := NewServer(Config{Stamps: 64, Log: 1 << 12, Key: clientlog.HashKey{seed, 2}, Random: rand.New(rand.NewPCG(seed, 3)).Uint64})
		var all []byte
		for range 3000 {
			x := v.st.next(v.keys)
			var out Reply
			b := bytes.Clone(x.req)
			d := s.Receive(b, &Arrival{From: x.from, Stamp: x.rx}, &p, v.snap, &out)
			if all = append(all, byte(d)); d == Answer || d == Kissed {
				s.Transmitted(s.Seal(&out, b, x.tx, v.snap), x.left, v.snap)
				all = append(all, b[:out.Len]...)
			}
		}
		if c := s.Counters.Verdicts; min(c[Limited], c[Kissed], c[Answer]) < 50 {
			t.Errorf("verdicts %v: not enough of each", c)
		}
		return all
	}
	if a, b := run(1, 1), run(1, 1); !bytes.Equal(a, b) {
		t.Error("the same facts give other answers")
	}
	if a, b := run(1, 1), run(1, 2); bytes.Equal(a, b) {
		t.Error("another seed gives the same answers")
	}
}

// tape is a source of random numbers that a fuzzer writes.
type tape struct {
	data []byte
	rest *rand.PCG
}

func (s *tape) Uint64() uint64 {
	if len(s.data) < 8 {
		return s.rest.Uint64()
	}
	v := binary.BigEndian.Uint64(s.data)
	s.data = s.data[8:]
	return v
}

// FuzzSequence lets a fuzzer choose a sequence of requests, from addresses that
// know each other's timestamps, and a packet of its own in their midst.
func FuzzSequence(f *testing.F) {
	f.Add([]byte("12345678abcdefgh12345678abcdefgh"), packet(4, ntp.ModeClient, 48))
	f.Add([]byte{}, withMAC(withField(monoBody(24), 0)))
	f.Add(bytes.Repeat([]byte{0xff}, 400), packet(1, 0, 68))
	f.Fuzz(func(t *testing.T, data, own []byte) {
		v := newTown(t, rand.New(&tape{data, rand.NewPCG(7, uint64(len(data)))}), 1<<9)
		v.run(20)
		x := v.st.next(v.keys)
		x.req, x.owner = own, true
		answer := v.pass(&x)
		v.run(20)
		y := traffic{req: answer, from: x.from, rx: x.rx, tx: x.tx}
		if again := v.pass(&y); answer != nil && again != nil {
			t.Fatalf("the answer %x is answered", answer)
		}
		if v.s.Counters != v.m.counts {
			t.Fatalf("counters %+v, want %+v", v.s.Counters, v.m.counts)
		}
	})
}
