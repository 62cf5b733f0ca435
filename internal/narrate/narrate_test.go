// SPDX-License-Identifier: Apache-2.0

package narrate

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/logfile"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// noon is 2026-11-23 12:00:00 UTC.
var noon = clock.At[clock.Corrected](time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano())

func ref(addr, name string) engine.SourceRef {
	return engine.SourceRef{ID: 1, Name: name, Addr: netip.MustParseAddrPort(addr)}
}

// narrator returns one that writes "LEVEL text" lines into the buffer.
func narrator(st *logfile.Stats) (*Narrator, *bytes.Buffer) {
	var out bytes.Buffer
	h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return &Narrator{Log: slog.New(h), Stats: st}, &out
}

// The words are chronyd's: people and programs look for them.
func TestMessages(t *testing.T) {
	a := ref("192.0.2.1:123", "ntp.example")
	b := ref("[2001:db8::1]:123", "2001:db8::1")
	for _, tc := range []struct {
		name  string
		ev    engine.Event
		level string
		want  string
	}{
		{"selected by name", engine.Event{Kind: engine.EvSelected, Source: a}, "INFO", "Selected source 192.0.2.1 (ntp.example)"},
		{"selected by address", engine.Event{Kind: engine.EvSelected, Source: b}, "INFO", "Selected source 2001:db8::1"},
		{"selected without a name", engine.Event{Kind: engine.EvSelected, Source: ref("192.0.2.1:123", "")}, "INFO", "Selected source 192.0.2.1"},
		{"no majority", engine.Event{Kind: engine.EvUnselected, Outcome: selection.NoMajority, Agreeing: 2, Total: 5}, "WARN",
			"Can't synchronise: no majority (only 2 of 5 sources agree)"},
		{"no agreement", engine.Event{Kind: engine.EvUnselected, Outcome: selection.NoMajority, Total: 5}, "WARN",
			"Can't synchronise: no majority (no agreement among 5 sources)"},
		{"no source", engine.Event{Kind: engine.EvUnselected, Outcome: selection.NoSelectable, Total: 1}, "WARN",
			"Can't synchronise: no selectable sources"},
		{"unreachable", engine.Event{Kind: engine.EvUnselected, Outcome: selection.NoSelectable, Total: 3, Unreachable: 2}, "WARN",
			"Can't synchronise: no selectable sources (2 unreachable sources)"},
		{"too few", engine.Event{Kind: engine.EvUnselected, Outcome: selection.TooFew, Total: 1}, "WARN",
			"Can't synchronise: not enough selectable sources"},
		{"falseticker", engine.Event{Kind: engine.EvFalseticker, Source: a}, "WARN", "Detected falseticker 192.0.2.1 (ntp.example)"},
		{"distance", engine.Event{Kind: engine.EvDistance, Source: b, Value: 3.5, Limit: 3}, "WARN",
			"Root distance of 2001:db8::1 exceeds maxdistance of 3.000"},
		{"jitter", engine.Event{Kind: engine.EvJitter, Source: b, Value: 1.5, Limit: 1}, "WARN",
			"Jitter of 2001:db8::1 exceeds maxjitter of 1.000"},
		{"stratum below", engine.Event{Kind: engine.EvStratum, Source: b, Count: 1, Limit: 2}, "WARN", "Stratum of 2001:db8::1 below minstratum of 2"},
		{"stratum above", engine.Event{Kind: engine.EvStratum, Source: b, Count: 5, Limit: 4}, "WARN", "Stratum of 2001:db8::1 above maxstratum of 4"},
		{"kiss of death", engine.Event{Kind: engine.EvKissOfDeath, Source: a}, "WARN", "Received KoD RATE from 192.0.2.1"},
		{"added", engine.Event{Kind: engine.EvAdded, Source: a}, "DEBUG", "Added source 192.0.2.1 (ntp.example)"},
		{"offline", engine.Event{Kind: engine.EvOffline, Source: a}, "INFO", "Source 192.0.2.1 (ntp.example) offline"},
		{"removed", engine.Event{Kind: engine.EvRemoved, Source: a}, "INFO", "Removed source 192.0.2.1 (ntp.example)"},
		{"replaced", engine.Event{Kind: engine.EvReplaced, Old: a, Source: ref("192.0.2.2:123", "ntp.example")}, "INFO",
			"Source 192.0.2.1 (ntp.example) replaced with 192.0.2.2 (ntp.example)"},
		{"clock wrong", engine.Event{Kind: engine.EvClockWrong, Value: -2.5}, "WARN", "System clock wrong by -2.500000 seconds"},
		{"stepped", engine.Event{Kind: engine.EvStepped, Value: 1.25}, "WARN", "System clock was stepped by 1.250000 seconds"},
		{"step refused", engine.Event{Kind: engine.EvStepFailed}, "ERROR", "Could not step the system clock"},
		{"rate refused", engine.Event{Kind: engine.EvFrequencyFailed}, "ERROR", "Could not set the frequency of the system clock"},
		{"jump ahead", engine.Event{Kind: engine.EvJump, Value: 3600}, "WARN",
			"Forward time jump detected! Somebody else moved the system clock by 3600.000000 seconds"},
		{"jump back", engine.Event{Kind: engine.EvJump, Value: -1}, "WARN",
			"Backward time jump detected! Somebody else moved the system clock by -1.000000 seconds"},
		{"interference", engine.Event{Kind: engine.EvInterference, Value: 12.5e-6}, "WARN",
			"System clock interference detected (another NTP client?): frequency is now 12.500 ppm"},
		{"change ignored", engine.Event{Kind: engine.EvChangeIgnored, Value: -20, Limit: 10}, "WARN",
			"Adjustment of -20.000 seconds exceeds the allowed maximum of 10.000 seconds (ignored)"},
		{"change fatal", engine.Event{Kind: engine.EvChangeFatal, Value: 20, Limit: 10}, "ERROR",
			"Adjustment of 20.000 seconds exceeds the allowed maximum of 10.000 seconds (exiting)"},
		{"one-shot", engine.Event{Kind: engine.EvInitialOffset, Value: 0.125, Count: 1}, "INFO", "System clock wrong by 0.125000 seconds (step)"},
		{"one-shot without control", engine.Event{Kind: engine.EvInitialOffset, Value: 0.125}, "INFO", "System clock wrong by 0.125000 seconds (ignored)"},
		{"leap second inserted", engine.Event{Kind: engine.EvLeapSecond, Count: 1}, "INFO", "System clock status set to insert leap second"},
		{"leap second deleted", engine.Event{Kind: engine.EvLeapSecond, Count: -1}, "INFO", "System clock status set to delete leap second"},
		{"leap second over", engine.Event{Kind: engine.EvLeapSecond}, "INFO", "System clock status reset after leap second"},
		{"TAI", engine.Event{Kind: engine.EvTAI, Count: 37}, "INFO", "System clock TAI offset set to 37 seconds"},
		{"fallback", engine.Event{Kind: engine.EvFallback, Count: 16, Value: -3.5e-6}, "INFO", "Fallback drift of 2^16 seconds activated: -3.500 ppm"},
	} {
		n, out := narrator(nil)
		n.Event(&tc.ev)
		want := "level=" + tc.level + " msg=\"" + tc.want + "\"\n"
		if got := out.String(); got != want {
			t.Errorf("%s:\n got %s want %s", tc.name, got, want)
		}
	}
}

