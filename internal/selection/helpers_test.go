// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/source"
	"foliot/internal/stats"
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
	return rand.New(rand.NewPCG(seed, 0x666f6c696f74))
}

// defaults is chrony's configuration when nothing is configured.
func defaults() Config {
	return Config{
		MaxDistance: 3, MaxJitter: 1, MinSources: 1, CombineLimit: 3,
		ReselectDist: 1e-4, StratumWeight: 1e-3, MaxStratum: 15, ClockError: 1e-6,
	}
}

// good returns a reachable source with a fresh sample that puts the truth into
// offset -+ distance.
func good(offset, distance float64) *Source {
	return &Source{
		Have: true, Estimate: stats.Estimate{Offset: clock.Offset(offset), OffsetSD: 1e-5, FreqSD: 1e-8},
		SD: 1e-5, RootDisp: distance, FirstAge: 600, LastAge: 10,
		Stratum: 2, Reach: 0o377, ReachSize: 8, MaxUnread: 100000, Fresh: true, Score: 1,
	}
}

func with(s *Source, change func(*Source)) *Source {
	change(s)
	return s
}

func trusted(s *Source) *Source {
	s.Options |= source.Trust
	return s
}

// letters shows the statuses of all.
func letters(all []*Source) string {
	var b strings.Builder
	for _, c := range all {
		b.WriteByte(byte(c.Status))
	}
	return b.String()
}

// freshen lets all sources have a new sample.
func freshen(all []*Source) {
	for _, c := range all {
		c.Fresh = true
	}
}

// show describes sources in a failure.
func show(all []*Source) string {
	var b strings.Builder
	for i, c := range all {
		fmt.Fprintf(&b, "\n  %d: [%g, %g] options %04b -> %c", i, c.Lo, c.Hi, c.Options, c.Status)
	}
	return b.String()
}
