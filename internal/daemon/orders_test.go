// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"math"
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/logfile"
	"foliot/internal/narrate"
	"foliot/internal/setup"
	"foliot/internal/source"
)

// orderly returns a loop with a source and a name, which carries orders out.
func orderly(t *testing.T) *loop {
	t.Helper()
	w, _ := testWorld(t)
	w.clock = &foundClock{}
	w.narrator = &narrate.Narrator{Log: w.log, Stats: logfile.NewStats(logfile.StatsConfig{})}
	c := config.Default()
	c.Server.Port = 0
	c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 400, MaxWander: 0.01}
	s := config.DefaultSource(config.KindServer, "192.0.2.1")
	s.Offline = true
	c.Sources = append(c.Sources, s)
	w.cfg = c
	l := &loop{d: &daemon{opts: &Options{}, log: w.log, inForce: &Loaded{Config: c}, quantum: 1e-9}, w: w}
	l.e = engine.New(setup.Engine(c, &setup.Files{}, l.d.machine()))
	l.e.Start(w.Now(), 0, &l.acts)
	l.acts.Reset() // no sockets here
	return l
}

var (
	here    = cmdmon.IPAddr{Addr: netip.MustParseAddr("192.0.2.1")}
	nowhere = cmdmon.IPAddr{Addr: netip.MustParseAddr("192.0.2.99")}
)

// TestOrderStatuses gives every order once where it works and, where that can be,
// where it does not.
func TestOrderStatuses(t *testing.T) {
	for _, tt := range []struct {
		c    cmdmon.Command
		m    cmdmon.Request
		want cmdmon.Status
	}{
		{cmdmon.Online, &cmdmon.Masked{}, cmdmon.Success},
		{cmdmon.Online, &cmdmon.Masked{Addr: nowhere}, cmdmon.NoSuchSource},
		{cmdmon.Offline, &cmdmon.Masked{Addr: here}, cmdmon.Success},
		{cmdmon.Burst, &cmdmon.BurstRequest{Masked: cmdmon.Masked{Addr: nowhere}}, cmdmon.NoSuchSource},
		{cmdmon.ModifyMinPoll, &cmdmon.SourceInteger{Addr: here, Value: 3}, cmdmon.Success},
		{cmdmon.ModifyMaxPoll, &cmdmon.SourceInteger{Addr: nowhere}, cmdmon.NoSuchSource},
		{cmdmon.ModifyMaxDelay, &cmdmon.SourceFloat{Addr: here, Value: 1}, cmdmon.Success},
		{cmdmon.ModifyDevRatio, &cmdmon.SourceFloat{Addr: nowhere}, cmdmon.NoSuchSource},
		{cmdmon.ModifyOffset, &cmdmon.OffsetRequest{RefID: 0x47505300}, cmdmon.NoSuchSource}, // a refclock
		{cmdmon.ModifySelectOpts, &cmdmon.SelectOptsRequest{RefID: 0x47505300}, cmdmon.NoSuchSource},
		{cmdmon.MakeStep, nil, cmdmon.Failed},
		{cmdmon.Reselect, nil, cmdmon.Success},
		{cmdmon.ResetSources, nil, cmdmon.Success},
		{cmdmon.Refresh, nil, cmdmon.Success},
		{cmdmon.OnOffline, nil, cmdmon.Success},
		{cmdmon.Rekey, nil, cmdmon.Success},
		{cmdmon.DoFreq, &cmdmon.Number{Value: 1}, cmdmon.Success},
		{cmdmon.DoOffset, &cmdmon.Number{Value: 1e300}, cmdmon.Failed},
		{cmdmon.SetTime, &cmdmon.Instant{}, cmdmon.NotEnabled},
		{cmdmon.Manual, &cmdmon.Option{Value: cmdmon.ManualOn}, cmdmon.Success},
		{cmdmon.ManualDelete, &cmdmon.Index{Index: 0}, cmdmon.BadSample},
		{cmdmon.ManualDelete, &cmdmon.Index{Index: math.MaxUint32}, cmdmon.BadSample},
		{cmdmon.SmoothTime, &cmdmon.Option{Value: cmdmon.SmoothActivate}, cmdmon.Success},
		{cmdmon.Local2, &cmdmon.LocalOlder{Local: cmdmon.Local{On: true, Stratum: 99}}, cmdmon.Success},
		{cmdmon.Local3, &cmdmon.Local{On: true, Stratum: -5}, cmdmon.Success},
		{cmdmon.Allow, &cmdmon.Subnet{Addr: here, Bits: 24}, cmdmon.Success},
		{cmdmon.Deny, &cmdmon.Subnet{Addr: here, Bits: 33}, cmdmon.BadSubnet},
		{cmdmon.AccessCheck, &cmdmon.Address{Addr: here}, cmdmon.AccessDenied},
		{cmdmon.DelSource, &cmdmon.Address{Addr: nowhere}, cmdmon.NoSuchSource},
		{cmdmon.DelSource, &cmdmon.Address{Addr: cmdmon.IPAddr{ID: 77}}, cmdmon.NoSuchSource},
		{cmdmon.DelSource, &cmdmon.Address{}, cmdmon.NoSuchSource},
		{cmdmon.AddSource, &cmdmon.AddSourceRequest{Type: cmdmon.TypeServer, Name: "192.0.2.1"}, cmdmon.SourceKnown},
		{cmdmon.AddSource, &cmdmon.AddSourceRequest{Type: cmdmon.TypeServer}, cmdmon.InvalidName},
		{cmdmon.AddSource, &cmdmon.AddSourceRequest{Type: 9, Name: "x"}, cmdmon.Invalid},
		{cmdmon.AddSource, &cmdmon.AddSourceRequest{Type: cmdmon.TypeServer, Name: "192.0.2.2", Flags: cmdmon.AddFlagNTS}, cmdmon.Failed},
		{cmdmon.AddSource, &cmdmon.AddSourceRequest{Type: cmdmon.TypeServer, Name: "192.0.2.2", Flags: cmdmon.AddFlagIPv6}, cmdmon.InvalidFamily},
		{cmdmon.Tracking, nil, cmdmon.Invalid}, // a report is no order
	} {
		if _, got := orderly(t).order(tt.c, tt.m); got != tt.want {
			t.Errorf("%s %+v: %v, want %v", tt.c, tt.m, got, tt.want)
		}
	}
}

