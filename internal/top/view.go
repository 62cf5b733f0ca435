// SPDX-License-Identifier: Apache-2.0

package top

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"foliot/internal/clock"
	"foliot/internal/figures"
	"foliot/internal/state"
)

// Style is how a line is to look.
type Style uint8

// Styles.
const (
	Plain   Style = iota
	Head          // the first line
	Caption       // of a table
	Good          // what the clock follows
	Used          // what it follows besides
	Bad           // what somebody should look at
	Dim           // what does not matter now
)

// Line is a line of the picture.
type Line struct {
	Text  string
	Style Style
}

// View is what is shown. The zero View is ready.
type View struct {
	Host    string
	Trouble string // why there is nothing newer, "" if there is

	doc, before *state.Document
	rates       []float64 // answers per second of the last rounds
	first       int       // of the sources that are shown
}

// remembered is how many rates are kept for the picture.
const remembered = 120

// Take takes a newer document in.
func (v *View) Take(d *state.Document) {
	v.before, v.doc = v.doc, d
	if v.before != nil && d.Uptime < v.before.Uptime {
		v.before, v.rates = nil, nil // another daemon: its counters began anew
	}
	if r, ok := v.rate(func(x *state.DepthDocument) uint64 { return x.Answered }); ok {
		v.rates = append(v.rates, r)
		v.rates = v.rates[max(0, len(v.rates)-remembered):]
	}
}

// rate is how fast a counter of all depths grew since the document before.
func (v *View) rate(of func(*state.DepthDocument) uint64) (perSecond float64, ok bool) {
	for i := range v.doc.Server.Depths {
		r, known := v.depthRate(i, of)
		perSecond, ok = perSecond+r, known
	}
	return perSecond, ok
}

func (v *View) depthRate(i int, of func(*state.DepthDocument) uint64) (float64, bool) {
	if v.before == nil || i >= len(v.before.Server.Depths) {
		return 0, false
	}
	span := v.doc.Uptime - v.before.Uptime
	from, to := of(&v.before.Server.Depths[i]), of(&v.doc.Server.Depths[i])
	if span <= 0 || to < from {
		return 0, false
	}
	return float64(to-from) / span, true
}

// fewest is how many sources and clients have their place at least.
const fewest = 3

// Lines renders the view in lines of at most width characters, at most rows of
// them unless that is 0.
func (v *View) Lines(width, rows int) []Line {
	list := append(v.clock(width), Line{})
	server := append(v.server(width), Line{})
	sources, clients := len(v.doc.Sources)+len(v.doc.Unresolved), len(v.doc.Clients)
	if rows > 0 {
		room := max(0, rows-len(list)-len(server)-3) // captions and a blank line
		atMost := max(room-min(clients, fewest), min(sources, fewest))
		sources = min(sources, atMost)
		clients = min(clients, max(0, room-sources))
	}
	list = append(list, v.sources(width, sources)...)
	list = append(list, Line{})
	list = append(list, server...)
	list = append(list, v.clients(width, clients)...)
	if rows > 0 {
		list = list[:min(len(list), rows)]
	}
	for i := range list {
		list[i].Text = cut(list[i].Text, width)
	}
	return list
}

// clauses joins as many of the clauses as fit into width characters: half a number
// would be another number.
func clauses(width int, list ...string) string {
	text := list[0]
	for _, c := range list[1:] {
		longer := text + ", " + c
		if utf8.RuneCountInString(longer) > width {
			break
		}
		text = longer
	}
	return text
}

// cut shortens a text to width characters.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(width, 0)])
}

// clean keeps a name from being more than text to the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// pad fills a text up to width characters, or shortens it and says so.
func pad(s string, width int) string {
	n := utf8.RuneCountInString(s)
	if n > width {
		return cut(s, width-1) + ">"
	}
	return s + strings.Repeat(" ", width-n)
}

// right is pad with the text at the right.
func right(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}

// between puts one text at the left end of a line and one at the right.
func between(left, end string, width int) string {
	room := width - utf8.RuneCountInString(left) - utf8.RuneCountInString(end)
	if room < 1 {
		return left
	}
	return left + strings.Repeat(" ", room) + end
}

