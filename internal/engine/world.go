// SPDX-License-Identifier: Apache-2.0

package engine

import "foliot/internal/clock"

// World carries out actions. There are three: Linux, the simulator and
// clknetsim; the engine cannot tell them apart.
type World interface {
	// Now reads the clocks.
	Now() clock.Now
	// SetClock steps the clock (ActStep) or sets its rate (ActFrequency).
	SetClock(a *Action) ClockDone
	// Send transmits a datagram: it reads the wall clock as late as possible,
	// hands that to e.Seal, sends at once and, if s.TxID is not 0, tells
	// Transmitted at its next opportunity. It reports whether the network took
	// the datagram.
	Send(e *Engine, s *Send, datagram []byte) bool
	// Do carries out every other action.
	Do(a *Action)
}

// Perform carries out all actions of a in order, those included that carrying
// out others adds, and empties a.
func (e *Engine) Perform(w World, a *Actions) {
	for i := 0; i < a.Len(); i++ {
		switch act := a.At(i); act.Kind {
		case ActFrequency, ActStep:
			kind := act.Kind
			e.ClockSet(kind, w.SetClock(act), a)
		case ActSend:
			from := act.Send.Source
			if !w.Send(e, &act.Send, a.Datagram(&act.Send)) && from != 0 {
				e.unsent(from, a)
			}
		default:
			w.Do(act)
		}
	}
	a.Reset()
}
