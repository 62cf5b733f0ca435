// SPDX-License-Identifier: Apache-2.0

// Command sidebyside compares foliotd with stock chronyd on the real kernel: in
// one network namespace chronyd serves time, in another both run as clients of
// it, each asking every second, in basic and in interleaved mode. All share the
// machine's clock, which nobody steers, so the true offset is zero and all that
// is measured is error. It prints the median and the 99th percentile of the
// absolute offsets that each measured and of the clock error that each estimated.
// It needs root, chronyd and a quiet machine.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"foliot/tests/netns"
)

// contest is one daemon in one mode.
type contest struct {
	name   string
	daemon *netns.Daemon
	cpu    time.Duration
}

func main() {
	duration := flag.Duration("duration", 10*time.Minute, "how long to measure")
	warmup := flag.Duration("warmup", 15*time.Second, "how long to let the clients settle first")
	flag.Parse()
	if err := run(os.Stdout, *duration, *warmup); err != nil {
		fmt.Fprintf(os.Stderr, "sidebyside: %s\n", err)
		os.Exit(1)
	}
}

func run(out io.Writer, duration, warmup time.Duration) error {
	if err := netns.Ready(); err != nil {
		return err
	}
	lab, err := netns.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	all, err := start(lab)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	wait(stop, warmup)
	skip := make(map[*contest][2]int)
	for _, c := range all {
		skip[c] = [2]int{len(measured(c)), len(netns.Tracking(c.daemon.LogFile("tracking")))}
		c.cpu, _ = c.daemon.CPU()
	}
	began := time.Now()
	wait(stop, duration)
	return report(out, all, skip, time.Since(began))
}

func wait(stop <-chan os.Signal, d time.Duration) {
	select {
	case <-stop:
	case <-time.After(d):
	}
}

// start builds the network and starts everybody.
func start(lab *netns.Lab) ([]*contest, error) {
	bins, err := netns.Build(".", lab.Dir)
	if err != nil {
		return nil, err
	}
	clients, err := lab.Space()
	if err != nil {
		return nil, err
	}
	servers, err := lab.Space()
	if err != nil {
		return nil, err
	}
	link, err := lab.Link(clients, servers)
	if err != nil {
		return nil, err
	}
	if _, err := servers.Chronyd("server", "allow all\nlocal stratum 3\n"); err != nil {
		return nil, err
	}
	var all []*contest
	for _, mode := range []struct{ label, option string }{{"basic", ""}, {"xleave", " xleave"}} {
		label := mode.label
		config := fmt.Sprintf("server %s iburst minpoll 0 maxpoll 0%s\nport 0\n", link.B4, mode.option)
		f, err := clients.Foliotd(bins, "foliotd-"+label, config)
		if err != nil {
			return nil, err
		}
		c, err := clients.Chronyd("chronyd-"+label, config)
		if err != nil {
			return nil, err
		}
		all = append(all, &contest{name: "foliotd " + label, daemon: f}, &contest{name: "chronyd " + label, daemon: c})
	}
	return all, nil
}

func measured(c *contest) []netns.Measurement {
	return netns.Measurements(c.daemon.LogFile("measurements"))
}

// report prints the table.
func report(out io.Writer, all []*contest, skip map[*contest][2]int, took time.Duration) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s at one poll a second\tn\tstamps\tmedian us\tp99 us\tmax us\testimates\tmedian us\tp99 us\tcpu %%\t\n", took.Round(time.Second))
	for _, c := range all {
		if !c.daemon.Running() {
			return fmt.Errorf("%s ended: %s", c.name, c.daemon.Log())
		}
		m := measured(c)[skip[c][0]:]
		offsets := netns.Offsets(m)
		tracking := netns.Tracking(c.daemon.LogFile("tracking"))[skip[c][1]:]
		cpu, err := c.daemon.CPU()
		if err != nil {
			return err
		}
		us := func(x []float64, q float64) float64 { return netns.Quantile(x, q) * 1e6 }
		fmt.Fprintf(w, "%s\t%d\t%s\t%.2f\t%.2f\t%.2f\t%d\t%.2f\t%.2f\t%.3f\t\n", c.name, len(m), stamps(m),
			us(offsets, 0.5), us(offsets, 0.99), us(offsets, 1), len(tracking), us(tracking, 0.5), us(tracking, 0.99),
			100*(cpu-c.cpu).Seconds()/took.Seconds())
	}
	return w.Flush()
}

// stamps names the kinds of stamps that the measurements had.
func stamps(all []netns.Measurement) string {
	kinds := make(map[string]int)
	for _, m := range all {
		kinds[m.Tx+m.Rx]++
	}
	var names []string
	for _, k := range []string{"DD", "DK", "KD", "KK", "HH"} {
		if kinds[k] == len(all) {
			return k
		}
		if kinds[k] > 0 {
			names = append(names, fmt.Sprintf("%s:%d", k, kinds[k]))
		}
	}
	return strings.Join(names, " ")
}
