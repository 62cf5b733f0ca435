// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"path/filepath"

	"foliot/internal/manual"
)

// usage is what --help prints.
func (o *options) usage() string { return manual.ClientHelp(filepath.Base(o.program), !o.chronyc) }

func help(s *session, _ string) bool {
	s.out.WriteString(manual.CommandHelp(!s.o.chronyc))
	return true
}
