// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"foliot/internal/config"
)

func (p *parser) serverDirectives() map[string]directive {
	c, cmd := &p.cfg.Server, &p.cfg.Command
	return map[string]directive{
		"allow":          access(&c.Access, true),
		"binddevice":     one(text(&c.BindDevice)),
		"bindaddress":    one(appendAddress(&c.BindAddresses)),
		"broadcast":      {2, 3, p.broadcast},
		"clientloglimit": one(capped(&c.ClientLogLimit, 0, config.MaxClientLog)),
		"deny":           access(&c.Access, false),
		"ebpf":           one(choice(&c.Kernel.Load, map[string]config.Load{"on": config.LoadOn, "off": config.LoadOff})),
		"noclientlog":    on(&c.NoClientLog),
		"onestep":        one(choice(&c.Kernel.OneStep, map[string]bool{"on": true, "off": false})),
		"port":           one(integer(&c.Port, 0, math.MaxUint16)),
		"ratelimit":      rateLimit(&c.RateLimit, true),
		"workers":        one(integer(&c.Workers, 0, 1024)),
		"xdp":            {2, -1, p.xdp},
		"bindcmdaddress": one(bindCommand(cmd)),
		"bindcmddevice":  one(text(&cmd.BindDevice)),
		"cmdallow":       access(&cmd.Access, true),
		"cmddeny":        access(&cmd.Access, false),
		"cmdport":        one(integer(&cmd.Port, 0, math.MaxUint16)),
		"cmdratelimit":   rateLimit(&cmd.RateLimit, false),
		"metrics":        {2, 2, p.metrics},
		"opencommands":   {0, -1, p.openCommands},
	}
}

// rateLimit is ratelimit and, without the kiss, cmdratelimit. What an earlier
// line said stays unless this one says otherwise.
func rateLimit(to *config.RateLimit, kiss bool) directive {
	return directive{0, -1, func(s *statement) error {
		r := *to
		known := map[string]option{
			"interval": value(integer(&r.Interval, -19, 12)),
			"burst":    value(integer(&r.Burst, 1, 255)),
			"leak":     value(integer(&r.Leak, 1, 4)),
		}
		if kiss {
			known["kod"] = value(integer(&r.KoD, 0, 4))
		}
		if _, err := s.options(s.args, known); err != nil {
			return err
		}
		r.Enabled = true
		*to = r
		return nil
	}}
}

// address returns a setter that hands a numeric address to store.
func address(store func(netip.Addr)) setter {
	return func(word string) *valueError {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return &valueError{word: word, kind: "an address", malformed: true, allowed: "IPv4 or IPv6, no name"}
		}
		store(a.Unmap())
		return nil
	}
}

// appendAddress adds an address to a list that holds each once.
func appendAddress(to *[]netip.Addr) setter {
	return address(func(a netip.Addr) {
		if !slices.Contains(*to, a) {
			*to = append(*to, a)
		}
	})
}

// perFamily stores an address in the field of its family.
func perFamily(v4, v6 *netip.Addr) setter {
	return address(func(a netip.Addr) {
		if a.Is4() {
			*v4 = a
		} else {
			*v6 = a
		}
	})
}

// bindCommand takes an address or the path of a unix socket, which replaces those
// before it; "/" is no socket.
func bindCommand(c *config.Command) setter {
	return func(word string) *valueError {
		if strings.HasPrefix(word, "/") {
			c.Sockets = nil
			if word != "/" {
				c.Sockets = []string{word}
			}
			return nil
		}
		return perFamily(&c.BindAddr4, &c.BindAddr6)(word)
	}
}

func (p *parser) broadcast(s *statement) error {
	b := config.Broadcast{Origin: s.origin}
	var dest netip.Addr
	port := uint16(123)
	sets := []setter{
		integer(&b.Interval, 1, maxInt32),
		address(func(a netip.Addr) { dest = a }),
		integer(&port, 1, math.MaxUint16),
	}
	for i, word := range s.args {
		if e := sets[i](word); e != nil {
			return s.badValue(e)
		}
	}
	b.Dest = netip.AddrPortFrom(dest, port)
	p.cfg.Server.Broadcasts = append(p.cfg.Server.Broadcasts, b)
	return nil
}

// openable are the commands that may be asked over UDP.
var openable = []string{
	"activity", "authdata", "clients", "manual", "ntpdata", "rtcdata", "selectdata",
	"serverstats", "smoothing", "sourcename", "sources", "sourcestats", "tracking",
}

func (p *parser) openCommands(s *statement) error {
	open := make([]string, 0, len(s.args))
	for _, word := range s.args {
		name := strings.ToLower(word)
		if !slices.Contains(openable, name) {
			return s.bad("%s is not a command that can be opened (allowed: %s)",
				word, strings.Join(openable, ", "))
		}
		open = append(open, name)
	}
	p.cfg.Command.Open = open
	return nil
}
