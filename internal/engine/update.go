// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/discipline"
	"foliot/internal/ntp"
	"foliot/internal/selection"
)

// minFitted is how many samples a source needs before the clock may follow it.
const minFitted = 3

// measured follows a valid packet: tell people, select, and follow.
func (e *Engine) measured(m *member, now clock.Now, out *Actions) {
	report, _ := m.assoc.Report()
	ev := out.event(EvMeasurement)
	ev.Source, ev.Report, ev.Assoc = m.ref(), report, m.assoc
	if !e.sampled(m, now, out) {
		e.choose(nil, now, out)
	}
	e.replaceBad(m, now)
}

// sampled follows a new sample, if there is one.
func (e *Engine) sampled(m *member, now clock.Now, out *Actions) bool {
	if !m.assoc.Fresh() {
		return false
	}
	m.sel.Fresh = true
	ev := out.event(EvStatistics)
	ev.Source, ev.Assoc = m.ref(), m.assoc
	ev.Estimate, _ = m.assoc.Estimate(e.served(now))
	e.choose(m, now, out)
	return true
}

// lostReply follows a request that was not answered.
func (e *Engine) lostReply(m *member, now clock.Now, out *Actions) {
	if e.sel.Selected() == &m.sel || m.assoc.Unanswered() == missingLimit {
		e.choose(nil, now, out)
	}
	e.replaceBad(m, now)
}

// choose runs the selection and lets the clock follow the result.
func (e *Engine) choose(updated *member, now clock.Now, out *Actions) {
	at := e.served(now)
	e.mixOptions()
	e.ranked = e.ranked[:0]
	for _, m := range e.members {
		e.describe(m, at)
		e.ranked = append(e.ranked, &m.sel)
	}
	var fresh *selection.Source
	if updated != nil {
		fresh = &updated.sel
	}
	r := e.sel.Run(e.ranked, fresh)
	e.tellSelection(&r, at, out)
	if r.Outcome == selection.Update {
		e.follow(&r, now, out)
	} else if r.Outcome == selection.NoMajority && e.ref.Synchronized {
		e.lose(now)
		e.refresh(now, out)
	}
}

// describe fills in what selection wants to know of m at the served time at.
func (e *Engine) describe(m *member, at clock.Served) {
	s, reg := &m.sel, m.assoc.Register()
	s.Reach, s.ReachSize = m.assoc.Reach()
	s.Unreached = max(0, m.assoc.Unanswered()-8) // since the register is empty
	cfg := m.assoc.Config()
	need := minFitted
	if cfg.Limits.MaxSamples > 0 {
		need = min(need, cfg.Limits.MaxSamples)
	}
	p, valid := m.assoc.Remote()
	s.Have = valid && reg.Len() >= need
	if !s.Have {
		return
	}
	s.Leap, s.Stratum = p.Leap, max(p.Stratum, cfg.MinStratum)
	s.RefID, s.OwnRefID = ntp.RefIDOf(cfg.Addr.Addr()), ownRefID(m)
	est, _ := m.assoc.Estimate(at)
	s.Estimate, s.SD = est, reg.Line().SD
	if s.SD >= 4 {
		s.SD = est.Noise // no line is fitted through so few samples
	}
	skew := clock.Frequency(3*est.FreqSD) + e.cfg.Discipline.ClockError
	best := reg.Best(at, skew)
	age := math.Abs(at.Sub(best.Time).Seconds())
	s.RootDelay = float64(best.RootDelay)
	s.RootDisp = float64(best.RootDisp) + age*float64(skew)
	s.FirstAge = at.Sub(reg.Oldest()).Seconds()
	s.LastAge = at.Sub(reg.Last().Time).Seconds()
}

// tellSelection reports what changed.
func (e *Engine) tellSelection(r *selection.Result, at clock.Served, out *Actions) {
	for _, m := range e.members {
		e.tellStatus(m, out)
	}
	switch {
	case r.Selected >= 0:
		e.toldLoss = true
		if r.Changed {
			out.event(EvSelected).Source = e.members[r.Selected].ref()
		}
	case r.Outcome != selection.Wait && e.worthTelling(r):
		ev := out.event(EvUnselected)
		ev.Outcome, ev.Agreeing, ev.Total, ev.Unreachable = r.Outcome, r.Agreeing, r.Total, r.Unreachable
	}
	ev := out.event(EvSelection)
	ev.Time, ev.Rows = at, e.rows()
}

// worthTelling tells whether a failed selection is news: the clock was followed
// before, or the sources had their eight polls after the start and it is the
// first failure.
func (e *Engine) worthTelling(r *selection.Result) bool {
	if !e.toldLoss {
		for _, m := range e.members {
			if m.sel.ReachSize == 8 && m.sel.Reach != 0 {
				e.toldLoss = true
				return true
			}
		}
	}
	return r.Changed
}

