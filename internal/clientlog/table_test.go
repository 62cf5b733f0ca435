// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"foliot/internal/clock"
)

// v4 and v6 are the n-th addresses of a row: single ones, and one of each /64.
func v4(n int) Prefix {
	return PrefixOf(netip.AddrFrom4([4]byte{byte(10 + n>>24), byte(n >> 16), byte(n >> 8), byte(n)}))
}

func v6(n int) Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], 0x20010db8<<32+uint64(n))
	b[15] = byte(n * 7)
	return PrefixOf(netip.AddrFrom16(b))
}

// TestEviction compares the table with one that says which record goes: in a full
// set the one that was silent for longest, unless one is from a time to come. The
// stamps are out of order by up to half a second, and the clock is set.
func TestEviction(t *testing.T) {
	const seed, sets = 3, 4
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	table := New(sets*ways*RecordSize, HashKey{8, 9})
	type client struct {
		p    Prefix
		last int64
	}
	model := make(map[*[ways]Record][]client)
	now, gone, backwards := int64(0), uint64(0), 0
	for i := range 100_000 {
		now += rng.Int64N(2e9)
		if rng.IntN(2000) == 0 {
			now -= rng.Int64N(20_000e9)
			backwards++
		}
		at := now - rng.Int64N(5e8)
		p := v4(rng.IntN(10 * sets * ways))
		set := table.set(p)
		all := model[set]
		k := slices.IndexFunc(all, func(c client) bool { return c.p == p })
		switch {
		case k >= 0:
		case len(all) < ways:
			all, k = append(all, client{}), len(all)
		default:
			k = 0
			for j, c := range all {
				if silence(at, c.last) > silence(at, all[k].last) {
					k = j
				}
			}
			gone++
		}
		before := table.Lookup(p) != nil
		if want := k < len(model[set]) && all[k].p == p; before != want {
			t.Fatalf("request %d: known before: %v, want %v", i, before, want)
		}
		all[k] = client{p, at}
		model[set] = all
		table.Hit(p, wall(at), 4, nil, nil)
		if table.Evicted() != gone {
			t.Fatalf("request %d: %d records are gone, want %d", i, table.Evicted(), gone)
		}
	}
	n := 0
	for r := range table.All() {
		n++
		if !slices.Contains(model[table.set(r.Prefix)], client{r.Prefix, r.Last.Nanos() - epoch}) {
			t.Errorf("the table has %v of %v", r.Prefix.Netip(), r.Last)
		}
	}
	if n != sets*ways || gone < 10_000 || backwards < 20 {
		t.Errorf("%d records, %d gone, clock set back %d times", n, gone, backwards)
	}
}

// silence is how long ago last was, for ever if it is yet to come.
func silence(now, last int64) int64 {
	if now-last < -1e9 {
		return math.MaxInt64 - (last-now)/1e6 // the least of them first
	}
	return now - last
}

// TestClockSetBack: records from before the clock was set back give way. They
// would else keep new clients out until their time comes again.
func TestClockSetBack(t *testing.T) {
	table := New(ways*RecordSize, HashKey{1, 2})
	for i := range ways {
		table.Hit(v4(i), wall(int64(clock.Hour)), 4, nil, nil)
	}
	for i := range ways {
		table.Hit(v4(100+i), wall(int64(i)*1e9), 4, nil, nil)
	}
	for i := range ways {
		if table.Lookup(v4(100+i)) == nil {
			t.Errorf("client %d of %d since then is forgotten", i, ways)
		}
	}
	// Before 1970 too a free record is taken first.
	table.Reset()
	for i := range ways {
		table.Hit(v4(i), clock.At[clock.Realtime](int64(i-100)), 4, nil, nil)
	}
	if table.Evicted() != 0 {
		t.Errorf("%d records gave way although there was room", table.Evicted())
	}
}

