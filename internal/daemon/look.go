// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"foliot/internal/command"
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
		select {
		case err := <-done: // it was what ended the loop
			return err
		default:
			return errStopped
		}
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
	taken   time.Time
	counted time.Time       // when the threads were asked for what is in last
	server  state.Server    // of the newest State ever
	pool    *worker.Pool    // the threads as of then, nil if there were none
	past    worker.Report   // of threads before them
	command *command.Server // of chronyc's protocol; nil: there is none
}

// State returns a State that is not older than age.
func (v *viewer) State(ctx context.Context, age time.Duration) (*state.State, error) {
	return v.look(ctx, age, true)
}

// look is State, but what the threads did may be older unless they are to be
// asked: under load they take their time.
func (v *viewer) look(ctx context.Context, age time.Duration, threads bool) (*state.State, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last != nil && time.Since(v.taken) < age && (!threads || time.Since(v.counted) < age) {
		return v.last, nil
	}
	s := &state.State{Version: Version}
	if err := v.l.do(ctx, func() { v.pool, v.past = v.l.survey(s), v.l.w.srv.past }); err != nil {
		return nil, err
	}
	v.taken = time.Now()
	v.addServer(&s.Server, threads)
	v.last = s
	return s, nil
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

// addServer adds what the threads did, now or when they were asked last, to what the
// engine did. The loop need not wait for them.
func (v *viewer) addServer(s *state.Server, threads bool) {
	old := v.server
	s.Workers, s.Stamps, s.Span, s.Records = old.Workers, old.Stamps, old.Span, old.Records
	s.Evicted, s.Unsent, s.Overflow, s.Residence = old.Evicted, old.Unsent, old.Overflow, old.Residence
	if threads {
		v.counted = v.taken
		r := v.past
		if v.pool != nil {
			now := v.pool.Report()
			r.Merge(&now)
		}
		s.Workers, s.Stamps, s.Span, s.Records = r.Counters, r.Stamps, r.Span, r.Records
		s.Evicted, s.Unsent, s.Overflow, s.Residence = r.Evicted, r.Unsent, r.Dropped, r.Residence
	}
	s.Total = s.Engine
	s.Total.Add(&s.Workers)
	if v.command != nil {
		s.CmdHits, s.CmdDrops = v.command.Hits()
		for i, n := range v.command.Counts() {
			s.Cmd = append(s.Cmd, state.Count{Name: command.Verdict(i).String(), N: n})
		}
	}
	v.server = *s
}

// survey fills in what the loop knows, and returns the threads that know the
// rest, nil while there are none.
func (l *loop) survey(s *state.State) *worker.Pool {
	survey.Take(l.e, l.w.Now(), s)
	s.Started = l.began
	s.Kernel = kernelState(l.w.clock)
	tai := s.Config.TAI
	s.Config = configState(l.d.opts, l.d.inForce)
	s.Config.TAI = tai
	for i := range s.Sources {
		s.Sources[i].Home = s.Config.Rack
	}
	if l.w.srv.pool != nil {
		s.Server.Threads = l.w.srv.pool.Threads()
	}
	return l.w.srv.pool
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
		File: o.File, Rack: c.Rack, ReadAt: l.ReadAt, NoLog: c.Server.NoClientLog, RateLimit: c.Server.RateLimit.Enabled,
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
