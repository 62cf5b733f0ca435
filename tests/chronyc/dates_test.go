// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// dates are what people may type. Left out are two that foliotctl reads better:
// with "16:30 +0200" chronyc takes the seconds from now, and "1-1-2020" is some
// day of another year to it.
const dates = `
now
today
tomorrow
yesterday
16:30
16:30:05
4:30pm
4:30:05 PM
12 am
12pm
16:30 UTC
16:30 EST
16:30 +02:00
16:30:05 -0130
Nov 21, 2015 16:30:05
Nov 21 2015 16:30
21 Nov 2015
21 Nov
Nov 21
21-Nov-2015
2015-11-21
2015-11-21 16:30
2015-11-21T16:30:00Z
2015/11/21
11/21
11/21/2015
11/21/15
20151121
20151121 1630
1630
16
Monday
monday 10:00
next monday
last monday
2 monday
wednesday
next week
last week
2 weeks
2 weeks ago
1 hour
-1 hour
+1 hour
1 hour ago
1 day
3 months
1 year ago
next year
this week
fortnight
1 fortnight ago
10:00 tomorrow
tomorrow 10:00
yesterday noon
noon
midnight
25:00
16:60
16:30:60
Feb 30 2015
Feb 29 2016
foo
16:30 foo
Nov 21 2015 16:30:05 2016
16:30 17:30
Sep 25, 2015 16:30:05
Fri Sep 25 16:30:05 2015
Fri, 25 Sep 2015 16:30:05 GMT
Fri Sep 25 16:30:05 UTC 2015
Fri Sep 25 16:30:05 CET 2015
16:30 CEST
16:30 cet dst
16:30 A
16:30 Z
sept 5
sep. 5
second monday
third friday
1 minute
5 mins
10 sec
10 seconds ago
1 hour 30 minutes
100
99
1/1/70
Nov 21, 2040
1/1/69
12:00 a.m.
13:00 pm
0:00 am
3 days ago 10:00
@1234567890
2015-11-21 16:30 (a remark)
`

// TestDates holds the dates of settime against each other. They may be seconds
// apart, where they depend on now.
func TestDates(t *testing.T) {
	d := bench(t)
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York"} {
		if _, err := os.Stat("/usr/share/zoneinfo/" + zone); err != nil && zone != "UTC" {
			continue
		}
		t.Setenv("TZ", zone)
		for line := range strings.Lines(dates) {
			line = "settime " + strings.TrimSuffix(line, "\n")
			want, got := run(t, d, stock, "", line), run(t, d, ours, "", line)
			if got.stdout != want.stdout || got.code != want.code || len(got.requests) != len(want.requests) {
				t.Errorf("%s: %s, want %s", line, got.stdout, want.stdout)
				continue
			}
			if len(got.requests) == 0 {
				continue
			}
			if off := int32(asked(got) - asked(want)); off < -20 || off > 20 {
				t.Errorf("%s: %d seconds off", line, off)
			}
		}
	}
}

// asked is the time that settime told the daemon, without its upper half, which
// chronyc does not send.
func asked(r result) uint32 {
	b := make([]byte, 12)
	copy(b, r.requests[0].Data)
	return binary.BigEndian.Uint32(b[4:])
}
