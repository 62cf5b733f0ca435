// SPDX-License-Identifier: Apache-2.0

package rackstat

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"foliot/internal/ntp"
)

// Limits of what counts as normal.
const (
	outlierMADs = 6    // normalised median absolute deviations from the cluster's median
	oddLoss     = 0.05 // share of requests
	fewHosts    = 3    // that a common upstream is said of
	// driftSigns is how many times its bound a drift is large.
	driftSigns = 2
	bigDrift   = 1e-6 // ratio; a clock that is steered drifts less
)

// find lists what stands out, the gravest first.
func (r *Report) find() []Finding {
	var list []Finding
	for _, part := range []func() []Finding{r.outliers, r.unreachable, r.loops, r.upstreams, r.oddities} {
		list = append(list, part()...)
	}
	rank := map[Level]int{Grave: 0, Odd: 1, Aside: 2}
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
	return list
}

func (h *Host) finding(l Level, kind, format string, args ...any) Finding {
	return Finding{Level: l, Kind: kind, Rack: h.Rack, Host: h.Name, Text: fmt.Sprintf(format, args...)}
}

// outliers are hosts that are farther from the rest than hosts usually are, and
// than the measurement can be wrong.
func (r *Report) outliers() []Finding {
	var offsets, from []float64
	for i := range r.Hosts {
		if r.Hosts[i].Measured {
			offsets = append(offsets, r.Hosts[i].Offset)
		}
	}
	if len(offsets) < fewHosts {
		return nil
	}
	middle := quantile(offsets, 0.5)
	for _, o := range offsets {
		from = append(from, math.Abs(o-middle))
	}
	usual := 1.4826 * quantile(from, 0.5) // a normal distribution's standard deviation
	var list []Finding
	astray := map[string]bool{}
	for i := range r.Racks {
		k := &r.Racks[i]
		if off := k.Median - middle; k.Measured >= fewHosts && math.Abs(off) > outlierMADs*usual+k.Bound {
			astray[k.Name] = true
			list = append(list, Finding{Level: Grave, Kind: "outlier", Rack: k.Name, Text: fmt.Sprintf("its median is %s %s the median of all", Span(math.Abs(off)), direction(off))})
		}
	}
	for i := range r.Hosts {
		h := &r.Hosts[i]
		off := h.Offset - middle
		if !h.Measured || math.Abs(off) <= outlierMADs*usual+h.Bound {
			continue
		}
		if astray[h.Rack] && math.Abs(h.Offset-r.rack(h.Rack).Median) <= outlierMADs*usual+h.Bound {
			continue // its rack is off, and it with it
		}
		list = append(list, h.finding(Grave, "outlier", "%s %s the median of all, %s", Span(math.Abs(off)), direction(off), h.because(usual, r)))
	}
	slices.SortStableFunc(list, func(a, b Finding) int { return strings.Compare(a.Rack, b.Rack) })
	return list
}

func direction(off float64) string {
	if off > 0 {
		return "ahead of"
	}
	return "behind"
}

// because says what is known about why a host is off.
func (h *Host) because(usual float64, r *Report) string {
	var why []string
	if !h.Synced {
		why = append(why, "it is not synchronised")
	}
	if math.Abs(h.Drift) > bigDrift && math.Abs(h.Drift) > driftSigns*h.Skew {
		why = append(why, fmt.Sprintf("its clock drifts by %.2f ppm", h.Drift*1e6))
	}
	if h.Root > math.Abs(h.Offset) {
		why = append(why, fmt.Sprintf("it claims no more than %s itself", Span(h.Root)))
	}
	if upstream := r.shared(h); upstream != "" {
		why = append(why, "as others that follow "+upstream)
	}
	if len(why) == 0 {
		why = append(why, fmt.Sprintf("usual are %s, and the measurement is good to %s", Span(usual), Span(h.Bound)))
	}
	return strings.Join(why, "; ")
}

func (r *Report) rack(name string) *Rack {
	for i := range r.Racks {
		if r.Racks[i].Name == name {
			return &r.Racks[i]
		}
	}
	return nil
}

// shared names the upstream of a host if most hosts of it are off to the same side
// by about as much.
func (r *Report) shared(h *Host) string {
	if h.Stratum < 2 || h.RefID == 0 {
		return ""
	}
	same, others := 0, 0
	for i := range r.Hosts {
		o := &r.Hosts[i]
		if o == h || !o.Measured || o.RefID != h.RefID || o.Stratum != h.Stratum {
			continue
		}
		others++
		if math.Abs(o.Offset-h.Offset) < math.Abs(h.Offset)/4+o.Bound+h.Bound {
			same++
		}
	}
	if others < 2 || 2*same < others {
		return ""
	}
	return h.Reference
}

func (r *Report) unreachable() (list []Finding) {
	dead := map[string]bool{}
	for i := range r.Racks {
		if k := &r.Racks[i]; k.Measured == 0 && k.Hosts >= fewHosts {
			dead[k.Name] = true
			list = append(list, Finding{Level: Grave, Kind: "unreachable", Rack: k.Name, Text: fmt.Sprintf("none of %d hosts could be measured; %s", k.Hosts, r.state(k.Name))})
		}
	}
	for i := range r.Hosts {
		if dead[r.Hosts[i].Rack] {
			continue
		}
		switch h := &r.Hosts[i]; {
		case !h.Measured:
			list = append(list, h.finding(Grave, "unreachable", "%s", h.State))
		case !h.Synced:
			list = append(list, h.finding(Odd, "unsynchronised", "answers, but its clock is not synchronised (stratum %d)", h.Stratum))
		}
	}
	return list
}