// clock is the lines about the daemon and its clock.
func (v *View) clock(width int) []Line {
	d, t := v.doc, &v.doc.Tracking
	name := "foliotd " + clean(d.Version)
	if v.Host != "" {
		name += " on " + clean(v.Host)
	}
	list := []Line{
		{between(name, fmt.Sprintf("%s, up %s", d.Time.UTC().Format("15:04:05 UTC"), figures.Brief(d.Uptime)), width), Head},
		v.headline(width),
	}
	if v.Trouble != "" {
		list = append(list, Line{"no answer: " + clean(v.Trouble), Bad})
	}
	if t.Synchronized {
		list = append(list,
			Line{clauses(width, "offset "+figures.Signed(t.LastOffset), figures.Signed(t.Remaining)+" left to slew",
				"error at most "+figures.Length(t.ErrorBound), "RMS "+figures.Length(t.RMSOffset)), Plain},
			Line{clauses(width, "frequency "+figures.PPM(clock.FromPPM(t.Frequency), true),
				"skew "+figures.PPM(clock.FromPPM(t.Skew), false), "updated "+figures.Ago(t.Age)), Plain})
	}
	if n := d.Clock.Foreign; n > 0 {
		list = append(list, Line{fmt.Sprintf("somebody else moved the clock %s", times(n)), Bad})
	}
	return list
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprint(n, " times")
}

func (v *View) headline(width int) Line {
	t := &v.doc.Tracking
	stratum := fmt.Sprint("stratum ", t.Stratum)
	var left []string
	if !v.doc.Clock.Controlled {
		left = []string{"the clock is left alone"}
	}
	say := func(style Style, list ...string) Line { return Line{clauses(width, append(list, left...)...), style} }
	switch {
	case t.Synchronized && t.Source != t.Address && t.Address != "":
		return say(Good, fmt.Sprintf("synchronised to %s (%s)", clean(t.Source), t.Address), stratum)
	case t.Synchronized:
		return say(Good, "synchronised to "+clean(t.Source), stratum)
	case t.Local:
		return say(Bad, "not synchronised", "serving its own clock at "+stratum)
	}
	return say(Bad, "not synchronised")
}

// server is the lines about what is served.
func (v *View) server(width int) []Line {
	d := &v.doc.Server
	if !d.Open {
		return []Line{{"server port closed", Dim}}
	}
	answered := func(x *state.DepthDocument) uint64 { return x.Answered }
	var parts []string
	for i := range d.Depths {
		if x := &d.Depths[i]; x.Name != "xdp" || x.Answered+x.Refused > 0 {
			r, ok := v.depthRate(i, answered)
			parts = append(parts, x.Name+" "+perSecond(r, ok))
		}
	}
	text := fmt.Sprintf("answers/s: %s", strings.Join(parts, ", "))
	refused, ok := v.rate(func(x *state.DepthDocument) uint64 { return x.Refused })
	text += "; refused/s: " + perSecond(refused, ok)
	list := []Line{{text, Caption}}
	if room := width - utf8.RuneCountInString(text) - 2; room >= 8 && len(v.rates) > 1 {
		list[0].Text += "  " + bars(v.rates[max(0, len(v.rates)-room):])
	}
	return append(list, Line{totals(width, d), Plain})
}

func totals(width int, d *state.ServerDocument) string {
	var answered, refused, keyed, interleaved uint64
	for i := range d.Depths {
		x := &d.Depths[i]
		answered, refused = answered+x.Answered, refused+x.Refused
		keyed, interleaved = keyed+x.Keyed, interleaved+x.Interleaved
	}
	list := []string{fmt.Sprintf("so far: %d answered", answered), fmt.Sprintf("%d refused", refused)}
	if d.Overflow > 0 {
		list = append(list, fmt.Sprintf("%d lost", d.Overflow))
	}
	list = append(list, fmt.Sprintf("%d interleaved", interleaved), fmt.Sprintf("%d with a key", keyed))
	return clauses(width, list...)
}

func perSecond(r float64, ok bool) string {
	switch {
	case !ok:
		return "-"
	case r == 0 || r >= 9.95:
		return fmt.Sprintf("%.0f", r)
	}
	return fmt.Sprintf("%.1f", r)
}

// levels are the heights of a column.
var levels = []rune("▁▂▃▄▅▆▇█")

// bars draws values from 0 up.
func bars(values []float64) string {
	most := slices.Max(values)
	var b strings.Builder
	for _, x := range values {
		i := 0
		if most > 0 {
			i = int(math.Round(x / most * float64(len(levels)-1)))
		}
		b.WriteRune(levels[i])
	}
	return b.String()
}

// curve draws values around 0, which is in the middle.
func curve(values []float64) string {
	var most float64
	for _, x := range values {
		most = max(most, math.Abs(x))
	}
	var b strings.Builder
	top := float64(len(levels) - 1)
	for _, x := range values {
		i := math.Floor(top / 2)
		if most > 0 {
			i = math.Round((x/most + 1) / 2 * top)
		}
		b.WriteRune(levels[int(i)])
	}
	return b.String()
}
