// SPDX-License-Identifier: Apache-2.0

// Package survey takes a [state.State] of an engine: it asks the core everything
// that views show and turns it into values that stay. What the core does not know
// (the kernel, the threads, the configuration file) its caller adds.
//
// The one concept is the moment: all of a State is as of one reading of the
// clocks, between two facts, and is taken by the goroutine that owns the engine.
package survey

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/source"
	"foliot/internal/state"
)

// Take fills in what the engine knows at now.
func Take(e *engine.Engine, now clock.Now, s *state.State) {
	s.Now, s.Served = now, e.ServedAt(now)
	s.Tracking = tracking(e, now)
	s.Sources = s.Sources[:0]
	for v := range e.Views() {
		s.Sources = append(s.Sources, state.Source{})
		one(&s.Sources[len(s.Sources)-1], &v, s.Served)
	}
	s.Unsolved, s.EntryIDs = nil, nil
	for id, name := range e.Unresolved() {
		if _, err := netip.ParseAddr(name); err == nil {
			continue // configured twice: another source has the address
		}
		s.Unsolved, s.EntryIDs = append(s.Unsolved, name), append(s.EntryIDs, uint32(id))
	}
	s.Manual = s.Manual[:0]
	for _, m := range e.ManualSamples() {
		s.Manual = append(s.Manual, state.Typed(m))
	}
	n := e.ClockCounts()
	s.Clock = state.Clock{
		Controlled: e.Controlled(), Steps: n.Steps, StepSum: n.StepSum, Slews: n.Slews,
		Foreign: n.Foreign, Failures: n.Failures, Precision: e.Quantum(),
	}
	s.Smooth = smoothing(e, now)
	s.Server.Open = e.Listening()
	s.Server.Engine = e.Server().Counters
	s.Config.TAI = e.TAI()
}

func tracking(e *engine.Engine, now clock.Now) state.Tracking {
	t := e.Tracking(now)
	out := state.Tracking{
		Synchronized: t.Synchronized && !t.Local, Local: t.Local,
		Stratum: t.Stratum, RefID: ntp.RefID(t.RefID), Leap: ntp.Leap(t.Leap), RefTime: t.RefTime,
		Remaining: t.Remaining, LastOffset: t.LastOffset, RMSOffset: t.RMSOffset, OffsetSD: t.OffsetSD,
		Frequency: t.Frequency, Residual: t.Residual, Skew: t.Skew,
		RootDelay: t.RootDelay, RootDisp: t.RootDisp, Interval: t.Interval, Updates: uint64(t.Updates),
	}
	if out.Synchronized {
		out.Source, out.Addr = t.Name, t.Addr
	}
	return out
}

func smoothing(e *engine.Engine, now clock.Now) state.Smoothing {
	c, enabled := e.Smoothing(now)
	s := state.Smoothing{
		Enabled: enabled, Active: c.Active, LeapOnly: c.LeapOnly, Offset: c.Offset, Frequency: c.Freq, Wander: c.Wander, Remaining: c.Remaining,
	}
	if !c.Updated.IsZero() {
		s.LastUpdate = e.ServedAt(now).Sub(c.Updated).Seconds()
	}
	return s
}

// one describes one source.
func one(s *state.Source, v *engine.View, at clock.Served) {
	a, c := v.Assoc, v.Assoc.Config()
	*s = state.Source{
		ID: uint32(v.Source.ID), Name: v.Source.Name, Addr: v.Source.Addr, Pool: v.Pool, Rack: c.Rack, State: activity(a.State()),
		Status: v.Choice.Status, Asked: c.Select, Used: v.Choice.Options, Score: v.Choice.Score,
		Poll: a.Poll(), MinPoll: c.MinPoll, MaxPoll: c.MaxPoll, Unanswered: a.Unanswered(),
		RefID: ntp.RefIDOf(v.Source.Addr.Addr()), Counts: a.Counters,
		Leap: ntp.LeapUnsync,
	}
	if c.Symmetric {
		s.Mode = state.Peer
	}
	s.Reach, s.Reached = a.Reach()
	if p, ok := a.Remote(); ok {
		s.Stratum, s.Leap = p.Stratum, p.Leap
	}
	// The last exchange is of interest even after a reset has forgotten it.
	if r, _ := a.Report(); !r.Time.IsZero() {
		s.HasReport, s.Report, s.Local = true, *r, r.Local
	}
	if v.Choice.Have {
		s.Lo, s.Hi, s.Distance = clock.Offset(v.Choice.Lo), clock.Offset(v.Choice.Hi), v.Choice.Distance
	}
	n := &a.Counters
	s.KernelTx, s.KernelRx = inKernel(&n.TxStamps), inKernel(&n.RxStamps)
	s.HardwareTx, s.HardwareRx = n.TxStamps[clock.StampHardware], n.RxStamps[clock.StampHardware]
	s.Samples = samples(a, at)
	s.Auth = authentication(c, n)
}

// inKernel counts the timestamps that the kernel took, in whatever layer.
func inKernel(by *source.StampCounts) uint64 {
	return by[clock.StampKernel] + by[clock.StampBPF]
}

func activity(s source.State) state.Activity {
	switch s {
	case source.Online:
		return state.Online
	case source.BurstOnline:
		return state.BurstOnline
	case source.BurstOffline:
		return state.BurstOffline
	}
	return state.Offline
}

func samples(a *source.Association, at clock.Served) state.Samples {
	r, line := a.Register(), a.Register().Line()
	s := state.Samples{
		N: r.Len(), Runs: line.Runs, Span: r.Span().Seconds(), LastAge: -1,
		SD: line.SD, Frequency: line.Freq, Skew: line.Skew, Asymmetry: r.Asymmetry(),
	}
	if s.N == 0 {
		return s
	}
	last := r.Last()
	s.LastAge = max(0, at.Sub(last.Time).Seconds())
	s.Last, s.LastRaw = last.Offset, last.Measured
	s.LastErr = float64(last.RootDelay)/2 + float64(last.RootDisp)
	s.Offset, s.OffsetSD = line.At(at), line.OffsetSD
	s.Delay, s.Dispersion = last.Delay, last.Disp
	s.Jitter = r.Jitter()
	return s
}

func authentication(c *source.Config, n *source.Counters) state.Auth {
	if !c.Authenticated {
		return state.Auth{Failures: n.Verdicts[source.BadAuth]}
	}
	return state.Auth{
		Symmetric: true, KeyID: c.KeyID, KeyType: c.Key.Type().String(), KeyBits: c.Key.Bits(),
		Failures: n.Verdicts[source.BadAuth],
	}
}
