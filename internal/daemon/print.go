// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"io"

	"foliot/internal/convert"
)

// print is -p: the configuration in force, in the language of foliot.conf, with
// what the command line changes. Settings at their defaults are left out. The
// sources that directories hold come last, as comments: they are the directories'.
func print(o *Options, stdout, stderr io.Writer) int {
	c, warnings, _, err := parse(o)
	if err != nil {
		fmt.Fprintf(stderr, "foliotd: %s\n", err)
		return exitFatal
	}
	o.override(c)
	for _, w := range warnings {
		fmt.Fprintf(stderr, "foliotd: warning: %s\n", w)
	}
	io.WriteString(stdout, convert.Text(c, "", nil))
	for i := range c.Sources {
		if s := &c.Sources[i]; s.FromDir {
			fmt.Fprintf(stdout, "# %s %s, of %s\n", s.Kind, s.Name, s.Origin.File)
		}
	}
	return exitOK
}
