// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/config"
)

func ntpStats(t *testing.T, change func(*config.NTPStats)) (s *NTPStats, prefix string) {
	t.Helper()
	c := config.DefaultNTPStats()
	c.Prefix = filepath.Join(t.TempDir(), "s-")
	c.Loop.Enabled, c.Peer.Enabled = true, true
	if change != nil {
		change(&c)
	}
	s = NewNTPStats(&c, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { s.Close() })
	return s, c.Prefix
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func served(y int, m time.Month, d, h int) clock.Served {
	return clock.At[clock.Corrected](time.Date(y, m, d, h, 0, 0, 0, time.UTC).UnixNano())
}

// The formats are those of ntpd's monitoring options; MJD 61367 is 2026-11-23.
func TestNTPStatsLines(t *testing.T) {
	s, prefix := ntpStats(t, nil)
	s.Loop(&LoopStats{Time: at, Offset: -1.25e-3, Frequency: clock.FromPPM(-13.4575), Jitter: 4.5e-6, Wander: clock.FromPPM(0.0123456), Poll: 6})
	s.Peer(&PeerStats{
		Time: at, Source: netip.MustParseAddr("192.0.2.1"), Status: 0x9614, Offset: 1.5e-6, Delay: 2.5e-3, Dispersion: 1e-3, Jitter: 1.25e-7,
	})
	for name, want := range map[string]string{
		"loopstats.20261123": "61367 73076.948 -0.001250000 -13.457 0.000004500 0.012346 6\n",
		"peerstats.20261123": "61367 73076.948 192.0.2.1 9614 0.000001500 0.002500000 0.001000000 0.000000125\n",
	} {
		if got := content(t, prefix+name); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
		}
		link := prefix + strings.TrimSuffix(name, ".20261123")
		if got := content(t, link); got != want {
			t.Errorf("link %s holds %q", link, got)
		}
	}
}

func TestNTPStatsSpans(t *testing.T) {
	for span, want := range map[config.Span][2]string{
		config.SpanDay: {".20261231", ".20270101"}, config.SpanWeek: {".2026W53", ".2026W53"}, config.SpanMonth: {".202612", ".202701"},
		config.SpanYear: {".2026", ".2027"}, config.SpanNone: {"", ""}, config.SpanPID: {fmt.Sprintf(".%d", os.Getpid()), fmt.Sprintf(".%d", os.Getpid())},
	} {
		s, prefix := ntpStats(t, func(c *config.NTPStats) { c.Loop.Type, c.Loop.File, c.Loop.Link = span, "x", false })
		s.Loop(&LoopStats{Time: served(2026, 12, 31, 23)})
		s.Loop(&LoopStats{Time: served(2027, 1, 1, 1)})
		for i, suffix := range want {
			lines := strings.Count(content(t, prefix+"x"+suffix), "\n")
			if wanted := map[bool]int{true: 2, false: 1}[want[0] == want[1]]; lines != wanted {
				t.Errorf("type %s: file %d %q has %d lines, want %d", config.SpanNames[span], i, suffix, lines, wanted)
			}
		}
		if _, err := os.Lstat(prefix + "x"); want[0] != "" && err == nil {
			t.Errorf("type %s: there is a link although it was not wanted", config.SpanNames[span])
		}
	}
}

func TestNTPStatsAge(t *testing.T) {
	f := fileSet{FileSet: config.FileSet{Type: config.SpanAge}, began: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	for hours, want := range map[int]string{0: ".a00000000", 23: ".a00000000", 24: ".a00086400", 50: ".a00172800", -1: ".a00000000"} {
		if got := f.suffix(f.began.Add(time.Duration(hours) * time.Hour)); got != want {
			t.Errorf("after %d hours: %q, want %q", hours, got, want)
		}
	}
}

// A file that is in the way of the link stays, under another name.
func TestNTPStatsLink(t *testing.T) {
	s, prefix := ntpStats(t, nil)
	if err := os.WriteFile(prefix+"loopstats", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Loop(&LoopStats{Time: served(2026, 12, 31, 23)})
	s.Loop(&LoopStats{Time: served(2027, 1, 1, 1)})
	if got := content(t, fmt.Sprintf("%sloopstats.C%d", prefix, os.Getpid())); got != "mine\n" {
		t.Errorf("the file in the way holds %q", got)
	}
	if got, want := content(t, prefix+"loopstats"), content(t, prefix+"loopstats.20270101"); got != want || got == "" {
		t.Errorf("link holds %q, the newest file %q", got, want)
	}
}

func TestNTPStatsOff(t *testing.T) {
	c := config.DefaultNTPStats()
	c.Prefix = filepath.Join(t.TempDir(), "")
	for _, s := range []*NTPStats{nil, NewNTPStats(&c, nil)} {
		s.Loop(&LoopStats{Time: at})
		s.Peer(&PeerStats{Time: at})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(c.Prefix); len(entries) != 0 {
		t.Errorf("something was written: %v", entries)
	}
}

// ntpd's drift file holds what ntpd gives to the kernel.
func TestNTPDrift(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drift")
	f := NewDriftFile(path, slog.New(slog.DiscardHandler))
	f.NTP = true
	if err := f.Write(Drift{Frequency: clock.FromPPM(-13.457), Skew: clock.FromPPM(1)}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "-13.457000\n" {
		t.Errorf("drift file holds %q", got)
	}
	d, err := f.Read()
	if err != nil || d.Frequency.PPM() < -13.4571 || d.Frequency.PPM() > -13.4569 {
		t.Errorf("Read() = %+v, %v", d, err)
	}
}
