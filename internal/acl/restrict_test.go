// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// oracle is ntpd's rule, written down: of the entries that match, the greatest
// address wins, then the greatest mask, then the one with ntpport; entries that are
// alike in all three are one.
func oracle(list []Restriction, from netip.AddrPort) Flags {
	var best *Restriction
	var flags Flags
	for i := range list {
		r := &list[i]
		if !r.Net.IsValid() || r.Net.Is4() != from.Addr().Is4() || r.NTPPort && from.Port() != 123 || !matches(r, from.Addr()) {
			continue
		}
		order := 1
		if best != nil {
			order = masked(r).Compare(masked(best))
			if order == 0 {
				order = r.Mask.Compare(best.Mask)
			}
			if order == 0 && r.NTPPort != best.NTPPort {
				order = -1
				if r.NTPPort {
					order = 1
				}
			}
		}
		switch {
		case order > 0:
			best, flags = r, r.Flags
		case order == 0:
			flags |= r.Flags
		}
	}
	return flags
}

func masked(r *Restriction) netip.Addr { return and(r.Net, r.Mask) }

func matches(r *Restriction, a netip.Addr) bool { return and(a, r.Mask) == masked(r) }

func and(a, mask netip.Addr) netip.Addr {
	x, y := a.AsSlice(), mask.AsSlice()
	for i := range x {
		x[i] &= y[i]
	}
	out, _ := netip.AddrFromSlice(x)
	return out
}

// randomAddr is one of few, so that entries and questions meet.
func randomAddr(r *rand.Rand, v4 bool) netip.Addr {
	octet := func() byte { return []byte{0, 1, 2, 127, 128, 254, 255}[r.IntN(7)] }
	if v4 {
		return netip.AddrFrom4([4]byte{[]byte{0, 10, 255}[r.IntN(3)], octet(), octet(), octet()})
	}
	b := [16]byte{0: []byte{0, 0x20, 0xff}[r.IntN(3)], 7: octet(), 8: octet(), 15: octet()}
	return netip.AddrFrom16(b)
}

func TestMostSpecificWins(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 3000 {
		var list []Restriction
		for range r.IntN(12) {
			a := randomAddr(r, r.IntN(2) == 0)
			e := OfPrefix(netip.PrefixFrom(a, r.IntN(a.BitLen()+1)), Flags(r.IntN(int(flagEnd))))
			if r.IntN(8) == 0 { // any octets are a mask to ntpd
				e.Net, e.Mask = a, randomAddr(r, a.Is4())
			}
			e.NTPPort = r.IntN(3) == 0
			list = append(list, e)
		}
		table := NewRestrictions(list)
		for range 40 {
			from := netip.AddrPortFrom(randomAddr(r, r.IntN(2) == 0), []uint16{123, 4000}[r.IntN(2)])
			if got, want := table.Of(from), oracle(list, from); got != want {
				t.Fatalf("round %d: %v has %q, want %q, of %+v", round, from, got, want, list)
			}
		}
	}
}

func TestRestrictions(t *testing.T) {
	p := netip.MustParsePrefix
	table := NewRestrictions([]Restriction{
		OfPrefix(p("0.0.0.0/0"), KoD|NoQuery), OfPrefix(p("::/0"), NoQuery),
		OfPrefix(p("127.0.0.1/32"), 0),
		OfPrefix(p("10.0.0.0/8"), Limited), OfPrefix(p("10.1.0.0/16"), Ignore),
		OfPrefix(p("0.0.0.0/0"), NoModify), // merges with the first
	})
	for from, want := range map[string]Flags{
		"192.0.2.1:5": KoD | NoQuery | NoModify, "127.0.0.1:5": 0, "10.2.0.1:5": Limited, "10.1.255.255:5": Ignore,
		"[2001:db8::1]:5": NoQuery, "[::ffff:10.1.0.1]:5": Ignore, "[fe80::1%eth0]:5": NoQuery, "255.255.255.255:5": KoD | NoQuery | NoModify,
	} {
		if got := table.Of(netip.MustParseAddrPort(from)); got != want {
			t.Errorf("%s has %q, want %q", from, got, want)
		}
	}
	if got := (*Restrictions)(nil).Of(netip.MustParseAddrPort("192.0.2.1:5")); got != 0 {
		t.Errorf("no table takes away %q", got)
	}
}

// Sources get their entry by address, unless they have one of their own.
func TestForSources(t *testing.T) {
	p := netip.MustParsePrefix
	without := NewRestrictions([]Restriction{OfPrefix(p("0.0.0.0/0"), Ignore)})
	if without.ForSources([]netip.Addr{netip.MustParseAddr("192.0.2.1")}) != without {
		t.Error("a table without an entry source is changed for sources")
	}
	table := NewRestrictions([]Restriction{
		OfPrefix(p("0.0.0.0/0"), Ignore), {Flags: NoQuery}, OfPrefix(p("192.0.2.7/32"), NoServe), OfPrefix(p("192.0.2.0/24"), Limited),
	})
	now := table.ForSources([]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.7")})
	for from, want := range map[string]Flags{"192.0.2.1:123": NoQuery, "192.0.2.7:123": NoServe, "192.0.2.9:123": Limited, "198.51.100.1:123": Ignore} {
		if got := now.Of(netip.MustParseAddrPort(from)); got != want {
			t.Errorf("%s has %q, want %q", from, got, want)
		}
	}
	same := now.ForSources([]netip.Addr{netip.MustParseAddr("192.0.2.1")})
	if got := same.Of(netip.MustParseAddrPort("192.0.2.1:123")); got != NoQuery {
		t.Errorf("a source that stays has %q, want %q", got, NoQuery)
	}
	gone := now.ForSources(nil)
	if got := gone.Of(netip.MustParseAddrPort("192.0.2.1:123")); got != Limited {
		t.Errorf("a former source has %q, want %q", got, Limited)
	}
}

func TestFlagNames(t *testing.T) {
	for i, name := range FlagNames() {
		f, ok := FlagOf(name)
		if !ok || f != 1<<i || f.String() != name {
			t.Errorf("flag %d %q: FlagOf = %d, %v, its name %q", i, name, f, ok, f)
		}
	}
	if _, ok := FlagOf("nonsense"); ok || 1<<len(flagNames) != flagEnd {
		t.Error("an unknown flag has a value, or a flag has no name")
	}
}

func TestRestrictionsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := NewRestrictions([]Restriction{OfPrefix(netip.MustParsePrefix("10.0.0.0/8"), Limited)})
	from := netip.MustParseAddrPort("10.0.0.1:123")
	var sum Flags
	if n := testing.AllocsPerRun(100, func() { sum |= table.Of(from) }); n != 0 || sum != Limited {
		t.Errorf("%v allocations, flags %q", n, sum)
	}
}
