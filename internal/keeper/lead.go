// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"math"
	"net/netip"
	"sync"

	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/worker"
)

// calibrator learns how long after the egress program an answer leaves, and
// whether correcting its timestamp there helps at all: behind a queue that is full
// an answer may wait for long, and what the thread foretold is as good.
type calibrator struct {
	mu      sync.Mutex
	lead    responder.Lead
	program estimate // of the error of the program's timestamp, ns
	thread  estimate // of that of the thread's
	seen    int
	useless bool
}

// estimate is the mean of the recent absolute errors, ns.
type estimate float64

// Of how the errors are weighed.
const (
	errorGain  = 1.0 / 32
	longest    = 100_000 // ns; one answer that was held up says no more than that
	enough     = 64      // answers until anything is concluded
	worseThan  = 1.1     // the program's error to the thread's, to turn it off
	betterThan = 0.9     // likewise, to turn it on again
)

func (e *estimate) learn(late clock.Interval) {
	v := min(math.Abs(float64(late)), longest)
	*e += estimate(errorGain * (v - float64(*e)))
}

// learn takes in that an answer left so long after the program saw it, and after
// the time that the thread foretold.
func (c *calibrator) learn(program, thread clock.Interval) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := program - c.lead.At(0)
	c.lead.Learn(0, late)
	if c.seen++; c.seen == 1 {
		c.program, c.thread = estimate(math.Abs(float64(late))), estimate(math.Abs(float64(thread)))
	}
	c.program.learn(late)
	c.thread.learn(thread)
	limit := c.thread * worseThan
	if c.useless {
		limit = c.thread * betterThan
	}
	c.useless = c.seen >= enough && c.program > limit
}

func (c *calibrator) value() clock.Interval {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lead.At(0)
}

func (c *calibrator) helps() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.useless
}

// Departed takes in when an answer left. It is for the threads: it takes no system
// call, and as long as a few reads of the clock.
func (k *Keeper) Departed(d *worker.Departure) {
	path := k.path.Load()
	if path == nil {
		return
	}
	_, left := path.Stamps(fastpath.Exchange{Peer: d.To.Addr(), Port: d.To.Port(), Transmit: d.Request})
	if !left.IsZero() {
		k.lead.learn(d.Left.Sub(left), d.Left.Sub(d.Told))
	}
}

// earliest bounds by how much the stamp at the driver may be before the socket's:
// what is farther apart is of another packet.
const earliest = clock.Millisecond

// Arrived returns a better stamp of the answer to a request of ours, which came to
// port from a server and repeats the transmit timestamp of the request: that of a
// program in the driver, where there is one. s is the socket's.
func (k *Keeper) Arrived(from netip.Addr, port uint16, origin ntp.Timestamp, s clock.Stamp) clock.Stamp {
	if s.Kind != clock.StampKernel || !k.InDriver() {
		return s
	}
	arrived, _ := k.path.Load().Stamps(fastpath.Exchange{Peer: from, Port: port, Transmit: origin})
	if d := s.Time.Sub(arrived); !arrived.IsZero() && d >= 0 && d < earliest {
		s.Time, s.Kind = arrived, clock.StampBPF
	}
	return s
}
