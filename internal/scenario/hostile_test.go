// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"

	"foliot/internal/ntp"
	"foliot/internal/sim"
)

// forgery makes a datagram that claims to be the answer to request; last is the
// last true answer.
type forgery func(request, last []byte) []byte

// answerTo is a plausible answer to request, an hour ahead, with this origin.
func answerTo(request []byte, origin uint64) []byte {
	var q, p ntp.Packet
	q.Decode(request)
	p.Version, p.Mode, p.Stratum = q.Version, ntp.ModeServer, 1
	p.Poll, p.Precision, p.RefID = q.Poll, -20, ntp.RefIDLocal
	now := ntp.Timestamp(uint64(sim.Epoch+2208988800+3600) << 32)
	p.Origin, p.Reference, p.Receive, p.Transmit = ntp.Timestamp(origin), now, now|1, now|2
	return p.AppendTo(nil)
}

func originOf(b []byte) uint64 { return binary.BigEndian.Uint64(b[40:]) }

// TestForgeries: packets that are no answer to the last request do nothing, not
// even to the pace of asking: whatever they hold, the run is the same to the last
// bit, and the same as an undisturbed one but for the simulator's own rounding.
func TestForgeries(t *testing.T) {
	kiss := func(b []byte) []byte {
		b[0] |= 3 << 6
		b[1] = 0
		copy(b[12:], "RATE")
		return b
	}
	tests := []struct {
		name string
		make forgery
	}{
		{"zero origin", func(q, _ []byte) []byte { return answerTo(q, 0) }},
		{"foreign origin", func(q, _ []byte) []byte { return answerTo(q, originOf(q)^1) }},
		{"the answer before", func(_, last []byte) []byte { return last }},
		{"kiss code without origin", func(q, _ []byte) []byte { return kiss(answerTo(q, 0)) }},
		{"kiss code with a foreign origin", func(q, _ []byte) []byte { return kiss(answerTo(q, originOf(q)+1)) }},
		{"the request itself", func(q, _ []byte) []byte { return q }},
		{"another version", func(q, _ []byte) []byte {
			b := answerTo(q, originOf(q))
			b[0] = b[0]&^0x38 | 3<<3
			return b
		}},
		{"no receive timestamp", func(q, _ []byte) []byte {
			b := answerTo(q, originOf(q))
			clear(b[32:40])
			return b
		}},
		{"cut short", func(q, _ []byte) []byte { return answerTo(q, originOf(q))[:47] }},
	}
	for _, v := range []Variant{LAN, Poll0} {
		calm, _ := underAttack(t, v, nil)
		base, _ := underAttack(t, v, func(_, _ []byte) []byte { return []byte{} })
		same := base
		same.err, same.rate = calm.err, calm.rate
		if same != calm || math.Abs(base.err-calm.err) > 1e-9 || math.Abs(base.rate-calm.rate) > 1e-12 {
			t.Errorf("%s, with empty datagrams: %+v, want as without: %+v", v.Name, base, calm)
		}
		for _, tt := range tests {
			t.Run(v.Name+"/"+tt.name, func(t *testing.T) {
				got, n := underAttack(t, v, tt.make)
				if n < 20 {
					t.Errorf("%d forgeries arrived, want at least 20", n)
				}
				if got != base {
					t.Errorf("under attack: %+v, want as with empty datagrams: %+v", got, base)
				}
			})
		}
	}
}

// state is what an attack must not change.
type state struct {
	err, rate float64
	sent      int
	good      uint64
	poll      int8
	reach     uint8
}

// underAttack runs half an hour in which a forgery follows each request at once,
// before the answer, and again some time after.
func underAttack(t *testing.T, v Variant, forge forgery) (state, int) {
	l := newLab(t, plan{variant: v})
	var last []byte
	arrived := 0
	l.w.Tap = func(from, to netip.AddrPort, data []byte) {
		if from.Addr() == serverAddr {
			last = append(last[:0], data...)
			return
		}
		if forge == nil {
			return
		}
		for _, delay := range []float64{10e-6, 300e-6} {
			l.w.Inject(to, from, forge(data, last), delay)
			arrived++
		}
	}
	l.run(30 * minute)
	a := l.assoc()
	r, _ := a.Reach()
	return state{
		err: l.node.Error(), rate: l.node.RateError(), sent: l.node.Sent,
		good: a.Counters.Good, poll: a.Poll(), reach: r,
	}, arrived
}

// TestDisorder: packets that come twice, or in another order, do no harm.
func TestDisorder(t *testing.T) {
	l := newLab(t, plan{variant: LAN})
	l.w.Link(serverAddr, clientAddr).Duplicate = 0.5
	l.w.Link(clientAddr, serverAddr).Duplicate = 0.5
	l.run(hour)
	l.below("error with duplicates", l.run(3*hour), 5e-6)

	v := Poll0
	l = newLab(t, plan{variant: v})
	l.run(10 * minute)
	// A tenth of the answers takes longer than the time between requests.
	d := l.w.Link(serverAddr, clientAddr).Delay
	n := 0
	l.w.Link(serverAddr, clientAddr).Delay = sim.Bursts(d, 0, 0, 1)
	l.w.Tap = func(from, to netip.AddrPort, data []byte) {
		if n++; from.Addr() == serverAddr && n%7 == 0 {
			l.w.Inject(from, to, data, 1.5)
		}
	}
	l.below("error with late copies", l.run(hour), 10e-6)
	c := l.assoc().Counters
	if c.Good < uint64(l.node.Sent)*9/10 {
		t.Errorf("%d samples of %d requests, want nine of ten", c.Good, l.node.Sent)
	}
}

// TestKissOfDeath: a server that asks for it is asked less often, for once.
func TestKissOfDeath(t *testing.T) {
	l := newLab(t, plan{variant: Variant{Options: polls(4, 4)}})
	l.run(hour)
	before := l.node.Sent
	l.servers[0].Kiss = ntp.KissRate
	l.run(2 * hour)
	kissed := l.node.Sent - before
	if kissed < 60 || kissed >= 225 {
		t.Errorf("%d requests in an hour of kisses, want fewer than 225 and not stopped", kissed)
	}
	l.servers[0].Kiss = 0
	l.run(2*hour + 10*minute)
	l.below("error afterwards", l.run(3*hour), 10e-6)
}

// TestUnsynchronisedServer: a server that says that it does not know is not
// believed, whatever its packets show.
func TestUnsynchronisedServer(t *testing.T) {
	for name, spoil := range map[string]func(*sim.Server){
		"leap 3":             func(s *sim.Server) { s.Leap = ntp.LeapUnsync },
		"stratum 16":         func(s *sim.Server) { s.Stratum = 16 },
		"far":                func(s *sim.Server) { s.Disp = 20 },
		"no stratum":         func(s *sim.Server) { s.Tamper = func(_ float64, b []byte) { b[1] = 0 } },
		"beyond maxdistance": func(s *sim.Server) { s.Disp = 4 },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, plan{variant: LAN, server: func(_ int, s *sim.Server) {
				spoil(s)
				s.Offset = func(float64) float64 { return 5 }
			}})
			l.below("error", l.run(30*minute), 0.06)
			if l.node.Snapshot.Leap != ntp.LeapUnsync {
				t.Errorf("served leap %d, want 3", l.node.Snapshot.Leap)
			}
		})
	}
}
