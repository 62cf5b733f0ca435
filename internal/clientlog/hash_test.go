// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// sipHash is SipHash-c-d of any message, as the paper has it: little-endian
// words, the last one with the length in its upper octet.
func sipHash(c, d int, k0, k1 uint64, msg []byte) uint64 {
	v0, v1 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d
	v2, v3 := k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	padded := make([]byte, len(msg)/8*8+8)
	copy(padded, msg)
	padded[len(padded)-1] = byte(len(msg))
	for ; len(padded) > 0; padded = padded[8:] {
		m := binary.LittleEndian.Uint64(padded)
		v3 ^= m
		for range c {
			round()
		}
		v0 ^= m
	}
	v2 ^= 0xff
	for range d {
		round()
	}
	return v0 ^ v1 ^ v2 ^ v3
}

// TestSipHashAgainstModel: the model gives the vectors of the paper and of the
// reference implementation, for the key 00 01 .. 0f and the message 00 01 ..;
// with any key and message of two words we give what the model gives.
func TestSipHashAgainstModel(t *testing.T) {
	octets := make([]byte, 64)
	for i := range octets {
		octets[i] = byte(i)
	}
	k := HashKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for _, tt := range []struct {
		c, d, n int
		want    uint64
	}{
		{2, 4, 0, 0x726fdb47dd0e0e31}, {2, 4, 1, 0x74f839c593dc67fd}, {2, 4, 7, 0xab0200f58b01d137},
		{2, 4, 8, 0x93f5f5799a932462}, {2, 4, 15, 0xa129ca6149be45e5}, {2, 4, 16, 0x3f2acc7f57c29bdb},
		{2, 4, 63, 0x958a324ceb064572}, {1, 3, 0, 0xabac0158050fc4dc},
	} {
		if got := sipHash(tt.c, tt.d, k[0], k[1], octets[:tt.n]); got != tt.want {
			t.Errorf("model of SipHash-%d-%d of %d octets: %#x, want %#x", tt.c, tt.d, tt.n, got, tt.want)
		}
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for range 10_000 {
		k := HashKey{rng.Uint64(), rng.Uint64()}
		p := Prefix{rng.Uint64(), rng.Uint64()}
		msg := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, p.hi), p.lo)
		if got, want := k.Hash(p), sipHash(1, 3, k[0], k[1], msg); got != want {
			t.Fatalf("hash of %x with key %x: %#x, want %#x", msg, k, got, want)
		}
	}
}

// TestAddressHash: IPv4 written as IPv6 is the same address, a zone does not
// count, and every bit of an address does.
func TestAddressHash(t *testing.T) {
	k := HashKey{1, 2}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", true}, {"fe80::1%eth0", "fe80::1", true},
		{"192.0.2.1", "192.0.2.2", false}, {"2001:db8::1", "2001:db8::2", false}, {"::1", "::", false},
	} {
		if same := k.Address(netip.MustParseAddr(tt.a)) == k.Address(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s and %s are the same: %v", tt.a, tt.b, same)
		}
	}
	base := netip.MustParseAddr("2001:db8::1").As16()
	seen := map[uint64]bool{k.Address(netip.AddrFrom16(base)): true}
	for bit := range 128 {
		b := base
		b[bit/8] ^= 1 << (bit % 8)
		if h := k.Address(netip.AddrFrom16(b)); seen[h] {
			t.Errorf("bit %d makes no difference", bit)
		} else {
			seen[h] = true
		}
	}
}

// rows are addresses as they come in nature: one after the other.
var rows = []struct {
	name string
	at   func(n int) Prefix
}{
	{"addresses", v4},
	{"every 256th address", func(n int) Prefix { return v4(n << 8) }},
	{"/64s", v6},
	{"every 2^16th /64", func(n int) Prefix { return v6(n << 16) }},
	{"every 2^32th /64", func(n int) Prefix { return v6(n << 32) }},
}

// load counts how many of the first n prefixes of a row fall into each set.
func load(table *Table, at func(int) Prefix, n int) []int {
	counts := make([]int, len(table.sets))
	for i := range n {
		h, _ := bits.Mul64(table.key.Hash(at(i)), uint64(len(table.sets)))
		if &table.sets[h] != table.set(at(i)) {
			panic("another set")
		}
		counts[h]++
	}
	return counts
}

// chiSquare is in standard deviations from its mean.
func chiSquare(counts []int, n int) float64 {
	expected, sum := float64(n)/float64(len(counts)), 0.0
	for _, c := range counts {
		sum += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	df := float64(len(counts) - 1)
	return (sum - df) / math.Sqrt(2*df)
}

// TestSpread: addresses in rows spread over the sets like random ones, over any
// number of sets.
func TestSpread(t *testing.T) {
	for _, sets := range []int64{7, 256, 1000} {
		for seed := range uint64(3) {
			table := New(sets*ways*RecordSize, HashKey{seed, seed * seed})
			for _, row := range rows {
				n := int(sets) * 30
				if x := chiSquare(load(table, row.at, n), n); math.Abs(x) > 5 {
					t.Errorf("%s over %d sets with key %v: chi-square is off by %.1f standard deviations", row.name, sets, table.key, x)
				}
			}
		}
	}
}

// TestAnotherKey: who learned which addresses fall into one set of one server has
// learned nothing about another.
func TestAnotherKey(t *testing.T) {
	const sets, want = 64, 64 * 30
	first := New(sets*ways*RecordSize, HashKey{1, 2})
	var together []Prefix
	for n := 0; len(together) < want; n++ {
		if p := v4(n); first.set(p) == &first.sets[5] {
			together = append(together, p)
		}
	}
	for _, key := range []HashKey{{1, 3}, {2, 2}, {1 << 63, 2}} {
		second := New(sets*ways*RecordSize, key)
		counts := load(second, func(n int) Prefix { return together[n] }, want)
		if x := chiSquare(counts, want); math.Abs(x) > 5 {
			t.Errorf("key %x: what collides with another key is spread %v", key, counts)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	k, p := HashKey{1, 2}, Prefix{3, 4}
	for b.Loop() {
		p.lo = k.Hash(p)
	}
}
