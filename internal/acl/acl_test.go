// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// rules reads lines as "allow all 10.0.0.0/8".
func rules(t testing.TB, lines string) (out []Rule) {
	t.Helper()
	for line := range strings.Lines(lines) {
		w := strings.Fields(line)
		r := Rule{Allow: w[0] == "allow"}
		w = w[1:]
		if len(w) > 0 && w[0] == "all" {
			r.All, w = true, w[1:]
		}
		if len(w) == 0 {
			r.Everything = true
		} else {
			r.Prefix = netip.MustParsePrefix(w[0])
		}
		out = append(out, r)
	}
	return out
}

func TestAllowed(t *testing.T) {
	tests := []struct {
		name, rules string
		yes, no     string
	}{
		{"no rules", "", "", "10.0.0.1 ::1 127.0.0.1"},
		{"everything", "allow", "10.0.0.1 :: ffff:: 0.0.0.0 255.255.255.255", ""},
		{"one family", "allow 0.0.0.0/0", "10.0.0.1", "::1 2001:db8::1"},
		{"other family", "allow ::/0", "::1 2001:db8::1", "10.0.0.1 ::ffff:10.0.0.1"},
		{"edges", "allow 10.1.2.0/23", "10.1.2.0 10.1.3.255", "10.1.1.255 10.1.4.0"},
		{"edges of 128 bits", "allow 2001:db8::10/124", "2001:db8::10 2001:db8::1f", "2001:db8::f 2001:db8::20"},
		{"last address", "allow 255.255.255.255/32\nallow ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
			"255.255.255.255 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "255.255.255.254 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
		{"longest prefix", "allow 1.2.3.4/32\ndeny 1.2.3.0/24\nallow 1.2.0.0/16", "1.2.3.4 1.2.4.1", "1.2.3.5 1.3.0.0"},
		{"longest prefix in another order", "allow 1.2.0.0/16\nallow 1.2.3.4/32\ndeny 1.2.3.0/24", "1.2.3.4 1.2.4.1", "1.2.3.5 1.3.0.0"},
		{"all", "allow 1.2.3.4/32\ndeny 1.2.3.0/24\nallow all 1.2.0.0/16", "1.2.3.4 1.2.3.5", "1.3.0.0"},
		{"all and later", "deny 1.2.3.0/24\nallow all 1.2.0.0/16\ndeny 1.2.4.0/24", "1.2.3.4", "1.2.4.1"},
		{"all of everything", "deny 1.2.3.0/24\ndeny 2001:db8::/32\nallow all", "1.2.3.4 2001:db8::1", ""},
		{"all leaves the rest", "allow 1.2.3.4/32\ndeny all 1.2.4.0/24", "1.2.3.4", "1.2.4.1"},
		{"later replaces", "allow 10.0.0.0/8\ndeny 10.0.0.0/8", "", "10.1.1.1"},
		{"same group of four bits", "deny 10.0.0.0/28\nallow 10.0.0.0/25", "10.0.0.1", ""},
		{"same group of four bits in another order", "allow 10.0.0.0/25\ndeny 10.0.0.0/28", "10.0.0.16", "10.0.0.1"},
		{"other group of four bits", "deny 10.0.0.0/29\nallow 10.0.0.0/28", "10.0.0.8", "10.0.0.1"},
		{"host bits do not count", "allow 10.1.2.3/16", "10.1.255.1", "10.2.0.0"},
		{"mapped address", "allow 10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
		{"mapped prefix", "allow ::ffff:10.0.0.0/104", "10.1.2.3 ::ffff:10.1.2.3", "11.0.0.0"},
		{"zone", "allow fe80::/10", "fe80::1%eth0 fe80::1", "ff02::1%eth0"},
	}
	for _, tt := range tests {
		table := New(rules(t, tt.rules))
		if table.Any() != (tt.yes != "") {
			t.Errorf("%s: Any() = %v", tt.name, table.Any())
		}
		for _, c := range []struct {
			addrs string
			want  bool
		}{{tt.yes, true}, {tt.no, false}} {
			for _, a := range strings.Fields(c.addrs) {
				if got := table.Allowed(netip.MustParseAddr(a)); got != c.want {
					t.Errorf("%s: Allowed(%s) = %v", tt.name, a, got)
				}
			}
		}
	}
}

func TestDegenerate(t *testing.T) {
	everybody := New([]Rule{{Allow: true, Everything: true}})
	if everybody.Allowed(netip.Addr{}) {
		t.Error("the invalid address may ask")
	}
	var none *Table
	if none.Any() || none.Allowed(netip.MustParseAddr("::1")) || (&Table{}).Allowed(netip.MustParseAddr("::1")) {
		t.Error("a nil or zero table lets somebody in")
	}
	for p := range none.Prefixes() {
		t.Errorf("a nil table has the prefix %s", p)
	}
	if New([]Rule{{Allow: true}}).Any() {
		t.Error("a rule without prefix lets somebody in")
	}
}

// model answers as the package comment says, rule by rule.
func model(rs []Rule, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	prefix := func(r Rule) netip.Prefix {
		if r.Everything {
			return netip.PrefixFrom(a, 0).Masked()
		}
		p := r.Prefix
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked()
	}
	best, allow := -1, false
	for i, r := range rs {
		p := prefix(r)
		if !p.Contains(a) {
			continue
		}
		gone := false
		for _, later := range rs[i+1:] {
			q := prefix(later)
			if q.Bits() <= p.Bits() && q.Contains(p.Addr()) && (later.All || (q.Bits()+3)/4 == (p.Bits()+3)/4) {
				gone = true
			}
		}
		if !gone && p.Bits() >= best {
			best, allow = p.Bits(), r.Allow
		}
	}
	return allow
}

// lookup answers from Prefixes by longest prefix.
func lookup(table *Table, a netip.Addr) bool {
	best, allow := -1, false
	for p, v := range table.Prefixes() {
		if p.Contains(a.Unmap().WithZone("")) && p.Bits() > best {
			best, allow = p.Bits(), v
		}
	}
	return allow
}

// random makes rules and addresses that are close together, so that they meet.
type random struct{ *rand.Rand }

func (r random) addr() netip.Addr {
	switch r.IntN(4) {
	case 0, 1:
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(2)), byte(r.IntN(256))})
	case 2:
		var b [16]byte
		b[0], b[7], b[8], b[15] = 0x20, byte(r.IntN(3)), byte(r.IntN(2)<<7), byte(r.IntN(256))
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom16(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(256))}).As16())
}

