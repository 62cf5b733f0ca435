// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// at is 2026-11-23 20:17:56.948201788 UTC.
var at = clock.At[clock.Corrected](time.Date(2026, 11, 23, 20, 17, 56, 948201788, time.UTC).UnixNano())

var local = Name{Addr: netip.MustParseAddr("127.0.0.1")}

func sampleMeasurement() *Measurement {
	return &Measurement{
		Time: at, Source: local, Stratum: 3, Tests: 0x3ff, LocalPoll: -4, RemotePoll: 10, Score: 0.53,
		Offset: -2.28e-6, PeerDelay: 7.513e-6, PeerDisp: 2.832e-7, RootDelay: 0, RootDisp: 0.16151,
		RefID: 0x7F7F0101, Mode: ntp.ModeServer, TxStamp: clock.StampDaemon, RxStamp: clock.StampKernel,
	}
}

func sampleTracking() *Tracking {
	return &Tracking{
		Time: at, Reference: local, Stratum: 4, Frequency: clock.FromPPM(3.541), Skew: clock.FromPPM(0.0751),
		Offset: 8.621e-6, Combined: 2, OffsetSD: 2.94e-3, Correction: -2.084e-4,
		RootDelay: 1.534e-2, RootDisp: 3.472e-4, MaxError: 1.5,
	}
}

