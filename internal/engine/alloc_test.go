// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/discipline"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// wire is a world of one client and one perfect server, without a scheduler: the
// client is taken from deadline to deadline. It allocates nothing.
type wire struct {
	now    clock.Now
	freq   clock.Frequency
	e      *engine.Engine
	acts   engine.Actions
	server *responder.Server
	reply  responder.Reply
	buf    [256]byte
	sent   []byte
	from   engine.Send
	done   int // exchanges
	events int
	refuse bool // to set the clock
}

var peer = netip.MustParseAddrPort("10.0.0.1:123")

func (w *wire) Now() clock.Now { return w.now }

func (w *wire) SetClock(a *engine.Action) engine.ClockDone {
	if w.refuse {
		return engine.ClockDone{At: w.now, Frequency: w.freq}
	}
	if a.Kind == engine.ActStep {
		w.now.Wall = w.now.Wall.Shift(a.Offset)
	} else {
		w.freq = a.Frequency
	}
	return engine.ClockDone{At: w.now, Frequency: w.freq, OK: true}
}

func (w *wire) Send(e *engine.Engine, s *engine.Send, b []byte) bool {
	e.Seal(s, b, w.now.Wall)
	w.sent = append(w.buf[:0], b...)
	w.from = *s
	return true
}

func (w *wire) Do(a *engine.Action) {
	if a.Kind == engine.ActEvent {
		w.events++
	}
}

// advance lets d pass on the monotonic clock.
func (w *wire) advance(d clock.Interval) {
	w.now.Mono = w.now.Mono.Add(d)
	w.now.Wall = w.now.Wall.Add(d + clock.Interval(float64(d)*float64(w.freq)))
}

// step runs the client's next deadline, and answers what it asks.
func (w *wire) step() {
	w.sent = nil
	if d := w.e.Deadline().Sub(w.now.Mono); d > 0 {
		w.advance(d)
	}
	w.e.Tick(w.now, &w.acts)
	w.e.Perform(w, &w.acts)
	if w.sent == nil {
		return
	}
	tx := engine.Transmitted{ID: w.from.TxID, Stamp: clock.Stamp{Time: w.now.Wall, Kind: clock.StampKernel}}
	w.e.Transmitted(w.now, &tx, &w.acts)
	w.answer()
	w.advance(100 * clock.Microsecond)
	in := engine.Received{
		Source: w.from.Source, From: peer, Data: w.sent, Stamp: clock.Stamp{Time: w.now.Wall, Kind: clock.StampKernel},
	}
	w.e.Receive(w.now, &in, &w.acts)
	w.e.Perform(w, &w.acts)
	w.done++
}

// answer turns the request in the buffer into its answer, from true time: the
// monotonic clock.
func (w *wire) answer() {
	true50us := clock.At[clock.Realtime](w.now.Mono.Nanos() + 50000)
	snap := responder.Snapshot{Stratum: 1, RefID: ntp.RefIDLocal, Precision: -30}
	stamp := clock.Stamp{Time: true50us, Kind: clock.StampKernel}
	if w.server.Receive(w.sent, &responder.Arrival{From: peer, Stamp: stamp}, everybody, &snap, &w.reply) != responder.Answer {
		return
	}
	w.sent = w.sent[:w.reply.Len]
	w.server.Transmitted(w.server.Seal(&w.reply, w.sent, true50us, &snap), stamp, &snap)
}

var everybody = &responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}

const wireStart = 1767225600e9

func plainConfig(sources ...engine.SourceConfig) engine.Config {
	return engine.Config{
		Sources:    sources,
		Selection:  selection.Config{MaxDistance: 3, MaxJitter: 1, MinSources: 1, CombineLimit: 3, ReselectDist: 1e-4, StratumWeight: 1e-3, MaxStratum: 15, ClockError: 1e-6},
		Discipline: discipline.Config{StepThreshold: 1, StepLimit: 3, MaxUpdateSkew: 1e-3, CorrTimeRatio: 3, ClockError: 1e-6, LogChange: 1},
		Clock:      discipline.ClockConfig{Controlled: true, MaxSlewRate: 1.0 / 12, MaxDrift: 0.1},
		Precision:  -25, Quantum: 1e-9, Stamps: 1024, ClientLog: 1 << 16, DriftInterval: 3600, Seed: 1,
	}
}

func plainSource(xleave bool, key auth.Key) engine.SourceConfig {
	return engine.SourceConfig{Name: "10.0.0.1", Port: 123, Template: source.Config{
		MinPoll: 4, MaxPoll: 4, PollTarget: 8, Version: 4, Presend: 100, MaxUnreach: 100000,
		MaxDelay: 3, MaxDelayDevRatio: 10, XLeave: xleave, Limits: stats.Limits{Precision: 1e-9},
		Prior: stats.Prior{Precision: 1e-9}, Key: key, Authenticated: key.ID() != 0,
	}}
}

