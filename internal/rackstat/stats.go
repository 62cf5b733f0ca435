// SPDX-License-Identifier: Apache-2.0

package rackstat

import (
	"math"
	"slices"
	"strings"

	"foliot/internal/stability"
)

// Fill computes all that follows from the hosts: first what offsets are relative
// to, by the name of a host or one of the words below.
func (r *Report) Fill(against string) {
	r.Format = Format
	r.Against, r.Shift = against, r.shift(against)
	for i := range r.Hosts {
		h := &r.Hosts[i]
		h.Offset = 0
		if h.Measured {
			h.Offset = h.Raw - r.Shift
		}
	}
	r.group()
	r.Cluster = summarise(r.Hosts, all(len(r.Hosts)))
	r.fillMatrix()
	r.Pairs = r.pairs()
	r.Findings = r.find()
}

// What offsets may be relative to.
const (
	Median = "median" // of all hosts that are synchronised
	Itself = "self"   // the machine that measures
)

// shift is where the reference is, relative to the machine that measured.
func (r *Report) shift(against string) float64 {
	if against == Itself {
		return 0
	}
	var synced, any []float64
	for i := range r.Hosts {
		h := &r.Hosts[i]
		switch {
		case !h.Measured:
		case against != Median && (h.Name == against || h.Address == against):
			return h.Raw
		case h.Synced:
			synced = append(synced, h.Raw)
			fallthrough
		default:
			any = append(any, h.Raw)
		}
	}
	if len(synced) > 0 {
		return quantile(synced, 0.5)
	}
	return quantile(any, 0.5)
}

// Has tells whether against names a host that was measured, or is a word that
// needs none.
func (r *Report) Has(against string) bool {
	if against == Median || against == Itself {
		return true
	}
	return slices.ContainsFunc(r.Hosts, func(h Host) bool {
		return h.Measured && (h.Name == against || h.Address == against)
	})
}

