// SPDX-License-Identifier: Apache-2.0

package rackstat

import (
	"math"
	"slices"
)

// Pair is a rack as the daemons of another measure it, not by way of the machine
// that makes the report.
type Pair struct {
	From   string  `json:"from"` // rack of the daemons
	To     string  `json:"to"`
	Seen   int     `json:"seen"`   // sources of theirs that are there
	Offset float64 `json:"offset"` // median; positive if To is ahead
	Worst  float64 `json:"worst"`  // largest size, its bound included
	Here   float64 `json:"here"`   // what the matrix of this report says of the two
	Agrees bool    `json:"agrees"` // the two ways of measuring, within their bounds
}

// pairs joins what daemons see to pairs of racks.
func (r *Report) pairs() []Pair {
	offsets, bounds := map[[2]string][]float64{}, map[[2]string]float64{}
	worst := map[[2]string]float64{}
	for i := range r.Views {
		for _, s := range r.Views[i].Sees {
			if r.Views[i].Rack == "" || s.Rack == "" {
				continue
			}
			k := [2]string{r.Views[i].Rack, s.Rack}
			offsets[k] = append(offsets[k], s.Offset)
			bounds[k] = max(bounds[k], s.Bound)
			worst[k] = max(worst[k], math.Abs(s.Offset)+s.Bound)
		}
	}
	index := map[string]int{}
	for i := range r.Racks {
		index[r.Racks[i].Name] = i
	}
	list := make([]Pair, 0, len(offsets))
	for k, o := range offsets {
		p := Pair{From: k[0], To: k[1], Seen: len(o), Offset: quantile(o, 0.5), Worst: worst[k]}
		a, haveA := index[k[0]]
		b, haveB := index[k[1]]
		if haveA && haveB {
			p.Here = r.Matrix.Offset[a][b]
			p.Agrees = math.Abs(p.Offset-p.Here) <= bounds[k]+r.Racks[a].Worst+r.Racks[a].Bound+r.Racks[b].Worst+r.Racks[b].Bound
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(x, y Pair) int {
		if c := Natural(x.From, y.From); c != 0 {
			return c
		}
		return Natural(x.To, y.To)
	})
	return list
}
