// SPDX-License-Identifier: Apache-2.0

// Package narrate tells people what the engine did: events become messages in
// chrony's words, which operators and their log watchers know, and lines of the
// statistics logs. It decides nothing, and in steady state no message is
// written at all.
package narrate

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/logfile"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/source"
)

// Narrator writes the messages and statistics logs of one daemon. Not safe for
// concurrent use.
type Narrator struct {
	Log   *slog.Logger
	Stats *logfile.Stats
	NTP   *logfile.NTPStats // nil: none

	known map[engine.SourceID]known
}

// Event handles one event.
func (n *Narrator) Event(ev *engine.Event) {
	n.note(ev)
	if n.record(ev) {
		return
	}
	if text, level := message(ev); text != "" {
		n.Log.Log(context.Background(), level, text)
	}
}

// record writes events of the statistics logs and reports whether ev is one.
func (n *Narrator) record(ev *engine.Event) bool {
	switch ev.Kind {
	case engine.EvMeasurement:
		n.measurement(ev)
	case engine.EvStatistics:
		n.statistics(ev)
		n.peerStats(ev)
	case engine.EvTracking:
		n.tracking(ev)
		n.loopStats(ev)
	case engine.EvSelection:
		n.selection(ev)
	case engine.EvTemperature:
		n.Stats.TempComp(&logfile.TempComp{Time: ev.Time, Temperature: ev.Value, Compensation: clock.Frequency(ev.Limit)})
	default:
		return false
	}
	return true
}

func message(ev *engine.Event) (string, slog.Level) {
	info, warn := slog.LevelInfo, slog.LevelWarn
	switch ev.Kind {
	case engine.EvSelected:
		return "Selected source " + name(&ev.Source), info
	case engine.EvUnselected:
		return unselected(ev), warn
	case engine.EvFalseticker:
		return "Detected falseticker " + name(&ev.Source), warn
	case engine.EvDistance:
		return fmt.Sprintf("Root distance of %s exceeds maxdistance of %.3f", name(&ev.Source), ev.Limit), warn
	case engine.EvJitter:
		return fmt.Sprintf("Jitter of %s exceeds maxjitter of %.3f", name(&ev.Source), ev.Limit), warn
	case engine.EvStratum:
		return stratum(ev), warn
	case engine.EvKissOfDeath:
		return "Received KoD RATE from " + ev.Source.Addr.Addr().String(), warn
	case engine.EvUnresolved:
		return "Cannot resolve the address of " + ev.Name + " yet, trying again later", warn
	case engine.EvAdded:
		return "Added source " + name(&ev.Source), slog.LevelDebug
	case engine.EvRemoved:
		return "Removed source " + name(&ev.Source), info
	case engine.EvOnline:
		return "Source " + name(&ev.Source) + " online", info
	case engine.EvOffline:
		return "Source " + name(&ev.Source) + " offline", info
	case engine.EvReplaced:
		return fmt.Sprintf("Source %s replaced with %s", name(&ev.Old), name(&ev.Source)), info
	}
	if ev.Kind == engine.EvSetting {
		return setting(ev), info
	}
	return clockMessage(ev)
}

// clockMessage is message for events about the clock itself.
func clockMessage(ev *engine.Event) (string, slog.Level) {
	info, warn, fail := slog.LevelInfo, slog.LevelWarn, slog.LevelError
	switch ev.Kind {
	case engine.EvClockWrong:
		return fmt.Sprintf("System clock wrong by %.6f seconds", ev.Value), warn
	case engine.EvStepped:
		return fmt.Sprintf("System clock was stepped by %.6f seconds", ev.Value), warn
	case engine.EvStepFailed:
		return "Could not step the system clock", fail
	case engine.EvFrequencyFailed:
		return "Could not set the frequency of the system clock", fail
	case engine.EvJump:
		return fmt.Sprintf("%s time jump detected! Somebody else moved the system clock by %.6f seconds", direction(ev.Value), ev.Value), warn
	case engine.EvInterference:
		return fmt.Sprintf("System clock interference detected (another NTP client?): frequency is now %.3f ppm", ev.Value*1e6), warn
	case engine.EvChangeIgnored:
		return fmt.Sprintf("Adjustment of %.3f seconds exceeds the allowed maximum of %.3f seconds (ignored)", ev.Value, ev.Limit), warn
	case engine.EvChangeFatal:
		return fmt.Sprintf("Adjustment of %.3f seconds exceeds the allowed maximum of %.3f seconds (exiting)", ev.Value, ev.Limit), fail
	case engine.EvInitialOffset:
		what := "ignored"
		if ev.Count > 0 {
			what = "step"
		}
		return fmt.Sprintf("System clock wrong by %.6f seconds (%s)", ev.Value, what), info
	case engine.EvLeapSecond:
		return leapSecond(ev.Count), info
	case engine.EvTAI:
		return fmt.Sprintf("System clock TAI offset set to %d seconds", ev.Count), info
	case engine.EvTemperatureWild:
		return fmt.Sprintf("Temperature %.3f asks for more than 10 ppm of compensation, ignored", ev.Value), warn
	case engine.EvFallback:
		return fmt.Sprintf("Fallback drift of 2^%d seconds activated: %.3f ppm", ev.Count, ev.Value*1e6), info
	}
	return "", info
}

