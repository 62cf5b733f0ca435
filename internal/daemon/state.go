// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/logfile"
	"foliot/internal/ntp"
	"foliot/internal/process"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/stats"
	"foliot/internal/sysclock"
	"foliot/internal/worker"
)

// dump saves the history of every source (dumpdir).
func (d *daemon) dump(c *config.Config, e *engine.Engine) {
	dir := c.Process.DumpDir
	if dir == "" || d.opts.OneShot() {
		return
	}
	for ref, a := range e.Associations() {
		h := historyOf(ref.Name, a)
		if len(h.Samples) == 0 {
			continue
		}
		if err := logfile.SaveDump(dir, logfile.Name{Addr: ref.Addr.Addr()}, h); err != nil {
			d.log.Warn("Could not save history of " + ref.Name + ": " + err.Error())
		}
	}
}

func historyOf(name string, a *source.Association) *logfile.Dump {
	reg := a.Register()
	h := &logfile.Dump{Source: name, Authenticated: a.Config().Authenticated, AsymmetryRun: reg.AsymmetryRun()}
	h.Reach, h.ReachSize = a.Reach()
	if p, ok := a.Remote(); ok {
		h.Stratum, h.Leap = int(p.Stratum), p.Leap
	}
	for i := max(0, reg.Held()-logfile.MaxDumpSamples); i < reg.Held(); i++ {
		s := reg.Sample(i)
		h.Samples = append(h.Samples, logfile.DumpSample{
			Time: s.Time, Offset: s.Offset, OrigOffset: s.Measured,
			PeerDelay: s.Delay, PeerDisp: s.Disp, RootDelay: s.RootDelay, RootDisp: s.RootDisp,
		})
	}
	return h
}

// restore sees to it that the saved history of each source is loaded when the
// source is added, which is when its name has resolved (-r). Without -r old
// histories are of no use any more.
func (d *daemon) restore(c *config.Config, e *engine.Engine, w *world) {
	dir := c.Process.DumpDir
	switch {
	case dir == "":
	case !d.opts.Reload:
		d.removeDumps(c)
	default:
		w.added = func(ref engine.SourceRef) {
			if a := e.Association(ref.ID); a != nil {
				d.restoreOne(dir, ref, a, e, w)
			}
		}
	}
}

// removeDumps deletes the saved histories.
func (d *daemon) removeDumps(c *config.Config) {
	dir := c.Process.DumpDir
	if dir == "" || d.opts.OneShot() {
		return
	}
	if err := logfile.RemoveDumps(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.log.Warn(err.Error())
	}
}

func (d *daemon) restoreOne(dir string, ref engine.SourceRef, a *source.Association, e *engine.Engine, w *world) {
	h, err := logfile.LoadDump(dir, logfile.Name{Addr: ref.Addr.Addr()})
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil && h.Source != ref.Name {
		err = fmt.Errorf("it is of %s", h.Source)
	}
	if err != nil {
		d.log.Warn("Could not load dump file for " + ref.Name + ": " + err.Error())
		return
	}
	samples := make([]stats.Sample, 0, len(h.Samples))
	for _, s := range h.Samples {
		samples = append(samples, stats.Sample{
			Time: s.Time, Offset: s.Offset, Measured: s.OrigOffset, Delay: s.PeerDelay, Disp: s.PeerDisp,
			RootDelay: s.RootDelay, RootDisp: s.RootDisp,
		})
	}
	if !a.Restore(samples, h.Reach, h.ReachSize, uint8(h.Stratum), h.Leap, e.ServedAt(w.Now())) {
		d.log.Warn("Could not load dump file for " + ref.Name + ": it is from the future")
		return
	}
	d.log.Info("Loaded dump file for " + ref.Name)
}

// setFromFile sets the clock forward at start (-s) when it is behind the
// real-time clock or, without one, behind the last time that the drift file was
// written: a machine without a battery begins in the past.
func (d *daemon) setFromFile(c *config.Config, w *world) {
	now := time.Unix(0, sysclock.Read().Wall.Nanos())
	best := time.Time{}
	if b, err := os.ReadFile("/sys/class/rtc/rtc0/since_epoch"); err == nil {
		if s, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
			best = time.Unix(s, 0)
		}
	}
	if c.Clock.DriftFile != "" && best.IsZero() {
		if st, err := os.Stat(c.Clock.DriftFile); err == nil {
			best = st.ModTime()
		}
	}
	behind := best.Sub(now)
	if best.IsZero() || behind < time.Second {
		return
	}
	if _, err := w.clock.Step(clock.Offset(behind.Seconds())); err != nil {
		d.log.Warn(err.Error())
		return
	}
	d.log.Info(fmt.Sprintf("System clock set %.0f seconds forward from RTC or drift file", behind.Seconds()))
}

// giveFiles makes the directories that the daemon writes to after the rights
// are dropped, and gives them to the user that it becomes.
func (d *daemon) giveFiles(c *config.Config) error {
	id := process.Identity{UID: os.Geteuid(), GID: os.Getegid()}
	var dirs []string
	if c.Process.User != "" {
		var err error
		if id, err = process.LookupUser(c.Process.User); err != nil {
			return err
		}
		dirs = append(dirs, c.Log.Dir, c.Process.DumpDir)
		if !d.opts.OneShot() {
			dirs = append(dirs, filepath.Dir(d.socketPath()))
		}
	}
	if c.Clock.DriftFile != "" {
		dirs = append(dirs, filepath.Dir(c.Clock.DriftFile))
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if _, err := os.Lstat(dir); err == nil {
			continue // somebody made it and decided whose it is
		}
		err := os.MkdirAll(dir, 0o750)
		if err == nil {
			err = os.Lchown(dir, id.UID, id.GID)
		}
		if err != nil {
			d.log.Warn(err.Error())
		}
	}
	return nil
}

