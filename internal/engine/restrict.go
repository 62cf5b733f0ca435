// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/ntp"
)

// restrictSources gives the entry "source" of restrict, if there is one, to the
// addresses that are sources now.
func (e *Engine) restrictSources(out *Actions) {
	p := &e.cfg.Policy
	addrs := make([]netip.Addr, 0, len(e.members))
	for _, m := range e.members {
		addrs = append(addrs, m.assoc.Config().Addr.Addr())
	}
	if now := p.Restrict.ForSources(addrs); now != p.Restrict {
		p.Restrict = now
		out.add(ActPolicy).Policy = *p
	}
}

// silenced tells whether restrict keeps an answer of the source m from us.
func (e *Engine) silenced(m *member, in *Received) bool {
	cfg := m.assoc.Config()
	f := e.cfg.Policy.Restrict.Of(cfg.Addr)
	return f&(acl.Ignore|acl.NoServe) != 0 || f&acl.NoTrust != 0 && !cfg.Authenticated ||
		f&acl.Version != 0 && len(in.Data) > 0 && in.Data[0]>>3&7 != ntp.Version
}
