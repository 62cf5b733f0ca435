// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"

	"foliot/internal/cmdmon"
)

// The texts are compared with stock chronyc's in tests/chronyc; here are the
// rules that it shows less clearly.

func TestScaled(t *testing.T) {
	for _, tc := range []struct {
		v             float64
		plain, signed string
	}{
		{0, "   0ns", "   +0ns"}, {-1e-9, "  -1ns", "   -1ns"}, {9999.4e-9, "9999ns", "+9999ns"}, {9999.5e-9, "  10us", "  +10us"},
		{0.0123, "  12ms", "  +12ms"}, {-10, " -10.0s", " -10.0s"}, {999.4, "999.4s", "+999.4s"}, {1000, " 1000s", " +1000s"},
		{1e5, " 1667m", " +1667m"}, {1e7, " 2778h", " +2778h"}, {1e9, "11574d", "+11574d"}, {1e12, "31710y", "+31710y"},
	} {
		if got := scaled(tc.v, true); strings.TrimSpace(got) != strings.TrimSpace(tc.signed) {
			t.Errorf("%v is %q with sign, want %q", tc.v, got, tc.signed)
		}
		if got := scaled(tc.v, false); strings.TrimSpace(got) != strings.TrimSpace(tc.plain) {
			t.Errorf("%v is %q, want %q", tc.v, got, tc.plain)
		}
	}
}

func TestAge(t *testing.T) {
	for s, want := range map[uint32]string{
		0: "   0", 1199: "1199", 1200: " 20m", 35999: "599m", 36000: " 10h", 345599: " 95h", 345600: "  4d",
		999 * 86400: "999d", 1000 * 86400: "  2y", cmdmon.NoSample: "   -",
	} {
		if got := age("", s).text; got != want {
			t.Errorf("%d s is %q, want %q", s, got, want)
		}
	}
}

// all prints every report.
func all(p *Printer) {
	addr := cmdmon.IPAddr{Addr: netip.MustParseAddr("192.0.2.1")}
	Tracking(p, &cmdmon.TrackingReply{RefID: 0xc0000201, Addr: addr, Stratum: 3, Correction: -1e-6, Frequency: 2.5}, "192.0.2.1")
	Try(p, 1, &cmdmon.TrackingReply{}, 0)
	Smoothing(p, &cmdmon.SmoothingReply{Flags: 3})
	RTC(p, new(cmdmon.RTCReply))
	ManualList(p, &cmdmon.ManualListReply{N: 2})
	ManualTimestamp(p, new(cmdmon.ManualTimestampReply))
	Sources(p, true)
	Source(p, &cmdmon.SourceDataReply{Addr: addr, SinceSample: cmdmon.NoSample, Mode: 9, State: 9}, `a "name"`)
	Source(p, &cmdmon.SourceDataReply{Addr: addr}, "b")
	p.End()
	SourceStats(p, true)
	p.End()
	SelectData(p, true)
	SelectDatum(p, &cmdmon.SelectDataReply{State: 0xff, Leap: 9, Configured: 15}, "c")
	p.End()
	AuthData(p, true)
	AuthDatum(p, &cmdmon.AuthDataReply{Mode: 9}, "d")
	p.End()
	Activity(p, new(cmdmon.ActivityReply))
	NTPData(p, new(cmdmon.NTPDataReply), Names{}, true)
	ServerStats(p, &cmdmon.ServerStatsReply{NTPHits: math.MaxUint64}, true)
	Clients(p, true)
	Client(p, &cmdmon.Client{NTPInterval: cmdmon.NoInterval}, "e", true)
	p.End()
	p.Line("name", "f")
	p.Status(503, "No such source")
}

// Each report is one document of JSON, and no key is used twice in an object.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	all(&Printer{W: &b, Format: JSON})
	n := 0
	for line := range strings.Lines(b.String()) {
		n++
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
		for object := range strings.SplitSeq(line, "},{") {
			seen := map[string]bool{}
			for _, word := range strings.Split(object, `"`) {
				if seen[word] && strings.Contains(word, "_") {
					t.Errorf("%s is there twice: %s", word, object)
				}
				seen[word] = true
			}
		}
	}
	if n != 16 {
		t.Errorf("%d documents, want 16:\n%s", n, &b)
	}
	for _, want := range []string{
		`"system_time_behind_seconds":-1e-06`, `"frequency_fast_ppm":2.5`, `"last_sample_seconds":null`, `"name":"a \"name\""`,
		`"configured":["noselect","prefer","trust","require"]`, `"ntp_received":18446744073709551615`, `"ntp_interval_log2_seconds":null`,
		`"state":"?"`, `{"status":503,"message":"No such source"}`, `"leap_second_only":true`, `[]`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is not in\n%s", want, &b)
		}
	}
}

// A row has as many values in CSV as chronyc prints.
func TestCSV(t *testing.T) {
	var b bytes.Buffer
	all(&Printer{W: &b, Format: CSV})
	var counts []int
	for line := range strings.Lines(b.String()) {
		counts = append(counts, strings.Count(line, ",")+1)
	}
	want := []int{14, 4, 7, 6, 5, 5, 2, 10, 10, 18, 10, 5, 38, 17, 10, 1, 1}
	if len(counts) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(counts), len(want), &b)
	}
	for i := range want {
		if counts[i] != want[i] {
			t.Errorf("line %d has %d values, want %d:\n%s", i, counts[i], want[i], &b)
		}
	}
}
