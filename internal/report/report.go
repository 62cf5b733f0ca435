// SPDX-License-Identifier: Apache-2.0

// Package report renders the daemon's replies for people and for programs: as
// chronyc's tables, as its comma-separated values, and as JSON. It talks to no
// daemon and looks no names up; both come as arguments.
//
// The one concept is the cell: one value in the three forms. A report is a
// template for the text, and cells in its order; the other forms need no more
// than the cells. The texts are an interface that scripts parse, so they are
// chronyc's to the octet. JSON has base units, and null where a value is missing.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Format is how reports look.
type Format uint8

// Formats.
const (
	Text Format = iota
	CSV         // chronyc -c
	JSON        // one document per report, on a line
)

// Printer writes reports to W. It keeps no error: W should.
type Printer struct {
	W      io.Writer
	Format Format
	listed int  // objects of the list so far
	list   bool // inside of Begin and End
}

// cell is one value in the three forms.
type cell struct {
	key       string // in JSON; "" if it is not there
	text, csv string
	json      any
}

// Begin and End enclose a report that is a list of rows. The lines are captions
// that only the text has.
func (p *Printer) Begin(captions ...string) {
	p.list, p.listed = true, 0
	switch p.Format {
	case Text:
		for _, line := range captions {
			fmt.Fprintln(p.W, line)
		}
	case JSON:
		io.WriteString(p.W, "[")
	}
}

// End is after the last row.
func (p *Printer) End() {
	if p.list = false; p.Format == JSON {
		io.WriteString(p.W, "]\n")
	}
}

// print writes one row, or a report that is no list. Each % of the template
// stands for a cell.
func (p *Printer) print(template string, cells ...cell) {
	switch p.Format {
	case Text:
		io.WriteString(p.W, fill(template, cells))
	case CSV:
		values := make([]string, len(cells))
		for i, c := range cells {
			values[i] = c.csv
		}
		fmt.Fprintln(p.W, strings.Join(values, ","))
	case JSON:
		p.object(cells)
	}
}

func fill(template string, cells []cell) string {
	var b strings.Builder
	for _, c := range cells {
		before, after, _ := strings.Cut(template, "%")
		b.WriteString(before)
		b.WriteString(c.text)
		template = after
	}
	b.WriteString(template)
	return b.String()
}

// object writes the cells that have a key as a JSON object, in their order.
func (p *Printer) object(cells []cell) {
	var b bytes.Buffer
	separator := byte('{')
	for _, c := range cells {
		if c.key == "" {
			continue
		}
		value, err := json.Marshal(c.json)
		if err != nil {
			value = []byte("null")
		}
		fmt.Fprintf(&b, "%c%q:%s", separator, c.key, value)
		separator = ','
	}
	b.WriteByte('}')
	switch {
	case !p.list:
		b.WriteByte('\n')
	case p.listed > 0:
		io.WriteString(p.W, ",")
	}
	p.listed++
	p.W.Write(b.Bytes())
}

// Line prints a line of which only text and JSON differ from plain words: the
// key names it.
func (p *Printer) Line(key, text string) { p.print("%\n", word(key, text)) }

// Note prints words that only the text has.
func (p *Printer) Note(text string) {
	if p.Format == Text {
		fmt.Fprintln(p.W, text)
	}
}

// Status prints how a command went: a line of chronyc, "200 OK".
func (p *Printer) Status(code int, text string) {
	if p.Format == JSON {
		p.object([]cell{{key: "status", json: code}, {key: "message", json: text}})
		return
	}
	fmt.Fprintln(p.W, code, text)
}
