// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
	"foliot/internal/source"
)

type command = func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer

// obey gives the engine a command and returns its answer.
func (l *lab) obey(c command) (a engine.Answer) {
	l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { a = c(e, now, out) })
	return a
}

// must fails the test unless the command has this answer.
func (l *lab) must(want engine.Answer, what string, c command) {
	l.t.Helper()
	if got := l.obey(c); got != want {
		l.t.Errorf("%s at %.0f s: %v, want %v", what, l.w.Now(), got, want)
	}
}

// settings returns the options that were reported as set.
func (l *lab) settings() (all []engine.Option) {
	for i := range l.events {
		if ev := &l.events[i].ev; ev.Kind == engine.EvSetting {
			all = append(all, ev.Option)
		}
	}
	return all
}

// row returns what selection makes of the source at a.
func (l *lab) row(a netip.Addr) engine.SelectionRow {
	for _, r := range l.node.Engine.Rows() {
		if r.Source.Addr.Addr() == a {
			return r
		}
	}
	l.t.Fatalf("no source %v", a)
	return engine.SelectionRow{}
}

func TestWhich(t *testing.T) {
	addr := netip.MustParseAddr
	for _, tc := range []struct {
		addr, mask string
		online     string
	}{
		{"", "", "0000"},
		{"10.0.0.1", "", "0111"},
		{"::ffff:10.0.0.1", "", "0111"},
		{"10.0.0.1", "255.255.255.255", "0111"},
		{"10.0.0.9", "255.255.255.254", "1111"},
		{"10.0.0.2", "255.255.255.254", "1001"},
		{"10.0.0.1", "0.0.0.1", "0101"},
		{"10.0.0.1", "ffff::", "0111"},
		{"2001:db8::9", "ffff:ffff::", "1110"},
		{"2001:db8::1", "", "1110"},
		{"::", "::", "1110"},
		{"0.0.0.0", "0.0.0.0", "0001"},
	} {
		w, _ := world(3)
		l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1")})
		which := engine.Which{}
		if tc.addr != "" {
			which.Addr = addr(tc.addr)
		}
		if tc.mask != "" {
			which.Mask = addr(tc.mask)
		}
		want := engine.Done
		if tc.online == "1111" {
			want = engine.NoSuchSource
		}
		l.must(want, "offline", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetOnline(now, which, false, out)
		})
		got := ""
		for _, a := range l.node.Engine.Associations() {
			got += map[bool]string{true: "0", false: "1"}[a.State() == source.Offline || a.State() == source.BurstOffline]
		}
		if got != tc.online {
			t.Errorf("offline %s/%s: %s are left online, want %s", tc.mask, tc.addr, got, tc.online)
		}
	}
}

// TestModify sets each option to values within and beyond its range.
func TestModify(t *testing.T) {
	w, _ := world(2)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2")})
	c := func() *source.Config { return l.assocs()[addrOf(1)].Config() }
	for _, tc := range []struct {
		name string
		opt  engine.Option
		v    float64
		get  func() float64
		want float64
	}{
		{"minpoll", engine.OptMinPoll, 5, func() float64 { return float64(c().MinPoll) }, 5},
		{"minpoll beyond maxpoll", engine.OptMinPoll, 9, func() float64 { return float64(c().MaxPoll) }, 9},
		{"minpoll out of range", engine.OptMinPoll, 25, func() float64 { return float64(c().MinPoll) }, 9},
		{"maxpoll below minpoll", engine.OptMaxPoll, -7, func() float64 { return float64(c().MinPoll) }, -7},
		{"maxpoll out of range", engine.OptMaxPoll, -8, func() float64 { return float64(c().MaxPoll) }, -7},
		{"maxdelay", engine.OptMaxDelay, 0.1, func() float64 { return c().MaxDelay }, 0.1},
		{"maxdelay too large", engine.OptMaxDelay, 5000, func() float64 { return c().MaxDelay }, 1000},
		{"maxdelayratio", engine.OptMaxDelayRatio, 3, func() float64 { return c().MaxDelayRatio }, 3},
		{"maxdelayratio negative", engine.OptMaxDelayRatio, -3, func() float64 { return c().MaxDelayRatio }, 0},
		{"maxdelaydevratio", engine.OptMaxDelayDevRatio, 5, func() float64 { return c().MaxDelayDevRatio }, 5},
		{"minstratum", engine.OptMinStratum, 4, func() float64 { return float64(c().MinStratum) }, 4},
		{"minstratum too large", engine.OptMinStratum, 1e6, func() float64 { return float64(c().MinStratum) }, 255},
		{"polltarget", engine.OptPollTarget, 20, func() float64 { return float64(c().PollTarget) }, 20},
		{"polltarget too small", engine.OptPollTarget, 0, func() float64 { return float64(c().PollTarget) }, 1},
		{"offset", engine.OptCorrection, -0.25, func() float64 { return float64(c().Correction) }, -0.25},
		{"not an option of a source", engine.OptMakeStep, 1, func() float64 { return float64(c().Correction) }, -0.25},
	} {
		l.must(engine.Done, tc.name, func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.Modify(now, addrOf(1), tc.opt, tc.v, out)
		})
		if got := tc.get(); got != tc.want {
			t.Errorf("%s %g: %g, want %g", tc.name, tc.v, got, tc.want)
		}
	}
	l.must(engine.NoSuchSource, "minpoll of a stranger", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.Modify(now, addrOf(9), engine.OptMinPoll, 5, out)
	})
	if got, want := len(l.settings()), 13+2; got != want {
		t.Errorf("%d settings were reported, want %d: what was set, and the other end of the polling range twice", got, want)
	}
	if other := l.assocs()[addrOf(2)].Config(); other.MinPoll != 4 || other.MaxDelay != 3 || other.PollTarget != 8 {
		t.Errorf("the other source became %+v", other)
	}
	l.reload(servers("10.0.0.1", "10.0.0.2"))
	if x := c(); x.MinPoll != 4 || x.MaxPoll != 6 || x.MaxDelay != 3 || x.MinStratum != 0 || x.Correction != 0 {
		t.Errorf("after a reload %+v, want what is configured", x)
	}
}

