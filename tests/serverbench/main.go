// SPDX-License-Identifier: Apache-2.0

// Command serverbench measures foliotd as a server beside stock chronyd, in one
// run, on one machine: answers a second and what one costs, at loads from half
// to four times of what a server can take. Requests come from addresses that do
// not exist, through a veth pair; a server has one processor for itself, and
// everything else shares another. It needs root, chronyd and two processors.
//
// The one concept is the ratio: machines differ, and this one's mood differs from
// minute to minute, so servers take turns at every load and what counts is the
// median over rounds of the ratio to chronyd's.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"foliot/tests/netns"
)

// options are the flags.
type options struct {
	rounds   int
	duration time.Duration
	only     string
	json     string
	other    string

	root   string // of the module, to build from
	nice   int
	crowds []int   // whose memory is measured
	swarm  float64 // requests a second in interleaved mode
}

// results are everything measured, as written to the file of -json.
type results struct {
	Throughput  []*step      `json:"throughput,omitempty"`
	Accuracy    []*service   `json:"accuracy,omitempty"`
	Interleaved []*loyaltyOf `json:"interleaved,omitempty"`
	Memory      []*footprint `json:"memory,omitempty"`
}

func main() {
	o := options{root: ".", nice: eager, crowds: crowds, swarm: swarmRate}
	flag.IntVar(&o.rounds, "rounds", 3, "how often the servers take turns")
	flag.DurationVar(&o.duration, "duration", time.Second, "how long each step takes")
	flag.StringVar(&o.only, "only", "", "measure only these of throughput, accuracy, interleaved and memory, with commas between")
	flag.StringVar(&o.json, "json", "", "write all that was measured to this file")
	flag.StringVar(&o.other, "other", "", "command of a third server; {ip} and {dev} stand for its address and interface")
	flag.Parse()
	if err := run(os.Stdout, &o); err != nil {
		fmt.Fprintf(os.Stderr, "serverbench: %s\n", err)
		os.Exit(1)
	}
}

func run(out io.Writer, o *options) error {
	if err := netns.Ready(); err != nil {
		return err
	}
	if runtime.NumCPU() < 2 {
		return errors.New("a bench of servers needs two processors")
	}
	if o.nice < 0 {
		if err := alone(os.Stderr); err != nil {
			return err
		}
	}
	lab, err := netns.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	f, err := newField(lab, o)
	if err != nil {
		return err
	}
	defer f.close()
	cleanOnSignal(lab, f)
	res := &results{}
	if err := f.measure(out, o, res); err != nil {
		return err
	}
	if o.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(res, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(b, '\n'), 0o644)
}

// cleanOnSignal removes the network and ends the process when a signal asks for
// it.
func cleanOnSignal(lab *netns.Lab, f *field) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		f.unsettle()
		lab.Close()
		os.Exit(1)
	}()
}

// part is what -only chooses.
type part struct {
	name string
	do   func() error
}

// measure does what was asked for, and prints each table as soon as it is there.
func (f *field) measure(out io.Writer, o *options, res *results) (err error) {
	parts := []part{
		{"throughput", func() (err error) {
			if res.Throughput, err = f.throughput(o.rounds, o.duration); err != nil {
				return err
			}
			return reportThroughput(out, res.Throughput)
		}},
		{"accuracy", func() (err error) {
			if res.Accuracy, err = f.accuracy(o.rounds, o.duration); err != nil {
				return err
			}
			return reportAccuracy(out, res.Accuracy)
		}},
		{"interleaved", func() (err error) {
			if res.Interleaved, err = f.interleaved(o.rounds, o.swarm, o.duration); err != nil {
				return err
			}
			return reportInterleaved(out, o.swarm, res.Interleaved)
		}},
		{"memory", func() (err error) {
			if res.Memory, err = f.memory(o.crowds, o.duration); err != nil {
				return err
			}
			return reportMemory(out, res.Memory)
		}},
	}
	only := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	for _, name := range only {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q to measure", name)
		}
	}
	for _, p := range parts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		if err := p.do(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}
