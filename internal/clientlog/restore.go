// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"math"

	"foliot/internal/clock"
)

// Summary is what somebody else knows of a client.
type Summary struct {
	Prefix          Prefix
	Last            clock.Wall // of the last request
	Hits, Drops     uint32     // as in Record
	Interval, Hasty float64    // as Record's, log2 seconds; NaN: not known
	Versions        uint8      // bit v-1 for version v
	Version         uint8      // of the last request
}

// Restore makes the record of a client. Limits know nothing of it.
func Restore(s Summary) Record {
	return Record{
		Prefix: s.Prefix, Last: s.Last, Hits: s.Hits, Drops: s.Drops,
		calm: paceFrom(s.Interval), hasty: paceFrom(s.Hasty), seen: s.Versions, last: s.Version,
	}
}

// paceFrom is the pace whose log2 is v; 0 for NaN.
func paceFrom(v float64) pace {
	if math.IsNaN(v) {
		return 0
	}
	return pace(max(1, min(math.Round((v+math.Log2(1e9))*paceUnit), math.MaxInt16)))
}