// TestOffset: a correction moves the estimate at once, without a step in it.
func TestOffset(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1"), osc: fast})
	w.Run(3600)
	l.must(engine.Done, "offset", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.Modify(now, addrOf(1), engine.OptCorrection, 0.01, out)
	})
	held := l.assocs()[addrOf(1)].Register().Held()
	w.Run(3900)
	l.below("error against server and correction", l.node.Error()-0.01, 20e-6)
	l.below("error of the rate", l.node.RateError(), 1e-6)
	if got := l.assocs()[addrOf(1)].Register().Held(); got < held {
		t.Errorf("%d samples, want no less than the %d of before", got, held)
	}
	l.reload(servers("10.0.0.1"))
	w.Run(4300)
	l.below("error after a reload", l.node.Error(), 20e-6)
}

// TestSelectOptions: options change what is selected, at once.
func TestSelectOptions(t *testing.T) {
	w, _ := world(3)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2", "10.0.0.3"), osc: fast})
	w.Run(600)
	selectopts := func(n byte, mask, o source.SelectOptions) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SelectOptions(now, addrOf(n), mask, o, out)
		}
	}
	for n := range byte(3) {
		l.must(engine.Done, "+prefer", selectopts(n+1, source.Prefer|source.Trust, source.Prefer))
		w.Run(w.Now() + 130)
		if r := l.row(addrOf(n + 1)); r.Status != '*' || r.Asked != source.Prefer || r.Options != source.Prefer {
			t.Errorf("preferred 10.0.0.%d: status %c, options %04b of %04b", n+1, r.Status, r.Options, r.Asked)
		}
		l.must(engine.Done, "-prefer +noselect", selectopts(n+1, source.Prefer|source.NoSelect, source.NoSelect))
		if r := l.row(addrOf(n + 1)); r.Status != 'N' {
			t.Errorf("10.0.0.%d with noselect: status %c, want N", n+1, r.Status)
		}
	}
	l.must(engine.NoSuchSource, "selectopts of a stranger", selectopts(9, source.Prefer, source.Prefer))
	before := len(l.settings())
	l.must(engine.Done, "no change", selectopts(1, source.NoSelect, source.NoSelect))
	if n := len(l.settings()); n != before || before != 6 {
		t.Errorf("%d, then %d changes were reported, want 6", before, n)
	}
	l.reload(servers("10.0.0.1", "10.0.0.2", "10.0.0.3"))
	if r := l.row(addrOf(1)); r.Options != 0 {
		t.Errorf("options %04b after a reload, want none", r.Options)
	}
}

