// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"fmt"
	"strings"
	"unicode"
)

// page writes a manual page in man(7).
type page struct{ b strings.Builder }

func newPage(name, section, about string) *page {
	p := new(page)
	fmt.Fprintf(&p.b, ".TH %s %s %s foliot\n", strings.ToUpper(name), section, Date)
	p.section("NAME")
	p.b.WriteString(escape(name) + " \\- " + escape(about) + "\n")
	return p
}

func (p *page) section(title string) { p.b.WriteString(".SH " + quote(strings.ToUpper(title)) + "\n") }

func (p *page) subsection(title string) { p.b.WriteString(".SS " + quote(title) + "\n") }

func (p *page) text(s string) { p.b.WriteString(marked(s) + "\n") }

func (p *page) paragraph(s string) {
	p.b.WriteString(".PP\n")
	p.text(s)
}

// item is a term and what is said of it.
func (p *page) item(term, s string) {
	p.b.WriteString(".TP\n" + term + "\n")
	p.text(s)
}

// example is lines as they are.
func (p *page) example(lines ...string) {
	p.b.WriteString(".RS 4\n.nf\n")
	for _, l := range lines {
		p.b.WriteString(escape(l) + "\n")
	}
	p.b.WriteString(".fi\n.RE\n")
}

// escape keeps a text from being anything but text. Hyphens are those of options
// and must be found by a search for them.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "^", `\(ha`, "~", `\(ti`, "'", `\(aq`, "`", `\(ga`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func quote(s string) string { return `"` + escape(s) + `"` }

func bold(s string) string { return `\fB` + escape(s) + `\fR` }

// marked is a text with words to be typed in bold.
func marked(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			b.WriteString(bold(part))
		} else {
			b.WriteString(escape(part))
		}
	}
	return b.String()
}

// usage writes what is to be typed in bold, and in italics what stands for
// something else: words in capitals.
func usage(s string) string {
	var b strings.Builder
	for word, rest := "", s; rest != ""; b.WriteString(word) {
		letter := func(r rune) bool {
			return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '+'
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return !letter(r) })
		switch {
		case n < 0:
			n = len(rest)
		case n == 0:
			word, rest = escape(rest[:1]), rest[1:]
			continue
		}
		text := rest[:n]
		rest = rest[n:]
		switch {
		case strings.ContainsFunc(text, unicode.IsUpper) && strings.ToUpper(text) == text:
			word = `\fI` + escape(text) + `\fR`
		default:
			word = bold(text)
		}
	}
	return b.String()
}

func (p *page) options(all []Option, own bool) {
	for _, o := range all {
		if o.Own && !own {
			continue
		}
		term := usage(o.Flags)
		if o.Value != "" {
			term += " " + usage(o.Value)
		}
		p.item(term, sentence(o.About, o.More))
	}
}

// sentence makes a sentence of a clause, and appends more of them.
func sentence(clause, more string) string {
	s := strings.ToUpper(clause[:1]) + clause[1:] + "."
	if more != "" {
		s += " " + more
	}
	return s
}

func (p *page) directives(all []Directive, note func(name string) string) {
	for _, d := range all {
		s := d.About
		if n := note(d.Name()); n != "" {
			s += " " + n
		}
		p.item(usage(d.Usage), s)
	}
}
