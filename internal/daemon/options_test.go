// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
	"testing"

	"foliot/internal/manual"
)

// TestManual: every option is in the manual, and the manual has no other.
func TestManual(t *testing.T) {
	var flags []string
	for _, o := range manual.DaemonOptions {
		for flag := range strings.SplitSeq(o.Flags, ", ") {
			flags = append(flags, flag)
			if _, err := ParseOptions([]string{flag, "1"}); err != nil {
				t.Errorf("the manual has the option %s: %v", flag, err)
			}
		}
	}
	all := " " + strings.Join(flags, " ") + " "
	for c := byte('!'); c <= '~'; c++ {
		if _, err := ParseOptions([]string{"-" + string(c), "1"}); err == nil && c != '-' && !strings.Contains(all, " -"+string(c)+" ") {
			t.Errorf("the manual lacks the option -%c", c)
		}
	}
	for line := range strings.Lines(manual.DaemonHelp()) {
		if len(line) > 81 {
			t.Errorf("help has a line of %d characters: %s", len(line)-1, line)
		}
	}
}
