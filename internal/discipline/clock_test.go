// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"foliot/internal/clock"
)

// seeded returns random numbers that FOLIOT_SEED replays.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("FOLIOT_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FOLIOT_SEED=%q: %v", s, err)
		}
	}
	t.Logf("FOLIOT_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0x666f6c696f74))
}

const epoch = 1_700_000_000_000_000_000

// machine is a system clock: wall time is the raw oscillator's times the
// kernel's rate. It also integrates what served time should be. Everything is
// in nanoseconds since the start; ten days leave a float64 a tenth of one.
type machine struct {
	raw, wall, served float64
	rate              float64 // of the kernel
	base              float64 // of served time
	quantum           float64 // of a reading of wall time, nanoseconds
}

func (m *machine) pass(seconds float64) {
	ns := math.Round(seconds * 1e9)
	m.raw += ns
	m.wall += ns * (1 + m.rate)
	m.served += ns * (1 + m.base)
}

func (m *machine) now() clock.Now {
	q := max(m.quantum, 1)
	return clock.Now{
		Wall: clock.At[clock.Realtime](epoch + int64(math.Round(m.wall/q)*q)),
		Mono: clock.At[clock.Raw](1_000_000_000 + int64(m.raw)),
	}
}

func defaults() ClockConfig {
	return ClockConfig{Controlled: true, MaxSlewRate: 1e6 / 12.0 * 1e-6, MaxDrift: 0.1}
}

// rig is a clock under account.
type rig struct {
	*testing.T
	m   machine
	clk *Clock
	ops int
}

func newRig(t *testing.T, cfg ClockConfig, freq clock.Frequency) *rig {
	r := &rig{T: t, m: machine{rate: float64(freq), base: float64(freq)}}
	r.clk = NewClock(cfg, freq, r.m.now())
	return r
}

// carryOut does what a world does with an order, a moment later.
func (r *rig) carryOut(o Order, late float64) {
	r.m.pass(late)
	if o.Step != 0 {
		r.m.wall += math.Round(float64(o.Step) * 1e9)
		if got := r.clk.Stepped(r.m.now()); got != o.Step {
			r.Errorf("Stepped = %g after an order to step by %g", got, o.Step)
		}
		r.m.pass(late)
	}
	if o.SetFrequency {
		f := clock.FromKernel(clock.ToKernel(o.Frequency))
		r.m.rate = float64(f)
		r.clk.Rated(r.m.now(), f)
	}
}

func (r *rig) adjust(dfreq clock.Frequency, doffset clock.Offset, duration float64) Order {
	made, o := r.clk.Adjust(r.m.now(), dfreq, doffset, duration)
	r.m.base = (1+r.m.base)*(1+float64(made)) - 1
	r.m.served += float64(doffset) * 1e9
	return o
}

// check compares the account with the integral.
func (r *rig) check(what string) {
	r.Helper()
	r.ops++
	now := r.m.now()
	got := float64(r.clk.Correction().Served(now.Wall).Nanos() - epoch)
	if give := 1.5 + 0.5*float64(r.ops); math.Abs(got-r.m.served) > give {
		r.Fatalf("operation %d, %s: served time is %.1f ns from the integral, want at most %.1f", r.ops, what, got-r.m.served, give)
	}
	if f := float64(r.clk.Frequency()); math.Abs(f-r.m.base) > 1e-14 {
		r.Fatalf("operation %d, %s: frequency %g, want %g", r.ops, what, f, r.m.base)
	}
}

