// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/source"
)

func online(on bool, addrs ...netip.Addr) command {
	which := engine.Which{}
	if len(addrs) > 0 {
		which.Addr = addrs[0]
	}
	return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SetOnline(now, which, on, out)
	}
}

// untouched returns a function that fails the test if a source lost samples or its
// estimate moved by more than noise since.
func (l *lab) untouched(a netip.Addr) func(when string) {
	s := l.assocs()[a]
	held, good := s.Register().Held(), s.Counters.Good
	at := l.node.Engine.ServedAt(l.node.Now())
	before, _ := s.Estimate(at)
	return func(when string) {
		l.t.Helper()
		again := l.assocs()[a]
		after, ok := again.Estimate(at)
		if again != s || again.Register().Held() < held || again.Counters.Good < good || !ok {
			l.t.Errorf("%s: %v has %d samples, %d good answers; before %d, %d", when, a, again.Register().Held(), again.Counters.Good, held, good)
		}
		l.below(when+": the estimate of "+a.String()+" moved by", float64(after.Offset-before.Offset), 100e-6)
	}
}

func TestAddAndDelete(t *testing.T) {
	w, _ := world(4)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2"), osc: fast})
	w.Run(3600)
	check := l.untouched(addrOf(1))
	s := config.DefaultSource(config.KindServer, "10.0.0.3")
	s.IBurst, s.MinPoll, s.MaxPoll = true, 4, 6
	l.must(engine.Done, "add", l.adding(s))
	l.must(engine.AlreadyKnown, "add again", l.adding(s))
	s.Port = 77
	l.must(engine.AlreadyKnown, "add with another port", l.adding(s))
	w.Run(4200)
	if r := l.row(addrOf(3)); r.Status != '+' && r.Status != '*' {
		t.Errorf("the source added has status %c, want that it is used", r.Status)
	}
	check("after add")
	l.must(engine.Done, "delete", deleting(addrOf(2)))
	l.must(engine.NoSuchSource, "delete again", deleting(addrOf(2)))
	w.Run(4800)
	check("after delete")
	if got, want := keys(l), []netip.Addr{addrOf(1), addrOf(3)}; !slices.Equal(got, want) {
		t.Errorf("sources %v, want %v", got, want)
	}
	l.reload(servers("10.0.0.1", "10.0.0.2"))
	w.Run(5400)
	check("after a reload")
	if got, want := keys(l), []netip.Addr{addrOf(1), addrOf(2)}; !slices.Equal(got, want) {
		t.Errorf("sources %v after a reload, want those configured: %v", got, want)
	}
	l.below("error", l.node.Error(), 1e-4)
}

// TestDeleteSelected: another one takes over from the one that is followed.
func TestDeleteSelected(t *testing.T) {
	w, _ := world(2)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2"), osc: fast})
	w.Run(600)
	selected := l.latest(engine.EvSelected).ev.Source.Addr.Addr()
	l.must(engine.Done, "delete", deleting(selected))
	if now := l.latest(engine.EvSelected).ev.Source.Addr.Addr(); now == selected {
		t.Errorf("%v is selected although it was deleted", now)
	}
	w.Run(1200)
	l.below("error", l.node.Error(), 1e-4)
	l.must(engine.Done, "delete the last", deleting(keys(l)[0]))
	w.Run(1300)
	if n := len(keys(l)); n != 0 {
		t.Errorf("%d sources, want none", n)
	}
}

func TestAddRefused(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1")})
	for _, tc := range []struct {
		name   string
		family config.Family
		want   engine.Answer
	}{
		{"10.0.0.2", config.FamilyIPv6, engine.InvalidFamily},
		{"2001:db8::2", config.FamilyIPv4, engine.InvalidFamily},
		{"10.0.0.3", config.FamilyIPv4, engine.Done},
		{"::ffff:10.0.0.1", config.FamilyAny, engine.AlreadyKnown},
		{"", config.FamilyAny, engine.InvalidName},
		{"two words", config.FamilyAny, engine.InvalidName},
		{"new\nline", config.FamilyAny, engine.InvalidName},
		{"b\xfccher.example", config.FamilyAny, engine.InvalidName},
		{"ntp.example", config.FamilyAny, engine.Done},
	} {
		s := config.DefaultSource(config.KindServer, tc.name)
		s.Family = tc.family
		l.must(tc.want, "add "+tc.name, l.adding(s))
	}
	if got := len(keys(l)); got != 2 {
		t.Errorf("%d sources, want 2", got)
	}
}