// TestOrderSigns: a frequency and an offset that chronyc gives are those by which
// the clock is too fast and ahead.
func TestOrderSigns(t *testing.T) {
	l := orderly(t)
	l.order(cmdmon.DoFreq, &cmdmon.Number{Value: 5})
	if f := l.e.Tracking(l.w.Now()).Frequency; math.Abs(f.PPM()+5) > 1e-3 {
		t.Errorf("after dfreq 5: %g ppm, want -5 (slower)", f.PPM())
	}
	before := l.e.ServedAt(l.w.Now()).Sub(clock.Served{}) - l.w.Now().Wall.Sub(clock.Wall{})
	l.order(cmdmon.DoOffset, &cmdmon.Number{Value: 0.5})
	after := l.e.ServedAt(l.w.Now()).Sub(clock.Served{}) - l.w.Now().Wall.Sub(clock.Wall{})
	if moved := (after - before).Seconds(); math.Abs(moved+0.5) > 0.01 {
		t.Errorf("after doffset 0.5 served time moved by %g s, want -0.5", moved)
	}
	l = orderly(t)
	l.order(cmdmon.Manual, &cmdmon.Option{Value: cmdmon.ManualOn})
	ahead := l.w.Now().Wall.Nanos() - 2e9 // a person says that it is two seconds earlier
	reply, status := l.order(cmdmon.SetTime, &cmdmon.Instant{Time: cmdmon.Timespec{Sec: ahead / 1e9, Nsec: uint32(ahead % 1e9)}})
	if m, ok := reply.(*cmdmon.ManualTimestampReply); status != cmdmon.Success || !ok || math.Abs(m.Offset-2) > 0.1 {
		t.Errorf("settime: %v, %+v, want a clock that was 2 s fast", status, reply)
	}
}

// TestSelectOpts: chronyc tells options and the mask in different bits.
func TestSelectOpts(t *testing.T) {
	l := orderly(t)
	give := func(mask cmdmon.SelectFlags, options cmdmon.AddFlags) source.SelectOptions {
		l.order(cmdmon.ModifySelectOpts, &cmdmon.SelectOptsRequest{Addr: here, Mask: mask, Options: options})
		for _, a := range l.e.Associations() {
			return a.Config().Select
		}
		return 0
	}
	if got := give(cmdmon.FlagPrefer|cmdmon.FlagTrust, cmdmon.AddFlagPrefer|cmdmon.AddFlagTrust); got != source.Prefer|source.Trust {
		t.Errorf("+prefer +trust: %b", got)
	}
	if got := give(cmdmon.FlagPrefer|cmdmon.FlagRequire, cmdmon.AddFlagRequire); got != source.Trust|source.Require {
		t.Errorf("-prefer +require: %b", got)
	}
}

