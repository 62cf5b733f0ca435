// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"math"
	"strings"
	"time"

	"foliot/internal/figures"
)

// A plot is drawn into a box of columns by rows; the page stretches it, and
// writes the labels beside it, so that they keep their size.
const (
	columns = 360
	rows    = 100
)

// shortest is the least time that a plot covers, seconds.
const shortest = 600.0

// plot is one curve over the history, ready for the template.
type plot struct {
	ID, Title    string
	Note         string  // what its sign means
	Band, Line   string  // SVG path data: smallest to largest value in each column; the last one
	Zero         float64 // row of the value 0, negative if it is not in sight
	Top, Mid     string  // labels of the y axis
	Bottom       string  //
	Current      string  // the newest value
	Past, Middle string  // labels of the x axis
	Low, High    float64 // values at the bottom and the top, in Unit
	Unit         string  // of these
	Digits       int     // behind the point
	Signed       bool    // values have a sign
	Start        int64   // Unix milliseconds at the left edge
	Length       int64   // milliseconds from the left to the right edge
}

// curve is one value of each point; ok tells whether it has one.
type curve struct {
	id, title, note string
	value           func(p, before *point) (v float64, ok bool)
	scale           func(span float64) (factor float64, unit string)
	fromZero        bool // the axis begins at 0
}

var curves = []curve{
	{id: "offset", title: "Offset", note: "above zero: the clock was behind", scale: figures.Seconds,
		value: func(p, _ *point) (float64, bool) { return p.offset, p.synced }},
	{id: "frequency", title: "Frequency", note: "above zero: the clock is slow by itself",
		scale: func(float64) (float64, string) { return 1e6, "ppm" },
		value: func(p, _ *point) (float64, bool) { return p.frequency, p.synced }},
	{id: "bound", title: "Error bound", note: "how far from true time the clock may be", scale: figures.Seconds, fromZero: true,
		value: func(p, _ *point) (float64, bool) { return p.bound, p.synced }},
	{id: "rate", title: "Answers to clients", note: "a second", fromZero: true,
		scale: func(float64) (float64, string) { return 1, "/s" }, value: rate},
}

// rate is how many requests were answered a second since the point before.
func rate(p, before *point) (float64, bool) {
	if before == nil || p.total() < before.total() {
		return 0, false
	}
	return float64(p.total()-before.total()) / (p.at - before.at), true
}

// plots draws all curves; wall is the time of the newest point.
func plots(list []point, wall time.Time) []plot {
	all := make([]plot, len(curves))
	for i := range curves {
		all[i] = curves[i].draw(list, wall)
	}
	return all
}

// column is what falls into one column.
type column struct {
	low, high, last float64
	any             bool
}

func (c *curve) draw(list []point, wall time.Time) plot {
	p := plot{ID: c.id, Title: c.title, Note: c.note, Signed: !c.fromZero, Zero: -1, Current: "no data"}
	length := shortest
	if len(list) > 0 {
		length = max(length, list[len(list)-1].at-list[0].at)
	}
	p.Start, p.Length = wall.Add(-time.Duration(length*float64(time.Second))).UnixMilli(), int64(length*1e3)
	p.Past, p.Middle = "−"+reach(length), "−"+reach(length/2)
	cols, newest, ok := c.sort(list, length)
	if !ok {
		return p
	}
	p.axis(cols, c)
	factor := p.factor(cols, c)
	p.paths(cols, factor)
	p.Current = p.label(newest * factor)
	return p
}

// sort puts the points into columns and returns the newest value too.
func (c *curve) sort(list []point, length float64) (cols [columns]column, newest float64, ok bool) {
	for i := range list {
		var before *point
		if i > 0 {
			before = &list[i-1]
		}
		v, have := c.value(&list[i], before)
		if !have || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		age := list[len(list)-1].at - list[i].at
		col := &cols[min(columns-1, max(0, int((1-age/length)*columns)))]
		if !col.any {
			*col = column{v, v, v, true}
		}
		col.low, col.high, col.last = min(col.low, v), max(col.high, v), v
		newest, ok = v, true
	}
	return cols, newest, ok
}

func extremes(cols [columns]column) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for i := range cols {
		if cols[i].any {
			low, high = min(low, cols[i].low), max(high, cols[i].high)
		}
	}
	return low, high
}

func (p *plot) factor(cols [columns]column, c *curve) float64 {
	low, high := extremes(cols)
	f, _ := c.scale(max(math.Abs(low), math.Abs(high)))
	return f
}

// axis chooses the range of values, with some air, and labels it.
func (p *plot) axis(cols [columns]column, c *curve) {
	low, high := extremes(cols)
	factor, unit := c.scale(max(math.Abs(low), math.Abs(high)))
	low, high = low*factor, high*factor
	if c.fromZero {
		low = 0
	}
	air := (high - low) / 10
	if air == 0 {
		air = max(math.Abs(high)/10, 0.5)
	}
	p.Low, p.High, p.Unit = low-air, high+air, unit
	if c.fromZero {
		p.Low = 0
	}
	p.Digits = min(max(0, 1-int(math.Floor(math.Log10((p.High-p.Low)/3)))), 6)
	p.Top, p.Mid, p.Bottom = p.label(p.High), p.label((p.Low+p.High)/2), p.label(p.Low)
	if p.Low < 0 && p.High > 0 {
		p.Zero = p.row(0)
	}
}

// label writes a value with as many digits as tell values of the axis apart.
func (p *plot) label(v float64) string {
	if math.Abs(v) < (p.High-p.Low)*1e-6 {
		v = 0 // rounding errors have no sign
	}
	sign := ""
	if p.Signed && v != 0 {
		sign = "+"
	}
	return figures.Minus(fmt.Sprintf("%"+sign+".*f", p.Digits, v)) + " " + p.Unit
}

func (p *plot) row(v float64) float64 { return rows * (p.High - v) / (p.High - p.Low) }

// paths draws what is in the columns. A gap in the data of more than its usual
// distance is a gap in the line.
func (p *plot) paths(cols [columns]column, factor float64) {
	gap := max(3, int(4*float64(pace.Milliseconds())*columns/float64(p.Length)))
	var line, band strings.Builder
	last := -gap - 1
	for i := range cols {
		c := &cols[i]
		if !c.any {
			continue
		}
		verb := "L"
		if i-last > gap {
			verb = "M"
		}
		last = i
		fmt.Fprintf(&line, "%s%d %.1f", verb, i, p.row(c.last*factor))
		fmt.Fprintf(&band, "M%d %.1fV%.1f", i, p.row(c.high*factor)-0.2, p.row(c.low*factor)+0.2)
	}
	p.Line, p.Band = line.String(), band.String()
}

// reach writes how far back a plot goes.
func reach(s float64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%.0f s", s)
	case s < 3600:
		return fmt.Sprintf("%.0f min", s/60)
	case s < 86400:
		return fmt.Sprintf("%.1f h", s/3600)
	}
	return fmt.Sprintf("%.1f days", s/86400)
}
