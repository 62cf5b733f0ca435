// SPDX-License-Identifier: Apache-2.0

package drifts

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"foliot/internal/clock"
)

// MaxCompensation is the largest compensation that is believed, in either
// direction: 10 ppm. A larger one comes from a broken sensor or wrong
// coefficients.
const MaxCompensation clock.Frequency = 10e-6

// Polynomial is the first form of the directive tempcomp: at the temperature T the
// clock has to run faster by
//
//	K0 + (T-T0)*K1 + (T-T0)^2*K2 ppm
type Polynomial struct {
	T0 float64 // in the unit of the sensor
	K0 float64 // ppm
	K1 float64 // ppm per unit
	K2 float64 // ppm per its square
}

// Point is a line of the table of the second form of tempcomp: at Temperature the
// clock has to run faster by PPM.
type Point struct {
	Temperature float64 // in the unit of the sensor
	PPM         float64
}

// TempComp turns a temperature into a compensation. It is immutable.
type TempComp struct {
	poly   Polynomial
	points []Point // at least two, ascending; nil: poly counts
}

// NewPolynomial returns the compensation by a polynomial.
func NewPolynomial(p Polynomial) *TempComp { return &TempComp{poly: p} }

// NewPoints returns the compensation by a line through points, straight between
// two of them and beyond the first and the last. It needs two points or more with
// ascending temperatures.
func NewPoints(points []Point) (*TempComp, error) {
	if len(points) < 2 {
		return nil, errors.New("less than two points")
	}
	for i, p := range points {
		if !finite(p.Temperature) || !finite(p.PPM) {
			return nil, fmt.Errorf("point %d is not finite", i+1)
		}
		if i > 0 && p.Temperature <= points[i-1].Temperature {
			return nil, fmt.Errorf("temperature %v of point %d is not above the one before", p.Temperature, i+1)
		}
	}
	return &TempComp{points: append([]Point(nil), points...)}, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// ParsePoints reads the points file of tempcomp: lines of a temperature and a
// compensation in ppm. Empty lines and lines that begin with one of !;#% are
// passed over.
func ParsePoints(text []byte) (*TempComp, error) {
	var points []Point
	for n := 1; len(text) > 0; n++ {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		words := strings.Fields(string(line))
		if len(words) == 0 || strings.IndexByte("!;#%", words[0][0]) >= 0 {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("temperature points, line %d: not a temperature and a compensation", n)
		}
		t, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			return nil, fmt.Errorf("temperature points, line %d: temperature: %w", n, err)
		}
		ppm, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return nil, fmt.Errorf("temperature points, line %d: compensation: %w", n, err)
		}
		points = append(points, Point{t, ppm})
	}
	c, err := NewPoints(points)
	if err != nil {
		return nil, fmt.Errorf("temperature points: %w", err)
	}
	return c, nil
}

// Compensation returns by how much the clock has to run faster at a temperature,
// in the unit of the sensor. It reports false if that is more than
// MaxCompensation in either direction: then the reading has to be ignored.
func (c *TempComp) Compensation(temperature float64) (clock.Frequency, bool) {
	ppm := 0.0
	if c.points != nil {
		ppm = c.interpolate(temperature)
	} else {
		d := temperature - c.poly.T0
		ppm = c.poly.K0 + d*(c.poly.K1+d*c.poly.K2)
	}
	f := clock.FromPPM(ppm)
	if !(math.Abs(ppm) <= MaxCompensation.PPM()) {
		return 0, false
	}
	return f, true
}

func (c *TempComp) interpolate(t float64) float64 {
	i := sort.Search(len(c.points), func(i int) bool { return c.points[i].Temperature >= t })
	i = min(max(i, 1), len(c.points)-1)
	a, b := c.points[i-1], c.points[i]
	return a.PPM + (t-a.Temperature)/(b.Temperature-a.Temperature)*(b.PPM-a.PPM)
}

// Compensate returns the frequency of a clock that needs f without and comp
// because of its temperature.
func Compensate(f, comp clock.Frequency) clock.Frequency { return (1+f)*(1+comp) - 1 }

// Uncompensate is the inverse of Compensate for the same comp.
func Uncompensate(f, comp clock.Frequency) clock.Frequency { return (1+f)/(1+comp) - 1 }
