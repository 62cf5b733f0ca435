// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Measurement is a line of measurements.log, of foliotd or chronyd.
type Measurement struct {
	Source      string
	Stratum     int
	Tests       string  // "111 111 1111"
	Offset      float64 // seconds, positive = local clock slow
	Delay       float64 // seconds
	Interleaved bool
	Tx, Rx      string // D, K or H: daemon, kernel, hardware
}

// Measurements parses measurements.log; banners are left out.
func Measurements(text string) []Measurement {
	var all []Measurement
	for _, f := range rows(text) {
		if len(f) < 20 {
			continue
		}
		m := Measurement{Source: f[2], Tests: strings.Join(f[5:8], " ")}
		m.Stratum, _ = strconv.Atoi(f[4])
		m.Offset, m.Delay = number(f[11]), number(f[12])
		m.Interleaved = strings.HasSuffix(f[17], "I")
		m.Tx, m.Rx = f[18], f[19]
		all = append(all, m)
	}
	return all
}

// Tracking parses the offsets of tracking.log: the estimates of the clock's
// error, in seconds, positive = local clock fast.
func Tracking(text string) []float64 {
	var all []float64
	for _, f := range rows(text) {
		if len(f) >= 14 {
			all = append(all, number(f[6]))
		}
	}
	return all
}

// rows returns the fields of each line that begins with a date.
func rows(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 2 && len(f[0]) == 10 && f[0][4] == '-' && strings.HasSuffix(line, "\n") {
			all = append(all, f)
		}
	}
	return all
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// Offsets returns the offsets of measurements.
func Offsets(all []Measurement) []float64 {
	o := make([]float64, len(all))
	for i := range all {
		o[i] = all[i].Offset
	}
	return o
}

// Quantile returns the q quantile (0 to 1) of the absolute values of x, by the
// nearest rank; NaN if there are none.
func Quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	a := make([]float64, len(x))
	for i, v := range x {
		a[i] = math.Abs(v)
	}
	slices.Sort(a)
	return a[max(0, int(math.Ceil(q*float64(len(a))))-1)]
}
