// SPDX-License-Identifier: Apache-2.0

package responder

import "foliot/internal/clock"

// Lead foretells how long after the clock was read a datagram leaves, so that
// its transmit timestamp is true and not merely early. Answers are sent several
// at a time: each waits for the system call and for those before it. Both are
// learned from transmit stamps of the kernel. The zero Lead foretells nothing.
type Lead struct {
	first, step float64 // nanoseconds: of the first of a batch, and for each one more
}

// Bounds of what is learned, nanoseconds. A datagram that waits longer is held
// up by something that the next one will not meet.
const (
	longestLead  = 20_000
	longestStep  = 10_000
	surpriseLead = 400 // one stamp counts for no more than this
	leadGain     = 1.0 / 8
)

// At returns the time that the datagram at place i of a batch, from 0, takes.
func (l *Lead) At(i int) clock.Interval {
	return clock.Interval(l.first + float64(i)*l.step)
}

// Learn takes in that the datagram at place i left late by so much: its transmit
// stamp minus the foretold time. Surprises are cut, so that the median is what is
// learned: now and then a datagram is held up for long.
func (l *Lead) Learn(i int, late clock.Interval) {
	d := min(max(float64(late), -surpriseLead), surpriseLead) * leadGain
	if i == 0 {
		l.first = min(max(l.first+d, 0), longestLead)
		return
	}
	l.step = min(max(l.step+d/float64(i), 0), longestStep)
}
