// SPDX-License-Identifier: Apache-2.0

package rackstat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// host is one that was measured.
func host(name, rack string, raw, bound float64) Host {
	return Host{Name: name, Rack: rack, Raw: raw, Bound: bound, Measured: true, Synced: true, State: "ok", Sent: 10, Answered: 10,
		SD: bound / 4, Stratum: 1, Reference: "GPS", Samples: 10}
}

func TestFill(t *testing.T) {
	r := &Report{Hosts: []Host{
		host("a", "r2", 1e-6, 1e-7), host("b", "r2", 3e-6, 1e-7), host("c", "r10", 5e-6, 2e-7), host("d", "r10", 2e-6, 1e-7),
		{Name: "e", Rack: "r3", State: "no answer", Sent: 10, Loss: 1},
	}}
	r.Fill(Median)
	if got, want := fmt.Sprintf("%s %s %s", r.Racks[0].Name, r.Racks[1].Name, r.Racks[2].Name), "r2 r3 r10"; got != want {
		t.Errorf("racks %s, want %s", got, want)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %g, want %g", what, got, want)
		}
	}
	near("shift", r.Shift, 2.5e-6)
	near("offset of a", r.Hosts[0].Offset, -1.5e-6)
	near("p50", r.Cluster.P50, 1e-6)
	near("max", r.Cluster.Max, 2.5e-6)
	near("spread", r.Cluster.Spread, 4e-6)
	near("worst", r.Cluster.Worst, 4.3e-6)
	near("loss", r.Cluster.Loss, 0.2)
	near("r2 to r10", r.Matrix.Offset[0][2], 1.5e-6)
	near("r10 to r2", r.Matrix.Offset[2][0], -1.5e-6)
	near("worst of r2 and r10", r.Matrix.Worst[0][2], 4.3e-6)
	near("worst the other way", r.Matrix.Worst[2][0], 4.3e-6)
	near("worst within r2", r.Matrix.Worst[0][0], 2.2e-6)
	near("a rack that does not answer", r.Matrix.Worst[0][1], 0)
	r.Fill("c")
	near("against c", r.Hosts[0].Offset, -4e-6)
	r.Fill(Itself)
	near("against the machine here", r.Hosts[0].Offset, 1e-6)
	if !r.Has("a") || r.Has("e") || r.Has("x") || !r.Has(Median) {
		t.Error("Has is wrong")
	}
}

// TestEmpty: no hosts, and hosts that are all dead.
func TestEmpty(t *testing.T) {
	for _, hosts := range [][]Host{nil, {{Name: "a", Rack: "r", State: "no answer", Sent: 3, Loss: 1}}} {
		r := &Report{Hosts: hosts}
		r.Fill(Median)
		if r.Judge([]Requirement{{"p99", 1}, {"reachable", 0}}) {
			t.Error("a requirement holds of nothing")
		}
		if r.Cluster.Measured != 0 || math.IsNaN(r.Cluster.P99) {
			t.Errorf("%+v", r.Cluster)
		}
	}
}

// TestMatrixBruteForce: the worst disagreement is that of the worst pair.
func TestMatrixBruteForce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := rand.New(rand.NewPCG(seed, 0))
	r := &Report{}
	for i := range 60 {
		r.Hosts = append(r.Hosts, host(fmt.Sprint("h", i), fmt.Sprint("r", g.IntN(7)), g.NormFloat64(), math.Abs(g.NormFloat64())))
	}
	r.Fill(Median)
	for a := range r.Racks {
		for b := range r.Racks {
			want := 0.0
			for i := range r.Hosts {
				for j := range r.Hosts {
					x, y := &r.Hosts[i], &r.Hosts[j]
					if i == j || x.Rack != r.Racks[a].Name || y.Rack != r.Racks[b].Name {
						continue
					}
					want = max(want, math.Abs(x.Offset-y.Offset)+x.Bound+y.Bound)
				}
			}
			if got := r.Matrix.Worst[a][b]; got < want-1e-9 || got > want+1e-9 {
				t.Errorf("%d, %d: %g, want %g", a, b, got, want)
			}
		}
	}
}

func kinds(r *Report) string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Kind+" "+f.Host)
	}
	return strings.Join(list, ", ")
}