// step does something random.
func (r *rig) step(rng *rand.Rand) {
	late := 1e-3 * rng.Float64()
	dfreq := clock.Frequency(1e-5 * rng.NormFloat64())
	doffset := clock.Offset(math.Round(math.Pow(10, 9*rng.Float64())*rng.NormFloat64()) * 1e-9)
	switch op := rng.IntN(10); op {
	case 0, 1, 2:
		r.carryOut(r.adjust(dfreq, doffset, 100*rng.Float64()), late)
		r.check("Adjust")
	case 3:
		// The kernel refuses the rate.
		r.adjust(dfreq, doffset, 10)
		r.m.pass(late)
		r.check("Adjust without a rate")
	case 4:
		r.adjust(dfreq, doffset, 10)
		r.carryOut(r.clk.Jump(r.m.now(), 0), late)
		r.check("Jump")
	case 5:
		// The kernel refuses the step.
		r.m.served += float64(doffset) * 1e9
		r.clk.Jump(r.m.now(), doffset)
		r.carryOut(r.clk.Resume(r.m.now(), 5), late)
		r.check("Jump refused")
	case 6:
		leap := float64(rng.IntN(3) - 1)
		r.m.wall += leap * 1e9
		r.m.served += leap * 1e9
		r.clk.Anticipate(clock.Offset(leap))
		r.check("Anticipate")
	default:
		r.m.pass(math.Pow(10, -3+5*rng.Float64()))
		r.check("time")
	}
	if o, ok := r.clk.EndSlew(r.m.now()); ok {
		r.carryOut(o, late)
		r.check("EndSlew")
	}
	if jump, ok := r.clk.Watch(r.m.now()); ok {
		r.Fatalf("operation %d: Watch saw a jump of %g s that did not happen", r.ops, jump)
	}
}

func TestAccount(t *testing.T) {
	rng := seeded(t)
	for range 40 {
		r := newRig(t, defaults(), clock.Frequency(1e-4*rng.NormFloat64()))
		for range 60 {
			r.step(rng)
		}
	}
}

// Without control nothing is ordered, and served time is right all the same.
func TestUncontrolled(t *testing.T) {
	rng := seeded(t)
	cfg := defaults()
	cfg.Controlled = false
	r := newRig(t, cfg, 3e-6)
	for range 100 {
		o := r.adjust(clock.Frequency(1e-5*rng.NormFloat64()), clock.Offset(math.Round(1e6*rng.NormFloat64())*1e-9), 10)
		if o != (Order{}) {
			t.Fatalf("Adjust orders %+v without control", o)
		}
		r.check("Adjust")
		if o := r.clk.Jump(r.m.now(), 0); o != (Order{}) {
			t.Fatalf("Jump orders %+v without control", o)
		}
		r.m.pass(1 + 20*rng.Float64())
		r.check("time")
		if o, ok := r.clk.EndSlew(r.m.now()); ok {
			t.Fatalf("EndSlew orders %+v without control", o)
		}
		if jump, ok := r.clk.Watch(r.m.now()); ok {
			t.Fatalf("Watch saw a jump of %g s that did not happen", jump)
		}
	}
	if r.m.rate != 3e-6 {
		t.Errorf("the kernel's rate is %g, want the one at the start", r.m.rate)
	}
}

func TestSlew(t *testing.T) {
	for _, tc := range []struct {
		name              string
		offset, duration  float64
		base, maxSlew     float64
		atLeast, atMostIn float64 // seconds
	}{
		{"small", 1e-3, 20, 0, 1. / 12, 19.9, 20.1},
		{"backwards", -1e-3, 20, 5e-5, 1. / 12, 19.9, 20.1},
		{"no time", 1e-3, 0, 0, 1. / 12, 0.99, 1.01},
		{"limited by maxslewrate", 1, 1, 0, 1e-3, 999, 1001},
		{"backwards, limited by maxslewrate", -1, 1, -5e-5, 1e-3, 999, 1001},
		{"the default limit", 100, 10, 0, 1. / 12, 1190, 1210},
		{"longer than one order", 1, 10, 0, 2e-5, 4.99e4, 5.01e4},
		{"nearly nothing", 1e-9, 20, 0, 1. / 12, 19.9, 20.1},
		{"nothing", 0, 20, 0, 1. / 12, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := defaults()
			cfg.MaxSlewRate = clock.Frequency(tc.maxSlew)
			r := newRig(t, cfg, clock.Frequency(tc.base))
			r.carryOut(r.adjust(0, clock.Offset(tc.offset), tc.duration), 0)
			for range 20 {
				end, slewing := r.clk.Slewing()
				if !slewing {
					break
				}
				if rate := math.Abs((1+r.m.rate)/(1+r.m.base) - 1); rate > tc.maxSlew+1e-10 {
					t.Errorf("slews at %g, want at most %g", rate, tc.maxSlew)
				}
				r.m.pass(end.Sub(r.m.now().Mono).Seconds() - 1e-3)
				if o, ok := r.clk.EndSlew(r.m.now()); ok {
					t.Errorf("EndSlew orders %+v a millisecond early", o)
				}
				r.m.pass(1e-3)
				o, ok := r.clk.EndSlew(r.m.now())
				if !ok {
					t.Fatal("EndSlew orders nothing in time")
				}
				r.carryOut(o, 0)
				r.check("EndSlew")
			}
			if _, slewing := r.clk.Slewing(); slewing {
				t.Fatal("the slew does not end")
			}
			took := r.m.raw * 1e-9
			if took < tc.atLeast || took > tc.atMostIn {
				t.Errorf("took %.3f s, want %g to %g", took, tc.atLeast, tc.atMostIn)
			}
			left := math.Abs(float64(r.clk.Remaining(r.m.now())))
			if give := 3e-9 + 1e-11*took; left > give {
				t.Errorf("%.3g s are left at the end, want at most %.3g", left, give)
			}
			if math.Abs(r.m.rate-tc.base) > 1e-11 {
				t.Errorf("the kernel's rate is %g at the end, want %g", r.m.rate, tc.base)
			}
		})
	}
}

