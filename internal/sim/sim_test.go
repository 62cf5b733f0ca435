// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/discipline"
	"foliot/internal/engine"
	"foliot/internal/ntp"
)

var here, there = netip.AddrFrom4([4]byte{10, 0, 0, 2}), netip.AddrFrom4([4]byte{10, 0, 0, 1})

// idle is an engine that asks nobody.
func idle() engine.Config {
	return engine.Config{
		Clock:     discipline.ClockConfig{Controlled: true, MaxSlewRate: 1.0 / 12, MaxDrift: 0.1},
		Precision: -30, Quantum: 1e-9, Seed: 1,
	}
}

func TestOscillator(t *testing.T) {
	const day = 86400.0
	tests := []struct {
		name string
		osc  Oscillator
		want float64 // seconds gained in a day
		tol  float64
	}{
		{"perfect", Oscillator{}, 0, 1e-9},
		{"fast", Oscillator{Rate: 20e-6}, 20e-6 * day, 1e-6},
		{"a whole number of sines", Oscillator{Amplitude: 1e-6, Period: 1800}, 0, 1e-6},
		{"a step at noon", Oscillator{StepAt: day / 2, Step: 5e-6}, 5e-6 * day / 2, 1e-5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRaw(tt.osc, rand.New(rand.NewPCG(1, 1)), 0)
			for s := 0.0; s < day; s += 0.7 {
				r.read(s)
			}
			if got := r.read(day) - day; math.Abs(got-tt.want) > tt.tol {
				t.Errorf("gained %v s, want %v within %v", got, tt.want, tt.tol)
			}
			if at := r.when(r.val + 10); math.Abs(at-day-10) > 1e-3 {
				t.Errorf("shows 10 s more at %v, want about %v", at, day+10)
			}
		})
	}
}

// TestWander: after n seconds the rate has a standard deviation of wander*sqrt(n),
// however often the clock is read.
func TestWander(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var sum float64
	const runs, seconds = 400, 1000
	for i := range runs {
		r := newRaw(Oscillator{Wander: 1e-9}, rng, 0)
		if i%2 == 0 {
			for s := range seconds {
				r.read(float64(s) + 0.5)
			}
		}
		r.read(seconds)
		sum += r.rate * r.rate
	}
	if got, want := math.Sqrt(sum/runs), 1e-9*math.Sqrt(seconds); math.Abs(got/want-1) > 0.15 {
		t.Errorf("standard deviation of the rate: %v, want %v within 15 %%", got, want)
	}
}

func TestDelays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	tests := []struct {
		name        string
		d           Delay
		least, mean float64
	}{
		{"fixed", Fixed(1e-3), 1e-3, 1e-3},
		{"exponential", Exponential(1e-3, 1e-4), 1e-3, 1.1e-3},
		{"normal", Normal(1e-3, 1e-5), 0.9e-3, 1e-3},
		{"lomax", Lomax(10e-3, 1e-3, 2.5), 10e-3, 11e-3},
		{"bursts", Bursts(Fixed(1e-3), 4e-3, 150, 600), 1e-3, 2e-3},
	}
	for _, tt := range tests {
		least, sum := math.Inf(1), 0.0
		const n = 200000
		for i := range n {
			v := tt.d(rng, float64(i))
			least, sum = math.Min(least, v), sum+v
		}
		if least < tt.least || math.Abs(sum/n/tt.mean-1) > 0.03 {
			t.Errorf("%s: least %v, mean %v; want at least %v, %v within 3 %%", tt.name, least, sum/n, tt.least, tt.mean)
		}
	}
}

