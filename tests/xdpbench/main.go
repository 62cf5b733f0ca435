// SPDX-License-Identifier: Apache-2.0

// Xdpbench measures how many requests the programs of bpf/ answer: a generator in
// the kernel sends requests across a veth pair, the programs answer them, and a
// sink at the first end counts. Generator, server and sink share one processor,
// so the numbers are of a whole loop; two servers that do nothing but drop or
// return a frame show what the loop itself takes.
//
// The one concept is the ratio: all rows are measured in turns in each round, and
// a row is compared with the others of its round, so that what else runs on the
// machine hits all of them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"foliot/tests/netns"
)

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "rounds")
	flag.DurationVar(&o.duration, "duration", 300*time.Millisecond, "of each row in a round")
	flag.IntVar(&o.cpu, "cpu", 0, "processor of the loop")
	flag.BoolVar(&o.chronyd, "chronyd", true, "measure chronyd, too, on another processor")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "xdpbench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds   int
	duration time.Duration
	cpu      int
	chronyd  bool
}

func run(o *options) error {
	if err := netns.Ready(); err != nil {
		return err
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	err = b.measure()
	return errors.Join(err, b.close())
}

// measure measures all rows and prints the table.
func (b *bench) measure() error {
	rows := b.rows()
	results := make([][]result, len(rows))
	for range b.rounds {
		for i := range rows {
			r, err := rows[i].run()
			if err != nil {
				return fmt.Errorf("%s: %w", rows[i].name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	print(rows, results)
	if err := b.costs(); err != nil {
		return err
	}
	if err := b.sink.Close(); err != nil {
		return err
	}
	b.sink = nil
	return b.accuracy()
}

// result is what a row reached in a round.
type result struct {
	rate float64 // answers per second, of frames where nothing is answered
	lost float64 // share of the frames that got no answer
}

// reflector is the row that the others are compared with.
const reflector = 1

func print(rows []row, results [][]result) {
	fmt.Printf("%-34s %10s %10s %8s %12s\n", "one processor for the whole loop", "Mpps", "ns/frame", "lost %", "of reflector")
	for i := range rows {
		var rates, ratios, lost []float64
		for round, r := range results[i] {
			rates = append(rates, r.rate)
			ratios = append(ratios, r.rate/results[reflector][round].rate)
			lost = append(lost, 100*r.lost)
		}
		fmt.Printf("%-34s %10.3f %10.0f %8.2f %12.2f\n", rows[i].name, median(rates)/1e6, 1e9/median(rates), median(lost), median(ratios))
	}
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
