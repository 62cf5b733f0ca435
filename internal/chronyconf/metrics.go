// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"net/netip"
	"strings"

	"foliot/internal/config"
)

// metrics is a directive of ours: `metrics listen ADDRESS[:PORT]`, `metrics listen
// off`, and `metrics compat chrony`, each on a line of its own.
func (p *parser) metrics(s *statement) error {
	m := &p.cfg.Metrics
	known := map[string]setter{
		"listen": listenAddress(&m.Listen),
		"compat": choice(&m.CompatChrony, map[string]bool{"chrony": true, "off": false}),
	}
	name := strings.ToLower(s.args[0])
	set, ok := known[name]
	if !ok {
		return s.badOption("%s%s", s.args[0], prefixed(didYouMean(name, keys(known))))
	}
	if e := set(s.args[1]); e != nil {
		return s.badOptionValue(name, e)
	}
	return nil
}

// listenAddress returns a setter for an address with or without a port; "off" is
// none. Every interface is an address that must be written out, 0.0.0.0 or [::].
func listenAddress(to *netip.AddrPort) setter {
	return func(word string) *valueError {
		if strings.EqualFold(word, "off") {
			*to = netip.AddrPort{}
			return nil
		}
		if a, err := netip.ParseAddr(word); err == nil {
			*to = netip.AddrPortFrom(a.Unmap(), config.MetricsPort)
			return nil
		}
		at, err := netip.ParseAddrPort(word)
		if err != nil || at.Port() == 0 {
			return &valueError{word: word, kind: "an address", malformed: true, allowed: "ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or off"}
		}
		*to = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		return nil
	}
}
