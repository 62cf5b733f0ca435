// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// client is one in interleaved mode: it repeats the receive timestamp of the
// last answer as its origin.
type client struct {
	r      *Server
	from   netip.AddrPort
	snap   *Snapshot
	random func() uint64
	last   ntp.Packet
	first  bool
}

func newClient(r *Server, seed uint64) *client {
	addr := netip.AddrFrom4([4]byte{10, byte(seed >> 16), byte(seed >> 8), byte(seed)})
	return &client{
		r: r, from: netip.AddrPortFrom(addr, 40000), snap: snapshot(),
		random: rand.New(rand.NewPCG(seed, 0)).Uint64, first: true,
	}
}

// answer is what a client got.
type answer struct {
	Reply
	Packet ntp.Packet
}

// ask sends a request that arrives at rx; the answer really leaves 50 us later.
func (c *client) ask(rx clock.Wall) (q ntp.Packet, out answer, left clock.Wall) {
	q = ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(c.random() | 2)}
	if !c.first {
		q.Origin, q.Receive = c.last.Receive, ntp.Timestamp(c.random()|4)
	}
	return q, c.send(q, rx), rx.Add(50 * clock.Microsecond)
}

func (c *client) send(q ntp.Packet, rx clock.Wall) (out answer) {
	b := q.AppendTo(nil)
	in := Arrival{From: c.from, Stamp: clock.Stamp{Time: rx, Kind: clock.StampKernel}}
	if v := c.r.Receive(b, &in, everybody, c.snap, &out.Reply); v != Answer {
		panic(v)
	}
	tag := c.r.Seal(&out.Reply, b, rx.Add(10*clock.Microsecond), c.snap)
	c.r.Transmitted(tag, clock.Stamp{Time: rx.Add(50 * clock.Microsecond), Kind: clock.StampKernel}, c.snap)
	out.Packet.Decode(b)
	c.last, c.first = out.Packet, false
	return out
}

// isLeft tells whether ts is the time at which an answer left, with its lowest
// bit cleared.
func (c *client) isLeft(ts ntp.Timestamp, left clock.Wall) bool {
	return ts == ntp.FromInstant(c.snap.Served(left))&^1
}

// TestInterleaved follows RFC 9769 section 2: the first two answers are basic,
// from the third on each tells when the one before left.
func TestInterleaved(t *testing.T) {
	c := newClient(newServer(4), 1)
	var before clock.Wall
	for i := range int64(10) {
		q, out, left := c.ask(wall(i * 1e9))
		p := out.Packet
		if i < 2 {
			if out.Interleaved || p.Origin != q.Transmit {
				t.Errorf("answer %d: interleaved %v, origin %#x, want basic", i+1, out.Interleaved, p.Origin)
			}
		} else if !out.Interleaved || p.Origin != q.Receive || !c.isLeft(p.Transmit, before) {
			t.Errorf("answer %d: interleaved %v, origin %#x, transmit %v; want origin %#x and %v", i+1,
				out.Interleaved, p.Origin, p.Transmit.Served().Nanos(), q.Receive, before.Nanos())
		}
		before = left
	}
}

func TestInterleavedRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(q *ntp.Packet)
	}{
		{"spoofed origin", func(q *ntp.Packet) { q.Origin += 2 }},
		{"origin without the mark", func(q *ntp.Packet) { q.Origin &^= 1 }},
		{"no origin", func(q *ntp.Packet) { q.Origin = 0 }},
		{"receive equals transmit", func(q *ntp.Packet) { q.Receive = q.Transmit }},
		{"no receive", func(q *ntp.Packet) { q.Receive = 0 }},
		{"version 3", func(q *ntp.Packet) { q.Version = 3 }},
		{"symmetric", func(q *ntp.Packet) { q.Mode = ntp.ModeActive }},
	}
	for _, tt := range tests {
		c := newClient(newServer(4), 1)
		c.ask(wall(0))
		c.ask(wall(1e9))
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: c.last.Receive, Receive: 0x1234, Transmit: 0x5678}
		tt.change(&q)
		if out := c.send(q, wall(2e9)); out.Interleaved || out.Packet.Origin != q.Transmit {
			t.Errorf("%s: interleaved %v, origin %#x, want a basic answer", tt.name, out.Interleaved, out.Packet.Origin)
		}
	}
}

func TestInterleavedOnce(t *testing.T) {
	c := newClient(newServer(4), 1)
	c.ask(wall(0))
	c.ask(wall(1e9))
	q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: c.last.Receive, Receive: 0x1234, Transmit: 0x5678}
	if out := c.send(q, wall(2e9)); !out.Interleaved {
		t.Fatal("the request is not answered in interleaved mode")
	}
	for i := range 5 {
		if out := c.send(q, wall(3e9)); out.Interleaved || out.Packet.Origin != q.Transmit {
			t.Errorf("replay %d is answered in interleaved mode", i+1)
		}
	}
}

