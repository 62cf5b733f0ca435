// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"foliot/internal/config"
	"foliot/internal/state"
	"foliot/internal/survey"
	"foliot/internal/worker"
)

// errStopped says that the loop does nothing more.
var errStopped = errors.New("the daemon is stopping")

// do runs f on the loop, between two facts, and waits for it. Any other goroutine
// may call it. When ctx ends first, f may still run.
func (l *loop) do(ctx context.Context, f func()) error {
	done := make(chan error, 1)
	l.inbox.put(news{run: f, done: done})
	select {
	case err := <-done:
		return err
	case <-l.ended:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// viewer hands out States of the daemon to those who show them. Goroutines may
// share it.
type viewer struct {
	l  *loop
	mu sync.Mutex // held while a State is taken, so that others wait for that one
	// last is the newest State, nil after Forget. It is immutable.
	last    *state.State
	pool    *worker.Pool // that last was taken of
	taken   time.Time
	command func() (hits, drops uint64) // of chronyc's protocol; nil: there is none
}

// State returns a State that is not older than age.
func (v *viewer) State(ctx context.Context, age time.Duration) (*state.State, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last != nil && time.Since(v.taken) < age {
		return v.last, nil
	}
	s, err := v.take(ctx)
	if err == nil {
		v.last, v.taken = s, time.Now()
	}
	return s, err
}

// Pool returns the threads as of the newest State, nil if there were none.
func (v *viewer) Pool() *worker.Pool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pool
}

// Forget sees to it that the next State is a new one, after a change.
func (v *viewer) Forget() {
	v.mu.Lock()
	v.last = nil
	v.mu.Unlock()
}

// take has the loop look at the engine, and then asks the threads, for which the
// loop need not wait.
func (v *viewer) take(ctx context.Context) (*state.State, error) {
	s := &state.State{Version: Version}
	var pool *worker.Pool
	if err := v.l.do(ctx, func() { pool = v.l.survey(s) }); err != nil {
		return nil, err
	}
	v.pool = pool
	serverState(&s.Server, pool)
	if v.command != nil {
		s.Server.CmdHits, s.Server.CmdDrops = v.command()
	}
	return s, nil
}

// survey fills in what the loop knows, and returns the threads that know the
// rest, nil while there are none.
func (l *loop) survey(s *state.State) *worker.Pool {
	survey.Take(l.e, l.w.Now(), s)
	s.Started = l.began
	s.Clock = l.w.did
	s.Clock.Controlled, s.Clock.Precision = l.d.control, l.d.quantum
	s.Kernel = kernelState(l.w.clock)
	tai := s.Config.TAI
	s.Config = configState(l.d.opts, l.d.inForce)
	s.Config.TAI = tai
	if l.w.srv.pool != nil {
		s.Server.Threads = l.w.srv.pool.Threads()
	}
	return l.w.srv.pool
}

// serverState adds what the threads did to what the engine did.
func serverState(s *state.Server, pool *worker.Pool) {
	s.Total = s.Engine
	if pool == nil {
		return
	}
	r := pool.Report()
	s.Workers = r.Counters
	s.Total.Add(&r.Counters)
	s.Stamps, s.Span, s.Records = r.Stamps, r.Span, r.Records
	s.Evicted, s.Unsent, s.Overflow = r.Evicted, r.Unsent, r.Dropped
}

// kernelState asks the kernel, which takes about a microsecond.
func kernelState(c systemClock) state.Kernel {
	k, err := c.State()
	if err != nil {
		return state.Kernel{}
	}
	return state.Kernel{
		Valid: true, Synchronized: k.Status.Synchronized, Status: k.Bits, Offset: k.Offset, Frequency: k.Fine(),
		MaxError: k.Status.MaxError, EstError: k.Status.EstError, Constant: k.Constant,
		Precision: float64(k.Precision), Tolerance: k.Tolerance, TAI: k.Status.TAI, Tick: k.Kernel.Tick, Leap: k.Status.Leap,
	}
}

func configState(o *Options, l *Loaded) state.Configuration {
	c := l.Config
	out := state.Configuration{
		File: o.File, ReadAt: l.ReadAt, NoLog: c.Server.NoClientLog, RateLimit: c.Server.RateLimit.Enabled,
		LeapSource: leapSource(&c.Leap, len(c.Sources) > 0),
	}
	if len(o.Directives) > 0 {
		out.File = ""
	}
	return out
}

// leapSource says where leap seconds are learned.
func leapSource(c *config.Leap, sources bool) string {
	switch {
	case c.List != "":
		return c.List
	case c.TimeZone != "":
		return c.TimeZone
	case sources:
		return "sources"
	}
	return ""
}
