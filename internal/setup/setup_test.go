// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"foliot/internal/auth"
	"foliot/internal/chronyconf"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/discipline"
	"foliot/internal/engine"
	"foliot/internal/leap"
	"foliot/internal/source"
)

// parse reads a configuration of one directive in each line.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, _, err := chronyconf.ParseLines(chronyconf.OS{}, strings.Split(strings.TrimSpace(text), "\n"))
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return c
}

// keys has one short and one long key.
func keys(t *testing.T) auth.Ring {
	t.Helper()
	ring := auth.Ring{}
	for id, typ := range map[uint32]auth.Type{1: auth.MD5, 2: auth.SHA1, 3: auth.SHA512, 4: auth.SHA256} {
		k, err := auth.NewKey(id, typ, []byte("twelve octets or more"))
		if err != nil {
			t.Fatal(err)
		}
		ring[id] = k
	}
	return ring
}

func engineOf(t *testing.T, text string, f *Files) engine.Config {
	t.Helper()
	if f == nil {
		f = &Files{}
	}
	if f.Keys == nil {
		f.Keys = keys(t)
	}
	return Engine(parse(t, text), f, &Machine{Quantum: 1e-7, Controlled: true, Seed: 7})
}

// What a file without settings gives is what chrony does without settings.
func TestDefaults(t *testing.T) {
	e := engineOf(t, "server 192.0.2.1", nil)
	s := e.Selection
	if s.MaxDistance != 3 || s.MaxJitter != 1 || s.MinSources != 1 || s.CombineLimit != 3 || s.ReselectDist != 1e-4 ||
		s.StratumWeight != 1e-3 || s.MinStratum != 0 || s.MaxStratum != 15 || math.Abs(s.ClockError-1e-6) > 1e-18 || s.OrphanStratum != 0 {
		t.Errorf("selection %+v", s)
	}
	d := e.Discipline
	if d.StepThreshold != 0 || d.StepLimit != 0 || d.MaxChange != 0 || d.CorrTimeRatio != 3 || d.LogChange != 1 ||
		math.Abs(float64(d.MaxUpdateSkew)-1e-3) > 1e-15 || math.Abs(float64(d.ClockError)-1e-6) > 1e-18 {
		t.Errorf("discipline %+v", d)
	}
	if c := e.Clock; !c.Controlled || math.Abs(float64(c.MaxSlewRate)-1.0/12) > 1e-12 || math.Abs(float64(c.MaxDrift)-0.1) > 1e-12 {
		t.Errorf("clock %+v", c)
	}
	if e.Quantum != 1e-7 || e.Precision != -23 || e.Seed != 7 || e.DriftInterval != 3600 || e.RefreshEvery != 1209600 || e.Stamps != 4096 {
		t.Errorf("quantum %g, precision %d, seed %d, drift interval %g, refresh %g, %d stamps",
			e.Quantum, e.Precision, e.Seed, e.DriftInterval, e.RefreshEvery, e.Stamps)
	}
	if e.Local.Enabled || e.Smooth.Enabled || e.Drift != nil || e.TempComp != nil || e.Policy.Access.Any() || e.NoServer || e.SharedPort {
		t.Errorf("something is on that was not configured: %+v", e)
	}
	if len(e.Sources) != 1 {
		t.Fatalf("%d sources, want 1", len(e.Sources))
	}
	x := &e.Sources[0]
	p := &x.Template
	if x.Name != "192.0.2.1" || x.Port != 123 || x.Pool || x.Family != engine.Family(config.FamilyAny) {
		t.Errorf("source %+v", x)
	}
	if p.Symmetric || p.MinPoll != 6 || p.MaxPoll != 10 || p.PollTarget != 8 || p.Version != 4 || p.Presend != 100 ||
		p.MaxUnreach != 100000 || p.MaxDelay != 3 || p.MaxDelayRatio != 0 || p.MaxDelayDevRatio != 10 || p.MaxDelayQuantile != 0 ||
		p.Filter != 0 || p.Select != 0 || p.Authenticated || p.Offline || p.IBurst || p.XLeave {
		t.Errorf("template %+v", p)
	}
	if l := p.Limits; l.MinSamples != 6 || l.MaxSamples != 0 || l.Precision != 1e-7 || l.FixedAsym || l.MinDelay != 0 ||
		math.Abs(float64(l.ClockError)-1e-6) > 1e-18 {
		t.Errorf("limits %+v", l)
	}
	if p.Prior.Precision != 1e-7 || p.Prior.FreqSD != 0 {
		t.Errorf("prior %+v", p.Prior)
	}
}