func TestFindings(t *testing.T) {
	refid := func(a byte) uint32 { return 10<<24 | uint32(a) }
	make10 := func(change func(h []Host)) *Report {
		r := &Report{}
		for i := range 10 {
			h := host(fmt.Sprint("h", i), fmt.Sprint("r", i/5), 1e-8*float64(i), 1e-7)
			h.Address = fmt.Sprint("10.0.0.", i)
			r.Hosts = append(r.Hosts, h)
		}
		change(r.Hosts)
		r.Fill(Median)
		return r
	}
	tests := []struct {
		name   string
		change func(h []Host)
		want   string
		text   string
	}{
		{"nothing", func([]Host) {}, "", ""},
		{"outlier", func(h []Host) { h[3].Raw = 5e-5 }, "outlier h3", "49.9 us ahead of the median"},
		{"drifting outlier", func(h []Host) { h[3].Raw, h[3].Drift, h[3].Skew = -5e-5, 5e-6, 1e-7 }, "outlier h3", "drifts by 5.00 ppm"},
		{"far, but not known better", func(h []Host) { h[3].Raw, h[3].Bound = 5e-5, 6e-5 }, "", ""},
		{"dead", func(h []Host) { h[2].Measured, h[2].State = false, "no answer" }, "unreachable h2", "no answer"},
		{"unsynchronised", func(h []Host) { h[2].Synced, h[2].Stratum = false, 16 }, "unsynchronised h2", "stratum 16"},
		{"loop", func(h []Host) {
			for i := 1; i <= 3; i++ {
				h[i].Stratum, h[i].RefID = 3, refid(byte(i%3+1))
				h[i].Reference = fmt.Sprint("10.0.0.", i%3+1)
			}
		}, "loop h1", "h1 follows h2 follows h3 follows h1"},
		{"one upstream", func(h []Host) {
			for i := range 5 {
				h[i].Stratum, h[i].RefID, h[i].Reference = 2, refid(200), "10.0.0.200"
			}
		}, "upstream ", "all 5 hosts that follow a server follow 10.0.0.200 alone"},
		{"one upstream of a rack", func(h []Host) {
			for i := range 10 {
				h[i].Stratum, h[i].RefID, h[i].Reference = 2, refid(byte(200+i/5*(i%2))), fmt.Sprint("10.0.0.", 200+i/5*(i%2))
			}
		}, "upstream ", "all 5 hosts follow 10.0.0.200 alone"},
		{"loss", func(h []Host) { h[2].Loss = 0.3 }, "loss h2", "30 %"},
		{"twice", func(h []Host) { h[4].Address = h[2].Address }, "duplicate h4", "h2"},
		{"a rack that is off", func(h []Host) {
			for i := 5; i < 10; i++ {
				h[i].Raw += 1e-4
			}
			h[0].Rack, h[1].Rack, h[2].Rack = "r2", "r2", "r2"
			h[5].Rack, h[6].Rack = "r0", "r0"
			h[5].Raw, h[6].Raw = 0, 0
		}, "outlier ", "100 us ahead of the median of all"},
		{"a rack that is dead", func(h []Host) {
			for i := range 5 {
				h[i].Measured, h[i].State = false, "no answer"
			}
		}, "unreachable ", "none of 5 hosts could be measured; the first: no answer"},
		{"notes", func(h []Host) { h[4].Notes = []string{"hello"} }, "note h4", "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := make10(tt.change)
			if got := kinds(r); got != tt.want {
				t.Fatalf("found %q, want %q", got, tt.want)
			}
			if tt.text != "" && !strings.Contains(r.Findings[0].Text, tt.text) {
				t.Errorf("%q, want %q", r.Findings[0].Text, tt.text)
			}
		})
	}
	// A long chain into a loop, and loops of others, end.
	big := &Report{}
	for i := range 256 {
		h := host(fmt.Sprint(i), "r", 0, 1)
		h.Address, h.Stratum, h.RefID = fmt.Sprint("10.0.0.", i), 3, refid(byte(min(i+1, 255)))
		if i == 255 {
			h.RefID = refid(100)
		}
		big.Hosts = append(big.Hosts, h)
	}
	if n := len(big.loops()); n != 1 {
		t.Errorf("%d loops, want 1", n)
	}
}

