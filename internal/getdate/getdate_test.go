// SPDX-License-Identifier: Apache-2.0

package getdate

import (
	"testing"
	"time"
)

// Wednesday.
var now = time.Date(2026, time.November, 25, 6, 35, 52, 123, time.FixedZone("", 3600))

func TestParse(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", "2026-11-25 00:00:00 +0100"},
		{"16:30", "2026-11-25 16:30:00 +0100"},
		{"16:30:05", "2026-11-25 16:30:05 +0100"},
		{"4:30:05 p.m.", "2026-11-25 16:30:05 +0100"},
		{"12am", "2026-11-25 00:00:00 +0100"},
		{"16:30 UTC", "2026-11-25 16:30:00 +0000"},
		{"16:30 -0130", "2026-11-25 16:30:00 -0130"},
		{"16:30 cet dst", "2026-11-25 16:30:00 +0200"},
		{"16", "2026-11-25 16:00:00 +0100"},
		{"1630", "2026-11-25 16:30:00 +0100"},
		{"Nov 21, 2015 16:30:05", "2015-11-21 16:30:05 +0100"},
		{"Fri Sep 25 16:30:05 2015", "2015-09-25 16:30:05 +0100"},
		{"21-Nov-2015", "2015-11-21 00:00:00 +0100"},
		{"sept. 5", "2026-09-05 00:00:00 +0100"},
		{"5 september 68", "2068-09-05 00:00:00 +0100"},
		{"2015-11-21 16:30 (a remark)", "2015-11-21 16:30:00 +0100"},
		{"11/21/70", "1970-11-21 00:00:00 +0100"},
		{"20151121", "2015-11-21 00:00:00 +0100"},
		{"now", "2026-11-25 06:35:52 +0100"},
		{"tomorrow 10:00", "2026-11-26 10:00:00 +0100"},
		{"1 hour 30 minutes ago", "2026-11-25 05:05:52 +0100"},
		{"-2 weeks", "2026-11-11 06:35:52 +0100"},
		{"3 months", "2027-02-25 06:35:52 +0100"},
		{"wednesday", "2026-11-25 00:00:00 +0100"},
		{"last monday", "2026-11-23 00:00:00 +0100"},
		{"third friday 9:00", "2026-12-11 09:00:00 +0100"},
	} {
		got, ok := Parse(tc.text, now)
		if s := got.Format("2006-01-02 15:04:05 -0700"); !ok || s != tc.want || got.Nanosecond() != 0 {
			t.Errorf("Parse(%q) = %s, %v, want %s", tc.text, s, ok, tc.want)
		}
	}
	for _, text := range []string{"foo", "25:00", "13:00 pm", "0 am", "16:30 17:30", "@12", "16:30 (", "1/2/3/", "13/1/2020", "1-1-2020",
		"2015-00-01", "99999999999999999999", "monday tuesday", "UTC EST", "-", "+ 3", "nov"} {
		if got, ok := Parse(text, now); ok {
			t.Errorf("Parse(%q) = %v, want no date", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"16:30", "Nov 21, 2015 16:30:05", "third friday", "-2 weeks ago", "2015-11-21 cet dst", "(", "1:2:3 -0100"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := Parse(text, now)
		if b, again := Parse(text, now); !a.Equal(b) || ok != again {
			t.Errorf("Parse(%q) = %v, and then %v", text, a, b)
		}
	})
}