// TestManyClients: with as many clients as half of the stamps hardly any is
// driven out by another, with far too many none gets the stamp of another.
func TestManyClients(t *testing.T) {
	const size = 1024
	for _, tt := range []struct {
		clients int
		least   float64 // share of the requests answered in interleaved mode
	}{{1, 1}, {size / 4, 1}, {size / 2, 0.995}, {3 * size, 0}} {
		r := newServer(size)
		all := make([]*client, tt.clients)
		left := make([]clock.Wall, tt.clients)
		for i := range all {
			all[i] = newClient(r, uint64(i))
		}
		hits := 0
		const rounds = 6
		for round := range int64(rounds) {
			for i, c := range all {
				_, out, l := c.ask(wall(round*1e9 + int64(i)*1e5))
				if out.Interleaved {
					hits++
					if !c.isLeft(out.Packet.Transmit, left[i]) {
						t.Fatalf("%d clients: client %d got the stamp of another", tt.clients, i)
					}
				}
				left[i] = l
			}
		}
		if share := float64(hits) / float64(tt.clients*(rounds-2)); share < tt.least {
			t.Errorf("%d clients, %d stamps: %.4f of the answers are interleaved, want %v", tt.clients, size, share, tt.least)
		}
	}
}

// TestStampIsTheClients: the receive timestamp in an answer is of no use to
// another address, nor does its try cost the client its stamp.
func TestStampIsTheClients(t *testing.T) {
	r := newServer(64)
	c, thief := newClient(r, 1), newClient(r, 2)
	c.ask(wall(0))
	c.ask(wall(1e9))
	q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: c.last.Receive, Receive: 0x1234, Transmit: 0x5678}
	if out := thief.send(q, wall(15e8)); out.Interleaved {
		t.Error("another address got the stamp")
	}
	if _, out, _ := c.ask(wall(2e9)); !out.Interleaved {
		t.Error("the try of another address cost the client its stamp")
	}
}

// TestBasicClientsCostNothing: basic clients, however many, drive nobody out.
func TestBasicClientsCostNothing(t *testing.T) {
	r := newServer(1)
	c := newClient(r, 1)
	c.ask(wall(0))
	c.ask(wall(1e9))
	flood := newClient(r, 2)
	for i := range int64(1000) {
		flood.first = true
		flood.ask(wall(1e9 + i*1e5))
	}
	// A basic client of the RFC's reference implementation echoes our transmit
	// timestamp, which bears no mark.
	flood.send(ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: flood.last.Transmit, Receive: 5, Transmit: 6}, wall(15e8))
	if _, out, _ := c.ask(wall(2e9)); !out.Interleaved {
		t.Error("basic clients drove an interleaved one out")
	}
}

func TestNoStamps(t *testing.T) {
	for _, size := range []int{0, -1} {
		c := newClient(newServer(size), 1)
		for i := range int64(5) {
			if _, out, _ := c.ask(wall(i * 1e9)); out.Interleaved || out.tag != -1 {
				t.Fatalf("a server with %d stamps is in interleaved mode", size)
			}
		}
		c.r.Transmitted(0, clock.Stamp{}, c.snap)
	}
}

// TestTransmitted: only a stamp from about the time in the answer to 1 s later
// replaces it.
func TestTransmitted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay clock.Interval
		tag   func(tag int) int
		taken bool
	}{
		{"at once", 0, same, true},
		{"a millisecond", clock.Millisecond, same, true},
		{"a second", clock.Second, same, true},
		{"over a second", clock.Second + clock.Microsecond, same, false},
		{"a little earlier than foretold", -clock.Microsecond, same, true},
		{"early", -2 * clock.Millisecond, same, false},
		{"of another answer", clock.Millisecond, func(tag int) int { return tag + 1<<entryBits }, false},
		{"wild tag", clock.Millisecond, func(int) int { return 99 }, false},
		{"no tag", clock.Millisecond, func(int) int { return -1 }, false},
	} {
		snap := snapshot()
		snap.Precision = -32
		r := newServer(1)
		c := newClient(r, 1)
		c.snap = snap
		c.ask(wall(0))
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: c.last.Receive, Receive: 8, Transmit: 9}
		b := q.AppendTo(nil)
		var out Reply
		r.Receive(b, &Arrival{From: c.from, Stamp: clock.Stamp{Time: wall(1e9)}}, everybody, snap, &out)
		tag := r.Seal(&out, b, wall(1e9), snap)
		if tag < 0 || tag >= 1<<30 {
			t.Fatalf("%s: tag %d, want 0 to 2^30-1", tt.name, tag)
		}
		var p ntp.Packet
		p.Decode(b)
		want := p.Transmit
		left := wall(1e9).Add(tt.delay)
		r.Transmitted(tt.tag(tag), clock.Stamp{Time: left, Kind: clock.StampKernel}, snap)
		q.Origin, q.Receive = p.Receive, 10
		got := c.send(q, wall(5e9))
		if tt.taken {
			want = ntp.FromInstant(snap.Served(left)) &^ 1
		}
		if !got.Interleaved || got.Packet.Transmit != want {
			t.Errorf("%s: transmit %#x, want %#x", tt.name, got.Packet.Transmit, want)
		}
		if true := r.Counters.TrueTx == 1; true != tt.taken {
			t.Errorf("%s: %d answers with a timestamp of the kernel", tt.name, r.Counters.TrueTx)
		}
	}
}