func (r random) rule() Rule {
	out := Rule{Allow: r.IntN(2) == 0, All: r.IntN(8) == 0, Everything: r.IntN(20) == 0}
	a := r.addr()
	bits := r.IntN(a.BitLen() + 1)
	if r.IntN(3) > 0 {
		bits = a.BitLen() - r.IntN(10)
	}
	out.Prefix = netip.PrefixFrom(a, bits)
	return out
}

func TestAgainstModel(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 4))}
	for range 3000 {
		rs := make([]Rule, r.IntN(20))
		for i := range rs {
			rs[i] = r.rule()
		}
		table := New(rs)
		for i := range 60 {
			a := r.addr()
			if i%3 == 0 && len(rs) > 0 {
				// Just outside a rule's prefix, where ranges end.
				if a = rs[r.IntN(len(rs))].Prefix.Masked().Addr().Prev(); !a.IsValid() {
					continue
				}
			}
			want := model(rs, a)
			if got := table.Allowed(a); got != want {
				t.Fatalf("rules %v:\nAllowed(%s) = %v, want %v", rs, a, got, want)
			}
			if got := lookup(table, a); got != want {
				t.Fatalf("rules %v:\nthe longest of Prefixes for %s says %v, want %v", rs, a, got, want)
			}
			if want && !table.Any() {
				t.Fatalf("rules %v: Any() = false, but %s may ask", rs, a)
			}
		}
	}
}

