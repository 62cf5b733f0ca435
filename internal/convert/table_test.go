// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"foliot/internal/chronyconf"
	"foliot/internal/ntpconf"
)

var update = flag.Bool("update", false, "write the tables of the guide anew")

const guide = "../../MIGRATING.md"

// tables are what the parsers say of their directives, as the guide shows it.
func tables() map[string]string {
	var ntp, chrony strings.Builder
	const head = "| directive | now | note |\n|---|---|---|\n"
	ntp.WriteString(head)
	for _, d := range ntpconf.Directives() {
		fmt.Fprintf(&ntp, "| `%s` | %s | %s |\n", d.Name, d.Status, cmp(d.Note, notes[d.Name]))
	}
	chrony.WriteString(head)
	for _, name := range slices.Sorted(maps.Keys(chronyconf.Names())) {
		verdict, why := chronyconf.Verdict(name)
		fmt.Fprintf(&chrony, "| `%s` | %s | %s |\n", name, verdict, cmp(why, own[name]))
	}
	return map[string]string{"ntp.conf": ntp.String(), "chrony.conf": chrony.String()}
}

func cmp(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// notes say of what has its effect what else there is to know.
var notes = map[string]string{
	"broadcast":         "without a key",
	"disable":           "`monitor`, `ntp`, `stats`; there is nothing to choose about the others",
	"discard":           "`average`",
	"driftfile":         "ntpd's format",
	"fudge":             "the stratum of a local clock, one more is served",
	"includefile":       "a missing file is a warning; a directory is read as NTPsec does",
	"interface":         "addresses that the machine has when the file is read",
	"leapsmearinterval": "the same length, but it begins at the leap second",
	"limit":             "`average` and `burst`",
	"mru":               "`maxdepth` and `maxmem`",
	"peer":              "all options but `autokey`, which is an error",
	"pool":              "all options but `nts`, which is an error; `tos maxclock` is shared among the pools",
	"refclock":          "`local`; others are not yet",
	"restrict":          "every flag; `mssntp` is not yet",
	"server":            "all options but `autokey` and `nts`, which are errors; of 127.127.x.y the local clock",
	"statistics":        "`loopstats` and `peerstats`",
	"tinker":            "`panic`, `step`, `stepback`, `stepfwd` (the largest threshold counts for both directions)",
	"tos":               "`maxclock`, `minsane`, `maxdist`, `ceiling`, `floor`, `orphan`, `orphanwait`",
}

// own marks what chronyd does not have.
var own = map[string]string{
	"filegen": "foliot's own, as in ntp.conf", "keys": "foliot's own: a key file of ntpd", "logfile": "foliot's own", "metrics": "foliot's own",
	"noclockcontrol": "foliot's own: as the option -x", "restrict": "foliot's own, as in ntp.conf, on top of `allow`",
	"statistics": "foliot's own, as in ntp.conf", "statsdir": "foliot's own, as in ntp.conf", "trustedkey": "foliot's own, as in ntp.conf",
	"workers": "foliot's own", "ebpf": "foliot's own", "xdp": "foliot's own", "onestep": "foliot's own", "monitor": "foliot's own: a server that is measured and never followed", "rack": "foliot's own", "driftfile": "`ntpd` behind it is foliot's own: ntpd's format", "local": "`unit N` is foliot's own: shown to ntpq as 127.127.1.N",
	"server": "all options but `nts`, which is an error", "pool": "all options but `nts`, which is an error",
}

// TestGuide compares the tables of the guide with those of the parsers; with
// -update it writes them.
func TestGuide(t *testing.T) {
	b, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, want := range tables() {
		begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
		before, rest, ok := strings.Cut(text, begin)
		got, after, closed := strings.Cut(rest, end)
		switch {
		case !ok || !closed:
			t.Fatalf("%s has no place for the table of %s", guide, name)
		case got != want && !*update:
			t.Errorf("the table of %s in %s is not what the parser says: go test ./internal/convert -run TestGuide -update", name, guide)
		}
		text = before + begin + want + end + after
	}
	if *update {
		if err := os.WriteFile(guide, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range notes {
		if !strings.Contains(text, "| `"+name+"` | supported |") {
			t.Errorf("a note about %s, which is not there", name)
		}
	}
}