// The layouts are those of chronyd 4.3, column for column. The comments name
// the columns whose sign is not that of the field.
func TestLines(t *testing.T) {
	unsynced := sampleMeasurement()
	unsynced.Leap, unsynced.Stratum, unsynced.Tests = ntp.LeapUnsync, 16, Test1|Test3|Test5|Test7|TestDelayRatio
	unsynced.Source.Addr = netip.MustParseAddr("2001:db8::1234:5678:9abc")
	unsynced.Interleaved, unsynced.Mode = true, ntp.ModeActive
	unsynced.TxStamp, unsynced.RxStamp = clock.StampHardware, clock.StampBPF
	for _, tc := range []struct {
		name   string
		record interface{ appendTo([]byte) []byte }
		want   string
	}{
		{"measurement", sampleMeasurement(),
			"2026-11-23 20:17:56 127.0.0.1       N  3 111 111 1111  -4 10 0.53 -2.280e-06  7.513e-06  2.832e-07  0.000e+00  1.615e-01 7F7F0101 4B D K\n"},
		{"measurement failed", unsynced,
			"2026-11-23 20:17:56 2001:db8::1234:5678:9abc ? 16 101 101 0100  -4 10 0.53 -2.280e-06  7.513e-06  2.832e-07  0.000e+00  1.615e-01 7F7F0101 1I H K\n"},
		// Offset and frequency are negated.
		{"statistics", &Statistics{Time: at, Source: local, StdDev: 1.335e-8, Offset: -1.683e-6, OffsetSD: 1.09e-8,
			Frequency: 8.202e-6, Skew: 4.642e-4, Stress: 4.1e-3, Samples: 64, BestStart: 0, Runs: 33, Asymmetry: -0.36},
			"2026-11-23 20:17:56 127.0.0.1        1.335e-08  1.683e-06  1.090e-08 -8.202e-06  4.642e-04 4.1e-03  64   0  33 -0.36\n"},
		{"statistics of a reference clock", &Statistics{Time: at, Source: Name{RefID: 0x50505332}},
			"2026-11-23 20:17:56 PPS2             0.000e+00  0.000e+00  0.000e+00  0.000e+00  0.000e+00 0.0e+00   0   0   0  0.00\n"},
		// The interval is negated, hence turned over.
		{"selection", &Selection{Time: at, Source: local, State: '*', Options: OptPrefer | OptRequire, Reach: 0o377,
			Score: 1, Age: 42.28, Low: -1.239e-4, High: 1.575e-4},
			"2026-11-23 20:17:56 127.0.0.1       * --P-R  377  1.00  4.228e+01 -1.575e-04  1.239e-04\n"},
		{"selection without samples", &Selection{Time: at, Source: Name{RefID: 0x534f4330}, State: 's', Options: OptNoSelect | OptTrust, Score: 1},
			"2026-11-23 20:17:56 SOC0            s -N-T-    0  1.00  0.000e+00  0.000e+00  0.000e+00\n"},
		// Frequency and offset are negated, the remaining correction is not.
		{"tracking", sampleTracking(),
			"2026-11-23 20:17:56 127.0.0.1        4     -3.541      0.075 -8.621e-06 N  2  2.940e-03 -2.084e-04  1.534e-02  3.472e-04  1.500e+00\n"},
		{"tracking unsynchronised", &Tracking{Time: at, Skew: 1, Leap: ntp.LeapUnsync, RootDelay: 1, RootDisp: 1, MaxError: 1.5},
			"2026-11-23 20:17:56 0.0.0.0          0      0.000 1000000.000  0.000e+00 ?  0  0.000e+00  0.000e+00  1.000e+00  1.000e+00  1.500e+00\n"},
		{"refclock", &RefClock{Time: at, RefID: 0x50505332, DriverPoll: 7, Pulse: true, Raw: 4.9e-7, Cooked: -6.741777e-7, Disp: 1e-6},
			"2026-11-23 20:17:56.948201 PPS2    7 N 1  4.900000e-07 -6.741777e-07  1.000e-06\n"},
		{"refclock filtered", &RefClock{Time: at, RefID: 0x534f4330, Filtered: true, Leap: ntp.LeapInsert, Cooked: 1e-4, Disp: 2e-8},
			"2026-11-23 20:17:56.948201 SOC0    - + -       -        1.000000e-04  2.000e-08\n"},
		{"tempcomp", &TempComp{Time: at, Temperature: 28000, Compensation: clock.FromPPM(0.8)},
			"2026-11-23 20:17:56  2.8000e+04  8.0000e-01\n"},
		{"not a number", &TempComp{Time: at, Temperature: math.NaN(), Compensation: clock.Frequency(math.Inf(-1))},
			"2026-11-23 20:17:56         nan        -inf\n"},
	} {
		if got := string(tc.record.appendTo(nil)); got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

func TestNameString(t *testing.T) {
	for _, tc := range []struct {
		name Name
		want string
	}{
		{local, "127.0.0.1"},
		{Name{RefID: 0x47505300}, "GPS"},
		{Name{RefID: 0x7F7F0101}, "127.127.1.1"},
		{Name{RefID: 0x47200053}, "71.32.0.83"},
		{Name{}, "0.0.0.0"},
	} {
		if got := tc.name.String(); got != tc.want {
			t.Errorf("%#v = %q, want %q", tc.name, got, tc.want)
		}
	}
}

// openStats keeps every log in a new directory and returns what is warned of.
func openStats(t *testing.T, change func(*StatsConfig)) (*Stats, string, *bytes.Buffer) {
	t.Helper()
	var warned bytes.Buffer
	c := StatsConfig{
		Dir: filepath.Join(t.TempDir(), "log"), Banner: 2, Warn: slog.New(NewHandler(HandlerConfig{Output: &warned, Journal: true})),
		RawMeasurements: true, Statistics: true, Selection: true, Tracking: true, RefClocks: true, TempComp: true,
	}
	change(&c)
	s := NewStats(c)
	t.Cleanup(func() { s.Close() })
	return s, c.Dir, &warned
}

// writeAll writes one line to every log.
func writeAll(s *Stats) {
	s.Measurement(sampleMeasurement())
	s.Statistics(&Statistics{Time: at, Source: local})
	s.Selection(&Selection{Time: at, Source: local, State: '*'})
	s.Tracking(sampleTracking())
	s.RefClock(&RefClock{Time: at, RefID: 0x47505300})
	s.TempComp(&TempComp{Time: at})
}

var logNames = []string{"measurements", "statistics", "selection", "tracking", "refclocks", "tempcomp"}

func TestStatsBannersAndCycle(t *testing.T) {
	s, dir, warned := openStats(t, func(*StatsConfig) {})
	for range 5 {
		writeAll(s)
	}
	for _, name := range logNames {
		if err := os.Rename(filepath.Join(dir, name+".log"), filepath.Join(dir, name+".log.1")); err != nil {
			t.Fatal(err)
		}
	}
	s.Cycle()
	writeAll(s)
	for _, name := range logNames {
		if got, want := shape(t, filepath.Join(dir, name+".log.1")), "=D=22=D=22=D=2"; got != want {
			t.Errorf("%s before the cycle: lines %s, want %s", name, got, want)
		}
		if got, want := shape(t, filepath.Join(dir, name+".log")), "=D=2"; got != want {
			t.Errorf("%s after the cycle: lines %s, want %s", name, got, want)
		}
	}
	if warned.Len() != 0 {
		t.Errorf("warned: %s", warned)
	}
}

// shape gives one letter a line: = for a rule, D for column heads, 2 for an
// entry. Rule, head and entry must be of equal length within a column.
func shape(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var letters []byte
	rule := 0
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		c := strings.TrimLeft(line, " ")[0]
		letters = append(letters, c)
		if c == '=' {
			rule = len(line)
		}
		if len(line) != rule {
			t.Errorf("%s: line of %d octets under a rule of %d: %q", path, len(line), rule, line)
		}
	}
	return string(letters)
}

func TestStatsSelectionOfLogs(t *testing.T) {
	failed := sampleMeasurement()
	failed.Tests &^= Test2
	filtered := sampleMeasurement()
	filtered.Tests &^= TestMaxDelay
	for _, tc := range []struct {
		name string
		raw  bool
		want string
	}{{"measurements", false, "22"}, {"rawmeasurements", true, "222"}} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			s := NewStats(StatsConfig{Dir: dir, Measurements: true, RawMeasurements: tc.raw})
			defer s.Close()
			writeAll(s)
			s.Measurement(failed)
			s.Measurement(filtered)
			b, _ := os.ReadFile(filepath.Join(dir, "measurements.log"))
			if got := strings.Count(string(b), "\n"); got != len(tc.want) {
				t.Errorf("%d lines, want %d:\n%s", got, len(tc.want), b)
			}
			if e, err := os.ReadDir(dir); err != nil || len(e) != 1 {
				t.Errorf("files %v, %v, want measurements.log alone", e, err)
			}
		})
	}
}