// Rules that are added to a table count as if they had come last in its list.
func TestWith(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := random{rand.New(rand.NewPCG(seed, 0))}
	for range 2000 {
		var rs []Rule
		var grown *Table
		for range 1 + rng.IntN(12) {
			r := rng.rule()
			rs, grown = append(rs, r), grown.With(r)
		}
		all := New(rs)
		for range 40 {
			a := rng.addr()
			if got, want := grown.Allowed(a), all.Allowed(a); got != want {
				t.Fatalf("rules %v one by one: Allowed(%s) = %v, want %v as of the list", rs, a, got, want)
			}
		}
		if got, want := len(grown.rules), len(all.rules); got != want {
			t.Fatalf("rules %v one by one: %d count, want %d", rs, got, want)
		}
	}
	var table *Table
	for i := range 1000 {
		table = table.With(Rule{Allow: i%2 == 0, Everything: true})
	}
	if n := len(table.rules); n != 2 || table.Any() {
		t.Errorf("%d rules count after 1000 about everybody, want the last, for two families", n)
	}
}

func TestValid(t *testing.T) {
	for _, tc := range []struct {
		r    Rule
		want bool
	}{
		{Rule{Everything: true}, true},
		{Rule{Prefix: netip.MustParsePrefix("10.0.0.1/8")}, true},
		{Rule{Prefix: netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), 33)}, false},
		{Rule{}, false},
	} {
		if got := tc.r.Valid(); got != tc.want {
			t.Errorf("%+v: Valid() = %v, want %v", tc.r, got, tc.want)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("\x03\x0a\x00\x00\x00\x08\x02\x0a\x00\x00\x00\x1c"), []byte{10, 0, 0, 1})
	f.Add([]byte("\x05\x0a\x01\x00\x00\x10"), []byte{10, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data, addr []byte) {
		var rs []Rule
		for ; len(data) >= 6 && len(rs) < 40; data = data[6:] {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte(data[1:5])), int(data[5])%33)
			if data[0]&8 != 0 {
				p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: data[1], 7: data[2], 8: data[3], 15: data[4]}), int(data[5])%129)
			}
			rs = append(rs, Rule{Allow: data[0]&1 != 0, All: data[0]&4 != 0, Everything: data[0]&0xf0 == 0xf0, Prefix: p})
		}
		a, ok := netip.AddrFromSlice(addr)
		if !ok {
			return
		}
		if got, want := New(rs).Allowed(a), model(rs, a); got != want {
			t.Fatalf("rules %v: Allowed(%s) = %v, want %v", rs, a, got, want)
		}
	})
}

// many is a table of n rules for each family.
func many(n int) *Table {
	var rs []Rule
	for i := range n {
		rs = append(rs,
			Rule{Allow: i%3 != 0, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)},
			Rule{Allow: i%3 != 0, Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 6: byte(i >> 8), 7: byte(i)}), 64)})
	}
	return New(rs)
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := many(1000)
	addrs := []netip.Addr{netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("::ffff:10.1.1.1"), netip.MustParseAddr("2000:0:0:101::1")}
	yes := 0
	n := testing.AllocsPerRun(1, func() {
		for i := range 10000 {
			if table.Allowed(addrs[i%3]) {
				yes++
			}
		}
	})
	if n != 0 || yes != 20000 {
		t.Errorf("%v allocations, %d of 20000 allowed", n, yes)
	}
}

func BenchmarkAllowed(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		table := many(n)
		for _, s := range []string{"10.0.0.1", "2000::1"} {
			a := netip.MustParseAddr(s)
			b.Run(fmt.Sprintf("%d/%s", n, s), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.Allowed(a)
				}
			})
		}
	}
}
