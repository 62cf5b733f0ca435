// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"foliot/internal/config"
)

func (p *parser) sourceDirectives() map[string]directive {
	return map[string]directive{
		"server":       {1, -1, p.source},
		"monitor":      {1, -1, p.source},
		"rack":         one(label(&p.cfg.Rack)),
		"pool":         {1, -1, p.source},
		"peer":         {1, -1, p.source},
		"refclock":     {2, -1, p.refclock},
		"initstepslew": {1, -1, p.initStepSlew},
	}
}

var sourceKinds = map[string]config.SourceKind{
	"server": config.KindServer, "pool": config.KindPool, "peer": config.KindPeer,
	"monitor": config.KindServer,
}

// source handles server, pool and peer, and monitor, which is ours: a server that
// is measured, in interleaved mode if it can, and never followed.
func (p *parser) source(s *statement) error {
	src, warnings, err := parseSource(s)
	if err != nil {
		return err
	}
	p.cfg.Sources = append(p.cfg.Sources, src)
	p.warnings = append(p.warnings, warnings...)
	return nil
}

// parseSource makes a source of a statement.
func parseSource(s *statement) (config.Source, []Warning, error) {
	src := config.DefaultSource(sourceKinds[s.name], s.args[0])
	src.Origin = s.origin
	if s.name == "monitor" {
		src.NoSelect, src.XLeave = true, true
	}
	seen, err := s.options(withRack(s.args[1:]), sourceOptions(&src))
	if err != nil {
		return src, nil, err
	}
	if seen["nts"] {
		return src, nil, s.badOption("nts is not supported yet, and without it %s would be "+
			"trusted unauthenticated; remove the option if that is acceptable", src.Name)
	}
	return src, settle(&src, s, seen), nil
}

// withRack splits rack=NAME, which people write as well, in two.
func withRack(words []string) []string {
	var out []string
	for _, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok && strings.EqualFold(name, "rack") {
			out = append(out, name, value)
			continue
		}
		out = append(out, w)
	}
	return out
}

// maxLabel is the longest name of a rack, octets.
const maxLabel = 63

// label returns a setter for the name of a rack.
func label(to *string) setter {
	return func(word string) *valueError {
		if word == "" || len(word) > maxLabel || !utf8.ValidString(word) {
			return &valueError{word: word, kind: "a name", malformed: true, allowed: "1 to 63 octets of UTF-8"}
		}
		*to = word
		return nil
	}
}

// settle resolves options that contradict each other, or the kind of source,
// the way that chronyd does, and says so.
func settle(src *config.Source, s *statement, seen map[string]bool) []Warning {
	var warnings []Warning
	warn := func(what, after string) {
		warnings = append(warnings, warning(s.origin, what+" in "+s.name+" directive", after))
	}
	if src.Kind == config.KindPeer {
		for _, name := range []string{"iburst", "burst", "presend", "copy"} {
			if seen[name] {
				warn(name+" option", "has no effect on a peer")
			}
		}
		src.IBurst, src.Burst, src.Copy = false, false, false
		src.Presend = config.NeverPresend
	}
	if s.name == "monitor" {
		for _, name := range []string{"prefer", "require", "trust"} {
			if seen[name] {
				warn(name+" option", "has no effect on a source that is only monitored")
			}
		}
		src.Prefer, src.Require, src.Trust = false, false, false
	}
	if src.NetCorr {
		warn("extfield option 10A", "is not supported yet and is ignored")
	}
	if src.MaxPoll < src.MinPoll {
		if seen["maxpoll"] {
			warn("maxpoll option", "is below minpoll and is raised to "+strconv.Itoa(int(src.MinPoll)))
		}
		src.MaxPoll = src.MinPoll
	}
	return warnings
}

