// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"cmp"
	"math"
	"slices"

	"foliot/internal/clock"
)

// MaxMedian is the longest median filter.
const MaxMedian = 8192

// Median reduces the samples of n polls to one (chrony's option filter): those with a much
// larger dispersion than the best are dropped, and of the rest the middle
// offset counts. The time of the result is the mean of what it was made of.
type Median struct {
	size    int
	polls   int // so far
	samples []Sample
	order   []int
}

// NewMedian returns a filter over size polls, 1 to MaxMedian.
func NewMedian(size int) *Median {
	size = min(max(size, 1), MaxMedian)
	return &Median{size: size, samples: make([]Sample, 0, size), order: make([]int, 0, size)}
}

// Len returns the number of polls that make a sample.
func (m *Median) Len() int { return m.size }

// Poll counts a poll, whether or not it gives a sample.
func (m *Median) Poll() { m.polls++ }

// Add collects a sample.
func (m *Median) Add(s Sample) {
	if len(m.samples) == m.size {
		copy(m.samples, m.samples[1:])
		m.samples = m.samples[:m.size-1]
	}
	m.samples = append(m.samples, s)
}

// Take returns the filtered sample once the polls are over, if any of them gave
// a sample, and begins anew.
func (m *Median) Take() (Sample, bool) {
	if m.polls < m.size {
		return Sample{}, false
	}
	m.polls = 0
	if len(m.samples) == 0 {
		return Sample{}, false
	}
	m.rank()
	lo := (len(m.order) - 1) / 2
	hi := len(m.order) / 2
	out := m.blend(m.order[lo], m.order[hi])
	out.Disp += clock.Dispersion(m.spread(lo, hi))
	m.samples = m.samples[:0]
	return out, true
}

// rank orders the indices of the samples worth looking at by offset.
func (m *Median) rank() {
	least := math.Inf(1)
	for i := range m.samples {
		least = min(least, float64(m.samples[i].Disp))
	}
	m.order = m.order[:0]
	for i := range m.samples {
		if len(m.samples) <= 4 || float64(m.samples[i].Disp) <= 1.5*least {
			m.order = append(m.order, i)
		}
	}
	slices.SortFunc(m.order, func(i, j int) int {
		return cmp.Compare(m.samples[i].Offset, m.samples[j].Offset)
	})
}

func (m *Median) blend(i, j int) Sample {
	a, b := m.samples[i], m.samples[j]
	a.Time = a.Time.Add(b.Time.Sub(a.Time) / 2)
	a.Offset = (a.Offset + b.Offset) / 2
	a.Measured = (a.Measured + b.Measured) / 2
	a.Delay, a.Disp = (a.Delay+b.Delay)/2, (a.Disp+b.Disp)/2
	a.RootDelay, a.RootDisp = (a.RootDelay+b.RootDelay)/2, (a.RootDisp+b.RootDisp)/2
	return a
}

// spread estimates the standard deviation of the median from the quartiles.
func (m *Median) spread(lo, hi int) float64 {
	n := len(m.order)
	if n < 4 {
		return 0
	}
	q1, q3 := m.samples[m.order[lo/2]].Offset, m.samples[m.order[hi+(n-1-hi)/2]].Offset
	return float64(q3-q1) / 1.349 * 1.2533 / math.Sqrt(float64(n))
}

// Adjust follows a change of the served clock.
func (m *Median) Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	for i := range m.samples {
		m.samples[i].adjust(at, dfreq, doffset)
	}
}

// Shift adds doffset to all offsets: the source's time moved, not ours.
func (m *Median) Shift(doffset clock.Offset) {
	for i := range m.samples {
		m.samples[i].Offset += doffset
	}
}

// Reset forgets the samples collected so far.
func (m *Median) Reset() { m.samples, m.polls = m.samples[:0], 0 }
