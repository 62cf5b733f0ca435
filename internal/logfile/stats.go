// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// StatsConfig says which statistics logs are kept (directives log, logdir and
// logbanner).
type StatsConfig struct {
	Dir    string // logdir
	Banner int    // entries between two banners, 0 for none
	Warn   *slog.Logger

	Measurements    bool // packets that passed tests 1 to 7
	RawMeasurements bool // all packets, into the same file
	Statistics      bool
	Selection       bool
	Tracking        bool
	RefClocks       bool
	TempComp        bool
}

// Stats are the statistics logs. A log that was not asked for swallows its
// records. No trouble with a file stops the daemon: lines are lost, and Warn
// learns of the first and of the recovery. Not safe for concurrent use.
type Stats struct {
	raw          bool
	dir          string
	warn         *slog.Logger
	measurements *table
	statistics   *table
	selection    *table
	tracking     *table
	refClocks    *table
	tempComp     *table
}

// NewStats makes the logs that c asks for. Files are opened at their first
// line; the directory is created if its parent exists.
func NewStats(c StatsConfig) *Stats {
	s := &Stats{raw: c.RawMeasurements, dir: c.Dir, warn: c.Warn}
	add := func(wanted bool, name, head string) *table {
		if !wanted || c.Dir == "" {
			return nil
		}
		path := filepath.Join(c.Dir, name+".log")
		rule := strings.Repeat("=", len(head)) + "\n"
		return &table{
			file:   File{path: path},
			warn:   c.Warn,
			banner: []byte(rule + head + "\n" + rule),
			period: c.Banner,
			line:   make([]byte, 0, 512),
		}
	}
	s.measurements = add(c.Measurements || c.RawMeasurements, "measurements", measurementHead)
	s.statistics = add(c.Statistics, "statistics", statisticsHead)
	s.selection = add(c.Selection, "selection", selectionHead)
	s.tracking = add(c.Tracking, "tracking", trackingHead)
	s.refClocks = add(c.RefClocks, "refclocks", refClockHead)
	s.tempComp = add(c.TempComp, "tempcomp", tempCompHead)
	s.makeDir()
	return s
}

// tables lists the logs that are kept.
func (s *Stats) tables() []*table {
	var kept []*table
	for _, t := range []*table{s.measurements, s.statistics, s.selection, s.tracking, s.refClocks, s.tempComp} {
		if t != nil {
			kept = append(kept, t)
		}
	}
	return kept
}

func (s *Stats) makeDir() {
	if len(s.tables()) == 0 {
		return
	}
	if err := os.Mkdir(s.dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		s.warn.Warn(fmt.Sprintf("create log directory: %v", err))
	}
}

// Measurement logs a received packet.
func (s *Stats) Measurement(m *Measurement) {
	if t := s.measurements; t != nil && (s.raw || m.Tests&TestsSynchronized == TestsSynchronized) {
		t.write(m.appendTo(t.begin()))
	}
}

// Statistics logs a regression.
func (s *Stats) Statistics(r *Statistics) {
	if t := s.statistics; t != nil {
		t.write(r.appendTo(t.begin()))
	}
}

// Selection logs what a selection made of one source.
func (s *Stats) Selection(r *Selection) {
	if t := s.selection; t != nil {
		t.write(r.appendTo(t.begin()))
	}
}

// Tracking logs an update of the clock.
func (s *Stats) Tracking(r *Tracking) {
	if t := s.tracking; t != nil {
		t.write(r.appendTo(t.begin()))
	}
}

// RefClock logs a sample of a reference clock.
func (s *Stats) RefClock(r *RefClock) {
	if t := s.refClocks; t != nil {
		t.write(r.appendTo(t.begin()))
	}
}

// TempComp logs a temperature compensation.
func (s *Stats) TempComp(r *TempComp) {
	if t := s.tempComp; t != nil {
		t.write(r.appendTo(t.begin()))
	}
}

// Cycle begins new files at the same paths, after the old ones were moved away
// (chronyc cyclelogs, SIGHUP). Each begins with a banner.
func (s *Stats) Cycle() {
	s.makeDir()
	for _, t := range s.tables() {
		t.file.Close()
		t.entries = 0
	}
}

// Close closes all files.
func (s *Stats) Close() error {
	var errs []error
	for _, t := range s.tables() {
		errs = append(errs, t.file.Close())
	}
	return errors.Join(errs...)
}

// table is one statistics log.
type table struct {
	file    File
	warn    *slog.Logger
	banner  []byte
	period  int    // entries from banner to banner, 0 = no banners
	entries int    // since the file was opened
	line    []byte // scratch
	lost    int    // entries since writing failed, 0 = all is well
}

// begin returns the start of an entry: the banner when it is due.
func (t *table) begin() []byte {
	if t.period > 0 && t.entries%t.period == 0 {
		return append(t.line[:0], t.banner...)
	}
	return t.line[:0]
}

// write appends an entry to the file.
func (t *table) write(entry []byte) {
	t.line = entry[:0]
	t.entries++
	_, err := t.file.Write(entry)
	switch {
	case err != nil:
		t.lost++
		if t.lost == 1 {
			t.warn.Warn(fmt.Sprintf("write statistics log: %v", err))
		}
	case t.lost > 0:
		t.warn.Info(fmt.Sprintf("write statistics log %s: works again, %d entries were lost", t.file.path, t.lost))
		t.lost = 0
	}
}
