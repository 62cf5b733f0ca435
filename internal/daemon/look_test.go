// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
	"foliot/internal/sysclock"
)

// TestViewer takes States of a loop that another goroutine runs.
func TestViewer(t *testing.T) {
	w, _ := testWorld(t)
	c := &foundClock{found: sysclock.Foreign{Now: sysclock.State{
		Kernel: clock.KernelFrequency{Tick: 10007, Freq: -3 << 16}, Status: sysclock.Status{MaxError: 0.25, TAI: 37}, Bits: 64,
	}}}
	w.clock = c
	cfg := config.Default()
	cfg.Leap.TimeZone = "right/UTC"
	d := &daemon{opts: &Options{File: "x.conf"}, inForce: &Loaded{Config: cfg, ReadAt: time.Unix(5, 0)}, quantum: 1e-7}
	l := &loop{d: d, w: w, e: engine.New(setup.Engine(cfg, &setup.Files{}, &setup.Machine{Quantum: 1e-7, Seed: 1})), ended: make(chan struct{})}
	l.e.Start(w.Now(), 0, &l.acts)
	wake := make(chan struct{}, 16)
	l.inbox.wake = func() { wake <- struct{}{} }
	go func() {
		defer close(l.ended)
		for !l.stopping {
			<-wake
			l.hear()
		}
	}()
	v := &viewer{l: l}
	ctx := t.Context()
	first, err := v.State(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	k := &first.Kernel
	if !k.Valid || k.Tick != 10007 || k.Frequency != clock.FromPPM(-3) || k.MaxError != 0.25 || k.TAI != 37 || k.Status != 64 {
		t.Errorf("kernel %+v, want what the clock says", k)
	}
	if f := &first.Config; f.File != "x.conf" || !f.ReadAt.Equal(time.Unix(5, 0)) || f.LeapSource != "right/UTC" {
		t.Errorf("configuration %+v", f)
	}
	if again, _ := v.State(ctx, time.Minute); again != first {
		t.Error("a State that is young enough was taken again")
	}
	if later, _ := v.State(ctx, 0); later == first {
		t.Error("a State without age was taken from the store")
	}
	v.Forget()
	if later, _ := v.State(ctx, time.Minute); later == first || later == nil {
		t.Error("a State was kept that was to be forgotten")
	}
	l.inbox.put(news{stop: true})
	<-l.ended
	if _, err := v.State(ctx, 0); err != errStopped {
		t.Errorf("a State after the end: %v, want %v", err, errStopped)
	}
}
