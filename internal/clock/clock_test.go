// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestInstantWraps(t *testing.T) {
	const top, bottom = math.MaxInt64, math.MinInt64
	tests := []struct {
		name string
		got  int64
		want int64
	}{
		{"add wraps past the top", At[Raw](top).Add(1).Nanos(), bottom},
		{"add wraps past the bottom", At[Raw](bottom).Add(-1).Nanos(), top},
		{"sub wraps", int64(At[Raw](top).Sub(At[Raw](bottom))), -1},
		{"sub across the wrap is short", int64(At[Raw](bottom + 4).Sub(At[Raw](top))), 5},
		{"shift saturates the move, then wraps", At[Raw](1).Shift(1e30).Nanos(), bottom},
		{"shift by NaN stays", At[Raw](7).Shift(Offset(math.NaN())).Nanos(), 7},
		{"shift rounds up", At[Raw](0).Shift(1.5e-9).Nanos(), 2},
		{"shift rounds down", At[Raw](0).Shift(-1.4e-9).Nanos(), -1},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

func TestInstantOrder(t *testing.T) {
	const top, bottom = math.MaxInt64, math.MinInt64
	tests := []struct {
		name          string
		a, b          int64
		before, after bool
	}{
		{"equal", 5, 5, false, false},
		{"earlier", 4, 5, true, false},
		{"later", 5, 4, false, true},
		{"negative is earlier", -1, 1, true, false},
		{"order survives the wrap", top, bottom, true, false},
		{"and back", bottom, top, false, true},
	}
	for _, tt := range tests {
		a, b := At[Realtime](tt.a), At[Realtime](tt.b)
		if a.Before(b) != tt.before || a.After(b) != tt.after {
			t.Errorf("%s: %d and %d: before %v, after %v, want %v, %v", tt.name, tt.a, tt.b,
				a.Before(b), a.After(b), tt.before, tt.after)
		}
	}
	if !(Wall{}).IsZero() || At[Realtime](1).IsZero() || (Wall{}).Nanos() != 0 {
		t.Error("the zero instant, and it alone, must be none")
	}
}

func TestSeconds(t *testing.T) {
	tests := []struct {
		name string
		s    float64
		want Interval
	}{
		{"zero", 0, 0},
		{"negative zero", math.Copysign(0, -1), 0},
		{"one", 1, Second},
		{"nanosecond", 1e-9, 1},
		{"rounded half away from zero", 2.5e-9, 3},
		{"rounded half away from zero, negative", -2.5e-9, -3},
		{"rounded down", 0.49e-9, 0},
		{"a day", 86400, Day},
		{"just inside", 9223372036, 9223372036 * Second},
		{"saturates", 9223372037, math.MaxInt64},
		{"saturates below", -9223372037, math.MinInt64},
		{"huge", math.MaxFloat64, math.MaxInt64},
		{"+Inf", math.Inf(1), math.MaxInt64},
		{"-Inf", math.Inf(-1), math.MinInt64},
		{"NaN", math.NaN(), 0},
	}
	for _, tt := range tests {
		if got := Seconds(tt.s); got != tt.want {
			t.Errorf("%s: Seconds(%v) = %d, want %d", tt.name, tt.s, got, tt.want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		d := Interval(rng.Int64N(1<<52) - 1<<51) // within 26 days a float is exact to 1 ns
		if got := Seconds(d.Seconds()); got != d {
			t.Fatalf("Seconds(%d.Seconds()) = %d, want %d", d, got, d)
		}
	}
}

// TestServedAndWall is the round trip between the two domains with random
// corrections: exact, because both directions move by whole nanoseconds.
func TestServedAndWall(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 10000 {
		w := At[Realtime](rng.Int64N(4e18))
		c := Offset((rng.Float64() - 0.5) * math.Pow(10, rng.Float64()*12-9))
		s := ServedAt(w, c)
		if got := WallAt(s, c); got != w {
			t.Fatalf("WallAt(ServedAt(%d, %v)) = %d", w.Nanos(), c, got.Nanos())
		}
		if d := s.Nanos() - w.Nanos() - int64(math.Round(float64(c)*1e9)); d != 0 {
			t.Fatalf("ServedAt(%d, %v) is off by %d ns", w.Nanos(), c, d)
		}
	}
	if got := ServedAt(At[Realtime](1e9), 0.25).Nanos(); got != 125e7 {
		t.Errorf("a positive correction must make served time later: got %d", got)
	}
}

func TestCorrection(t *testing.T) {
	since := At[Realtime](1.7e18)
	tests := []struct {
		name string
		c    Correction
		at   Wall
		want Offset
	}{
		{"none", Correction{}, since, 0},
		{"constant", Correction{Since: since, Offset: 0.5}, since.Add(Day), 0.5},
		{"slewed out", Correction{Since: since, Offset: 1, Rate: -0.1}, since.Add(10 * Second), 0},
		{"before its start", Correction{Since: since, Offset: 1, Rate: -0.1}, since.Add(-10 * Second), 2},
		{"uncontrolled rate", Correction{Since: since, Rate: 1e-6}, since.Add(1000 * Second), 1e-3},
	}
	for _, tt := range tests {
		if got := tt.c.At(tt.at); math.Abs(float64(got-tt.want)) > 1e-12 {
			t.Errorf("%s: At = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestCorrectionRoundTrip takes wall readings to served time and back at rates
// up to the largest slew, 10 %.
func TestCorrectionRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	worst := int64(0)
	for range 20000 {
		c := Correction{
			Since:  At[Realtime](1.7e18 + rng.Int64N(1e15)),
			Offset: Offset((rng.Float64() - 0.5) * math.Pow(10, rng.Float64()*9-6)),
			Rate:   Frequency((rng.Float64() - 0.5) * 0.2 * math.Pow(10, -rng.Float64()*6)),
		}
		w := c.Since.Add(Seconds(rng.Float64() * 10))
		back := c.Wall(c.Served(w))
		d := int64(back.Sub(w))
		// Four rounds leave Rate^4 of |Rate * elapsed| and the rounding.
		r := math.Abs(float64(c.Rate))
		limit := int64(2 + 1e9*math.Pow(r, 4)*(math.Abs(float64(c.Offset))+r*10))
		if max(d, -d) > limit {
			t.Fatalf("%+v at %d: back at %+d ns, limit %d", c, w.Nanos(), d, limit)
		}
		if r <= 1e-3 {
			worst = max(worst, d, -d)
		}
	}
	if worst > 1 {
		t.Errorf("at slews up to 1000 ppm the round trip errs by %d ns, want 1", worst)
	}
}

func TestTimeIsUTC(t *testing.T) {
	got := Time(At[Corrected](1767225600123456789))
	want := time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.UTC)
	if !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Time = %v, want %v", got, want)
	}
	if got := (1500 * Millisecond).Duration(); got != 1500*time.Millisecond {
		t.Errorf("Duration = %v", got)
	}
}

func TestPow2(t *testing.T) {
	for n := math.MinInt8; n <= math.MaxInt8; n++ {
		if got, want := Pow2(int8(n)), math.Exp2(float64(n)); got != want {
			t.Errorf("Pow2(%d) = %v, want %v", n, got, want)
		}
	}
}

func TestStampKind(t *testing.T) {
	want := []struct {
		kind   StampKind
		letter byte
		name   string
	}{
		{StampNone, '-', "none"}, {StampDaemon, 'D', "daemon"}, {StampKernel, 'K', "kernel"},
		{StampBPF, 'B', "bpf"}, {StampHardware, 'H', "hardware"},
	}
	for i, w := range want {
		if w.kind.Letter() != w.letter || w.kind.String() != w.name {
			t.Errorf("kind %d: %c %q, want %c %q", w.kind, w.kind.Letter(), w.kind, w.letter, w.name)
		}
		if i > 0 && w.kind <= want[i-1].kind {
			t.Errorf("%v is not nearer to the wire than %v", w.kind, want[i-1].kind)
		}
	}
}

var sink int64

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := Correction{Since: At[Realtime](1.7e18), Offset: 1e-3, Rate: -1e-4}
	n := testing.AllocsPerRun(1, func() {
		for i := range 10000 {
			w := c.Since.Add(Interval(i) * Millisecond)
			s := c.Served(w)
			k := ToKernel(Frequency(float64(i) * 1e-8))
			sink += c.Wall(s).Nanos() + k.Freq
		}
	})
	if n != 0 {
		t.Errorf("%v allocations in 10000 conversions, want 0", n)
	}
}
