// SPDX-License-Identifier: Apache-2.0

package responder

import "foliot/internal/ntp"

// stampStore maps receive timestamps of requests to transmit timestamps of the
// answers. It is a ring: the newest replaces the oldest, so its size bounds both
// the memory and how many clients can be in interleaved mode at once. An index
// by hash finds entries in constant time.
type stampStore struct {
	entries []stampEntry
	index   []int32 // by hash of the receive timestamp: first entry of a chain, -1 none
	next    int
}

type stampEntry struct {
	received ntp.Timestamp // 0 = free
	sent     ntp.Timestamp
	chain    int32 // next entry with the same hash, -1 none
}

// newStampStore returns a store of n entries, nil for n <= 0.
func newStampStore(n int) *stampStore {
	if n <= 0 {
		return nil
	}
	size := 1
	for size < n {
		size *= 2
	}
	s := &stampStore{entries: make([]stampEntry, n), index: make([]int32, size)}
	for i := range s.index {
		s.index[i] = -1
	}
	return s
}

func (s *stampStore) bucket(t ntp.Timestamp) *int32 {
	h := uint64(t) * 0x9E3779B97F4A7C15
	return &s.index[h>>32&uint64(len(s.index)-1)]
}

// put stores a receive timestamp, whose transmit timestamp follows by set.
func (s *stampStore) put(received ntp.Timestamp) int {
	i := s.next
	s.next = (s.next + 1) % len(s.entries)
	s.remove(i)
	b := s.bucket(received)
	s.entries[i] = stampEntry{received: received, chain: *b}
	*b = int32(i)
	return i
}

func (s *stampStore) set(slot int, sent ntp.Timestamp) { s.entries[slot].sent = sent }

// take finds the transmit timestamp for received and forgets it: each answers
// one request only.
func (s *stampStore) take(received ntp.Timestamp) (ntp.Timestamp, bool) {
	for i := *s.bucket(received); i >= 0; i = s.entries[i].chain {
		if e := &s.entries[i]; e.received == received {
			sent := e.sent
			s.remove(int(i))
			return sent, sent != 0
		}
	}
	return 0, false
}

// remove unlinks entry i.
func (s *stampStore) remove(i int) {
	e := &s.entries[i]
	if e.received == 0 {
		return
	}
	for p := s.bucket(e.received); *p >= 0; p = &s.entries[*p].chain {
		if *p == int32(i) {
			*p = e.chain
			break
		}
	}
	*e = stampEntry{chain: -1}
}
