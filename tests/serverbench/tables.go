// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"foliot/tests/netns"
)

// middle is the median of x in microseconds, with its sign.
func middle(x []float64) float64 { return median(x) * 1e6 }

// spread is the 99th percentile of x in microseconds, with its sign.
func spread(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	a := slices.Sorted(slices.Values(x))
	return a[int(math.Ceil(0.99*float64(len(a))))-1] * 1e6
}

// micro prints microseconds, "-" if nothing was measured.
func micro(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// reportAccuracy prints what the probes found.
func reportAccuracy(out io.Writer, all []*service) error {
	w := newTable(out)
	fmt.Fprintf(w, "load\tmode\tserver\tsent\tanswered %%\tlate us\t\t\toffset us\t\t\t\n")
	fmt.Fprintf(w, "\t\t\t\tin the mode\tmedian\tp99\t|p99|\tmedian\tp99\t|p99|\t\n")
	for _, v := range all {
		mode := "basic"
		if v.Interleaved {
			mode = "interleaved"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t\n", v.Load, mode, v.Server, v.Sent,
			100*float64(v.Answered)/float64(v.Sent),
			micro(middle(v.Late)), micro(spread(v.Late)), micro(netns.Quantile(v.Late, 0.99)*1e6),
			micro(middle(v.Offset)), micro(spread(v.Offset)), micro(netns.Quantile(v.Offset, 0.99)*1e6))
	}
	return w.Flush()
}

// reportInterleaved prints the medians over the rounds.
func reportInterleaved(out io.Writer, all []*loyaltyOf) error {
	w := newTable(out)
	fmt.Fprintf(w, "%d clients\tserver\tanswered %%\tof those\tand true %%\tlate us\t\tcpu us\t\n", swarmClients)
	fmt.Fprintf(w, "%.0f/s\t\t\tinterleaved %%\t\tmedian\t|p99|\tan answer\t\n", swarmRate)
	for _, v := range all {
		get := func(value func(l *loyalty) float64) float64 {
			var x []float64
			for i := range v.Rounds {
				x = append(x, value(&v.Rounds[i]))
			}
			return median(x)
		}
		fmt.Fprintf(w, "\t%s\t%.2f\t%.2f\t%.2f\t%s\t%s\t%.2f\t\n", v.Server,
			get(func(l *loyalty) float64 { return 100 * float64(l.Answered) / float64(l.Sent) }),
			get(func(l *loyalty) float64 { return 100 * float64(l.Interleaved) / float64(l.Answered) }),
			get(func(l *loyalty) float64 { return 100 * float64(l.True) / float64(l.Answered) }),
			micro(get(func(l *loyalty) float64 { return l.LateMedian })),
			micro(get(func(l *loyalty) float64 { return l.LateP99 })),
			get(func(l *loyalty) float64 { return l.CPU }))
	}
	return w.Flush()
}

// reportMemory prints how memory grew.
func reportMemory(out io.Writer, all []*footprint) error {
	w := newTable(out)
	fmt.Fprintf(w, "clients\tserver\tanswered %%\trss kB\tgrowth %%\t\n")
	for _, p := range all {
		fmt.Fprintf(w, "%d\t%s\t%.1f\t%d\t%+.1f\t\n", p.Clients, p.Server, 100*p.Answered, p.RSS,
			100*(float64(p.RSS)/float64(all[0].RSS)-1))
	}
	return w.Flush()
}