func TestTooManySources(t *testing.T) {
	w, _ := world(1)
	w.Name("pool.example")
	l := newLab(t, w, options{})
	big := config.DefaultSource(config.KindPool, "pool.example")
	big.MaxSources = 1 << 16
	l.must(engine.Done, "a pool of all", l.adding(big))
	big.MaxSources++
	l.must(engine.TooManySources, "a pool of more", l.adding(big))
}

// TestUnresolved: a name without an address can be added, is tried again by
// online, and can be deleted.
func TestUnresolved(t *testing.T) {
	w, _ := world(2)
	w.Name("ntp.example")
	l := newLab(t, w, options{config: servers("10.0.0.1")})
	w.Run(1)
	l.must(engine.Done, "add", l.adding(config.DefaultSource(config.KindServer, "ntp.example")))
	l.must(engine.Done, "add", l.adding(config.DefaultSource(config.KindServer, "other.example")))
	w.Run(1000)
	waiting := maps.Collect(l.node.Engine.Unresolved())
	if got := slices.Sorted(maps.Values(waiting)); !slices.Equal(got, []string{"ntp.example", "other.example"}) {
		t.Fatalf("unresolved %v, want the two", got)
	}
	for id, name := range waiting {
		if name == "other.example" {
			drop := func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
				return e.DeleteUnresolved(now, id, out)
			}
			l.must(engine.Done, "delete", drop)
			l.must(engine.NoSuchSource, "delete again", drop)
		}
	}
	w.Name("ntp.example", addrOf(2))
	w.Name("other.example", addrOf(3))
	l.must(engine.Done, "offline", online(false))
	l.must(engine.Done, "online", online(true))
	w.Run(1001)
	if got := keys(l); !slices.Equal(got, []netip.Addr{addrOf(1), addrOf(2)}) {
		t.Errorf("sources %v a second after online, want 10.0.0.2 too", got)
	}
	l.must(engine.Done, "delete by address", deleting(addrOf(2)))
	w.Run(2000)
	if n := len(maps.Collect(l.node.Engine.Unresolved())); n != 0 || len(keys(l)) != 1 {
		t.Errorf("%d names unresolved, sources %v; want only 10.0.0.1", n, keys(l))
	}
}

// TestPeerByName: the port opens for a peer once its name has an address.
func TestPeerByName(t *testing.T) {
	w, _ := world(1)
	w.Name("peer.example")
	l := newLab(t, w, options{config: func(c *config.Config) { c.Server.Access = nil }})
	l.must(engine.Done, "add", l.adding(config.DefaultSource(config.KindPeer, "peer.example")))
	w.Run(5)
	if l.node.Engine.Listening() {
		t.Error("the port is open before there is a peer")
	}
	w.Name("peer.example", addrOf(1))
	w.Run(60)
	if !l.node.Engine.Listening() {
		t.Error("the port is closed although there is a peer")
	}
	l.must(engine.Done, "delete", deleting(addrOf(1)))
	if l.node.Engine.Listening() {
		t.Error("the port is open after the peer was deleted")
	}
}

// TestDeleteFromPool: a pool is smaller by each that is deleted, until a reload.
func TestDeleteFromPool(t *testing.T) {
	w, _ := world(4)
	w.Name("pool.example", addrOf(1), addrOf(2), addrOf(3), addrOf(4))
	l := newLab(t, w, options{config: pool("pool.example", 3, nil)})
	w.Run(60)
	l.must(engine.Done, "delete", deleting(addrOf(2)))
	w.Run(4 * 3600)
	if got := keys(l); !slices.Equal(got, []netip.Addr{addrOf(1), addrOf(3)}) {
		t.Errorf("members %v, want without 10.0.0.2", got)
	}
	l.reload(pool("pool.example", 3, nil))
	w.Run(4*3600 + 60)
	if got := len(keys(l)); got != 3 {
		t.Errorf("%d members after a reload, want 3", got)
	}
	for _, a := range keys(l) {
		l.must(engine.Done, "delete", deleting(a))
	}
	w.Run(8 * 3600)
	if got := len(keys(l)) + len(maps.Collect(l.node.Engine.Unresolved())); got != 0 {
		t.Errorf("%d are left of the pool, want none", got)
	}
}

