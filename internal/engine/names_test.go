// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
)

// TestUnresolvedName: a name is looked up for ever, with pauses that grow to about
// an hour, and people hear of it once.
func TestUnresolvedName(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("ntp.example")})
	w.Run(86400)
	if n := len(l.looked); n < 25 || n > 40 {
		t.Fatalf("%d look-ups in a day, want 25 to 40", n)
	}
	for i := 1; i < len(l.looked); i++ {
		pause := l.looked[i] - l.looked[i-1]
		least := 7 * float64(int(1)<<min(i-1, 9))
		if pause < least || pause > 1.1*least+0.1 {
			t.Errorf("pause %d: %.1f s, want %v to %v", i, pause, least, 1.1*least)
		}
	}
	if n := l.count(engine.EvUnresolved); n != 1 {
		t.Errorf("reported %d times, want once", n)
	}
	w.Name("ntp.example", addrOf(1))
	w.Run(86400 + 2*3600)
	if a := l.assocs()[addrOf(1)]; a == nil || a.Counters.Good == 0 {
		t.Errorf("associations %v, want a working one with 10.0.0.1", l.assocs())
	}
	l.below("error", l.node.Error(), 1e-4)
}

func pool(name string, size int, more func(*config.Config)) func(*config.Config) {
	return func(c *config.Config) {
		s := config.DefaultSource(config.KindPool, name)
		s.IBurst, s.MinPoll, s.MaxPoll, s.MaxSources = true, 4, 6, size
		c.Sources = append(c.Sources, s)
		if more != nil {
			more(c)
		}
	}
}

