// SPDX-License-Identifier: Apache-2.0

package drifts

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"foliot/internal/clock"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestFallbackOff(t *testing.T) {
	for _, c := range []FallbackConfig{{}, {0, 19}, {16, 0}, {19, 16}, {-3, 5}, {40, 50}} {
		b := NewFallback(c)
		b.Add(1e-6, 1e12)
		if f, span, ok := b.Choose(1e12); ok || b.Next(0) != 0 {
			t.Errorf("%+v: Choose = %v, %d, %v, Next = %v", c, f, span, ok, b.Next(0))
		}
	}
}

// TestFallbackChoice adds a constant frequency and asks at all ages.
func TestFallbackChoice(t *testing.T) {
	b := NewFallback(FallbackConfig{4, 6}) // 16, 32 and 64 s, used after 32, 64 and 128 s
	tests := []struct {
		seen, age float64
		span      int // 0: none
		next      float64
	}{
		{31, 1e6, 0, 0}, {32, 15.9, 0, 16}, {32, 16, 4, 0}, {32, 1e6, 4, 0},
		{64, 10, 0, 16}, {64, 31, 4, 32}, {64, 32, 5, 0}, {64, 1e6, 5, 0},
		{128, 16, 4, 32}, {128, 33, 5, 64}, {128, 64, 6, 0}, {128, 1e6, 6, 0},
	}
	seen := 0.0
	for _, tt := range tests {
		for ; seen < tt.seen; seen++ {
			b.Add(3e-6, 1)
		}
		f, span, ok := b.Choose(tt.age)
		if ok != (tt.span != 0) || span != tt.span || ok && !near(float64(f), 3e-6, 1e-18) {
			t.Errorf("after %v s, age %v: %v, %d, %v, want span %d", tt.seen, tt.age, f, span, ok, tt.span)
		}
		if got := b.Next(tt.age); got != tt.next {
			t.Errorf("after %v s, age %v: Next = %v, want %v", tt.seen, tt.age, got, tt.next)
		}
	}
	b.Add(1, 0)
	b.Add(1, -5)
	b.Add(1, math.NaN())
	b.Add(1, math.Inf(1))
	if f, _, _ := b.Choose(1e6); !near(float64(f), 3e-6, 1e-18) {
		t.Errorf("durations that are none changed it to %v", f)
	}
}

// TestFallbackMean compares with the exponential mean written out as a sum.
func TestFallbackMean(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const span = 10 // 1024 s
	b := NewFallback(FallbackConfig{span, span})
	// Settled on 0, any start is forgotten.
	for range 10000 {
		b.Add(0, 100)
	}
	type part struct{ f, end, dt float64 }
	var parts []part
	now := 0.0
	for range 500 {
		p := part{f: r.NormFloat64() * 1e-6, dt: 1 + 100*r.Float64()}
		now += p.dt
		p.end = now
		parts = append(parts, p)
		b.Add(clock.Frequency(p.f), p.dt)
		// The weight of a part is the integral of exp(-age/T)/T over it.
		want := 0.0
		for _, q := range parts {
			age := now - q.end
			want += q.f * (math.Exp(-age/1024) - math.Exp(-(age+q.dt)/1024))
		}
		if got, _, ok := b.Choose(2000); !ok || !near(float64(got), want, 1e-15) {
			t.Fatalf("after %v s: %v, %v, want %v", now, got, ok, want)
		}
	}
}

// TestFallbackYoung: an average that just begins to count is the plain mean or
// leans to what came last, and does not remember the zero it began with.
func TestFallbackYoung(t *testing.T) {
	b := NewFallback(FallbackConfig{4, 4})
	for range 16 {
		b.Add(1e-6, 1)
	}
	for range 16 {
		b.Add(3e-6, 1)
	}
	if f, _, ok := b.Choose(16); !ok || f < 2e-6 || f > 3e-6 {
		t.Errorf("16 s of 1 ppm and 16 s of 3 ppm: %v, %v", f, ok)
	}
}

