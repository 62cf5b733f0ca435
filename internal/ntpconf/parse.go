// SPDX-License-Identifier: Apache-2.0

// Package ntpconf reads configuration written in the language of ntp.conf, ntpd's
// and NTPsec's, and makes the same [config.Config] of it that chronyconf makes of a
// chrony.conf. It resolves no names, opens no sockets and carries nothing out.
//
// The one concept: a directive is a row in a table that says how many words it
// takes, what it stores, and what becomes of it ([Supported], [Inert], [NotYet]). A
// directive that ntpd takes never ends the daemon: what has no effect here is a
// warning that says so. A word that ntpd does not know either is an error, as is a
// value out of its range; ntpd would log it and go on without.
//
// What belongs together in the file (a server and its fudge, all that tos and
// tinker say) is collected and put into the configuration at the end.
package ntpconf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"foliot/internal/chronyconf"
	"foliot/internal/config"
)

// Limits of a file.
const (
	maxLine  = 8191 // octets without the end
	maxDepth = 5    // includes within includes, as in ntpd
)

// Machine is what the directive interface needs to know: the addresses of the
// machine. nil: it has none.
type Machine func() ([]Address, error)

// Address is an address of an interface.
type Address struct {
	Interface string
	Addr      string // without prefix length
}

// ParseFile reads the file at path and the files that it includes. The warnings are
// in the order of the lines; they are valid with an error too.
func ParseFile(files chronyconf.Files, m Machine, path string) (*config.Config, []chronyconf.Warning, error) {
	p := newParser(files, m)
	if err := p.file(path); err != nil {
		return nil, p.warnings, err
	}
	return p.finish(config.Origin{File: path, Line: 1})
}

// parser is the state of one run.
type parser struct {
	files    chronyconf.Files
	machine  Machine
	cfg      *config.Config
	table    map[string]directive
	warnings []chronyconf.Warning
	depth    int

	rules  []rule      // interface
	clock  *localClock // 127.127.1.x
	fudges map[string]fudge
	tos    tos
	step   steps
	stats  bool // enable stats

}

func newParser(files chronyconf.Files, m Machine) *parser {
	p := &parser{files: files, machine: m, cfg: config.Default(), stats: true}
	p.fudges = make(map[string]fudge)
	p.tos, p.step = defaultTos, defaultSteps
	p.table = p.directives()
	return p
}

// statement is one directive as written.
type statement struct {
	name string
	args []string
	at   config.Origin
}

// file reads all lines of one file.
func (p *parser) file(path string) error {
	f, err := p.files.Open(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine+2)
	for at := (config.Origin{File: path, Line: 1}); ; at.Line++ {
		raw, err := in.ReadSlice('\n')
		if err == io.EOF && len(raw) == 0 {
			return nil
		}
		text := strings.TrimSuffix(string(raw), "\n")
		if errors.Is(err, bufio.ErrBufferFull) || len(text) > maxLine {
			return &problem{what: "Line too long", detail: fmt.Sprintf("max %d characters", maxLine), at: at}
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read configuration %s: %w", path, err)
		}
		if at.Line == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // an editor's mark of UTF-8
		}
		if err := p.line(text, at); err != nil {
			return err
		}
	}
}

// line reads one line; empty ones and comments have no effect.
func (p *parser) line(text string, at config.Origin) error {
	words, err := split(text)
	if err != nil {
		return &problem{what: "Invalid line", detail: err.Error(), at: at}
	}
	if len(words) == 0 {
		return nil
	}
	s := &statement{name: strings.ToLower(words[0]), args: words[1:], at: at}
	d, known := p.table[s.name]
	if !known {
		return &problem{what: "Invalid directive " + printable(words[0]), detail: chronyconf.Suggest(s.name, keys(p.table)), at: at}
	}
	switch n := len(s.args); {
	case n < d.least:
		return &problem{what: "Missing arguments for " + s.name + " directive", at: at}
	case d.most >= 0 && n > d.most:
		return &problem{what: "Too many arguments for " + s.name + " directive", at: at}
	}
	if d.Status != Supported {
		p.warn(s, s.name+" directive", d.consequence())
	}
	if d.apply == nil {
		return nil
	}
	return d.apply(s)
}

// split returns the words of a line. A comment begins anywhere; a word in quotes
// may contain spaces.
func split(text string) (words []string, err error) {
	for text = trim(text); text != "" && text[0] != '#'; text = trim(text) {
		if text[0] == '"' {
			word, rest, closed := strings.Cut(text[1:], `"`)
			if !closed {
				return nil, errors.New("a quote is not closed")
			}
			words, text = append(words, word), rest
			continue
		}
		end := strings.IndexFunc(text, func(r rune) bool { return isSpace(r) || r == '#' })
		if end < 0 {
			end = len(text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
	for _, w := range words {
		if strings.ContainsRune(w, 0) || !utf8.ValidString(w) {
			return nil, errors.New("it is no text")
		}
	}
	return words, nil
}

func trim(text string) string { return strings.TrimLeftFunc(text, isSpace) }

// isSpace is C's isspace in the C locale.
func isSpace(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

// include is includefile. NTPsec takes a directory too, whose files end in .conf. A
// file that cannot be read is no error: ntpd goes on without.
func (p *parser) include(s *statement) error {
	path := s.args[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.at.File), path)
	}
	if p.depth++; p.depth > maxDepth {
		return s.bad("files include each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	paths := []string{path}
	if names, err := p.files.List(path); err == nil {
		paths = nil
		slices.Sort(names)
		for _, name := range names {
			if strings.HasSuffix(name, ".conf") {
				paths = append(paths, filepath.Join(path, name))
			}
		}
	}
	for _, path := range paths {
		f, err := p.files.Open(path)
		if err != nil {
			p.warn(s, "includefile directive", "is ignored: "+err.Error())
			continue
		}
		f.Close()
		if err := p.file(path); err != nil {
			return err
		}
	}
	return nil
}

// shared hands a directive to chronyconf, which has it too, and marks what it
// complains of as unknown to it.
func (p *parser) shared(s *statement) error {
	warnings, err := chronyconf.Shared(p.cfg, append([]string{s.name}, s.args...), s.at)
	p.warnings = append(p.warnings, warnings...)
	return err
}

// warn adds a warning; the words around the place are given apart.
func (p *parser) warn(s *statement, before, after string) {
	text := before + " at " + s.at.String() + " " + after
	p.warnings = append(p.warnings, chronyconf.Warning{File: s.at.File, Line: s.at.Line, Text: text})
}

// inert warns of a part of a directive that has no effect.
func (p *parser) inert(s *statement, what, why string) {
	p.warn(s, what+" in "+s.name+" directive", "has no effect: "+why)
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
