// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// reference is the server that all others are compared with.
const reference = "chronyd"

func newTable(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// median returns the middle one of x, the mean of the two if there are two, NaN
// if there is none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	a := slices.Sorted(slices.Values(x))
	return (a[(len(a)-1)/2] + a[len(a)/2]) / 2
}

// over returns the median over the rounds of a value.
func over(all []rates, value func(rates) float64) float64 {
	var x []float64
	for _, r := range all {
		x = append(x, value(r))
	}
	return median(x)
}

// reportThroughput prints the medians over the rounds. The last columns are
// medians of the ratios within a round.
func reportThroughput(out io.Writer, all []*step) error {
	w := newTable(out)
	fmt.Fprintf(w, "clients\tload\tserver\toffered/s\tanswered/s\tanswered %%\tbusy %%\tnoise %%\tcpu us\tuser us\tper core\tanswers\tper core\t\n")
	fmt.Fprintf(w, "\t\t\t\t\t\t\t\tan answer\t\tanswers/s\t/ %s\t/ %[1]s\t\n", reference)
	for _, t := range all {
		get := func(value func(rates) float64) float64 { return over(t.Rounds, value) }
		fmt.Fprintf(w, "%d\t%gx\t%s\t%.0f\t%.0f\t%.1f\t%.0f\t%.0f\t%.2f\t%.2f\t%.0f\t%s\t%s\t\n", t.Clients, t.Load, t.Server,
			get(func(r rates) float64 { return r.Offered }), get(func(r rates) float64 { return r.Answered }),
			get(func(r rates) float64 { return 100 * r.Answered / r.Offered }), get(func(r rates) float64 { return 100 * r.Busy }),
			get(func(r rates) float64 { return 100 * r.Noise }),
			get(func(r rates) float64 { return r.CPU }), get(func(r rates) float64 { return r.User }), get(rates.PerCore),
			compared(all, t, func(r rates) float64 { return r.Answered }), compared(all, t, rates.PerCore))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return reportReach(out, all)
}

// compared is the median ratio of a value to that of the reference in the same
// round at the same load.
func compared(all []*step, t *step, value func(rates) float64) string {
	for _, r := range all {
		if r.Server != reference || r.Clients != t.Clients || r.Load != t.Load || t.Server == reference {
			continue
		}
		var x []float64
		for i := range t.Rounds {
			x = append(x, value(t.Rounds[i])/value(r.Rounds[i]))
		}
		return fmt.Sprintf("%.2f", median(x))
	}
	return ""
}

// reportReach says where requests came in bursts, and where the generator could
// not offer what it was asked to.
func reportReach(out io.Writer, all []*step) error {
	if slices.ContainsFunc(all, func(t *step) bool { return burst(t.Load*t.Saturation) > 1 }) {
		if _, err := fmt.Fprintf(out, "above %d/s each client sends %d requests in a row, which are a little cheaper to answer\n", single, burstLimit); err != nil {
			return err
		}
	}
	for _, t := range all {
		reach := over(t.Rounds, func(r rates) float64 { return r.Offered })
		if reach < 0.95*t.Load*t.Saturation {
			_, err := fmt.Fprintf(out, "the generator reached %.2fx of the %gx of %s with %d clients\n",
				reach/t.Saturation, t.Load, t.Server, t.Clients)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