// TestSpoofedSources (S12): ten million addresses take no more memory than one,
// and the last of them no more time than the first.
func TestSpoofedSources(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const clients, chunk = 10_000_000, 100_000
	table := New(1<<19, HashKey{3, 4})
	sets := len(table.sets)
	var before, after runtime.MemStats
	var least [2]time.Duration // of a chunk, in the first and in the last tenth
	runtime.ReadMemStats(&before)
	for i := 0; i < clients; i += chunk {
		start := time.Now()
		for k := range chunk {
			table.Hit(v4(i+k), wall(int64(i+k)*1000), 4, nil, nil)
		}
		spent := time.Since(start)
		for part, within := range [2]bool{i > 0 && i < clients/10, i >= clients*9/10} {
			if within && (least[part] == 0 || spent < least[part]) {
				least[part] = spent
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<16 || len(table.sets) != sets {
		t.Errorf("%d octets allocated, %d sets of %d", grown, len(table.sets), sets)
	}
	if ratio := float64(least[1]) / float64(least[0]); ratio > 3 {
		t.Errorf("the last addresses take %.1f times what the first take", ratio)
	}
	n := 0
	for range table.All() {
		n++
	}
	if n > 1<<19/RecordSize || n < 1<<19/RecordSize*9/10 || table.Evicted() != uint64(clients-n) {
		t.Errorf("%d records, %d gave way to others", n, table.Evicted())
	}
	t.Logf("%v a request, %d records of %d", least[1]/chunk, n, sets*ways)
}

// TestRecords: who shares a record, what it says, and that its counters stay at
// their end.
func TestRecords(t *testing.T) {
	table := New(1<<16, HashKey{5, 6})
	for _, s := range []string{
		"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "::1", "::2:3", "2001:db8::1", "2001:db8:0:0:ffff::7",
		"2001:db8:0:1::1", "::ffff:0:0", "::", "fe80::1%eth0", "fe80::2%eth1", "::fffe:c000:201",
	} {
		table.Hit(PrefixOf(netip.MustParseAddr(s)), wall(0), 4, nil, nil)
	}
	got := make(map[string]uint32)
	for r := range table.All() {
		got[r.Prefix.Netip().String()] = r.Hits
	}
	want := map[string]uint32{
		"192.0.2.1/32": 2, "192.0.2.2/32": 1, "::/64": 4, "2001:db8::/64": 2, "2001:db8:0:1::/64": 1,
		"0.0.0.0/32": 1, "fe80::/64": 2,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("hits %v, want %v", got, want)
	}
	for range table.All() {
		break // no more is yielded after the caller has enough
	}

	r := table.Lookup(v4(1))
	if r != nil || table.Lookup(Prefix{}) != nil {
		t.Errorf("a record of somebody who never asked: %+v", r)
	}
	l := NewLimit(0, 1, 1, 0)
	for i, version := range []uint8{4, 1, 3} {
		table.Hit(v4(1), wall(int64(i)*1e6), version, l, never)
	}
	r = table.Lookup(v4(1))
	if r.Version() != 3 || !r.Versions(1) || r.Versions(2) || !r.Versions(3) || !r.Versions(4) || r.Versions(0) || r.Versions(5) {
		t.Errorf("versions %04b, last %d", r.seen, r.last)
	}
	calm, ok1 := r.Interval()
	hasty, ok2 := r.HastyInterval()
	if milli := math.Log2(1e-3); !ok1 || !ok2 || math.Abs(calm-milli) > 0.1 || math.Abs(hasty-milli) > 0.1 {
		t.Errorf("intervals %v, %v and %v, %v, want a millisecond", calm, ok1, hasty, ok2)
	}
	if r.Hits != 3 || r.Drops != 2 || r.Last != wall(2e6) {
		t.Errorf("record %+v", r)
	}
	r.Hits, r.Drops = math.MaxUint32-1, math.MaxUint32-1
	for i := range int64(5) {
		table.Hit(v4(1), wall(3e6+i), 4, l, never)
	}
	if r.Hits != math.MaxUint32 || r.Drops != math.MaxUint32 {
		t.Errorf("%d hits and %d drops after the end of counting", r.Hits, r.Drops)
	}
	table.Reset()
	if table.Lookup(v4(1)) != nil || table.Evicted() != 0 {
		t.Error("a record outlived Reset")
	}
}

// TestNoTable: without memory nothing is remembered and nobody limited.
func TestNoTable(t *testing.T) {
	for _, size := range []int64{-1, 0, ways*RecordSize - 1} {
		table := New(size, HashKey{})
		l := NewLimit(0, 1, 1, 0)
		for range 5 {
			if table.Hit(somebody, wall(0), 4, l, never) != Pass {
				t.Fatalf("a table of %d octets limits", size)
			}
		}
		table.Reset()
		for range table.All() {
			t.Errorf("a table of %d octets has a record", size)
		}
		if table != nil || table.Lookup(somebody) != nil || table.Evicted() != 0 {
			t.Errorf("a table of %d octets remembers", size)
		}
	}
}

func TestPrefixRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 100_000 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], rng.Uint64()&rng.Uint64())
		binary.BigEndian.PutUint64(b[8:], rng.Uint64())
		a := netip.AddrFrom16(b)
		if rng.IntN(2) == 0 {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		p := PrefixOf(a)
		if n := p.Netip(); !n.Contains(a) || PrefixOf(n.Addr()) != p || n != n.Masked() {
			t.Fatalf("%v belongs to %v", a, n)
		}
		if p == (Prefix{}) {
			t.Fatalf("%v has the prefix of nobody", a)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	table, l := New(1<<14, HashKey{1, 2}), NewLimit(-2, 3, 2, 2)
	rng := rand.New(rand.NewPCG(1, 1))
	random := rng.Uint64
	counts, i := [3]int{}, 0
	n := testing.AllocsPerRun(1, func() {
		for range 10_000 {
			i++
			p := v4(i % 2 * i) // every other request is of one client
			counts[table.Hit(p, wall(int64(i)*1e6), 4, l, random)]++
			table.Lookup(p)
		}
	})
	if n != 0 || min(counts[Pass], counts[Drop], counts[Kiss]) == 0 || table.Evicted() == 0 {
		t.Errorf("%v allocations; pass, drop, kiss %v, %d gave way", n, counts, table.Evicted())
	}
}

// FuzzHit throws requests of a few clients at a small table.
func FuzzHit(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 1, 0, 0, 2, 255, 255, 255, 3, 0, 0, 128}, int8(0), uint8(1), uint8(1), uint8(0))
	f.Add([]byte{1, 1, 2, 3, 1, 1, 2, 3, 1, 1, 2, 3}, int8(-19), uint8(254), uint8(3), uint8(4))
	f.Fuzz(func(t *testing.T, data []byte, interval int8, burst, leak, kod uint8) {
		l := NewLimit((int(interval)%32+32)%32-19, 1+int(burst)%255, 1+int(leak)%4, int(kod)%5)
		table, now := New(2*ways*RecordSize, HashKey{1, 2}), int64(0)
		rng := rand.New(rand.NewPCG(uint64(interval), uint64(burst)))
		for ; len(data) >= 4; data = data[4:] {
			now += int64(int16(binary.BigEndian.Uint16(data[1:]))) << (data[3] % 32)
			p, before := v4(int(data[0])), Record{}
			if r := table.Lookup(p); r != nil {
				before = *r
			}
			d := table.Hit(p, wall(now), 1+data[3]%4, l, rng.Uint64)
			r := table.Lookup(p)
			if r == nil || r.Last != wall(now) || r.Hits != before.Hits+1 || r.Version() != 1+data[3]%4 {
				t.Fatalf("record %+v after %+v", r, before)
			}
			if r.silent != (d == Drop) || r.Drops-before.Drops > 1 || (r.Drops != before.Drops) != (d == Drop) {
				t.Fatalf("decision %d: record %+v after %+v", d, r, before)
			}
			if before.Hits == 0 && d != Pass {
				t.Fatalf("the first request of a client: %d", d)
			}
			if d == Kiss && kod%5 == 0 {
				t.Fatal("a kiss although there are none")
			}
		}
	})
}

func BenchmarkHit(b *testing.B) {
	l := NewLimit(3, 8, 2, 2)
	for _, clients := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			b.ReportAllocs()
			table := New(int64(clients)*RecordSize*5/4, HashKey{1, 2})
			random := rand.New(rand.NewPCG(1, 1)).Uint64
			for i := 0; b.Loop(); i++ {
				table.Hit(v4(i*7919%clients), wall(int64(i)*100), 4, l, random)
			}
		})
	}
}
