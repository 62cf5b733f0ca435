// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"fmt"
	"strings"
)

// optionColumn is where the explanations of options begin.
const optionColumn = 17

// DaemonHelp is the text of foliotd --help.
func DaemonHelp() string {
	return "usage: foliotd [options] [directive...]\n\n" + optionHelp(DaemonOptions, true) +
		"\nFurther arguments are configuration directives, used in place of the file.\n"
}

// ClientHelp is the text of --help of foliotctl under the name that it was called
// by; own says that it is not chronyc.
func ClientHelp(program string, own bool) string {
	text := "usage: " + program + " [OPTION]... [COMMAND]...\n\nOptions:\n" + optionHelp(ClientOptions, own)
	if !own {
		return text
	}
	return text + `
Without a command they are read from standard input. "help" lists them.
Exit status: 0 done, 1 refused or no answer; for commands that only foliotd has
also 2 usage, 3 daemon not reached.
`
}

func optionHelp(all []Option, own bool) string {
	var b strings.Builder
	for _, o := range all {
		if o.Own && !own {
			continue
		}
		flags := o.Flags
		if o.Value != "" {
			flags += " " + o.Value
		}
		row(&b, "  ", flags, optionColumn, plain(o.About))
	}
	return b.String()
}

// row is a term and what is said of it, on a line of its own if the term is long.
func row(b *strings.Builder, indent, term string, column int, about string) {
	if column > 0 && len(indent+term) >= column {
		fmt.Fprintf(b, "%s%s\n%*s%s\n", indent, term, column, "", about)
		return
	}
	fmt.Fprintf(b, "%-*s%s\n", column, indent+term, about)
}

// commandColumn is where the explanations of commands begin.
const commandColumn = 28

// CommandHelp is the answer to the command help.
func CommandHelp(own bool) string {
	var b strings.Builder
	for _, g := range Commands {
		titled := false
		for _, c := range g.Commands {
			if c.Own && !own {
				continue
			}
			if !titled {
				fmt.Fprintf(&b, "\n%s:\n", g.Title)
				titled = true
			}
			row(&b, "", c.Usage, commandColumn, plain(c.About))
		}
	}
	return b.String()
}
