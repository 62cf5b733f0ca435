// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"foliot/internal/clock"
)

const (
	eraFirst = int64(eraStart) * 1e9             // first nanosecond of the window
	eraLast  = (int64(eraStart)+1<<32)*1e9 - 1e9 // start of its last second
)

func served(ns int64) clock.Served { return clock.At[clock.Corrected](ns) }

func TestEraWindow(t *testing.T) {
	tests := []struct {
		name string
		unix time.Time
		want Timestamp
	}{
		{"start of the window, 1976", time.Unix(eraStart, 0), Timestamp(uint64(eraStart+unixEpoch) << 32)},
		{"RFC 5905 figure 4: first UTC day is before the window, 2000 is in it",
			time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), 3155673600 << 32},
		{"half a second", time.Date(2000, 1, 1, 0, 0, 0, 5e8, time.UTC), 3155673600<<32 | 1<<31},
		{"a leap second's midnight", time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC), 3692217600 << 32},
		{"last second of era 0", time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), 0xffffffff << 32},
		{"one second into era 1", time.Date(2036, 2, 7, 6, 28, 17, 0, time.UTC), 1 << 32},
		{"a quarter into era 1", time.Date(2036, 2, 7, 6, 28, 16, 25e7, time.UTC), 1 << 30},
		{"2038", time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), 61505152 << 32},
		{"end of the window, 2112", time.Unix(eraStart+1<<32-1, 0), Timestamp(uint64(eraStart+unixEpoch-1) << 32)},
	}
	for _, tt := range tests {
		ns := tt.unix.UnixNano()
		if got := FromInstant(served(ns)); got != tt.want {
			t.Errorf("%s: FromInstant(%v) = %#x, want %#x", tt.name, tt.unix, got, tt.want)
		}
		if got := tt.want.Served().Nanos(); got != ns {
			t.Errorf("%s: (%#x).Served() = %d, want %d", tt.name, tt.want, got, ns)
		}
		if got := tt.want.Wall().Nanos(); got != ns {
			t.Errorf("%s: (%#x).Wall() = %d, want %d", tt.name, tt.want, got, ns)
		}
	}
	if y := time.Unix(eraStart, 0).UTC().Year(); y != 1976 {
		t.Errorf("the window begins in %d, want 1976", y)
	}
	if y := time.Unix(eraStart+1<<32, 0).UTC().Year(); y != 2112 {
		t.Errorf("the window ends in %d, want 2112", y)
	}
	before := served(eraFirst - 1e9)
	if got := FromInstant(before).Served().Sub(before); got != 1<<32*clock.Second {
		t.Errorf("an instant before the window decodes %v s later, want one era", got.Seconds())
	}
}

// TestTimestampRoundTrip: nanoseconds survive exactly, all over the window and
// around its edges and the roll-over.
func TestTimestampRoundTrip(t *testing.T) {
	rollover := int64(1<<32-unixEpoch) * 1e9
	rng := rand.New(rand.NewPCG(1, 1))
	at := make([]int64, 0, 60000)
	for i := range int64(5000) {
		at = append(at, eraFirst+i, eraLast+i, eraLast+1e9-1-i-1, rollover-i, rollover+i, 1.7e18+999995000+i)
	}
	for range 20000 {
		at = append(at, eraFirst+rng.Int64N(eraLast-eraFirst))
	}
	for _, ns := range at {
		ts := FromInstant(served(ns))
		if got := ts.Served().Nanos(); got != ns {
			t.Fatalf("%d encodes as %#x, decodes as %d", ns, ts, got)
		}
		if wall := FromInstant(clock.At[clock.Realtime](ns)); wall != ts {
			t.Fatalf("%d encodes as %#x on the wall clock, %#x as served time", ns, wall, ts)
		}
	}
}

// TestTimestampRounding compares with exact arithmetic: both ways round to the
// nearest, and decoding then encoding moves a timestamp by at most half a
// nanosecond.
func TestTimestampRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 20000 {
		ts := Timestamp(rng.Uint64())
		if uint32(ts>>32) == uint32((eraStart+unixEpoch-1)&math.MaxUint32) {
			continue // rounding up may leave the window
		}
		v := new(big.Int).Mul(big.NewInt(int64(uint32(ts))), big.NewInt(1e9))
		v.Add(v, big.NewInt(1<<31)).Rsh(v, 32)
		got := ts.Served()
		sub := ((got.Nanos()-v.Int64())%1e9 + 1e9) % 1e9
		if sub != 0 {
			t.Fatalf("(%#x).Served() = %d, want a fraction of %v ns", ts, got.Nanos(), v)
		}
		back := FromInstant(got)
		if d := int64(back - ts); d > 3 || d < -3 {
			t.Fatalf("%#x decodes to %d, encodes to %#x: moved by %d units of 2^-32 s", ts, got.Nanos(), back, d)
		}
	}
	for _, tt := range []struct {
		ns   int64
		want uint32
	}{{0, 0}, {1, 4}, {2, 9}, {3, 13}, {500000000, 1 << 31}, {999999999, 4294967292}} {
		if got := uint32(FromInstant(served(1.7e18 + tt.ns))); got != tt.want {
			t.Errorf("%d ns encode as %d, want %d", tt.ns, got, tt.want)
		}
	}
}

func TestShort(t *testing.T) {
	tests := []struct {
		name string
		s    float64
		want Short
	}{
		{"zero", 0, 0},
		{"negative zero", math.Copysign(0, -1), 0},
		{"negative", -1e9, 0},
		{"NaN", math.NaN(), 0},
		{"-Inf", math.Inf(-1), 0},
		{"tiny rounds up", 1e-12, 1},
		{"one unit", 1.0 / 65536, 1},
		{"just over one unit", 1.0/65536 + 1e-12, 2},
		{"one second", 1, 65536},
		{"largest", math.MaxUint32 / 65536.0, math.MaxUint32},
		{"saturates", 65536, math.MaxUint32},
		{"+Inf", math.Inf(1), math.MaxUint32},
	}
	for _, tt := range tests {
		if got := ToShort(tt.s); got != tt.want {
			t.Errorf("%s: ToShort(%v) = %d, want %d", tt.name, tt.s, got, tt.want)
		}
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 20000 {
		v := Short(rng.Uint32())
		if got := ToShort(v.Seconds()); got != v {
			t.Fatalf("ToShort(%v) = %d, want %d", v.Seconds(), got, v)
		}
		s := rng.Float64() * 65535
		if got := ToShort(s).Seconds(); got < s || got-s >= 1.0/65536 {
			t.Fatalf("ToShort(%v) stands for %v, want the next not below", s, got)
		}
	}
}
