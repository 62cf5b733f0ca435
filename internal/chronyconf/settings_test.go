// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"net/netip"
	"reflect"
	"testing"

	"foliot/internal/config"
)

var (
	v4 = netip.MustParseAddr("192.0.2.1")
	v6 = netip.MustParseAddr("2001:db8::1")
	at = config.Origin{File: "/f", Line: 1}
)

// settings are lines and what they change of the defaults.
var settings = []struct {
	text string
	want func(c *config.Config)
}{
	{"authselectmode Require", func(c *config.Config) { c.Select.AuthMode = config.AuthRequire }},
	{"authselectmode prefer", func(c *config.Config) { c.Select.AuthMode = config.AuthPrefer }},
	{"authselectmode ignore", func(c *config.Config) { c.Select.AuthMode = config.AuthIgnore }},
	{"clockprecision 10e-9", func(c *config.Config) { c.Clock.Precision = 10e-9 }},
	{"driftfile /d", func(c *config.Config) { c.Clock.DriftFile = "/d" }},
	{"driftfile /d interval 60\ndriftfile /e", func(c *config.Config) { c.Clock.DriftFile = "/e" }},
	{"makestep -0.1 -1", func(c *config.Config) { c.Clock.StepThreshold, c.Clock.StepLimit = -0.1, -1 }},
	{"maxchange 1000 1 2", func(c *config.Config) {
		c.Clock.MaxChange = config.MaxChange{Set: true, Offset: 1000, Start: 1, Ignore: 2}
	}},
	{"manual", func(c *config.Config) { c.Clock.Manual = true }},
	{"rtcsync", func(c *config.Config) { c.Clock.RTCSync = true }},
	{"leapsectz right/UTC", func(c *config.Config) { c.Leap.TimeZone = "right/UTC" }},
	{"leapseclist /l", func(c *config.Config) { c.Leap.List = "/l" }},
	{"leapsecmode SLEW", func(c *config.Config) { c.Leap.Mode = config.LeapSlew }},
	{"initstepslew 30 a b", func(c *config.Config) {
		c.Clock.InitStepSlew = config.InitStepSlew{Threshold: 30, Servers: []string{"a", "b"}}
	}},
	{"local", func(c *config.Config) { c.Local.Enabled = true }},
	{"local orphan distance 0.5 activate 2 waitsynced 3", func(c *config.Config) {
		c.Local = config.Local{
			Enabled: true, Stratum: 10, Distance: 0.5, Activate: 2, Orphan: true, WaitSynced: 3, WaitUnsynced: 300,
		}
	}},
	{"local orphan waitunsynced 0", func(c *config.Config) { c.Local.Enabled, c.Local.Orphan = true, true }},
	{"local orphan stratum 3\nlocal", func(c *config.Config) { c.Local.Enabled = true }},
	{"bindaddress 192.0.2.1\nbindaddress 2001:db8::1\nbindaddress 192.0.2.1", func(c *config.Config) {
		c.Server.BindAddresses = []netip.Addr{v4, v6}
	}},
	{"binddevice e", func(c *config.Config) { c.Server.BindDevice = "e" }},
	{"broadcast 60 2001:db8::1\nbroadcast 6 192.0.2.1 9", func(c *config.Config) {
		c.Server.Broadcasts = []config.Broadcast{
			{Origin: at, Interval: 60, Dest: netip.AddrPortFrom(v6, 123)},
			{Origin: config.Origin{File: "/f", Line: 2}, Interval: 6, Dest: netip.AddrPortFrom(v4, 9)},
		}
	}},
	{"noclientlog", func(c *config.Config) { c.Server.NoClientLog = true }},
	{"ratelimit", func(c *config.Config) { c.Server.RateLimit.Enabled = true }},
	{"ratelimit interval 1 burst 16 leak 3 kod 2", func(c *config.Config) {
		c.Server.RateLimit = config.RateLimit{Enabled: true, Interval: 1, Burst: 16, Leak: 3, KoD: 2}
	}},
	{"cmdratelimit burst 9", func(c *config.Config) {
		c.Command.RateLimit.Enabled, c.Command.RateLimit.Burst = true, 9
	}},
	{"smoothtime 400 0.001 leaponly", func(c *config.Config) {
		c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 400, MaxWander: 0.001, LeapOnly: true}
	}},
	{"smoothtime 400 0.001", func(c *config.Config) {
		c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 400, MaxWander: 0.001}
	}},
	{"bindacqaddress 192.0.2.1\nbindacqaddress 2001:db8::1", func(c *config.Config) {
		c.Client.BindAddr4, c.Client.BindAddr6 = v4, v6
	}},
	{"bindacqdevice e", func(c *config.Config) { c.Client.BindDevice = "e" }},
	{"hwtimestamp *", func(c *config.Config) {
		h := config.DefaultHWTimestamp("*")
		h.Origin = at
		c.Client.HWTimestamps = []config.HWTimestamp{h}
	}},
	{"hwtimestamp e minpoll 2 minsamples 3 maxsamples 9 precision 1e-9 txcomp 1e-7 rxcomp -2e-7 nocrossts rxfilter PTP",
		func(c *config.Config) {
			c.Client.HWTimestamps = []config.HWTimestamp{{
				Origin: at, Interface: "e", MinPoll: 2, MaxPoll: 3, MinSamples: 3, MaxSamples: 9, Precision: 1e-9,
				TxComp: 1e-7, RxComp: -2e-7, NoCrossTS: true, RxFilter: config.RxPTP,
			}}
		}},
	{"bindcmdaddress /s\nbindcmdaddress 192.0.2.1", func(c *config.Config) {
		c.Command.Sockets, c.Command.BindAddr4 = []string{"/s"}, v4
	}},
	{"bindcmdaddress /", func(c *config.Config) { c.Command.Sockets = nil }},
	{"bindcmdaddress 2001:db8::1", func(c *config.Config) { c.Command.BindAddr6 = v6 }},
	{"bindcmddevice e", func(c *config.Config) { c.Command.BindDevice = "e" }},
	{"rack r12", func(c *config.Config) { c.Rack = "r12" }},
	{"metrics listen off", func(c *config.Config) { c.Metrics.Listen = netip.AddrPort{} }},
	{"metrics listen 192.0.2.1", func(c *config.Config) { c.Metrics.Listen = netip.AddrPortFrom(v4, 9923) }},
	{"metrics listen 192.0.2.1:80", func(c *config.Config) { c.Metrics.Listen = netip.AddrPortFrom(v4, 80) }},
	{"metrics listen off\nMetrics Listen [2001:db8::1]:80", func(c *config.Config) { c.Metrics.Listen = netip.AddrPortFrom(v6, 80) }},
	{"metrics listen 2001:db8::1", func(c *config.Config) { c.Metrics.Listen = netip.AddrPortFrom(v6, 9923) }},
	{"metrics compat chrony", func(c *config.Config) { c.Metrics.CompatChrony = true }},
	{"metrics compat Chrony\nmetrics compat off", func(*config.Config) {}},
	{"opencommands", func(c *config.Config) { c.Command.Open = []string{} }},
	{"opencommands Tracking ntpdata", func(c *config.Config) { c.Command.Open = []string{"tracking", "ntpdata"} }},
	{"log measurements rawmeasurements statistics selection\nlog tracking tempcomp", func(c *config.Config) {
		c.Log.Measurements, c.Log.RawMeasurements, c.Log.Statistics, c.Log.Selection = true, true, true, true
		c.Log.Tracking, c.Log.TempComp = true, true
	}},
	{"log", func(*config.Config) {}},
	{"fallbackdrift 16 19", func(c *config.Config) { c.Clock.FallbackDrift = config.FallbackDrift{Min: 16, Max: 19} }},
	{"tempcomp /t 30 1 2 -3 4e-5", func(c *config.Config) {
		c.Clock.TempComp = config.TempComp{File: "/t", Interval: 30, T0: 1, K0: 2, K1: -3, K2: 4e-5}
	}},
	{"tempcomp /t 30 /points", func(c *config.Config) {
		c.Clock.TempComp = config.TempComp{File: "/t", Interval: 30, Points: "/points"}
	}},
	{"logdir /l", func(c *config.Config) { c.Log.Dir = "/l" }},
	{"user u", func(c *config.Config) { c.Process.User = "u" }},
	{"pidfile /", func(c *config.Config) { c.Process.PIDFile = "" }},
	{"pidfile /p", func(c *config.Config) { c.Process.PIDFile = "/p" }},
	{"lock_all", func(c *config.Config) { c.Process.LockAll = true }},
	{"dumpdir /d", func(c *config.Config) { c.Process.DumpDir = "/d" }},
	{"keyfile /k", func(c *config.Config) { c.Process.KeyFile = "/k" }},
}

