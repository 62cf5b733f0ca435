// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"net/netip"
	"strings"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/sim"
	"foliot/internal/source"
)

// chronyc COMMAND ARGS... gives the engine a command as chronyc would, and writes
// the answer. Numbers have chronyc's sign.
func (s *stage) chronyc(args []string) {
	c := s.sourceCommand(args)
	if c == nil {
		c = s.clockCommand(args)
	}
	if c == nil {
		s.t.Fatalf("unknown command of chronyc: %q", args)
	}
	answer := s.lab.obey(c)
	s.tellNews()
	fmt.Fprintf(&s.out, "          %v\n", answer)
}

// which reads "all" or an address.
func (s *stage) which(word string) (w engine.Which) {
	if word != "all" {
		w.Addr = s.addr(word)
	}
	return w
}

// sourceCommand is about sources; nil if args is not.
func (s *stage) sourceCommand(args []string) command {
	num := func(i int) float64 { return s.number(args[i]) }
	switch args[0] {
	case "online", "offline":
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetOnline(now, s.which(args[1]), args[0] == "online", out)
		}
	case "onoffline": // TO...: there is a route to these
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			route := func(a netip.AddrPort) bool { return strings.Contains(strings.Join(args[1:], " "), a.Addr().String()) }
			return e.OnOffline(now, engine.Which{}, route, out)
		}
	case "burst": // GOOD TOTAL WHICH
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.Burst(now, s.which(args[3]), int(num(1)), int(num(2)), out)
		}
	case "add":
		c := config.DefaultSource(map[string]config.SourceKind{"server": config.KindServer, "pool": config.KindPool, "peer": config.KindPeer}[args[1]], args[2])
		c.IBurst, c.MinPoll, c.MaxPoll = true, 4, 6
		return s.lab.adding(c)
	case "delete":
		return deleting(s.addr(args[1]))
	case "minpoll", "maxpoll", "maxdelay", "offset":
		o := map[string]engine.Option{"minpoll": engine.OptMinPoll, "maxpoll": engine.OptMaxPoll, "maxdelay": engine.OptMaxDelay, "offset": engine.OptCorrection}[args[0]]
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.Modify(now, s.addr(args[1]), o, num(2), out)
		}
	case "selectopts": // ADDR, and + or - with an option
		o := map[string]source.SelectOptions{"noselect": source.NoSelect, "prefer": source.Prefer, "trust": source.Trust, "require": source.Require}[args[2][1:]]
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			set := o
			if args[2][0] == '-' {
				set = 0
			}
			return e.SelectOptions(now, s.addr(args[1]), o, set, out)
		}
	case "reselect":
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Reselect(now, out) }
	case "refresh":
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Refresh(now, out) }
	case "reset-sources":
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.ResetSources(now, out)
		}
	}
	return nil
}

// clockCommand is about the clock and what is served; nil if args is not.
func (s *stage) clockCommand(args []string) command {
	num := func(i int) float64 { return s.number(args[i]) }
	switch args[0] {
	case "makestep":
		if len(args) == 1 {
			return step
		}
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetMakeStep(now, num(1), int(num(2)), out)
		}
	case "local": // off, or STRATUM
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			if args[1] == "off" {
				return e.SetLocal(now, engine.LocalConfig{}, out)
			}
			return e.SetLocal(now, engine.LocalConfig{Enabled: true, Stratum: uint8(num(1)), Distance: 1}, out)
		}
	case "allow", "deny": // [all] PREFIX
		r := acl.Rule{Allow: args[0] == "allow", All: args[1] == "all", Prefix: netip.MustParsePrefix(args[len(args)-1])}
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Allow(now, r, out) }
	case "dfreq":
		return dfreq(clock.FromPPM(-num(1)))
	case "doffset":
		return doffset(clock.Offset(-num(1)))
	case "manual": // on, off, reset, delete N
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			switch args[1] {
			case "reset":
				return e.ResetManual(now, out)
			case "delete":
				return e.DeleteManual(now, int(num(2)), out)
			}
			return e.SetManual(now, args[1] == "on", out)
		}
	case "settime": // WRONG: true time and so much
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			t := clock.At[clock.Corrected](sim.Epoch * 1e9).Add(clock.Seconds(s.w.Now() + num(1)))
			_, a := e.SetTime(now, t, out)
			return a
		}
	}
	return nil
}
