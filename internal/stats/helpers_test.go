// SPDX-License-Identifier: Apache-2.0

package stats

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
	return fixed(seed)
}

// fixed returns the same random numbers at each run.
func fixed(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x666f6c696f74)) }

// epoch is where the tests' time begins.
const epoch = 1_700_000_000_000_000_000

// at returns the served time s seconds after the epoch.
func at(s float64) clock.Served { return clock.At[clock.Corrected](epoch).Add(clock.Seconds(s)) }

// sampleAt returns a sample without dispersion of a primary server.
func sampleAt(s, offset, delay float64) Sample {
	return Sample{
		Time: at(s), Offset: clock.Offset(offset), Delay: clock.Delay(delay),
		RootDelay: clock.Delay(delay), Disp: 1e-7, RootDisp: 1e-7,
	}
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// truth returns the true time that an offset at a served instant stands for, as
// nanoseconds after the epoch.
func truth(t clock.Served, o clock.Offset) float64 {
	return float64(t.Nanos()-epoch) + float64(o)*1e9
}

// change is a correction of the served clock.
type change struct {
	at      clock.Served
	dfreq   clock.Frequency
	doffset clock.Offset
}

// apply moves a served instant with the clock.
func (c change) apply(t clock.Served) clock.Served {
	return t.Shift(c.doffset + clock.Offset(t.Sub(c.at).Seconds()*float64(c.dfreq)))
}
