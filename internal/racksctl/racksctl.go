// SPDX-License-Identifier: Apache-2.0

// Package racksctl is the command "foliotctl racks": it reads an inventory, has the
// hosts measured by package prober, makes a report of it, and writes that in the
// forms that are asked for. It needs no daemon and no privileges.
//
// The one concept is that a run always ends in a report: interrupted, with dead
// hosts, with nothing but dead hosts, it says what was measured and why the rest
// was not. The exit code is about the requirements.
package racksctl

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"foliot/internal/rackstat"
	"foliot/internal/rackview"
)

// Exit codes.
const (
	ExitOK      = 0 // all requirements hold
	ExitFailed  = 1 // one does not, or a file cannot be read or written
	ExitUsage   = 2 // the command line or the inventory makes no sense
	ExitNothing = 3 // no host could be measured
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // Err is one
}

const usage = `usage: foliotctl racks run [OPTION]... INVENTORY
       foliotctl racks report [OPTION]... REPORT.json
       foliotctl racks compare [--json FILE] BEFORE.json AFTER.json

run measures every host of an inventory against this machine's clock; report
shows a run again; compare tells what changed between two. The inventory is YAML,
CSV, a list of HOST RACK lines, file_sd or Consul JSON; - is standard input.

Options of run:
  -n, --count N        requests to each host (10; 0: no limit, with --time)
  -t, --time TIME      end after TIME
  -i, --interval TIME  between two requests to a host: 1s, 2s, 4s, ... (2s)
  -4, -6               IPv4, or IPv6, only
  -k, --keys FILE      keys, for hosts with a key
      --basic          no interleaved exchanges
      --asymmetry PCT  the ways of a path differ by no more of it (100%: may be
                       anything; smaller bounds rest on your word)
      --series N       samples kept of each host for plots (256)
      --from HOST,...  ask foliot or chrony daemons there what they see, too
      --quiet          no progress
Options of run and report:
      --against WHAT   offsets are relative to: median (of all), self, or a host
      --require NAME=LIMIT,...  p50, p95, p99, max, spread, worst=TIME;
                       loss, reachable=PCT
      --json, --csv, --html FILE  write it there; - is standard output
Exit status: 0 all requirements hold, 1 one does not, 2 usage, 3 no host could
be measured.
`

// Main runs "foliotctl racks" with the arguments after these words.
func Main(args []string, std Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	c := &command{ctx: ctx, std: std}
	if len(args) == 0 {
		fmt.Fprint(std.Err, usage)
		return ExitUsage
	}
	switch args[0] {
	case "run":
		return c.end(c.run(args[1:]))
	case "report":
		return c.end(c.report(args[1:]))
	case "compare":
		return c.end(c.compare(args[1:]))
	case "help", "--help", "-h":
		fmt.Fprint(std.Out, usage)
		return ExitOK
	}
	return c.end(badUsage("unknown command %q (run, report, compare)", args[0]))
}

// command is one call.
type command struct {
	ctx     context.Context
	std     Streams
	outputs outputs
}

// outputs are what both run and report take.
type outputs struct {
	json, csv, html string // files, "" for none
	against         string
	require         string
	requirements    []rackstat.Requirement
}

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

func badUsage(format string, args ...any) error {
	return &coded{ExitUsage, fmt.Errorf(format, args...)}
}

// errUnmet is no trouble: the report has said it all.
var errUnmet = errors.New("a requirement does not hold")

func (c *command) end(err error) int {
	var e *coded
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(c.std.Out, usage)
		return ExitOK
	case errors.Is(err, errUnmet):
		return ExitFailed
	case errors.As(err, &e):
		fmt.Fprintf(c.std.Err, "foliotctl: error: %v\n", err)
		return e.code
	}
	fmt.Fprintf(c.std.Err, "foliotctl: error: %v\n", err)
	return ExitFailed
}