func TestRequirements(t *testing.T) {
	for s, want := range map[string]Requirement{
		"p99=100us": {"p99", 1e-4}, "max=1ms": {"max", 1e-3}, "loss=1%": {"loss", 0.01}, "reachable=99.9%": {"reachable", 0.999},
	} {
		got, err := ParseRequirement(s)
		if err != nil || got.Name != want.Name || math.Abs(got.Limit-want.Limit) > 1e-12 {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "p98=1us", "p99", "p99=5", "p99=-1us", "loss=1", "loss=200%", "reachable=NaN%"} {
		if got, err := ParseRequirement(s); err == nil {
			t.Errorf("%q is taken: %v", s, got)
		}
	}
	r := &Report{Hosts: []Host{host("a", "r", -1e-6, 5e-7), host("b", "r", 1e-6, 5e-7)}}
	r.Fill(Median)
	for _, tt := range []struct {
		q             Requirement
		holds, proven bool
	}{
		{Requirement{"max", 2e-6}, true, true}, {Requirement{"max", 1.2e-6}, true, false},
		{Requirement{"max", 0.8e-6}, false, false}, {Requirement{"max", 0.4e-6}, false, true},
		{Requirement{"spread", 2.5e-6}, true, false}, {Requirement{"worst", 2.5e-6}, false, true}, {Requirement{"reachable", 1}, true, true},
		{Requirement{"loss", 0}, true, true},
	} {
		if v := r.judge(tt.q); v.Holds != tt.holds || v.Proven != tt.proven {
			t.Errorf("%v: %+v", tt.q, v)
		}
	}
}

func TestCompare(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 1))
	run := func(scale float64) *Report {
		r := &Report{}
		for i := range 60 {
			r.Hosts = append(r.Hosts, host(fmt.Sprint("h", i), fmt.Sprint("r", i%2), g.NormFloat64()*scale, 1e-6))
		}
		r.Fill(Median)
		return r
	}
	if c := Compare(run(1e-7), run(1e-7)); c.Cluster.Significant || len(c.Hosts) != 0 || c.Steady != 60 {
		t.Errorf("the same twice: %+v", c.Cluster)
	}
	a, b := run(1e-5), run(1e-6)
	b.Hosts = slices.Delete(b.Hosts, 0, 1)
	b.Hosts = append(b.Hosts, host("new", "r1", 0, 1e-6))
	if c := Compare(a, b); !c.Cluster.Significant || !c.Cluster.Better || !slices.Equal(c.Came, []string{"new"}) || !slices.Equal(c.Gone, []string{"h0"}) || len(c.Hosts) < 20 {
		t.Errorf("ten times better: %+v", c)
	}
	if c := Compare(b, a); !c.Cluster.Significant || c.Cluster.Better {
		t.Errorf("ten times worse: %+v", c.Cluster)
	}
}

// TestRankSum: values of a table of the exact distribution (Mann and Whitney 1947),
// which the approximation meets to a few thousandths, and false alarms as often as
// promised.
func TestRankSum(t *testing.T) {
	if p, less := rankSum([]float64{1, 2, 3, 4, 5, 6, 7, 8}, []float64{9, 10, 11, 12, 13, 14, 15, 16}); p > 2e-3 || less != 0 {
		t.Errorf("apart: %g, %g", p, less)
	}
	if p, _ := rankSum([]float64{1, 1, 1}, []float64{1, 1}); p != 1 {
		t.Errorf("all equal: %g", p)
	}
	if p, _ := rankSum(nil, []float64{1}); p != 1 {
		t.Errorf("none: %g", p)
	}
	g, alarms := rand.New(rand.NewPCG(2, 2)), 0
	for range 4000 {
		a, b := make([]float64, 20), make([]float64, 30)
		for i := range a {
			a[i] = g.ExpFloat64()
		}
		for i := range b {
			b[i] = g.ExpFloat64()
		}
		if p, _ := rankSum(a, b); p < 0.05 {
			alarms++
		}
	}
	if alarms < 140 || alarms > 260 {
		t.Errorf("%d alarms of 4000 at 5 %%", alarms)
	}
}

// TestPairs: what daemons see becomes pairs of racks.
func TestPairs(t *testing.T) {
	r := &Report{Hosts: []Host{host("a", "r1", 0, 1e-7), host("b", "r2", 5e-6, 1e-7)}}
	r.Views = []View{
		{From: "a", Rack: "r1", Sees: []Sighting{{Host: "b", Rack: "r2", Offset: 4e-6, Bound: 1e-6}, {Host: "c", Rack: "r2", Offset: 6e-6, Bound: 1e-6}, {Host: "x", Offset: 9}}},
		{From: "b", Rack: "r2", Sees: []Sighting{{Host: "a", Rack: "r1", Offset: 1e-3, Bound: 1e-6}}},
		{From: "z", Sees: []Sighting{{Host: "a", Rack: "r1", Offset: 9}}},
	}
	r.Fill(Median)
	if len(r.Pairs) != 2 {
		t.Fatalf("%+v", r.Pairs)
	}
	if p := r.Pairs[0]; p.From != "r1" || p.To != "r2" || p.Seen != 2 || math.Abs(p.Offset-5e-6) > 1e-12 || math.Abs(p.Worst-7e-6) > 1e-12 || math.Abs(p.Here-5e-6) > 1e-12 || !p.Agrees {
		t.Errorf("%+v", p)
	}
	if p := r.Pairs[1]; p.Agrees || math.Abs(p.Here+5e-6) > 1e-12 {
		t.Errorf("%+v", p)
	}
}

func TestNatural(t *testing.T) {
	list := []string{"r10", "r2", "a", "r02b", "r", "r2a", ""}
	slices.SortFunc(list, Natural)
	if got, want := strings.Join(list, " "), " a r r2 r2a r02b r10"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSpan(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.234e-9: "1.23 ns", 9.996e-7: "1.00 us", -4.5e-5: "-45.0 us", 0.25: "250 ms", 12: "12.0 s", 864000: "10.0 days"} {
		if got := Span(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}
