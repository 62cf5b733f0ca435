// SPDX-License-Identifier: Apache-2.0

// Package manual is all that is said about the use of foliotd and foliotctl, in
// tables: their options, the commands, the directives. It renders them as help
// texts, manual pages and completions of shells. What options and directives do is
// other packages' business.
//
// The one concept is that a thing is described once: a row here is the line of
// --help, the paragraph of the manual page and the word that the shell completes.
// Tests hold the tables to what the programs understand. In texts, `words` between
// backquotes are to be typed as they are.
package manual

import "strings"

// Date is that of the manual pages.
const Date = "2026-11-25"

// Option is an option of a program.
type Option struct {
	Flags string // as in "-v, --version"
	Value string // name of its value, "" for none
	About string // a clause
	More  string // sentences for the manual page
	Own   bool   // chronyc, or chronyd, does not have it
	Path  bool   // the value is a file
}

// Command is a command of foliotctl.
type Command struct {
	Usage string // the name, or several with commas, and what follows
	About string // a clause
	More  string // sentences for the manual page
	Words string // what may follow, for completion
	Own   bool   // chronyc does not have it
}

// Group is commands that belong together.
type Group struct {
	Title    string
	Commands []Command
}

// Names returns the names of the command.
func (c *Command) Names() (names []string) {
	for word := range strings.FieldsSeq(c.Usage) {
		name, more := strings.CutSuffix(word, ",")
		names = append(names, name)
		if !more {
			break
		}
	}
	return names
}

// Directive is a directive of the configuration, or an option of one.
type Directive struct {
	Usage string // the name and what follows
	About string // sentences
}

// Name returns the name of the directive.
func (d *Directive) Name() string {
	name, _, _ := strings.Cut(d.Usage, " ")
	return name
}

// Chapter is directives that belong together.
type Chapter struct {
	Title      string
	Intro      string
	Directives []Directive
}

// plain is a text without marks.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }
