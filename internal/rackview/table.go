// SPDX-License-Identifier: Apache-2.0

// Package rackview renders a report of racks: as a table for people, as CSV, and as
// one HTML page that needs nothing else. It computes nothing that the report does
// not say.
//
// The one concept is that every view has the same numbers under the same names;
// only how many of them differs.
package rackview

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"

	"foliot/internal/rackstat"
)

// Sizes of the table.
const (
	rankedHosts   = 10
	matrixRacks   = 8
	shownFindings = 20
)

// Table writes what matters for people at a terminal: racks, the matrix if it is
// small, the hosts that are farthest off, findings and verdicts.
func Table(out io.Writer, r *rackstat.Report) error {
	w := bufio.NewWriter(out)
	c := &r.Cluster
	fmt.Fprintf(w, "%d of %d hosts in %d racks measured from %s in %s", c.Measured, c.Hosts, len(r.Racks), r.From, rackstat.Span(r.Seconds))
	if r.Stopped {
		fmt.Fprint(w, ", then interrupted")
	}
	fmt.Fprintf(w, "\noffsets are against %s", against(r))
	if c.Measured > 0 && r.Against != rackstat.Itself {
		fmt.Fprintf(w, "; the clock here is %s", relative(-r.Shift))
	}
	fmt.Fprint(w, "\n\n")
	fmt.Fprintf(w, "%-14s %9s %11s %10s %10s %10s %10s %10s %6s\n", "rack", "hosts", "median", "p95", "max", "spread", "worst", "bound", "loss")
	for i := range r.Racks {
		summary(w, r.Racks[i].Name, &r.Racks[i].Summary)
	}
	if len(r.Racks) > 1 {
		summary(w, "all", c)
	}
	matrix(w, r)
	worst(w, r)
	findings(w, r)
	sights(w, r)
	pairs(w, r)
	for i := range r.Verdicts {
		verdict(w, &r.Verdicts[i])
	}
	return w.Flush()
}

func against(r *rackstat.Report) string {
	switch r.Against {
	case rackstat.Median:
		return "the median of all"
	case rackstat.Itself:
		return "the clock here"
	}
	return r.Against
}

// relative words by how much the machine that measures is ahead.
func relative(ahead float64) string {
	switch {
	case ahead > 0:
		return rackstat.Span(ahead) + " ahead of that"
	case ahead < 0:
		return rackstat.Span(-ahead) + " behind that"
	}
	return "exactly there"
}

// signed is a time with its sign.
func signed(v float64) string {
	s := rackstat.Span(v)
	if v > 0 && s != "0" {
		return "+" + s
	}
	return s
}

func summary(w io.Writer, name string, s *rackstat.Summary) {
	hosts := fmt.Sprintf("%d/%d", s.Measured, s.Hosts)
	if s.Measured == 0 {
		fmt.Fprintf(w, "%-14s %9s %11s\n", clip(name, 14), hosts, "-")
		return
	}
	fmt.Fprintf(w, "%-14s %9s %11s %10s %10s %10s %10s %10s %5.1f%%\n", clip(name, 14), hosts, signed(s.Median), rackstat.Span(s.P95),
		rackstat.Span(s.Max), rackstat.Span(s.Spread), rackstat.Span(s.Worst), rackstat.Span(s.Bound), 100*s.Loss)
}

// clip shortens a name to n characters, its end marked.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "~"
	}
	return s
}

func matrix(w io.Writer, r *rackstat.Report) {
	n := len(r.Racks)
	if n < 2 || n > matrixRacks {
		return
	}
	fmt.Fprintf(w, "\nby how much the rack of the column is ahead of that of the row\n%-10s", "")
	for i := range r.Racks {
		fmt.Fprintf(w, " %10s", clip(r.Racks[i].Name, 10))
	}
	fmt.Fprintln(w)
	for a := range r.Racks {
		fmt.Fprintf(w, "%-10s", clip(r.Racks[a].Name, 10))
		for b := range r.Racks {
			cell := "-"
			if a != b && r.Racks[a].Measured > 0 && r.Racks[b].Measured > 0 {
				cell = signed(r.Matrix.Offset[a][b])
			}
			fmt.Fprintf(w, " %10s", cell)
		}
		fmt.Fprintln(w)
	}
}

