// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"foliot/internal/config"
)

// TestAllNamesKnown: chrony has 100 names; "workers", "metrics", "ebpf", "onestep", "xdp",
// "monitor" and "rack" are ours, and some are ntpd's.
func TestAllNamesKnown(t *testing.T) {
	p := newParser(memory{})
	if got, want := len(p.table), 100+7+8; got != want {
		t.Errorf("%d directives, want %d", got, want)
	}
	for name := range notYet {
		if _, ok := p.table[name]; !ok {
			t.Errorf("notYet has %q, which is no directive", name)
		}
	}
	parts := []map[string]directive{
		p.sourceDirectives(), p.selectDirectives(), p.clockDirectives(), p.serverDirectives(),
		p.clientDirectives(), p.processDirectives(), p.fileDirectives(), p.ntpdDirectives(), inertDirectives(),
	}
	sum := 0
	for _, part := range parts {
		sum += len(part)
	}
	if sum != len(p.table) {
		t.Errorf("%d rows make a table of %d: a name is there twice", sum, len(p.table))
	}
	for name := range inertDirectives() {
		if _, ok := notYet[name]; !ok && !obsolete[name] && name != "dumponexit" {
			t.Errorf("directive %s has no effect and no warning", name)
		}
	}
}

func TestWarnings(t *testing.T) {
	arguments := map[string]string{
		"initstepslew": "30 a", "mailonchange": "a@b 0.5", "refclock": "SHM 0 refid GPS",
		"nosystemcert": "",
		"rtconutc":     "", "ntsratelimit": "interval 1", "ntsaeads": "30 15",
	}
	for _, name := range keys(notYet) {
		args, ok := arguments[name]
		if !ok {
			args = "1"
		}
		_, warnings, err := parse("\n" + name + " " + args + "\n")
		want := name + " directive at line 2 in file /f is not supported yet and is ignored"
		if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0].Text, want) ||
			warnings[0].File != "/f" || warnings[0].Line != 2 {
			t.Errorf("%s %s: warnings %v, error %v, want one: %s", name, args, warnings, err, want)
		}
	}
	tests := []struct{ text, want string }{
		{"commandkey 1", "commandkey directive at line 1 in file /f is obsolete and is ignored"},
		{"generatecommandkey", "generatecommandkey directive at line 1 in file /f is obsolete and is ignored"},
		{"linux_hz 100", "linux_hz directive at line 1 in file /f is obsolete and is ignored"},
		{"linux_freq_scale 1", "linux_freq_scale directive at line 1 in file /f is obsolete and is ignored"},
		{"log rtc", "log rtc at line 1 in file /f is not supported yet and is ignored"},
		{"log refclocks", "log refclocks at line 1 in file /f is not supported yet and is ignored"},
		{"server a extfield 10a", "extfield option 10A in server directive at line 1 in file /f is not supported yet and is ignored"},
		{"server a extfield F324", "extfield option 10A in server directive at line 1 in file /f is not supported yet and is ignored"},
		{"peer a iburst", "iburst option in peer directive at line 1 in file /f has no effect on a peer"},
		{"peer a presend 3", "presend option in peer directive at line 1 in file /f has no effect on a peer"},
		{"server a maxpoll 4", "maxpoll option in server directive at line 1 in file /f is below minpoll and is raised to 6"},
		{"ntsserverkey k", "ntsserverkey directive at line 1 in file /f is not supported yet and is ignored: clients cannot use NTS"},
	}
	for _, tt := range tests {
		_, warnings, err := parse(tt.text)
		if err != nil || !slices.Equal(sentences(warnings), []string{tt.want}) {
			t.Errorf("%q: warnings %q, error %v, want %q", tt.text, warnings, err, tt.want)
		}
	}
	must(t, "dumponexit\n")
}

// none stands for an end that a range does not have.
const none = math.MaxInt64

