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
