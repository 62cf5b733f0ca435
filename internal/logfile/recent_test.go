// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestRecent(t *testing.T) {
	var out, all bytes.Buffer
	recent := new(Recent)
	log := slog.New(Both(NewHandler(HandlerConfig{Output: &out, Level: slog.LevelWarn}), NewHandler(HandlerConfig{Output: recent}))).
		With("a", 1).WithGroup("g")
	for i := range 300 {
		log.Info(fmt.Sprint("message ", i), "b", 2)
	}
	log.Debug("unseen")
	log.Warn("last")
	if got := strings.Count(out.String(), "\n"); got != 1 || !strings.Contains(out.String(), " last a=1") {
		t.Errorf("the log is %q, want the warning alone", &out)
	}
	if _, err := recent.WriteTo(&all); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(all.String(), "\n"), "\n")
	if len(lines) != 256 || !strings.HasSuffix(lines[0], "message 45 a=1 g.b=2") || !strings.HasSuffix(lines[255], " last a=1") {
		t.Errorf("%d lines, first %q, last %q", len(lines), lines[0], lines[len(lines)-1])
	}
}
