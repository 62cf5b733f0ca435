// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math/rand/v2"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// client is one in interleaved mode: it repeats the receive timestamp of the
// last answer as its origin.
type client struct {
	r      *Responder
	snap   *Snapshot
	random func() uint64
	last   ntp.Packet
	first  bool
}

func newClient(r *Responder, seed uint64) *client {
	return &client{r: r, snap: snapshot(), random: rand.New(rand.NewPCG(seed, 0)).Uint64, first: true}
}

// ask sends a request that arrives at rx; the answer really leaves 50 us later.
func (c *client) ask(rx clock.Wall) (q ntp.Packet, out Reply, left clock.Wall) {
	q = ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(c.random() | 2)}
	if !c.first {
		q.Origin, q.Receive = c.last.Receive, ntp.Timestamp(c.random()|4)
	}
	return q, c.send(q, rx), rx.Add(50 * clock.Microsecond)
}

func (c *client) send(q ntp.Packet, rx clock.Wall) (out Reply) {
	c.r.Respond(&Request{Packet: q}, rx, c.snap, &out)
	slot := c.r.Seal(&out, rx.Add(10*clock.Microsecond), c.snap)
	c.r.Transmitted(slot, rx.Add(50*clock.Microsecond), c.snap)
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
	c := newClient(New(4, random()), 1)
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
		c := newClient(New(4, random()), 1)
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
	c := newClient(New(4, random()), 1)
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

// TestStampRing: as many clients as there are stamps are served, one more
// drives the oldest out, and all of them get the right stamps.
func TestStampRing(t *testing.T) {
	const size = 100
	for _, clients := range []int{1, size, size + 1, 3 * size} {
		r := New(size, random())
		all := make([]*client, clients)
		left := make([]clock.Wall, clients)
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
						t.Fatalf("%d clients: client %d got the stamp of another", clients, i)
					}
				}
				left[i] = l
			}
		}
		want := 0
		if clients <= size {
			want = clients * (rounds - 2)
		}
		if hits != want {
			t.Errorf("%d clients, %d stamps: %d interleaved answers, want %d", clients, size, hits, want)
		}
	}
}

// TestBasicClientsCostNothing: basic clients, however many, drive nobody out.
func TestBasicClientsCostNothing(t *testing.T) {
	r := New(1, random())
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
		c := newClient(New(size, random()), 1)
		for i := range int64(5) {
			if _, out, _ := c.ask(wall(i * 1e9)); out.Interleaved || out.slot != -1 {
				t.Fatalf("a responder with %d stamps is in interleaved mode", size)
			}
		}
		c.r.Transmitted(0, wall(0), c.snap)
	}
}

// TestTransmitted: only a stamp of up to 1 s after the time in the answer
// replaces it.
func TestTransmitted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay clock.Interval
		slot  int
		taken bool
	}{
		{"at once", 0, 0, true},
		{"a millisecond", clock.Millisecond, 0, true},
		{"a second", clock.Second, 0, true},
		{"over a second", clock.Second + clock.Microsecond, 0, false},
		{"early", -clock.Microsecond, 0, false},
		{"wild slot", clock.Millisecond, 99, false},
		{"no slot", clock.Millisecond, -1, false},
	} {
		snap := snapshot()
		snap.Precision = -32
		r := New(1, random())
		c := newClient(r, 1)
		c.snap = snap
		c.ask(wall(0))
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Origin: c.last.Receive, Receive: 8, Transmit: 9}
		var out Reply
		r.Respond(&Request{Packet: q}, wall(1e9), snap, &out)
		slot := r.Seal(&out, wall(1e9), snap)
		if slot != 0 {
			t.Fatalf("%s: slot %d, want 0", tt.name, slot)
		}
		early := out.Packet.Transmit
		r.Transmitted(tt.slot, wall(1e9).Add(tt.delay), snap)
		q.Origin, q.Receive = out.Packet.Receive, 10
		out = c.send(q, wall(5e9))
		want := early
		if tt.taken {
			want = ntp.FromInstant(snap.Served(wall(1e9).Add(tt.delay))) &^ 1
		}
		if !out.Interleaved || out.Packet.Transmit != want {
			t.Errorf("%s: transmit %#x, want %#x", tt.name, out.Packet.Transmit, want)
		}
	}
}

// TestStore compares the store with a map and a queue.
func TestStore(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, size := range []int{1, 2, 3, 7, 64} {
		s := newStampStore(size)
		model := make(map[ntp.Timestamp]ntp.Timestamp)
		ring := make([]ntp.Timestamp, size)
		next := 0
		for range 20000 {
			key := ntp.Timestamp(rng.Uint64N(uint64(4*size)))*2 + 1
			if _, held := model[key]; !held && rng.IntN(2) == 0 {
				delete(model, ring[next])
				slot := s.put(key)
				if slot != next {
					t.Fatalf("size %d: slot %d, want %d", size, slot, next)
				}
				sent := ntp.Timestamp(rng.Uint64() | 2)
				s.set(slot, sent)
				model[key], ring[next] = sent, key
				next = (next + 1) % size
				continue
			}
			want, held := model[key]
			got, ok := s.take(key)
			if ok != held || ok && got != want {
				t.Fatalf("size %d: take(%d) = %d %v, want %d %v", size, key, got, ok, want, held)
			}
			if held {
				delete(model, key)
				for i := range ring {
					if ring[i] == key {
						ring[i] = 0
					}
				}
			}
		}
	}
}
