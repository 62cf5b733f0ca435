// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Flags are what a restrict entry of ntp.conf takes away from those it is about.
// No flag is full access.
type Flags uint16

// Flags, by ntpd's names.
//
// Six of them have nothing to take away here: nobody can change anything by control
// messages (nomodify), there are no traps (notrap, lowpriotrap), no association comes
// into being because a packet arrived (nopeer, noepeer), and nothing is signed for
// Microsoft's clients (mssntp). The order is that of many files, and of the guides
// by which auditors search them.
const (
	KoD Flags = 1 << iota // tells the limited by a kiss of death
	NoModify
	NoTrap
	NoPeer
	NoQuery // control messages
	Limited // requests above the rate limit
	Ignore  // every packet
	NoServe // every packet but control messages: also answers of our own servers
	NoTrust // packets without a MAC
	Version // packets of another version than 4
	NoMRU   // nomrulist: the list of clients
	Flake   // one packet in ten
	NoEPeer
	LowPrioTrap
	MSSNTP
	flagEnd
)

// flagNames has the name of 1<<i at i.
var flagNames = [...]string{
	"kod", "nomodify", "notrap", "nopeer", "noquery", "limited", "ignore", "noserve", "notrust", "version",
	"nomrulist", "flake", "noepeer", "lowpriotrap", "mssntp",
}

// FlagOf returns the flag of a name.
func FlagOf(name string) (Flags, bool) {
	i := slices.Index(flagNames[:], name)
	if name == "limit" { // an older name
		return Limited, true
	}
	return 1 << max(i, 0), i >= 0
}

// FlagNames lists the names of all flags.
func FlagNames() []string { return slices.Clone(flagNames[:]) }