func direction(v float64) string {
	if v < 0 {
		return "Backward"
	}
	return "Forward"
}

func leapSecond(n int) string {
	if n < 0 {
		return "System clock status set to delete leap second"
	}
	if n > 0 {
		return "System clock status set to insert leap second"
	}
	return "System clock status reset after leap second"
}

// name is a source as chronyd names it: its address, and the name it was
// configured by if that is another.
func name(s *engine.SourceRef) string {
	addr := s.Addr.Addr().String()
	if s.Name == "" || s.Name == addr || s.Name == "ID#0" {
		return addr
	}
	return addr + " (" + s.Name + ")"
}

func unselected(ev *engine.Event) string {
	switch {
	case ev.Outcome == selection.TooFew:
		return "Can't synchronise: not enough selectable sources"
	case ev.Outcome == selection.NoMajority && ev.Agreeing > 1:
		return fmt.Sprintf("Can't synchronise: no majority (only %d of %d sources agree)", ev.Agreeing, ev.Total)
	case ev.Outcome == selection.NoMajority:
		return fmt.Sprintf("Can't synchronise: no majority (no agreement among %d sources)", ev.Total)
	case ev.Unreachable > 0:
		return fmt.Sprintf("Can't synchronise: no selectable sources (%d unreachable sources)", ev.Unreachable)
	}
	return "Can't synchronise: no selectable sources"
}

func stratum(ev *engine.Event) string {
	if float64(ev.Count) < ev.Limit {
		return fmt.Sprintf("Stratum of %s below minstratum of %.0f", name(&ev.Source), ev.Limit)
	}
	return fmt.Sprintf("Stratum of %s above maxstratum of %.0f", name(&ev.Source), ev.Limit)
}

// columns is the order of the tests in the measurements log.
var columns = [...]struct {
	from source.Tests
	to   logfile.Tests
}{
	{source.TestDuplicate, logfile.Test1}, {source.TestOrigin, logfile.Test2}, {source.TestStamps, logfile.Test3},
	{source.TestAuth, logfile.Test5}, {source.TestSynced, logfile.Test6}, {source.TestDistance, logfile.Test7},
	{source.TestA, logfile.TestMaxDelay}, {source.TestB, logfile.TestDelayRatio},
	{source.TestC, logfile.TestDevRatio}, {source.TestD, logfile.TestLoop},
}

func (n *Narrator) measurement(ev *engine.Event) {
	r := ev.Report
	p := &r.Packet
	m := logfile.Measurement{
		Time: r.Time, Source: logfile.Name{Addr: ev.Source.Addr.Addr()}, Leap: p.Leap, Stratum: int(p.Stratum),
		LocalPoll: int(r.LocalPoll), RemotePoll: int(p.Poll), Score: r.Score, Offset: r.Offset,
		PeerDelay: r.Delay, PeerDisp: r.Disp, RootDelay: r.RootDelay, RootDisp: r.RootDisp,
		RefID: uint32(p.RefID), Mode: p.Mode, Interleaved: r.Interleaved, TxStamp: r.TxStamp, RxStamp: r.RxStamp,
	}
	for _, c := range columns {
		if r.Tests&c.from != 0 {
			m.Tests |= c.to
		}
	}
	n.Stats.Measurement(&m)
}

func (n *Narrator) statistics(ev *engine.Event) {
	reg := ev.Assoc.Register()
	l := reg.Line()
	s := logfile.Statistics{
		Time: l.Time, Source: logfile.Name{Addr: ev.Source.Addr.Addr()}, StdDev: l.SD,
		Offset: ev.Estimate.Offset, OffsetSD: ev.Estimate.OffsetSD, Frequency: ev.Estimate.Freq,
		Skew: l.Skew, Samples: reg.Len(), Runs: l.Runs, Asymmetry: -reg.Asymmetry(),
	}
	if sd := ev.Estimate.FreqSD; sd > 0 {
		s.Stress = math.Abs(float64(l.Freq-ev.Estimate.Freq)) / sd
	}
	n.Stats.Statistics(&s)
}

func (n *Narrator) tracking(ev *engine.Event) {
	t := ev.Tracking
	n.Stats.Tracking(&logfile.Tracking{
		Time: t.Time, Reference: logfile.Name{Addr: ev.Source.Addr.Addr(), RefID: t.RefID}, Stratum: int(t.Stratum),
		Frequency: t.Frequency, Skew: t.Skew, Offset: t.LastOffset, Leap: ntp.Leap(t.Leap), Combined: t.Combined,
		OffsetSD: t.OffsetSD, Correction: t.Remaining, RootDelay: delay(t.RootDelay), RootDisp: disp(t.RootDisp),
		MaxError: disp(t.MaxError),
	})
}

func (n *Narrator) selection(ev *engine.Event) {
	for i := range ev.Rows {
		r := &ev.Rows[i]
		n.Stats.Selection(&logfile.Selection{
			Time: ev.Time, Source: logfile.Name{Addr: r.Source.Addr.Addr()}, State: byte(r.Status),
			Options: logfile.Options(r.Options), Reach: r.Reach, Score: r.Score, Age: r.LastAge,
			Low: clock.Offset(r.Lo), High: clock.Offset(r.Hi),
		})
	}
}

func delay(v float64) clock.Delay     { return clock.Delay(v) }
func disp(v float64) clock.Dispersion { return clock.Dispersion(v) }
