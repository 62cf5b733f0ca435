// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/clock"
)

// TestRestore: what a record says is what it was made from.
func TestRestore(t *testing.T) {
	s := Summary{
		Prefix: PrefixOf(netip.MustParseAddr("192.0.2.1")), Last: clock.At[clock.Realtime](1e18), Hits: 5, Drops: 2,
		Interval: -3.25, Hasty: math.NaN(), Versions: 0b1100, Version: 4,
	}
	r := Restore(s)
	if v, ok := r.Interval(); !ok || math.Abs(v+3.25) > 1.0/paceUnit {
		t.Errorf("interval %v, %v", v, ok)
	}
	if _, ok := r.HastyInterval(); ok {
		t.Error("an interval that nobody knows")
	}
	if r.Prefix != s.Prefix || r.Last != s.Last || r.Hits != 5 || r.Drops != 2 || r.Version() != 4 || r.Versions(2) || !r.Versions(3) || !r.Versions(4) {
		t.Errorf("record %+v", r)
	}
	for v := -29.0; v < 90; v += 0.37 {
		if got, ok := paceFrom(v).log2(); !ok || math.Abs(got-v) > 1.0/paceUnit {
			t.Errorf("%v became %v", v, got)
		}
	}
}

// TestBusiest: the most requests come first, clients with as many stay in order, and
// no more than there are is no mistake.
func TestBusiest(t *testing.T) {
	var list []Record
	for i, hits := range []uint32{3, 9, 3, 7} {
		list = append(list, Record{Hits: hits, Drops: uint32(i)})
	}
	for n, want := range [][]uint32{{}, {1}, {1, 3}, {1, 3, 0}, {1, 3, 0, 2}, {1, 3, 0, 2}} {
		got := Busiest(append([]Record(nil), list...), n)
		if len(got) != len(want) {
			t.Fatalf("%d busiest: %v", n, got)
		}
		for i := range want {
			if got[i].Drops != want[i] {
				t.Errorf("%d busiest: %v, want those at %v", n, got, want)
			}
		}
	}
}