// checkDrift warns, once the rights are dropped, of a drift file that could not
// be written. It is written under another name and renamed.
func (d *daemon) checkDrift(c *config.Config) {
	const writable = 2 // W_OK
	if c.Clock.DriftFile == "" {
		return
	}
	if err := syscall.Access(filepath.Dir(c.Clock.DriftFile), writable); err != nil {
		d.log.Warn("Could not write to the directory of drift file " + c.Clock.DriftFile + ": " + err.Error())
	}
}

// leftOver is the rate beyond which the kernel's is no clock's drift but a slew
// that somebody did not end: it takes the kernel's tick, not only its fine
// correction (struct timex).
const leftOver = 500e-6

// distrust begins with the nominal rate if there is no drift file to tell the
// clock's own and the kernel's, found, cannot be it.
func (d *daemon) distrust(found clock.Frequency, cfg *engine.Config) {
	if !d.control || cfg.Drift != nil || found >= -leftOver && found <= leftOver {
		return
	}
	cfg.Drift = &engine.Drift{Frequency: 0, Skew: clock.FromPPM(100)}
	d.log.Warn(fmt.Sprintf("Frequency %.3f ppm of the kernel is a left-over slew, starting at 0 ppm", -found.PPM()))
}

// check is --check.
func check(o *Options, stdout, stderr io.Writer) int {
	l, err := (&daemon{opts: o}).load()
	if err != nil {
		fmt.Fprintf(stderr, "foliotd: %s\n", err)
		return exitFatal
	}
	for _, w := range l.Warnings {
		fmt.Fprintf(stderr, "foliotd: warning: %s\n", w)
	}
	if user := l.Config.Process.User; user != "" {
		if _, err := process.LookupUser(user); err != nil {
			fmt.Fprintf(stderr, "foliotd: %s\n", err)
			return exitFatal
		}
	}
	name := o.File
	if len(o.Directives) > 0 {
		name = "directives on the command line"
	}
	fmt.Fprintf(stdout, "%s: %d sources, no errors\n", name, len(l.Config.Sources))
	return exitOK
}

// status describes the daemon in a few lines.
func (l *loop) status(out io.Writer) error {
	t := l.e.Tracking(l.w.Now())
	state := "not synchronised"
	switch {
	case ntp.RefID(t.RefID) == ntp.RefIDLocal:
		state = "serving its own clock (local), " + state
	case t.Synchronized:
		state = "synchronised to " + t.Name
	}
	fmt.Fprintf(out, "foliotd %s, %s\n", Version, state)
	fmt.Fprintf(out, "stratum %d, offset %+.9f s to be slewed out, last offset %+.9f s, RMS offset %.9f s\n",
		t.Stratum, float64(t.Remaining), float64(t.LastOffset), t.RMSOffset)
	fmt.Fprintf(out, "frequency %+.3f ppm, skew %.3f ppm, root delay %.9f s, root dispersion %.9f s\n",
		t.Frequency.PPM(), t.Skew.PPM(), t.RootDelay, t.RootDisp)
	r := l.w.report()
	r.Add(&l.e.Server().Counters)
	r.Add(l.w.answeredInKernel())
	fmt.Fprintf(out, "requests answered %d (%d interleaved, %d with a key, %d asked to slow down), refused %d%s\n\n",
		r.Answered(), r.Interleaved, r.Authenticated, r.Verdicts[responder.Kissed], r.Refused(), reasons(&r))
	fmt.Fprintf(out, "%s %-32s %3s %4s %5s  %14s %12s\n", "S", "source", "st", "poll", "reach", "offset", "+/-")
	for _, r := range l.e.Rows() {
		a := l.e.Association(r.Source.ID)
		if r.Status == 0 {
			r.Status = selection.Missing // it was not looked at yet
		}
		fmt.Fprintf(out, "%c %-32s %3d %4d %5o  %+14.9f %12.9f\n", r.Status, label(&r.Source), stratumOf(a), a.Poll(), r.Reach,
			(r.Lo+r.Hi)/2, (r.Hi-r.Lo)/2)
	}
	return nil
}

// reasons lists why requests were not answered, those that occurred.
func reasons(r *worker.Report) string {
	var list []string
	for v := responder.BadLength; int(v) < responder.Verdicts; v++ {
		if n := r.Verdicts[v]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d", v, n))
		}
	}
	if r.Dropped > 0 {
		list = append(list, fmt.Sprintf("receive buffer full %d", r.Dropped))
	}
	if r.Unsent > 0 {
		list = append(list, fmt.Sprintf("not sent by the kernel %d", r.Unsent))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func label(s *engine.SourceRef) string {
	addr := s.Addr.Addr().String()
	if s.Name == addr {
		return addr
	}
	return addr + " (" + s.Name + ")"
}

func stratumOf(a *source.Association) uint8 {
	if p, ok := a.Remote(); ok {
		return p.Stratum
	}
	return 0
}

type unknownVerbError string

func (e unknownVerbError) Error() string { return "unknown command " + string(e) }

func errUnknownVerb(v string) error { return unknownVerbError(v) }