func TestStatsTroubleIsToldOnce(t *testing.T) {
	only := func(c *StatsConfig) {
		*c = StatsConfig{Dir: c.Dir, Warn: c.Warn, TempComp: true}
	}
	t.Run("directory missing", func(t *testing.T) {
		s, dir, warned := openStats(t, only)
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s.TempComp(&TempComp{Time: at})
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s.TempComp(&TempComp{Time: at})
		}
		path := filepath.Join(dir, "tempcomp.log")
		want := "<4>write statistics log: open " + path + ": no such file or directory\n" +
			"<6>write statistics log " + path + ": works again, 3 entries were lost\n"
		if warned.String() != want {
			t.Errorf("warned %q, want %q", warned, want)
		}
		if b, _ := os.ReadFile(path); strings.Count(string(b), "\n") != 3 {
			t.Errorf("%q, want 3 lines", b)
		}
	})
	t.Run("disk full", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		s, dir, warned := openStats(t, only)
		s.tempComp.file.file = full
		for range 3 {
			s.TempComp(&TempComp{Time: at})
		}
		s.Cycle()
		s.TempComp(&TempComp{Time: at})
		want := "<4>write statistics log: write /dev/full: no space left on device\n" +
			"<6>write statistics log " + dir + "/tempcomp.log: works again, 3 entries were lost\n"
		if warned.String() != want {
			t.Errorf("warned %q, want %q", warned, want)
		}
	})
}

func TestFileTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write([]byte("half a li"))
	f.torn = true // as after a short write
	if _, err := f.Write([]byte("whole line\n")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "half a li\nwhole line\n" {
		t.Errorf("content %q, want the whole line on a line of its own", b)
	}
}

func TestFileRefusesLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "log")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if f, err := OpenFile(link); err == nil {
		f.Close()
		t.Error("opened a log through a symbolic link")
	}
}

func TestStatsAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s, dir, _ := openStats(t, func(c *StatsConfig) { c.Banner = 32 })
	m, tr := sampleMeasurement(), sampleTracking()
	st := &Statistics{Time: at, Source: Name{Addr: netip.MustParseAddr("2001:db8::1")}, Offset: 1.25e-7}
	se := &Selection{Time: at, Source: Name{RefID: 0x50505332}, State: '+', Low: -1e-3}
	rc, tc := &RefClock{Time: at, RefID: 0x50505332, Raw: 1.5e-7}, &TempComp{Time: at, Temperature: 21.5}
	writeAll(s) // opens the files
	n := testing.AllocsPerRun(1, func() {
		for range 10000 {
			s.Measurement(m)
			s.Statistics(st)
			s.Selection(se)
			s.Tracking(tr)
			s.RefClock(rc)
			s.TempComp(tc)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations in 10000 rounds, want 0", n)
	}
	b, err := os.ReadFile(filepath.Join(dir, "tempcomp.log"))
	if got := strings.Count(string(b), "2.1500e+01"); err != nil || got != 20000 {
		t.Errorf("%d lines in tempcomp.log (%v), want 20000", got, err)
	}
}

func BenchmarkMeasurement(b *testing.B) {
	s := NewStats(StatsConfig{Dir: b.TempDir(), Measurements: true, Banner: 32})
	defer s.Close()
	m := sampleMeasurement()
	b.ReportAllocs()
	for b.Loop() {
		s.Measurement(m)
	}
}
