// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"
	"testing"

	"foliot/internal/clock"
)

// Another correction counts for past and future samples alike; what was measured
// stays as it was.
func TestCorrectionChanges(t *testing.T) {
	l := online(t, baseConfig())
	l.behind = 3 * clock.Millisecond
	for range 8 {
		l.want(Accepted, "before")
		l.exchange()
	}
	measured := l.sample().Measured
	cfg := *l.a.Config()
	cfg.Correction = 0.5
	l.a.Configure(cfg)
	if o := l.sample(); math.Abs(float64(o.Offset)-0.503) > 1e-9 || o.Measured != measured {
		t.Errorf("the last sample has offset %v, measured %v; want 0.503, %v", o.Offset, o.Measured, measured)
	}
	before, _ := l.a.Estimate(l.sample().Time)
	l.want(Accepted, "after")
	if o := l.sample(); math.Abs(float64(o.Offset)-0.503) > 1e-9 || math.Abs(float64(o.Measured)-0.503) > 1e-9 {
		t.Errorf("the next sample has offset %v, measured %v; want 0.503", o.Offset, o.Measured)
	}
	after, _ := l.a.Estimate(l.sample().Time)
	if math.Abs(float64(after.Offset-before.Offset)) > 1e-6 || math.Abs(float64(after.Freq)) > 1e-9 {
		t.Errorf("estimate %+v after %+v, want no step", after, before)
	}
	l.a.Adjust(l.sample().Time, 0, 0.503)
	if o := l.sample(); math.Abs(float64(o.Offset)) > 1e-9 || math.Abs(float64(o.Measured)-0.503) > 1e-9 {
		t.Errorf("offset %v, measured %v after the clock was corrected; want 0 and 0.503", o.Offset, o.Measured)
	}
}

// A packet counts once, for its best stamp.
func TestStampCounts(t *testing.T) {
	l := online(t, baseConfig())
	for i := range 3 {
		l.request()
		if i > 0 {
			l.a.Transmitted(clock.Stamp{Time: l.now().Wall, Kind: clock.StampKernel}, &l.env)
		}
		if i > 1 {
			l.a.Transmitted(clock.Stamp{Time: l.now().Wall, Kind: clock.StampHardware}, &l.env)
			l.a.Transmitted(clock.Stamp{Time: l.now().Wall, Kind: clock.StampKernel}, &l.env)
		}
		l.receive(l.reply())
	}
	c := &l.a.Counters
	want := StampCounts{clock.StampDaemon: 1, clock.StampKernel: 1, clock.StampHardware: 1}
	if c.TxStamps != want {
		t.Errorf("stamps of requests %v, want %v", c.TxStamps, want)
	}
	if got := c.RxStamps[clock.StampKernel]; got != 3 || c.Received != 3 {
		t.Errorf("%d kernel stamps of %d answers, want 3 of 3", got, c.Received)
	}
}

// Restart leaves nothing that is known of the source, and goes on asking.
func TestRestart(t *testing.T) {
	l := online(t, baseConfig())
	for range 4 {
		l.want(Accepted, "before")
	}
	l.a.Restart()
	reach, n := l.a.Reach()
	if _, known := l.a.Report(); known || reach != 0 || n != 0 || l.a.Register().Len() != 0 || l.a.State() != Online {
		t.Errorf("after Restart: known %v, reach %o of %d, %d samples, state %d", known, reach, n, l.a.Register().Len(), l.a.State())
	}
	l.want(Accepted, "after")
}
