// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"net/netip"
	"slices"
	"strings"

	"foliot/internal/acl"
	"foliot/internal/config"
)

// ntpdDirectives are directives of ntp.conf that chrony.conf has no words for.
// They are foliot's own here, and mean what they mean to ntpd.
func (p *parser) ntpdDirectives() map[string]directive {
	c := p.cfg
	return map[string]directive{
		"filegen":        {1, -1, p.fileGen},
		"keys":           one(keyFile(&c.Process, true)),
		"logfile":        one(fileName(&c.Log.File)),
		"noclockcontrol": on(&c.Clock.NoControl),
		"restrict":       {1, -1, p.restrict},
		"statistics":     {1, -1, p.statistics},
		"statsdir":       one(text(&c.Log.NTP.Prefix)),
		"trustedkey":     {1, -1, p.trustedKey},
	}
}

// Shared carries out a directive that foliot.conf and ntp.conf have in common,
// given as its words, and changes c.
func Shared(c *config.Config, words []string, at config.Origin) ([]Warning, error) {
	p := &parser{cfg: c}
	p.table = p.ntpdDirectives()
	s := &statement{name: words[0], args: words[1:], origin: at}
	d := p.table[s.name]
	if err := d.checkArgs(s); err != nil {
		return nil, err
	}
	err := d.apply(s)
	return p.warnings, err
}

// keyFile is keyfile and keys, of which the last one counts.
func keyFile(c *config.Process, ntpd bool) setter {
	return func(word string) *valueError {
		c.NTPKeys = ntpd
		return fileName(&c.KeyFile)(word)
	}
}

// trustedKey takes numbers of keys and, as "1 ... 5", ranges of them.
func (p *parser) trustedKey(s *statement) error {
	const most = 65535 // ntpd's; a range is that long at most
	to := &p.cfg.Server.TrustedKeys
	for i := 0; i < len(s.args); i++ {
		var first, last uint32
		e := integer(&first, 1, most)(s.args[i])
		last = first
		if e == nil && i+2 < len(s.args) && s.args[i+1] == "..." {
			i += 2
			e = integer(&last, int64(first), most)(s.args[i])
		}
		if e != nil {
			return s.badValue(e)
		}
		for ; first <= last; first++ {
			*to = append(*to, first)
		}
		slices.Sort(*to)
		*to = slices.Compact(*to)
	}
	return nil
}

// restrict is [-4|-6] default|source|ADDRESS[/LENGTH]|HOST [mask MASK] [FLAG...].
func (p *parser) restrict(s *statement) error {
	family, words := config.FamilyAny, s.args
	switch words[0] {
	case "-4":
		family, words = config.FamilyIPv4, words[1:]
	case "-6":
		family, words = config.FamilyIPv6, words[1:]
	}
	if len(words) == 0 {
		return &problem{what: "Missing arguments for restrict directive", at: s.origin}
	}
	r := config.Restriction{Origin: s.origin}
	whom := strings.ToLower(words[0])
	words, mask := takeMask(words[1:])
	words, err := restrictFlags(s, words, &r)
	if err != nil || len(words) > 0 {
		return err
	}
	if r.Flags&acl.MSSNTP != 0 {
		p.warn(s.origin, "mssntp in restrict directive", "is not supported yet and is ignored")
	}
	entries, err := restricted(s, whom, mask, family)
	for _, e := range entries {
		e.Origin, e.Flags, e.NTPPort = r.Origin, r.Flags, r.NTPPort
		p.cfg.Server.Restrict = append(p.cfg.Server.Restrict, e)
	}
	return err
}

// takeMask returns the words without "mask MASK", and the mask.
func takeMask(words []string) (rest []string, mask string) {
	if len(words) >= 2 && words[0] == "mask" {
		return words[2:], words[1]
	}
	return words, ""
}

// restrictFlags reads what follows the address.
func restrictFlags(s *statement, words []string, r *config.Restriction) (rest []string, err error) {
	for len(words) > 0 {
		name := strings.ToLower(words[0])
		f, known := acl.FlagOf(name)
		switch {
		case known:
			r.Flags |= f
		case name == "ntpport":
			r.NTPPort = true
		case name == "epeer": // the opposite of noepeer
		case name == "ippeerlimit" && len(words) > 1: // of associations that packets mobilize
			n := 0
			if e := integer(&n, -1, maxInt32)(words[1]); e != nil {
				return nil, s.badOptionValue(name, e)
			}
			words = words[1:]
		case name == "serverresponse" && len(words) > 1: // fuzz: of the reference time
			words = words[1:]
		case name == "mask" || name == "ippeerlimit" || name == "serverresponse":
			return nil, s.badOption("%s needs a value behind the address", name)
		default:
			return nil, s.badOption("%s%s", words[0], prefixed(didYouMean(name, append(acl.FlagNames(), "ntpport"))))
		}
		words = words[1:]
	}
	return nil, nil
}

