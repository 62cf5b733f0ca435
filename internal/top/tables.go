// SPDX-License-Identifier: Apache-2.0

package top

import (
	"fmt"
	"slices"

	"foliot/internal/clock"
	"foliot/internal/document"
	"foliot/internal/figures"
)

// column is a column of a table of T.
type column[T any] struct {
	head  string
	width int
	left  bool // the text begins at the left
	from  int  // the narrowest terminal that has room for it; 0: every one
	text  func(*T) string
}

// nameWidth is the least room for a name.
const nameWidth = 15

var sourceColumns = []column[document.Source]{
	{"st", 2, false, 0, func(x *document.Source) string { return fmt.Sprint(x.Stratum) }},
	{"poll", 4, false, 70, func(x *document.Source) string { return figures.Brief(clock.Pow2(int8(x.Poll))) }},
	{"reach", 5, false, 0, func(x *document.Source) string { return fmt.Sprintf("%o", x.Reach) }},
	{"age", 5, false, 75, func(x *document.Source) string { return sampled(x, figures.Brief(x.Age)) }},
	{"offset", 8, false, 0, func(x *document.Source) string { return sampled(x, figures.Signed(x.Offset)) }},
	{"error", 7, false, 55, func(x *document.Source) string { return sampled(x, figures.Length(x.Error)) }},
	{"delay", 7, false, 100, func(x *document.Source) string { return sampled(x, figures.Length(x.Delay)) }},
	{"jitter", 7, false, 112, func(x *document.Source) string { return sampled(x, figures.Length(x.Deviation)) }},
	{"offsets", 16, true, 78, func(x *document.Source) string { return curve(x.Recent) }},
}

var clientColumns = []column[document.Client]{
	{"requests", 10, false, 0, func(x *document.Client) string { return fmt.Sprint(x.Hits) }},
	{"dropped", 9, false, 0, func(x *document.Client) string { return fmt.Sprint(x.Drops) }},
	{"every", 7, false, 60, func(x *document.Client) string {
		if x.Pause == 0 {
			return "-"
		}
		return figures.Brief(x.Pause)
	}},
	{"version", 7, false, 70, func(x *document.Client) string { return fmt.Sprint(x.Version) }},
	{"last", 12, false, 55, func(x *document.Client) string { return figures.Ago(x.Age) }},
}

func sampled(x *document.Source, s string) string {
	if x.Age < 0 {
		return "-"
	}
	return s
}

// fitting are the columns that a line has room for, and what they leave to the
// name.
func fitting[T any](all []column[T], width int) (list []column[T], name int) {
	name = width
	for _, c := range all {
		if width >= c.from {
			list = append(list, c)
			name -= c.width + 1
		}
	}
	return list, max(name, nameWidth)
}

func heads[T any](list []column[T]) (s string) {
	for _, c := range list {
		s += " " + c.place(c.head)
	}
	return s
}

func cells[T any](list []column[T], x *T) (s string) {
	for _, c := range list {
		s += " " + c.place(c.text(x))
	}
	return s
}

func (c *column[T]) place(s string) string {
	if c.left {
		return s
	}
	return right(s, c.width)
}

// sources is the table of sources, n of them and of names without address.
func (v *View) sources(width, n int) []Line {
	columns, name := fitting(sourceColumns, width)
	name = min(name-2, 40)
	all := v.doc.Sources
	many := len(all) + len(v.doc.Unresolved)
	v.first = max(0, min(v.first, many-n))
	caption := "source"
	if n < many {
		caption = fmt.Sprintf("source %d-%d of %d", v.first+1, v.first+n, many)
	}
	list := []Line{{"S " + pad(caption, name) + heads(columns), Caption}}
	for i := v.first; i < v.first+n; i++ {
		if i >= len(all) {
			list = append(list, Line{"? " + pad(clean(v.doc.Unresolved[i-len(all)]), name) + " not resolved yet", Dim})
			continue
		}
		x := &all[i]
		list = append(list, Line{x.Letter + " " + pad(label(x), name) + cells(columns, x), styleOf(x)})
	}
	return list
}

func label(x *document.Source) string {
	s := clean(x.Name)
	if x.Rack != "" {
		s += " [" + clean(x.Rack) + "]"
	}
	return s
}

func styleOf(x *document.Source) Style {
	switch {
	case x.State == "selected":
		return Good
	case x.State == "combined":
		return Used
	case slices.Contains([]string{"falseticker", "stale", "unsynchronised", "too_distant"}, x.State):
		return Bad
	case x.Age < 0:
		return Dim
	}
	return Plain
}

// clients is the table of the n clients that ask most.
func (v *View) clients(width, n int) []Line {
	if !v.doc.Server.Open || n == 0 && len(v.doc.Clients) > 0 {
		return nil
	}
	if len(v.doc.Clients) == 0 {
		return []Line{{"no clients are remembered", Dim}}
	}
	columns, name := fitting(clientColumns, width)
	name = min(name, 42)
	list := []Line{{pad(fmt.Sprintf("client (%d)", v.doc.ClientCount), name) + heads(columns), Caption}}
	for i := range n {
		x := &v.doc.Clients[i]
		style := Plain
		if x.Drops > 0 {
			style = Bad
		}
		list = append(list, Line{pad(clean(x.Name), name) + cells(columns, x), style})
	}
	return list
}

// scroll moves through the sources.
func (v *View) scroll(k key, rows int) {
	page := max(1, rows/2)
	switch k {
	case keyUp:
		v.first--
	case keyDown:
		v.first++
	case keyPageUp:
		v.first -= page
	case keyPageDown:
		v.first += page
	case keyHome:
		v.first = 0
	}
}