// TestOnline: who is offline is not asked and keeps its samples, over a reload
// too; addresses that names resolve to later are like the rest.
func TestOnline(t *testing.T) {
	w, all1 := world(3)
	w.Name("late.example")
	cfg := servers("10.0.0.1", "10.0.0.2", "late.example")
	l := newLab(t, w, options{config: cfg, osc: fast})
	w.Run(3600)
	held := l.assocs()[addrOf(1)].Register().Held()
	l.must(engine.Done, "offline", online(false))
	l.must(engine.NoSuchSource, "offline a stranger", online(false, addrOf(9)))
	w.Name("late.example", addrOf(3))
	l.reload(cfg)
	asked := [3]int{all1[0].Requests, all1[1].Requests, all1[2].Requests}
	w.Run(7200)
	for i, a := range asked {
		if n := all1[i].Requests - a; n != 0 {
			t.Errorf("10.0.0.%d was asked %d times while offline", i+1, n)
		}
	}
	if got := l.assocs()[addrOf(1)].Register().Held(); got != held {
		t.Errorf("%d samples while offline, want the %d of before", got, held)
	}
	if n := l.count(engine.EvOffline); n != 2 {
		t.Errorf("%d went offline by what was reported, want 2", n)
	}
	l.must(engine.Done, "online one", online(true, addrOf(2)))
	l.must(engine.Done, "online again", online(true, addrOf(2)))
	w.Run(7300)
	if all1[0].Requests != asked[0] || all1[1].Requests == asked[1] || l.count(engine.EvOnline) != 1 {
		t.Errorf("%d requests to the other, %d to the one online, %d reports; want none, some, 1",
			all1[0].Requests-asked[0], all1[1].Requests-asked[1], l.count(engine.EvOnline))
	}
	l.must(engine.Done, "online", online(true))
	w.Run(7400)
	if all1[2].Requests == asked[2] {
		t.Error("the name that resolved is not asked after online")
	}
}

// TestOnOffline: sources without a route go offline, and come back with it.
func TestOnOffline(t *testing.T) {
	w, _ := world(2)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2")})
	w.Run(60)
	route := func(to byte) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.OnOffline(now, engine.Which{}, func(a netip.AddrPort) bool { return a == netip.AddrPortFrom(addrOf(to), 123) }, out)
		}
	}
	for _, n := range []byte{1, 2, 2, 1} {
		l.must(engine.Done, "onoffline", route(n))
		for _, m := range []byte{1, 2} {
			if s := l.assocs()[addrOf(m)].State(); (s == source.Offline || s == source.BurstOffline) == (m == n) {
				t.Errorf("with a route to 10.0.0.%d: 10.0.0.%d has state %d", n, m, s)
			}
		}
	}
	l.must(engine.NoSuchSource, "onoffline a stranger", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.OnOffline(now, engine.Which{Addr: addrOf(9)}, func(netip.AddrPort) bool { return true }, out)
	})
	w.Name("late.example")
	l.must(engine.Done, "add", l.adding(config.DefaultSource(config.KindServer, "late.example")))
	w.Run(1000)
	w.Name("late.example", addrOf(3))
	l.must(engine.Done, "onoffline", route(1))
	w.Run(1001)
	if !slices.Contains(keys(l), addrOf(3)) {
		t.Errorf("sources %v a second after onoffline, want the name that resolves now", keys(l))
	}
	empty := newLab(t, w, options{addr: addrOf(102)})
	empty.must(engine.Done, "onoffline without sources", route(1))
	empty.must(engine.NoSuchSource, "online without sources", online(true))
}

// TestOfflineTogether: when all go offline none is selected in passing.
func TestOfflineTogether(t *testing.T) {
	w, _ := world(3)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2", "10.0.0.3"), osc: fast})
	w.Run(3600)
	before := l.count(engine.EvSelected)
	l.must(engine.Done, "offline", online(false))
	if n := l.count(engine.EvSelected) - before; n != 0 {
		t.Errorf("%d others were selected while all went offline", n)
	}
	w.Run(3700)
	l.below("error", l.node.Error(), 1e-3)
}

// TestBurst counts the requests of bursts.
func TestBurst(t *testing.T) {
	w, all1 := world(3)
	cfg := all(servers("10.0.0.1", "10.0.0.2"), func(c *config.Config) {
		c.Sources = append(c.Sources, config.DefaultSource(config.KindPeer, "10.0.0.3"))
		c.Sources[1].Offline = true
		for i := range c.Sources {
			c.Sources[i].MinPoll, c.Sources[i].MaxPoll = 6, 6
		}
	})
	l := newLab(t, w, options{config: cfg, osc: fast})
	w.Run(600)
	burst := func(good, total int, a netip.Addr) command {
		return func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
			return e.Burst(now, engine.Which{Addr: a}, good, total, out)
		}
	}
	requests := func(what string, c command, n byte, least, most int) {
		t.Helper()
		before := all1[n-1].Requests
		l.must(engine.Done, what, c)
		w.Run(w.Now() + 40)
		if got := all1[n-1].Requests - before; got < least || got > most {
			t.Errorf("%s: %d requests in 40 s, want %d to %d", what, got, least, most)
		}
	}
	requests("good ones end it", burst(3, 10, addrOf(1)), 1, 3, 4)
	all1[0].Dead = func(float64) bool { return true }
	requests("its total ends it", burst(3, 6, addrOf(1)), 1, 6, 7)
	requests("offline", burst(2, 5, addrOf(2)), 2, 2, 2)
	requests("all", burst(1, 5, netip.Addr{}), 2, 1, 1)
	requests("a peer", burst(5, 9, addrOf(3)), 3, 0, 1)
	if s := l.assocs()[addrOf(2)].State(); s != source.Offline {
		t.Errorf("state %d after a burst, want offline", s)
	}
	l.must(engine.NoSuchSource, "burst of a stranger", burst(1, 1, addrOf(9)))
}