// The message names the host and says that it is tried again.
func TestUnresolved(t *testing.T) {
	n, out := narrator(nil)
	n.Event(&engine.Event{Kind: engine.EvUnresolved, Name: "ntp.example"})
	if got := out.String(); !strings.HasPrefix(got, "level=WARN") || !strings.Contains(got, "ntp.example") || !strings.Contains(got, "again") {
		t.Errorf("message %q, want a warning that ntp.example is tried again", got)
	}
}

// A source that is configured twice is told in chronyd's words.
func TestDuplicate(t *testing.T) {
	n, out := narrator(nil)
	n.Event(&engine.Event{Kind: engine.EvDuplicate, Name: "192.0.2.1"})
	if got := out.String(); !strings.HasPrefix(got, "level=WARN") || !strings.Contains(got, "Could not add source 192.0.2.1") {
		t.Errorf("message %q, want a warning that 192.0.2.1 could not be added", got)
	}
}

// What a command changed is told in chronyd's words, with the sign that was typed.
func TestSettings(t *testing.T) {
	a := ref("192.0.2.1:123", "ntp.example")
	for want, ev := range map[string]engine.Event{
		"Source 192.0.2.1 new minpoll -6":                                 {Option: engine.OptMinPoll, Source: a, Value: -6},
		"Source 192.0.2.1 new maxpoll 12":                                 {Option: engine.OptMaxPoll, Source: a, Value: 12},
		"Source 192.0.2.1 new maxdelay 0.100000":                          {Option: engine.OptMaxDelay, Source: a, Value: 0.1},
		"Source 192.0.2.1 new maxdelayratio 3.000000":                     {Option: engine.OptMaxDelayRatio, Source: a, Value: 3},
		"Source 192.0.2.1 new maxdelaydevratio 5.000000":                  {Option: engine.OptMaxDelayDevRatio, Source: a, Value: 5},
		"Source 192.0.2.1 new minstratum 1":                               {Option: engine.OptMinStratum, Source: a, Value: 1},
		"Source 192.0.2.1 new polltarget 10":                              {Option: engine.OptPollTarget, Source: a, Value: 10},
		"Source 192.0.2.1 new offset -0.500000":                           {Option: engine.OptCorrection, Source: a, Value: -0.5},
		"Source 192.0.2.1 (ntp.example) selection options modified":       {Option: engine.OptSelect, Source: a},
		"New maxupdateskew 5.000000 ppm":                                  {Option: engine.OptMaxUpdateSkew, Value: 5e-6},
		"New reselect distance 1.000000":                                  {Option: engine.OptReselectDist, Value: 1},
		"New makestep 1.000000 -1":                                        {Option: engine.OptMakeStep, Value: 1, Count: -1},
		"Enabled local reference mode":                                    {Option: engine.OptLocal, Count: 1},
		"Disabled local reference mode":                                   {Option: engine.OptLocal},
		"Denied NTP access from any address":                              {Option: engine.OptAccess, Name: "any address"},
		"Allowed NTP access from 192.0.2.0/24":                            {Option: engine.OptAccess, Name: "192.0.2.0/24", Count: 1},
		"Denied all NTP access from any address":                          {Option: engine.OptAccess, Name: "any address", Count: 2},
		"Allowed all NTP access from any address":                         {Option: engine.OptAccess, Name: "any address", Count: 3},
		"Activated time smoothing":                                        {Option: engine.OptSmoothActive},
		"Activated time smoothing (leap seconds only)":                    {Option: engine.OptSmoothActive, Count: 1},
		"Reset time smoothing":                                            {Option: engine.OptSmoothReset},
		"Accumulated delta freq of 10.000ppm":                             {Option: engine.OptFrequency, Value: -10e-6},
		"Accumulated delta offset of -0.100000 seconds":                   {Option: engine.OptOffset, Value: 0.1},
		"Making a slew of 0.287396":                                       {Option: engine.OptTyped, Value: -0.287396},
		"Making a frequency change of 100.500 ppm and a slew of 0.345217": {Option: engine.OptTyped, Value: -0.345217, Limit: -100.5e-6, Count: 1},
		"Reset all sources":                                               {Option: engine.OptReset},
	} {
		ev.Kind = engine.EvSetting
		n, out := narrator(nil)
		n.Event(&ev)
		if got := out.String(); got != "level=INFO msg=\""+want+"\"\n" {
			t.Errorf("%s: got %s", want, got)
		}
	}
}