// rows describes the result of the last run of selection.
func (e *Engine) rows() []SelectionRow {
	e.table = e.table[:0]
	for _, m := range e.members {
		s := &m.sel
		e.table = append(e.table, SelectionRow{
			Source: m.ref(), Status: s.Status, Asked: m.assoc.Config().Select, Options: s.Options, Reach: s.Reach,
			Score: s.Score, LastAge: s.LastAge, Lo: s.Lo, Hi: s.Hi, Distance: s.Distance,
		})
	}
	return e.table
}

// tellStatus reports, once, that a source became useless and why.
func (e *Engine) tellStatus(m *member, out *Actions) {
	if m.sel.Status == m.told {
		return
	}
	m.told = m.sel.Status
	switch c := &e.cfg.Selection; m.sel.Status {
	case selection.Falseticker:
		out.event(EvFalseticker).Source = m.ref()
	case selection.TooFar:
		ev := out.event(EvDistance)
		ev.Source, ev.Value, ev.Limit = m.ref(), m.sel.Distance, c.MaxDistance
	case selection.Jittery:
		ev := out.event(EvJitter)
		ev.Source, ev.Value, ev.Limit = m.ref(), m.sel.SD, c.MaxJitter
	case selection.BadStratum:
		ev := out.event(EvStratum)
		ev.Source, ev.Count, ev.Limit = m.ref(), int(m.sel.Stratum), float64(c.MaxStratum)
		if m.sel.Stratum < c.MinStratum {
			ev.Limit = float64(c.MinStratum)
		}
	}
}

// follow makes the clock follow a combined estimate.
func (e *Engine) follow(r *selection.Result, now clock.Now, out *Actions) {
	m := e.members[r.Selected]
	cfg := m.assoc.Config()
	u := discipline.Update{
		Estimate: r.Estimate, Stratum: r.Stratum, Leap: r.Leap, RefID: ntp.RefIDOf(cfg.Addr.Addr()),
		Combined: r.Combined, RootDelay: r.RootDelay, RootDisp: r.RootDisp,
		Interval: clock.Pow2(m.assoc.Poll()),
	}
	if p, ok := m.assoc.Remote(); ok && cfg.Copy {
		u.RefID = p.RefID
		u.Stratum--
	}
	plan := e.ref.Plan(&u, e.clk.Remaining(now))
	if plan.Verdict != discipline.Follow {
		e.refuse(&plan, out)
		return
	}
	if e.cfg.OneShot {
		e.oneShot(&plan, out)
	}
	e.apply(&u, &plan, m, now, out)
}

// refuse deals with an update beyond maxchange.
func (e *Engine) refuse(plan *discipline.Plan, out *Actions) {
	kind := EvChangeIgnored
	if plan.Verdict == discipline.GiveUp {
		kind = EvChangeFatal
		out.add(ActExit).Exit = ExitMaxChange
	}
	ev := out.event(kind)
	ev.Value, ev.Limit = float64(plan.DOffset), e.cfg.Discipline.MaxChange
}

// apply corrects the clock as planned and moves all history with it.
func (e *Engine) apply(u *discipline.Update, plan *discipline.Plan, m *member, now clock.Now, out *Actions) {
	made, order := e.turn(plan, now, out)
	e.ref.Followed(u, made, plan)
	e.settle(plan, made, order, now, out)
	e.fallen = 0
	e.fall.Add(e.drift().Frequency, e.ref.Interval)
	e.announceLeap(now, u.Leap, out)
	e.tellTracking(u, m, now, out)
	e.saveDrift(now, out)
}

// turn corrects served time as planned, with all history, and returns the change
// of rate that was made and what is to be done to the real clock.
func (e *Engine) turn(plan *discipline.Plan, now clock.Now, out *Actions) (clock.Frequency, discipline.Order) {
	at := e.served(now)
	if !plan.Step && math.Abs(float64(plan.DOffset)) > e.cfg.Discipline.LogChange {
		out.event(EvClockWrong).Value = float64(plan.DOffset)
	}
	made, order := e.clk.Adjust(now, plan.DFreq, plan.DOffset, plan.Duration)
	if plan.Step {
		order = e.clk.Jump(now, 0)
	}
	e.moveHistory(at, made, plan.DOffset)
	return made, order
}

// settle carries out what turn returned, once the reference knows of it.
func (e *Engine) settle(plan *discipline.Plan, made clock.Frequency, order discipline.Order, now clock.Now, out *Actions) {
	if e.smooth != nil {
		e.smooth.Update(e.served(now), plan.DOffset)
		e.smooth.Retune(e.served(now), made)
		e.smooth.Settle(e.served(now), clock.Frequency(e.ref.Skew))
	}
	e.carryOut(order, out)
	if !order.SetFrequency {
		e.refresh(now, out)
	}
}

