// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"time"

	"foliot/internal/udpstamp"
)

// Under load a worker waits a moment for requests to come together, and answers
// them with one waking up and two system calls. That costs no accuracy: the
// kernel stamps a request when it arrives, and a client takes the time that we
// had it out of its delay.
const (
	together = 16                     // requests that are worth waiting for
	patience = 100 * time.Microsecond // the longest wait
	fewest   = 2                      // for fewer it is not worth it
	crowding = 500_000                // requests that are less apart, nanoseconds, are load
)

// pacer learns how fast requests come.
type pacer struct {
	last  int64   // stamp of the last request, wall nanoseconds
	apart float64 // mean time between two, nanoseconds; 0 = not known
	empty bool    // the last wait was in vain
}

// took takes a batch of requests in.
func (p *pacer) took(msgs []udpstamp.Message) {
	p.empty = len(msgs) == 0
	if p.empty {
		return
	}
	last := msgs[len(msgs)-1].Stamp.Time.Nanos()
	const longest = 1e9
	apart := float64(min(max(last-p.last, 0), longest)) / float64(len(msgs))
	p.apart += (apart - p.apart) / 8
	p.last = last
}

// pause returns how long to wait for requests to come together, 0 if the next one
// is to be answered at once.
func (p *pacer) pause() time.Duration {
	if p.empty || p.apart*fewest > float64(patience) {
		return 0
	}
	return min(time.Duration(p.apart*together), patience)
}

// crowded tells whether requests come so fast that the worker is under load.
func (p *pacer) crowded() bool { return p.apart < crowding }