// TestAuthSelectMode looks at the options that sources get from the mode.
func TestAuthSelectMode(t *testing.T) {
	const no, must = source.NoSelect, source.Require | source.Trust
	type kind struct {
		key  bool
		asks source.SelectOptions
	}
	var (
		with, without   = kind{key: true}, kind{}
		unused, unasked = kind{true, no}, kind{false, no}
	)
	modes := map[string]config.AuthMode{"require": config.AuthRequire, "prefer": config.AuthPrefer, "mix": config.AuthMix, "ignore": config.AuthIgnore}
	for _, tc := range []struct {
		mode string
		a, b kind
		x, y source.SelectOptions
	}{
		{"require", with, without, 0, no}, {"require", with, with, 0, 0}, {"require", without, without, no, no},
		{"prefer", with, without, 0, no}, {"prefer", with, with, 0, 0}, {"prefer", without, without, 0, 0},
		{"mix", with, without, must, 0}, {"mix", with, with, 0, 0}, {"mix", without, without, 0, 0},
		{"ignore", with, without, 0, 0}, {"ignore", with, with, 0, 0}, {"ignore", without, without, 0, 0},
		// One that is never selected must not keep the others out.
		{"prefer", unused, without, no, 0}, {"mix", with, unasked, 0, no}, {"require", unused, without, no, no},
	} {
		w, _ := world(2)
		l := newLab(t, w, options{config: all(servers("10.0.0.1", "10.0.0.2"), func(c *config.Config) {
			c.Select.AuthMode = modes[tc.mode]
			for i, k := range []kind{tc.a, tc.b} {
				c.Sources[i].NoSelect = k.asks == no
				if k.key {
					c.Sources[i].Key = 1
				}
			}
		})})
		if x, y := l.row(addrOf(1)), l.row(addrOf(2)); x.Options != tc.x || y.Options != tc.y || x.Asked != tc.a.asks || y.Asked != tc.b.asks {
			t.Errorf("%s with %v and %v: options %04b and %04b, want %04b and %04b", tc.mode, tc.a, tc.b, x.Options, y.Options, tc.x, tc.y)
		}
	}
}

// TestAuthSelectModeFollows: the options of one source follow from the others that
// come, go and change.
func TestAuthSelectModeFollows(t *testing.T) {
	const must = source.Require | source.Trust
	w, _ := world(2)
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), func(c *config.Config) { c.Sources[0].Key = 1 })})
	look := func(when string, want source.SelectOptions) {
		t.Helper()
		if got := l.row(addrOf(1)).Options; got != want {
			t.Errorf("%s: options %04b, want %04b", when, got, want)
		}
	}
	look("alone", 0)
	l.must(engine.Done, "add", l.adding(config.DefaultSource(config.KindServer, "10.0.0.2")))
	look("beside one without a key", must)
	l.must(engine.Done, "selectopts", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SelectOptions(now, addrOf(2), source.NoSelect, source.NoSelect, out)
	})
	look("the other is never selected", 0)
	l.must(engine.Done, "selectopts", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SelectOptions(now, addrOf(2), source.NoSelect, 0, out)
	})
	look("the other is selected again", must)
	l.must(engine.Done, "delete", deleting(addrOf(2)))
	look("alone again", 0)
}

// adding returns the command that adds a source.
func (l *lab) adding(s config.Source) command {
	c := config.Default()
	cfg := setup.Source(c, &s, &l.files, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: 9})
	return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.AddSource(now, cfg, out)
	}
}

func deleting(a netip.Addr) command {
	return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.DeleteSource(now, a, out)
	}
}

// TestKeys: a source is believed as long as its key is in the ring.
func TestKeys(t *testing.T) {
	key := func(octets string) auth.Ring {
		k, err := auth.NewKey(1, auth.SHA1, []byte(octets))
		if err != nil {
			t.Fatal(err)
		}
		return auth.Ring{1: k}
	}
	w, _ := world(1)
	other := addrOf(101)
	w.Connect(nodeAddr, other, *w.Link(nodeAddr, addrOf(1)), *w.Link(nodeAddr, addrOf(1)))
	server := newLab(t, w, options{addr: other, files: setup.Files{Keys: key("first, of the server")}, config: all(servers("10.0.0.1"), func(c *config.Config) {
		c.Local.Enabled = true
	})})
	l := newLab(t, w, options{config: all(servers("10.0.0.101"), func(c *config.Config) { c.Sources[0].Key = 1 })})
	setKeys := func(r auth.Ring) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.SetKeys(now, r, out)
		}
	}
	valid := func() uint64 { return l.assocs()[other].Counters.Valid }
	hear := func(what string, on *lab, r auth.Ring, want bool) {
		t.Helper()
		on.must(engine.Done, what, setKeys(r))
		before := valid()
		w.Run(w.Now() + 300)
		if got := valid() > before; got != want {
			t.Errorf("%s: heard is %v, want %v", what, got, want)
		}
	}
	w.Run(60)
	if valid() != 0 {
		t.Error("heard although the key is missing")
	}
	hear("the key is there", l, key("first, of the server"), true)
	hear("another key", l, key("second, of the client"), false)
	hear("the server has it too", server, key("second, of the client"), true)
	hear("the server has none", server, nil, false)
	hear("and again", server, key("third, of both"), false)
	// Who is added later has the key that is in force then.
	l.must(engine.Done, "rekey", setKeys(key("third, of both")))
	l.must(engine.Done, "delete", deleting(other))
	late := config.DefaultSource(config.KindServer, "late.example")
	late.IBurst, late.Key = true, 1
	w.Name("late.example")
	l.must(engine.Done, "add", l.adding(late))
	l.must(engine.Done, "rekey", setKeys(key("third, of both")))
	w.Name("late.example", other)
	w.Run(w.Now() + 300)
	if valid() == 0 {
		t.Error("a source that resolved after rekey is not heard")
	}
}