func TestSettings(t *testing.T) {
	e := engineOf(t, `
makestep 0.5 4
maxchange 1000 1 2
maxslewrate 500
maxdrift 100
maxupdateskew 5
maxclockerror 20
corrtimeratio 6
clockprecision 1e-9
logchange 0.25
maxdistance 0.5
maxjitter 0.25
minsources 2
combinelimit 0
reselectdist 0.001
stratumweight 0
minstratum 1
maxstratum 4
fallbackdrift 16 19
leapsecmode slew
smoothtime 400 0.01 leaponly
local stratum 7 orphan distance 0.5 activate 0.1 waitsynced 5 waitunsynced 9
driftfile /nonexistent/drift interval 60
refresh 1000
clientloglimit 1048576
allow 192.0.2.0/24
deny 192.0.2.7
port 1123
acquisitionport 1123
`, nil)
	if d := e.Discipline; d.StepThreshold != 0.5 || d.StepLimit != 4 || d.MaxChange != 1000 || d.ChangeStart != 1 || d.ChangeIgnore != 2 ||
		d.CorrTimeRatio != 6 || d.LogChange != 0.25 || math.Abs(d.MaxUpdateSkew.PPM()-5) > 1e-9 || math.Abs(d.ClockError.PPM()-20) > 1e-9 {
		t.Errorf("discipline %+v", d)
	}
	if c := e.Clock; math.Abs(c.MaxSlewRate.PPM()-500) > 1e-9 || math.Abs(c.MaxDrift.PPM()-100) > 1e-9 {
		t.Errorf("clock %+v", c)
	}
	if s := e.Selection; s.MaxDistance != 0.5 || s.MaxJitter != 0.25 || s.MinSources != 2 || s.CombineLimit != 0 || s.ReselectDist != 0.001 ||
		s.StratumWeight != 0 || s.MinStratum != 1 || s.MaxStratum != 4 || s.OrphanStratum != 7 || math.Abs(s.ClockError-20e-6) > 1e-15 {
		t.Errorf("selection %+v", s)
	}
	if e.Quantum != 1e-9 || e.Precision != -29 {
		t.Errorf("quantum %g, precision %d of clockprecision 1e-9, want 1e-9, -29", e.Quantum, e.Precision)
	}
	if want := (engine.LocalConfig{Enabled: true, Stratum: 7, Distance: 0.5, Activate: 0.1, Orphan: true, WaitSynced: 5, WaitUnsynced: 9}); e.Local != want {
		t.Errorf("local %+v, want %+v", e.Local, want)
	}
	if want := (engine.SmoothConfig{Enabled: true, MaxFreq: 400, MaxWander: 0.01, LeapOnly: true}); e.Smooth != want {
		t.Errorf("smooth %+v, want %+v", e.Smooth, want)
	}
	if e.Fallback.Min != 16 || e.Fallback.Max != 19 || e.Leap.Mode != leap.ModeSlew || e.DriftInterval != 60 || e.RefreshEvery != 1000 || e.Stamps != 4096 {
		t.Errorf("fallback %+v, leap %+v, drift interval %g, refresh %g, %d stamps", e.Fallback, e.Leap, e.DriftInterval, e.RefreshEvery, e.Stamps)
	}
	if !e.SharedPort || e.NoServer {
		t.Errorf("shared port %v, no server %v; want true, false", e.SharedPort, e.NoServer)
	}
	for addr, want := range map[string]bool{"192.0.2.1": true, "192.0.2.7": false, "198.51.100.1": false, "2001:db8::1": false} {
		if got := e.Policy.Access.Allowed(netip.MustParseAddr(addr)); got != want {
			t.Errorf("access of %s: %v, want %v", addr, got, want)
		}
	}
}

func TestSwitches(t *testing.T) {
	for text, check := range map[string]func(*engine.Config) bool{
		"noclientlog": func(e *engine.Config) bool { return e.Stamps == 0 },
		"clientloglimit 1073741824": func(e *engine.Config) bool {
			return e.Stamps == 4096 && e.ClientLog == 4096*clientlog.RecordSize
		},
		"clientloglimit 1": func(e *engine.Config) bool { return e.Stamps == 16 },
		"port 0":           func(e *engine.Config) bool { return e.NoServer },
		"broadcast 2147483647 ff02::101%eth0 99": func(e *engine.Config) bool {
			return len(e.Broadcasts) == 1 && e.Broadcasts[0] == engine.BroadcastConfig{Interval: 1 << 24, Dest: netip.MustParseAddrPort("[ff02::101%eth0]:99")}
		},
		"leapsecmode step":    func(e *engine.Config) bool { return e.Leap.Mode == leap.ModeStep },
		"leapsecmode ignore":  func(e *engine.Config) bool { return e.Leap.Mode == leap.ModeIgnore },
		"leapsecmode system":  func(e *engine.Config) bool { return e.Leap.Mode == leap.ModeSystem },
		"local":               func(e *engine.Config) bool { return e.Local.Enabled && e.Selection.OrphanStratum == 0 },
		"maxchange 1 0 -1":    func(e *engine.Config) bool { return e.Discipline.MaxChange == 1 && e.Discipline.ChangeIgnore == -1 },
		"makestep 1 -1":       func(e *engine.Config) bool { return e.Discipline.StepLimit == -1 },
		"clockprecision 1e-3": func(e *engine.Config) bool { return e.Precision == -9 && e.Quantum == 1e-3 },
		"allow":               func(e *engine.Config) bool { return e.Policy.Access.Allowed(netip.MustParseAddr("2001:db8::1")) },
	} {
		if e := engineOf(t, text, nil); !check(&e) {
			t.Errorf("%s: %+v", text, e)
		}
	}
	e := Engine(parse(t, "server 192.0.2.1"), &Files{}, &Machine{Quantum: 1e-6})
	if e.Clock.Controlled {
		t.Error("the clock is controlled on a machine where it must not be")
	}
}

