// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/chronyconf"
	"foliot/internal/config"
)

// memory is a file system of texts. A name that ends in "/" is a directory.
type memory map[string]string

func (m memory) Open(name string) (io.ReadCloser, error) {
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if text == "forbidden" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (memory) Glob(string) ([]string, error) {
	return nil, errors.New("there are no patterns in ntp.conf")
}

func (m memory) List(dir string) ([]string, error) {
	var names []string
	for name := range m {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			names = append(names, rest)
		}
	}
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

func machine() ([]Address, error) {
	return []Address{
		{"lo", "127.0.0.1"}, {"lo", "::1"}, {"eth0", "192.0.2.1"}, {"eth0", "2001:db8::1"}, {"eth0", "fe80::1"}, {"eth1", "198.51.100.1"},
	}, nil
}

func parse(text string) (*config.Config, []chronyconf.Warning, error) {
	return ParseFile(memory{"/f": text}, machine, "/f")
}

// good parses what must be without an error.
func good(t *testing.T, text string) *config.Config {
	t.Helper()
	c, _, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

// What nobody said is as in ntpd.
func TestDefaults(t *testing.T) {
	c := good(t, "")
	if len(c.Server.Access) != 1 || !c.Server.Access[0].Everything || !c.Server.Access[0].Allow || len(c.Server.Restrict) != 0 {
		t.Errorf("access %+v, restrictions %+v; want everybody and none", c.Server.Access, c.Server.Restrict)
	}
	if c.Clock.StepThreshold != 0.128 || c.Clock.StepLimit != -1 || c.Clock.MaxChange != (config.MaxChange{Set: true, Offset: 1000, Start: 1}) {
		t.Errorf("clock %+v", c.Clock)
	}
	if c.Local.Enabled || c.Server.RateLimit.Enabled || c.Server.NoClientLog || c.Log.NTP.Loop.Enabled {
		t.Errorf("something is on that nobody asked for: %+v", c)
	}
}

var addr = netip.MustParseAddr

// settings are lines and what is true of the configuration that they make.
var settings = []struct {
	text string
	ok   func(*config.Config) bool
}{
	{"server a iburst burst minpoll 4 maxpoll 8 key 7 version 3 prefer true noselect xleave preempt", func(c *config.Config) bool {
		s := &c.Sources[0]
		return s.Kind == config.KindServer && s.Name == "a" && s.IBurst && s.Burst && s.MinPoll == 4 && s.MaxPoll == 8 &&
			s.Key == 7 && s.Version == 3 && s.Prefer && s.Trust && s.NoSelect && s.XLeave && s.Origin == config.Origin{File: "/f", Line: 1}
	}},
	{"server -6 ntp.example # comment", func(c *config.Config) bool { return c.Sources[0].Family == config.FamilyIPv6 }},
	{"SERVER\t-4 \"192.0.2.1\"\r\n", func(c *config.Config) bool {
		return c.Sources[0].Family == config.FamilyIPv4 && c.Sources[0].Name == "192.0.2.1"
	}},
	{"server a minpoll 3 maxpoll 99", func(c *config.Config) bool { return c.Sources[0].MinPoll == 3 && c.Sources[0].MaxPoll == 17 }},
	{"server a minpoll 12", func(c *config.Config) bool { return c.Sources[0].MaxPoll == 12 }},
	{"peer a iburst", func(c *config.Config) bool { return c.Sources[0].Kind == config.KindPeer && !c.Sources[0].IBurst }},
	{"server a\nserver b\nunpeer a", func(c *config.Config) bool { return len(c.Sources) == 1 && c.Sources[0].Name == "b" }},
	{"pool a", func(c *config.Config) bool {
		return c.Sources[0].Kind == config.KindPool && c.Sources[0].MaxSources == 9
	}},
	{"tos maxclock 11\npool a\npool b\npool c\npool d", func(c *config.Config) bool { return c.Sources[3].MaxSources == 2 }},
	{"tos maxclock 1\npool a\npool b", func(c *config.Config) bool { return c.Sources[0].MaxSources == 1 }},
	{"tos maxclock 1000\npool a", func(c *config.Config) bool { return c.Sources[0].MaxSources == config.MaxPoolSize }},
	{"tos minsane 3 maxdist 1.5 ceiling 6 floor 2", func(c *config.Config) bool {
		s := &c.Select
		return s.MinSources == 3 && s.MaxDistance == 1.5 && s.MaxStratum == 5 && s.MinStratum == 2
	}},
	{"tos orphan 5 orphanwait 10", func(c *config.Config) bool {
		return c.Local == config.Local{Enabled: true, Orphan: true, Stratum: 5, Distance: 1, WaitUnsynced: 10}
	}},
	{"server 127.127.1.0\nfudge 127.127.1.0 stratum 3", func(c *config.Config) bool {
		return c.Local == config.Local{Enabled: true, Stratum: 4, Distance: 1, NTPClock: true}
	}},
	{"fudge 127.127.1.2 stratum 10 refid LCL\nserver 127.127.1.2 prefer\nserver a", func(c *config.Config) bool {
		return c.Local == config.Local{Enabled: true, Stratum: 11, Distance: 1, NTPClock: true, Unit: 2, WaitUnsynced: 300} && len(c.Sources) == 1
	}},
	{"server 127.127.1.0", func(c *config.Config) bool { return c.Local.Stratum == 6 }},
	{"server 127.127.1.0\nfudge 127.127.1.0 stratum 15", func(c *config.Config) bool { return c.Local.Stratum == 15 }},
	{"refclock local unit 1 stratum 7", func(c *config.Config) bool { return c.Local.Stratum == 8 && c.Local.Unit == 1 }},
	{"tinker panic 0 step 0", func(c *config.Config) bool { return !c.Clock.MaxChange.Set && c.Clock.StepLimit == 0 }},
	{"tinker step 0.5", func(c *config.Config) bool { return c.Clock.StepThreshold == 0.5 && c.Clock.StepLimit == -1 }},
	{"disable monitor", func(c *config.Config) bool { return c.Server.NoClientLog }},
	{"disable monitor\nrestrict default limited kod", func(c *config.Config) bool {
		return !c.Server.NoClientLog && c.Server.RateLimit.Enabled && c.Server.RateLimit.KoD == 2 && c.Server.Limiting()
	}},
	{"disable ntp kernel auth", func(c *config.Config) bool { return c.Clock.NoControl }},
	{"statistics loopstats\nfilegen peerstats type week file p enable nolink", func(c *config.Config) bool {
		n := &c.Log.NTP
		return n.Loop.Enabled && n.Peer == config.FileSet{Enabled: true, File: "p", Type: config.SpanWeek}
	}},
	{"statistics loopstats\ndisable stats", func(c *config.Config) bool { return !c.Log.NTP.Loop.Enabled }},
	{"statsdir /x/y", func(c *config.Config) bool { return c.Log.NTP.Prefix == "/x/y" }},
	{"discard average 4\nrestrict default limited", func(c *config.Config) bool { return c.Server.RateLimit.Interval == 4 }},
	{"limit average 1 burst 20\nrestrict default limited", func(c *config.Config) bool {
		return c.Server.RateLimit.Interval == 0 && c.Server.RateLimit.Burst == 20
	}},
	{"mru maxdepth 1000", func(c *config.Config) bool { return c.Server.ClientLogLimit == 128000 }},
	{"mru maxmem 2 mindepth 5", func(c *config.Config) bool { return c.Server.ClientLogLimit == 2048 }},
	{"mru maxmem 2147483647", func(c *config.Config) bool { return c.Server.ClientLogLimit == config.MaxClientLog }},
	{"server 127.127.28.2\nrefclock pps unit 1\nserver 127.127.20.0", func(c *config.Config) bool {
		r := c.Refclocks
		return len(r) == 2 && slices.Equal(r[0].Words, []string{"refclock", "SHM", "2"}) && slices.Equal(r[1].Words, []string{"refclock", "PPS", "/dev/pps1"})
	}},
	{"driftfile /d", func(c *config.Config) bool { return c.Clock.DriftFile == "/d" && c.Clock.NTPDrift }},
	{"keys /k\ntrustedkey 1 (3 ... 5) 9\ncontrolkey 1\nrequestkey 1", func(c *config.Config) bool {
		return c.Process.KeyFile == "/k" && c.Process.NTPKeys && slices.Equal(c.Server.TrustedKeys, []uint32{1, 3, 4, 5, 9})
	}},
	{"leapfile /l checkhash", func(c *config.Config) bool { return c.Leap.List == "/l" }},
	{"logfile /m\npidfile /p\ndscp 46", func(c *config.Config) bool {
		return c.Log.File == "/m" && c.Process.PIDFile == "/p" && c.Client.DSCP == 46
	}},
	{"leapsmearinterval 62500", func(c *config.Config) bool {
		return c.Leap.Mode == config.LeapSlew && c.Server.Smooth == config.Smooth{Enabled: true, MaxFreq: 32, MaxWander: 0.001024, LeapOnly: true}
	}},
	{"broadcast 192.0.2.255 minpoll 5", func(c *config.Config) bool {
		b := &c.Server.Broadcasts[0]
		return b.Interval == 32 && b.Dest == netip.MustParseAddrPort("192.0.2.255:123")
	}},
	{"interface ignore wildcard", func(c *config.Config) bool { return len(c.Server.BindAddresses) == 0 && c.Server.Port == 123 }},
	{"interface ignore ipv6", func(c *config.Config) bool {
		return slices.Equal(c.Server.BindAddresses, []netip.Addr{netip.IPv4Unspecified()})
	}},
	{"interface ignore all\nnic listen eth0", func(c *config.Config) bool {
		return slices.Equal(c.Server.BindAddresses, []netip.Addr{addr("127.0.0.1"), addr("192.0.2.1"), addr("::1"), addr("2001:db8::1")})
	}},
	{"interface listen 198.51.100.1", func(c *config.Config) bool {
		return slices.Equal(c.Server.BindAddresses, []netip.Addr{addr("127.0.0.1"), addr("198.51.100.1"), addr("::1")})
	}},
	{"interface drop 198.51.100.0/24\ninterface ignore ::1", func(c *config.Config) bool {
		return slices.Equal(c.Server.BindAddresses, []netip.Addr{addr("127.0.0.1"), addr("192.0.2.1"), addr("2001:db8::1")})
	}},
	{"interface ignore all", func(c *config.Config) bool {
		return slices.Equal(c.Server.BindAddresses, []netip.Addr{addr("127.0.0.1"), addr("::1")})
	}},
	{"interface ignore ipv4\ninterface ignore ipv6", func(c *config.Config) bool { return c.Server.Port == 0 }},
	{"restrict Default ignore\nrestrict SOURCE", func(c *config.Config) bool {
		return len(c.Server.Restrict) == 3 && c.Server.Restrict[0].Net == netip.IPv4Unspecified() && c.Server.Restrict[2].Host == ""
	}},
	{"restrict 10.0.0.0 mask 255.0.0.0 ignore\nunrestrict 10.0.0.0/8", func(c *config.Config) bool { return len(c.Server.Restrict) == 0 }},
	{"restrict default kod limited\nunrestrict default kod", func(c *config.Config) bool {
		return len(c.Server.Restrict) == 2 && c.Server.Restrict[1].Flags == acl.Limited
	}},
	{"\ufeffserver a\r\n\r\nserver b", func(c *config.Config) bool { return len(c.Sources) == 2 }},
}

// Each line has an effect on the setting that it names.
func TestSettings(t *testing.T) {
	for _, tc := range settings {
		if c := good(t, tc.text); !tc.ok(c) {
			t.Errorf("%q: %+v", tc.text, c)
		}
	}
}

// Errors name file, line, value and range.
func TestErrors(t *testing.T) {
	const end = " at line 2 in file /f"
	for text, want := range map[string]string{
		"sever a":                            "Invalid directive sever" + end + ": did you mean server?",
		"server":                             "Missing arguments for server directive" + end,
		"server -4":                          "Missing arguments for server directive" + end,
		"server a ibrust":                    "Invalid option in server directive" + end + ": ibrust, did you mean iburst?",
		"server a key 0":                     "Invalid value 0 in key option of server directive (min 1, max 65535)" + end,
		"server a minpoll x":                 "Invalid value x in minpoll option of server directive (min 0, max 17)" + end,
		"server a minpoll":                   "Invalid option in server directive" + end + ": minpoll, which needs a value",
		"server a version 5":                 "Invalid value 5 in version option of server directive (min 1, max 4)" + end,
		"server a autokey":                   "trusted unauthenticated",
		"server a nts":                       "trusted unauthenticated",
		"server 10.0.0.300":                  "Could not parse server directive" + end + ": 10.0.0.300 is no address or host name",
		"server 127.127.1.4":                 "unit 4 of the local clock (min 0, max 3)",
		"fudge 10.0.0.1 stratum 3":           "10.0.0.1 is not the address of a reference clock",
		"fudge 127.127.1.0 stratum 17":       "Invalid value 17 in stratum option of fudge directive (min 0, max 16)" + end,
		"restrict 10.0.0.0 mask 255.0.300.0": "Could not parse restrict directive" + end + ": mask 255.0.300.0 does not suit 10.0.0.0",
		"restrict 10.0.0.0/33":               "Invalid value 33 in prefix length option of restrict directive (min 0, max 32)" + end,
		"restrict ::1/64 mask ffff::":        "mask ffff:: does not suit",
		"restrict -4 ::1":                    "::1 is of the other family",
		"restrict 10.0.0.0/8 nquery":         "Invalid option in restrict directive" + end + ": nquery, did you mean noquery?",
		"restrict 10.1":                      "10.1 is no address, network or host name",
		"restrict -4":                        "Missing arguments for restrict directive" + end,
		"tos minsane -1":                     "Invalid value -1 in minsane option of tos directive (min 0, max 2.147483647e+09)",
		"tos orphan 17":                      "(min 0, max 16)",
		"tinker panic -1":                    "Invalid value -1 in panic option of tinker directive (min 0)",
		"tinker step inf":                    "Invalid value inf in step",
		"tinker step nan":                    "Invalid value nan in step",
		"disable monitr":                     "monitr, did you mean monitor?",
		"discard average 13":                 "Invalid value 13 in average option of discard directive (min -19, max 12)",
		"interface hear eth0":                "Invalid option in interface directive",
		"interface listen 10.0.0.0/99":       "10.0.0.0/99 is no network",
		"filegen loopstats type fortnight":   "Invalid value fortnight in type option of filegen directive (not known, allowed: age, day, month, none, pid, week, year)",
		"statistics lopstats":                "did you mean loopstats?",
		"trustedkey 0":                       "Invalid value 0 in trustedkey directive (min 1, max 65535)",
		"trustedkey 5 ... 4":                 "Invalid value 4 in trustedkey directive (min 5, max 65535)",
		"dscp 64":                            "Invalid value 64 in dscp directive (min 0, max 63)",
		"logfile":                            "Missing arguments for logfile directive",
		"logfile a b":                        "Too many arguments for logfile directive",
		"broadcast name":                     "name is no address",
		"keys \"a":                           "Invalid line" + end + ": a quote is not closed",
		"keys a\x00b":                        "Invalid line" + end + ": it is no text",
		"keys \xff":                          "Invalid line" + end + ": it is no text",
		"leapsmearinterval -1":               "(min 0, max 604800)",
		strings.Repeat("x", 1<<20):           "Line too long" + end + ": max 8191 characters",
		"#" + strings.Repeat("x", 8191):      "Line too long" + end,
	} {
		_, _, err := parse("\n" + text + "\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", text, err, want)
		}
	}
}

// Warnings say what a line means here, where that is something else or nothing.
func TestWarnings(t *testing.T) {
	const end = " at line 1 in file /f "
	for text, want := range map[string]string{
		"crypto pw secret":               "crypto directive" + end + "has no effect: autokey is not supported",
		"broadcastclient":                "broadcastclient directive" + end + "is not supported yet and is ignored: broadcasts are not listened to",
		"server 127.127.28.0":            "reference clock 127.127.28.0 (shared memory)" + end + "is not supported yet and is ignored",
		"refclock shm unit 0 refid GPS":  "reference clock shm" + end + "is not supported yet and is ignored",
		"server a minpoll 40 maxpoll 17": "minpoll option in server directive" + end + "is out of range: 17 is used (min 0, max 17)",
		"tos minclock 4":                 "minclock option in tos directive" + end + "has no effect: as many sources are combined as agree",
		"tinker stepout 900":             "stepout option in tinker directive" + end + "has no effect: ",
		"statistics clockstats":          "statistics clockstats" + end + "is not written: there are no reference clocks",
		"includefile /no":                "includefile directive" + end + "is ignored: open /no: file does not exist",
		"peer a burst":                   "burst in peer directive" + end + "has no effect: a peer is not asked in bursts",
		"unpeer a":                       "a in unpeer directive" + end + "has no effect: there is no such source",
		"restrict 10.0.0.0/8 mssntp":     "mssntp in restrict directive" + end + "is not supported yet and is ignored",
		"interface ignore eth1":          "is about the addresses that the machine has now, not about later ones",
		"leapsmearinterval 86400":        "do not mix such servers",
		"setvar x = 1 default":           "setvar directive" + end + "has no effect",
		"logconfig =all +sync":           "logconfig directive" + end + "has no effect",
		"rlimit memlock 32":              "rlimit directive" + end + "has no effect",
		"fudge 127.127.1.0 stratum 3":    "127.127.1.0 in fudge directive" + end + "has no effect: no server has that address",
		"enable mode7":                   "mode7 in enable directive" + end + "has no effect: ntpdc is not answered, ntpq is",
		"broadcast 192.0.2.255 key 5":    "key option in broadcast directive" + end + "has no effect",
	} {
		_, warnings, err := parse(text + "\n")
		if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0].Text, want) && !strings.HasSuffix(warnings[0].Text, want) {
			t.Errorf("%q: warnings %v, error %v, want one: %q", text, warnings, err, want)
		}
	}
	if _, w, err := parse("interface listen eth7"); err != nil || len(w) != 2 || !strings.Contains(w[0].Text, "eth7 in interface directive"+end+"has no effect: there is no such") {
		t.Errorf("an interface that is not there: %v, %v", w, err)
	}
	for _, text := range []string{
		"restrict 192.0.2.1 ignore\nserver 192.0.2.1", "restrict default noserve\nserver 192.0.2.1", "restrict default notrust\nserver 192.0.2.1",
	} {
		if _, w, err := parse(text); err != nil || len(w) != 1 || !strings.Contains(w[0].Text, "is never heard") {
			t.Errorf("%q: warnings %v, error %v", text, w, err)
		}
	}
	if _, w, err := parse("restrict default ignore\nrestrict source noquery\nserver 192.0.2.1\nserver 192.0.2.2 key 1\nrestrict 192.0.2.2 notrust\n"); err != nil || len(w) != 0 {
		t.Errorf("warnings %v, error %v, want neither", w, err)
	}
}

