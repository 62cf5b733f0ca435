// SPDX-License-Identifier: Apache-2.0

package rackview

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"

	"foliot/internal/rackstat"
	"foliot/internal/stability"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"span": rackstat.Span, "signed": signed, "quantity": quantity,
	"sign":    func(v rackstat.Verdict) string { return limits(&v, "≤", "≥") },
	"place":   func(f rackstat.Finding) string { return place(&f) },
	"percent": func(v float64) string { return fmt.Sprintf("%.3g %%", 100*v) },
	"drift":   func(h *rackstat.Host) string { return drift(h) },
}).Parse(pageText))

// Sizes of the page, which a browser must be able to hold.
const (
	colours      = 7
	pageHosts    = 500
	pageFindings = 100
	greyHosts    = 60
	wedgePoints  = 3000
)

// keyed is a line that has a colour.
type keyed struct {
	Index int
	Name  string
}

// pageData is what the template shows.
type pageData struct {
	R             *rackstat.Report
	Colours       [colours]struct{}
	Against, Here string
	Findings      []rackstat.Finding
	MoreFindings  int
	Worst, Offset heat
	Key, RackKey  []keyed
	Rest          int
	RestRacks     int
	Time, Wedge   template.HTML
	ADEV, TDEV    template.HTML
	MTIE          template.HTML
	Hosts         []*rackstat.Host
	MoreHosts     int
}

// HTML writes the report as one page, with its plots as SVG and without a script.
func HTML(out io.Writer, r *rackstat.Report) error { return page.Execute(out, newPage(r)) }

func newPage(r *rackstat.Report) *pageData {
	p := &pageData{R: r, Against: against(r), Here: relative(-r.Shift)}
	p.Findings = r.Findings[:min(len(r.Findings), pageFindings)]
	p.MoreFindings = len(r.Findings) - len(p.Findings)
	ranking := r.Ranking()
	for _, i := range ranking[:min(len(ranking), pageHosts)] {
		p.Hosts = append(p.Hosts, &r.Hosts[i])
	}
	p.MoreHosts = len(ranking) - len(p.Hosts)
	p.Worst, p.Offset = worstMap(r), offsetMap(r)
	p.hosts(ranking)
	p.stability()
	return p
}

// hosts makes the plots of hosts. Those that are farthest off are in colour, so
// many of the others as a plot can show are grey.
func (p *pageData) hosts(ranking []int) {
	var shown []*rackstat.Host
	for _, i := range ranking {
		if h := &p.R.Hosts[i]; h.Measured && len(h.Series) > 1 {
			shown = append(shown, h)
		}
	}
	if len(shown) == 0 {
		return
	}
	for i, h := range shown[:min(len(shown), colours)] {
		p.Key = append(p.Key, keyed{i, h.Name})
	}
	p.Rest = len(shown) - len(p.Key)
	if most := colours + greyHosts; len(shown) > most {
		// Any others will do; every so many-th goes through all of them.
		rest, step := shown[colours:], float64(len(shown)-colours)/greyHosts
		shown = shown[:colours:colours]
		for k := range greyHosts {
			shown = append(shown, rest[int(float64(k)*step)])
		}
	}
	over, wedge := &plot{xName: "seconds", yTime: true}, &plot{xTime: true, xName: "longer than the shortest round trip", yTime: true, wedge: true}
	points := 0
	for _, h := range shown {
		points += len(h.Series)
	}
	every := max(1, points/wedgePoints)
	for i, h := range shown {
		line, dots := curve{index: i}, curve{index: i, dots: true}
		for k, s := range h.Series {
			line.add(s[0], s[1]-p.R.Shift)
			if (k+i)%every == 0 {
				dots.add(max(0, s[2]-h.Delay), s[1]-h.Raw-h.Drift*(s[0]-middle(h)))
			}
		}
		over.curves, wedge.curves = append(over.curves, line), append(wedge.curves, dots)
	}
	p.Time, p.Wedge = over.svg(), wedge.svg()
}

// middle is when a host's offset is as of, about.
func middle(h *rackstat.Host) float64 {
	return (h.Series[0][0] + h.Series[len(h.Series)-1][0]) / 2
}

// stability makes the plots of racks, the least stable of which are in colour.
func (p *pageData) stability() {
	var racks []*rackstat.Rack
	for i := range p.R.Racks {
		if k := &p.R.Racks[i]; len(k.Stability) > 1 {
			racks = append(racks, k)
		}
	}
	slices.SortStableFunc(racks, func(a, b *rackstat.Rack) int {
		x, y := a.Stability[len(a.Stability)-1].MTIE, b.Stability[len(b.Stability)-1].MTIE
		return int(math.Copysign(1, y-x))
	})
	if len(racks) == 0 {
		return
	}
	for i, k := range racks[:min(len(racks), colours)] {
		p.RackKey = append(p.RackKey, keyed{i, k.Name})
	}
	p.RestRacks = len(racks) - len(p.RackKey)
	draw := func(name string, asTime bool, of func(*stability.Point) float64) template.HTML {
		g := &plot{xName: "τ, seconds", yName: name, xLog: true, yLog: true, yTime: asTime}
		for i, k := range racks[:min(len(racks), colours+greyHosts)] {
			c := curve{index: i}
			for j := range k.Stability {
				if v := of(&k.Stability[j]); v > 0 {
					c.add(k.Stability[j].Tau, v)
				}
			}
			g.curves = append(g.curves, c)
		}
		return g.svg()
	}
	p.ADEV = draw("ADEV", false, func(s *stability.Point) float64 { return s.ADEV })
	p.TDEV = draw("TDEV", true, func(s *stability.Point) float64 { return s.TDEV })
	p.MTIE = draw("MTIE", true, func(s *stability.Point) float64 { return s.MTIE })
}