// A name in an access rule that does not resolve lets nobody in.
func TestAccessByName(t *testing.T) {
	c := config.Default()
	c.Server.Access = []config.AccessRule{{Allow: true, Host: "known.example"}, {Allow: true, Host: "unknown.example"}}
	lookup := func(host string) (netip.Addr, bool) {
		return netip.MustParseAddr("::ffff:192.0.2.9"), host == "known.example"
	}
	e := Engine(c, &Files{Lookup: lookup}, &Machine{Quantum: 1e-6})
	if !e.Policy.Access.Allowed(netip.MustParseAddr("192.0.2.9")) || e.Policy.Access.Allowed(netip.MustParseAddr("192.0.2.8")) {
		t.Error("access by a name is not access of its address alone")
	}
	if e := Engine(c, &Files{}, &Machine{Quantum: 1e-6}); e.Policy.Access.Any() {
		t.Error("somebody has access by names that nobody resolves")
	}
}

func TestSource(t *testing.T) {
	for _, tc := range []struct {
		line  string
		check func(*engine.SourceConfig, *source.Config) bool
	}{
		{"server ntp.example port 1123 ipv6", func(s *engine.SourceConfig, _ *source.Config) bool {
			return s.Name == "ntp.example" && s.Port == 1123 && s.Family == engine.Family(config.FamilyIPv6)
		}},
		{"pool ntp.example maxsources 3", func(s *engine.SourceConfig, _ *source.Config) bool { return s.Pool && s.MaxSources == 3 }},
		{"peer 192.0.2.1", func(s *engine.SourceConfig, t *source.Config) bool { return t.Symmetric && !s.Pool }},
		{"server a minpoll -6 maxpoll -2 polltarget 20", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.MinPoll == -6 && t.MaxPoll == -2 && t.PollTarget == 20
		}},
		{"server a iburst burst offline auto_offline xleave copy", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.IBurst && t.Burst && t.Offline && t.AutoOffline && t.XLeave && t.Copy
		}},
		{"server a presend 6 filter 5 maxunreach 10 minstratum 2", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Presend == 6 && t.Filter == 5 && t.MaxUnreach == 10 && t.MinStratum == 2
		}},
		{"server a presend -3", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Presend == -3 }},
		{"server a maxdelay 0.1 maxdelayratio 2 maxdelaydevratio 4 maxdelayquant 0.5", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.MaxDelay == 0.1 && t.MaxDelayRatio == 2 && t.MaxDelayDevRatio == 4 && t.MaxDelayQuantile == 0.5
		}},
		{"server a offset 0.25 mindelay 0.01", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Correction == 0.25 && t.Limits.MinDelay == 0.01
		}},
		{"server a minsamples 10 maxsamples 20", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Limits.MinSamples == 10 && t.Limits.MaxSamples == 20
		}},
		// In Limits 0 means the default, here it means as few as a line takes.
		{"server a minsamples 0", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Limits.MinSamples == 1 }},
		{"server a maxsamples 0", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Limits.MaxSamples == 0 }},
		// More jitter on the way to the source (chrony: negative) makes offsets
		// positive in our sign, where the local clock is behind.
		{"server a asymmetry -0.5", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Limits.FixedAsym && t.Limits.Asymmetry == 0.5
		}},
		{"server a asymmetry 0.25", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Limits.FixedAsym && t.Limits.Asymmetry == -0.25
		}},
		{"server a asymmetry 0", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Limits.FixedAsym && t.Limits.Asymmetry == 0
		}},
		{"server a noselect", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Select == source.NoSelect }},
		{"server a prefer trust require", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Select == source.Prefer|source.Trust|source.Require
		}},
		{"server a extfield F323", func(_ *engine.SourceConfig, t *source.Config) bool { return t.MonoRoot }},
		{"server a version 2", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Version == 2 }},
		{"server a key 1", func(_ *engine.SourceConfig, t *source.Config) bool {
			return t.Authenticated && t.Key.ID() == 1 && t.Version == 4
		}},
		{"server a key 2", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Version == 4 }},
		// A longer code than NTPv4 has room for.
		{"server a key 3", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Version == 3 }},
		{"server a key 4", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Version == 3 }},
		{"server a key 3 version 4", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Version == 4 }},
		{"server a key 3 extfield F323", func(_ *engine.SourceConfig, t *source.Config) bool { return t.Version == 4 }},
	} {
		e := engineOf(t, tc.line, nil)
		if len(e.Sources) != 1 || !tc.check(&e.Sources[0], &e.Sources[0].Template) {
			t.Errorf("%s: %+v", tc.line, e.Sources)
		}
	}
	e := engineOf(t, "minsamples 12\nmaxsamples 30\nserver a\nserver b minsamples 4", nil)
	if a, b := e.Sources[0].Template.Limits, e.Sources[1].Template.Limits; a.MinSamples != 12 || a.MaxSamples != 30 || b.MinSamples != 4 || b.MaxSamples != 30 {
		t.Errorf("limits %+v and %+v, want the directive's, and the option's over it", a, b)
	}
}