func TestPolynomial(t *testing.T) {
	c := NewPolynomial(Polynomial{T0: 26000, K1: 0.000183})
	curved := NewPolynomial(Polynomial{T0: 25, K0: -1, K1: 0.5, K2: 0.25})
	tests := []struct {
		name string
		c    *TempComp
		t    float64
		ppm  float64
		ok   bool
	}{
		{"at T0", c, 26000, 0, true},
		{"a degree above", c, 27000, 0.183, true},
		{"below", c, 16000, -1.83, true},
		{"too hot", c, 26000 + 10.001/0.000183, 0, false},
		{"too cold", c, 26000 - 10.001/0.000183, 0, false},
		{"quadratic", curved, 27, 1, true},
		{"quadratic, below", curved, 21, 1, true},
		{"quadratic, too hot", curved, 40, 0, false},
		{"no number", c, math.NaN(), 0, false},
		{"infinite", c, math.Inf(1), 0, false},
	}
	for _, tt := range tests {
		f, ok := tt.c.Compensation(tt.t)
		if ok != tt.ok || !near(f.PPM(), tt.ppm, 1e-9) {
			t.Errorf("%s: Compensation(%v) = %v ppm, %v, want %v, %v", tt.name, tt.t, f.PPM(), ok, tt.ppm, tt.ok)
		}
	}
}

func TestPoints(t *testing.T) {
	c, err := ParsePoints([]byte("# t  ppm\n20000 1.0\n\n21000\t0.64\r\n22000 0.36\n25000 -3e-1\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		t, ppm float64
		ok     bool
	}{
		{20000, 1, true}, {20500, 0.82, true}, {21000, 0.64, true}, {21001, 0.63972, true}, {22000, 0.36, true},
		{23500, 0.03, true}, {25000, -0.3, true}, {26000, -0.52, true}, {19000, 1.36, true}, {0, 8.2, true},
		{-6000, 0, false}, {1e5, 0, false},
	}
	for _, tt := range tests {
		f, ok := c.Compensation(tt.t)
		if ok != tt.ok || !near(f.PPM(), tt.ppm, 1e-9) {
			t.Errorf("Compensation(%v) = %v ppm, %v, want %v, %v", tt.t, f.PPM(), ok, tt.ppm, tt.ok)
		}
	}
}

func TestParsePointsErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "temperature points: less than two points"},
		{"one", "1 2\n", "temperature points: less than two points"},
		{"one word", "1 2\n3\n", "temperature points, line 2: not a temperature and a compensation"},
		{"three words", "\n1 2 3\n", "temperature points, line 2: not a temperature and a compensation"},
		{"no temperature", "x 2\n", `temperature points, line 1: temperature: strconv.ParseFloat: parsing "x": invalid syntax`},
		{"no compensation", "2 x\n", `temperature points, line 1: compensation: strconv.ParseFloat: parsing "x": invalid syntax`},
		{"descending", "1 2\n0 3\n", "temperature points: temperature 0 of point 2 is not above the one before"},
		{"twice", "1 2\n1 3\n", "temperature points: temperature 1 of point 2 is not above the one before"},
		{"infinite", "1 2\ninf 3\n", "temperature points: point 2 is not finite"},
		{"nan", "nan 2\n1 3\n", "temperature points: point 1 is not finite"},
	}
	for _, tt := range tests {
		if _, err := ParsePoints([]byte(tt.in)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestCompensate checks the sign in ticks: a clock that needs 5 ppm and, being
// warm, 2 ppm more, has to run 7 ppm faster.
func TestCompensate(t *testing.T) {
	f := Compensate(5e-6, 2e-6)
	if !near(f.PPM(), 7, 1e-4) {
		t.Errorf("Compensate(5 ppm, 2 ppm) = %v ppm", f.PPM())
	}
	r := rand.New(rand.NewPCG(11, 12))
	for range 1000 {
		f, comp := clock.FromPPM(1e5*(r.Float64()-0.5)), clock.FromPPM(20*(r.Float64()-0.5))
		if got := Uncompensate(Compensate(f, comp), comp); !near(float64(got), float64(f), 1e-15) {
			t.Fatalf("%v compensated by %v and back is %v", f, comp, got)
		}
	}
}

func FuzzParsePoints(f *testing.F) {
	f.Add([]byte("20000 1.0\n21000 0.64\n# x\n22000 0.36\n"), 20500.0)
	f.Add([]byte("-1e3 -1\n\r\n0x1p4 +1\n"), 0.0)
	f.Fuzz(func(t *testing.T, text []byte, temperature float64) {
		c, err := ParsePoints(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "temperature points") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if f, ok := c.Compensation(temperature); ok && !(math.Abs(f.PPM()) <= 10+1e-9) {
			t.Fatalf("%q: Compensation(%v) = %v ppm", text, temperature, f.PPM())
		}
		var b strings.Builder
		for _, p := range c.points {
			fmt.Fprintf(&b, "%v %v\n", p.Temperature, p.PPM)
		}
		again, err := ParsePoints([]byte(b.String()))
		if err != nil || fmt.Sprint(again.points) != fmt.Sprint(c.points) {
			t.Fatalf("%q: written as %q, read as %v, %v", text, b.String(), again, err)
		}
	})
}
