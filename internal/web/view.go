// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"foliot/internal/clock"
	"foliot/internal/figures"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/state"
)

// maxRows is how many sources the page shows; metrics have them all.
const maxRows = 200

var page = template.Must(template.ParseFS(assets, "assets/page.html"))

// depths are where requests are answered, in words.
var depths = [...]struct {
	name string
	of   func(*state.Server) *responder.Counters
}{
	{"in the network driver (XDP)", func(s *state.Server) *responder.Counters { return &s.XDP }},
	{"by threads", func(s *state.Server) *responder.Counters { return &s.Workers }},
	{"by the main loop", func(s *state.Server) *responder.Counters { return &s.Engine }},
}

// view is what the template shows: words and numbers, ready to be read.
type view struct {
	Host, Version, Time, Headline string
	Good                          bool
	Facts                         []fact
	Plots                         []plot
	Sources                       []sourceRow
	More                          int // sources that are not shown
	Unsolved                      string
	Server                        serverView
	Kernel                        kernelView
	Clients                       clientsView
}

// fact is a value with its name.
type fact struct{ Name, Value, Note string }

type sourceRow struct {
	Letter, State, Why                   string
	Name, Address, Kind, Rack            string
	Stratum, Poll, Reach                 string
	Age, Offset, Error, Delay, Deviation string
	Selected, Used, Bad                  bool
}

type serverView struct {
	Open    bool
	Rows    []depthRow
	Refused []fact
	Facts   []fact
}

type depthRow struct{ Name, Rate, Answered, Refused string }

func (s *Server) view(now *state.State) *view {
	list := append(s.history.points(), pointOf(now))
	v := &view{
		Host: s.cfg.Host, Version: now.Version, Time: clock.Time(now.Now.Wall).Format("2006-01-02 15:04:05 UTC"),
		Headline: headline(now), Good: now.Tracking.Synchronized,
		Facts: facts(now), Plots: plots(list, clock.Time(now.Now.Wall)),
		Unsolved: strings.Join(now.Unsolved, ", "),
		Server:   serverOf(now, list), Kernel: kernelOf(&now.Programs), Clients: s.clients.view(now),
	}
	shown := now.Sources[:min(len(now.Sources), maxRows)]
	v.More = len(now.Sources) - len(shown)
	for i := range shown {
		v.Sources = append(v.Sources, rowOf(&shown[i]))
	}
	return v
}

// headline is the state of the clock in a few words.
func headline(s *state.State) string {
	t := &s.Tracking
	switch {
	case t.Synchronized && t.Addr.IsValid() && t.Source != t.Addr.String():
		return fmt.Sprintf("synchronised to %s (%s), stratum %d", t.Source, t.Addr, t.Stratum)
	case t.Synchronized:
		return fmt.Sprintf("synchronised to %s, stratum %d", t.Source, t.Stratum)
	case t.Local:
		return fmt.Sprintf("not synchronised, serving its own clock at stratum %d", t.Stratum)
	}
	return "not synchronised"
}

var leapWords = [...]string{
	ntp.LeapNone: "none announced", ntp.LeapInsert: "one will be inserted", ntp.LeapDelete: "one will be deleted",
	ntp.LeapUnsync: "not known",
}

func facts(s *state.State) []fact {
	t := &s.Tracking
	list := []fact{
		{"Error bound", figures.Length(t.ErrorBound()), "the clock is within this of true time"},
		{"Last offset", figures.Signed(float64(t.LastOffset)), "found at the last update; + was behind"},
		{"Left to correct", figures.Signed(float64(t.Remaining)), "being slewed out"},
		{"RMS offset", figures.Length(t.RMSOffset), "long-term mean"},
		{"Frequency", figures.PPM(t.Frequency, true), "+ runs slow by itself"},
		{"Skew", figures.PPM(t.Skew, false), "bound of the frequency's error"},
		{"Root delay", figures.Length(t.RootDelay), "round trip to the primary clock"},
		{"Root dispersion", figures.Length(t.RootDisp), "errors on the way there"},
		{"Last update", since(s), updates(t)},
		{"Leap second", leapWords[t.Leap&3], ""},
		{"Clock", controlled(&s.Clock), changes(&s.Clock)},
	}
	if !t.Synchronized {
		list = list[len(list)-1:]
	}
	if s.Kernel.Valid {
		list = append(list, fact{"Kernel", kernel(&s.Kernel), "claims an error of at most " + figures.Length(float64(s.Kernel.MaxError))})
	}
	return append(list, fact{"Running for", figures.Brief(s.Now.Mono.Sub(s.Started).Seconds()), "foliotd " + s.Version})
}

