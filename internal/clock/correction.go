// SPDX-License-Identifier: Apache-2.0

package clock

// Correction relates the wall clock to served time: at the wall reading w,
//
//	served = w + Offset + Rate*(w-Since)
//
// While an offset is being slewed out, Rate is minus the extra rate of the
// slew; when clock control is off, it is the whole frequency correction.
type Correction struct {
	Since  Wall
	Offset Offset
	Rate   Frequency
}

// At returns the correction at the wall reading w.
func (c Correction) At(w Wall) Offset {
	return c.Offset + Offset(float64(c.Rate)*w.Sub(c.Since).Seconds())
}

// Served returns the served time at the wall reading w.
func (c Correction) Served(w Wall) Served { return ServedAt(w, c.At(w)) }

// Wall returns the wall reading at which the served time is s.
func (c Correction) Wall(s Served) Wall {
	// Each round of iteration multiplies the error by Rate, at most 0.1.
	w := WallAt(s, c.Offset)
	for range 4 {
		w = WallAt(s, c.At(w))
	}
	return w
}