// TestAllowOpens: what a command allows is in force in the engine and with those
// who answer.
func TestAllowOpens(t *testing.T) {
	l := orderly(t)
	l.order(cmdmon.Allow, &cmdmon.Subnet{Addr: here, Bits: 24})
	if _, got := l.order(cmdmon.AccessCheck, &cmdmon.Address{Addr: nowhere}); got != cmdmon.AccessAllowed {
		t.Errorf("accheck after allow: %v", got)
	}
	if !l.w.srv.policy.Access.Allowed(nowhere.Addr) {
		t.Error("the workers do not know of it")
	}
	if l.w.srv.policy.Access.Allowed(netip.MustParseAddr("198.51.100.1")) || acl.New(nil).Any() {
		t.Error("somebody else is let in")
	}
}

// TestAddedOptions translates every option of add.
func TestAddedOptions(t *testing.T) {
	m := &cmdmon.AddSourceRequest{
		Type: cmdmon.TypePool, Name: "pool.test", Port: 1123, MinPoll: 4, MaxPoll: 7, PresendMinPoll: 6, MinStratum: 2, PollTarget: 9,
		Version: 3, MaxSources: 3, MinSamples: 5, MaxSamples: 20, AuthKey: 12, MaxDelay: 0.5, MaxDelayRatio: 4, MaxDelayDevRatio: 6,
		MinDelay: 1e-4, Asymmetry: 0.25, Offset: 0.01, FilterLength: 5, MaxDelayQuant: 0.5, MaxUnreach: 40,
		Flags: cmdmon.AddFlagOnline | cmdmon.AddFlagAutoOffline | cmdmon.AddFlagIBurst | cmdmon.AddFlagPrefer | cmdmon.AddFlagTrust |
			cmdmon.AddFlagInterleaved | cmdmon.AddFlagCopy | cmdmon.AddFlagEFMonoRoot | cmdmon.AddFlagIPv4,
	}
	want := config.Source{
		Kind: config.KindPool, Name: "pool.test", Port: 1123, Family: config.FamilyIPv4, MinPoll: 4, MaxPoll: 7, PollTarget: 9,
		IBurst: true, Presend: 6, Version: 3, XLeave: true, MonoRoot: true, AutoOffline: true, MaxSources: 3, MaxUnreach: 40,
		Key: 12, NTSPort: 4460, MaxDelay: 0.5, MaxDelayRatio: 4, MaxDelayDevRatio: 6, MaxDelayQuantile: 0.5, MinDelay: 1e-4,
		Asymmetry: 0.25, AsymmetrySet: true, Offset: 0.01, Filter: 5, MinSamples: 5, MaxSamples: 20, MinStratum: 2, Copy: true,
		Prefer: true, Trust: true,
	}
	if got, status := sourceOf(m); status != cmdmon.Success || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, status, want)
	}
	wild := &cmdmon.AddSourceRequest{
		Type: cmdmon.TypeServer, Name: "x", Port: math.MaxUint32, MinPoll: math.MaxInt32, MaxPoll: math.MinInt32, PresendMinPoll: math.MaxInt32,
		MinStratum: math.MaxUint32, PollTarget: math.MaxUint32, Version: 99, MaxSources: math.MaxUint32, MinSamples: math.MinInt32,
		MaxSamples: math.MaxInt32, FilterLength: math.MaxInt32, MaxDelay: 1e30, MaxDelayRatio: -1, MinDelay: -1, Asymmetry: 1,
		MaxDelayQuant: 7, MaxUnreach: -3,
	}
	got, _ := sourceOf(wild)
	c := config.Default()
	c.Sources = []config.Source{got}
	if err := c.Validate(); err != nil || got.AsymmetrySet || got.MaxUnreach != 100000 || got.MinDelay != 0 {
		t.Errorf("out of range: %+v, %v", got, err)
	}
}

func TestWithout(t *testing.T) {
	at := func(name string, line int) config.Source {
		return config.Source{Name: name, Origin: config.Origin{Line: line}}
	}
	a := []config.Source{at("a", 1), at("b", 2), at("b", 3), at("c", 4)}
	b := []config.Source{at("c", 1), at("b", 9)}
	names := func(list []config.Source) (out []string) {
		for _, s := range list {
			out = append(out, s.Name)
		}
		return out
	}
	if got := names(without(a, b)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("without: %v, want a and one b", got)
	}
	if got := without(b, a); len(got) != 0 {
		t.Errorf("the other way: %v, want none", got)
	}
}
