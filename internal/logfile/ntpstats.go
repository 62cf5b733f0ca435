// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"foliot/internal/clock"
	"foliot/internal/config"
)

// NTPStats are statistics in the formats of ntpd (statistics, filegen). Trouble
// with a file loses lines, and warn learns of the first. Not safe for concurrent
// use; a nil one writes nothing.
type NTPStats struct{ loop, peer *fileSet }

// NewNTPStats makes the sets that c enables. Files are opened at their first line.
func NewNTPStats(c *config.NTPStats, warn *slog.Logger) *NTPStats {
	began := time.Now()
	set := func(f *config.FileSet) *fileSet {
		if !f.Enabled {
			return nil
		}
		return &fileSet{FileSet: *f, path: c.Prefix + f.File, warn: warn, began: began}
	}
	return &NTPStats{loop: set(&c.Loop), peer: set(&c.Peer)}
}

// LoopStats is a line of loopstats: one update of the clock.
type LoopStats struct {
	Time      clock.Served
	Offset    clock.Offset
	Frequency clock.Frequency // of the clock uncorrected, as in ntpd's drift file
	Jitter    float64         // seconds
	Wander    clock.Frequency
	Poll      int8 // log2 seconds
}

// PeerStats is a line of peerstats: one sample of a source.
type PeerStats struct {
	Time       clock.Served
	Source     netip.Addr
	Status     uint16 // the word that ntpq shows
	Offset     clock.Offset
	Delay      clock.Delay
	Dispersion clock.Dispersion
	Jitter     float64 // seconds
}

// Loop writes a line of loopstats.
func (s *NTPStats) Loop(l *LoopStats) {
	if s == nil || s.loop == nil {
		return
	}
	b := appendMJD(make([]byte, 0, 128), l.Time)
	b = appendFixed(b, float64(l.Offset), 9)
	b = appendFixed(b, l.Frequency.PPM(), 3)
	b = appendFixed(b, l.Jitter, 9)
	b = appendFixed(b, l.Wander.PPM(), 6)
	b = strconv.AppendInt(append(b, ' '), int64(l.Poll), 10)
	s.loop.write(clock.Time(l.Time), append(b, '\n'))
}

// Peer writes a line of peerstats.
func (s *NTPStats) Peer(p *PeerStats) {
	if s == nil || s.peer == nil {
		return
	}
	b := appendMJD(make([]byte, 0, 160), p.Time)
	b = p.Source.AppendTo(append(b, ' '))
	b = strconv.AppendUint(append(b, ' '), uint64(p.Status), 16)
	for _, x := range [...]float64{float64(p.Offset), float64(p.Delay), float64(p.Dispersion), p.Jitter} {
		b = appendFixed(b, x, 9)
	}
	s.peer.write(clock.Time(p.Time), append(b, '\n'))
}

// Close closes the files.
func (s *NTPStats) Close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.loop.close(), s.peer.close())
}

// appendMJD appends the Modified Julian Day and the second of the day.
func appendMJD(b []byte, t clock.Served) []byte {
	const day, epoch = 86400_000, 40587 // milliseconds; MJD of 1970-01-01
	ms := t.Nanos() / 1e6
	n := ms / day
	if ms -= n * day; ms < 0 {
		n, ms = n-1, ms+day
	}
	b = append(strconv.AppendInt(b, n+epoch, 10), ' ')
	return fmt.Appendf(b, "%d.%03d", ms/1000, ms%1000)
}

// appendFixed appends a space and a number with so many digits after the point.
func appendFixed(b []byte, x float64, digits int) []byte {
	return appendFloat(append(b, ' '), x, layout{'f', 0, digits})
}

// fileSet is a set of files that follow each other.
type fileSet struct {
	config.FileSet
	path  string // of the files, without suffix
	warn  *slog.Logger
	began time.Time
	file  *File  // nil before the first line
	name  string // of file
	lost  int    // lines since writing failed
}

func (f *fileSet) close() error {
	if f == nil || f.file == nil {
		return nil
	}
	return f.file.Close()
}

// suffix is what the name of the file that is written at t ends in.
func (f *fileSet) suffix(t time.Time) string {
	const day = 24 * time.Hour
	switch t = t.UTC(); f.Type {
	case config.SpanDay:
		return t.Format(".20060102")
	case config.SpanWeek:
		year, week := t.ISOWeek()
		return fmt.Sprintf(".%04dW%02d", year, week)
	case config.SpanMonth:
		return t.Format(".200601")
	case config.SpanYear:
		return t.Format(".2006")
	case config.SpanAge:
		return fmt.Sprintf(".a%08d", int64(max(0, t.Sub(f.began)).Truncate(day).Seconds()))
	case config.SpanPID:
		return fmt.Sprintf(".%d", os.Getpid())
	}
	return ""
}

// write appends a line to the file of the time t.
func (f *fileSet) write(t time.Time, line []byte) {
	err := f.turn(f.path + f.suffix(t))
	if err == nil {
		_, err = f.file.Write(line)
	}
	switch {
	case err != nil:
		if f.lost++; f.lost == 1 {
			f.warn.Warn(fmt.Sprintf("write statistics: %v", err))
		}
	case f.lost > 0:
		f.warn.Info(fmt.Sprintf("write statistics %s: works again, %d lines were lost", f.name, f.lost))
		f.lost = 0
	}
}

// turn goes on to the file of that name.
func (f *fileSet) turn(name string) error {
	if f.file != nil && f.name == name {
		return nil
	}
	if err := f.close(); err != nil {
		return err
	}
	f.file = nil
	file, err := OpenFile(name)
	if err != nil {
		return err
	}
	f.file, f.name = file, name
	if f.Link && name != f.path {
		return f.link()
	}
	return nil
}

// link makes the name without suffix a second name of the file. What has that name
// and no other is kept under one more, as ntpd does it.
func (f *fileSet) link() error {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("link %s: there is something that is no file", f.path)
	case info.Sys().(*syscall.Stat_t).Nlink > 1:
		err = os.Remove(f.path)
	default:
		err = os.Rename(f.path, fmt.Sprintf("%s.C%d", f.path, os.Getpid()))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Link(f.name, f.path)
}
