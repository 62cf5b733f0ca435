// SPDX-License-Identifier: Apache-2.0

// Package chronyconf reads configuration written in the language of
// chrony.conf and makes a [config.Config] of it. It resolves no names, opens no
// sockets and carries nothing out.
//
// The one concept: a directive is a row in a table, a name with the number of
// its words and a handler that stores them in the configuration; the options of
// a directive are rows too. What the daemon cannot do yet is a third table, of
// names that are understood, reported and otherwise without effect.
//
// Messages begin with a capital and with the words that chronyd uses ("Invalid
// directive", "Missing arguments for ... directive at line ..."), unlike the
// rest of the project: people recognise them and search for them. What chronyd
// does not say follows: the value, what is allowed, what was probably meant.
package chronyconf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"foliot/internal/config"
)

// maxLine is the longest line, in bytes without its end.
const maxLine = 2047

// Warning is something that is not as written, but does not keep the daemon
// from running.
type Warning struct {
	File string // empty = the command line
	Line int    // from 1
	Text string // a whole sentence that names file and line
}

// String returns the sentence.
func (w Warning) String() string { return w.Text }

// ParseFile reads the file at path and the files that it includes. The warnings
// are in the order of the lines; they are valid with an error too.
func ParseFile(files Files, path string) (*config.Config, []Warning, error) {
	p := newParser(files)
	if err := p.file(path); err != nil {
		return nil, p.warnings, err
	}
	return p.finish()
}

// ParseLines reads directives given on the command line, one in each argument.
// They stand for a whole file; files is used for what they include.
func ParseLines(files Files, args []string) (*config.Config, []Warning, error) {
	p := newParser(files)
	for i, arg := range args {
		if err := p.line(arg, config.Origin{Line: i + 1}); err != nil {
			return nil, p.warnings, err
		}
	}
	return p.finish()
}

// parser is the state of one run.
type parser struct {
	files    Files
	cfg      *config.Config
	table    map[string]directive
	warnings []Warning
	depth    int // of nested includes, the first file is 0
}

func newParser(files Files) *parser {
	p := &parser{files: files, cfg: config.Default()}
	p.table = p.directives()
	return p
}

// finish adds what depends on the whole configuration.
func (p *parser) finish() (*config.Config, []Warning, error) {
	if k := &p.cfg.Server.Kernel; k.Load == config.LoadOff && len(k.Serve) > 0 {
		p.warn(k.Serve[0].Origin, "xdp directive", "has no effect beside ebpf off")
	}
	sources, warnings := ReadSourceDirs(p.files, p.cfg.SourceDirs)
	p.cfg.Sources = append(p.cfg.Sources, sources...)
	p.warnings = append(p.warnings, warnings...)
	if err := p.cfg.Validate(); err != nil {
		return nil, p.warnings, fmt.Errorf("configuration: %w", err)
	}
	return p.cfg, p.warnings, nil
}

// statement is one directive as written.
type statement struct {
	name   string   // in lower case
	args   []string // the other words
	origin config.Origin
}

// file reads all lines of one file.
func (p *parser) file(path string) error {
	f, err := p.files.Open(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	return eachLine(f, path, func(text string, at config.Origin, _ bool) error {
		return p.line(text, at)
	})
}

// eachLine calls do with each line, and whether the line has an end.
func eachLine(r io.Reader, path string, do func(string, config.Origin, bool) error) error {
	in := bufio.NewReaderSize(r, maxLine+2)
	at := config.Origin{File: path}
	for {
		raw, err := in.ReadSlice('\n')
		if err == io.EOF && len(raw) == 0 {
			return nil
		}
		at.Line++
		text, ended := strings.CutSuffix(string(raw), "\n")
		if errors.Is(err, bufio.ErrBufferFull) || len(text) > maxLine {
			return &problem{what: "Line too long", detail: fmt.Sprintf("max %d characters", maxLine), at: at}
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read configuration %s: %w", path, err)
		}
		if err := do(text, at, ended); err != nil {
			return err
		}
	}
}

// line reads one line; empty ones and comments have no effect.
func (p *parser) line(text string, at config.Origin) error {
	words, err := split(text, at)
	if err != nil || len(words) == 0 {
		return err
	}
	s := &statement{name: strings.ToLower(words[0]), args: words[1:], origin: at}
	d, known := p.table[s.name]
	if !known {
		return p.unknown(words[0], at)
	}
	if err := d.checkArgs(s); err != nil {
		return err
	}
	if err := d.apply(s); err != nil {
		return err
	}
	p.warnNotYet(s)
	return nil
}

// split returns the words of a line, none for a comment. A comment is a whole
// line: after a directive the same characters are part of it.
func split(text string, at config.Origin) ([]string, error) {
	if len(text) > maxLine {
		return nil, &problem{what: "Line too long", detail: fmt.Sprintf("max %d characters", maxLine), at: at}
	}
	words := strings.FieldsFunc(text, isSpace)
	if len(words) == 0 || strings.ContainsRune("!;#%", rune(words[0][0])) {
		return nil, nil
	}
	if strings.ContainsRune(text, 0) {
		return nil, &problem{what: "Invalid character", detail: "a byte of value zero", at: at}
	}
	return words, nil
}

// isSpace is C's isspace in the C locale.
func isSpace(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

// unknown is the error for a directive that is in no table.
func (p *parser) unknown(name string, at config.Origin) error {
	return &problem{
		what:   "Invalid directive " + name,
		detail: didYouMean(strings.ToLower(name), keys(p.table)),
		at:     at,
	}
}

// warn adds a warning; the words around the place are given apart.
func (p *parser) warn(at config.Origin, before, after string) {
	p.warnings = append(p.warnings, warning(at, before, after))
}

func warning(at config.Origin, before, after string) Warning {
	return Warning{File: at.File, Line: at.Line, Text: before + " at " + at.String() + " " + after}
}
