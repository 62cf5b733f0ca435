// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"

	"foliot/internal/clock"
)

// Line is the estimator that believes in the register's fitted line: what
// chrony does. It is kept to compare [Tracker] with.
type Line struct {
	fit  Fit
	have bool
}

var _ Estimator = (*Line)(nil)

// Add takes the line of r over.
func (l *Line) Add(r *Register) { l.fit, l.have = r.Line(), true }

// Estimate returns the line at the newest sample.
func (l *Line) Estimate() (Estimate, bool) {
	return Estimate{
		Time: l.fit.Time, Offset: l.fit.Offset, OffsetSD: l.fit.OffsetSD,
		Freq: l.fit.Freq, FreqSD: float64(l.fit.Skew) / 3.5, Noise: l.fit.SD,
	}, l.have
}

// Adjust follows a change of the served clock.
func (l *Line) Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	l.fit.adjust(at, dfreq, doffset)
}

// Shift adds a correction to the source's offset.
func (l *Line) Shift(doffset clock.Offset) { l.fit.Offset += doffset }

// Reset forgets the line.
func (l *Line) Reset() { *l = Line{fit: Fit{SD: worstSD, Skew: worstSkew, OffsetSD: math.Inf(1)}} }