// state returns why the first host of a rack could not be measured.
func (r *Report) state(rack string) string {
	for i := range r.Hosts {
		if h := &r.Hosts[i]; h.Rack == rack {
			return "the first: " + h.State
		}
	}
	return ""
}

// above returns for each host the index of the host that it follows, -1 for none
// that is known here. A reference identifier is the address of the server above
// (RFC 5905 section 7.3).
func (r *Report) above() []int {
	at := map[uint32]int{}
	for i := range r.Hosts {
		if a, ok := r.Hosts[i].addr(); ok {
			at[uint32(ntp.RefIDOf(a))] = i
		}
	}
	up := make([]int, len(r.Hosts))
	for i := range up {
		up[i] = -1
		h := &r.Hosts[i]
		if j, ok := at[h.RefID]; ok && h.Measured && h.Stratum > 1 && h.Stratum < ntp.MaxStratum && j != i {
			up[i] = j
		}
	}
	return up
}

func (h *Host) addr() (netip.Addr, bool) {
	if a, err := netip.ParseAddr(h.Address); err == nil {
		return a, true
	}
	p, err := netip.ParseAddrPort(h.Address)
	return p.Addr(), err == nil
}

// loops follows who follows whom until somebody comes again.
func (r *Report) loops() (list []Finding) {
	up := r.above()
	state := make([]int, len(up)) // 0 new, else the walk that saw it
	for i := range up {
		j := i
		for ; j >= 0 && state[j] == 0; j = up[j] {
			state[j] = i + 1
		}
		if j < 0 || state[j] != i+1 {
			continue
		}
		names := []string{r.Hosts[j].Name}
		for k := up[j]; k != j; k = up[k] {
			names = append(names, r.Hosts[k].Name)
		}
		text := strings.Join(append(names, names[0]), " follows ")
		list = append(list, r.Hosts[j].finding(Grave, "loop", "a loop: %s", text))
	}
	return list
}

// upstreams finds racks, and clusters, that hang by one server.
func (r *Report) upstreams() (list []Finding) {
	if ref, n := r.only(""); ref != "" {
		return []Finding{{Level: Odd, Kind: "upstream", Text: fmt.Sprintf("all %d hosts that follow a server follow %s alone", n, ref)}}
	}
	for i := range r.Racks {
		if ref, n := r.only(r.Racks[i].Name); ref != "" {
			list = append(list, Finding{Level: Odd, Kind: "upstream", Rack: r.Racks[i].Name, Text: fmt.Sprintf("all %d hosts follow %s alone", n, ref)})
		}
	}
	return list
}

// only returns the upstream that all hosts of a rack (of all if it is "") have in
// common, and how many those are.
func (r *Report) only(rack string) (string, int) {
	ref, n := "", 0
	for i := range r.Hosts {
		h := &r.Hosts[i]
		if rack != "" && h.Rack != rack || !h.Measured || h.Stratum < 2 || h.Stratum >= ntp.MaxStratum {
			continue
		}
		if n > 0 && h.Reference != ref {
			return "", 0
		}
		ref, n = h.Reference, n+1
	}
	if n < fewHosts || strings.HasPrefix(ref, "127.") {
		return "", 0
	}
	return ref, n
}

// at says which host it is, by its name and, if that is another, its address.
func (h *Host) at() string {
	if h.Name == h.Address {
		return h.Name
	}
	return h.Name + ", " + h.Address
}

// oddities are what else people want to know.
func (r *Report) oddities() (list []Finding) {
	where := map[string]*Host{}
	for i := range r.Hosts {
		h := &r.Hosts[i]
		if h.Measured && h.Loss > oddLoss {
			list = append(list, h.finding(Odd, "loss", "%.0f %% of requests are not answered", 100*h.Loss))
		}
		for _, n := range h.Notes {
			list = append(list, h.finding(Aside, "note", "%s", n))
		}
		if h.Address == "" {
			continue
		}
		if before := where[h.Address]; before != nil {
			list = append(list, h.finding(Odd, "duplicate", "is the same address as %s", before.at()))
		}
		where[h.Address] = h
	}
	if r.Self.Jumps > 0 {
		list = append(list, Finding{Level: Odd, Kind: "jump", Text: fmt.Sprintf("the clock of this machine was stepped %d times; what was measured before does not count", r.Self.Jumps)})
	}
	return list
}

// Span words a length of time for people, to three digits.
func Span(s float64) string {
	a := math.Abs(s)
	switch {
	case a < 5e-12: // less than is shown
		return "0"
	case a < 999.5e-9:
		return three(s*1e9) + " ns"
	case a < 999.5e-6:
		return three(s*1e6) + " us"
	case a < 0.9995:
		return three(s*1e3) + " ms"
	case a < 2*86400:
		return three(s) + " s"
	}
	return three(s/86400) + " days"
}

func three(v float64) string {
	switch a := math.Abs(v); {
	case a < 9.995:
		return fmt.Sprintf("%.2f", v)
	case a < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
