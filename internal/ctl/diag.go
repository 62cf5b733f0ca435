// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"foliot/internal/chronyconf"
	"foliot/internal/control"
	"foliot/internal/diag"
	"foliot/internal/report"
)

// defaultConfig is where foliotd looks for its configuration.
const defaultConfig = "/etc/foliot/foliot.conf"

// diag writes the text that goes with a bug report: diag [-f FILE].
func (s *session) diag(line string) bool {
	file, ok := strings.CutPrefix(line, "-f ")
	if !ok && line != "" {
		return s.fail(ExitUsage, fmt.Errorf("unexpected argument %q", line), "diag [-f FILE]")
	}
	err := diag.Write(diag.Config{
		Out: s.out, Version: Version, Files: chronyconf.OS{}, File: file, Default: defaultConfig, Read: os.ReadFile,
		Ask: func(verb string, w io.Writer) error {
			ctx, cancel := context.WithTimeout(s.ctx, s.o.wait)
			defer cancel()
			return control.Do(ctx, s.o.socket, verb, w)
		},
		Report: s.reportTo,
	})
	if err != nil {
		return s.fail(ExitRefused, err, "")
	}
	return true
}

// reportTo writes a report of chronyc's as text to w, complaints too.
func (s *session) reportTo(command string, w io.Writer) bool {
	o := *s.o
	o.noNames, o.sourceNames, o.format = true, false, report.Text
	out := bufio.NewWriter(w)
	defer out.Flush()
	aside := *s
	aside.o, aside.out, aside.err = &o, out, out
	aside.print = &report.Printer{W: out, Format: o.format}
	ok := aside.dispatch(command)
	s.client = aside.client
	return ok
}
