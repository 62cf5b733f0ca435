// SPDX-License-Identifier: Apache-2.0

// Package acl decides which addresses may ask: chrony's directives allow, deny,
// cmdallow and cmddeny. It reads no configuration and resolves no name.
//
// The one concept is the [Table]: an ordered list of rules, turned once into an
// immutable set of address ranges that answers by binary search.
//
// # Which rule counts
//
// Of the rules that contain an address, the one with the longest prefix counts,
// wherever it stands in the list; where none does, the answer is no. The order
// matters in two cases:
//
//   - A rule takes away the rules before it that lie within its prefix, if their
//     prefix length, counted in groups of four bits and rounded up, is the same as
//     its own. That replaces a rule for the same prefix. It also means that
//     "deny 10.0.0.0/28" counts for nothing behind a later "allow 10.0.0.0/25".
//     That is a property of chrony's tables, documented in chrony.conf(5), and
//     files are written with it in mind.
//   - A rule with All takes away all rules before it that lie within its prefix.
package acl

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
)

// Rule is one allow or deny.
type Rule struct {
	Allow      bool         // else deny
	All        bool         // takes away what was said before about addresses within
	Everything bool         // about every address of both families; Prefix does not count
	Prefix     netip.Prefix // host bits and zones do not count; a rule with an invalid one is void
}

// Valid tells whether r says something about an address: a void rule does not.
func (r *Rule) Valid() bool { return r.Everything || r.Prefix.IsValid() }

// Table says who may ask. It is immutable; goroutines may share it. The zero
// Table and a nil one deny everybody.
type Table struct {
	v4, v6 ranges
	rules  []Rule // that count, for Prefixes
}

// New builds the table of rules, in the order in which they were given.
func New(rules []Rule) *Table {
	var v4, v6 node
	for _, r := range rules {
		if r.Everything {
			v4.insert(key{}, 0, r)
			v6.insert(key{}, 0, r)
			continue
		}
		addr, bits := r.Prefix.Addr(), r.Prefix.Bits()
		if addr.Is4In6() && bits >= 96 {
			addr, bits = addr.Unmap(), bits-96
		}
		switch {
		case !r.Prefix.IsValid():
		case addr.Is4():
			v4.insert(keyOf(addr), bits, r)
		default:
			v6.insert(keyOf(addr), bits, r)
		}
	}
	t := &Table{}
	t.v4.collect(&v4, key{}, 0, false)
	t.v6.collect(&v6, key{}, 0, false)
	t.list(&v4, key{}, 0, true)
	t.list(&v6, key{}, 0, false)
	return t
}

// With returns the table that New would make of the rules of t, in their order,
// followed by more. It grows with the number of prefixes that rules are about, not
// with the number of rules, so that any number of commands may follow each other.
func (t *Table) With(more ...Rule) *Table {
	var rules []Rule
	if t != nil {
		rules = t.rules // parents come before children: none takes another away
	}
	return New(slices.Concat(rules, more))
}

// Allowed tells whether a may ask. An IPv4 address written as IPv6
// (::ffff:a.b.c.d) is the IPv4 address; a zone does not count. The invalid Addr
// may not.
func (t *Table) Allowed(a netip.Addr) bool {
	if t == nil {
		return false
	}
	if a.Is4() || a.Is4In6() {
		return t.v4.contains(keyOf(a.Unmap()))
	}
	return a.IsValid() && t.v6.contains(keyOf(a))
}

// Any tells whether anybody may ask at all.
func (t *Table) Any() bool { return t != nil && len(t.v4)+len(t.v6) > 0 }

// Prefixes yields the rules that count, as prefixes with what is said about
// them. Of the prefixes that contain an address the longest counts, without
// regard to order: this is what a longest-prefix-match table in the kernel takes.
func (t *Table) Prefixes() iter.Seq2[netip.Prefix, bool] {
	return func(yield func(netip.Prefix, bool) bool) {
		if t == nil {
			return
		}
		for _, r := range t.rules {
			if !yield(r.Prefix, r.Allow) {
				return
			}
		}
	}
}

// key is an address as a number of 128 bits; IPv4 is in the upper 32.
type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	if a.Is4() {
		b := a.As4()
		return key{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// bit returns bit i, counted from the highest.
func (k key) bit(i int) int {
	if i < 64 {
		return int(k.hi >> (63 - i) & 1)
	}
	return int(k.lo >> (127 - i) & 1)
}

// set returns k with bit i set.
func (k key) set(i int) key {
	if i < 64 {
		k.hi |= 1 << (63 - i)
	} else {
		k.lo |= 1 << (127 - i)
	}
	return k
}

// ranges are the addresses at which the answer changes, in ascending order: to
// yes at even indices, back to no at odd ones.
type ranges []key

// contains counts the changes up to k.
func (r ranges) contains(k key) bool {
	lo, hi := 0, len(r)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if m := &r[mid]; m.hi < k.hi || m.hi == k.hi && m.lo <= k.lo {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo&1 == 1
}

// collect appends the changes in the subtree of n, which begins at k and where
// the answer is allow unless the subtree says otherwise.
func (r *ranges) collect(n *node, k key, depth int, allow bool) {
	if n != nil && n.ruled {
		allow = n.allow
	}
	if n != nil && (n.child[0] != nil || n.child[1] != nil) {
		r.collect(n.child[0], k, depth+1, allow)
		r.collect(n.child[1], k.set(depth), depth+1, allow)
		return
	}
	if allow != (len(*r)&1 == 1) {
		*r = append(*r, k)
	}
}

// list appends the rules of the subtree of n, which begins at k.
func (t *Table) list(n *node, k key, depth int, v4 bool) {
	if n == nil {
		return
	}
	if n.ruled {
		t.rules = append(t.rules, Rule{Allow: n.allow, Prefix: k.prefix(depth, v4)})
	}
	t.list(n.child[0], k, depth+1, v4)
	if n.child[1] != nil {
		t.list(n.child[1], k.set(depth), depth+1, v4)
	}
}

func (k key) prefix(bits int, v4 bool) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	if v4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), bits)
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}

// node is a node of the binary tree that rules are sorted into, one level for
// each bit. It exists only while a table is built.
type node struct {
	child [2]*node
	ruled bool // a rule has this prefix
	allow bool // it says this
}

// insert adds the rule r with the prefix of k that is bits long.
func (n *node) insert(k key, bits int, r Rule) {
	for i := range bits {
		next := &n.child[k.bit(i)]
		if *next == nil {
			*next = new(node)
		}
		n = *next
	}
	if r.All {
		n.child = [2]*node{}
	} else {
		n.forget((4 - bits%4) % 4)
	}
	n.ruled, n.allow = true, r.Allow
}

// forget takes away the rules down to so many levels below n.
func (n *node) forget(levels int) {
	n.ruled = false
	if levels == 0 {
		return
	}
	for _, c := range n.child {
		if c != nil {
			c.forget(levels - 1)
		}
	}
}
