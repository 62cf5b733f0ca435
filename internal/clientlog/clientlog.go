// SPDX-License-Identifier: Apache-2.0

// Package clientlog remembers who asks. It holds a record for each client, and
// the rate limit is counted in it; what a request is and what an answer looks
// like is the responder's business.
//
// The one concept is the [Table]: its size is decided when it is made, whatever
// the number of clients. Records live in small sets chosen by a keyed hash, and a
// new client takes the place of the one in its set that was silent for longest.
package clientlog

import (
	"cmp"
	"iter"
	"math"
	"math/bits"
	"slices"

	"foliot/internal/clock"
)

// ways is how many records a set has.
const ways = 8

// Record is what is known of one client.
type Record struct {
	Prefix Prefix
	Last   clock.Wall // of the last request
	full   int64      // when the bucket of the limit is full, wall nanoseconds
	Hits   uint32     // requests; saturates
	Drops  uint32     // of those, not answered because of the limit; saturates
	calm   pace       // between requests, when the one before was answered
	hasty  pace       // when it was not
	seen   uint8      // versions, bit v-1 for version v
	last   uint8      // version of the last request
	silent bool       // the last request was not answered
}

// free tells whether there is no client in r.
func (r *Record) free() bool { return r.Prefix == Prefix{} }

// Reset begins to count anew. What the limit knows of the client stays.
func (r *Record) Reset() { r.Hits, r.Drops = 0, 0 }

// Busiest returns the n records with the most requests, the busiest first. It sorts
// list.
func Busiest(list []Record, n int) []Record {
	slices.SortStableFunc(list, func(a, b Record) int { return cmp.Compare(b.Hits, a.Hits) })
	return list[:min(len(list), n)]
}

// RecordSize is the memory of one record, octets.
const RecordSize = 48

// Version returns the NTP version of the last request.
func (r *Record) Version() uint8 { return r.last }

// Versions tells whether the client ever used version v.
func (r *Record) Versions(v uint8) bool { return r.seen>>(v-1)&1 == 1 }

// Interval returns the mean time between requests as log2 seconds, false if that
// is not known. It is the mean of the logarithms: a burst counts as much as a pause.
func (r *Record) Interval() (float64, bool) { return r.calm.log2() }

// HastyInterval is Interval for those requests that followed one without an answer.
func (r *Record) HastyInterval() (float64, bool) { return r.hasty.log2() }

// impatient tells whether the client asks more than twice as often when it is
// not answered. Of a flood, faster than 16 requests in a second, the one is no
// different from the other: answers would not slow it down.
func (r *Record) impatient() bool {
	return r.hasty != 0 && r.calm != 0 && max(r.hasty, flood) < max(r.calm, flood)-paceUnit
}

// disorder is by how much later requests may seem to have come before earlier
// ones: their stamps are taken on several processors.
const disorder = clock.Second

// age orders records by who has to go first: the greatest. A free one comes first,
// then those of a time to come: they are from before the clock was set back, and
// would otherwise outlive all others until that time comes again.
func (r *Record) age(now clock.Wall) uint64 {
	if r.free() {
		return math.MaxUint64
	}
	return uint64(now.Sub(r.Last) + disorder)
}

// note counts a request at now, before it is known what becomes of it.
func (r *Record) note(now clock.Wall, version uint8) {
	if since := now.Sub(r.Last); !r.Last.IsZero() && since > 0 {
		if r.silent {
			r.hasty.add(since)
		} else {
			r.calm.add(since)
		}
	}
	r.Last = now
	if r.Hits < math.MaxUint32 {
		r.Hits++
	}
	r.seen |= 1 << (version - 1)
	r.last = version
	r.silent = false
}

// Table holds the records. Not safe for concurrent use: each worker owns one. A
// nil Table remembers nothing and limits nobody.
type Table struct {
	key     HashKey
	sets    [][ways]Record
	held    int
	evicted uint64
}

// New returns a table of at most size octets, nil if that is not enough for a
// single set.
func New(size int64, key HashKey) *Table {
	n := size / int64(ways*RecordSize)
	if n < 1 {
		return nil
	}
	return &Table{key: key, sets: make([][ways]Record, n)}
}

// set returns the set of a prefix. The upper half of the product of hash and
// number is even over any number of sets.
func (t *Table) set(p Prefix) *[ways]Record {
	i, _ := bits.Mul64(t.key.Hash(p), uint64(len(t.sets)))
	return &t.sets[i]
}

// Hit notes a request of version 1 to 4 from a client at now and says what limit
// (nil: none) makes of it; random is asked for bits when the limit is exceeded.
func (t *Table) Hit(p Prefix, now clock.Wall, version uint8, limit *Limit, random func() uint64) Decision {
	if t == nil {
		return Pass
	}
	r := t.find(p, now)
	r.note(now, version)
	if limit == nil {
		return Pass
	}
	d := limit.judge(r, now.Nanos(), random)
	if d == Drop {
		r.silent = true
		if r.Drops < math.MaxUint32 {
			r.Drops++
		}
	}
	return d
}

// find returns the record of p at now, a new one if there is none.
func (t *Table) find(p Prefix, now clock.Wall) *Record {
	set := t.set(p)
	oldest, age := &set[0], uint64(0)
	for i := range set {
		r := &set[i]
		if r.Prefix == p {
			return r
		}
		if a := r.age(now); a > age {
			oldest, age = r, a
		}
	}
	if !oldest.free() {
		t.evicted++
	} else {
		t.held++
	}
	*oldest = Record{Prefix: p}
	return oldest
}

// Lookup returns the record of a client, nil if there is none.
func (t *Table) Lookup(p Prefix) *Record {
	if t == nil {
		return nil
	}
	set := t.set(p)
	for i := range set {
		if set[i].Prefix == p && !set[i].free() {
			return &set[i]
		}
	}
	return nil
}

// All yields the records, in no order that means anything.
func (t *Table) All() iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		for i := range t.Slots() {
			if r := t.At(i); r != nil && !yield(r) {
				return
			}
		}
	}
}

// Slots returns how many records there is room for.
func (t *Table) Slots() int {
	if t == nil {
		return 0
	}
	return len(t.sets) * ways
}

// At returns the record in slot i, below Slots, nil if the slot is free.
func (t *Table) At(i int) *Record {
	if r := &t.sets[i/ways][i%ways]; !r.free() {
		return r
	}
	return nil
}

// Len returns how many clients are remembered.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return t.held
}

// Evicted returns how many records gave way to those of new clients.
func (t *Table) Evicted() uint64 {
	if t == nil {
		return 0
	}
	return t.evicted
}

// Reset forgets all clients.
func (t *Table) Reset() {
	if t != nil {
		clear(t.sets)
		t.held, t.evicted = 0, 0
	}
}
