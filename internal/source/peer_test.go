// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// side is one of two peers.
type side struct {
	a       *Association
	env     Env
	behind  clock.Interval
	taken   int // samples
	crossed int // of them in interleaved mode
	worst   float64
	counts  [verdictCount]int
}

type flight struct {
	at   clock.Interval
	to   int
	data []byte
}

// pair is two peers and the network between them, in virtual time. Packets
// leave late seconds after they were stamped by the daemon, which only a
// transmit stamp, and so interleaved mode, can tell.
type pair struct {
	t      *testing.T
	side   [2]*side
	time   clock.Interval
	flying []flight
	delay  clock.Interval
	late   clock.Interval
	loss   float64
	rng    *rand.Rand
	tamper func(from int, b []byte)
	key    auth.Key
	last   [2][]byte
}

func newPair(t *testing.T, cfg Config) *pair {
	p := &pair{t: t, rng: rand.New(rand.NewPCG(9, 9)), delay: clock.Millisecond, late: 100 * clock.Microsecond}
	cfg.Symmetric = true
	for i := range p.side {
		s := &side{a: New(cfg, &stats.Line{})}
		s.env = Env{Precision: -30, Quantum: 1e-9, Rand: rand.New(rand.NewPCG(7, uint64(i)))}
		s.env.Local = Reference{Stratum: uint8(2 + i), RefID: ntp.RefID(0x0a000001 + i), RootDelay: 0.001}
		p.side[i] = s
	}
	p.side[1].behind = -30 * clock.Millisecond
	p.key = cfg.Key
	return p
}

func (p *pair) now(i int) clock.Now {
	return clock.Now{
		Wall: clock.At[clock.Realtime](testEpoch).Add(p.time - p.side[i].behind),
		Mono: clock.At[clock.Raw](monoStart).Add(p.time),
	}
}

// run lets time pass until end.
func (p *pair) run(end clock.Interval) {
	for {
		next, who, packet := end, -1, -1
		for i, s := range p.side {
			d := s.a.Deadline()
			if at := d.Sub(clock.At[clock.Raw](monoStart)); !d.IsZero() && at < next {
				next, who = at, i
			}
		}
		for i := range p.flying {
			if p.flying[i].at < next {
				next, who, packet = p.flying[i].at, -1, i
			}
		}
		p.time = max(p.time, next)
		switch {
		case packet >= 0:
			f := p.flying[packet]
			p.flying = append(p.flying[:packet], p.flying[packet+1:]...)
			p.receive(f.to, f.data)
		case who >= 0:
			p.send(who)
		default:
			return
		}
	}
}

func (p *pair) send(i int) {
	s := p.side[i]
	var req Request
	if s.a.OnDeadline(p.now(i), &s.env, &req) != Transmit {
		return
	}
	b := req.Packet.AppendTo(nil)
	at := s.env.Correction.Served(p.now(i).Wall)
	if req.Timed {
		ts := ntp.FromInstant(at)
		binary.BigEndian.PutUint64(b[40:], uint64(ts))
		s.a.Sealed(ts, at)
	}
	s.a.Transmitted(clock.Stamp{Time: p.now(i).Wall.Add(p.late), Kind: clock.StampKernel}, &s.env)
	if s.a.Config().Authenticated {
		b = p.key.AppendMAC(binary.BigEndian.AppendUint32(b, p.key.ID()), b)
	}
	if p.tamper != nil {
		p.tamper(i, b)
	}
	p.last[i] = b
	if p.rng.Float64() >= p.loss {
		p.flying = append(p.flying, flight{p.time + p.late + p.delay, 1 - i, b})
	}
}

func (p *pair) receive(i int, b []byte) Verdict {
	s := p.side[i]
	in := Arrival{Data: b, Local: localAddr, Stamp: clock.Stamp{Time: p.now(i).Wall, Kind: clock.StampKernel}}
	v := s.a.Receive(&in, p.now(i), &s.env)
	s.counts[v]++
	if v == Accepted {
		r, _ := s.a.Report()
		s.taken++
		if r.Interleaved {
			s.crossed++
		}
		want := (s.behind - p.side[1-i].behind).Seconds()
		s.worst = max(s.worst, math.Abs(float64(r.Offset)-want))
	}
	return v
}

func (p *pair) online() {
	for i, s := range p.side {
		s.a.Online(p.now(i), &s.env)
		p.time += 3 * clock.Second
	}
}