func keys(l *lab) (out []netip.Addr) {
	for a := range l.assocs() {
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// TestDuplicate: of two sources with one address the second is reported.
func TestDuplicate(t *testing.T) {
	w, _ := world(2)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2", "10.0.0.1")})
	w.Run(20)
	if n, name := l.count(engine.EvDuplicate), l.latest(engine.EvDuplicate).ev.Name; n != 1 || name != "10.0.0.1" || len(l.assocs()) != 2 {
		t.Errorf("%d sources, %d reports, the last about %q; want 2, and one about 10.0.0.1", len(l.assocs()), n, name)
	}
}

// TestPoolFillsUp: the name gives two addresses at a time.
func TestPoolFillsUp(t *testing.T) {
	w, _ := world(6)
	w.Name("pool.example", addrOf(1), addrOf(2))
	l := newLab(t, w, options{config: pool("pool.example", 4, nil)})
	w.Run(60)
	if got, want := keys(l), []netip.Addr{addrOf(1), addrOf(2)}; !slices.Equal(got, want) {
		t.Fatalf("members %v, want %v", got, want)
	}
	w.Name("pool.example", addrOf(2), addrOf(3), addrOf(4), addrOf(5))
	w.Run(3 * 3600)
	if got, want := keys(l), []netip.Addr{addrOf(1), addrOf(2), addrOf(3), addrOf(4)}; !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	if n := l.count(engine.EvAdded); n != 4 {
		t.Errorf("%d added, want 4", n)
	}
}

// TestBadMemberIsReplaced: a falseticker and a dead member of a pool.
func TestBadMemberIsReplaced(t *testing.T) {
	w, all := world(6)
	w.Name("pool.example", addrOf(1), addrOf(2), addrOf(3), addrOf(4))
	all[1].Offset = func(float64) float64 { return 5 }
	all[2].Dead = func(t float64) bool { return t > 3*3600 }
	l := newLab(t, w, options{config: pool("pool.example", 4, nil)})
	w.Run(40)
	w.Name("pool.example", addrOf(1), addrOf(2), addrOf(3), addrOf(4), addrOf(5), addrOf(6))
	w.Run(3 * 3600)
	good := []netip.Addr{addrOf(5), addrOf(6)}
	ev := l.latest(engine.EvReplaced).ev
	if ev.Old.Addr.Addr() != addrOf(2) || !slices.Contains(good, ev.Source.Addr.Addr()) {
		t.Errorf("replaced %v by %v, want 10.0.0.2 by 10.0.0.5 or 10.0.0.6", ev.Old.Addr, ev.Source.Addr)
	}
	w.Run(15 * 3600)
	if got := keys(l); slices.Contains(got, addrOf(2)) || slices.Contains(got, addrOf(3)) {
		t.Errorf("members %v, want without 10.0.0.2 and 10.0.0.3", got)
	}
	if n := l.count(engine.EvReplaced); n < 2 || n > 12 {
		t.Errorf("%d replaced, want 2 to 12: about one an hour while one is bad", n)
	}
	l.below("error", l.node.Error(), 1e-4)
}

// TestRefresh: the name of a working server gets another address.
func TestRefresh(t *testing.T) {
	w, _ := world(3)
	w.Name("ntp.example", addrOf(1), addrOf(2))
	l := newLab(t, w, options{config: all(servers("ntp.example"), func(c *config.Config) { c.Client.Refresh = 7200 })})
	w.Run(2.5 * 3600)
	if got := keys(l); !slices.Equal(got, []netip.Addr{addrOf(1)}) || len(l.looked) != 2 {
		t.Fatalf("%v after %d look-ups, want 10.0.0.1 after 2", got, len(l.looked))
	}
	w.Name("ntp.example", addrOf(3))
	w.Run(4.5 * 3600)
	if got := keys(l); !slices.Equal(got, []netip.Addr{addrOf(3)}) {
		t.Errorf("after a refresh: %v, want 10.0.0.3", got)
	}
	w.Run(9 * 3600)
	if n := len(l.looked); n != 5 {
		t.Errorf("%d look-ups in 9 h, want 5", n)
	}
	l.below("error", l.node.Error(), 1e-4)
}

// TestTwoNamesOneServer: an address is used once; the name that came second waits
// for another.
func TestTwoNamesOneServer(t *testing.T) {
	w, _ := world(2)
	w.Name("a.example", addrOf(1))
	w.Name("b.example", addrOf(1))
	l := newLab(t, w, options{config: servers("a.example", "b.example")})
	w.Run(60)
	if got := keys(l); len(got) != 1 {
		t.Fatalf("associations with %v, want one", got)
	}
	w.Name("b.example", addrOf(2))
	w.Run(3 * 3600)
	if got := keys(l); len(got) != 2 {
		t.Errorf("associations with %v, want two", got)
	}
}

// TestReload: sources that stay keep their history, others come and go.
func TestReload(t *testing.T) {
	w, _ := world(4)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2", "10.0.0.3"), offset: 0.01})
	w.Run(3600)
	before := l.assocs()
	good, held := before[addrOf(3)].Counters.Good, before[addrOf(3)].Register().Len()
	l.reload(all(servers("10.0.0.3", "10.0.0.4", "10.0.0.1"), func(c *config.Config) {
		c.Sources[0].MaxPoll = 5
		c.Local.Enabled, c.Local.Stratum = true, 7
		c.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 100, MaxWander: 0.01}
		c.Clock.FallbackDrift = config.FallbackDrift{Min: 10, Max: 12}
	}))
	after := l.assocs()
	if after[addrOf(1)] != before[addrOf(1)] || after[addrOf(3)] != before[addrOf(3)] {
		t.Error("sources that stay were made anew")
	}
	if c := after[addrOf(3)]; c.Counters.Good != good || c.Register().Len() != held || c.Config().MaxPoll != 5 {
		t.Errorf("10.0.0.3: %d samples, %d held, maxpoll %d; want %d, %d, 5",
			c.Counters.Good, c.Register().Len(), c.Config().MaxPoll, good, held)
	}
	if after[addrOf(2)] != nil || after[addrOf(4)] == nil || len(after) != 3 {
		t.Errorf("associations %v, want 1, 3 and 4", keys(l))
	}
	if l.node.Snapshot.Leap != ntp.LeapNone {
		t.Errorf("served leap %d after a reload, want 0", l.node.Snapshot.Leap)
	}
	if s := l.latest(engine.EvRemoved).ev.Source; s.Addr.Addr() != addrOf(2) {
		t.Errorf("removed %v, want 10.0.0.2", s.Addr)
	}
	w.Run(2 * 3600)
	if a := l.assocs()[addrOf(4)]; a.Counters.Good < 30 {
		t.Errorf("10.0.0.4: %d samples in an hour, want at least 30", a.Counters.Good)
	}
	if l.node.Snapshot.RefID != ntp.RefIDSmooth {
		t.Errorf("reference ID %#x, want that of smoothed time", l.node.Snapshot.RefID)
	}
	l.below("error", l.node.Error(), 1e-4)
}

// TestReloadToNothing removes all sources; the daemon goes on with what it knows.
func TestReloadToNothing(t *testing.T) {
	w, _ := world(1)
	l := newLab(t, w, options{config: servers("10.0.0.1")})
	w.Run(3600)
	l.reload(nil)
	w.Run(7200)
	if n := len(l.assocs()); n != 0 {
		t.Errorf("%d associations, want none", n)
	}
	l.below("error", l.node.Error(), 1e-3)
	l.reload(servers("10.0.0.1"))
	w.Run(9000)
	l.below("error", l.node.Error(), 1e-4)
}