func TestMaxDrift(t *testing.T) {
	for _, tc := range []struct {
		name        string
		limit       float64
		base, dfreq float64
		want        float64
	}{
		{"within", 1e-3, 1e-4, 2e-4, 3e-4 + 2e-8},
		{"cut", 1e-3, 9e-4, 5e-4, 1e-3},
		{"cut below", 1e-3, -9e-4, -5e-4, -1e-3},
		{"back from the limit", 1e-3, 1e-3, -5e-4, 1e-3 - 5e-4 - 5e-7},
		{"the kernel's limit", 0.1, 0, 0.2, 0.1},
	} {
		cfg := defaults()
		cfg.MaxDrift = clock.Frequency(tc.limit)
		r := newRig(t, cfg, clock.Frequency(tc.base))
		made, o := r.clk.Adjust(r.m.now(), clock.Frequency(tc.dfreq), 0, 10)
		if got := float64(r.clk.Frequency()); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: frequency %g, want %g", tc.name, got, tc.want)
		}
		if got := (1+tc.base)*(1+float64(made)) - 1; math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: says that it changed the rate by %g, which makes %g, want %g", tc.name, made, got, tc.want)
		}
		if !o.SetFrequency || math.Abs(float64(o.Frequency)-tc.want) > 1e-12 || o.Step != 0 {
			t.Errorf("%s: order %+v, want frequency %g", tc.name, o, tc.want)
		}
	}
}

// The kernel's range holds for base rate and slew together.
func TestKernelLimit(t *testing.T) {
	r := newRig(t, defaults(), 0.05)
	_, o := r.clk.Adjust(r.m.now(), 0, 100, 1)
	if o.Frequency > clock.MaxKernelFrequency {
		t.Errorf("orders %g, want at most %g", o.Frequency, clock.MaxKernelFrequency)
	}
}

func TestJump(t *testing.T) {
	for _, tc := range []struct{ before, jump float64 }{{0, 0.5}, {0, -0.5}, {0.25, 3}, {-5, 5.5}} {
		r := newRig(t, defaults(), 1e-5)
		r.carryOut(r.adjust(0, clock.Offset(tc.before), 100), 0)
		r.m.pass(0.5)
		r.m.served += tc.jump * 1e9
		want := float64(r.clk.Remaining(r.m.now())) + tc.jump
		o := r.clk.Jump(r.m.now(), clock.Offset(tc.jump))
		if math.Abs(float64(o.Step)-want) > 1e-9 || !o.SetFrequency || o.Frequency != r.clk.Frequency() {
			t.Errorf("jump of %g with %g outstanding: order %+v, want a step of %g and the base rate", tc.jump, tc.before, o, want)
		}
		r.carryOut(o, 1e-4)
		r.check("Jump")
		if left := math.Abs(float64(r.clk.Remaining(r.m.now()))); left > 1e-4 {
			t.Errorf("jump of %g with %g outstanding: %g s are left", tc.jump, tc.before, left)
		}
		if _, slewing := r.clk.Slewing(); slewing {
			t.Errorf("jump of %g with %g outstanding: still slewing", tc.jump, tc.before)
		}
	}
}

