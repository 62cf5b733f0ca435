// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math/bits"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// stampWays is how many entries a set of the store has.
const stampWays = 8

// stampStore holds, for clients in interleaved mode, when the answers to their
// last requests left. An entry is found by the receive timestamp that the client
// repeats, and is given to the address that it was made for alone.
//
// Its size is decided when it is made. An entry lives in one of two small sets
// that a keyed hash of the timestamp chooses; when both are full it takes the place of
// the oldest. So what counts is how many clients there are, and not how often they
// ask, and up to half of the size hardly any is driven out.
type stampStore struct {
	sets []stampSet
	key  uint64
}

type stampSet [stampWays]stampEntry

type stampEntry struct {
	received ntp.Timestamp // 0 = free
	sent     ntp.Timestamp // 0 = not known yet
	who      uint64        // hash of the client's address
	kind     clock.StampKind
	uses     uint8 // of the entry, so that a late stamp is not taken for another answer's
}

// A tag names an entry and its use: the number of the entry in the lower bits.
const (
	entryBits = 24
	maxUses   = 1 << 6
	maxStamps = 1 << entryBits
)

// newStampStore returns a store of at least n entries, nil for n <= 0.
func newStampStore(n int, key uint64) *stampStore {
	if n <= 0 {
		return nil
	}
	n = min(n, maxStamps)
	return &stampStore{sets: make([]stampSet, (n+stampWays-1)/stampWays), key: key | 1}
}

// places returns the two sets for a timestamp; they may be the same.
func (s *stampStore) places(t ntp.Timestamp) [2]int {
	h := (uint64(t) ^ s.key) * 0x9E3779B97F4A7C15
	n := uint64(len(s.sets))
	a, _ := bits.Mul64(h, n)
	b, _ := bits.Mul64(bits.RotateLeft64(h, 32)*0x9E3779B97F4A7C15, n)
	return [2]int{int(a), int(b)}
}

// put stores a receive timestamp, whose transmit timestamp follows by set, and
// returns the tag of the entry.
func (s *stampStore) put(received ntp.Timestamp, who uint64) int {
	at := s.room(received)
	e := &s.sets[at/stampWays][at%stampWays]
	*e = stampEntry{received: received, who: who, uses: (e.uses + 1) % maxUses}
	return int(e.uses)<<entryBits | at
}

// disorder is by how much later requests may seem to have come before earlier
// ones: their stamps are taken on several processors and their last bits are random.
const disorder = ntp.Timestamp(1 << 32) // 1 s

// room returns the number of a free entry for a timestamp, else of the oldest
// that may be had. Entries of a time to come count as older still: they are from
// before the clock was set back.
func (s *stampStore) room(t ntp.Timestamp) int {
	oldest, age := 0, ntp.Timestamp(0)
	for _, set := range s.places(t) {
		for i := range s.sets[set] {
			e := &s.sets[set][i]
			if e.received == 0 {
				return set*stampWays + i
			}
			if a := t - e.received + disorder; a >= age {
				oldest, age = set*stampWays+i, a
			}
		}
	}
	return oldest
}

// entry returns the entry that a tag names, nil if it has another use by now.
func (s *stampStore) entry(tag int) *stampEntry {
	i := tag & (maxStamps - 1)
	if s == nil || tag < 0 || i >= len(s.sets)*stampWays {
		return nil
	}
	if e := &s.sets[i/stampWays][i%stampWays]; e.received != 0 && int(e.uses) == tag>>entryBits {
		return e
	}
	return nil
}

func (s *stampStore) set(tag int, sent ntp.Timestamp, kind clock.StampKind) {
	if e := s.entry(tag); e != nil {
		e.sent, e.kind = sent, kind
	}
}

// take finds what was stored for received and the client who, and forgets it:
// each answers one request only. The zero entry means that there is none.
func (s *stampStore) take(received ntp.Timestamp, who uint64) stampEntry {
	for _, set := range s.places(received) {
		for i := range s.sets[set] {
			if e := &s.sets[set][i]; e.received == received && e.who == who {
				found := *e
				*e = stampEntry{uses: e.uses}
				return found
			}
		}
	}
	return stampEntry{}
}

// span returns how many entries are in use and the time between the oldest and
// the newest of them.
func (s *stampStore) span() (n int, span clock.Interval) {
	if s == nil {
		return 0, 0
	}
	var oldest, newest ntp.Timestamp
	for i := range s.sets {
		for j := range s.sets[i] {
			t := s.sets[i][j].received
			if t == 0 {
				continue
			}
			if n == 0 || int64(t-oldest) < 0 {
				oldest = t
			}
			if n == 0 || int64(t-newest) > 0 {
				newest = t
			}
			n++
		}
	}
	return n, newest.Served().Sub(oldest.Served())
}
