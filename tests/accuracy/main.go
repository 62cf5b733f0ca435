// SPDX-License-Identifier: Apache-2.0

// Command accuracy runs the scenarios of the simulated world and prints what
// foliot reached beside what chrony did: medians over the seeds.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"foliot/internal/scenario"
)

// job is one scenario with one variant, and what its runs measured.
type job struct {
	row     *scenario.Scenario
	variant scenario.Variant
	runs    [][]scenario.Result // by seed, then phase
}

func main() {
	seeds := flag.Int("seeds", 10, "runs of each row")
	first := flag.Uint64("first", 1, "seed of the first run")
	rows := flag.String("rows", "", "letters of the rows to run; empty: all")
	line := flag.Bool("line", false, "estimate with the fitted line in place of the filter bank")
	flag.Parse()
	if *seeds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	jobs := choose(*rows, *seeds, *line)
	if len(jobs) == 0 {
		fmt.Fprintf(os.Stderr, "no row of %q is known\n", *rows)
		os.Exit(2)
	}
	run(jobs, *first)
	if worse := print(os.Stdout, jobs); worse > 0 {
		fmt.Printf("%d of the errors above are larger than chrony's\n", worse)
	}
}

// choose returns the jobs of the rows whose letters are given.
func choose(rows string, seeds int, line bool) (jobs []*job) {
	for i := range scenario.Table {
		s := &scenario.Table[i]
		if rows != "" && !strings.Contains(rows, s.Name) {
			continue
		}
		for _, v := range s.Variants {
			v.Line = line
			jobs = append(jobs, &job{row: s, variant: v, runs: make([][]scenario.Result, seeds)})
		}
	}
	return jobs
}

// run does all runs of all jobs, as many at once as there are processors.
func run(jobs []*job, first uint64) {
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		for i := range j.runs {
			wg.Add(1)
			free <- struct{}{}
			go func() {
				defer wg.Done()
				j.runs[i] = j.row.Run(first+uint64(i), j.variant)
				<-free
			}()
		}
	}
	wg.Wait()
}

// print writes the table and returns how many errors are above chrony's.
func print(out io.Writer, jobs []*job) (worse int) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "row\tvariant\tphase\tRMS\tchrony\tratio\tmax\tchrony\tfreq ppb\tchrony\tpoll s\tchrony\tsettle s: 1 ms/100 us/10 us\tchrony\t")
	for _, j := range jobs {
		for i, p := range j.row.Phases {
			m := summary(j, i)
			c, _ := scenario.Chrony(j.row.Name, j.variant.Name, p.Name)
			if m.RMS > c.RMS {
				worse++
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.2f\t%s\t%s\t%.3g\t%s\t%.4g\t%s\t%s\t%s\t\n",
				j.row.Name, j.variant.Name, p.Name, seconds(m.RMS), seconds(c.RMS), m.RMS/c.RMS,
				seconds(m.Max), seconds(c.Max), m.RateRMS*1e9, known(c.Freq*1e9), m.Poll, known(c.Poll),
				settle(m.Settle, true), settle(c.Settle, c.Settle != [3]float64{}))
		}
	}
	w.Flush()
	fmt.Fprintln(out, "\nMedians over the seeds. Of l outage, RMS is the error at the end; of g after, max is the overshoot.")
	for i, j := range jobs {
		if i == 0 || jobs[i-1].row != j.row {
			fmt.Fprintf(out, "%s: %s\n", j.row.Name, j.row.About)
		}
	}
	return worse
}

// summary is the median of each figure of a phase, in the places in which chrony's
// figures are.
func summary(j *job, phase int) (m scenario.Result) {
	of := func(get func(*scenario.Result) float64) float64 {
		var v []float64
		for _, r := range j.runs {
			v = append(v, get(&r[phase]))
		}
		return median(v)
	}
	m.RMS = of(func(r *scenario.Result) float64 { return r.RMS })
	m.Max = of(func(r *scenario.Result) float64 { return r.Max })
	m.RateRMS = of(func(r *scenario.Result) float64 { return r.RateRMS })
	m.Poll = of(func(r *scenario.Result) float64 { return r.Poll })
	for i := range m.Settle {
		m.Settle[i] = of(func(r *scenario.Result) float64 { return r.Settle[i] })
	}
	switch j.row.Name + j.row.Phases[phase].Name {
	case "loutage":
		m.RMS = of(func(r *scenario.Result) float64 { return r.End })
	case "gafter":
		m.Max = of(func(r *scenario.Result) float64 { return r.Overshoot })
	}
	return m
}

// median returns the median; NaN stands for infinity.
func median(v []float64) float64 {
	for i := range v {
		if math.IsNaN(v[i]) {
			v[i] = math.Inf(1)
		}
	}
	slices.Sort(v)
	n := len(v)
	if n%2 == 1 || math.IsInf(v[n/2], 1) {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// seconds writes a length of time with its unit.
func seconds(s float64) string {
	switch {
	case s == 0:
		return "-"
	case s < 1e-6:
		return fmt.Sprintf("%.3g ns", s*1e9)
	case s < 1e-3:
		return fmt.Sprintf("%.3g us", s*1e6)
	}
	return fmt.Sprintf("%.3g ms", s*1e3)
}

func known(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.4g", v)
}

func settle(s [3]float64, have bool) string {
	if !have {
		return "-"
	}
	words := make([]string, len(s))
	for i, v := range s {
		words[i] = fmt.Sprintf("%.0f", v)
		if math.IsNaN(v) || math.IsInf(v, 1) {
			words[i] = "never"
		}
	}
	return strings.Join(words, "/")
}
