// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math/bits"

	"foliot/internal/clock"
)

// Residence counts how long requests stay: from their stamp to the departure of
// the answer that [Server.Seal] was told. Buckets are powers of two of a second,
// so they are the buckets of Prometheus's native histograms (schema 0) too.
type Residence struct {
	Buckets [ResidenceBuckets]uint64 // i: up to 2^(i+ResidenceMin) seconds, and more than the one before; the last has no end
	Sum     clock.Interval           // of all of them
}

// ResidenceMin is log2 of the end of the first bucket, seconds: one microsecond
// is less than the kernel needs to hand a packet over.
const ResidenceMin = -20

// ResidenceBuckets is the number of buckets: 2^-20 to 1 second, and more.
const ResidenceBuckets = -ResidenceMin + 2

// Add counts a stay. One that is negative, as when the clock was stepped in its
// middle, is none.
func (r *Residence) Add(d clock.Interval) {
	if d < 0 {
		return
	}
	// Ticks of 2^-30 s, 1.073741824 to the nanosecond.
	const perNano = 1 << 33 * 1073741824 / 1000000000
	hi, lo := bits.Mul64(uint64(d), perNano)
	ticks := hi<<31 | lo>>33
	i := bits.Len64(max(ticks, 1)-1) - 30 - ResidenceMin
	r.Buckets[min(max(i, 0), ResidenceBuckets-1)]++
	r.Sum += d
}

// Merge adds the counts of o.
func (r *Residence) Merge(o *Residence) {
	for i := range r.Buckets {
		r.Buckets[i] += o.Buckets[i]
	}
	r.Sum += o.Sum
}
