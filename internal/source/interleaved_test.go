// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"
	"testing"

	"foliot/internal/clock"
)

func xleaveConfig() Config {
	cfg := baseConfig()
	cfg.XLeave = true
	return cfg
}

// TestInterleavedClient: the first two answers are basic, the third is in
// interleaved mode and completes an exchange that was used already, and from
// then on each completes the one before, with its true transmit stamp.
func TestInterleavedClient(t *testing.T) {
	l := online(t, xleaveConfig())
	l.behind, l.drift = 7*clock.Millisecond, 1e-6
	l.serverTook = 2 * clock.Millisecond // that a basic stamp would not show
	var before clock.Interval            // our error in the exchange before
	for i := range 10 {
		v := l.exchange()
		r, _ := l.a.Report()
		wantV, wantX := Accepted, i >= 2
		if i == 2 {
			wantV = Synced
		}
		if v != wantV || r.Interleaved != wantX {
			t.Fatalf("exchange %d: %v, interleaved %v, want %v, %v", i, v, r.Interleaved, wantV, wantX)
		}
		if (l.req.Packet.Origin != 0) != (i >= 1) || (l.req.Packet.Receive != 0) != (i >= 1) {
			t.Errorf("request %d: origin %#x, receive %#x", i, l.req.Packet.Origin, l.req.Packet.Receive)
		}
		if i > 2 {
			// The answer's stamp is even, at most 2^-32 s early.
			if d := float64(r.Offset) - before.Seconds(); math.Abs(d) > 12e-9 {
				t.Errorf("exchange %d: offset %v, want %v", i, r.Offset, before.Seconds())
			}
			if age := l.a.Register().Last().Time.Sub(l.env.Correction.Served(l.now().Wall)).Seconds(); age > -60 {
				t.Errorf("exchange %d: the sample is %v s old, want that of one poll before", i, -age)
			}
		}
		before = l.behind + clock.Seconds(l.drift*l.time.Seconds())
	}
}

// TestInterleavedLost: while the server forgets us, answers are basic; lost
// packets never make a sample of timestamps that do not belong together.
func TestInterleavedLost(t *testing.T) {
	for _, poll := range []int8{-5, 0, 6} {
		cfg := xleaveConfig()
		cfg.MinPoll, cfg.MaxPoll = poll, poll
		l := online(t, cfg)
		l.there, l.back, l.behind = 200*clock.Microsecond, 200*clock.Microsecond, 77*clock.Millisecond
		accepted := 0
		for i := range 400 {
			l.request()
			r := l.env.Rand.IntN(8)
			if r == 0 {
				continue // the request is lost
			}
			b := l.reply()
			if r == 1 {
				continue // the answer is lost
			}
			v := l.receive(b)
			if v != Accepted && v != Synced {
				t.Fatalf("poll %d, exchange %d: %v", poll, i, v)
			}
			if v != Accepted {
				continue
			}
			accepted++
			s := l.sample()
			if math.Abs(float64(s.Offset)-0.077) > 20e-9 || math.Abs(float64(s.Delay)-400e-6) > 40e-9 {
				t.Fatalf("poll %d, exchange %d: offset %v, delay %v, want 0.077 and 400 us", poll, i, s.Offset, s.Delay)
			}
		}
		if accepted < 150 {
			t.Errorf("poll %d: %d samples of 400 requests", poll, accepted)
		}
	}
}

// TestInterleavedGivesUp: after four requests without an answer the next is
// basic, and interleaved mode comes back by itself.
func TestInterleavedGivesUp(t *testing.T) {
	l := online(t, xleaveConfig())
	for range 5 {
		l.exchange()
	}
	for i := range 6 {
		l.request()
		if got, want := l.req.Packet.Origin != 0, i < 4; got != want {
			t.Errorf("request %d without answers is interleaved: %v, want %v", i+1, got, want)
		}
	}
	if v := l.receive(l.reply()); v != Accepted {
		t.Errorf("a basic answer: %v", v)
	}
	for i, want := range []bool{false, true, true} {
		l.exchange()
		if r, _ := l.a.Report(); r.Interleaved != want {
			t.Errorf("exchange %d after the silence: interleaved %v, want %v", i+1, r.Interleaved, want)
		}
	}
}

// TestInterleavedNotAsked: nobody can put a source into interleaved mode that
// did not ask for it.
func TestInterleavedNotAsked(t *testing.T) {
	l := online(t, baseConfig())
	l.want(Accepted, "basic")
	l.request()
	if l.req.Packet.Origin != 0 || l.req.Packet.Receive != 0 {
		t.Fatalf("request %+v", l.req.Packet)
	}
	b := l.reply()
	clear(b[24:32])
	if v := l.receive(b); v != BadOrigin {
		t.Errorf("an answer with the receive timestamp of the request, zero: %v", v)
	}
}

