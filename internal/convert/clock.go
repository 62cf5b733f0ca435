// SPDX-License-Identifier: Apache-2.0

package convert

import "foliot/internal/config"

func (w *writer) clock() {
	c, d := &w.c.Clock, &w.d.Clock
	w.flag("noclockcontrol", c.NoControl)
	if c.DriftFile != "" {
		var o words
		option(&o, "interval", c.DriftInterval, d.DriftInterval)
		o.flag("ntpd", c.NTPDrift)
		w.line(append([]string{"driftfile", c.DriftFile}, o...)...)
	}
	if c.StepThreshold != 0 || c.StepLimit != 0 {
		w.line("makestep", show(c.StepThreshold), show(c.StepLimit))
	}
	w.flag("rtcsync", c.RTCSync)
	w.flag("manual", c.Manual)
	changed(w, "maxupdateskew", c.MaxUpdateSkew, d.MaxUpdateSkew)
	changed(w, "maxslewrate", c.MaxSlewRate, d.MaxSlewRate)
	changed(w, "maxdrift", c.MaxDrift, d.MaxDrift)
	changed(w, "maxclockerror", c.MaxClockError, d.MaxClockError)
	changed(w, "corrtimeratio", c.CorrTimeRatio, d.CorrTimeRatio)
	changed(w, "clockprecision", c.Precision, d.Precision)
	if x := c.MaxChange; x.Set {
		w.line("maxchange", show(x.Offset), show(x.Start), show(x.Ignore))
	}
	if x := c.FallbackDrift; x != d.FallbackDrift {
		w.line("fallbackdrift", show(x.Min), show(x.Max))
	}
	switch t := c.TempComp; {
	case t.File == "":
	case t.Points != "":
		w.line("tempcomp", t.File, show(t.Interval), t.Points)
	default:
		w.line("tempcomp", t.File, show(t.Interval), show(t.T0), show(t.K0), show(t.K1), show(t.K2))
	}
}

func (w *writer) leap() {
	c, d := &w.c.Leap, &w.d.Leap
	changed(w, "leapsectz", c.TimeZone, d.TimeZone)
	changed(w, "leapseclist", c.List, d.List)
	modes := map[config.LeapMode]string{
		config.LeapSystem: "system", config.LeapStep: "step", config.LeapSlew: "slew", config.LeapIgnore: "ignore",
	}
	changed(w, "leapsecmode", modes[c.Mode], modes[d.Mode])
	if s := w.c.Server.Smooth; s.Enabled {
		var o words
		o.flag("leaponly", s.LeapOnly)
		w.line(append([]string{"smoothtime", show(s.MaxFreq), show(s.MaxWander)}, o...)...)
	}
}

// orphanWait is what local with orphan waits for without waitunsynced, seconds.
const orphanWait = 300.0

func (w *writer) local() {
	c, d := &w.c.Local, &w.d.Local
	if !c.Enabled {
		return
	}
	wait := 0.0
	if c.Orphan {
		wait = orphanWait
	}
	var o words
	option(&o, "stratum", c.Stratum, 0)
	o.flag("orphan", c.Orphan)
	option(&o, "distance", c.Distance, d.Distance)
	option(&o, "activate", c.Activate, d.Activate)
	option(&o, "waitsynced", c.WaitSynced, d.WaitSynced)
	option(&o, "waitunsynced", c.WaitUnsynced, wait)
	if c.NTPClock {
		o = append(o, "unit", show(c.Unit))
	}
	w.line(append([]string{"local"}, o...)...)
}

func (w *writer) log() {
	c, d := &w.c.Log, &w.d.Log
	changed(w, "logfile", c.File, d.File)
	changed(w, "logdir", c.Dir, d.Dir)
	var o words
	o.flag("rawmeasurements", c.RawMeasurements)
	o.flag("measurements", c.Measurements)
	o.flag("statistics", c.Statistics)
	o.flag("selection", c.Selection)
	o.flag("tracking", c.Tracking)
	o.flag("rtc", c.RTC)
	o.flag("refclocks", c.Refclocks)
	o.flag("tempcomp", c.TempComp)
	if len(o) > 0 {
		w.line(append([]string{"log"}, o...)...)
	}
	changed(w, "logbanner", c.Banner, d.Banner)
	changed(w, "logchange", c.Change, d.Change)
	changed(w, "statsdir", c.NTP.Prefix, d.NTP.Prefix)
	w.fileSet("loopstats", &c.NTP.Loop, &d.NTP.Loop)
	w.fileSet("peerstats", &c.NTP.Peer, &d.NTP.Peer)
}

func (w *writer) fileSet(name string, f, d *config.FileSet) {
	var o words
	option(&o, "file", f.File, d.File)
	option(&o, "type", config.SpanNames[f.Type], config.SpanNames[d.Type])
	o.flag("nolink", !f.Link)
	o.flag("enable", f.Enabled)
	if len(o) > 0 {
		w.line(append([]string{"filegen", name}, o...)...)
	}
}

func (w *writer) process() {
	c, d := &w.c.Process, &w.d.Process
	changed(w, "user", c.User, d.User)
	if c.PIDFile != d.PIDFile {
		w.line("pidfile", file(c.PIDFile))
	}
	w.flag("lock_all", c.LockAll)
	changed(w, "sched_priority", c.SchedPriority, d.SchedPriority)
	changed(w, "dumpdir", c.DumpDir, d.DumpDir)
	switch {
	case c.NTPKeys:
		w.line("keys", file(c.KeyFile))
	case c.KeyFile != "":
		w.line("keyfile", c.KeyFile)
	}
	w.trustedKeys(w.c.Server.TrustedKeys)
}

// trustedKeys writes numbers of keys, those that follow each other as a range, a
// number of them to a line.
func (w *writer) trustedKeys(ids []uint32) {
	const most = 40 // words
	words := []string{"trustedkey"}
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && ids[n] == ids[n-1]+1 {
			n++
		}
		words = append(words, show(ids[0]))
		if n > 1 {
			words = append(words, "...", show(ids[n-1]))
		}
		if ids = ids[n:]; len(words) > most || len(ids) == 0 {
			w.line(words...)
			words = words[:1]
		}
	}
}
