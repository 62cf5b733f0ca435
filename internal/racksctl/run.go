// SPDX-License-Identifier: Apache-2.0

package racksctl

import (
	"context"
	"flag"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"foliot/internal/auth"
	"foliot/internal/inventory"
	"foliot/internal/probe"
	"foliot/internal/prober"
	"foliot/internal/resolve"
)

// plan is what a run was asked to do.
type plan struct {
	count     int
	duration  time.Duration
	interval  time.Duration
	four, six bool
	keys      string
	basic     bool
	asymmetry string
	series    int
	from      string
	quiet     bool

	hosts  []inventory.Host
	looked []prober.Lookup // of each host
	specs  []probe.Spec    // of those with an address
	of     []int           // index in hosts of each spec
}

// limits of a run.
const (
	maxHosts    = 100_000
	maxInterval = 1 << 17 * time.Second
	maxSeries   = 1 << 16
	// Names are waited for so long together, for the case that no name server
	// answers, and so much longer for each.
	lookupTime = 30 * time.Second
	lookupEach = 10 * time.Millisecond
)

func (c *command) run(args []string) error {
	p := &plan{}
	rest, err := c.parse(p.flags(c.flags("run")), args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return badUsage("run takes one inventory, not %d", len(rest))
	}
	cfg, err := p.settings()
	if err != nil {
		return err
	}
	if p.hosts, err = inventory.Load(rest[0], c.std.In); err != nil {
		return &coded{ExitUsage, err}
	}
	if err := p.resolve(c); err != nil {
		return err
	}
	show := newProgress(c.std, p)
	if !p.quiet {
		cfg.Look, cfg.Every = show.look, lookEvery
	}
	run, err := prober.New(cfg, p.specs)
	if err != nil {
		return err
	}
	defer run.Close()
	err = run.Run(c.ctx)
	show.end()
	if err != nil {
		return err
	}
	r := p.result(run, c.ctx.Err() != nil)
	if p.from != "" {
		r.Views = p.views(c, strings.Split(p.from, ","))
	}
	return c.publish(r)
}

func (p *plan) flags(f *flag.FlagSet) *flag.FlagSet {
	for _, n := range []string{"n", "count"} {
		f.IntVar(&p.count, n, 10, "")
	}
	for _, n := range []string{"t", "time"} {
		f.DurationVar(&p.duration, n, 0, "")
	}
	for _, n := range []string{"i", "interval"} {
		f.DurationVar(&p.interval, n, 2*time.Second, "")
	}
	for _, n := range []string{"k", "keys"} {
		f.StringVar(&p.keys, n, "", "")
	}
	f.BoolVar(&p.four, "4", false, "")
	f.BoolVar(&p.six, "6", false, "")
	f.BoolVar(&p.basic, "basic", false, "")
	f.StringVar(&p.asymmetry, "asymmetry", "100%", "")
	f.IntVar(&p.series, "series", 256, "")
	f.StringVar(&p.from, "from", "", "")
	f.BoolVar(&p.quiet, "quiet", false, "")
	return f
}

// settings checks the options and makes the prober's configuration of them.
func (p *plan) settings() (prober.Config, error) {
	poll := bits.Len64(uint64(p.interval/time.Second)) - 1
	share, err := strconv.ParseFloat(strings.TrimSuffix(p.asymmetry, "%"), 64)
	switch {
	case p.count < 0:
		return prober.Config{}, badUsage("count %d (from 0)", p.count)
	case p.count == 0 && p.duration <= 0:
		return prober.Config{}, badUsage("a run without a limit of requests needs --time")
	case p.duration < 0:
		return prober.Config{}, badUsage("time %s (from 1s)", p.duration)
	case p.interval < time.Second || p.interval > maxInterval || p.interval != time.Second<<poll:
		return prober.Config{}, badUsage("interval %s (1s, 2s, 4s, ... %s)", p.interval, maxInterval)
	case err != nil || !(share >= 0 && share <= 100):
		return prober.Config{}, badUsage("asymmetry %q (0%%..100%%)", p.asymmetry)
	case p.series < 16 || p.series > maxSeries:
		return prober.Config{}, badUsage("series %d (16..%d)", p.series, maxSeries)
	case p.four && p.six:
		return prober.Config{}, badUsage("-4 and -6 exclude each other")
	}
	return prober.Config{
		Fleet: probe.Config{
			Poll: int8(poll), Count: p.count, Series: min(p.series, p.samples()), Basic: p.basic,
			Asymmetry: share / 100, Seed: rand.Uint64(),
		},
		Duration: p.duration,
	}, nil
}

// samples is how many samples a host can have at most, and a few.
func (p *plan) samples() int {
	n := p.count
	if byTime := int(p.duration/p.interval) + 2; p.duration > 0 && (n == 0 || byTime < n) {
		n = byTime
	}
	return max(n, 16) + 8
}

// resolve looks all names up, and reads the keys.
func (p *plan) resolve(c *command) error {
	if len(p.hosts) > maxHosts {
		return badUsage("%d hosts (at most %d)", len(p.hosts), maxHosts)
	}
	ring, err := p.ring()
	if err != nil {
		return err
	}
	names := make([]string, len(p.hosts))
	for i := range names {
		names[i] = p.hosts[i].Address
	}
	family := resolve.Any
	if p.four {
		family = resolve.IPv4
	} else if p.six {
		family = resolve.IPv6
	}
	ctx, cancel := context.WithTimeout(c.ctx, lookupTime+time.Duration(len(names))*lookupEach)
	defer cancel()
	p.looked = prober.Addresses(ctx, names, family)
	for i := range p.hosts {
		h, l := &p.hosts[i], &p.looked[i]
		key := auth.Key{}
		if h.Key != 0 {
			var ok bool
			if key, ok = ring[h.Key]; !ok {
				return badUsage("host %s in line %d wants key %d, which --keys does not give", h.Name, h.Line, h.Key)
			}
		}
		if l.Err == nil {
			p.specs = append(p.specs, probe.Spec{Addr: netip.AddrPortFrom(l.Addr, h.Port), Key: key})
			p.of = append(p.of, i)
		}
	}
	return nil
}

// ring reads the key file.
func (p *plan) ring() (auth.Ring, error) {
	if p.keys == "" {
		return nil, nil
	}
	text, err := os.ReadFile(p.keys)
	if err != nil {
		return nil, err
	}
	ring, problems := auth.ParseKeys(text)
	for _, x := range problems {
		if !x.Kept {
			return nil, badUsage("%s: %s", p.keys, x)
		}
	}
	return ring, nil
}

// place names where a host was asked.
func place(a netip.AddrPort) string {
	if a.Port() == inventory.DefaultPort {
		return a.Addr().String()
	}
	return a.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