func TestIncludes(t *testing.T) {
	files := memory{
		"/etc/ntp.conf": "includefile more\nincludefile /etc/d\nincludefile /secret\nserver z\n", "/etc/more": "server a\n",
		"/etc/d/20.conf": "server c\n", "/etc/d/10.conf": "server b\n", "/etc/d/x": "server no\n", "/secret": "forbidden",
		"/loop": "includefile /loop\n",
	}
	c, w, err := ParseFile(files, nil, "/etc/ntp.conf")
	if err != nil || len(w) != 1 || !strings.Contains(w[0].Text, "permission denied") {
		t.Fatalf("warnings %v, error %v", w, err)
	}
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	if want := []string{"a", "b", "c", "z"}; !reflect.DeepEqual(names, want) {
		t.Errorf("sources %v, want %v", names, want)
	}
	if _, _, err := ParseFile(files, nil, "/loop"); err == nil || !strings.Contains(err.Error(), "more than 5 deep") {
		t.Errorf("files that include themselves: %v", err)
	}
	if _, _, err := ParseFile(files, nil, "/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestRecognize(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       bool
	}{
		{"/etc/x", "server a iburst\nrestrict default kod\ndisable monitor\n", true},
		{"/etc/x", "server 127.127.1.0\n", true},
		{"/etc/x", "server a\nmakestep 1 3\n", false},
		{"/etc/x", "server a\nrestrict default\nallow\n", false}, // a foliot.conf
		{"/etc/ntp.conf", "server a\n", true},
		{"/etc/chrony.conf", "server a\n", false},
		{"/etc/foliot.conf", "server a\n", false},
		{"/etc/chrony.conf", "! tos\n% tinker\nserver a\n", false},
		{"/etc/ntp.conf", "", true},
		{"/etc/ntp.conf", "server a\nallow\n", false}, // whose directives are chrony's
	} {
		if got := Recognize(memory{tc.name: tc.text}, tc.name); got != tc.want {
			t.Errorf("%s %q: %v, want %v", tc.name, tc.text, got, tc.want)
		}
	}
}