// everybody is what "default" stands for.
var everybody = map[config.Family][]netip.Prefix{
	config.FamilyIPv4: {netip.PrefixFrom(netip.IPv4Unspecified(), 0)},
	config.FamilyIPv6: {netip.PrefixFrom(netip.IPv6Unspecified(), 0)},
	config.FamilyAny:  {netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)},
}

// restricted returns the entries of those whom a restrict directive is about.
func restricted(s *statement, whom, mask string, family config.Family) (list []config.Restriction, err error) {
	switch base, _, slash := strings.Cut(whom, "/"); {
	case whom == "default":
		for _, all := range everybody[family] {
			list = append(list, config.Restriction{Restriction: acl.OfPrefix(all, 0)})
		}
		return list, nil
	case whom == "source":
		return []config.Restriction{{}}, nil
	case !slash && mask == "" && isHostName(whom):
		return []config.Restriction{{Host: whom}}, nil
	default:
		var e config.Restriction
		e.Net, e.Mask, err = maskedNetwork(s, whom, base, mask)
		switch v6 := e.Net.Is6(); {
		case err != nil:
		case family == config.FamilyIPv4 && v6, family == config.FamilyIPv6 && !v6:
			err = s.bad("%s is of the other family", whom)
		}
		return []config.Restriction{e}, err
	}
}

// maskedNetwork reads an address with a prefix length, with a mask, or alone.
func maskedNetwork(s *statement, whom, base, mask string) (net, m netip.Addr, err error) {
	net, err = netip.ParseAddr(strings.Trim(base, "[]"))
	if err != nil {
		return net, m, s.bad("%s is no address, network or host name", whom)
	}
	net = net.WithZone("").Unmap()
	bits := net.BitLen()
	if mask != "" {
		m, err = netip.ParseAddr(mask)
		if err != nil || m.Is4() != net.Is4() || base != whom {
			return net, m, s.bad("mask %s does not suit %s (it is an address of the same family, as 255.255.0.0)", mask, whom)
		}
		return and(net, m), m, nil
	}
	if _, length, slash := strings.Cut(whom, "/"); slash {
		if e := integer(&bits, 0, int64(bits))(length); e != nil {
			return net, m, s.badOptionValue("prefix length", e)
		}
	}
	p := netip.PrefixFrom(net, bits).Masked()
	return p.Addr(), acl.MaskOf(p), nil
}

func and(a, mask netip.Addr) netip.Addr {
	x, y := a.AsSlice(), mask.AsSlice()
	for i := range x {
		x[i] &= y[i]
	}
	out, _ := netip.AddrFromSlice(x) // has the length of a
	return out
}

// sets are the statistics of ntpd that are written; the others have no
// counterpart here.
func (p *parser) set(name string) *config.FileSet {
	switch name {
	case "loopstats":
		return &p.cfg.Log.NTP.Loop
	case "peerstats":
		return &p.cfg.Log.NTP.Peer
	}
	return nil
}

// unwritten are the other statistics of ntpd and NTPsec.
var unwritten = map[string]string{
	"clockstats": "there are no reference clocks", "cryptostats": "there is no autokey", "rawstats": "the log rawmeasurements has more",
	"sysstats": "foliotctl serverstats and the metrics have it", "timingstats": "", "protostats": "the log of messages has it",
	"usestats": "the service manager and the metrics have it", "ntsstats": "there is no NTS", "ntskestats": "there is no NTS",
}

// knownSet returns a set, or nil and a warning for one that is not written.
func (p *parser) knownSet(s *statement, name string) (*config.FileSet, error) {
	if set := p.set(name); set != nil {
		return set, nil
	}
	why, ok := unwritten[name]
	if !ok {
		return nil, s.badOption("%s%s", name, prefixed(didYouMean(name, append(keys(unwritten), "loopstats", "peerstats"))))
	}
	if why != "" {
		why = ": " + why
	}
	p.warn(s.origin, s.name+" "+name, "is not written"+why)
	return nil, nil
}

// statistics turns sets on.
func (p *parser) statistics(s *statement) error {
	for _, name := range s.args {
		set, err := p.knownSet(s, strings.ToLower(name))
		if err != nil {
			return err
		}
		if set != nil {
			set.Enabled = true
		}
	}
	return nil
}

// fileGen says how the files of a set are named.
func (p *parser) fileGen(s *statement) error {
	before := len(p.warnings)
	set, err := p.knownSet(s, strings.ToLower(s.args[0]))
	if err != nil {
		return err
	}
	if set == nil { // a warning at "statistics" is enough
		p.warnings = p.warnings[:before]
		set = new(config.FileSet)
	}
	spans := make(map[string]config.Span)
	for i, name := range config.SpanNames {
		spans[name] = config.Span(i)
	}
	f := *set
	_, err = s.options(s.args[1:], map[string]option{
		"file": value(text(&f.File)), "type": value(choice(&f.Type, spans)),
		"link": chosen(&f.Link, true), "nolink": chosen(&f.Link, false),
		"enable": chosen(&f.Enabled, true), "disable": chosen(&f.Enabled, false),
	})
	if err != nil {
		return err
	}
	*set = f
	return nil
}
