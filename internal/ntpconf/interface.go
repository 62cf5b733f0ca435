// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"net/netip"
	"slices"
	"strings"

	"foliot/internal/chronyconf"
)

// rule is an interface directive: whether an address is listened at.
type rule struct {
	s      *statement
	listen bool
	whom   string       // all, ipv4, ipv6, wildcard, or the name of an interface
	prefix netip.Prefix // or these addresses
}

// listenOn handles interface and nic: ACTION WHOM.
func (p *parser) listenOn(s *statement) error {
	r := rule{s: s, whom: s.args[1]}
	switch action := strings.ToLower(s.args[0]); action {
	case "listen":
		r.listen = true
	case "ignore", "drop":
	default:
		return s.unknown(s.args[0], chronyconf.Suggest(action, []string{"listen", "ignore", "drop"}))
	}
	if a, err := netip.ParseAddr(r.whom); err == nil {
		r.prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
	} else if strings.Contains(r.whom, "/") {
		if r.prefix, err = netip.ParsePrefix(r.whom); err != nil {
			return s.bad("%s is no network", printable(r.whom))
		}
		r.prefix = r.prefix.Masked()
	}
	p.rules = append(p.rules, r)
	return nil
}

// matches tells whether the rule is about an address of an interface.
func (r *rule) matches(name string, a netip.Addr) bool {
	switch {
	case r.prefix.IsValid():
		return r.prefix.Contains(a)
	case r.whom == "all": // but loopback, from where ntpq asks
		return !a.IsLoopback()
	case r.whom == "ipv4":
		return a.Is4()
	case r.whom == "ipv6":
		return a.Is6()
	}
	return r.whom == name
}

// general tells whether the rule names no interface and no address.
func (r *rule) general() bool {
	return r.whom == "all" || r.whom == "ipv4" || r.whom == "ipv6" || r.whom == "wildcard"
}

// bind turns the rules into addresses to bind to. Of the rules that match an
// address the last one counts. What none matches is listened at, unless a rule
// names what is; loopback always.
func (p *parser) bind() {
	if len(p.rules) == 0 {
		return
	}
	addresses := p.addresses()
	heard := map[bool][]netip.Addr{} // by family, IPv4 is true
	all := map[bool]bool{true: true, false: true}
	seen := map[*statement]bool{}
	named := slices.ContainsFunc(p.rules, func(r rule) bool { return r.listen && !r.general() })
	for _, x := range addresses {
		a, _ := netip.ParseAddr(x.Addr)
		listen := !named || a.IsLoopback()
		for i := range p.rules {
			if r := &p.rules[i]; r.matches(x.Interface, a) {
				listen, seen[r.s] = r.listen, true
			}
		}
		if listen {
			heard[a.Is4()] = append(heard[a.Is4()], a)
		} else {
			all[a.Is4()] = false
		}
	}
	p.unmatched(seen)
	if !named && all[true] && all[false] {
		return
	}
	last := p.rules[len(p.rules)-1].s
	for _, v4 := range []bool{true, false} {
		switch wildcard := map[bool]netip.Addr{true: netip.IPv4Unspecified(), false: netip.IPv6Unspecified()}[v4]; {
		case !named && all[v4] && len(heard[v4]) > 0:
			p.cfg.Server.BindAddresses = append(p.cfg.Server.BindAddresses, wildcard)
		default:
			p.cfg.Server.BindAddresses = append(p.cfg.Server.BindAddresses, heard[v4]...)
		}
	}
	if len(p.cfg.Server.BindAddresses) == 0 {
		p.cfg.Server.Port = 0
		p.warn(last, last.name+" directive", "leaves no address to serve at")
	} else if slices.ContainsFunc(p.cfg.Server.BindAddresses, func(a netip.Addr) bool { return !a.IsUnspecified() }) {
		p.warn(last, last.name+" directive", "is about the addresses that the machine has now, not about later ones")
	}
}

// unmatched warns of rules that are about no address of this machine.
func (p *parser) unmatched(seen map[*statement]bool) {
	for i := range p.rules {
		if r := &p.rules[i]; r.listen && !r.general() && !seen[r.s] {
			p.inert(r.s, printable(r.whom), "there is no such address or interface")
		}
	}
}

// addresses are those of the machine that parse; what does not can be no rule's.
func (p *parser) addresses() []Address {
	if p.machine == nil {
		return nil
	}
	list, err := p.machine()
	if err != nil {
		s := p.rules[0].s
		p.warn(s, s.name+" directive", "is ignored: "+err.Error())
		p.rules = nil
		return nil
	}
	return slices.DeleteFunc(list, func(x Address) bool {
		a, err := netip.ParseAddr(x.Addr)
		return err != nil || a.IsLinkLocalUnicast()
	})
}