func worst(w io.Writer, r *rackstat.Report) {
	fmt.Fprintf(w, "\n%-14s %-24s %11s %10s %10s %9s %3s %-15s\n", "rack", "farthest off", "offset", "bound", "jitter", "drift", "st", "follows")
	n := 0
	for _, i := range r.Ranking() {
		h := &r.Hosts[i]
		if !h.Measured {
			continue
		}
		if n++; n > rankedHosts {
			break
		}
		fmt.Fprintf(w, "%-14s %-24s %11s %10s %10s %9s %3d %-15s\n", clip(h.Rack, 14), clip(h.Name, 24), signed(h.Offset),
			rackstat.Span(h.Bound), rackstat.Span(h.Jitter), drift(h), h.Stratum, h.Reference)
	}
}

// drift is in ppm, if a line tells.
func drift(h *rackstat.Host) string {
	if h.Skew == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.3f", h.Drift*1e6)
}

func findings(w io.Writer, r *rackstat.Report) {
	if len(r.Findings) > 0 {
		fmt.Fprintln(w)
	}
	for i, f := range r.Findings {
		if i == shownFindings {
			fmt.Fprintf(w, "and %d more\n", len(r.Findings)-i)
			return
		}
		fmt.Fprintf(w, "%s: %s%s\n", f.Level, place(&f), f.Text)
	}
}

// place says what a finding is about.
func place(f *rackstat.Finding) string {
	switch {
	case f.Host != "":
		return fmt.Sprintf("%s (rack %s): ", f.Host, f.Rack)
	case f.Rack != "":
		return "rack " + f.Rack + ": "
	}
	return ""
}

// sights shows what other daemons see, by rack: the median.
func sights(w io.Writer, r *rackstat.Report) {
	for i := range r.Views {
		v := &r.Views[i]
		fmt.Fprintf(w, "\nseen from %s (rack %s): ", v.From, or(v.Rack, "-"))
		if v.State != "ok" {
			fmt.Fprintln(w, v.State)
			continue
		}
		fmt.Fprintf(w, "%d hosts\n", len(v.Sees))
		for _, s := range v.Sees {
			fmt.Fprintf(w, "%-14s %-24s %11s %10s\n", clip(or(s.Rack, "-"), 14), clip(s.Host, 24), signed(s.Offset), rackstat.Span(s.Bound))
		}
	}
}