// TestPeers: two peers measure each other, with the late half of a stamp in
// basic mode and exactly in interleaved mode, with and without losses.
func TestPeers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		xleave bool
		poll   int8
		loss   float64
		least  int     // samples of 200 polls
		worst  float64 // seconds
	}{
		{"basic", false, 6, 0, 180, 51e-6},
		{"basic, lossy", false, 6, 0.2, 100, 51e-6},
		{"interleaved", true, 6, 0, 150, 51e-6},
		{"interleaved, lossy", true, 6, 0.2, 60, 51e-6},
		{"interleaved, fast", true, 0, 0, 150, 51e-6},
	} {
		cfg := baseConfig()
		cfg.MinPoll, cfg.MaxPoll, cfg.XLeave = tt.poll, tt.poll, tt.xleave
		p := newPair(t, cfg)
		p.loss = tt.loss
		p.online()
		p.run(clock.Seconds(200 * clock.Pow2(tt.poll)))
		for i, s := range p.side {
			t.Logf("%s: peer %d: %d samples, %d interleaved, worst %.3g, %v", tt.name, i, s.taken, s.crossed, s.worst, s.counts)
			if s.taken < tt.least {
				t.Errorf("%s: peer %d has %d samples, want %d; verdicts %v", tt.name, i, s.taken, tt.least, s.counts)
			}
			if s.worst > tt.worst {
				t.Errorf("%s: peer %d errs by %v s, want at most %v", tt.name, i, s.worst, tt.worst)
			}
			if tt.xleave && s.crossed < s.taken/2 || !tt.xleave && s.crossed != 0 {
				t.Errorf("%s: peer %d: %d of %d samples are interleaved", tt.name, i, s.crossed, s.taken)
			}
		}
	}
}

// TestPeerReplays: somebody who repeats the packets of authenticated peers
// cannot keep them apart: an old packet moves nothing.
func TestPeerReplays(t *testing.T) {
	for _, xleave := range []bool{false, true} {
		cfg := baseConfig()
		cfg.XLeave, cfg.Key, cfg.Authenticated = xleave, testKey, true
		p := newPair(t, cfg)
		var past [2][][]byte
		p.online()
		for range 1200 {
			p.run(p.time + 10*clock.Second)
			for i := range p.side {
				if n := len(past[i]); p.last[i] != nil && (n == 0 || &past[i][n-1][0] != &p.last[i][0]) {
					past[i] = append(past[i], p.last[i])
				}
				if n := len(past[i]); n > 3 {
					held, before := p.side[1-i].taken, freeze(p.side[1-i].a)
					p.receive(1-i, past[i][p.rng.IntN(n-2)])
					if p.side[1-i].taken != held {
						t.Fatalf("xleave %v: a replay made a sample", xleave)
					}
					unchanged(t, "a replay", before, p.side[1-i].a)
				}
			}
			if t.Failed() {
				return
			}
		}
		for i, s := range p.side {
			if s.taken < 140 {
				t.Errorf("xleave %v: peer %d has %d samples of 187 polls; verdicts %v", xleave, i, s.taken, s.counts)
			}
		}
	}
}

// TestPeerForgeries: a packet that echoes nothing of ours makes no sample, and
// without the key it changes nothing.
func TestPeerForgeries(t *testing.T) {
	for _, authenticated := range []bool{false, true} {
		cfg := baseConfig()
		cfg.Key, cfg.Authenticated = testKey, authenticated
		p := newPair(t, cfg)
		p.online()
		p.run(1000 * clock.Second)
		s := p.side[0]
		for _, f := range forgeries {
			if f.want == BadMode && f.name != "client mode" {
				continue
			}
			b := append([]byte(nil), p.last[1]...)
			f.change(b)
			taken, before := s.taken, freeze(s.a)
			v := p.receive(0, b)
			if v == Accepted || v == Synced || v == Unsynced || v == KissOfDeath || s.taken != taken {
				t.Errorf("authenticated %v, %s: %v", authenticated, f.name, v)
			}
			if authenticated {
				unchanged(t, f.name, before, s.a)
			}
		}
		taken := s.taken
		p.run(2000 * clock.Second)
		if s.taken < taken+10 {
			t.Errorf("authenticated %v: %d samples in 1000 s after the forgeries", authenticated, s.taken-taken)
		}
	}
}

// TestPeerRequest: a symmetric packet tells what we serve, and comes from the
// NTP port.
func TestPeerRequest(t *testing.T) {
	cfg := baseConfig()
	cfg.Symmetric = true
	l := online(t, cfg)
	l.env.Local = Reference{
		Leap: ntp.LeapDelete, Stratum: 3, RefID: 0x0a000001,
		Time: clock.At[clock.Corrected](testEpoch - 5e9), RootDelay: 0.5, RootDisp: 0.25,
	}
	l.request()
	p := l.req.Packet
	want := ntp.Packet{
		Leap: ntp.LeapDelete, Version: 4, Mode: ntp.ModeActive, Stratum: 3, Poll: 6, Precision: -30,
		RootDelay: 1 << 15, RootDisp: 1 << 14, RefID: 0x0a000001, Reference: ntp.FromInstant(l.env.Local.Time),
	}
	if p != want || l.req.Fresh || !l.req.Timed {
		t.Errorf("request %+v, want %+v", l.req, want)
	}
	if !l.a.Deadline().After(l.now().Mono.Add(60 * clock.Second)) {
		t.Error("a peer hangs up")
	}
}
