// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"fmt"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/chronyconf"
	"foliot/internal/config"
)

// finish puts into the configuration what depends on the whole file. What nobody
// said is as in ntpd: everybody is served and may ask by ntpq.
func (p *parser) finish(at config.Origin) (*config.Config, []chronyconf.Warning, error) {
	c := p.cfg
	everybody := []config.AccessRule{{Origin: at, Allow: true, Everything: true}}
	c.Server.Access, c.Command.Access = everybody, append([]config.AccessRule(nil), everybody...)
	p.bind()
	p.steps()
	p.local()
	p.lostFudges()
	p.pools()
	p.rate()
	if !p.stats {
		c.Log.NTP.Loop.Enabled, c.Log.NTP.Peer.Enabled = false, false
	}
	p.ownServers()
	if err := c.Validate(); err != nil {
		return nil, p.warnings, fmt.Errorf("configuration: %w", err)
	}
	return c, p.warnings, nil
}

// steps says when the clock is stepped, and when the daemon gives up: not because
// of the first update, as with ntpd's option -g.
func (p *parser) steps() {
	c, t := &p.cfg.Clock, &p.step
	c.StepThreshold = t.step
	if t.forward > 0 || t.back > 0 {
		// There is one threshold for both directions.
		c.StepThreshold = max(t.step, t.forward, t.back)
	}
	if c.StepThreshold > 0 {
		c.StepLimit = -1
	}
	if t.panic > 0 {
		c.MaxChange = config.MaxChange{Set: true, Offset: t.panic, Start: 1}
	}
}

// local makes the local clock, or the orphan's, what is served without a source.
// ntpd lets others go first for a while, if there are any.
func (p *parser) local() {
	l := &p.cfg.Local
	const defaultStratum, deepest = 5, 15 // of the driver; that can be served
	if p.tos.orphan < 16 {
		l.Enabled, l.Orphan, l.Stratum, l.WaitUnsynced = true, true, uint8(max(p.tos.orphan, 1)), p.tos.orphanWait
	}
	if p.clock == nil {
		return
	}
	stratum := defaultStratum
	if f, ok := p.fudges[fmt.Sprintf("127.127.1.%d", p.clock.unit)]; ok && f.stratum >= 0 {
		stratum = f.stratum
	}
	if l.Enabled {
		s := &statement{name: "server", at: p.clock.at}
		p.inert(s, "the local clock", fmt.Sprintf("tos orphan %d counts", p.tos.orphan))
		return
	}
	served := stratum + 1
	if served > deepest {
		s := &statement{name: "fudge", at: p.clock.at}
		p.warn(s, fmt.Sprintf("stratum %d of the local clock", stratum), fmt.Sprintf("is not served: %d is used (min 0, max %d)", deepest-1, deepest-1))
		served = deepest
	}
	l.Enabled, l.Stratum, l.NTPClock, l.Unit = true, uint8(served), true, p.clock.unit
	if len(p.cfg.Sources) > 0 {
		l.WaitUnsynced = p.tos.orphanWait
	}
}

// lostFudges warns of what is said of local clocks that nothing makes a source:
// the stratum of a fudge with another unit is not that of the clock.
func (p *parser) lostFudges() {
	for _, name := range keys(p.fudges) {
		b := clockAddress(name).As4()
		if b[2] != typeLocal || p.clock != nil && p.clock.unit == int(b[3]) {
			continue
		}
		p.inert(p.fudges[name].s, name, "no server has that address")
	}
}

// pools shares what tos maxclock leaves among the pools. A pool counts itself.
func (p *parser) pools() {
	pools, others := 0, 0
	for i := range p.cfg.Sources {
		if p.cfg.Sources[i].Kind == config.KindPool {
			pools++
		} else {
			others++
		}
	}
	if pools == 0 {
		return
	}
	each := (p.tos.maxClock - others - pools + pools - 1) / pools
	for i := range p.cfg.Sources {
		if s := &p.cfg.Sources[i]; s.Kind == config.KindPool {
			s.MaxSources = min(max(each, 1), config.MaxPoolSize)
		}
	}
}

// rate turns the limit on for those whom restrict names, which needs records.
func (p *parser) rate() {
	f, s := p.anyFlag(), &p.cfg.Server
	if f&acl.Limited == 0 { // discard is about nobody
		s.RateLimit = config.Default().Server.RateLimit
		return
	}
	s.RateLimit.Enabled, s.NoClientLog = true, false
	if f&acl.KoD != 0 {
		s.RateLimit.KoD = 2
	}
}

// ownServers warns of servers whose answers restrict keeps out.
func (p *parser) ownServers() {
	var list []acl.Restriction
	for i := range p.cfg.Server.Restrict {
		if r := &p.cfg.Server.Restrict[i]; r.Host == "" {
			list = append(list, r.Restriction)
		}
	}
	table := acl.NewRestrictions(list)
	for i := range p.cfg.Sources {
		src := &p.cfg.Sources[i]
		addr, err := netip.ParseAddr(src.Name)
		if err != nil {
			continue
		}
		f := table.ForSources([]netip.Addr{addr}).Of(netip.AddrPortFrom(addr, src.Port))
		if f &= acl.Ignore | acl.NoServe | acl.NoTrust; src.Key != 0 {
			f &^= acl.NoTrust
		}
		if f != 0 {
			s := &statement{name: src.Kind.String(), at: src.Origin}
			p.warn(s, s.name+" "+src.Name, fmt.Sprintf("is never heard: restrict has %q for its address", f))
		}
	}
}
