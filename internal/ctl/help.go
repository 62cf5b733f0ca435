// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"path/filepath"

	"foliot/internal/manual"
)

// usage is what --help prints.
func (o *options) usage() string { return manual.ClientHelp(filepath.Base(o.Program), !o.plain) }
