// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// attacker sees every packet of an association but the request that is open now,
// and those of other clients of the same server.
type attacker struct {
	rng     *rand.Rand
	answers [][]byte
	stamps  []uint64 // that requests or answers had
}

// saw takes a packet in.
func (k *attacker) saw(b []byte) {
	for i := 24; i < 48; i += 8 {
		if v := binary.BigEndian.Uint64(b[i:]); v != 0 {
			k.stamps = append(k.stamps, v)
		}
	}
	if b[0]&7 == byte(ntp.ModeServer) {
		k.answers = append(k.answers, bytes.Clone(b))
	}
}

// forge makes a packet of what was seen: an old answer, the same with timestamps
// of other packets, zeros or anything in place of its own, with a kiss, another
// mode or version, or cut.
func (k *attacker) forge() []byte {
	b := bytes.Clone(k.answers[k.rng.IntN(len(k.answers))])
	for i := 24; i < 48; i += 8 {
		switch k.rng.IntN(5) {
		case 0:
			binary.BigEndian.PutUint64(b[i:], k.stamps[k.rng.IntN(len(k.stamps))])
		case 1:
			binary.BigEndian.PutUint64(b[i:], k.rng.Uint64())
		case 2:
			clear(b[i : i+8])
		}
	}
	switch k.rng.IntN(8) {
	case 0:
		kiss(b, []ntp.RefID{ntp.KissRate, ntp.KissDeny, ntp.KissRstr}[k.rng.IntN(3)])
	case 1:
		b[0] = byte(k.rng.Uint32())
	case 2:
		b[1], b[2] = byte(k.rng.Uint32()), byte(k.rng.Uint32())
	case 3:
		b = b[:k.rng.IntN(len(b)+1)]
	}
	return b
}

// strike delivers some forgeries and fails if one of them is believed.
func (k *attacker) strike(t *testing.T, l *lab) {
	t.Helper()
	for range k.rng.IntN(4) {
		b := k.forge()
		in := Arrival{Data: b, Local: localAddr, Stamp: clock.Stamp{Time: l.now().Wall, Err: 1e-9, Kind: clock.StampKernel}}
		switch v := l.a.Receive(&in, l.now(), &l.env); v {
		case Accepted, Synced, Unsynced, KissOfDeath, NearLeap:
			t.Fatalf("the forgery %x is %v", b, v)
		}
	}
}

// TestForgersChangeNothing (S4, S5, S7): a source that forgers send packets to at
// every moment is at the end in the same state, to the last bit, as one that is
// left alone: same samples, pace, mode, and next deadline.
func TestForgersChangeNothing(t *testing.T) {
	for seed := range uint64(12) {
		cfg := baseConfig()
		cfg.IBurst = seed&1 != 0
		cfg.XLeave = seed&2 != 0
		if seed >= 8 {
			cfg.Key, cfg.Authenticated = testKey, true
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			calm, struck, other := online(t, cfg), online(t, cfg), online(t, cfg)
			other.env.Rand = rand.New(rand.NewPCG(seed, 99))
			k := &attacker{rng: rand.New(rand.NewPCG(seed, 1))}
			loss := rand.New(rand.NewPCG(seed, 2))
			reply := func(l *lab) []byte {
				if b := l.reply(); cfg.Authenticated {
					return testKey.AppendMAC(binary.BigEndian.AppendUint32(bytes.Clone(b), testKey.ID()), b)
				}
				return bytes.Clone(l.answer)
			}
			for i := range 300 {
				if i > 0 {
					k.strike(t, struck) // nothing is open
				}
				struck.request()
				calm.request()
				other.request()
				answer, foreign := reply(struck), reply(other)
				k.saw(other.wire)
				k.saw(foreign)
				k.strike(t, struck) // the request is open
				if loss.IntN(5) > 0 {
					if a, b := struck.receive(answer), calm.receive(reply(calm)); a != b {
						t.Fatalf("exchange %d: %v, left alone %v", i, a, b)
					}
				} else {
					reply(calm)
				}
				k.saw(struck.wire)
				k.saw(answer)
				k.strike(t, struck) // the answer is there, or lost
			}
			unchanged(t, "an attack", freeze(calm.a), struck.a)
			if calm.a.Deadline() != struck.a.Deadline() || calm.a.Counters.Good != struck.a.Counters.Good {
				t.Error("an attack moved the next request or cost a sample")
			}
			if c := struck.a.Counters; c.Good < 150 || c.Received < c.Good+1000 {
				t.Errorf("%d good of %d packets: nothing happened", c.Good, c.Received)
			}
		})
	}
}

// TestKissAbuse (S5): a server, or whoever can forge its answers in full, that
// sends any kiss codes at any time never makes us ask more often than minpoll
// allows, nor give up: no pause is longer than five polls, and the next true
// answer is taken.
func TestKissAbuse(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		cfg := baseConfig()
		cfg.MinPoll = int8(rng.IntN(8))
		cfg.MaxPoll = cfg.MinPoll + int8(rng.IntN(4))
		cfg.XLeave = seed%2 == 0
		l := online(t, cfg)
		l.there, l.back = 200*clock.Microsecond, 200*clock.Microsecond
		l.request()
		for i := range 200 {
			b := bytes.Clone(l.reply())
			if rng.IntN(5) > 0 {
				kiss(b, []ntp.RefID{ntp.KissRate, ntp.KissRate, ntp.KissDeny, ntp.KissRstr, 0}[rng.IntN(5)])
				b[2] = byte(rng.Uint32()) // whatever poll it names
			}
			l.receive(b)
			if poll := l.a.Poll(); poll < cfg.MinPoll || poll > cfg.MaxPoll || l.a.State() != Online {
				t.Fatalf("seed %d, answer %d: poll %d of %d to %d, state %v", seed, i, poll, cfg.MinPoll, cfg.MaxPoll, l.a.State())
			}
			before := l.sent
			l.request()
			pause := (l.sent - before).Seconds()
			if pause < clock.Pow2(cfg.MinPoll) || pause > 5*1.021*clock.Pow2(cfg.MaxPoll)+0.1 {
				t.Fatalf("seed %d, answer %d: a pause of %v s with poll %d to %d", seed, i, pause, cfg.MinPoll, cfg.MaxPoll)
			}
		}
		if v := l.receive(l.reply()); v != Accepted && v != Synced {
			t.Errorf("seed %d: a true answer after all that: %v", seed, v)
		}
	}
}
