// SPDX-License-Identifier: Apache-2.0

package rackview

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"foliot/internal/rackstat"
)

// Sizes of a plot in its own units; the page scales it.
const (
	plotW, plotH             = 480.0, 300.0
	left, right, top, bottom = 62.0, 8.0, 10.0, 34.0
	dashes                   = 4 // patterns, so that lines differ without colour too
)

// plot is curves on two axes.
type plot struct {
	xName, yName string
	xLog, yLog   bool
	xTime, yTime bool // the axis is a time, and labelled with units
	wedge        bool // with lines of slope 1/2 and -1/2
	curves       []curve
	x, y         axis
}

// curve is points in order. The first few have colours.
type curve struct {
	index int
	dots  bool
	x, y  []float64
}

func (c *curve) add(x, y float64) { c.x, c.y = append(c.x, x), append(c.y, y) }

// axis maps values to places.
type axis struct {
	low, high float64 // of the logarithm on a logarithmic axis
	from, to  float64 // places
	log       bool
}

func (a *axis) include(v float64) {
	if a.log {
		v = math.Log10(v)
	}
	a.low, a.high = min(a.low, v), max(a.high, v)
}

func (a *axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return a.from + (v-a.low)/(a.high-a.low)*(a.to-a.from)
}

// widen leaves some room, and makes room where there is none.
func (a *axis) widen() {
	if a.low > a.high {
		a.low, a.high = 0, 1
	}
	if gap := (a.high - a.low) * 0.04; gap > 0 {
		a.low, a.high = a.low-gap, a.high+gap
		return
	}
	by := max(math.Abs(a.low)*0.1, 1e-9)
	if a.log {
		by = 0.5
	}
	a.low, a.high = a.low-by, a.high+by
}

// ticks are values with round names, four or five of them.
func (a *axis) ticks() (list []float64) {
	if a.log {
		if a.high-a.low < 2 {
			return a.fine()
		}
		step := max(1, math.Ceil((a.high-a.low)/5))
		for e := math.Ceil(a.low); e <= a.high; e += step {
			list = append(list, math.Pow(10, e))
		}
		return list
	}
	raw := (a.high - a.low) / 4
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := unit * 10
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= raw*0.75 {
			step = m * unit
			break
		}
	}
	for k := math.Ceil(a.low / step); k*step <= a.high; k++ {
		list = append(list, k*step)
	}
	return list
}

// fine are the ticks of a short logarithmic axis: 1, 2, 5, 10 and so on, or its
// ends where there are not two of them.
func (a *axis) fine() (list []float64) {
	for e := math.Floor(a.low); e <= a.high; e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := e + math.Log10(m); v >= a.low && v <= a.high {
				list = append(list, m*math.Pow(10, e))
			}
		}
	}
	if len(list) < 2 {
		return []float64{math.Pow(10, a.low+(a.high-a.low)*0.1), math.Pow(10, a.high-(a.high-a.low)*0.1)}
	}
	return list
}

func label(v float64, asTime bool) string {
	if v == 0 {
		return "0" // without the sign of a zero
	}
	if asTime {
		return rackstat.Span(v)
	}
	return fmt.Sprintf("%.3g", v)
}

// svg draws the plot. All text in it is ours or a number.
func (p *plot) svg() template.HTML {
	p.x = axis{low: math.Inf(1), high: math.Inf(-1), from: left, to: plotW - right, log: p.xLog}
	p.y = axis{low: math.Inf(1), high: math.Inf(-1), from: plotH - bottom, to: top, log: p.yLog}
	for i := range p.curves {
		for k := range p.curves[i].x {
			p.x.include(p.curves[i].x[k])
			p.y.include(p.curves[i].y[k])
		}
	}
	p.x.widen()
	p.y.widen()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s over %s">`, plotW, plotH, template.HTMLEscapeString(p.title()), template.HTMLEscapeString(p.xName))
	p.frame(&b)
	for i := len(p.curves) - 1; i >= 0; i-- { // the coloured ones on top
		p.draw(&b, &p.curves[i])
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

func (p *plot) title() string {
	if p.yName == "" {
		return "offset"
	}
	return p.yName
}

func (p *plot) frame(b *strings.Builder) {
	for _, v := range p.y.ticks() {
		y := p.y.at(v)
		fmt.Fprintf(b, `<path class="grid" d="M%g %.1fH%g"/><text class="ax" x="%g" y="%.1f" text-anchor="end">%s</text>`, left, y, plotW-right, left-5, y+4, label(v, p.yTime))
	}
	for _, v := range p.x.ticks() {
		x := p.x.at(v)
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %gV%g"/><text class="ax" x="%.1f" y="%g" text-anchor="middle">%s</text>`, x, top, plotH-bottom, x, plotH-bottom+14, label(v, p.xTime))
	}
	fmt.Fprintf(b, `<text class="ax" x="%g" y="%g" text-anchor="end">%s</text>`, plotW-right, plotH-4, template.HTMLEscapeString(p.xName))
	if p.yName != "" {
		fmt.Fprintf(b, `<text class="ax" x="%g" y="%g">%s</text>`, left+4, top+10, template.HTMLEscapeString(p.yName))
	}
	if p.wedge {
		for _, slope := range []float64{0.5, -0.5} {
			// As far as it stays within the frame.
			edge := p.y.high
			if slope < 0 {
				edge = p.y.low
			}
			end := min(edge/slope, p.x.high)
			if end > 0 {
				fmt.Fprintf(b, `<path class="wedge" d="M%.1f %.1fL%.1f %.1f"/>`, p.x.at(0), p.y.at(0), p.x.at(end), p.y.at(slope*end))
			}
		}
	}
}

func (p *plot) draw(b *strings.Builder, c *curve) {
	if c.dots {
		class := "dr"
		if c.index < colours {
			class = fmt.Sprintf("f%d", c.index)
		}
		fmt.Fprintf(b, `<g class="%s">`, class)
		for k := range c.x {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="1.8"/>`, p.x.at(c.x[k]), p.y.at(c.y[k]))
		}
		b.WriteString("</g>")
		return
	}
	if len(c.x) == 0 {
		return
	}
	class, dash := "rest", ""
	if c.index < colours {
		class = fmt.Sprintf("ln s%d", c.index)
		if d := c.index % dashes; d > 0 {
			dash = fmt.Sprintf(` stroke-dasharray="%s"`, [...]string{"", "7 2", "2 2", "7 2 2 2"}[d])
		}
	}
	fmt.Fprintf(b, `<path class="%s"%s d="`, class, dash)
	for k := range c.x {
		fmt.Fprintf(b, "%c%.1f %.1f", "ML"[min(k, 1)], p.x.at(c.x[k]), p.y.at(c.y[k]))
	}
	b.WriteString(`"/>`)
}
