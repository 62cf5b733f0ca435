// SPDX-License-Identifier: Apache-2.0

package source

import (
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// TestNoAllocations runs whole exchanges: deadline, request, stamp, answer,
// sample.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, tt := range []struct {
		name string
		set  func(c *Config)
		est  stats.Estimator
	}{
		{"basic", func(c *Config) {}, stats.NewTracker(stats.Prior{})},
		{"line", func(c *Config) {}, &stats.Line{}},
		{"interleaved", func(c *Config) { c.XLeave = true }, &stats.Line{}},
		{"F323", func(c *Config) { c.MonoRoot = true }, &stats.Line{}},
		{"authenticated", func(c *Config) { c.Key, c.Authenticated = testKey, true }, &stats.Line{}},
		{"all tests, filtered", func(c *Config) {
			c.Filter, c.MaxDelayRatio, c.MaxDelayDevRatio = 4, 2, 10
		}, &stats.Line{}},
		{"quantile", func(c *Config) { c.MaxDelayQuantile = 0.9 }, &stats.Line{}},
	} {
		cfg := baseConfig()
		cfg.MinPoll, cfg.MaxPoll = 4, 6
		tt.set(&cfg)
		l := newLab(t, cfg)
		l.a = New(cfg, tt.est)
		l.a.Online(l.now(), &l.env)
		l.env.Serving = true
		l.wire, l.answer = make([]byte, 0, ntp.MaxLen), make([]byte, 0, ntp.MaxLen)
		in := Arrival{Local: localAddr}
		exchange := func() {
			l.request()
			in.Data = l.reply()
			if cfg.Authenticated {
				l.answer = append(in.Data, 0, 0, 0, 7)
				in.Data = testKey.AppendMAC(l.answer, l.answer[:len(l.answer)-4])
			}
			l.time = l.sent + l.there + l.serverTook + l.back
			in.Stamp = clock.Stamp{Time: l.now().Wall, Kind: clock.StampKernel}
			l.a.Receive(&in, l.now(), &l.env)
		}
		for range 200 {
			exchange()
		}
		n := testing.AllocsPerRun(1, func() {
			for range 10000 {
				exchange()
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations in 10000 exchanges, want 0", tt.name, n)
		}
		if good := l.a.Counters.Good; good < 15000 {
			t.Errorf("%s: %d good exchanges of 20200; %v", tt.name, good, l.a.Counters.Verdicts)
		}
	}
}
