// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"foliot/internal/chronyconf"
	"foliot/internal/control"
	"foliot/internal/diag"
)

// defaultConfig is where foliotd looks for its configuration.
const defaultConfig = "/etc/foliot/foliot.conf"

// diag writes the text that goes with a bug report: diag [-f CONFIG].
func (s *session) diag(line string) bool {
	file, ok := strings.CutPrefix(line, "-f ")
	if !ok && line != "" {
		return s.fail(ExitUsage, fmt.Errorf("unexpected argument %q", line), "diag [-f CONFIG]")
	}
	err := diag.Write(diag.Config{
		Out: s.Out, Version: Version, Files: chronyconf.OS{}, File: file, Default: defaultConfig, Read: os.ReadFile,
		Ask: func(verb string, w io.Writer) error {
			ctx, cancel := context.WithTimeout(s.Ctx, s.o.wait)
			defer cancel()
			return control.Do(ctx, s.o.socket, verb, w)
		},
		Report: s.Report,
	})
	if err != nil {
		return s.fail(ExitRefused, err, "")
	}
	return true
}
