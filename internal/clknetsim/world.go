// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"fmt"
	"math"
	"math/rand/v2"

	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/ntp"
)

// systemClock is the index of CLOCK_REALTIME among the node's clocks.
const systemClock = 0

// monoBase keeps monotonic instants away from zero, which means none. Seconds.
const monoBase = 1000

// maxKernelError is where the kernel stops to count an error, microseconds.
const maxKernelError = 16_000_000

// World is one node of the simulation. It implements [engine.World]. Not safe
// for concurrent use.
type World struct {
	conn   *Conn
	env    environment
	opt    *Options
	rng    *rand.Rand // of port numbers
	engine *engine.Engine
	acts   engine.Actions

	times   Times           // from the server's last answer
	freq    clock.Frequency // rate that the server confirmed last
	sockets []socket
	listens bool
	sent    []engine.Transmitted // to be told
	looked  []engine.Resolved    // likewise
	packet  []byte               // the datagram being told
	exit    engine.ExitReason
	err     error // the first that carrying out an action met
}

// Now implements engine.World.
func (w *World) Now() clock.Now {
	return clock.Now{
		Wall: clock.At[clock.Realtime](w.env.start*1e9 + nanos(w.times.Real)),
		Mono: clock.At[clock.Raw](monoBase*1e9 + nanos(w.times.Raw)),
	}
}

// nanos converts seconds to the nearest nanosecond. Whole seconds are split off
// first: a product with 1e9 would have no digits left for the fraction.
func nanos(s float64) int64 {
	whole := math.Floor(s)
	return int64(whole)*1e9 + int64(math.Round((s-whole)*1e9))
}

// controlled tells whether the clock may be touched.
func (w *World) controlled() bool { return w.opt.Engine.Clock.Controlled }

// readRate learns the rate that the clock has, without changing it.
func (w *World) readRate() error {
	var t Timex
	if _, err := w.conn.Adjust(systemClock, &t); err != nil {
		return fmt.Errorf("read clock rate: %w", err)
	}
	w.freq = clock.FromKernel(clock.KernelFrequency{Tick: t.Tick, Freq: t.Freq})
	return nil
}

// adjust changes the clock. It reports whether that was done.
func (w *World) adjust(t *Timex) bool {
	if w.err != nil || !w.controlled() {
		return false
	}
	state, err := w.conn.Adjust(systemClock, t)
	if err != nil {
		w.err = fmt.Errorf("adjust clock: %w", err)
		return false
	}
	w.freq = clock.FromKernel(clock.KernelFrequency{Tick: t.Tick, Freq: t.Freq})
	return state >= 0
}

// SetClock implements engine.World.
func (w *World) SetClock(a *engine.Action) engine.ClockDone {
	var t Timex
	if a.Kind == engine.ActStep {
		t = stepBy(a.Offset)
	} else {
		k := clock.ToKernel(a.Frequency)
		t = Timex{Modes: AdjTick | AdjFrequency, Tick: k.Tick, Freq: k.Freq}
	}
	ok := w.adjust(&t)
	if ok && a.Kind == engine.ActStep {
		ok = w.readTimes()
	}
	return engine.ClockDone{At: w.Now(), Frequency: w.freq, OK: ok}
}

// stepBy returns the call that adds o to the clock.
func stepBy(o clock.Offset) Timex {
	ns := int64(clock.Seconds(float64(o)))
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 { // adjtimex wants it positive
		sec, frac = sec-1, frac+1e9
	}
	return Timex{Modes: AdjSetOffset | AdjNano, Sec: sec, Frac: frac}
}

// readTimes asks what the clocks show; needed only after a step, as time stands
// still between two answers.
func (w *World) readTimes() bool {
	t, err := w.conn.Times(systemClock)
	if err != nil {
		w.err = fmt.Errorf("read clock: %w", err)
		return false
	}
	w.times = t
	return true
}

// Do implements engine.World.
func (w *World) Do(a *engine.Action) {
	switch a.Kind {
	case engine.ActHangup:
		w.hangup(a.Source)
	case engine.ActResolve:
		ipv6 := a.Family == engine.FamilyIPv6 || a.Family == engine.FamilyAny && w.env.ipv6
		w.looked = append(w.looked, engine.Resolved{Name: a.Name, Addrs: lookup(a.Name, ipv6)})
	case engine.ActStatus:
		t := statusOf(&a.Status)
		w.adjust(&t)
	case engine.ActListen:
		w.listens = a.Listen
	case engine.ActDrift:
		if w.opt.OnDrift != nil {
			w.opt.OnDrift(a.Drift)
		}
	case engine.ActEvent:
		if w.opt.OnEvent != nil {
			w.opt.OnEvent(w.Now(), &a.Event)
		}
	case engine.ActExit:
		w.exit = a.Exit
	}
	// ActPublish and ActPolicy are for those that answer beside the engine: nobody here.
}

// statusOf encodes what other programs are told of the clock. Setting the status
// would turn nanoseconds off if ADJ_NANO were not set with it.
func statusOf(s *engine.KernelStatus) Timex {
	t := Timex{
		Modes:    AdjStatus | AdjMaxError | AdjEstError | AdjNano,
		MaxError: microseconds(s.MaxError), EstError: microseconds(s.EstError),
	}
	if !s.Synchronized {
		t.Status |= StatusUnsync
	}
	switch s.Leap {
	case ntp.LeapInsert:
		t.Status |= StatusInsert
	case ntp.LeapDelete:
		t.Status |= StatusDelete
	}
	if s.TAI != 0 {
		t.Modes |= AdjTAI
		t.Constant = int64(s.TAI)
	}
	return t
}

// microseconds rounds an error bound up, to at most 16 s.
func microseconds(d clock.Dispersion) int64 {
	return int64(math.Ceil(min(max(float64(d)*1e6, 0), maxKernelError)))
}