// numbers are the settings with a range.
var numbers = []struct {
	line   string // %s is the value
	lo, hi int64
	get    func(c *config.Config) int64
}{
	{"acquisitionport %s", 0, 65535, func(c *config.Config) int64 { return int64(c.Client.AcquisitionPort) }},
	{"cmdport %s", 0, 65535, func(c *config.Config) int64 { return int64(c.Command.Port) }},
	{"port %s", 0, 65535, func(c *config.Config) int64 { return int64(c.Server.Port) }},
	{"dscp %s", 0, 63, func(c *config.Config) int64 { return int64(c.Client.DSCP) }},
	{"minstratum %s", 0, 15, func(c *config.Config) int64 { return int64(c.Select.MinStratum) }},
	{"maxstratum %s", 0, 15, func(c *config.Config) int64 { return int64(c.Select.MaxStratum) }},
	{"minsources %s", 1, maxInt32, func(c *config.Config) int64 { return int64(c.Select.MinSources) }},
	{"sched_priority %s", 0, 100, func(c *config.Config) int64 { return int64(c.Process.SchedPriority) }},
	{"logbanner %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Log.Banner) }},
	{"maxsamples %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Client.MaxSamples) }},
	{"minsamples %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Client.MinSamples) }},
	{"maxtxbuffers %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Client.MaxTxBuffers) }},
	{"refresh %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Client.Refresh) }},
	{"clientloglimit %s", 0, none, func(c *config.Config) int64 { return c.Server.ClientLogLimit }},
	{"makestep 1 %s", math.MinInt32, maxInt32, func(c *config.Config) int64 { return int64(c.Clock.StepLimit) }},
	{"maxchange 1 %s 0", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Clock.MaxChange.Start) }},
	{"maxchange 1 0 %s", math.MinInt32, maxInt32, func(c *config.Config) int64 { return int64(c.Clock.MaxChange.Ignore) }},
	{"driftfile d interval %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Clock.DriftInterval) }},
	{"local stratum %s", 1, 15, func(c *config.Config) int64 { return int64(c.Local.Stratum) }},
	{"local waitsynced %s", 0, none, func(c *config.Config) int64 { return int64(c.Local.WaitSynced) }},
	{"ratelimit interval %s", -19, 12, func(c *config.Config) int64 { return int64(c.Server.RateLimit.Interval) }},
	{"ratelimit burst %s", 1, 255, func(c *config.Config) int64 { return int64(c.Server.RateLimit.Burst) }},
	{"ratelimit leak %s", 1, 4, func(c *config.Config) int64 { return int64(c.Server.RateLimit.Leak) }},
	{"ratelimit kod %s", 0, 4, func(c *config.Config) int64 { return int64(c.Server.RateLimit.KoD) }},
	{"cmdratelimit interval %s", -19, 12, func(c *config.Config) int64 { return int64(c.Command.RateLimit.Interval) }},
	{"broadcast %s 192.0.2.255", 1, maxInt32, func(c *config.Config) int64 { return int64(c.Server.Broadcasts[0].Interval) }},
	{"broadcast 60 192.0.2.255 %s", 1, 65535, func(c *config.Config) int64 { return int64(c.Server.Broadcasts[0].Dest.Port()) }},
	{"hwtimestamp * minpoll %s", -6, 20, func(c *config.Config) int64 { return int64(c.Client.HWTimestamps[0].MinPoll) }},
	{"hwtimestamp * minpoll -6 maxpoll %s", -6, 20, func(c *config.Config) int64 { return int64(c.Client.HWTimestamps[0].MaxPoll) }},
	{"hwtimestamp * minsamples %s", 1, 1024, func(c *config.Config) int64 { return int64(c.Client.HWTimestamps[0].MinSamples) }},
	{"hwtimestamp * maxsamples %s", 1, 1024, func(c *config.Config) int64 { return int64(c.Client.HWTimestamps[0].MaxSamples) }},
	{"server a minpoll %s", -7, 24, func(c *config.Config) int64 { return int64(c.Sources[0].MinPoll) }},
	{"server a minpoll -7 maxpoll %s", -7, 24, func(c *config.Config) int64 { return int64(c.Sources[0].MaxPoll) }},
	{"server a key %s", 1, math.MaxUint32, func(c *config.Config) int64 { return int64(c.Sources[0].Key) }},
	{"server a certset %s", 0, math.MaxUint32, func(c *config.Config) int64 { return int64(c.Sources[0].CertSet) }},
	{"server a port %s", 0, 65535, func(c *config.Config) int64 { return int64(c.Sources[0].Port) }},
	{"server a ntsport %s", 0, 65535, func(c *config.Config) int64 { return int64(c.Sources[0].NTSPort) }},
	{"server a version %s", 1, 4, func(c *config.Config) int64 { return int64(c.Sources[0].Version) }},
	{"server a minstratum %s", 0, 15, func(c *config.Config) int64 { return int64(c.Sources[0].MinStratum) }},
	{"server a maxdelay %s", 0, 1000, func(c *config.Config) int64 { return int64(c.Sources[0].MaxDelay) }},
	{"server a maxunreach %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Sources[0].MaxUnreach) }},
	{"server a minsamples %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Sources[0].MinSamples) }},
	{"server a maxsamples %s", 0, maxInt32, func(c *config.Config) int64 { return int64(c.Sources[0].MaxSamples) }},
	{"server a polltarget %s", 1, maxInt32, func(c *config.Config) int64 { return int64(c.Sources[0].PollTarget) }},
	{"server a presend %s", -7, 100, func(c *config.Config) int64 { return int64(c.Sources[0].Presend) }},
	{"server a filter %s", 0, 8192, func(c *config.Config) int64 { return int64(c.Sources[0].Filter) }},
	{"pool a maxsources %s", 1, none, func(c *config.Config) int64 { return int64(c.Sources[0].MaxSources) }},
	{"maxdistance %s", 0, none, func(c *config.Config) int64 { return int64(c.Select.MaxDistance) }},
	{"combinelimit %s", 0, none, func(c *config.Config) int64 { return int64(c.Select.CombineLimit) }},
	{"maxjitter %s", 0, none, func(c *config.Config) int64 { return int64(c.Select.MaxJitter) }},
	{"reselectdist %s", 0, none, func(c *config.Config) int64 { return int64(c.Select.ReselectDistance) }},
	{"stratumweight %s", 0, none, func(c *config.Config) int64 { return int64(c.Select.StratumWeight) }},
	{"corrtimeratio %s", 0, none, func(c *config.Config) int64 { return int64(c.Clock.CorrTimeRatio) }},
	{"maxclockerror %s", 0, none, func(c *config.Config) int64 { return int64(c.Clock.MaxClockError) }},
	{"maxslewrate %s", 0, none, func(c *config.Config) int64 { return int64(c.Clock.MaxSlewRate) }},
	{"maxupdateskew %s", 0, none, func(c *config.Config) int64 { return int64(c.Clock.MaxUpdateSkew) }},
	{"maxdrift %s", 0, none, func(c *config.Config) int64 { return int64(c.Clock.MaxDrift) }},
	{"logchange %s", 0, none, func(c *config.Config) int64 { return int64(c.Log.Change) }},
	{"hwtstimeout %s", 0, none, func(c *config.Config) int64 { return int64(c.Client.HWTimeout) }},
}

// TestNumbers gives each setting the ends of its range and what lies beyond.
func TestNumbers(t *testing.T) {
	for _, tt := range numbers {
		t.Run(tt.line, func(t *testing.T) {
			for _, v := range []int64{tt.lo, tt.hi} {
				if v != none {
					wantStored(t, fmt.Sprintf(tt.line, fmt.Sprint(v)), v, tt.get)
				}
			}
			wantRange(t, tt.line, tt.lo-1, fmt.Sprintf("min %d", tt.lo))
			if tt.hi != none {
				wantRange(t, tt.line, tt.hi+1, fmt.Sprintf("max %d", tt.hi))
			}
			for _, word := range []string{"x", "1x", "nan", "--1"} {
				if _, _, err := parse(fmt.Sprintf(tt.line, word)); err == nil {
					t.Errorf("value %q: no error", word)
				}
			}
		})
	}
}

func wantStored(t *testing.T, line string, want int64, get func(*config.Config) int64) {
	t.Helper()
	c, _, err := parse(line)
	if err != nil {
		t.Errorf("%s: error %v, want none", line, err)
	} else if got := get(c); got != want {
		t.Errorf("%s: stored %d, want %d", line, got, want)
	}
}

func wantRange(t *testing.T, line string, v int64, bound string) {
	t.Helper()
	line = fmt.Sprintf(line, fmt.Sprint(v))
	_, _, err := parse(line)
	if err == nil {
		t.Errorf("%s: no error", line)
		return
	}
	// bounds of numbers are written shorter where they are large
	short := strings.Replace(bound, "2147483647", "2.147483647e+09", 1)
	text := err.Error()
	if !strings.HasPrefix(text, fmt.Sprintf("Invalid value %d in ", v)) ||
		!strings.Contains(text, bound) && !strings.Contains(text, short) {
		t.Errorf("%s: error %s, want an invalid value and %s", line, text, bound)
	}
}

func TestCaps(t *testing.T) {
	c := must(t, "pool a maxsources 17\nclientloglimit 99999999999\nmaxdrift 500000\n")
	if got := c.Sources[0].MaxSources; got != 16 {
		t.Errorf("maxsources 17: %d, want 16", got)
	}
	if got := c.Server.ClientLogLimit; got != 1<<31 {
		t.Errorf("clientloglimit 99999999999: %d, want 2^31", got)
	}
	if got := c.Clock.MaxDrift; got != 100000 {
		t.Errorf("maxdrift 500000: %g, want 100000", got)
	}
}

func TestParseFloat(t *testing.T) {
	tests := []struct {
		word string
		want float64
		ok   bool
	}{
		{"1", 1, true}, {"1.0", 1, true}, {"+.5", 0.5, true}, {"5.", 5, true}, {"-0.25", -0.25, true},
		{"1e-3", 1e-3, true}, {"1E+3", 1000, true}, {"0x10", 16, true}, {"0x1p-3", 0.125, true},
		{"0X1.8", 1.5, true}, {"1e400", math.Inf(1), true}, {"1e-400", 0, true},
		{"", 0, false}, {"x", 0, false}, {"1_0", 0, false}, {"0x1_0", 0, false}, {"1x", 0, false},
		{"nan", 0, false}, {"inf", 0, false}, {"1e", 0, false}, {"+-1", 0, false},
	}
	for _, tt := range tests {
		got, ok := parseFloat(tt.word)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseFloat(%q) = %g, %v, want %g, %v", tt.word, got, ok, tt.want, tt.ok)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"serve a", "Invalid directive serve at line 1 in file /f: did you mean server?"},
		{"zzzzzzzz", "Invalid directive zzzzzzzz at line 1 in file /f"},
		{"\nserver a ibrust", "Invalid option in server directive at line 2 in file /f: ibrust, did you mean iburst?"},
		{"server a # text", "Invalid option in server directive at line 1 in file /f: #"},
		{"server a minpoll", "Invalid option in server directive at line 1 in file /f: minpoll needs a value"},
		{"server a minpoll 25", "Invalid value 25 in minpoll option of server directive (min -7, max 24) at line 1 in file /f"},
		{"pool a minpoll 6x", "Invalid value 6x in minpoll option of pool directive (not an integer, min -7, max 24) at line 1 in file /f"},
		{"server a minpoll 99999999999999999999", "Invalid value 99999999999999999999 in minpoll option of server directive (min -7, max 24) at line 1 in file /f"},
		{"server a maxdelayquant 0.01", "Invalid value 0.01 in maxdelayquant option of server directive (min 0.05, max 0.95) at line 1 in file /f"},
		{"server a asymmetry 0.6", "Invalid value 0.6 in asymmetry option of server directive (min -0.5, max 0.5) at line 1 in file /f"},
		{"server a offset x", "Invalid value x in offset option of server directive (not a number, any finite number) at line 1 in file /f"},
		{"server a extfield F325", "Invalid value F325 in extfield option of server directive (not known, allowed: F323, 10A, F324) at line 1 in file /f"},
		{"server a nts", "Invalid option in server directive at line 1 in file /f: nts is not supported yet, and without it a would be trusted unauthenticated; remove the option if that is acceptable"},
		{"server", "Missing arguments for server directive at line 1 in file /f"},
		{"port", "Missing arguments for port directive at line 1 in file /f"},
		{"makestep 1", "Missing arguments for makestep directive at line 1 in file /f"},
		{"tempcomp a 1 2 3", "Missing arguments for tempcomp directive at line 1 in file /f"},
		{"makestep 1 2 3", "Too many arguments for makestep directive at line 1 in file /f"},
		{"rtcsync # text", "Too many arguments for rtcsync directive at line 1 in file /f: a comment needs a line of its own"},
		{"port 1 2", "Too many arguments for port directive at line 1 in file /f"},
		{"confdir 1 2 3 4 5 6 7 8 9 10 11", "Too many arguments for confdir directive at line 1 in file /f"},
		{"port x", "Could not parse port directive at line 1 in file /f: x is not an integer (min 0, max 65535)"},
		{"port 65536", "Invalid value 65536 in port directive (min 0, max 65535) at line 1 in file /f"},
		{"maxdistance 1e999", "Invalid value 1e999 in maxdistance directive (min 0) at line 1 in file /f"},
		{"clockprecision 2", "Invalid value 2 in clockprecision directive (min 1e-09, max 1) at line 1 in file /f"},
		{"clockprecision 0", "Invalid value 0 in clockprecision directive (min 1e-09, max 1) at line 1 in file /f"},
		{"leapsecmode no", "Could not parse leapsecmode directive at line 1 in file /f: no is not known (allowed: ignore, slew, step, system)"},
		{"ebpf", "Missing arguments for ebpf directive at line 1 in file /f"},
		{"ebpf maybe", "Could not parse ebpf directive at line 1 in file /f: maybe is not known (allowed: off, on)"},
		{"onestep 1", "Could not parse onestep directive at line 1 in file /f: 1 is not known (allowed: off, on)"},
		{"xdp serve", "Missing arguments for xdp directive at line 1 in file /f"},
		{"xdp server e0", "Invalid option in xdp directive at line 1 in file /f: server, did you mean serve?"},
		{"xdp serve mode native", "Could not parse xdp directive at line 1 in file /f: xdp serve needs the name of an interface, or auto"},
		{"xdp serve e0 mode fast", "Invalid value fast in mode option of xdp directive (not known, allowed: auto, generic, native) at line 1 in file /f"},
		{"xdp serve e0 native", "Could not parse xdp directive at line 1 in file /f: native is a mode: write mode native (an interface of that name comes first)"},
		{"xdp serve e0 mode", "Invalid option in xdp directive at line 1 in file /f: mode needs a value"},
		{"xdp serve an-interface-too-long", "Could not parse xdp directive at line 1 in file /f: an-interface-too-long is not the name of an interface (1 to 15 characters, no slash, no colon)"},
		{"metrics", "Missing arguments for metrics directive at line 1 in file /f"},
		{"metrics listen", "Missing arguments for metrics directive at line 1 in file /f"},
		{"metrics listn off", "Invalid option in metrics directive at line 1 in file /f: listn, did you mean listen?"},
		{"metrics listen localhost", "Invalid value localhost in listen option of metrics directive (not an address, ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or off) at line 1 in file /f"},
		{"metrics listen 127.0.0.1:0", "Invalid value 127.0.0.1:0 in listen option of metrics directive (not an address, ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or off) at line 1 in file /f"},
		{"metrics listen 127.0.0.1:80 [::1]:80", "Too many arguments for metrics directive at line 1 in file /f"},
		{"metrics compat ntpd-rs", "Invalid value ntpd-rs in compat option of metrics directive (not known, allowed: chrony, off) at line 1 in file /f"},
		{"log Tracking", "Invalid log parameter Tracking at line 1 in file /f: did you mean tracking?"},
		{"bindaddress a", "Could not parse bindaddress directive at line 1 in file /f: a is not an address (IPv4 or IPv6, no name)"},
		{"opencommands shutdown", "Could not parse opencommands directive at line 1 in file /f: shutdown is not a command that can be opened (allowed: " + strings.Join(openable, ", ") + ")"},
		{"include [", "Could not parse include directive at line 1 in file /f: pattern [: syntax error in pattern"},
		{"local stratum 16", "Invalid value 16 in stratum option of local directive (min 1, max 15) at line 1 in file /f"},
		{"local orphans", "Invalid option in local directive at line 1 in file /f: orphans, did you mean orphan?"},
		{"smoothtime 1 2 leap", "Invalid option in smoothtime directive at line 1 in file /f: leap"},
		{"smoothtime x 2", "Could not parse smoothtime directive at line 1 in file /f: x is not a number (min 0)"},
		{"tempcomp a x y", "Could not parse tempcomp directive at line 1 in file /f: x is not a number (min 0)"},
		{"initstepslew x", "Could not parse initstepslew directive at line 1 in file /f: x is not a number (any finite number)"},
		{"driftfile a b", "Invalid option in driftfile directive at line 1 in file /f: b"},
		{"hwtimestamp e rxfilter x", "Invalid value x in rxfilter option of hwtimestamp directive (not known, allowed: all, none, ntp, ptp) at line 1 in file /f"},
		{"cmdratelimit kod 1", "Invalid option in cmdratelimit directive at line 1 in file /f: kod"},
		{"broadcast 60 host", "Could not parse broadcast directive at line 1 in file /f: host is not an address (IPv4 or IPv6, no name)"},
		{"allow 1.2.3.4/33", "Invalid value 33 in allow directive (prefix length, min 0, max 32) at line 1 in file /f"},
		{"deny ::/129", "Invalid value 129 in deny directive (prefix length, min 0, max 128) at line 1 in file /f"},
		{"allow 1.2.3.4/", "Could not parse allow directive at line 1 in file /f: the prefix length in 1.2.3.4/ is not a number"},
		{"allow host/24", "Could not parse allow directive at line 1 in file /f: host/24 is no address, network or host name"},
		{"allow 1.2.3.400", "Could not parse allow directive at line 1 in file /f: 1.2.3.400 is no address, network or host name"},
		{"cmdallow 1 2", "Could not parse cmdallow directive at line 1 in file /f: one network is expected, 2 is a second"},
		{"allow all all 1", "Too many arguments for allow directive at line 1 in file /f"},
		{"port 1\x002", "Invalid character at line 1 in file /f: a byte of value zero"},
		{"port " + strings.Repeat("1", maxLine), "Line too long at line 1 in file /f: max 2047 characters"},
		{"noclientlog\nratelimit", "configuration: ratelimit cannot be used together with noclientlog"},
		{"minstratum 5\nmaxstratum 4", "configuration: minstratum 5 is above maxstratum 4"},
		{"include /f2", ""},
	}
	for _, tt := range tests {
		c, _, err := parse(tt.text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want || (c == nil) != (tt.want != "") {
			t.Errorf("%.60q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestAccess(t *testing.T) {
	rule := func(change func(r *config.AccessRule)) config.AccessRule {
		r := config.AccessRule{Origin: config.Origin{File: "/f", Line: 1}, Allow: true}
		change(&r)
		return r
	}
	prefix := func(p string) config.AccessRule {
		return rule(func(r *config.AccessRule) { r.Prefix = netip.MustParsePrefix(p) })
	}
	tests := []struct {
		text string
		want config.AccessRule
	}{
		{"allow", rule(func(r *config.AccessRule) { r.Everything = true })},
		{"allow ALL", rule(func(r *config.AccessRule) { r.Everything, r.All = true, true })},
		{"deny all", rule(func(r *config.AccessRule) { r.Everything, r.All, r.Allow = true, true, false })},
		{"deny 10.0.0.1", rule(func(r *config.AccessRule) {
			r.Allow, r.Prefix = false, netip.MustParsePrefix("10.0.0.1/32")
		})},
		{"allow all 10", rule(func(r *config.AccessRule) { r.All, r.Prefix = true, netip.MustParsePrefix("10.0.0.0/8") })},
		{"allow 1.2", prefix("1.2.0.0/16")},
		{"allow 1.2.3", prefix("1.2.3.0/24")},
		{"allow 1.2.3.4/24", prefix("1.2.3.0/24")},
		{"allow 1.2/12", prefix("1.0.0.0/12")},
		{"allow 0/0", prefix("0.0.0.0/0")},
		{"allow ::/0", prefix("::/0")},
		{"allow 2001:db8::1", prefix("2001:db8::1/128")},
		{"allow fe80::1/10", prefix("fe80::/10")},
		{"allow host-1.example", rule(func(r *config.AccessRule) { r.Host = "host-1.example" })},
	}
	for _, tt := range tests {
		c := must(t, tt.text)
		if want := []config.AccessRule{tt.want}; !reflect.DeepEqual(c.Server.Access, want) {
			t.Errorf("%s: %+v, want %+v", tt.text, c.Server.Access, want)
		}
		c = must(t, "cmd"+tt.text)
		if want := []config.AccessRule{tt.want}; !reflect.DeepEqual(c.Command.Access, want) {
			t.Errorf("cmd%s: %+v, want %+v", tt.text, c.Command.Access, want)
		}
	}
}
