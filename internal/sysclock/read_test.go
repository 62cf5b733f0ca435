// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
)

var sink clock.Now

func TestReadAdvances(t *testing.T) {
	a := Read()
	time.Sleep(20 * time.Millisecond)
	b := Read()
	mono, wall := b.Mono.Sub(a.Mono), b.Wall.Sub(a.Wall)
	if mono < 19*clock.Millisecond || mono > 10*clock.Second {
		t.Errorf("CLOCK_MONOTONIC_RAW advanced by %d ns over a sleep of 20 ms", mono)
	}
	// The clocks may differ in rate by up to 10 % when somebody slews.
	if d := wall - mono; d > mono/8 || d < -mono/8 {
		t.Errorf("wall advanced by %d ns, monotonic by %d ns", wall, mono)
	}
}

func TestReadPairsClosely(t *testing.T) {
	// The difference of the clocks barely moves from one reading to the next:
	// its spread is the error of the pairing.
	least := clock.Second
	prev := Read()
	for range 1000 {
		now := Read()
		d := now.Wall.Sub(prev.Wall) - now.Mono.Sub(prev.Mono)
		least, prev = min(least, max(d, -d)), now
	}
	if least > 2*clock.Microsecond {
		t.Errorf("best agreement of two successive readings = %d ns, want below 2 us", least)
	}
}

func TestReadAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(1, func() {
		for range 10000 {
			sink = Read()
		}
	}); n != 0 {
		t.Errorf("10000 Read() allocate %v times, want 0", n)
	}
}

func TestPrecision(t *testing.T) {
	if p := Precision(); p < 1e-9 || p > 1e-3 {
		t.Errorf("Precision() = %v s, want 1 ns to 1 ms", p)
	}
}

func TestExponent(t *testing.T) {
	tests := []struct {
		in   clock.Dispersion
		want int8
	}{{1e-9, -29}, {1e-12, -30}, {0, -30}, {1, 0}, {5, 0}, {0.001, -9}, {25e-9, -25}}
	for _, tt := range tests {
		if got := Exponent(tt.in); got != tt.want {
			t.Errorf("Exponent(%v) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

func TestSettableAgreesWithProc(t *testing.T) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Skipf("no proc file system: %v", err)
	}
	_, rest, ok := strings.Cut(string(status), "CapEff:\t")
	if !ok {
		t.Fatal("no CapEff line in /proc/thread-self/status")
	}
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(line, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Settable()
	if want := mask>>25&1 == 1; err != nil || got != want {
		t.Errorf("Settable() = %v, %v, want %v (CapEff %s)", got, err, want, line)
	}
}

func TestRealStateIsReadable(t *testing.T) {
	s, err := NewDisabled().State()
	if err != nil {
		t.Fatalf("State() of the real clock: %v", err)
	}
	if s.Kernel.Tick < 9000 || s.Kernel.Tick > 11000 {
		t.Errorf("State().Kernel.Tick = %d, want 9000..11000", s.Kernel.Tick)
	}
}

func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink = Read()
	}
}
