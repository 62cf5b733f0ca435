// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math/bits"

	"foliot/internal/clock"
)

// Point is one sample of a host.
type Point struct {
	At     clock.Served
	Offset clock.Offset
	Delay  float32 // seconds
}

// series keeps points of a whole run in a fixed room: when it is full, every
// second one is dropped, and from then on only every second one is taken in.
type series struct {
	points []Point // capacity set once
	stride uint64  // of so many samples one is kept
	seen   uint64
}

const leastSeries = 16

func (s *series) init(n int) {
	s.points = make([]Point, 0, max(n, leastSeries))
	s.stride = 1
}

func (s *series) reset() {
	s.points, s.stride, s.seen = s.points[:0], 1, 0
}

func (s *series) add(p Point) {
	s.seen++
	if (s.seen-1)%s.stride != 0 {
		return
	}
	if len(s.points) == cap(s.points) {
		n := 0
		for i := 0; i < len(s.points); i += 2 {
			s.points[n] = s.points[i]
			n++
		}
		s.points = s.points[:n]
		s.stride *= 2
		if (s.seen-1)%s.stride != 0 {
			return
		}
	}
	s.points = append(s.points, p)
}

// Lateness counts how late requests left after they were due, by powers of two
// of nanoseconds.
type Lateness [40]uint64

func (l *Lateness) add(ns int64) {
	l[min(bits.Len64(uint64(max(ns, 0))), len(l)-1)]++
}

// Quantile returns the lateness that the share p of all requests does not exceed,
// in seconds, to a factor of two; upwards.
func (l *Lateness) Quantile(p float64) float64 {
	var all, sum uint64
	for _, n := range l {
		all += n
	}
	for i, n := range l {
		sum += n
		if n > 0 && float64(sum) >= p*float64(all) {
			return float64(uint64(1)<<i) * 1e-9
		}
	}
	return 0
}