// TestAllow: rules count in the order in which they are given, after those
// configured, until the configuration is read again; the port is open while
// anybody may ask.
func TestAllow(t *testing.T) {
	w, _ := world(1)
	nobody := func(c *config.Config) { c.Server.Access = nil }
	var published []engine.Action
	l := newLab(t, w, options{config: all(servers("10.0.0.1"), nobody)})
	l.policy = func(a *engine.Action) { published = append(published, *a) }
	allow := func(yes, all bool, prefix string) command {
		r := acl.Rule{Allow: yes, All: all, Everything: prefix == ""}
		if prefix != "" {
			r.Prefix = netip.MustParsePrefix(prefix)
		}
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Allow(now, r, out) }
	}
	look := func(what string, c command, addr string, want, open bool) {
		t.Helper()
		l.must(engine.Done, what, c)
		a := netip.MustParseAddr(addr)
		if got := l.node.Engine.Allowed(a); got != want {
			t.Errorf("%s: %s may ask is %v, want %v", what, addr, got, want)
		}
		if got := published[len(published)-1].Policy.Access.Allowed(a); got != want {
			t.Errorf("%s: published for %s is %v, want %v", what, addr, got, want)
		}
		if got := l.node.Engine.Listening(); got != open {
			t.Errorf("%s: the port is open is %v, want %v", what, got, open)
		}
	}
	if l.node.Engine.Allowed(addrOf(3)) || l.node.Engine.Listening() {
		t.Error("somebody may ask before anybody was allowed to")
	}
	look("allow 10/8", allow(true, false, "10.0.0.0/8"), "10.2.2.2", true, true)
	look("deny 10.2/16", allow(false, false, "10.2.0.0/16"), "10.2.2.2", false, true)
	look("allow", allow(true, false, ""), "10.2.2.2", false, true)
	look("allow all", allow(true, true, ""), "10.2.2.2", true, true)
	look("deny 2001::/16", allow(false, false, "2001::/16"), "2001::1", false, true)
	look("deny all", allow(false, true, ""), "10.9.9.9", false, false)
	look("allow one", allow(true, false, "192.0.2.1/32"), "192.0.2.1", true, true)
	l.must(engine.BadSubnet, "a bad prefix", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.Allow(now, acl.Rule{Allow: true, Prefix: netip.PrefixFrom(addrOf(1), 33)}, out)
	})
	var names []string
	for i := range l.events {
		if ev := &l.events[i].ev; ev.Option == engine.OptAccess {
			names = append(names, ev.Name)
		}
	}
	if want := []string{"10.0.0.0/8", "10.2.0.0/16", "any address", "any address", "2001::/16", "any address", "192.0.2.1"}; !slices.Equal(names, want) {
		t.Errorf("reported %q, want %q", names, want)
	}
	l.reload(all(servers("10.0.0.1"), nobody))
	if l.node.Engine.Allowed(netip.MustParseAddr("192.0.2.1")) || l.node.Engine.Listening() {
		t.Error("what a command allowed survives a reload")
	}
}

// TestAnswers: each answer has a name.
func TestAnswers(t *testing.T) {
	seen := make(map[string]bool)
	for a := engine.Done; a <= engine.InvalidName; a++ {
		if s := a.String(); s == "" || seen[s] {
			t.Errorf("answer %d is named %q", a, s)
		} else {
			seen[s] = true
		}
	}
}