func same(tag int) int { return tag }

// TestBestStamp: of several stamps of one answer that from nearest to the wire
// counts, in whatever order they come.
func TestBestStamp(t *testing.T) {
	for _, tt := range []struct {
		kinds []clock.StampKind
		want  clock.StampKind
	}{
		{[]clock.StampKind{clock.StampKernel, clock.StampHardware}, clock.StampHardware},
		{[]clock.StampKind{clock.StampHardware, clock.StampKernel}, clock.StampHardware},
		{[]clock.StampKind{clock.StampBPF, clock.StampNone, clock.StampKernel}, clock.StampBPF},
		{[]clock.StampKind{clock.StampNone}, clock.StampDaemon},
	} {
		r := newServer(1)
		c := newClient(r, 1)
		c.ask(wall(0))
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: c.last.Receive, Receive: 8, Transmit: 9}
		b := q.AppendTo(nil)
		var out Reply
		r.Receive(b, &Arrival{From: c.from, Stamp: clock.Stamp{Time: wall(1e9)}}, everybody, c.snap, &out)
		tag := r.Seal(&out, b, wall(1e9), c.snap)
		left := wall(1e9)
		for _, k := range tt.kinds {
			at := wall(1e9 + int64(k)*1000)
			if r.Transmitted(tag, clock.Stamp{Time: at, Kind: k}, c.snap); k == tt.want {
				left = at
			}
		}
		e := r.stamps.entry(tag)
		if d := e.sent.Served().Sub(c.snap.Served(left)); e.kind != tt.want || d < -clock.Microsecond || d > clock.Microsecond {
			t.Errorf("stamps %v: kind %v, %v off, want %v", tt.kinds, e.kind, d, tt.want)
		}
	}
}

// TestStoreOrder: what goes is the oldest, though stamps are a little out of
// order, and what is left from before the clock was set back goes first of all.
func TestStoreOrder(t *testing.T) {
	const second = ntp.Timestamp(1 << 32)
	s := newStampStore(1, 1)
	start := ntp.Timestamp(3e9) * second
	for i := range ntp.Timestamp(stampWays) {
		s.put(start+i*second/1000, uint64(i))
	}
	late := start + second/100
	s.put(late, 8)            // instead of 0
	s.put(late-second/200, 9) // instead of 1, and not of the one just now
	for i, want := range []bool{false, false, true, true, true, true, true, true} {
		if got := s.take(start+ntp.Timestamp(i)*second/1000, uint64(i)).received != 0; got != want {
			t.Errorf("entry %d is held: %v, want %v", i, got, want)
		}
	}
	if s.take(late, 8).received == 0 {
		t.Error("the newest entry went")
	}

	s = newStampStore(1, 1)
	for i := range ntp.Timestamp(stampWays) {
		s.put(start+i*second, uint64(i))
	}
	for i := range ntp.Timestamp(stampWays) {
		s.put(start-3600*second+i*second, uint64(i))
	}
	for i := range ntp.Timestamp(stampWays) {
		if s.take(start-3600*second+i*second, uint64(i)).received == 0 {
			t.Errorf("entry %d since the clock was set back is not held", i)
		}
	}
}

// TestStore compares the store with one that forgets nothing: what it finds is
// right, it finds the newest, and it never holds more than it has room for.
func TestStore(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, size := range []int{1, 8, 64, 1000} {
		s := newStampStore(size, rng.Uint64())
		type key struct {
			received ntp.Timestamp
			who      uint64
		}
		model := make(map[key]ntp.Timestamp)
		now := ntp.Timestamp(rng.Uint64())
		for range 20000 {
			now += ntp.Timestamp(1 + rng.Uint64N(1<<20))
			k := key{now, rng.Uint64N(4)}
			tag := s.put(k.received, k.who)
			model[k] = ntp.Timestamp(rng.Uint64() | 2)
			s.set(tag, model[k], clock.StampKernel)
			if rng.IntN(3) == 0 {
				if e := s.take(k.received, k.who+1); e.sent != 0 {
					t.Fatalf("size %d: somebody else's entry", size)
				}
				if e := s.take(k.received, k.who); e.sent != model[k] {
					t.Fatalf("size %d: the newest entry gives %d, want %d", size, e.sent, model[k])
				}
				delete(model, k)
			}
		}
		if n, span := s.span(); n > (size+7)/8*8 || n == 0 || span < 0 {
			t.Errorf("size %d: %d entries over %v", size, n, span)
		}
		held := 0
		for k, want := range model {
			switch e := s.take(k.received, k.who); e.sent {
			case want:
				held++
			case 0:
			default:
				t.Fatalf("size %d: %d, want %d", size, e.sent, want)
			}
		}
		if n, _ := s.span(); n != 0 || held == 0 {
			t.Errorf("size %d: %d entries found, %d left", size, held, n)
		}
	}
}
