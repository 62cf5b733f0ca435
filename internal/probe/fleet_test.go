// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/source"
)

func now(s float64) clock.Now {
	return clock.Now{Wall: clock.At[clock.Realtime](1_800_000_000_000_000_000 + int64(s*1e9)), Mono: clock.At[clock.Raw](1e12 + int64(s*1e9))}
}

func specs(n int) []Spec {
	list := make([]Spec, n)
	for i := range list {
		list[i].Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 123)
	}
	return list
}

// drive runs a fleet until the time end, each host answering with answer, which
// may be nil.
func drive(f *Fleet, from, end float64, answer func(i int, req []byte, at float64) []byte) (sent []float64) {
	buf, in := make([]byte, 0, 256), source.Arrival{}
	for t := from; t < end; {
		i, b, id := f.Next(now(t), buf)
		if i < 0 {
			d := f.Deadline()
			if d.IsZero() {
				return sent
			}
			t = max(t, float64(d.Nanos()-1e12)*1e-9) + 1e-9
			continue
		}
		sent = append(sent, t)
		f.Transmitted(i, id, clock.Stamp{Time: now(t).Wall, Kind: clock.StampKernel})
		if answer == nil {
			continue
		}
		if r := answer(i, b, t); r != nil {
			in.Data, in.Stamp = r, clock.Stamp{Time: now(t + 1e-6).Wall, Kind: clock.StampKernel}
			f.Received(i, &in, now(t+1e-6))
		}
	}
	return sent
}

var reply [ntp.HeaderLen]byte

// basic answers exactly, in basic mode.
func basic(_ int, req []byte, at float64) []byte {
	var p ntp.Packet
	p.Decode(req)
	stamp := ntp.FromInstant(now(at + 0.5e-6).Wall)
	a := ntp.Packet{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Precision: -30, Origin: p.Transmit, Receive: stamp, Transmit: stamp}
	a.Encode(reply[:])
	return reply[:]
}

// TestPace: requests of many hosts are spread, and each host is asked at its pace.
func TestPace(t *testing.T) {
	f := NewFleet(Config{Poll: 1, Series: 16, Asymmetry: 1}, specs(1000), now(0))
	sent := drive(f, 0, 20.3, basic)
	if n := len(sent); n < 9700 || n > 10300 {
		t.Errorf("%d requests in 20 s, want 10000", n)
	}
	busiest := 0
	for i := range sent {
		j := i
		for j < len(sent) && sent[j] < sent[i]+0.02 {
			j++
		}
		busiest = max(busiest, j-i)
	}
	if busiest > 60 {
		t.Errorf("%d requests within 20 ms, want about 10", busiest)
	}
	if got := f.Late.Quantile(0.99); got > 1e-6 {
		t.Errorf("late by %g", got)
	}
}

// TestCount: so many requests and no more, dead hosts included.
func TestCount(t *testing.T) {
	f := NewFleet(Config{Count: 4, Series: 16, Asymmetry: 1}, specs(10), now(0))
	sent := drive(f, 0, 100, func(i int, req []byte, at float64) []byte {
		if i%2 == 0 {
			return nil
		}
		return basic(i, req, at)
	})
	if len(sent) != 40 || !f.Done() {
		t.Errorf("%d requests, done %v", len(sent), f.Done())
	}
	for i := range f.Len() {
		r := f.Result(i, clock.At[clock.Corrected](now(4).Wall.Nanos()))
		if want := float64(1 - i%2); r.Loss != want || r.Sent != 4 {
			t.Errorf("host %d: lost %g of %d", i, r.Loss, r.Sent)
		}
		if i%2 == 1 && (math.Abs(float64(r.Offset)) > 2e-9 || r.Bound > 1e-6 || r.Bound < 5e-7) {
			t.Errorf("host %d: %g within %g", i, r.Offset, r.Bound)
		}
	}
}

// TestSingle: one answer is enough for an offset with a bound.
func TestSingle(t *testing.T) {
	f := NewFleet(Config{Count: 1, Series: 1, Asymmetry: 1}, specs(1), now(0))
	drive(f, 0, 10, basic)
	r := f.Result(0, clock.At[clock.Corrected](now(0.2).Wall.Nanos()))
	if r.Reason != Measured || r.Samples != 1 || r.Bound <= 0 || r.Bound > 1e-5 || r.Jitter != 0 || r.Drift != 0 {
		t.Errorf("%+v", r)
	}
	if f := NewFleet(Config{}, nil, now(0)); !f.Done() || f.Len() != 0 {
		t.Error("an empty fleet has something to do")
	}
}

