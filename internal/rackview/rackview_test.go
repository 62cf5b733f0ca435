// SPDX-License-Identifier: Apache-2.0

package rackview

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"foliot/internal/rackstat"
	"foliot/internal/stability"
)

const evil = `<script>alert(1)</script>"'&`

// report is a run of n hosts in some racks, names of which are hostile.
func report(n, racks int) *rackstat.Report {
	g := rand.New(rand.NewPCG(7, 7))
	r := &rackstat.Report{Version: "test", Started: "2026-01-01T00:00:00Z", Seconds: 60, From: evil, Asymmetry: 1}
	for i := range n {
		h := rackstat.Host{Name: fmt.Sprint("h", i), Rack: fmt.Sprint("r", i%racks), State: "ok", Measured: true, Synced: true,
			Raw: 1e-6 * g.NormFloat64(), Bound: 1e-6, Delay: 1e-5, Sent: 30, Answered: 30, Stratum: 2, Reference: "10.0.0.1", Stamps: "KK", Skew: 1e-8}
		var x []float64
		for k := range 30 {
			excess := 1e-5 * g.ExpFloat64()
			h.Series = append(h.Series, rackstat.Point{2 * float64(k), h.Raw + excess/2*(2*g.Float64()-1), h.Delay + excess})
			x = append(x, h.Series[k][1])
		}
		h.Stability = stability.Of(x, 2)
		r.Hosts = append(r.Hosts, h)
	}
	if n > 2 {
		r.Hosts[1].Name, r.Hosts[1].Rack = evil, evil
		r.Hosts[2] = rackstat.Host{Name: "dead", Rack: "r2", State: evil, Sent: 3, Loss: 1}
	}
	r.Views = []rackstat.View{{From: evil, State: "ok", Sees: []rackstat.Sighting{{Host: evil, Offset: 1e-6}}}, {From: "x", State: evil}}
	r.Fill(rackstat.Median)
	r.Judge([]rackstat.Requirement{{Name: "p99", Limit: 1e-6}})
	return r
}

// TestHTML: pages of all sizes are whole, small enough, need nothing else, and let
// no name out of its place.
func TestHTML(t *testing.T) {
	for _, size := range []struct{ hosts, racks int }{{0, 1}, {1, 1}, {2, 2}, {3, 3}, {40, 4}, {2000, 60}, {5000, 500}} {
		var b bytes.Buffer
		if err := HTML(&b, report(size.hosts, size.racks)); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if n := len(text); n > 3<<20 {
			t.Errorf("%v: %d octets", size, n)
		}
		if strings.Contains(text, "<script") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "ZgotmplZ") {
			t.Errorf("%v: a script, a number that is none, or a style that was refused", size)
		}
		if m := regexp.MustCompile(`(?i)(src|href)\s*=|url\(|https?://|@import`).FindString(text); m != "" {
			t.Errorf("%v: needs %q", size, m)
		}
		for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
			d := xml.NewDecoder(strings.NewReader(svg))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%v: %v in %.200s", size, err, svg)
				}
			}
		}
		if size.hosts >= 40 && strings.Count(text, "<svg") < 7 {
			t.Errorf("%v: %d plots", size, strings.Count(text, "<svg"))
		}
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := CSV(&b, report(5, 2)); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(all) != 6 || all[2][3] != evil || all[1][6] == "" || all[3][6] != "" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, report(40, 3)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"39 of 40 hosts", "r0", "r2", "all", "error: dead (rack r2)", "p99 <= 1.00 us DOES NOT HOLD", "seen from"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := Comparison(&b, rackstat.Compare(report(40, 3), report(41, 3))); err != nil || !strings.Contains(b.String(), "1 came") {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestRamps: colours get darker from one end of a ramp to the other, so that they
// are read in grey as well.
func TestRamps(t *testing.T) {
	light := func(c rgb) float64 { return 0.299*c[0] + 0.587*c[1] + 0.114*c[2] }
	last := math.Inf(1)
	for x := 0.0; x <= 1; x += 0.02 {
		l := light(along(sequential, x))
		if l >= last {
			t.Errorf("at %.2f: %g after %g", x, l, last)
		}
		last = l
	}
	for x := 0.02; x <= 0.5; x += 0.02 {
		if light(along(diverging, 0.5+x)) >= light(along(diverging, 0.5+x-0.02)) || light(along(diverging, 0.5-x)) >= light(along(diverging, 0.52-x)) {
			t.Errorf("diverging at %.2f", x)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, a := range []axis{{low: 0, high: 1}, {low: -3e-6, high: 9e-5}, {low: 5, high: 5}, {low: -6.2, high: -5.9, log: true}, {low: -9, high: 3, log: true}} {
		a.widen()
		if n := len(a.ticks()); n < 2 || n > 12 {
			t.Errorf("%+v: %d ticks", a, n)
		}
	}
}