// TestClock steps and rates a node's clock as its engine would.
func TestClock(t *testing.T) {
	w := New(1)
	n := w.Add(Host{Addr: here, Oscillator: Oscillator{Rate: 10e-6}, Offset: 0.5, Engine: idle()})
	w.Run(1000)
	near := func(what string, got, want, tol float64) {
		t.Helper()
		if math.Abs(got-want) > tol {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("free for 1000 s", n.Error(), 0.51, 1e-6)
	done := n.SetClock(&engine.Action{Kind: engine.ActFrequency, Frequency: -10e-6})
	if !done.OK || math.Abs(float64(done.Frequency)+10e-6) > 1e-11 {
		t.Errorf("frequency: %+v, want OK at -10e-6 as the kernel rounds", done)
	}
	w.Run(2000)
	near("compensated", n.Error(), 0.51, 1e-6)
	near("rate", n.RateError(), 0, 1e-9)
	n.SetClock(&engine.Action{Kind: engine.ActStep, Offset: -0.51})
	near("stepped", n.Error(), 0, 1e-6)
	n.Push(3)
	near("pushed", n.Error(), 3, 1e-6)
	n.Push(-3)
	mono := n.Now().Mono
	n.Suspend(500)
	w.Run(2500) // then the engine, which knows of no such rate, sets its own back
	near("clock after a sleep", n.Error(), 0, 1e-6)
	w.Run(2600)
	near("monotonic clock after a sleep", n.Now().Mono.Sub(mono).Seconds(), 100*(1+10e-6), 1e-6)
}

func TestUncontrolledClock(t *testing.T) {
	w := New(1)
	n := w.Add(Host{Addr: here, Uncontrol: true, Engine: idle()})
	if d := n.SetClock(&engine.Action{Kind: engine.ActStep, Offset: 1}); d.OK || n.Error() != 0 || n.Steps != 0 {
		t.Errorf("step of a clock that cannot be set: %+v, error %v, %d steps", d, n.Error(), n.Steps)
	}
}

// TestLeap: UTC leaps, and a kernel that is told so with it.
func TestLeap(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sign  int
		told  ntp.Leap
		deaf  bool
		after float64 // error of the clock
	}{
		{"inserted", 1, ntp.LeapInsert, false, 0},
		{"deleted", -1, ntp.LeapDelete, false, 0},
		{"inserted, not told", 1, ntp.LeapNone, false, 1},
		{"deleted, deaf", -1, ntp.LeapDelete, true, -1},
		{"told in vain", 0, ntp.LeapInsert, false, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := NewAt(1, Epoch-3600)
			if tt.sign != 0 {
				w.Leap(Epoch, tt.sign)
			}
			n := w.Add(Host{Addr: here, Engine: idle(), NoLeaps: tt.deaf})
			status := &engine.Action{Kind: engine.ActStatus, Status: engine.KernelStatus{Leap: tt.told}}
			w.At(3598.6, func() { n.Do(status) }) // the engine itself knows of no leap second
			w.Run(3598.5)
			if e := n.Error(); math.Abs(e) > 1e-6 {
				t.Errorf("error before: %v, want 0", e)
			}
			for s := 3600.5; s < 3700; s++ {
				w.Run(s)
				if e := n.Error(); math.Abs(e-tt.after) > 1e-6 {
					t.Fatalf("error at %v: %v, want %v", s, e, tt.after)
				}
			}
			if got := w.trueTime(3605).Nanos(); tt.sign != 0 && got != (Epoch+5-int64(tt.sign))*1e9 {
				t.Errorf("UTC 5 s after: %d, want %d", got, (Epoch+5-int64(tt.sign))*1e9)
			}
		})
	}
}

func TestAnnouncements(t *testing.T) {
	w := NewAt(1, Epoch-2*86400)
	w.Leap(Epoch, -1)
	s := w.Serve(&Server{Addr: there})
	for at, want := range map[float64]ntp.Leap{86399: ntp.LeapNone, 86401: ntp.LeapDelete, 172798: ntp.LeapDelete, 172799.5: ntp.LeapNone} {
		if got := w.announced(at); got != want {
			t.Errorf("at %v s: leap %d, want %d", at, got, want)
		}
	}
	s.Silent = true
	w.Run(100000)
	if got := s.leap(); got != ntp.LeapNone {
		t.Errorf("a silent server announces %d, want 0", got)
	}
}

// TestOrder: things at the same time happen in the order in which they were asked
// for, and nothing in the past.
func TestOrder(t *testing.T) {
	w := New(1)
	var got []int
	note := func(i int) func() { return func() { got = append(got, i) } }
	w.At(5, note(2))
	w.At(5, note(3))
	w.At(1, func() { w.At(-7, note(1)) })
	w.Every(2, func() {
		if w.Now() > 7 {
			note(4)()
		}
	})
	w.Run(8)
	if len(got) != 4 || got[0] != 1 || got[1] != 2 || got[2] != 3 || got[3] != 4 {
		t.Errorf("order %v, want 1 2 3 4", got)
	}
}

// TestTraffic: loss, duplicates, and datagrams that nobody sent.
func TestTraffic(t *testing.T) {
	w := New(1)
	s := w.Serve(&Server{Addr: there})
	w.Connect(here, there, Link{Delay: Fixed(1e-3), Loss: 0.25, Duplicate: 0.5}, Link{Delay: Fixed(1e-3)})
	tapped := 0
	w.Tap = func(_, _ netip.AddrPort, _ []byte) { tapped++ }
	const n = 4000
	for range n {
		if !w.send(&datagram{from: netip.AddrPortFrom(here, 999), to: netip.AddrPortFrom(there, 123), data: make([]byte, 48)}) {
			t.Fatal("no link")
		}
	}
	w.Run(1)
	if got, want := float64(s.Requests), 1.5*0.75*n; tapped != n || math.Abs(got/want-1) > 0.05 {
		t.Errorf("%d sent, %v arrived, want %d, about %v", tapped, got, n, want)
	}
	before := s.Requests
	w.Inject(netip.AddrPortFrom(here, 1), netip.AddrPortFrom(there, 123), []byte{1}, 0.5)
	w.Run(2)
	if s.Requests != before+1 {
		t.Errorf("%d arrived after an injection, want 1", s.Requests-before)
	}
	if w.send(&datagram{from: netip.AddrPortFrom(there, 1), to: netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, 9}), 123)}) {
		t.Error("sent to an address without a link")
	}
	if w.Link(here, there).Loss != 0.25 || w.Link(there, here).Loss != 0 {
		t.Error("the links are not those that were set")
	}
}

func TestServerFaults(t *testing.T) {
	w := New(1)
	s := w.Serve(&Server{Addr: there, Offset: func(t float64) float64 { return t / 10 }})
	w.Run(20)
	if got, want := s.wall(20), clock.At[clock.Realtime]((Epoch+22)*1e9); got != want {
		t.Errorf("the server's clock shows %d, want %d", got.Nanos(), want.Nanos())
	}
	if got := s.Fault(20); got != 2 {
		t.Errorf("the server is off by %v, want 2", got)
	}
}