// TestTransmitStamps: the stamp nearest to the wire wins, early or late, unless
// it is wild.
func TestTransmitStamps(t *testing.T) {
	const ms = clock.Millisecond
	type stamp struct {
		after clock.Interval
		kind  clock.StampKind
	}
	tests := []struct {
		name   string
		stamps []stamp
		want   clock.Interval
		kind   clock.StampKind
	}{
		{"kernel replaces daemon", []stamp{{1 * ms, clock.StampKernel}}, 1 * ms, clock.StampKernel},
		{"hardware replaces kernel", []stamp{{1 * ms, clock.StampKernel}, {2 * ms, clock.StampHardware}}, 2 * ms, clock.StampHardware},
		{"kernel after hardware", []stamp{{2 * ms, clock.StampHardware}, {1 * ms, clock.StampKernel}}, 2 * ms, clock.StampHardware},
		{"wild", []stamp{{1001 * ms, clock.StampHardware}}, 0, clock.StampDaemon},
		{"wild, early", []stamp{{-1001 * ms, clock.StampHardware}}, 0, clock.StampDaemon},
		{"just within", []stamp{{1000 * ms, clock.StampHardware}}, 1000 * ms, clock.StampHardware},
		{"no kind", []stamp{{1 * ms, clock.StampNone}}, 0, clock.StampDaemon},
	}
	for _, tt := range tests {
		l := online(t, baseConfig())
		l.request()
		for _, s := range tt.stamps {
			l.a.Transmitted(clock.Stamp{Time: l.wallAt(l.sent + s.after), Kind: s.kind}, &l.env)
		}
		l.receive(l.reply())
		// A stamp that is later makes our clock look as if it was ahead.
		r, _ := l.a.Report()
		if got := float64(r.Offset) + tt.want.Seconds()/2; math.Abs(got) > 2e-9 || r.TxStamp != tt.kind {
			t.Errorf("%s: offset %v, stamp %v, want %v, %v", tt.name, r.Offset, r.TxStamp, -tt.want.Seconds()/2, tt.kind)
		}
	}
}

// TestLateStamp: in interleaved mode a stamp that comes after the answer still
// counts.
func TestLateStamp(t *testing.T) {
	l := online(t, xleaveConfig())
	for i := range 8 {
		l.exchange()
		l.a.Transmitted(clock.Stamp{Time: l.wallAt(l.sent + clock.Microsecond), Kind: clock.StampHardware}, &l.env)
		r, _ := l.a.Report()
		if i < 3 {
			continue
		}
		if want := -0.5e-6; math.Abs(float64(r.Offset)-want) > 12e-9 || r.TxStamp != clock.StampHardware {
			t.Errorf("exchange %d: offset %v, stamp %v, want %v, hardware", i, r.Offset, r.TxStamp, want)
		}
	}
}

// TestAdjust: a change of the served clock in the middle of an exchange moves
// the offset by just that change, in basic and interleaved mode.
func TestAdjust(t *testing.T) {
	for _, cfg := range []Config{baseConfig(), xleaveConfig()} {
		for _, step := range []clock.Offset{0, 1e-3, -0.5, 3600} {
			for _, freq := range []clock.Frequency{0, 100e-6, -50e-6} {
				l := online(t, cfg)
				l.behind = 4 * clock.Second
				l.there, l.back = 500*clock.Millisecond, 500*clock.Millisecond
				for range 4 {
					l.exchange()
				}
				was := l.a.Register().Last()
				offset, held := was.Offset, l.a.Register().Held()
				l.request()
				b := l.reply()
				l.time = l.sent + 300*clock.Millisecond
				at := l.env.Correction.Served(l.now().Wall)
				// From here on the served clock is step ahead and runs at freq.
				c := l.env.Correction
				l.env.Correction = clock.Correction{Since: l.now().Wall, Offset: c.At(l.now().Wall) + step, Rate: freq}
				l.a.Adjust(at, freq, step)
				if got := l.a.Register().Last().Offset; math.Abs(float64(got-offset+step)) > 0.05 {
					t.Fatalf("step %v: the last sample moved from %v to %v", step, offset, got)
				}
				if v := l.receive(b); v != Accepted || l.a.Register().Held() != held+1 {
					t.Fatalf("xleave %v, step %v, freq %v: %v", cfg.XLeave, step, freq, v)
				}
				s := l.sample()
				// The clock that now is, run back to the middle of the exchange.
				want := l.behind.Seconds() - float64(step) - float64(freq/(1+freq))*s.Time.Sub(at.Shift(step)).Seconds()
				if d := float64(s.Offset) - want; math.Abs(d) > 20e-9 {
					t.Errorf("xleave %v, step %v, freq %v: offset %.9f, want %.9f", cfg.XLeave, step, freq, s.Offset, want)
				}
				if d := float64(s.Delay) - 1; math.Abs(d) > 1.1*math.Abs(float64(freq))+20e-9 {
					t.Errorf("xleave %v, step %v, freq %v: delay %v, want 1", cfg.XLeave, step, freq, s.Delay)
				}
			}
		}
	}
}

