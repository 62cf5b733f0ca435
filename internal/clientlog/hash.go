// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// HashKey keys the placement of records, so that nobody who does not know it can
// choose addresses that collide. It must be random and secret.
type HashKey [2]uint64

// Prefix is whom a record is about: an IPv4 address, or the first 64 bits of an
// IPv6 address, since a single host commands all of those behind them. IPv4 is
// held as ::ffff:a.b.c.d, so that the zero Prefix is never a client's.
type Prefix struct{ hi, lo uint64 }

// v4Mapped is the upper half of ::ffff:0:0/96 in the lower word.
const v4Mapped = 0xffff << 32

// PrefixOf returns the prefix that an address belongs to.
func PrefixOf(a netip.Addr) Prefix {
	b := a.As16()
	if a.Is4() || a.Is4In6() {
		return Prefix{lo: binary.BigEndian.Uint64(b[8:])}
	}
	// The lower word tells a prefix of zeros (::/64, the loopback) from nobody.
	return Prefix{hi: binary.BigEndian.Uint64(b[:8]), lo: 1}
}

// Netip returns p as a prefix of 32 or 64 bits.
func (p Prefix) Netip() netip.Prefix {
	var b [16]byte
	if p.hi == 0 && p.lo&^0xffffffff == v4Mapped {
		binary.BigEndian.PutUint32(b[:], uint32(p.lo))
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), 32)
	}
	binary.BigEndian.PutUint64(b[:], p.hi)
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// Hash returns SipHash-1-3 of the two words of p.
func (k HashKey) Hash(p Prefix) uint64 { return k.siphash(1, 3, p.hi, p.lo) }

// siphash is SipHash-c-d (Aumasson and Bernstein, "SipHash: a fast short-input
// PRF", 2012) of a message of two words, 16 octets. The state is in four variables
// and rounds are inlined: in memory it would take twice as long.
func (k HashKey) siphash(c, d int, m0, m1 uint64) uint64 {
	const last = 16 << 56 // the length in the upper octet of a word of padding
	v0, v1 := k[0]^0x736f6d6570736575, k[1]^0x646f72616e646f6d
	v2, v3 := k[0]^0x6c7967656e657261, k[1]^0x7465646279746573
	v3 ^= m0
	for range c {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	v0 ^= m0
	v3 ^= m1
	for range c {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	v0 ^= m1
	v3 ^= last
	for range c {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	v0 ^= last
	v2 ^= 0xff
	for range d {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (a, b, c, d uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32) + v3
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	return v0, v1, bits.RotateLeft64(v2, 32), v3
}

// Address returns the hash of a whole address, without its zone.
func (k HashKey) Address(a netip.Addr) uint64 {
	b := a.As16()
	return k.siphash(1, 3, binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
}