// pairs shows racks as daemons in other racks measure them.
func pairs(w io.Writer, r *rackstat.Report) {
	if len(r.Pairs) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%-14s %-14s %6s %11s %10s %11s\n", "measured from", "rack", "hosts", "offset", "worst", "from here")
	for _, p := range r.Pairs {
		note := ""
		if !p.Agrees {
			note = "  they do not agree"
		}
		fmt.Fprintf(w, "%-14s %-14s %6d %11s %10s %11s%s\n", clip(p.From, 14), clip(p.To, 14), p.Seen, signed(p.Offset), rackstat.Span(p.Worst), signed(p.Here), note)
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func verdict(w io.Writer, v *rackstat.Verdict) {
	word, more := "holds", ""
	if !v.Holds {
		word = "DOES NOT HOLD"
	}
	if !v.Proven {
		more = ", but the measurement's errors could turn that"
	}
	fmt.Fprintf(w, "\n%s %s %s %s: %s%s\n", v.Name, limits(v, "<=", ">="), quantity(v.Name, v.Limit), word, quantity(v.Name, v.Value), more)
}

// limits returns the sign of a limit from above or from below.
func limits(v *rackstat.Verdict, most, least string) string {
	if v.Name == "reachable" {
		return least
	}
	return most
}

func quantity(name string, v float64) string {
	if name == "loss" || name == "reachable" {
		return strconv.FormatFloat(100*v, 'g', 4, 64) + "%"
	}
	return rackstat.Span(v)
}

// CSV writes a line for each host, after one of names. Times are in seconds,
// frequencies in ppm.
func CSV(out io.Writer, r *rackstat.Report) error {
	w := csv.NewWriter(out)
	w.Write([]string{"rack", "zone", "row", "host", "address", "state", "offset", "bound", "root", "raw_offset", "sd", "jitter",
		"delay", "drift_ppm", "skew_ppm", "loss", "sent", "answered", "samples", "interleaved", "stamps", "stratum", "refid"})
	n := func(v float64) string { return strconv.FormatFloat(v, 'g', 9, 64) }
	for i := range r.Hosts {
		h := &r.Hosts[i]
		line := []string{h.Rack, h.Zone, h.Row, h.Name, h.Address, h.State, "", "", "", "", "", "", "", "", "", n(h.Loss),
			strconv.FormatUint(h.Sent, 10), strconv.FormatUint(h.Answered, 10), strconv.Itoa(h.Samples),
			strconv.FormatUint(h.Interleaved, 10), h.Stamps, strconv.Itoa(int(h.Stratum)), h.Reference}
		if h.Measured {
			copy(line[6:], []string{n(h.Offset), n(h.Bound), n(h.Root), n(h.Raw), n(h.SD), n(h.Jitter), n(h.Delay), n(h.Drift * 1e6), n(h.Skew * 1e6)})
		}
		w.Write(line)
	}
	w.Flush()
	return w.Error()
}

// Comparison writes what changed between two runs.
func Comparison(out io.Writer, c *rackstat.Comparison) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "from %s to %s\n\n%-14s %9s %10s %10s %10s %10s %10s %10s  %s\n", c.Before, c.After,
		"rack", "hosts", "median", "then", "p95", "then", "max", "then", "")
	for _, x := range append(c.Racks[:len(c.Racks):len(c.Racks)], c.Cluster) {
		fmt.Fprintf(w, "%-14s %9s %10s %10s %10s %10s %10s %10s  %s\n", clip(x.Name, 14), fmt.Sprintf("%d>%d", x.Hosts[0], x.Hosts[1]),
			rackstat.Span(x.Median[0]), rackstat.Span(x.Median[1]), rackstat.Span(x.P95[0]), rackstat.Span(x.P95[1]),
			rackstat.Span(x.Max[0]), rackstat.Span(x.Max[1]), significance(&x))
	}
	if len(c.Hosts) > 0 {
		fmt.Fprintf(w, "\n%-14s %-24s %11s %11s %11s %8s\n", "rack", "moved", "from", "to", "by", "sigmas")
	}
	for i, h := range c.Hosts {
		if i == 2*rankedHosts {
			fmt.Fprintf(w, "and %d more\n", len(c.Hosts)-i)
			break
		}
		fmt.Fprintf(w, "%-14s %-24s %11s %11s %11s %8.0f\n", clip(h.Rack, 14), clip(h.Name, 24), signed(h.Offset[0]), signed(h.Offset[1]),
			signed(h.Shift), math.Min(h.Sigmas, 99999))
	}
	fmt.Fprintf(w, "\n%d hosts moved, %d did not; %d came, %d went\n", len(c.Hosts), c.Steady, len(c.Came), len(c.Gone))
	return w.Flush()
}

func significance(c *rackstat.Change) string {
	switch {
	case !c.Significant:
		return "no significant change"
	case c.Better:
		return fmt.Sprintf("better (p = %.2g)", c.Probability)
	}
	return fmt.Sprintf("worse (p = %.2g)", c.Probability)
}