// correct moves served time by doffset and makes it faster by dfreq, with all
// history and the reference, for a reason that is no update of it.
func (e *Engine) correct(now clock.Now, dfreq clock.Frequency, doffset clock.Offset, out *Actions) {
	at := e.served(now)
	made, order := e.clk.Adjust(now, dfreq, doffset, 0)
	e.moveHistory(at, made, doffset)
	e.ref.Adjust(at, made, doffset)
	if e.smooth != nil {
		e.smooth.Update(e.served(now), doffset)
		e.smooth.Retune(e.served(now), made)
	}
	e.carryOut(order, out)
	if !order.SetFrequency {
		e.refresh(now, out)
	}
}

// moveHistory follows a change of the served clock everywhere but in the
// reference.
func (e *Engine) moveHistory(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	for _, m := range e.members {
		m.assoc.Adjust(at, dfreq, doffset)
	}
	e.manual.adjust(at, dfreq, doffset)
	e.monoOffset -= float64(doffset)
}

// carryOut turns an order into actions: the step first, then the rate.
func (e *Engine) carryOut(o discipline.Order, out *Actions) {
	if o.Step != 0 {
		out.add(ActStep).Offset = o.Step
	}
	if o.SetFrequency {
		a := out.add(ActFrequency)
		a.Frequency, a.Base = o.Frequency, e.clk.Frequency()
	}
}

// ClockSet hears what became of an order; act is the action carried out.
func (e *Engine) ClockSet(kind ActionKind, done ClockDone, out *Actions) {
	if kind == ActStep {
		e.stepped(done, out)
		return
	}
	if done.OK {
		e.failing = false
		e.counts.Slews++
		e.clk.Rated(done.At, done.Frequency)
	} else {
		e.counts.Failures++
		if !e.failing {
			e.failing = true
			out.event(EvFrequencyFailed)
		}
	}
	e.refresh(done.At, out)
}

func (e *Engine) stepped(done ClockDone, out *Actions) {
	if e.refused = !done.OK; e.refused {
		e.counts.Failures++
		out.event(EvStepFailed)
		order := e.clk.Resume(done.At, 0)
		e.carryOut(order, out)
		return
	}
	by := float64(e.clk.Stepped(done.At))
	e.counts.Steps++
	e.counts.StepSum += by
	out.event(EvStepped).Value = by
	e.epoch = e.rng.Uint32()
}

// tellTracking reports the update.
func (e *Engine) tellTracking(u *discipline.Update, m *member, now clock.Now, out *Actions) {
	t := &e.tracking
	e.fillTracking(t, now)
	t.Name, t.Addr, t.Combined = m.assoc.Config().Name, m.assoc.Config().Addr.Addr(), u.Combined
	ev := out.event(EvTracking)
	ev.Tracking, ev.Source = t, m.ref()
}

func (e *Engine) fillTracking(t *Tracking, now clock.Now) {
	at := e.served(now)
	r := e.reference(now)
	*t = Tracking{
		Time: e.ref.Time, RefTime: r.Time, Name: t.Name, Addr: t.Addr, Combined: t.Combined, Updates: e.ref.Updates(),
		Stratum: r.Stratum, RefID: uint32(r.RefID), Leap: uint8(r.Leap),
		Frequency: e.clk.Frequency(), Skew: clock.Frequency(e.ref.Skew), Residual: clock.Frequency(e.ref.Residual),
		LastOffset: e.ref.LastOffset, RMSOffset: e.ref.RMSOffset(), OffsetSD: e.ref.OffsetSD,
		Remaining: e.clk.Remaining(now), RootDelay: r.RootDelay, RootDisp: r.RootDisp,
		MaxError: e.ref.Distance(at), Interval: e.ref.Interval, Synchronized: e.ref.Synchronized, Local: e.useLocal(now),
	}
}

// Tracking returns the state of the clock at now.
func (e *Engine) Tracking(now clock.Now) Tracking {
	e.fillTracking(&e.tracking, now)
	return e.tracking
}

// oneShot ends the daemon after the update: with a step of any size if it
// steers the clock.
func (e *Engine) oneShot(plan *discipline.Plan, out *Actions) {
	if e.finished {
		return
	}
	e.finished = true
	// The measurement is too short to know the frequency.
	plan.Step, plan.DFreq, plan.FollowsFrequency = e.cfg.Clock.Controlled, 0, false
	ev := out.event(EvInitialOffset)
	ev.Value = float64(plan.DOffset)
	if plan.Step {
		ev.Count = 1
	}
	out.add(ActExit).Exit = ExitDone
}
