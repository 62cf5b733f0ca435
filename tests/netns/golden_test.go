// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// column compares a value that foliotd's report has with chronyd's.
type column func(ours, theirs string) bool

func same(ours, theirs string) bool { return ours == theirs }

func anything(string, string) bool { return true }

// within allows numbers to differ by so much.
func within(most float64) column {
	return func(ours, theirs string) bool {
		x, err1 := strconv.ParseFloat(ours, 64)
		y, err2 := strconv.ParseFloat(theirs, 64)
		return err1 == nil && err2 == nil && math.Abs(x-y) <= most
	}
}

// below wants both numbers to be small.
func below(most float64) column {
	return func(ours, theirs string) bool {
		x, err1 := strconv.ParseFloat(ours, 64)
		y, err2 := strconv.ParseFloat(theirs, 64)
		return err1 == nil && err2 == nil && math.Abs(x) <= most && math.Abs(y) <= most
	}
}

// golden are reports and what each of their columns may differ by. The clocks of
// both daemons are the same, so offsets (s) differ by the noise of the link, and
// frequencies (ppm) by what a few seconds tell.
var golden = []struct {
	command string
	columns []column
}{
	{"tracking", []column{
		same, same, same, within(3), within(2e-3), below(1e-2), below(1e-2), below(50), below(50), below(500),
		below(2e-3), below(2e-3), below(10), same,
	}},
	{"sources", []column{same, same, same, same, same, anything, below(3), within(2e-3), within(2e-3), below(2e-3)}},
	{"sourcestats", []column{same, below(64), below(64), below(60), below(200), below(1000), within(2e-3), below(1e-3)}},
	{"selectdata", slices.Concat(times(13, same), []column{below(3), within(1), below(1e-2), below(1e-2), same})},
	{"ntpdata", slices.Concat(times(13, same), []column{below(1e-2), below(1e-2), same, same, within(3),
		within(2e-3), below(2e-3), below(1e-3), below(0.1), below(0.5), same, same, anything, same, same, same, same},
		times(6, within(6)), times(2, same))},
	{"authdata", times(10, same)},
	{"activity", times(5, same)},
	{"serverstats", slices.Concat(times(2, same), []column{anything}, times(14, same))},
	{"smoothing", []column{same, same, below(1e-2), below(300), below(1), below(4), anything}},
}

func times(n int, c column) []column { return slices.Repeat([]column{c}, n) }

// TestReportsBesideChronyd asks a foliotd and a chronyd, with one configuration and
// one clock between them, by one chronyc, and compares each field. The source that
// they follow is a tenth of a second off by configuration, one that they only
// watch is not: so the signs show.
func TestReportsBesideChronyd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	newer, err := Newer()
	able(t, err)
	b.must(b.a.Hosts())
	b.chronyd(b.b, "server", "keyfile "+keyFile(b)+"\n"+serving)
	config := fmt.Sprintf("server %s %s offset 0.1\nserver %s %s noselect key 7\nserver nowhere.test\n", b.link.B4, fast, b.link.B6, fast) +
		"keyfile " + keyFile(b) + "\nsmoothtime 400 0.01\nport 0\nauthselectmode ignore\n"
	f := b.foliotd(b.a, "foliotd", config)
	c := b.chronydOf(newer, b.a, "chronyd", config)
	b.selected(f, b.link.B4, 20*time.Second)
	b.chronySelected(c, b.link.B4, 20*time.Second)
	b.measured(f, b.link.B4, 14, 20*time.Second)
	b.measured(c, b.link.B4, 14, 20*time.Second)
	for _, g := range golden {
		var ours, theirs string
		wrong := ""
		for range 12 { // a report may fall between two polls
			ours, err = f.ChronycOf(newer, "-c", g.command)
			b.must(err)
			theirs, err = c.ChronycOf(newer, "-c", g.command)
			b.must(err)
			if wrong = compare(ours, theirs, g.columns); wrong == "" {
				break
			}
			time.Sleep(300 * time.Millisecond)
		}
		if wrong != "" {
			t.Errorf("%s: %s\nfoliotd:\n%schronyd:\n%s", g.command, wrong, ours, theirs)
		}
	}
	for _, edition := range []Chrony{Stock, newer} {
		for _, cmd := range []string{"sourcename " + b.link.B4.String(), "sourcename 192.0.2.1", "rtcdata", "manual list", "sources -a", "clients"} {
			ours, err1 := f.ChronycOf(edition, cmd)
			theirs, err2 := c.ChronycOf(edition, cmd)
			if shape(ours) != shape(theirs) || (err1 == nil) != (err2 == nil) {
				t.Errorf("%s: %v, chronyd %v\nfoliotd:\n%schronyd:\n%s", cmd, err1, err2, ours, theirs)
			}
		}
	}
}

// keyFile writes a key that both sides have.
func keyFile(b *bench) string {
	path, err := b.lab.Write("7 SHA1 HEX:000102030405060708090a0b0c0d0e0f10111213\n", "keys")
	b.must(err)
	return path
}

// compare goes through the rows of two reports in CSV and says what differs.
func compare(ours, theirs string, columns []column) string {
	x, y := strings.Split(strings.TrimSpace(ours), "\n"), strings.Split(strings.TrimSpace(theirs), "\n")
	if len(x) != len(y) {
		return fmt.Sprintf("%d rows, want %d", len(x), len(y))
	}
	for i := range x {
		f, g := strings.Split(x[i], ","), strings.Split(y[i], ",")
		if len(f) != len(columns) || len(g) != len(columns) {
			return fmt.Sprintf("row %d has %d columns, chronyd's %d, the table %d", i+1, len(f), len(g), len(columns))
		}
		for j, equal := range columns {
			if !equal(f[j], g[j]) {
				return fmt.Sprintf("row %d, column %d: %s, chronyd has %s", i+1, j+1, f[j], g[j])
			}
		}
	}
	return ""
}

// shape is a text without its numbers, signs and units.
func shape(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789 +-munps.", r) {
			return -1
		}
		return r
	}, text)
}