func TestFaults(t *testing.T) {
	f := NewFleet(Config{Count: 1, Series: 16}, specs(5), now(0))
	for i, why := range []Fault{NoFault, Refused, Unreachable, Forbidden, NoSocket} {
		if r := f.Result(i, clock.Served{}); r.Reason != NotAsked && why == NoFault {
			t.Errorf("before: %s", r.Reason)
		}
		f.Failed(i, why)
	}
	drive(f, 0, 10, nil)
	for i, want := range []Reason{NoAnswer, WasRefused, NoRoute, WasForbidden, OutOfSockets} {
		if r := f.Result(i, clock.Served{}); r.Reason != want || r.Loss != 1 {
			t.Errorf("host %d: %q, lost %g, want %q", i, r.Reason, r.Loss, want)
		}
	}
}

// TestStop: what was measured stays.
func TestStop(t *testing.T) {
	f := NewFleet(Config{Series: 16, Asymmetry: 1}, specs(3), now(0))
	drive(f, 0, 5, basic)
	f.Stop(now(5))
	if sent := drive(f, 5, 20, basic); len(sent) != 0 || !f.Done() {
		t.Errorf("%d requests after the end", len(sent))
	}
	if r := f.Result(0, clock.At[clock.Corrected](now(3).Wall.Nanos())); r.Samples < 4 || r.Loss != 0 {
		t.Errorf("%+v", r)
	}
}

// TestKey: requests carry a code, and answers without one do not count.
func TestKey(t *testing.T) {
	key, err := auth.NewKey(7, auth.SHA1, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	list := specs(1)
	list[0].Key = key
	f := NewFleet(Config{Count: 2, Series: 16}, list, now(0))
	drive(f, 0, 10, func(i int, req []byte, at float64) []byte {
		tr, ok := ntp.SplitTrailer(req, 4)
		if !ok || tr.KeyID != 7 || !key.Verify(req[:tr.MACOffset], tr.MAC) {
			t.Errorf("the request is not authentic")
		}
		return basic(i, req, at)
	})
	if r := f.Result(0, clock.Served{}); r.Reason != BadKey {
		t.Errorf("%s", r.Reason)
	}
}

func TestSeries(t *testing.T) {
	var s series
	s.init(16)
	for i := range 1000 {
		s.add(Point{At: clock.At[clock.Corrected](int64(i + 1))})
	}
	if n := len(s.points); n < 8 || n > 16 {
		t.Fatalf("%d points", n)
	}
	for i, p := range s.points {
		if want := 1 + int64(i)*int64(s.stride); p.At.Nanos() != want {
			t.Errorf("point %d is %d, want %d", i, p.At.Nanos(), want)
		}
	}
}

// TestNoAllocs: in steady state a probe allocates nothing.
func TestNoAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f := NewFleet(Config{Series: 64, Asymmetry: 1}, specs(50), now(0))
	buf, in, at, n := make([]byte, 0, 256), source.Arrival{}, 0.0, 0
	if allocs := testing.AllocsPerRun(1, func() {
		for n = 0; n < 10000; {
			i, b, id := f.Next(now(at), buf)
			if i < 0 {
				at = float64(f.Deadline().Nanos()-1e12)*1e-9 + 1e-9
				continue
			}
			n++
			f.Transmitted(i, id, clock.Stamp{Time: now(at).Wall, Kind: clock.StampKernel})
			in.Data, in.Stamp = basic(i, b, at), clock.Stamp{Time: now(at + 1e-6).Wall, Kind: clock.StampKernel}
			f.Received(i, &in, now(at+1e-6))
		}
	}); allocs != 0 {
		t.Errorf("%g allocations in %d probes", allocs, n)
	}
	if r := f.Result(0, clock.At[clock.Corrected](now(at).Wall.Nanos())); r.Samples == 0 {
		t.Error("nothing was measured")
	}
}

func BenchmarkProbe(b *testing.B) {
	f := NewFleet(Config{Series: 64, Asymmetry: 1}, specs(2000), now(0))
	buf, in, at := make([]byte, 0, 256), source.Arrival{}, 0.0
	b.ReportAllocs()
	for b.Loop() {
		i, p, id := f.Next(now(at), buf)
		for i < 0 {
			at = float64(f.Deadline().Nanos()-1e12)*1e-9 + 1e-9
			i, p, id = f.Next(now(at), buf)
		}
		f.Transmitted(i, id, clock.Stamp{Time: now(at).Wall, Kind: clock.StampKernel})
		in.Data, in.Stamp = basic(i, p, at), clock.Stamp{Time: now(at + 1e-6).Wall, Kind: clock.StampKernel}
		f.Received(i, &in, now(at+1e-6))
	}
}
