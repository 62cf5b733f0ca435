// SPDX-License-Identifier: Apache-2.0

package responder

import "foliot/internal/clock"

// Lead foretells how long after the clock was read a datagram leaves, so that
// its transmit timestamp is true and not merely early. Answers are sent several
// at a time: each waits for the system call and for those before it. Both are
// learned from transmit stamps of the kernel. The zero Lead foretells nothing.
type Lead struct {
	first, step estimate // of the first of a batch, and for each one more
}

// Bounds of what is learned, nanoseconds. A datagram that waits longer is held
// up by something that the next one will not meet.
const (
	longestLead = 20_000
	longestStep = 10_000
)

// At returns the time that the datagram at place i of a batch, from 0, takes.
func (l *Lead) At(i int) clock.Interval {
	return clock.Interval(l.first.value + float64(i)*l.step.value)
}

// Learn takes in that the datagram at place i left late by so much: its transmit
// stamp minus the foretold time.
func (l *Lead) Learn(i int, late clock.Interval) {
	if i == 0 {
		l.first.learn(float64(late), 1, longestLead)
		return
	}
	l.step.learn(float64(late), 1/float64(i), longestStep)
}

// estimate follows the median of what it is told, nanoseconds: surprises are cut,
// since now and then a datagram is held up for long. Surprises that go on being of
// one sign are a change, and are cut less and less.
type estimate struct {
	value float64
	cut   float64 // a surprise counts for no more than this
	run   int     // surprises in a row that were cut, negative: early ones
}

const (
	leastCut = 400
	mostCut  = 6400
	patient  = 3 // surprises of one sign until they are believed
	leadGain = 1.0 / 8
)

// learn corrects the value by a share of d, the error of what was foretold.
func (e *estimate) learn(d, share, longest float64) {
	e.cut = max(e.cut, leastCut)
	switch {
	case d > e.cut && e.run >= 0:
		e.run++
	case d < -e.cut && e.run <= 0:
		e.run--
	default:
		e.run, e.cut = 0, max(e.cut/2, leastCut)
	}
	if e.run >= patient || e.run <= -patient {
		e.run, e.cut = 0, min(2*e.cut, mostCut)
	}
	d = min(max(d, -e.cut), e.cut) * leadGain * share
	e.value = min(max(e.value+d, 0), longest)
}