// TestReselect: a source that is better takes over at once.
func TestReselect(t *testing.T) {
	w, all1 := world(2)
	all1[1].Disp = 0.01
	l := newLab(t, w, options{osc: fast, config: all(servers("10.0.0.1", "10.0.0.2"), func(c *config.Config) { c.Select.ReselectDistance = 1000 })})
	w.Run(600)
	all1[0].Disp, all1[1].Disp = 0.01, 0
	w.Run(3600)
	if r := l.row(addrOf(1)); r.Status != '*' {
		t.Fatalf("10.0.0.1 has status %c, want that it is still selected", r.Status)
	}
	l.must(engine.Done, "reselect", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Reselect(now, out) })
	w.Run(3700)
	if r := l.row(addrOf(2)); r.Status != '*' {
		t.Errorf("10.0.0.2 has status %c after reselect, want selected", r.Status)
	}
	// With a short distance the other takes over by itself.
	set := func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.SetReselectDist(now, 1e-4, out)
	}
	l.must(engine.Done, "reselectdist", set)
	l.must(engine.Done, "the same", set)
	all1[0].Disp, all1[1].Disp = 0, 0.01
	w.Run(7200)
	if r := l.row(addrOf(1)); r.Status != '*' {
		t.Errorf("10.0.0.1 has status %c with a short reselectdist, want selected", r.Status)
	}
	if got := l.settings(); !slices.Equal(got, []engine.Option{engine.OptReselectDist}) {
		t.Errorf("settings %v, want one", got)
	}
}

// TestResetSources: everything known is dropped, and found out again.
func TestResetSources(t *testing.T) {
	w, _ := world(2)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2"), osc: fast})
	w.Run(3600)
	l.must(engine.Done, "doffset", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.AddOffset(now, 0.5, out)
	})
	l.must(engine.Done, "reset", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer {
		return e.ResetSources(now, out)
	})
	for a, s := range l.assocs() {
		if reach, n := s.Reach(); reach != 0 || n != 0 || s.Register().Held() != 0 {
			t.Errorf("%v: reach %o of %d, %d samples after the reset", a, reach, n, s.Register().Held())
		}
	}
	tr := l.node.Engine.Tracking(l.node.Now())
	if tr.Synchronized || tr.Remaining != 0 || l.node.Snapshot.Leap != 3 {
		t.Errorf("synchronised %v, %v s are left, leap %d served; want no, none, 3", tr.Synchronized, tr.Remaining, l.node.Snapshot.Leap)
	}
	w.Run(4200)
	if tr := l.node.Engine.Tracking(l.node.Now()); !tr.Synchronized {
		t.Error("not synchronised ten minutes after the reset")
	}
	l.below("error", l.node.Error(), 1e-4)
	if l.count(engine.EvJump) != 0 {
		t.Error("a reset was reported as a jump")
	}
}

// TestRefreshCommand: names are looked up at once, and a source moves with its name.
func TestRefreshCommand(t *testing.T) {
	w, _ := world(3)
	w.Name("ntp.example", addrOf(1))
	l := newLab(t, w, options{config: servers("ntp.example", "10.0.0.3")})
	w.Run(600)
	w.Name("ntp.example", addrOf(2))
	w.Run(1200)
	if got := keys(l); !slices.Contains(got, addrOf(1)) {
		t.Fatalf("sources %v before refresh, want 10.0.0.1", got)
	}
	check := l.untouched(addrOf(3))
	l.must(engine.Done, "refresh", func(e *engine.Engine, now clock.Now, out *engine.Actions) engine.Answer { return e.Refresh(now, out) })
	w.Run(1201)
	if got := keys(l); !slices.Contains(got, addrOf(2)) || len(l.looked) != 2 {
		t.Errorf("sources %v a second after refresh, %d look-ups; want 10.0.0.2, 2", got, len(l.looked))
	}
	check("after refresh")
}