func TestTable(t *testing.T) {
	for _, d := range Directives() {
		if d.Status != Supported && d.Note == "" {
			t.Errorf("%s has no effect and nobody says why", d.Name)
		}
	}
	// The keywords that begin a line in ntpd 4.2.8 and NTPsec 1.2.
	for _, name := range strings.Fields(`automax broadcast broadcastclient broadcastdelay controlkey crypto disable discard driftfile dscp enable
		filegen fudge ident includefile interface keys keysdir leapfile leapsmearinterval limit logconfig logfile manycastclient
		manycastserver mdnstries mru multicastclient nic ntpsigndsocket nts peer phone pidfile pool refclock requestkey reset
		restrict revoke rlimit saveconfigdir server setvar statistics statsdir tick tinker tos trap trustedkey ttl unconfig unpeer unrestrict`) {
		if _, ok := newParser(nil, nil).table[name]; !ok {
			t.Errorf("%s is unknown", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"server 127.127.1.0 # c\nfudge 127.127.1.0 stratum 3\n", "restrict -6 default kod\nrestrict 10.0.0.0 mask 255.0.0.0 ntpport\n",
		"filegen loopstats file x type day enable\nstatistics loopstats peerstats", "interface ignore all\ninterface listen eth0\n",
		"tos minclock 4 minsane 3 orphan 5\ntinker panic 0 step 0.5\nlimit average 0.1 burst 3 kod 1\n", "keys \"a b\"\ntrustedkey (1 ... 5)\n",
		"includefile /f\n", "unrestrict default\nunpeer 127.127.1.0\nbroadcast ff02::101%x key 3 minpoll 3\nleapsmearinterval 1\n", "\ufeff\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, warnings, err := parse(text)
		Recognize(memory{"/f": text}, "/f")
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") || len(err.Error()) > 2000 {
				t.Errorf("error %q", err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("accepted although %v", err)
		}
		for _, w := range warnings {
			if w.File == "" || w.Line < 1 {
				t.Errorf("warning without a place: %+v", w)
			}
		}
	})
}