func all(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// group makes the racks, sorted by their names as people count: r2 before r10.
func (r *Report) group() {
	members := map[string][]int{}
	for i := range r.Hosts {
		members[r.Hosts[i].Rack] = append(members[r.Hosts[i].Rack], i)
	}
	r.Racks = make([]Rack, 0, len(members))
	for name, list := range members {
		first := &r.Hosts[list[0]]
		k := Rack{Name: name, Zone: first.Zone, Row: first.Row, Summary: summarise(r.Hosts, list)}
		k.Stability = typical(r.Hosts, list)
		r.Racks = append(r.Racks, k)
	}
	slices.SortFunc(r.Racks, func(a, b Rack) int { return Natural(a.Name, b.Name) })
}

// Natural compares names such that numbers in them count as numbers.
func Natural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da == 0 || db == 0 {
			if a[0] != b[0] {
				return int(a[0]) - int(b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
		if len(na) != len(nb) {
			return len(na) - len(nb)
		}
		if c := strings.Compare(na, nb); c != 0 {
			return c
		}
		a, b = a[da:], b[db:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// summarise makes statistics of some of the hosts.
func summarise(hosts []Host, which []int) Summary {
	s := Summary{Hosts: len(which)}
	var offsets, sizes, bounds, jitters, delays []float64
	least, most, apart := math.Inf(1), math.Inf(-1), newDistance()
	sent, lost := 0.0, 0.0
	for _, i := range which {
		h := &hosts[i]
		sent += float64(h.Sent)
		lost += float64(h.Sent) * h.Loss
		if !h.Measured {
			continue
		}
		s.Measured++
		offsets, sizes = append(offsets, h.Offset), append(sizes, math.Abs(h.Offset))
		bounds, jitters, delays = append(bounds, h.Bound), append(jitters, h.Jitter), append(delays, h.Delay)
		least, most = min(least, h.Offset), max(most, h.Offset)
		apart.add(h.Offset-h.Bound, h.Offset+h.Bound)
	}
	if sent > 0 {
		s.Loss = lost / sent
	}
	if s.Measured == 0 {
		return s
	}
	s.Median, s.Bound = quantile(offsets, 0.5), quantile(bounds, 0.5)
	s.Jitter, s.Delay = quantile(jitters, 0.5), quantile(delays, 0.5)
	s.P50, s.P95, s.P99, s.Max = quantile(sizes, 0.5), quantile(sizes, 0.95), quantile(sizes, 0.99), quantile(sizes, 1)
	if s.Measured > 1 {
		s.Spread, s.Worst = most-least, apart.worst
	}
	return s
}

// distance is how far apart two of the hosts seen so far may be. A host is not
// apart from itself, however wide its own bounds are.
type distance struct{ low, high, worst float64 }

func newDistance() distance { return distance{low: math.Inf(1), high: math.Inf(-1)} }

func (d *distance) add(low, high float64) {
	d.worst = max(d.worst, high-d.low, d.high-low)
	d.low, d.high = min(d.low, low), max(d.high, high)
}

// quantile returns the least value that the share p of all values do not exceed;
// for p = 1/2 of an even number the mean of the two in the middle. It sorts v.
func quantile(v []float64, p float64) float64 {
	n := len(v)
	if n == 0 {
		return 0
	}
	slices.Sort(v)
	if p == 0.5 && n%2 == 0 {
		return v[n/2-1]/2 + v[n/2]/2
	}
	return v[min(max(int(math.Ceil(p*float64(n)))-1, 0), n-1)]
}

// typical returns the medians of the hosts' curves, as far as at least half of
// them go.
func typical(hosts []Host, which []int) []stability.Point {
	var curve []stability.Point
	for k := 0; ; k++ {
		var tau, a, m, t, e []float64
		n := 0
		for _, i := range which {
			if s := hosts[i].Stability; k < len(s) {
				tau, a, m = append(tau, s[k].Tau), append(a, s[k].ADEV), append(m, s[k].MDEV)
				t, e = append(t, s[k].TDEV), append(e, s[k].MTIE)
				n += s[k].N
			}
		}
		if len(tau) == 0 || 2*len(tau) < len(which) {
			return curve
		}
		curve = append(curve, stability.Point{
			Tau: quantile(tau, 0.5), N: n, ADEV: quantile(a, 0.5), MDEV: quantile(m, 0.5), TDEV: quantile(t, 0.5), MTIE: quantile(e, 0.5),
		})
	}
}

// extent is what a rack's hosts may read.
type extent struct{ low, high, median float64 }

// fillMatrix compares all racks. Two hosts are as far apart as they may be if one
// of them is as high in its rack, and the other as low in its own, as their
// bounds let them be.
func (r *Report) fillMatrix() {
	n := len(r.Racks)
	of := make([]extent, n)
	index := make(map[string]int, n)
	for i := range r.Racks {
		of[i] = extent{math.Inf(1), math.Inf(-1), r.Racks[i].Median}
		index[r.Racks[i].Name] = i
	}
	for i := range r.Hosts {
		if h := &r.Hosts[i]; h.Measured {
			e := &of[index[h.Rack]]
			e.low, e.high = min(e.low, h.Offset-h.Bound), max(e.high, h.Offset+h.Bound)
		}
	}
	r.Matrix = Matrix{Offset: square(n), Worst: square(n)}
	for a := range n {
		for b := range n {
			switch {
			case r.Racks[a].Measured == 0 || r.Racks[b].Measured == 0:
			case a == b:
				r.Matrix.Worst[a][b] = r.Racks[a].Worst
			default:
				r.Matrix.Offset[a][b] = of[b].median - of[a].median
				r.Matrix.Worst[a][b] = max(of[b].high-of[a].low, of[a].high-of[b].low)
			}
		}
	}
}

func square(n int) [][]float64 {
	cells, rows := make([]float64, n*n), make([][]float64, n)
	for i := range rows {
		rows[i] = cells[i*n : (i+1)*n : (i+1)*n]
	}
	return rows
}