// Every kind of event before the records of the statistics logs has a message.
func TestEveryKind(t *testing.T) {
	for k := engine.EvSelected; k < engine.EvMeasurement; k++ {
		text, _ := message(&engine.Event{Kind: k, Source: ref("192.0.2.1:123", "a"), Old: ref("192.0.2.2:123", "a"), Name: "a"})
		if text == "" {
			t.Errorf("event kind %d has no message", k)
		}
	}
	if text, _ := message(&engine.Event{Kind: 255}); text != "" {
		t.Errorf("an unknown event has the message %q", text)
	}
}

// logs returns the statistics logs, and a function that reads one of them.
func logs(t *testing.T) (*logfile.Stats, func(string) string) {
	dir := t.TempDir()
	st := logfile.NewStats(logfile.StatsConfig{
		Dir: dir, Warn: slog.New(slog.DiscardHandler), RawMeasurements: true, Statistics: true, Selection: true, Tracking: true, TempComp: true,
	})
	t.Cleanup(func() { st.Close() })
	return st, func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

// Each test has its own column.
func TestMeasurementRecord(t *testing.T) {
	const all = source.TestDuplicate | source.TestOrigin | source.TestStamps | source.TestAuth | source.TestSynced |
		source.TestDistance | source.TestA | source.TestB | source.TestC | source.TestD
	for _, tc := range []struct {
		passed source.Tests
		want   string
	}{
		{all, "111 111 1111"}, {0, "000 000 0000"}, {all &^ source.TestD, "111 111 1110"},
		{source.TestDuplicate, "100 000 0000"}, {source.TestOrigin, "010 000 0000"}, {source.TestStamps, "001 000 0000"},
		{source.TestAuth, "000 100 0000"}, {source.TestSynced, "000 010 0000"}, {source.TestDistance, "000 001 0000"},
		{source.TestA, "000 000 1000"}, {source.TestB, "000 000 0100"}, {source.TestC, "000 000 0010"}, {source.TestD, "000 000 0001"},
	} {
		st, read := logs(t)
		n, out := narrator(st)
		n.Event(&engine.Event{Kind: engine.EvMeasurement, Source: ref("127.0.0.1:123", "localhost"), Report: &source.Report{
			Time: noon, Packet: ntp.Packet{Leap: ntp.LeapNone, Stratum: 2, Poll: 7, Mode: ntp.ModeServer, RefID: 0x0A0B0C0D},
			Tests: tc.passed, Offset: 1e-3, Delay: 2e-3, Disp: 3e-6, RootDelay: 4e-3, RootDisp: 5e-3, Score: 0.5, LocalPoll: 6,
			TxStamp: clock.StampKernel, RxStamp: clock.StampHardware, Interleaved: true,
		}})
		want := "2026-11-23 12:00:00 127.0.0.1       N  2 " + tc.want +
			"   6  7 0.50  1.000e-03  2.000e-03  3.000e-06  4.000e-03  5.000e-03 0A0B0C0D 4I K H\n"
		if got := read("measurements"); got != want || out.Len() != 0 {
			t.Errorf("tests %010b:\n got %s want %s and no message (%s)", tc.passed, got, want, out)
		}
	}
}

// Offsets and frequencies of these logs count the other way round: positive is
// a clock that is fast.
func TestRecords(t *testing.T) {
	st, read := logs(t)
	n, out := narrator(st)
	from := ref("127.0.0.1:123", "localhost")

	n.Event(&engine.Event{Kind: engine.EvTracking, Source: from, Tracking: &engine.Tracking{
		Time: noon, Stratum: 3, RefID: 0x7f000001, Frequency: 2e-6, Skew: 1e-7, LastOffset: 1e-3, Combined: 2,
		OffsetSD: 1e-4, Remaining: 2e-4, RootDelay: 1e-2, RootDisp: 2e-3, MaxError: 0.5,
	}})
	const tracking = "2026-11-23 12:00:00 127.0.0.1        3     -2.000      0.100 -1.000e-03 N  2  1.000e-04  2.000e-04  1.000e-02  2.000e-03  5.000e-01\n"
	if got := read("tracking"); got != tracking {
		t.Errorf("tracking:\n got %s want %s", got, tracking)
	}

	n.Event(&engine.Event{Kind: engine.EvSelection, Time: noon, Rows: []engine.SelectionRow{
		{Source: from, Status: selection.Selected, Options: source.Prefer, Reach: 0o377, Score: 1, LastAge: 10, Lo: -1e-3, Hi: 3e-3},
		{Source: ref("127.0.0.2:123", ""), Status: selection.Falseticker, Options: source.Trust | source.Require, Score: 2.5},
	}})
	const rows = "2026-11-23 12:00:00 127.0.0.1       * --P--  377  1.00  1.000e+01 -3.000e-03  1.000e-03\n" +
		"2026-11-23 12:00:00 127.0.0.2       x ---TR    0  2.50  0.000e+00  0.000e+00  0.000e+00\n"
	if got := read("selection"); got != rows {
		t.Errorf("selection:\n got %s want %s", got, rows)
	}

	assoc := source.New(source.Config{Limits: stats.Limits{FixedAsym: true, Asymmetry: 0.25}}, &stats.Line{})
	for i := range 4 {
		assoc.Register().Add(stats.Sample{Time: noon.Add(clock.Interval(i-3) * clock.Second), Offset: 1e-3, Delay: 1e-3, RootDelay: 1e-3})
	}
	n.Event(&engine.Event{Kind: engine.EvStatistics, Source: from, Assoc: assoc,
		Estimate: stats.Estimate{Offset: 1e-3, OffsetSD: 1e-5, Freq: 1e-6, FreqSD: 1e-7}})
	fields := strings.Fields(read("statistics"))
	want := map[int]string{0: "2026-11-23", 1: "12:00:00", 2: "127.0.0.1", 4: "-1.000e-03", 5: "1.000e-05", 6: "-1.000e-06", 8: "1.0e+01", 9: "4", 12: "-0.25"}
	for i, w := range want {
		if len(fields) != 13 || fields[i] != w {
			t.Errorf("statistics %q: column %d is not %s", fields, i, w)
		}
	}

	n.Event(&engine.Event{Kind: engine.EvTemperature, Time: noon, Value: 28, Limit: 0.5e-6})
	if got, want := read("tempcomp"), "2026-11-23 12:00:00  2.8000e+01  5.0000e-01\n"; got != want {
		t.Errorf("tempcomp:\n got %s want %s", got, want)
	}
	if out.Len() != 0 {
		t.Errorf("records gave messages: %s", out)
	}
}

func TestTemperatureWild(t *testing.T) {
	n, out := narrator(nil)
	n.Event(&engine.Event{Kind: engine.EvTemperatureWild, Value: 900})
	if got := out.String(); !strings.HasPrefix(got, "level=WARN") || !strings.Contains(got, "900") || !strings.Contains(got, "ignored") {
		t.Errorf("message %q, want a warning that 900 is ignored", got)
	}
}
