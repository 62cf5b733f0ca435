// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestToKernel(t *testing.T) {
	const full = 500 * 65536
	tests := []struct {
		name string
		ppm  float64
		want KernelFrequency
	}{
		{"nominal", 0, KernelFrequency{10000, 0}},
		{"one ppm", 1, KernelFrequency{10000, 65536}},
		{"minus one ppm", -1, KernelFrequency{10000, -65536}},
		{"quantum", 1.0 / 65536, KernelFrequency{10000, 1}},
		{"half a quantum rounds away", 0.5 / 65536, KernelFrequency{10000, 1}},
		{"under half a quantum", 0.49 / 65536, KernelFrequency{10000, 0}},
		{"fine part alone", 49, KernelFrequency{10000, 49 * 65536}},
		{"tick takes over", 51, KernelFrequency{10001, -49 * 65536}},
		{"tick takes over, negative", -51, KernelFrequency{9999, 49 * 65536}},
		{"a whole tick", 100, KernelFrequency{10001, 0}},
		{"500 ppm", 500, KernelFrequency{10005, 0}},
		{"10 %", 100000, KernelFrequency{11000, 0}},
		{"-10 %", -100000, KernelFrequency{9000, 0}},
		{"beyond 10 % the fine part helps", 100400, KernelFrequency{11000, 400 * 65536}},
		{"clamped", 1e9, KernelFrequency{11000, full}},
		{"clamped below", -1e9, KernelFrequency{9000, -full}},
		{"infinite", math.Inf(1), KernelFrequency{11000, full}},
		{"minus infinite", math.Inf(-1), KernelFrequency{9000, -full}},
	}
	for _, tt := range tests {
		if got := ToKernel(FromPPM(tt.ppm)); got != tt.want {
			t.Errorf("%s: ToKernel(%v ppm) = %+v, want %+v", tt.name, tt.ppm, got, tt.want)
		}
	}
}

// TestKernelRoundTrip: within the kernel's range, decoding gives back what was
// asked for to half a quantum, and encoding that again changes nothing.
func TestKernelRoundTrip(t *testing.T) {
	const quantum = 1.0 / 65536 // ppm
	rng := rand.New(rand.NewPCG(4, 4))
	for range 50000 {
		ppm := (rng.Float64()*2 - 1) * math.Pow(10, rng.Float64()*7-2)
		k := ToKernel(FromPPM(ppm))
		if k.Tick < 9000 || k.Tick > 11000 || k.Freq < -500*65536 || k.Freq > 500*65536 {
			t.Fatalf("ToKernel(%v ppm) = %+v is out of the kernel's range", ppm, k)
		}
		got := FromKernel(k)
		if d := math.Abs(got.PPM() - ppm); d > quantum/2*1.0001 {
			t.Fatalf("FromKernel(ToKernel(%v ppm)) = %v ppm, off by %v", ppm, got.PPM(), d)
		}
		if again := ToKernel(got); again != k {
			t.Fatalf("ToKernel(FromKernel(%+v)) = %+v", k, again)
		}
	}
	if got := FromKernel(ToKernel(MaxKernelFrequency)); math.Abs(float64(got-MaxKernelFrequency)) > 1e-15 {
		t.Errorf("the largest frequency decodes as %v, want %v", got, MaxKernelFrequency)
	}
}

// TestKernelFine walks the fine part around zero and around a change of tick.
func TestKernelFine(t *testing.T) {
	for _, base := range []int64{0, 50 * 65536, -50 * 65536, 99950 * 65536} {
		for i := base - 300; i <= base+300; i++ {
			f := FromPPM(float64(i) / 65536)
			k := ToKernel(f)
			if got := (k.Tick-10000)*100*65536 + k.Freq; got != i {
				t.Fatalf("%d quanta encode as %+v, which is %d quanta", i, k, got)
			}
		}
	}
}