// TestSettings compares the whole configuration with the defaults changed by
// hand, so that a directive that stores into the wrong place is seen.
func TestSettings(t *testing.T) {
	for _, tt := range settings {
		want := config.Default()
		tt.want(want)
		if got := must(t, tt.text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", tt.text, got, want)
		}
	}
}

// TestWarnedSettings is TestSettings for what has no effect yet.
func TestWarnedSettings(t *testing.T) {
	tests := []struct {
		text string
		want func(c *config.Config)
	}{
		{"refclock PHC /dev/ptp0 poll 2", func(c *config.Config) {
			c.Refclocks = []config.Raw{{
				Origin: config.Origin{File: "/f", Line: 1}, Words: []string{"refclock", "PHC", "/dev/ptp0", "poll", "2"},
			}}
		}},
	}
	for _, tt := range tests {
		want := config.Default()
		tt.want(want)
		got, warnings, err := parse(tt.text)
		if err != nil || len(warnings) != 1 || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: warnings %v, error %v\n got %+v\nwant %+v", tt.text, warnings, err, got, want)
		}
	}
}

func TestSourceOptions(t *testing.T) {
	tests := []struct {
		text string
		kind config.SourceKind
		want func(s *config.Source)
	}{
		{"server a", config.KindServer, func(*config.Source) {}},
		{"SERVER a IBURST", config.KindServer, iburst},
		{"pool a maxsources 2", config.KindPool, func(s *config.Source) { s.MaxSources = 2 }},
		{"peer a xleave key 7", config.KindPeer, func(s *config.Source) { s.XLeave, s.Key = true, 7 }},
		{"server a minpoll -6 maxpoll -6", config.KindServer, func(s *config.Source) { s.MinPoll, s.MaxPoll = -6, -6 }},
		{"server a rack r1", config.KindServer, func(s *config.Source) { s.Rack = "r1" }},
		{"monitor a rack=r1 minpoll 4", config.KindServer, func(s *config.Source) {
			s.NoSelect, s.XLeave, s.Rack, s.MinPoll = true, true, "r1", 4
		}},
		{"server a minpoll 12", config.KindServer, func(s *config.Source) { s.MinPoll, s.MaxPoll = 12, 12 }},
		{"server a prefer noselect trust require", config.KindServer, func(s *config.Source) {
			s.Prefer, s.NoSelect, s.Trust, s.Require = true, true, true, true
		}},
		{"server a offline auto_offline burst copy", config.KindServer, func(s *config.Source) {
			s.Offline, s.AutoOffline, s.Burst, s.Copy = true, true, true, true
		}},
		{"server a asymmetry 0", config.KindServer, func(s *config.Source) { s.AsymmetrySet = true }},
		{"server a asymmetry -0.5 offset -1e-3 mindelay 1e-4", config.KindServer, func(s *config.Source) {
			s.AsymmetrySet, s.Asymmetry, s.Offset, s.MinDelay = true, -0.5, -1e-3, 1e-4
		}},
		{"server a maxdelay 0.1 maxdelayratio 2 maxdelaydevratio 4 maxdelayquant 0.95", config.KindServer,
			func(s *config.Source) {
				s.MaxDelay, s.MaxDelayRatio, s.MaxDelayDevRatio, s.MaxDelayQuantile = 0.1, 2, 4, 0.95
			}},
		{"server a extfield f323", config.KindServer, func(s *config.Source) { s.MonoRoot = true }},
		{"server a ipv4 certset 3 ntsport 4", config.KindServer, func(s *config.Source) {
			s.Family, s.CertSet, s.NTSPort = config.FamilyIPv4, 3, 4
		}},
		{"server a ipv6 presend 9 filter 5 polltarget 30", config.KindServer, func(s *config.Source) {
			s.Family, s.Presend, s.Filter, s.PollTarget = config.FamilyIPv6, 9, 5, 30
		}},
	}
	for _, tt := range tests {
		want := source("/f", 1, tt.kind, "a", tt.want)
		c := must(t, tt.text)
		if len(c.Sources) != 1 || c.Sources[0] != want {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.text, c.Sources, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := keys(newParser(memory{}).table)
	tests := []struct{ word, want string }{
		{"sever", "did you mean server?"},
		{"serevr", "did you mean server?"},
		{"drift-file", "did you mean driftfile?"},
		{"makesteps", "did you mean makestep?"},
		{"restrict", ""},
		{"x", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := didYouMean(tt.word, known); got != tt.want {
			t.Errorf("didYouMean(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}
