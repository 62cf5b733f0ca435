// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/discipline"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// ManualSample is a time that a person typed. Offsets are positive if the clock was
// behind.
type ManualSample struct {
	When     clock.Served
	Offset   clock.Offset // with all corrections since
	Original clock.Offset // as it was typed
	Residual clock.Offset // off the line that was followed
}

// manual keeps the times that people typed, the newest last.
type manual struct {
	on      bool
	n       int
	samples [maxManual]ManualSample
	points  [maxManual]stats.Point // scratch
}

const (
	maxManual = 16
	// manualPause is the least time between two of them: the two ends of a
	// shorter one tell nothing about the frequency. Seconds.
	manualPause = 1.0
	// refManual stands in the tracking log where the source's reference ID does:
	// the letters MANU.
	refManual = 0x4d414e55
)

// Typed is what was made of a typed time.
type Typed struct {
	Offset    clock.Offset    // of the line through all of them, at the last one
	DFreq     clock.Frequency // by which the clock was made faster
	Frequency clock.Frequency // of the clock since, as [Tracking] has it
}

// SetManual says whether times that people type count (manual on, manual off).
// Those typed so far stay.
func (e *Engine) SetManual(now clock.Now, on bool, out *Actions) Answer {
	e.watch(now, out)
	e.manual.on = on
	return Done
}

// ResetManual forgets the typed times (manual reset). What they did to the clock
// stays.
func (e *Engine) ResetManual(now clock.Now, out *Actions) Answer {
	e.watch(now, out)
	e.manual.n = 0
	return Done
}

// ManualSamples returns the typed times, the oldest first, valid until the next
// fact (manual list).
func (e *Engine) ManualSamples() []ManualSample { return e.manual.samples[:e.manual.n] }

// SetTime takes the time t that a person says it is now (settime). The clock is
// slewed, or stepped where makestep allows, by what it is off from t; the
// frequency follows the line through all typed times, if there are two at least.
// A person is no source: nothing is claimed about the clock afterwards.
func (e *Engine) SetTime(now clock.Now, t clock.Served, out *Actions) (Typed, Answer) {
	e.watch(now, out)
	m := &e.manual
	at := e.served(now)
	switch {
	case !m.on:
		return Typed{}, NotEnabled
	case !sane(t), m.n > 0 && at.Sub(m.samples[m.n-1].When).Seconds() < manualPause:
		return Typed{}, Failed
	}
	if m.n == maxManual {
		m.drop(0)
	}
	off := clock.Offset(t.Sub(at).Seconds())
	m.samples[m.n] = ManualSample{When: at, Offset: off, Original: off}
	m.n++
	line, residuals := m.line()
	by := line
	by.Offset = off // who knows the last one to be wrong will type another
	return e.followTyped(now, &by, line.Offset, residuals, out), Done
}

// DeleteManual takes sample i out and follows the line through the others anew
// (manual delete). Where the line is now counts. chronyd takes where it is at the
// newest of them, which leaves a part of what a wrong time did.
func (e *Engine) DeleteManual(now clock.Now, i int, out *Actions) Answer {
	e.watch(now, out)
	m := &e.manual
	if i < 0 || i >= m.n {
		return BadSample
	}
	m.drop(i)
	line, residuals := m.line()
	if m.n < 2 {
		line.Offset = 0 // one alone does not tell what the clock did since
	} else {
		age := e.served(now).Sub(m.samples[m.n-1].When).Seconds()
		line.Offset += clock.Offset(age * float64(line.Freq))
	}
	e.followTyped(now, &line, line.Offset, residuals, out)
	return Done
}

func (m *manual) drop(i int) {
	copy(m.samples[i:], m.samples[i+1:m.n])
	m.n--
}

// line fits the typed times, at the newest of them, and returns what each is off.
func (m *manual) line() (l stats.Estimate, residuals [maxManual]clock.Offset) {
	if m.n == 0 {
		return l, residuals
	}
	last := &m.samples[m.n-1]
	l.Offset = last.Offset
	for i := range m.n {
		s := &m.samples[i]
		m.points[i] = stats.Point{T: s.When.Sub(last.When).Seconds(), Y: float64(s.Offset)}
	}
	if at0, slope, _, ok := stats.Robust(m.points[:m.n]); ok {
		l.Offset, l.Freq = clock.Offset(at0), clock.Frequency(slope)
	}
	for i, p := range m.points[:m.n] {
		residuals[i] = clock.Offset(p.Y-p.T*float64(l.Freq)) - l.Offset
	}
	return l, residuals
}

// followTyped makes the clock follow by.
func (e *Engine) followTyped(now clock.Now, by *stats.Estimate, shown clock.Offset, residuals [maxManual]clock.Offset, out *Actions) Typed {
	by.Time = e.served(now)
	u := discipline.Update{Estimate: *by, RefID: refManual, Leap: ntp.LeapUnsync}
	plan := e.ref.Plan(&u, e.clk.Remaining(now))
	if plan.Verdict != discipline.Follow {
		e.refuse(&plan, out)
		return Typed{Offset: shown, Frequency: e.clk.Frequency()}
	}
	ev := e.tellSetting(OptTyped, float64(plan.DOffset), out)
	ev.Limit = float64(plan.DFreq)
	if e.manual.n > 1 {
		ev.Count = 1
	}
	made, order := e.turn(&plan, now, out)
	e.lose(now)
	e.ref.Told(&u, made, &plan)
	e.settle(&plan, made, order, now, out)
	e.tellTyped(now, out)
	for i := range e.manual.n {
		e.manual.samples[i].Residual = residuals[i]
	}
	return Typed{Offset: shown, DFreq: made, Frequency: e.clk.Frequency()}
}

// tellTyped reports the update for the tracking log.
func (e *Engine) tellTyped(now clock.Now, out *Actions) {
	t := &e.tracking
	t.Name, t.Addr, t.Combined = "", netip.Addr{}, 1
	e.fillTracking(t, now)
	t.RefID, t.Stratum, t.Leap = refManual, 1, uint8(ntp.LeapUnsync)
	out.event(EvTracking).Tracking = t
}

// adjust moves the samples with the served clock.
func (m *manual) adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	for i := range m.n {
		s := &m.samples[i]
		moved := doffset + clock.Offset(s.When.Sub(at).Seconds()*float64(dfreq))
		s.When, s.Offset = s.When.Shift(moved), s.Offset-moved
	}
}

// shift adds doffset to the offsets: true time leapt.
func (m *manual) shift(doffset clock.Offset) {
	for i := range m.n {
		m.samples[i].Offset += doffset
	}
}
