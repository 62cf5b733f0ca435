// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"foliot/tests/netns"
)

// micros is a time in microseconds, NaN if nothing was measured.
type micros float64

func (v micros) String() string {
	if math.IsNaN(float64(v)) {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(v))
}

// MarshalJSON has null for what was not measured.
func (v micros) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// middle is the median of x, which is in seconds, with its sign.
func middle(x []float64) micros { return micros(median(x) * 1e6) }

// high is the 99th percentile of x, which is in seconds, with its sign.
func high(x []float64) micros {
	if len(x) == 0 {
		return micros(math.NaN())
	}
	a := slices.Sorted(slices.Values(x))
	return micros(a[int(math.Ceil(0.99*float64(len(a))))-1] * 1e6)
}

// far is the 99th percentile of the absolute value of x, which is in seconds.
func far(x []float64) micros { return micros(netns.Quantile(x, 0.99) * 1e6) }

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
			middle(v.Late), high(v.Late), far(v.Late), middle(v.Offset), high(v.Offset), far(v.Offset))
	}
	return w.Flush()
}

// reportInterleaved prints the medians over the rounds.
func reportInterleaved(out io.Writer, rate float64, all []*loyaltyOf) error {
	w := newTable(out)
	fmt.Fprintf(w, "%d clients\tserver\tanswered %%\tof those\tand true %%\tlate us\t\tcpu us\t\n", swarmClients)
	fmt.Fprintf(w, "%.0f/s\t\t\tinterleaved %%\t\tmedian\t|p99|\tan answer\t\n", rate)
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
			micros(get(func(l *loyalty) float64 { return float64(l.LateMedian) })),
			micros(get(func(l *loyalty) float64 { return float64(l.LateP99) })),
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