// flags returns a set with the options of run and report.
func (c *command) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.outputs.json, "json", "", "")
	f.StringVar(&c.outputs.csv, "csv", "", "")
	f.StringVar(&c.outputs.html, "html", "", "")
	f.StringVar(&c.outputs.against, "against", "", "")
	f.Func("require", "", func(s string) error { // each adds to those before
		c.outputs.require += "," + s
		return nil
	})
	return f
}

// parse reads options, which may come after other arguments, and returns those.
func (c *command) parse(f *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, &coded{ExitUsage, err}
		}
		if args = f.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	for _, s := range strings.FieldsFunc(c.outputs.require, func(r rune) bool { return r == ',' }) {
		q, err := rackstat.ParseRequirement(s)
		if err != nil {
			return nil, &coded{ExitUsage, err}
		}
		c.outputs.requirements = append(c.outputs.requirements, q)
	}
	return rest, nil
}

// report shows a run again.
func (c *command) report(args []string) error {
	rest, err := c.parse(c.flags("report"), args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return badUsage("report takes one file, not %d", len(rest))
	}
	r, err := c.load(rest[0])
	if err != nil {
		return err
	}
	return c.publish(r)
}

// compare tells what changed from one run to another.
func (c *command) compare(args []string) error {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.outputs.json, "json", "", "")
	rest, err := c.parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return badUsage("compare takes two files, not %d", len(rest))
	}
	a, err := c.load(rest[0])
	if err != nil {
		return err
	}
	b, err := c.load(rest[1])
	if err != nil {
		return err
	}
	if b.Against != a.Against && b.Has(a.Against) {
		b.Fill(a.Against) // only what is against the same compares
	}
	diff := rackstat.Compare(a, b)
	if c.outputs.json != "" {
		return c.write(c.outputs.json, func(w io.Writer) error { return json.NewEncoder(w).Encode(diff) })
	}
	return rackview.Comparison(c.std.Out, diff)
}

// load reads a report that was written as JSON.
func (c *command) load(path string) (*rackstat.Report, error) {
	in := c.std.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	r := new(rackstat.Report)
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return nil, &coded{ExitUsage, fmt.Errorf("read report %s: %w", path, err)}
	}
	if r.Format != rackstat.Format {
		return nil, badUsage("report %s has format %d, not %d", path, r.Format, rackstat.Format)
	}
	return r, nil
}

// publish computes what follows from the hosts and writes the report.
func (c *command) publish(r *rackstat.Report) error {
	o := &c.outputs
	if o.against == "" {
		o.against = rackstat.Median
		if r.Against != "" {
			o.against = r.Against
		}
	}
	if !r.Has(o.against) {
		return c.orphan(r)
	}
	r.Fill(o.against)
	holds := r.Judge(o.requirements)
	table := true
	for _, form := range []struct {
		path string
		to   func(io.Writer) error
	}{
		{o.json, func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }},
		{o.csv, func(w io.Writer) error { return rackview.CSV(w, r) }},
		{o.html, func(w io.Writer) error { return rackview.HTML(w, r) }},
	} {
		if form.path == "" {
			continue
		}
		table = table && form.path != "-"
		if err := c.write(form.path, form.to); err != nil {
			return err
		}
	}
	if table {
		if err := rackview.Table(c.std.Out, r); err != nil {
			return err
		}
	}
	switch {
	case r.Cluster.Measured == 0:
		return &coded{ExitNothing, errors.New("no host could be measured")}
	case !holds:
		return errUnmet
	}
	return nil
}

// orphan keeps a run whose reference is missing: it is shown against the median.
func (c *command) orphan(r *rackstat.Report) error {
	missing := c.outputs.against
	c.outputs.against = rackstat.Median
	if err := c.publish(r); err != nil && !errors.Is(err, errUnmet) {
		return err
	}
	return fmt.Errorf("host %s was not measured, so offsets are against the median", missing)
}

// write writes a file whole or not at all.
func (c *command) write(path string, to func(io.Writer) error) error {
	if path == "-" {
		return to(c.std.Out)
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(to(f), f.Close())
	if err != nil {
		os.Remove(path + ".new")
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}