// TestMedian: with filter 5, each fifth exchange gives a sample, and one bad
// measurement among them does no harm.
func TestMedian(t *testing.T) {
	cfg := baseConfig()
	cfg.Filter = 5
	l := online(t, cfg)
	for i := range 25 {
		l.back = 5 * clock.Millisecond
		if i%5 == 3 {
			l.back = 900 * clock.Millisecond
		}
		l.want(Accepted, "filtered")
		if got, want := l.a.Register().Held(), (i+1)/5; got != want {
			t.Fatalf("%d samples after %d exchanges, want %d", got, i+1, want)
		}
		if held := l.a.Register().Held(); held > 0 {
			if o := float64(l.sample().Offset); math.Abs(o) > 2e-9 {
				t.Errorf("exchange %d: offset %v, want 0", i, o)
			}
		}
	}
}

// TestMonoRoot: the server's own phase corrections are taken out of the
// history, and root delay and dispersion come at the finer resolution.
func TestMonoRoot(t *testing.T) {
	for _, xleave := range []bool{false, true} {
		cfg := baseConfig()
		cfg.MonoRoot, cfg.XLeave = true, xleave
		l := online(t, cfg)
		l.snap.RootDelay, l.snap.RootDisp = 1e-6, 2e-6
		for range 8 {
			l.exchange()
		}
		s := l.sample()
		if d := float64(s.RootDelay-s.Delay) - 1e-6; d < 0 || d > 1.0/(1<<28) {
			t.Errorf("xleave %v: root delay %v beyond the delay, want 1 us", xleave, s.RootDelay-s.Delay)
		}
		for round := range 4 {
			// The server finds that it was behind and corrects itself; its
			// monotonic clock does not move.
			jump := clock.Interval(round+1) * 100 * clock.Millisecond
			l.serverAhead += jump
			l.snap.MonoOffset -= clock.Offset(jump.Seconds())
			for i := range 3 {
				l.want(Accepted, "after a correction")
				for j := range l.a.Register().Held() {
					got := l.a.Register().Sample(j).Offset
					if math.Abs(float64(got)-l.serverAhead.Seconds()) > 20e-9 {
						t.Errorf("xleave %v, round %d, exchange %d: sample %d has offset %v, want %v",
							xleave, round, i, j, got, l.serverAhead.Seconds())
					}
				}
			}
		}
		// In another epoch the two clocks say nothing about each other.
		old := l.a.Register().Sample(0).Offset
		l.snap.Epoch++
		l.snap.MonoOffset = 5
		l.exchange()
		if got := l.a.Register().Sample(0).Offset; got != old {
			t.Errorf("xleave %v: a new epoch moved the history from %v to %v", xleave, old, got)
		}
	}
}

// TestMonoRootBelief: no field, or a correction beyond belief, moves nothing.
func TestMonoRootBelief(t *testing.T) {
	for _, jump := range []clock.Offset{16.1, -16.1, 3600} {
		cfg := baseConfig()
		cfg.MonoRoot = true
		l := online(t, cfg)
		l.want(Accepted, "")
		l.snap.MonoOffset = jump
		l.want(Accepted, "")
		if got := l.a.Register().Sample(0).Offset; got != 0 {
			t.Errorf("a correction of %v s moved the history to %v", jump, got)
		}
	}
	if _, ok := readMonoRoot(AppendMonoRootRequest(nil)); ok {
		t.Error("the field of a request, which peers get too, is read as an answer's")
	}
	cfg := baseConfig()
	cfg.MonoRoot, cfg.Version = true, 3
	l := online(t, cfg)
	l.request()
	if l.req.MonoRoot {
		t.Error("a version 3 request asks for an extension field")
	}
}