// since tells how old the last update is.
func since(s *state.State) string {
	if s.Tracking.RefTime.IsZero() {
		return "never"
	}
	return figures.Ago(s.Served.Sub(s.Tracking.RefTime).Seconds())
}

func updates(t *state.Tracking) string {
	if t.Updates < 2 {
		return ""
	}
	return fmt.Sprintf("%s updates, the last two %s apart", figures.Grouped(t.Updates), figures.Brief(t.Interval))
}

func changes(c *state.Clock) string {
	return fmt.Sprintf("stepped %s, rate changed %s, moved by others %s", figures.Times(c.Steps), figures.Times(c.Slews), figures.Times(c.Foreign))
}

func controlled(c *state.Clock) string {
	if c.Controlled {
		return "is steered"
	}
	return "is left alone"
}

func kernel(k *state.Kernel) string {
	if k.Synchronized {
		return "is synchronised"
	}
	return "is not synchronised"
}

func rowOf(x *state.Source) sourceRow {
	sel := x.Selected()
	r := sourceRow{
		Letter: string(rune(sel.Status)), State: strings.ReplaceAll(sel.Name, "_", " "), Why: sel.Why,
		Name: x.Name, Address: x.Addr.Addr().String(), Kind: x.Mode.String(), Rack: x.Rack,
		Stratum: fmt.Sprint(x.Stratum), Poll: figures.Brief(clock.Pow2(x.Poll)), Reach: fmt.Sprintf("%o", x.Reach),
		Selected: sel.Name == "selected", Used: sel.Name == "selected" || sel.Name == "combined",
		Bad: sel.Name == "falseticker" || sel.Name == "stale" || sel.Name == "unsynchronised",
	}
	if !x.Addr.IsValid() || r.Address == x.Name {
		r.Address = ""
	}
	if x.State != state.Online {
		r.Why += "; " + strings.ReplaceAll(x.State.String(), "_", " ")
	}
	if m := &x.Samples; m.N > 0 {
		r.Age, r.Offset, r.Error = figures.Brief(m.LastAge), figures.Signed(float64(m.Last)), "± "+figures.Length(m.LastErr)
		r.Delay, r.Deviation = figures.Length(float64(m.Delay)), figures.Length(m.SD)
	}
	return r
}

func serverOf(s *state.State, list []point) serverView {
	v := serverView{Open: s.Server.Open}
	minute := max(0, len(list)-1-int(time.Minute/pace))
	first, last := &list[minute], &list[len(list)-1]
	for i, d := range depths {
		c := d.of(&s.Server)
		v.Rows = append(v.Rows, depthRow{d.name, perSecond(first, last, i), figures.Grouped(c.Answered()), figures.Grouped(c.Refused())})
	}
	total := &s.Server.Total
	for r := responder.BadLength; int(r) < responder.Verdicts; r++ {
		v.Refused = counts(v.Refused, count{refusals[r], total.Verdicts[r]})
	}
	v.Refused = counts(v.Refused, count{"receive buffer full", s.Server.Overflow}, count{"answer not sent", s.Server.Unsent})
	v.Facts = counts(nil, count{"asked to slow down", total.Verdicts[responder.Kissed]}, count{"authenticated", total.Authenticated},
		count{"interleaved", total.Interleaved}, count{"over IPv6", v6Answers(total)})
	return v
}

type count struct {
	name string
	n    uint64
}

// counts appends those that are not 0.
func counts(list []fact, all ...count) []fact {
	for _, c := range all {
		if c.n > 0 {
			list = append(list, fact{Name: c.name, Value: figures.Grouped(c.n)})
		}
	}
	return list
}

func v6Answers(c *responder.Counters) uint64 { return c.V6[responder.Answer] + c.V6[responder.Kissed] }

// refusals say why a request was not answered.
var refusals = [responder.Verdicts]string{
	responder.BadLength: "length of no request", responder.BadVersion: "unknown version", responder.BadMode: "no request",
	responder.BadTrailer: "malformed end", responder.BadAuth: "not authentic", responder.Denied: "not allowed",
	responder.Limited: "over the rate limit",
}

// perSecond is the rate of answers at a depth between two points.
func perSecond(first, last *point, depth int) string {
	t := last.at - first.at
	if t <= 0 || last.answered[depth] < first.answered[depth] {
		return "–"
	}
	r := float64(last.answered[depth]-first.answered[depth]) / t
	if r >= 100 {
		return figures.Grouped(uint64(math.Round(r)))
	}
	return fmt.Sprintf("%.1f", r)
}