func newWire(xleave bool) *wire {
	w := &wire{now: clock.Now{Wall: clock.At[clock.Realtime](wireStart), Mono: clock.At[clock.Raw](wireStart)}}
	n := uint64(0)
	w.server = responder.NewServer(responder.Config{
		Stamps: 64, Log: 1 << 16, Random: func() uint64 { n += 0x9E3779B97F4A7C15; return n },
	})
	w.e = engine.New(plainConfig(plainSource(xleave, auth.Key{})))
	w.e.Start(w.now, 0, &w.acts)
	w.e.Perform(w, &w.acts)
	return w
}

// TestClientNoAllocations: from a datagram through samples, selection and
// discipline to actions, with everything carried out.
func TestClientNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, xleave := range []bool{false, true} {
		w := newWire(xleave)
		for w.done < 200 {
			w.step()
		}
		before := w.done
		n := testing.AllocsPerRun(1, func() {
			for end := w.done + 10000; w.done < end; {
				w.step()
			}
		})
		if n != 0 {
			t.Errorf("xleave %v: %v allocations in 10,000 exchanges, want 0", xleave, n)
		}
		if w.done-before != 20000 || w.events < 60000 {
			t.Errorf("xleave %v: %d exchanges and %d events, want 20000 and at least 60000", xleave, w.done-before, w.events)
		}
		for _, a := range w.e.Associations() {
			if r, ok := a.Report(); !ok || r.Interleaved != xleave || a.Counters.Good < 20000 {
				t.Errorf("xleave %v: %d samples, last report %+v", xleave, a.Counters.Good, r)
			}
		}
		off := w.e.ServedAt(w.now).Nanos() - w.now.Mono.Nanos()
		if off > 1000 || off < -1000 {
			t.Errorf("xleave %v: served time is %d ns off, want within 1000", xleave, off)
		}
	}
}

// TestServerNoAllocations answers requests, basic and interleaved, with a MAC and
// without.
func TestServerNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	key, err := auth.NewKey(7, auth.AES128, make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		interleaved bool
		key         auth.Key
	}{{"basic", false, auth.Key{}}, {"interleaved", true, auth.Key{}}, {"with a MAC", false, key}} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := plainConfig()
			cfg.Policy.Access = acl.New([]acl.Rule{{Allow: true, Everything: true}})
			cfg.Policy.Keys = auth.Ring{7: key}
			w := &wire{now: clock.Now{Wall: clock.At[clock.Realtime](wireStart), Mono: clock.At[clock.Raw](wireStart)}}
			w.e = engine.New(cfg)
			w.e.Start(w.now, 0, &w.acts)
			w.e.Perform(w, &w.acts)
			a := asker{w: w, interleaved: tt.interleaved, key: tt.key}
			n := testing.AllocsPerRun(1, func() {
				for range 10000 {
					a.ask()
				}
			})
			if n != 0 {
				t.Errorf("%v allocations in 10,000 answers, want 0", n)
			}
			if a.answers != 20000 || w.e.Server().Counters.Verdicts[responder.Answer] != 20000 {
				t.Errorf("%d answers, counted %d, want 20000", a.answers, w.e.Server().Counters.Verdicts[responder.Answer])
			}
			if tt.interleaved && w.e.Server().Counters.Interleaved < 19998 {
				t.Errorf("%d interleaved answers, want all but the first", w.e.Server().Counters.Interleaved)
			}
		})
	}
}

// asker is a client of the engine's server port.
type asker struct {
	w           *wire
	interleaved bool
	key         auth.Key
	req         [128]byte
	n           uint64
	receive     ntp.Timestamp // of the last answer
	answers     int
}

func (a *asker) ask() {
	a.n++
	p := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(a.n << 8)}
	if a.interleaved {
		p.Origin, p.Receive = a.receive, ntp.Timestamp(a.n<<8+1)
	}
	b := p.AppendTo(a.req[:0])
	if a.key.ID() != 0 {
		b = append(b, 0, 0, 0, byte(a.key.ID()))
		b = a.key.AppendMAC(b, b[:ntp.HeaderLen])
	}
	w := a.w
	w.advance(clock.Millisecond)
	in := engine.Received{From: peer, Data: b, Stamp: clock.Stamp{Time: w.now.Wall, Kind: clock.StampKernel}}
	w.sent = nil
	w.e.Receive(w.now, &in, &w.acts)
	w.e.Perform(w, &w.acts)
	if w.sent == nil || len(w.sent) != len(b) {
		return
	}
	if w.from.TxID != 0 {
		tx := engine.Transmitted{ID: w.from.TxID, Stamp: clock.Stamp{Time: w.now.Wall, Kind: clock.StampKernel}}
		w.e.Transmitted(w.now, &tx, &w.acts)
	}
	p.Decode(w.sent)
	a.receive = p.Receive
	a.answers++
}