// sourceOptions is the table of options of a source.
func sourceOptions(s *config.Source) map[string]option {
	return map[string]option{
		"asymmetry":        value(marked(number(&s.Asymmetry, -0.5, 0.5), &s.AsymmetrySet)),
		"auto_offline":     flag(&s.AutoOffline),
		"burst":            flag(&s.Burst),
		"certset":          value(integer(&s.CertSet, 0, math.MaxUint32)),
		"copy":             flag(&s.Copy),
		"extfield":         value(extensionField(s)),
		"filter":           value(integer(&s.Filter, 0, config.MaxMedianSize)),
		"iburst":           flag(&s.IBurst),
		"ipv4":             chosen(&s.Family, config.FamilyIPv4),
		"ipv6":             chosen(&s.Family, config.FamilyIPv6),
		"key":              value(integer(&s.Key, 1, math.MaxUint32)),
		"maxdelay":         value(number(&s.MaxDelay, 0, 1000)),
		"maxdelaydevratio": value(number(&s.MaxDelayDevRatio, 0, inf)),
		"maxdelayquant":    value(number(&s.MaxDelayQuantile, 0.05, 0.95)),
		"maxdelayratio":    value(number(&s.MaxDelayRatio, 0, inf)),
		"maxpoll":          value(integer(&s.MaxPoll, config.MinPoll, config.MaxPoll)),
		"maxsamples":       value(integer(&s.MaxSamples, 0, maxInt32)),
		"maxsources":       value(capped(&s.MaxSources, 1, config.MaxPoolSize)),
		"maxunreach":       value(integer(&s.MaxUnreach, 0, maxInt32)),
		"mindelay":         value(number(&s.MinDelay, 0, inf)),
		"minpoll":          value(integer(&s.MinPoll, config.MinPoll, config.MaxPoll)),
		"minsamples":       value(integer(&s.MinSamples, 0, maxInt32)),
		"minstratum":       value(integer(&s.MinStratum, 0, 15)),
		"noselect":         flag(&s.NoSelect),
		"nts":              flag(&s.NTS),
		"ntsport":          value(integer(&s.NTSPort, 0, math.MaxUint16)),
		"offline":          flag(&s.Offline),
		"offset":           value(number(&s.Offset, -inf, inf)),
		"polltarget":       value(integer(&s.PollTarget, 1, maxInt32)),
		"port":             value(integer(&s.Port, 0, math.MaxUint16)),
		"prefer":           flag(&s.Prefer),
		"presend":          value(integer(&s.Presend, config.MinPoll, config.NeverPresend)),
		"rack":             value(label(&s.Rack)),
		"require":          flag(&s.Require),
		"trust":            flag(&s.Trust),
		"version":          value(integer(&s.Version, 1, 4)),
		"xleave":           flag(&s.XLeave),
	}
}

// marked is a setter that also notes that it was used.
func marked(set setter, used *bool) setter {
	return func(word string) *valueError {
		e := set(word)
		*used = *used || e == nil
		return e
	}
}

// chosen is an option without value that stores one of several values.
func chosen[T any](to *T, v T) option {
	return option{flag: true, set: func(string) *valueError {
		*to = v
		return nil
	}}
}

// extensionField takes the type of an extension field in hexadecimal. F324 is
// the number that 10A had as an experiment.
func extensionField(s *config.Source) setter {
	return func(word string) *valueError {
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(word), "0x"), 16, 32)
		switch {
		case err == nil && n == 0xf323:
			s.MonoRoot = true
		case err == nil && (n == 0x10a || n == 0xf324):
			s.NetCorr = true
		default:
			return &valueError{word: word, kind: "known", allowed: "allowed: F323, 10A, F324", malformed: true}
		}
		return nil
	}
}

// refclock keeps the line as it is.
func (p *parser) refclock(s *statement) error {
	words := append([]string{s.name}, s.args...)
	p.cfg.Refclocks = append(p.cfg.Refclocks, config.Raw{Origin: s.origin, Words: words})
	return nil
}

// initStepSlew handles the directive of the same name.
func (p *parser) initStepSlew(s *statement) error {
	var threshold float64
	if e := number(&threshold, -inf, inf)(s.args[0]); e != nil {
		return s.badValue(e)
	}
	p.cfg.Clock.InitStepSlew = config.InitStepSlew{Threshold: threshold, Servers: s.args[1:]}
	return nil
}
