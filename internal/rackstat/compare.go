// SPDX-License-Identifier: Apache-2.0

package rackstat

import (
	"cmp"
	"math"
	"slices"
)

// Comparison is what changed from one report to another.
type Comparison struct {
	Before  string      `json:"before"` // when each was taken
	After   string      `json:"after"`
	Cluster Change      `json:"cluster"`
	Racks   []Change    `json:"racks"`
	Hosts   []HostShift `json:"hosts"` // that moved significantly, the most first
	Steady  int         `json:"steady"`
	Came    []string    `json:"came,omitempty"` // hosts measured after, not before
	Gone    []string    `json:"gone,omitempty"`
}

// Change compares the sizes of offsets of two sets of hosts.
type Change struct {
	Name        string     `json:"name"`
	Median      [2]float64 `json:"median"` // of sizes, before and after
	P95         [2]float64 `json:"p95"`
	Max         [2]float64 `json:"max"`
	Hosts       [2]int     `json:"hosts"`
	Probability float64    `json:"probability"` // of a difference like this if nothing had changed
	Significant bool       `json:"significant"`
	Better      bool       `json:"better"`
}

// HostShift is a host that moved.
type HostShift struct {
	Name   string     `json:"name"`
	Rack   string     `json:"rack"`
	Offset [2]float64 `json:"offset"`
	Shift  float64    `json:"shift"`
	Sigmas float64    `json:"sigmas"` // standard deviations of the measurements
}

const (
	// significant is the probability below which a change is said to be one. Of
	// many racks some change by chance, so it is divided by their number
	// (Bonferroni).
	significant = 0.01
	// movedSigmas is how many standard deviations a host must move by.
	movedSigmas = 5.0
)

// Compare tells what changed from a to b.
func Compare(a, b *Report) *Comparison {
	c := &Comparison{Before: a.Started, After: b.Started}
	c.Cluster = change("all", sizes(a, ""), sizes(b, ""), significant)
	names := map[string]bool{}
	for _, r := range []*Report{a, b} {
		for i := range r.Racks {
			names[r.Racks[i].Name] = true
		}
	}
	for n := range names {
		c.Racks = append(c.Racks, change(n, sizes(a, n), sizes(b, n), significant/float64(len(names))))
	}
	slices.SortFunc(c.Racks, func(x, y Change) int { return Natural(x.Name, y.Name) })
	c.hosts(a, b)
	return c
}

// sizes returns the sizes of offsets in a rack, "" for all.
func sizes(r *Report, rack string) []float64 {
	var list []float64
	for i := range r.Hosts {
		if h := &r.Hosts[i]; h.Measured && (rack == "" || h.Rack == rack) {
			list = append(list, math.Abs(h.Offset))
		}
	}
	return list
}

func change(name string, a, b []float64, level float64) Change {
	c := Change{Name: name, Hosts: [2]int{len(a), len(b)}, Probability: 1}
	for i, v := range [2][]float64{a, b} {
		c.Median[i], c.P95[i], c.Max[i] = quantile(v, 0.5), quantile(v, 0.95), quantile(v, 1)
	}
	var less float64
	c.Probability, less = rankSum(a, b)
	c.Significant = c.Probability < level
	c.Better = less > 0.5
	return c
}

// rankSum is the test of Mann and Whitney: the two-sided probability of ranks like
// these if a and b come from one distribution, by its normal approximation with
// ties and continuity corrected for, and the share of pairs in which b is smaller.
func rankSum(a, b []float64) (probability, less float64) {
	na, nb := float64(len(a)), float64(len(b))
	if na == 0 || nb == 0 {
		return 1, 0.5
	}
	type value struct {
		v   float64
		ofB bool
	}
	var list []value
	for _, v := range a {
		list = append(list, value{v, false})
	}
	for _, v := range b {
		list = append(list, value{v, true})
	}
	slices.SortFunc(list, func(x, y value) int { return cmp.Compare(x.v, y.v) })
	ranks, ties := 0.0, 0.0 // sum of b's ranks
	for i := 0; i < len(list); {
		j := i
		for j < len(list) && list[j].v == list[i].v {
			j++
		}
		rank, t := float64(i+j+1)/2, float64(j-i)
		ties += t*t*t - t
		for ; i < j; i++ {
			if list[i].ofB {
				ranks += rank
			}
		}
	}
	u := ranks - nb*(nb+1)/2 // pairs in which b is larger
	n := na + nb
	variance := na * nb / 12 * (n + 1 - ties/(n*(n-1)))
	if variance <= 0 {
		return 1, 0.5
	}
	z := max(0, math.Abs(u-na*nb/2)-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2), 1 - u/(na*nb)
}

// hosts compares hosts that are in both reports by name.
func (c *Comparison) hosts(a, b *Report) {
	before := map[string]*Host{}
	for i := range a.Hosts {
		if h := &a.Hosts[i]; h.Measured {
			before[h.Name] = h
		}
	}
	for i := range b.Hosts {
		h := &b.Hosts[i]
		if !h.Measured {
			continue
		}
		o := before[h.Name]
		if o == nil {
			c.Came = append(c.Came, h.Name)
			continue
		}
		delete(before, h.Name)
		sd := math.Hypot(o.deviation(), h.deviation())
		s := HostShift{Name: h.Name, Rack: h.Rack, Offset: [2]float64{o.Offset, h.Offset}, Shift: h.Offset - o.Offset}
		if s.Sigmas = math.Abs(s.Shift) / sd; s.Sigmas > movedSigmas {
			c.Hosts = append(c.Hosts, s)
		} else {
			c.Steady++
		}
	}
	for name := range before {
		c.Gone = append(c.Gone, name)
	}
	slices.SortFunc(c.Gone, Natural)
	slices.SortStableFunc(c.Hosts, func(x, y HostShift) int { return cmp.Compare(math.Abs(y.Shift), math.Abs(x.Shift)) })
}

// deviation is the standard deviation of a host's offset: of the mean of its
// samples, and of what a path changes by between two runs, for which the spread of
// the samples itself is taken.
func (h *Host) deviation() float64 {
	return max(h.SD, h.Jitter/math.Sqrt2, 1e-9)
}
