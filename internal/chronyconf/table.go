// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"fmt"
	"maps"
	"math"
	"strings"
)

// inf stands for no limit in the tables.
var inf = math.Inf(1)

const maxInt32 = math.MaxInt32

// directive is one row of the table: how many words follow the name, and what
// to do with them.
type directive struct {
	least, most int // most < 0 = any number
	apply       func(s *statement) error
}

// checkArgs counts the words.
func (d directive) checkArgs(s *statement) error {
	what := ""
	switch n := len(s.args); {
	case n < d.least:
		what = "Missing arguments for "
	case d.most >= 0 && n > d.most:
		what = "Too many arguments for "
	default:
		return nil
	}
	detail := ""
	for _, word := range s.args {
		if what[0] == 'T' && strings.Contains("!;#%", word[:1]) {
			detail = "a comment needs a line of its own"
		}
	}
	return &problem{what: what + s.name + " directive", detail: detail, at: s.origin}
}

// one is a directive with one argument.
func one(set setter) directive {
	return directive{1, 1, func(s *statement) error {
		if e := set(s.args[0]); e != nil {
			return s.badValue(e)
		}
		return nil
	}}
}

// all is a directive with one argument for each setter.
func all(sets ...setter) directive {
	return directive{len(sets), len(sets), func(s *statement) error {
		for i, set := range sets {
			if e := set(s.args[i]); e != nil {
				return s.badValue(e)
			}
		}
		return nil
	}}
}

// on is a directive without arguments that stores true.
func on(to *bool) directive {
	return directive{0, 0, func(*statement) error {
		*to = true
		return nil
	}}
}

// without is a directive without effect whose words are only counted.
func without(least, most int) directive {
	return directive{least, most, func(*statement) error { return nil }}
}

// directives returns the whole table. The rows point into the configuration
// that the parser fills.
func (p *parser) directives() map[string]directive {
	table := make(map[string]directive, 100)
	for _, part := range []map[string]directive{
		p.sourceDirectives(), p.selectDirectives(), p.clockDirectives(),
		p.serverDirectives(), p.clientDirectives(), p.processDirectives(),
		p.fileDirectives(), p.ntpdDirectives(), inertDirectives(),
	} {
		maps.Copy(table, part)
	}
	return table
}

// notYet names the directives that are understood but have no effect yet, with
// what that means for the person who wrote them. A row is deleted when the
// daemon learns the directive.
var notYet = map[string]string{
	"hwclockfile":       "",
	"hwtimestamp":       "timestamps are the kernel's",
	"hwtstimeout":       "",
	"initstepslew":      "makestep sets the clock at start",
	"mailonchange":      "",
	"maxtxbuffers":      "",
	"maxntsconnections": "",
	"nocerttimecheck":   "",
	"nosystemcert":      "",
	"ntpsigndsocket":    "",
	"ntsaeads":          "",
	"ntscachedir":       "",
	"ntsdumpdir":        "",
	"ntsntpserver":      "",
	"ntsport":           "",
	"ntsprocesses":      "",
	"ntsratelimit":      "",
	"ntsrefresh":        "",
	"ntsrotate":         "",
	"ntsservercert":     "clients cannot use NTS",
	"ntsserverkey":      "clients cannot use NTS",
	"ntstrustedcerts":   "",
	"ptpdomain":         "",
	"ptpport":           "",
	"refclock":          "",
	"rtcautotrim":       "",
	"rtcdevice":         "",
	"rtcfile":           "",
	"rtconutc":          "",
}

// obsolete names the directives that chronyd itself ignores with a warning.
var obsolete = map[string]bool{
	"commandkey": true, "generatecommandkey": true,
	"linux_freq_scale": true, "linux_hz": true,
}

// warnNotYet reports a directive that has no effect.
func (p *parser) warnNotYet(s *statement) {
	if obsolete[s.name] {
		p.warn(s.origin, s.name+" directive", "is obsolete and is ignored")
		return
	}
	meaning, found := notYet[s.name]
	if !found {
		return
	}
	after := "is not supported yet and is ignored"
	if meaning != "" {
		after = fmt.Sprintf("%s: %s", after, meaning)
	}
	p.warn(s.origin, s.name+" directive", after)
}

// inertDirectives are those that are counted and nothing else: the rows of
// notYet for which the configuration has no place, and what is obsolete.
func inertDirectives() map[string]directive {
	anything := without(0, -1)
	return map[string]directive{
		"commandkey":         anything,
		"dumponexit":         anything, // histories are always saved if there is a dumpdir
		"generatecommandkey": anything,
		"hwclockfile":        without(1, 1),
		"linux_freq_scale":   anything,
		"linux_hz":           anything,
		"mailonchange":       without(2, 2),
		"maxntsconnections":  without(1, 1),
		"nocerttimecheck":    without(1, 1),
		"nosystemcert":       without(0, 0),
		"ntpsigndsocket":     without(1, 1),
		"ntsaeads":           anything,
		"ntscachedir":        without(1, 1),
		"ntsdumpdir":         without(1, 1),
		"ntsntpserver":       without(1, 1),
		"ntsport":            without(1, 1),
		"ntsprocesses":       without(1, 1),
		"ntsratelimit":       anything,
		"ntsrefresh":         without(1, 1),
		"ntsrotate":          without(1, 1),
		"ntsservercert":      without(1, 1),
		"ntsserverkey":       without(1, 1),
		"ntstrustedcerts":    without(1, 2),
		"ptpdomain":          without(1, 1),
		"ptpport":            without(1, 1),
		"rtcautotrim":        without(1, 1),
		"rtcdevice":          without(1, 1),
		"rtcfile":            without(1, 1),
		"rtconutc":           without(0, 0),
	}
}

// Names returns the names of all directives, in lower case.
func Names() map[string]bool {
	names := make(map[string]bool)
	for name := range newParser(nil).table {
		names[name] = true
	}
	return names
}

// WithoutEffect tells whether a directive is understood, and no more.
func WithoutEffect(name string) bool {
	_, found := inertDirectives()[name]
	return found
}
