// SPDX-License-Identifier: Apache-2.0

package rackstat

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Requirement is a limit that somebody sets.
type Requirement struct {
	Name  string // one of those below
	Limit float64
}

// Requirements that can be made, and whether they are times. Those that are not
// are shares; reachable is one from below.
var requirements = map[string]bool{
	"p50": true, "p95": true, "p99": true, "max": true, "spread": true, "worst": true, "loss": false, "reachable": false,
}

// ParseRequirement reads NAME=LIMIT, as p99=100us or loss=1%.
func ParseRequirement(s string) (Requirement, error) {
	name, value, _ := strings.Cut(s, "=")
	isTime, known := requirements[name]
	if !known {
		return Requirement{}, fmt.Errorf("unknown requirement %q (p50, p95, p99, max, spread, worst, loss, reachable)", name)
	}
	if isTime {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return Requirement{}, fmt.Errorf("limit %q of %s is no time (as 100us)", value, name)
		}
		return Requirement{name, d.Seconds()}, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
	if err != nil || !strings.HasSuffix(value, "%") || !(v >= 0 && v <= 100) {
		return Requirement{}, fmt.Errorf("limit %q of %s is no share (as 1%%)", value, name)
	}
	return Requirement{name, v / 100}, nil
}

// Judge sets the verdicts on the cluster, and tells whether all hold. Where
// nothing was measured, nothing holds.
func (r *Report) Judge(list []Requirement) bool {
	r.Verdicts = nil
	good := true
	for _, q := range list {
		v := r.judge(q)
		r.Verdicts = append(r.Verdicts, v)
		good = good && v.Holds
	}
	return good
}

func (r *Report) judge(q Requirement) Verdict {
	v := Verdict{Name: q.Name, Limit: q.Limit}
	c := &r.Cluster
	var low, high float64 // between which the true value is
	switch q.Name {
	case "loss":
		low, v.Value, high = c.Loss, c.Loss, c.Loss
	case "reachable":
		v.Value = float64(c.Measured) / float64(max(c.Hosts, 1))
		v.Holds, v.Proven = c.Measured > 0 && v.Value >= q.Limit, true
		return v
	case "spread":
		low, v.Value, high = r.leastSpread(), c.Spread, c.Worst
	case "worst":
		low, v.Value, high = c.Worst, c.Worst, c.Worst
	default:
		p := map[string]float64{"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1}[q.Name]
		low, v.Value, high = r.sizes(p, -1), r.sizes(p, 0), r.sizes(p, 1)
	}
	v.Holds = c.Measured > 0 && v.Value <= q.Limit
	v.Proven = c.Measured == 0 || v.Holds && high <= q.Limit || !v.Holds && low > q.Limit
	return v
}

// sizes returns a quantile of the sizes of offsets, each made larger by sign
// times its bound.
func (r *Report) sizes(p, sign float64) float64 {
	var list []float64
	for i := range r.Hosts {
		if h := &r.Hosts[i]; h.Measured {
			list = append(list, max(0, math.Abs(h.Offset)+sign*h.Bound))
		}
	}
	return quantile(list, p)
}

// leastSpread is how far apart two hosts are at least.
func (r *Report) leastSpread() float64 {
	highest, lowest := math.Inf(-1), math.Inf(1)
	for i := range r.Hosts {
		if h := &r.Hosts[i]; h.Measured {
			highest, lowest = max(highest, h.Offset-h.Bound), min(lowest, h.Offset+h.Bound)
		}
	}
	return max(0, highest-lowest)
}

// Ranking returns the indices of the hosts, those without an offset first and then
// those that are farthest off.
func (r *Report) Ranking() []int {
	list := all(len(r.Hosts))
	slices.SortStableFunc(list, func(a, b int) int {
		x, y := &r.Hosts[a], &r.Hosts[b]
		if x.Measured != y.Measured {
			if x.Measured {
				return 1
			}
			return -1
		}
		switch d := math.Abs(x.Offset) - math.Abs(y.Offset); {
		case d > 0:
			return -1
		case d < 0:
			return 1
		}
		return 0
	})
	return list
}