func TestWatch(t *testing.T) {
	for _, tc := range []struct {
		name    string
		every   float64 // seconds between two looks
		foreign func(m *machine)
		jump    float64 // seconds, 0 for none
	}{
		{"undisturbed", 1, func(m *machine) {}, 0},
		{"undisturbed, rarely looked at", 1000, func(m *machine) {}, 0},
		{"a step of 20 ms", 1, func(m *machine) { m.wall += 20e6 }, 0.02},
		{"a step back of 20 ms", 1, func(m *machine) { m.wall -= 20e6 }, -0.02},
		{"a step of a year", 16, func(m *machine) { m.wall += 365 * 86400e9 }, 365 * 86400},
		{"suspended for an hour", 16, func(m *machine) { m.wall += 3600e9 }, 3600},
		{"a step of 1 ms is for the sources to see", 1, func(m *machine) { m.wall += 1e6 }, 0},
	} {
		for _, controlled := range []bool{true, false} {
			cfg := defaults()
			cfg.Controlled = controlled
			r := newRig(t, cfg, 20e-6)
			r.m.quantum = 1000
			quiet := func() {
				for s := 0.0; s < 1000; s += tc.every {
					r.m.pass(tc.every)
					if jump, ok := r.clk.Watch(r.m.now()); ok {
						t.Errorf("%s (controlled %v): a jump of %g s after %g s that did not happen", tc.name, controlled, jump, s)
					}
				}
			}
			quiet()
			tc.foreign(&r.m)
			r.m.pass(tc.every)
			jump, ok := r.clk.Watch(r.m.now())
			if ok != (tc.jump != 0) || math.Abs(float64(jump)-tc.jump) > 1e-3 {
				t.Errorf("%s (controlled %v): Watch() = %g, %v; want %g", tc.name, controlled, jump, ok, tc.jump)
			}
			if ok && r.clk.Remaining(r.m.now()) != 0 {
				t.Errorf("%s (controlled %v): %g s are outstanding after the jump, want none", tc.name, controlled, r.clk.Remaining(r.m.now()))
			}
			quiet()
		}
	}
}

// Whatever rate someone else sets, served time keeps its own.
func TestDisturbed(t *testing.T) {
	r := newRig(t, defaults(), 1e-5)
	r.carryOut(r.adjust(0, 0.5, 100), 0)
	r.m.pass(10)
	r.m.rate = 3e-4
	r.clk.Disturbed(r.m.now(), 3e-4)
	if _, slewing := r.clk.Slewing(); slewing || r.clk.Remaining(r.m.now()) != 0 {
		t.Errorf("still slewing (%v) %g s after a disturbance", slewing, r.clk.Remaining(r.m.now()))
	}
	r.m.served = r.m.wall
	r.m.pass(100)
	r.check("time after a disturbance")
}

func TestConfigure(t *testing.T) {
	r := newRig(t, defaults(), 0)
	cfg := defaults()
	cfg.MaxSlewRate = 1e-5
	r.clk.Configure(cfg)
	if _, o := r.clk.Adjust(r.m.now(), 0, 1, 1); math.Abs(float64(o.Frequency)-1e-5) > 1e-12 {
		t.Errorf("orders %g after maxslewrate became 10 ppm", o.Frequency)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, defaults(), 0)
	ref := NewReference(Config{StepLimit: 3, StepThreshold: 1})
	u := Update{Interval: 64}
	sum := 0.0
	if got := allocations(func() {
		for i := range 10000 {
			u.Estimate.Offset = clock.Offset(i%7-3) * 1e-3
			p := ref.Plan(&u, 0)
			o := r.adjust(1e-9, p.DOffset, p.Duration)
			ref.Followed(&u, 0, &p)
			r.carryOut(o, 1e-6)
			r.m.pass(16)
			if e, ok := r.clk.EndSlew(r.m.now()); ok {
				r.carryOut(e, 1e-6)
			}
			r.clk.Watch(r.m.now())
			sum += float64(r.clk.Remaining(r.m.now())) + ref.Distance(r.clk.Correction().Served(r.m.now().Wall))
		}
	}); got != 0 {
		t.Errorf("10000 updates make %g allocations, want 0 (%g)", got, sum)
	}
}

// allocations runs f a few times and returns the least number of allocations:
// now and then the runtime itself makes one.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for i := 0; i < 2 && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
