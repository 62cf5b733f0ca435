// SPDX-License-Identifier: Apache-2.0

package stability

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// phase integrates frequencies over steps of 1 s.
func phase(y []float64) []float64 {
	x := make([]float64, len(y)+1)
	for i, v := range y {
		x[i+1] = x[i] + v
	}
	return x
}

// nbs14 is the set of NBS Monograph 140 annex 8.E, SP 1065 table 30.
var nbs14 = phase([]float64{892, 809, 823, 798, 671, 644, 883, 903, 677})

// sp1065 is the 1000-point set of SP 1065 section 12.4.
func sp1065() []float64 {
	const modulus = 2147483647
	y, n := make([]float64, 1000), int64(1234567890)
	for i := range y {
		y[i] = float64(n) / modulus
		n = 16807 * n % modulus
	}
	return phase(y)
}

// TestPublished: the values of SP 1065 tables 30 and 31, to all printed digits.
func TestPublished(t *testing.T) {
	tests := []struct {
		name string
		x    []float64
		of   func(x []float64, tau0 float64, m int) (float64, int)
		m    int
		want float64
	}{
		{"nbs14 adev", nbs14, ADEV, 1, 91.22945},
		{"nbs14 adev", nbs14, ADEV, 2, 85.95287},
		{"nbs14 mdev", nbs14, MDEV, 1, 91.22945},
		{"nbs14 mdev", nbs14, MDEV, 2, 74.78849},
		{"nbs14 tdev", nbs14, TDEV, 1, 52.67135},
		{"nbs14 tdev", nbs14, TDEV, 2, 86.35831},
		{"1000 adev", sp1065(), ADEV, 1, 2.922319e-1},
		{"1000 adev", sp1065(), ADEV, 10, 9.159953e-2},
		{"1000 adev", sp1065(), ADEV, 100, 3.241343e-2},
		{"1000 mdev", sp1065(), MDEV, 1, 2.922319e-1},
		{"1000 mdev", sp1065(), MDEV, 10, 6.172376e-2},
		{"1000 mdev", sp1065(), MDEV, 100, 2.170921e-2},
		{"1000 tdev", sp1065(), TDEV, 1, 1.687202e-1},
		{"1000 tdev", sp1065(), TDEV, 10, 3.563623e-1},
		{"1000 tdev", sp1065(), TDEV, 100, 1.253382},
	}
	for _, tt := range tests {
		if got, _ := tt.of(tt.x, 1, tt.m); fmt.Sprintf("%.6e", got) != fmt.Sprintf("%.6e", tt.want) {
			t.Errorf("%s at %d: %.7g, want %.7g", tt.name, tt.m, got, tt.want)
		}
	}
}

// slow are the definitions, term by term.
func slowMDEV(x []float64, tau0 float64, m int) float64 {
	sum, n := 0.0, len(x)
	for j := 0; j <= n-3*m; j++ {
		inner := 0.0
		for i := j; i < j+m; i++ {
			inner += x[i+2*m] - 2*x[i+m] + x[i]
		}
		sum += inner * inner
	}
	tau := float64(m) * tau0
	return math.Sqrt(sum / (2 * float64(m*m) * tau * tau * float64(n-3*m+1)))
}

// slowADEV averages frequencies over tau, which the phases' differences avoid.
func slowADEV(x []float64, tau0 float64, m int) float64 {
	sum, terms := 0.0, 0
	mean := func(from int) float64 {
		y := 0.0
		for i := from; i < from+m; i++ {
			y += (x[i+1] - x[i]) / tau0
		}
		return y / float64(m)
	}
	for j := 0; j+2*m < len(x); j++ {
		d := mean(j+m) - mean(j)
		sum, terms = sum+d*d, terms+1
	}
	return math.Sqrt(sum / (2 * float64(terms)))
}

func slowMTIE(x []float64, m int) float64 {
	most := 0.0
	for i := 0; i+m < len(x); i++ {
		for a := i; a <= i+m; a++ {
			for b := a; b <= i+m; b++ {
				most = max(most, math.Abs(x[a]-x[b]))
			}
		}
	}
	return most
}

func TestBruteForce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		x, walk := make([]float64, 4+r.IntN(60)), 0.0
		for i := range x {
			walk += r.NormFloat64()
			x[i] = walk + 3*r.NormFloat64()
		}
		tau0 := math.Exp(r.NormFloat64())
		points := Of(x, tau0)
		if len(points) == 0 {
			t.Fatalf("%d points give nothing", len(x))
		}
		for m := 1; m < len(x); m++ {
			if got, n := ADEV(x, tau0, m); n > 0 && !near(got, slowADEV(x, tau0, m)) {
				t.Errorf("adev of %d at %d: %g, want %g", len(x), m, got, slowADEV(x, tau0, m))
			}
			if got, n := MDEV(x, tau0, m); n > 0 && !near(got, slowMDEV(x, tau0, m)) {
				t.Errorf("mdev of %d at %d: %g, want %g", len(x), m, got, slowMDEV(x, tau0, m))
			}
			if got := MTIE(x, m); got != slowMTIE(x, m) {
				t.Errorf("mtie of %d at %d: %g, want %g", len(x), m, got, slowMTIE(x, m))
			}
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(math.Abs(a)+math.Abs(b)+1e-3) }

// TestNoises: white phase noise falls as tau^-1 in ADEV and tau^-3/2 in MDEV; a
// constant frequency is in MTIE alone.
func TestNoises(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	white, ramp := make([]float64, 1<<13), make([]float64, 1<<10)
	for i := range white {
		white[i] = r.NormFloat64()
	}
	for i := range ramp {
		ramp[i] = 5 + 0.5*float64(i)
	}
	p := Of(white, 1)
	if s := math.Log2(p[0].ADEV/p[5].ADEV) / 5; math.Abs(s-1) > 0.05 {
		t.Errorf("white phase: adev falls as tau^-%.2f, want tau^-1", s)
	}
	if s := math.Log2(p[0].MDEV/p[5].MDEV) / 5; math.Abs(s-1.5) > 0.08 {
		t.Errorf("white phase: mdev falls as tau^-%.2f, want tau^-1.5", s)
	}
	for _, p := range Of(ramp, 1) {
		if p.ADEV > 1e-12 || p.TDEV > 1e-9 || math.Abs(p.MTIE-0.5*p.Tau) > 1e-9 {
			t.Errorf("ramp at %g: %+v", p.Tau, p)
		}
	}
}

func TestRegular(t *testing.T) {
	at := []float64{0, 1, 2, 3, 7, 8, 9, 10}
	x := make([]float64, len(at))
	for i, v := range at {
		x[i] = 2 * v
	}
	even, tau0, lost := Regular(at, x)
	if tau0 != 1 || len(even) != 11 || lost < 0.2 || lost > 0.5 {
		t.Fatalf("%d steps of %g, %g lost", len(even), tau0, lost)
	}
	for i, v := range even {
		if v != 2*float64(i) {
			t.Errorf("at %d: %g", i, v)
		}
	}
	for _, bad := range [][]float64{nil, {1, 2}, {1, 1, 2}, {3, 2, 1}} {
		if even, _, _ := Regular(bad, bad); even != nil {
			t.Errorf("%v: %v", bad, even)
		}
	}
	if even, _, _ := Regular([]float64{0, 1e-9, 2e-9, 1e9}, make([]float64, 4)); len(even) > maxRecord+1 {
		t.Errorf("%d steps", len(even))
	}
}

func BenchmarkOf(b *testing.B) {
	x := sp1065()
	b.ReportAllocs()
	for b.Loop() {
		Of(x, 1)
	}
}
