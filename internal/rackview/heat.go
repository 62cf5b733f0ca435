// SPDX-License-Identifier: Apache-2.0

package rackview

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"foliot/internal/rackstat"
)

// heat is a map of racks by racks.
type heat struct {
	SVG  template.HTML
	Ramp []step
	Note string
}

// step is a colour of the ramp and what it stands for.
type step struct {
	Colour template.CSS
	Label  string
}

// Sizes of a map.
const (
	heatRacks  = 48 // more are too small to see; those that disagree most are shown
	numbered   = 8  // up to so many racks, cells have numbers in them
	heatSize   = 480.0
	heatMargin = 64.0
)

// rgb is a colour.
type rgb [3]float64

// The ramps differ in lightness all the way, so they are read without colour, and
// go through hues that all eyes tell apart: yellow to blue (as cividis does), and
// blue over white to brown.
var (
	sequential = []rgb{{255, 240, 170}, {214, 196, 100}, {148, 148, 120}, {86, 104, 112}, {10, 50, 98}}
	diverging  = []rgb{{8, 64, 129}, {90, 160, 210}, {246, 246, 246}, {220, 150, 70}, {120, 60, 4}}
)

func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", int(c[0]), int(c[1]), int(c[2]))
}

// ink is black or white, whichever is read on c.
func (c rgb) ink() string {
	if 0.299*c[0]+0.587*c[1]+0.114*c[2] > 140 {
		return "#000"
	}
	return "#fff"
}

// along returns the colour at x of a ramp, 0..1.
func along(ramp []rgb, x float64) rgb {
	x = min(max(x, 0), 1) * float64(len(ramp)-1)
	i := min(int(x), len(ramp)-2)
	f := x - float64(i)
	var c rgb
	for k := range c {
		c[k] = ramp[i][k]*(1-f) + ramp[i+1][k]*f
	}
	return c
}

// worstMap shows Matrix.Worst by a logarithmic ramp.
func worstMap(r *rackstat.Report) heat {
	low, high := math.Inf(1), 0.0
	for _, row := range r.Matrix.Worst {
		for _, v := range row {
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if high <= 0 {
		return heat{}
	}
	low = min(low, high/2)
	place := func(v float64) float64 { return math.Log(v/low) / math.Log(high/low) }
	h := draw(r, r.Matrix.Worst, func(v float64) rgb { return along(sequential, place(v)) }, rackstat.Span)
	for _, x := range []float64{0, 0.25, 0.5, 0.75, 1} {
		h.Ramp = append(h.Ramp, step{template.CSS(along(sequential, x).String()), rackstat.Span(low * math.Pow(high/low, x))})
	}
	return h
}

// offsetMap shows Matrix.Offset by a ramp with zero in its middle.
func offsetMap(r *rackstat.Report) heat {
	most := 0.0
	for _, row := range r.Matrix.Offset {
		for _, v := range row {
			most = max(most, math.Abs(v))
		}
	}
	most = max(most, 1e-9)
	h := draw(r, r.Matrix.Offset, func(v float64) rgb { return along(diverging, 0.5+v/most/2) }, signed)
	for _, x := range []float64{-1, -0.5, 0, 0.5, 1} {
		h.Ramp = append(h.Ramp, step{template.CSS(along(diverging, 0.5+x/2).String()), signed(x * most)})
	}
	return h
}

// chosenRacks are the racks that a map shows, in the report's order: those that
// were measured, and of too many those that disagree most.
func chosenRacks(r *rackstat.Report) (list []int, note string) {
	for i := range r.Racks {
		if r.Racks[i].Measured > 0 {
			list = append(list, i)
		}
	}
	if len(list) <= heatRacks {
		return list, ""
	}
	note = fmt.Sprintf(" Of %d racks the %d farthest off are shown.", len(list), heatRacks)
	slices.SortStableFunc(list, func(a, b int) int {
		return int(math.Copysign(1, r.Racks[b].Max-r.Racks[a].Max))
	})
	list = list[:heatRacks]
	slices.Sort(list)
	return list, note
}

func draw(r *rackstat.Report, m [][]float64, colour func(float64) rgb, text func(float64) string) heat {
	which, note := chosenRacks(r)
	n := len(which)
	if n < 2 {
		return heat{}
	}
	size := (heatSize - heatMargin) / float64(n)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="racks by racks">`, heatSize, heatSize)
	every := max(1, n/24) // labels that have room
	for i, a := range which {
		name := template.HTMLEscapeString(clip(r.Racks[a].Name, 9))
		at := heatMargin + (float64(i)+0.5)*size
		if i%every == 0 {
			fmt.Fprintf(&b, `<text class="ax" x="%g" y="%.1f" text-anchor="end">%s</text>`, heatMargin-5, at+4, name)
			fmt.Fprintf(&b, `<text class="ax" transform="translate(%.1f %g) rotate(-60)">%s</text>`, at+3, heatMargin-6, name)
		}
		for j, c := range which {
			v, fill := m[a][c], "none"
			ink := "currentColor"
			if v != 0 || a == c {
				paint := colour(v)
				fill, ink = paint.String(), paint.ink()
			}
			if a == c && v == 0 {
				fill = "none" // a rack with itself, where that says nothing
			}
			x, y := heatMargin+float64(j)*size, heatMargin+float64(i)*size
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %s</title></rect>`,
				x, y, size-min(1, size/10), size-min(1, size/10), fill, template.HTMLEscapeString(r.Racks[a].Name), template.HTMLEscapeString(r.Racks[c].Name), text(v))
			if n <= numbered && fill != "none" {
				fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" style="fill:%s">%s</text>`, x+size/2, y+size/2+4, ink, text(v))
			}
		}
	}
	b.WriteString("</svg>")
	return heat{SVG: template.HTML(b.String()), Note: note}
}
