// SPDX-License-Identifier: Apache-2.0

package stats

// Quantile follows a quantile of a stream with a few words of memory: the
// frugal estimator of Ma, Muthukrishnan and Sandler (arXiv 1407.1121), in its
// two-variable form, where the step grows as long as it goes one way. It is the
// bound of maxdelayquant.
type Quantile struct {
	p     float64 // the quantile, 0..1
	least float64 // smallest step
	est   float64
	step  float64
	up    bool
	n     int
	turn  uint32 // deterministic dither in place of random numbers
}

// P returns the probability that is followed.
func (q *Quantile) P() float64 { return q.p }

// quantileStart is how many values pass before the estimate is used.
const quantileStart = 8

// NewQuantile follows the quantile p of values with the given resolution.
func NewQuantile(p, resolution float64) *Quantile {
	if resolution <= 0 {
		resolution = 1e-9
	}
	return &Quantile{p: p, least: resolution / 2}
}

// Allows tells whether v is not above the quantile, give or take half a step.
func (q *Quantile) Allows(v float64) bool {
	return q.n < quantileStart || v <= q.est+q.step/2
}

// Add takes a value in.
func (q *Quantile) Add(v float64) {
	q.n++
	if q.n == 1 {
		q.least = max(q.least, v/1000)
		q.est, q.step = v, q.least
		return
	}
	// A Weyl sequence visits [0, 1) evenly; which values move the estimate
	// needs no secrecy, only balance.
	q.turn += 2654435769
	r := float64(q.turn) / (1 << 32)
	switch {
	case v > q.est && r > 1-q.p:
		q.move(true, v)
	case v < q.est && r > q.p:
		q.move(false, v)
	}
}

// move takes a step up or down, faster and faster in one direction, and not
// past the value that asked for it.
func (q *Quantile) move(up bool, v float64) {
	if up == q.up {
		q.step += q.least
	} else {
		q.step = q.least
	}
	q.up = up
	if up {
		q.est = min(q.est+q.step, v)
		return
	}
	q.est = max(q.est-q.step, v)
}