// The drift file says how far the frequency may be off.
func TestPrior(t *testing.T) {
	for _, tc := range []struct {
		skew        clock.Frequency
		least, most float64
	}{{1e-7, 1e-7, 1e-7}, {0, 1e-12, 1e-6}, {10, 1e-6, 0.1}} {
		e := engineOf(t, "server a", &Files{Drift: &engine.Drift{Frequency: 1e-5, Skew: tc.skew}})
		if got := e.Sources[0].Template.Prior.FreqSD; got < tc.least || got > tc.most {
			t.Errorf("skew %g of the drift file: FreqSD = %g, want %g to %g", tc.skew, got, tc.least, tc.most)
		}
		if e.Drift == nil || e.Drift.Frequency != 1e-5 {
			t.Errorf("drift %+v, want the file's", e.Drift)
		}
	}
}

func TestMissingKeys(t *testing.T) {
	c := parse(t, "keyfile /etc/foliot/keys\nserver ntp.example key 1\npeer 192.0.2.1 key 99\nserver c")
	got := MissingKeys(c, keys(t))
	const want = `Key 99 of peer 192.0.2.1 at line 3 of the command line is missing in key file "/etc/foliot/keys": its answers will not be accepted`
	if len(got) != 1 || got[0] != want {
		t.Errorf("MissingKeys() = %q, want %q", got, want)
	}
	// Without its key a source must not be believed.
	e := engineOf(t, "server ntp.example key 99", nil)
	if p := &e.Sources[0].Template; !p.Authenticated || p.Key.Verify([]byte("x"), nil) || p.Key.MACLen() != 0 {
		t.Errorf("source with a missing key: %+v, want one that verifies nothing", p)
	}
}

// What the modes do is the engine's.
func TestAuthSelectMode(t *testing.T) {
	for name, want := range map[string]engine.AuthMode{
		"": engine.AuthMix, "require": engine.AuthRequire, "prefer": engine.AuthPrefer, "mix": engine.AuthMix, "ignore": engine.AuthIgnore,
	} {
		text := "server a key 1 prefer\nserver b"
		if name != "" {
			text += "\nauthselectmode " + name
		}
		e := engineOf(t, text, nil)
		if e.AuthMode != want {
			t.Errorf("authselectmode %q: mode %d, want %d", name, e.AuthMode, want)
		}
		if a, b := &e.Sources[0].Template, &e.Sources[1].Template; a.Select != source.Prefer || b.Select != 0 || a.KeyID != 1 || b.KeyID != 0 {
			t.Errorf("authselectmode %q: options %04b and %04b, keys %d and %d; want those of the file", name, a.Select, b.Select, a.KeyID, b.KeyID)
		}
	}
}

// The discipline's limits are off without maxchange.
func TestNoMaxChange(t *testing.T) {
	e := engineOf(t, "server a", nil)
	if d := e.Discipline; d.MaxChange != 0 || d.ChangeStart != 0 || d.ChangeIgnore != 0 {
		t.Errorf("maxchange %+v without the directive", d)
	}
	r := discipline.NewReference(e.Discipline)
	if p := r.Plan(&discipline.Update{}, 0); p.Verdict != discipline.Follow {
		t.Errorf("verdict %d on an update without maxchange, want to follow it", p.Verdict)
	}
}