// String returns the names, separated by spaces.
func (f Flags) String() string {
	var names []string
	for i, name := range flagNames {
		if f>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// Restriction is one restrict entry. One without Net is the entry "source", which
// is about every address that the daemon has as a source.
type Restriction struct {
	Net, Mask netip.Addr // of one family; the mask may have holes, as in ntpd
	NTPPort   bool       // only about packets from port 123
	Flags     Flags
}

// OfPrefix returns the entry of a prefix.
func OfPrefix(p netip.Prefix, f Flags) Restriction {
	return Restriction{Net: p.Masked().Addr(), Mask: MaskOf(p), Flags: f}
}

// MaskOf returns the mask of a prefix.
func MaskOf(p netip.Prefix) netip.Addr {
	ones := netip.AddrFrom16([16]byte(slices.Repeat([]byte{0xff}, 16)))
	if p.Addr().Is4() {
		ones = netip.AddrFrom4([4]byte{0xff, 0xff, 0xff, 0xff})
	}
	m, _ := ones.Prefix(p.Bits()) // p is valid, and so is its length
	return m.Addr()
}

// PrefixBits returns the length of the prefix that a mask is of.
func PrefixBits(mask netip.Addr) (bits int, ok bool) {
	m := keyOf(mask)
	for bits < mask.BitLen() && m.bit(bits) == 1 {
		bits++
	}
	return bits, keyOf(MaskOf(netip.PrefixFrom(mask, bits))) == m
}

// Restrictions says what is taken away from whom: of the entries that match an
// address, the flags of the most specific one count, wherever it stands. That is,
// as in ntpd, the one with the greatest network address, then the longest mask,
// then the one that is only about port 123. Entries for the same addresses are
// one with the flags of all. Immutable; a nil one takes nothing away.
type Restrictions struct {
	v4, v6  entries
	list    []Restriction // as given, for ForSources
	base    *Restrictions // without entries of sources, nil: this one
	sources Flags
	any     Flags // of every entry
	has     bool  // there is an entry "source"
}

// NewRestrictions builds the table of a list of entries.
func NewRestrictions(list []Restriction) *Restrictions {
	t := &Restrictions{list: list}
	for _, r := range list {
		t.any |= r.Flags
		switch {
		case !r.Net.IsValid():
			t.has, t.sources = true, t.sources|r.Flags
		case r.Net.Is4():
			t.v4.add(r)
		default:
			t.v6.add(r)
		}
	}
	t.v4.build()
	t.v6.build()
	return t
}

// Any returns the flags of all entries together.
func (t *Restrictions) Any() Flags {
	if t == nil {
		return 0
	}
	return t.any
}

// Of returns what is taken away from who sends from an address and port.
func (t *Restrictions) Of(from netip.AddrPort) Flags {
	if t == nil {
		return 0
	}
	e := t.of(from)
	if e == nil {
		return 0
	}
	return e.flags
}

func (t *Restrictions) of(from netip.AddrPort) *entry {
	a := from.Addr()
	if a.Is4() || a.Is4In6() {
		return t.v4.find(keyOf(a.Unmap()), from.Port() == ntpPort)
	}
	return t.v6.find(keyOf(a), from.Port() == ntpPort)
}

// ForSources returns the table that also has the entry "source" for each of the
// addresses, but for those that have an entry of their own. Without an entry
// "source" it is t.
func (t *Restrictions) ForSources(addrs []netip.Addr) *Restrictions {
	if t == nil || !t.has {
		return t
	}
	if t.base != nil {
		t = t.base
	}
	list := slices.Clip(t.list)
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		host := netip.PrefixFrom(a, a.BitLen())
		if e := t.of(netip.AddrPortFrom(a, ntpPort)); e == nil || e.mask != keyOf(MaskOf(host)) {
			list = append(list, OfPrefix(host, t.sources))
		}
	}
	n := NewRestrictions(list)
	n.base = t
	return n
}

// ntpPort is where servers send from, and who says ntpport.
const ntpPort = 123

// entry is an entry as the tables have it.
type entry struct {
	net, mask key
	ntpPort   bool
	odd       bool // the mask has holes
	flags     Flags
}

// order sorts what is more specific behind what is less.
func (a *entry) order(b *entry) int {
	port := 0
	if a.ntpPort != b.ntpPort {
		port = -1
		if a.ntpPort {
			port = 1
		}
	}
	return cmp.Or(a.net.compare(b.net), a.mask.compare(b.mask), port)
}

func (k key) compare(o key) int { return cmp.Or(cmp.Compare(k.hi, o.hi), cmp.Compare(k.lo, o.lo)) }

func (k key) and(o key) key { return key{k.hi & o.hi, k.lo & o.lo} }

// entries are those of one family.
type entries struct {
	all   []entry // in order
	spans []span
	odd   []int // of all, those whose masks have holes
}

// span is what counts from an address on: the most specific entry for packets from
// port 123, and for others; -1 is none.
type span struct {
	from       key
	ntp, other int
}

func (t *entries) add(r Restriction) {
	mask := keyOf(r.Mask)
	_, whole := PrefixBits(r.Mask)
	t.all = append(t.all, entry{net: keyOf(r.Net.WithZone("")).and(mask), mask: mask, ntpPort: r.NTPPort, odd: !whole, flags: r.Flags})
}

// build merges and sorts the entries, then walks over the addresses at which one
// of them begins or ends. Those without holes lie within each other or apart.
func (t *entries) build() {
	slices.SortStableFunc(t.all, func(a, b entry) int { return a.order(&b) })
	merged := t.all[:0]
	for _, e := range t.all {
		if n := len(merged); n > 0 && merged[n-1].order(&e) == 0 {
			merged[n-1].flags |= e.flags
			continue
		}
		merged = append(merged, e)
	}
	t.all = merged
	var open []int
	for i := range t.all {
		e := &t.all[i]
		if e.odd {
			t.odd = append(t.odd, i)
			continue
		}
		open = t.close(open, &e.net)
		open = append(open, i)
		t.mark(e.net, open)
	}
	t.close(open, nil)
}

// close ends the open entries that do not reach up to an address, nil for all.
func (t *entries) close(open []int, upTo *key) []int {
	for len(open) > 0 {
		e := &t.all[open[len(open)-1]]
		last := key{e.net.hi | ^e.mask.hi, e.net.lo | ^e.mask.lo}
		if upTo != nil && last.compare(*upTo) >= 0 {
			break
		}
		open = open[:len(open)-1]
		if next := (key{last.hi, last.lo + 1}); next.lo != 0 {
			t.mark(next, open)
		} else if next.hi++; next.hi != 0 {
			t.mark(next, open)
		}
	}
	return open
}

// mark notes what counts from an address on.
func (t *entries) mark(at key, open []int) {
	s := span{at, -1, -1}
	for i := len(open) - 1; i >= 0 && s.other < 0; i-- {
		s.ntp = max(s.ntp, open[i])
		if !t.all[open[i]].ntpPort {
			s.other = open[i]
		}
	}
	if n := len(t.spans); n > 0 && t.spans[n-1].from == at {
		t.spans[n-1] = s
		return
	}
	t.spans = append(t.spans, s)
}

// find returns the entry that counts, nil for none.
func (t *entries) find(k key, fromNTP bool) *entry {
	best := -1
	lo, hi := 0, len(t.spans)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if t.spans[mid].from.compare(k) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo > 0 {
		s := &t.spans[lo-1]
		best = s.other
		if fromNTP {
			best = s.ntp
		}
	}
	for _, i := range t.odd {
		if e := &t.all[i]; i > best && k.and(e.mask) == e.net && (fromNTP || !e.ntpPort) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return &t.all[best]
}
