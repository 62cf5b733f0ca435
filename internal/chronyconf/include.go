// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"foliot/internal/config"
)

// Limits of files that name files.
const (
	maxDepth = 10 // includes within includes
	maxDirs  = 10 // directories of one directive
)

func (p *parser) fileDirectives() map[string]directive {
	return map[string]directive{
		"include":   {1, 1, p.include},
		"confdir":   {1, maxDirs, p.confDir},
		"sourcedir": {1, maxDirs, p.sourceDir},
	}
}

// include reads every file that matches a pattern, at once. None may match.
func (p *parser) include(s *statement) error {
	names, err := p.files.Glob(s.args[0])
	if err != nil {
		return s.bad("pattern %s: %v", s.args[0], err)
	}
	return p.nested(s, names)
}

// confDir reads the files of its directories that end in .conf.
func (p *parser) confDir(s *statement) error {
	names, err := search(p.files, s.args, ".conf")
	if err != nil {
		return s.bad("%v", err)
	}
	return p.nested(s, names)
}

// nested reads files on behalf of a directive.
func (p *parser) nested(s *statement, names []string) error {
	if p.depth++; p.depth > maxDepth {
		return s.bad("files include each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	for _, name := range names {
		if err := p.file(name); err != nil {
			return err
		}
	}
	return nil
}

// sourceDir notes directories; they are read when everything else has been.
func (p *parser) sourceDir(s *statement) error {
	p.cfg.SourceDirs = append(p.cfg.SourceDirs, config.SourceDir{Origin: s.origin, Dirs: s.args})
	return nil
}

// search lists files with a suffix, sorted by name. Of those with the same name
// the one in the first directory counts. A directory may be missing.
func search(files Files, dirs []string, suffix string) ([]string, error) {
	var found []string
	seen := make(map[string]bool)
	for _, dir := range dirs {
		names, err := files.List(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		for _, name := range names {
			hidden := strings.HasPrefix(name, ".")
			if hidden || !strings.HasSuffix(name, suffix) || seen[name] {
				continue
			}
			seen[name] = true
			found = append(found, filepath.Join(dir, name))
		}
	}
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Compare(filepath.Base(a), filepath.Base(b))
	})
	return found, nil
}

// ReadSourceDirs reads the sources in directories named by sourcedir, at the
// start and again whenever they may have changed. Other programs write these
// files at any time, so nothing in them is an error: what is wrong is left out
// and reported, and a last line without an end is taken as not yet written.
func ReadSourceDirs(files Files, dirs []config.SourceDir) ([]config.Source, []Warning) {
	var sources []config.Source
	var warnings []Warning
	for _, d := range dirs {
		names, err := search(files, d.Dirs, ".sources")
		if err != nil {
			warnings = append(warnings, warning(d.Origin, "sourcedir directive", fmt.Sprintf("is incomplete: %v", err)))
		}
		for _, name := range names {
			s, w := readSources(files, name)
			sources, warnings = append(sources, s...), append(warnings, w...)
		}
	}
	return sources, warnings
}

// readSources reads one file of a sourcedir.
func readSources(files Files, name string) (sources []config.Source, warnings []Warning) {
	report := func(at config.Origin, err error) {
		warnings = append(warnings, Warning{File: at.File, Line: at.Line, Text: "skipped: " + err.Error()})
	}
	f, err := files.Open(name)
	if err != nil {
		report(config.Origin{File: name}, fmt.Errorf("read sources: %w", err))
		return nil, warnings
	}
	defer f.Close()
	last := config.Origin{File: name}
	err = eachLine(f, name, func(text string, at config.Origin, ended bool) error {
		last = at
		if !ended {
			return &problem{what: "Line without an end", at: at}
		}
		src, more, err := sourceLine(text, at)
		if err != nil {
			report(at, err)
		} else if src != nil {
			sources, warnings = append(sources, *src), append(warnings, more...)
		}
		return nil
	})
	if err != nil {
		report(last, err)
	}
	return sources, warnings
}

// sourceLine reads one line of a file of a sourcedir; nil for an empty one.
func sourceLine(text string, at config.Origin) (*config.Source, []Warning, error) {
	words, err := split(text, at)
	if err != nil || len(words) == 0 {
		return nil, nil, err
	}
	s := &statement{name: strings.ToLower(words[0]), args: words[1:], origin: at}
	if _, ok := sourceKinds[s.name]; !ok {
		return nil, nil, &problem{
			what: "Invalid directive " + words[0], at: at, detail: "only server, pool, peer and monitor may stand here",
		}
	}
	if err := (directive{least: 1, most: -1}).checkArgs(s); err != nil {
		return nil, nil, err
	}
	src, warnings, err := parseSource(s)
	if err != nil {
		return nil, nil, err
	}
	src.FromDir = true
	return &src, warnings, nil
}
