// SPDX-License-Identifier: Apache-2.0

// Package convert writes a [config.Config] down in the language of foliot.conf,
// whatever language it was read from. It reads no file and decides nothing.
//
// The one concept: what is written, read again, is the same configuration but for
// the places where it was written. A setting at its default is left out, so that
// the text says what somebody decided.
package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"foliot/internal/config"
)

// Text returns the configuration as foliot.conf. The notes come first, each a
// comment: what means something else now, or nothing.
func Text(c *config.Config, head string, notes []string) string {
	w := &writer{c: c, d: config.Default()}
	for _, line := range strings.Split(head, "\n") {
		if head != "" {
			w.comment(line)
		}
	}
	if len(notes) > 0 {
		w.comment("")
		w.comment("What is not as it was:")
		for _, note := range notes {
			w.comment("  " + note)
		}
	}
	w.gap()
	for _, part := range []func(){
		w.sources, w.selection, w.clock, w.leap, w.local, w.server, w.restrictions, w.client, w.command, w.log, w.process,
	} {
		part()
		w.gap()
	}
	return strings.TrimRight(w.text.String(), "\n") + "\n"
}

// writer collects the lines.
type writer struct {
	text strings.Builder
	c, d *config.Config // what to write, and the defaults
}

func (w *writer) comment(text string) {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	w.text.WriteString(strings.TrimRight("# "+text, " ") + "\n")
}

// gap ends a group of lines by an empty one.
func (w *writer) gap() {
	if t := w.text.String(); t != "" && !strings.HasSuffix(t, "\n\n") {
		w.text.WriteByte('\n')
	}
}

// line writes a directive of words that are there. A word with a space in it, which
// ntp.conf takes in quotes, cannot be written.
func (w *writer) line(words ...string) {
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	for _, word := range words {
		if strings.ContainsFunc(word, unicode.IsSpace) {
			w.comment(Lost + strings.Join(words, " "))
			return
		}
	}
	w.text.WriteString(strings.Join(words, " ") + "\n")
}

// Lost begins a comment in place of a line that cannot be written.
const Lost = "not written, since a word has a space in it: "

// changed writes a directive with one value, unless it is the default.
func changed[T comparable](w *writer, name string, now, before T) {
	if now != before {
		w.line(name, show(now))
	}
}

// flag writes a directive without value if it is set.
func (w *writer) flag(name string, on bool) {
	if on {
		w.line(name)
	}
}

// show writes a value as the parser reads it.
func show(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// file is a path; "/" is none.
func file(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// words collects the options of a directive.
type words []string

// option adds an option with its value, unless that is the default.
func option[T comparable](to *words, name string, now, before T) {
	if now != before {
		*to = append(*to, name, show(now))
	}
}

// flag adds an option without value.
func (o *words) flag(name string, on bool) {
	if on {
		*o = append(*o, name)
	}
}

func (w *writer) sources() {
	changed(w, "rack", w.c.Rack, w.d.Rack)
	for i := range w.c.Sources {
		if s := &w.c.Sources[i]; !s.FromDir {
			w.line(append([]string{s.Kind.String(), s.Name}, sourceOptions(s)...)...)
		}
	}
	for _, d := range w.c.SourceDirs {
		w.line(append([]string{"sourcedir"}, d.Dirs...)...)
	}
	for _, r := range w.c.Refclocks {
		w.line(r.Words...)
	}
	if s := &w.c.Clock.InitStepSlew; s.Threshold != 0 || len(s.Servers) > 0 {
		w.line(append([]string{"initstepslew", show(s.Threshold)}, s.Servers...)...)
	}
}

func sourceOptions(s *config.Source) words {
	var o words
	d := config.DefaultSource(s.Kind, s.Name)
	option(&o, "port", s.Port, d.Port)
	o.flag("ipv4", s.Family == config.FamilyIPv4)
	o.flag("ipv6", s.Family == config.FamilyIPv6)
	o.flag("iburst", s.IBurst)
	o.flag("burst", s.Burst)
	option(&o, "minpoll", s.MinPoll, d.MinPoll)
	if s.MaxPoll != d.MaxPoll || s.MinPoll > d.MaxPoll {
		o = append(o, "maxpoll", show(s.MaxPoll))
	}
	option(&o, "polltarget", s.PollTarget, d.PollTarget)
	option(&o, "presend", s.Presend, d.Presend)
	option(&o, "version", s.Version, d.Version)
	o.flag("xleave", s.XLeave)
	if s.MonoRoot {
		o = append(o, "extfield", "F323")
	}
	if s.NetCorr {
		o = append(o, "extfield", "10A")
	}
	o.flag("offline", s.Offline)
	o.flag("auto_offline", s.AutoOffline)
	option(&o, "maxsources", s.MaxSources, d.MaxSources)
	option(&o, "maxunreach", s.MaxUnreach, d.MaxUnreach)
	option(&o, "key", s.Key, d.Key)
	o.flag("nts", s.NTS)
	option(&o, "ntsport", s.NTSPort, d.NTSPort)
	option(&o, "certset", s.CertSet, d.CertSet)
	option(&o, "maxdelay", s.MaxDelay, d.MaxDelay)
	option(&o, "maxdelayratio", s.MaxDelayRatio, d.MaxDelayRatio)
	option(&o, "maxdelaydevratio", s.MaxDelayDevRatio, d.MaxDelayDevRatio)
	option(&o, "maxdelayquant", s.MaxDelayQuantile, d.MaxDelayQuantile)
	option(&o, "mindelay", s.MinDelay, d.MinDelay)
	if s.AsymmetrySet {
		o = append(o, "asymmetry", show(s.Asymmetry))
	}
	option(&o, "offset", s.Offset, d.Offset)
	option(&o, "filter", s.Filter, d.Filter)
	option(&o, "minsamples", s.MinSamples, d.MinSamples)
	option(&o, "maxsamples", s.MaxSamples, d.MaxSamples)
	option(&o, "minstratum", s.MinStratum, d.MinStratum)
	o.flag("copy", s.Copy)
	o.flag("noselect", s.NoSelect)
	o.flag("prefer", s.Prefer)
	o.flag("trust", s.Trust)
	o.flag("require", s.Require)
	option(&o, "rack", s.Rack, d.Rack)
	return o
}

func (w *writer) selection() {
	c, d := &w.c.Select, &w.d.Select
	modes := map[config.AuthMode]string{
		config.AuthRequire: "require", config.AuthPrefer: "prefer", config.AuthMix: "mix", config.AuthIgnore: "ignore",
	}
	changed(w, "authselectmode", modes[c.AuthMode], modes[d.AuthMode])
	changed(w, "combinelimit", c.CombineLimit, d.CombineLimit)
	changed(w, "maxdistance", c.MaxDistance, d.MaxDistance)
	changed(w, "maxjitter", c.MaxJitter, d.MaxJitter)
	changed(w, "minstratum", c.MinStratum, d.MinStratum)
	changed(w, "maxstratum", c.MaxStratum, d.MaxStratum)
	changed(w, "minsources", c.MinSources, d.MinSources)
	changed(w, "reselectdist", c.ReselectDistance, d.ReselectDistance)
	changed(w, "stratumweight", c.StratumWeight, d.StratumWeight)
}
