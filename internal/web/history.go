// SPDX-License-Identifier: Apache-2.0

package web

import (
	"sync"
	"time"

	"foliot/internal/state"
)

// The history has a point every pace, for span: 2160 points of 72 octets.
const (
	pace = 10 * time.Second
	span = 6 * time.Hour
	size = int(span / pace)
)

// point is what the plots show of one moment.
type point struct {
	at        float64 // seconds on the monotonic clock
	offset    float64 // seconds, at the last update; positive: the clock was behind
	frequency float64 // ratio, positive: the clock is slow uncorrected
	bound     float64 // of the error, seconds
	synced    bool    // these three mean something

	answered [len(depths)]uint64 // requests of clients so far, by depth
	refused  uint64              // requests of clients so far
}

// total is how many requests were answered at any depth.
func (p *point) total() (n uint64) {
	for _, a := range p.answered {
		n += a
	}
	return n
}

// history is the points of the last hours, in a ring.
type history struct {
	mu   sync.Mutex
	ring [size]point
	n    int // points ever added
}

func pointOf(s *state.State) point {
	t := &s.Tracking
	p := point{
		at: float64(s.Now.Mono.Nanos()) * 1e-9, offset: float64(t.LastOffset), frequency: float64(t.Frequency),
		bound: t.ErrorBound(), synced: t.Synchronized, refused: s.Server.Total.Refused(),
	}
	for i := range depths {
		p.answered[i] = depths[i].of(&s.Server).Answered()
	}
	return p
}

// add adds the state, unless it is the same as before.
func (h *history) add(s *state.State) {
	p := pointOf(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n > 0 && p.at <= h.ring[(h.n-1)%size].at {
		return
	}
	h.ring[h.n%size] = p
	h.n++
}

// points returns the points, oldest first.
func (h *history) points() []point {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(h.n, size)
	list := make([]point, 0, n)
	for i := h.n - n; i < h.n; i++ {
		list = append(list, h.ring[i%size])
	}
	return list
}
