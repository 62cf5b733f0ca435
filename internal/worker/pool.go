// SPDX-License-Identifier: Apache-2.0

// Package worker answers the requests of clients: threads that each own a socket
// and a [responder.Server]. What is answered is the responder's business, what
// is served the engine's; the daemon's loop only publishes and asks.
//
// The one concept is that workers share nothing that changes with a packet. The
// kernel gives all packets of a client to the same worker, which keeps its
// records and counters for itself. The snapshot and the policy are immutable and
// replaced whole, and who wants to know something asks the worker's own thread
// ([Pool.Do]).
package worker

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/udpstamp"
)

// Config is what a pool is made with.
type Config struct {
	Socket  udpstamp.Options // of every socket, but for the address
	Threads int              // for each address
	Stamps  int              // clients in interleaved mode at a time, for each thread
	Log     int64            // memory for records of clients, octets for each thread
	Seed    [32]byte         // of all random numbers; secret
}

// Pool is the threads that serve at any number of addresses. One goroutine owns
// it; Publish and Enact may be called by others.
type Pool struct {
	cfg      Config
	random   *rand.ChaCha8
	groups   []*group
	snapshot atomic.Pointer[responder.Snapshot]
	policy   atomic.Pointer[responder.Policy]
	links    atomic.Pointer[links]
	ended    chan struct{}
	closed   bool
}

// group is the threads of one address.
type group struct {
	addr    netip.Addr
	workers []*worker
}

// NewPool returns a pool that serves nowhere yet.
func NewPool(c Config) *Pool {
	p := &Pool{cfg: c, random: rand.NewChaCha8(c.Seed), ended: make(chan struct{})}
	p.snapshot.Store(&responder.Snapshot{Leap: ntp.LeapUnsync})
	p.policy.Store(&responder.Policy{})
	p.lookAtLinks()
	go p.followLinks()
	return p
}

func (p *Pool) lookAtLinks() {
	l := readLinks()
	p.links.Store(&l)
}

// followLinks looks now and then which networks there are, until the pool ends.
func (p *Pool) followLinks() {
	t := time.NewTicker(linksAge)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.lookAtLinks()
		case <-p.ended:
			return
		}
	}
}

// Publish makes s what is served from the next packet on.
func (p *Pool) Publish(s responder.Snapshot) { p.snapshot.Store(&s) }

// Enact makes c the policy from the next packet on.
func (p *Pool) Enact(c responder.Policy) { p.policy.Store(&c) }

// Open begins to serve at an address.
func (p *Pool) Open(a netip.Addr) error {
	o := p.cfg.Socket
	o.Local = a
	sockets, err := udpstamp.OpenGroup(o, p.cfg.Threads, p.random.Uint64())
	if err != nil {
		return err
	}
	g := &group{addr: a}
	for _, s := range sockets {
		w, err := newWorker(p, s)
		if err != nil {
			for _, s := range sockets {
				s.Close()
			}
			return fmt.Errorf("serve at %s: %w", a, err)
		}
		g.workers = append(g.workers, w)
	}
	p.groups = append(p.groups, g)
	p.makeRoom()
	for _, w := range g.workers {
		go w.run()
	}
	return nil
}

// makeRoom lets all workers, the loop and the rest of the program run at once, as
// far as Go's scheduler has a say: a worker under load never pauses, and the loop
// must not wait for one. Sharing out the processors is the kernel's business.
func (p *Pool) makeRoom() {
	const others = 2
	if n := p.Threads() + others; n > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
}

// Threads returns the number of workers.
func (p *Pool) Threads() (n int) {
	for _, g := range p.groups {
		n += len(g.workers)
	}
	return n
}

// Steered tells whether clients are spread over as many threads as were asked
// for at every address; the kernel may refuse.
func (p *Pool) Steered() bool {
	for _, g := range p.groups {
		if len(g.workers) < p.cfg.Threads {
			return false
		}
	}
	return true
}

// Addrs returns where the pool serves.
func (p *Pool) Addrs() []netip.Addr {
	addrs := make([]netip.Addr, len(p.groups))
	for i, g := range p.groups {
		addrs[i] = g.addr
	}
	return addrs
}

// Talker returns a socket to send from at an address that the pool serves at; the
// caller closes it.
func (p *Pool) Talker(a netip.Addr) (*udpstamp.Socket, error) {
	for _, g := range p.groups {
		if g.addr == a {
			return g.workers[0].sock.Talker()
		}
	}
	return nil, fmt.Errorf("no socket at %s", a)
}

// Do runs f on the thread of each worker, one after the other, between two
// batches of packets: there it may look at everything. f must be quick.
func (p *Pool) Do(f func(s *responder.Server)) {
	for _, g := range p.groups {
		for _, w := range g.workers {
			w.do(f)
		}
	}
}

// Report is what all workers together did.
type Report struct {
	responder.Counters
	Stamps  int            // transmit timestamps held for clients in interleaved mode
	Span    clock.Interval // from the oldest to the newest of them, at the most
	Evicted uint64         // records of clients that gave way to new ones
	Unsent  uint64         // answers that the kernel did not take
	Dropped uint64         // requests that found the receive buffer full
}

// Report asks all workers.
func (p *Pool) Report() Report {
	var r Report
	p.Do(func(s *responder.Server) {
		r.Add(&s.Counters)
		n, span := s.Stamps()
		r.Stamps += n
		r.Span = max(r.Span, span)
		r.Evicted += s.Clients().Evicted()
	})
	for _, g := range p.groups {
		for _, w := range g.workers {
			r.Unsent += w.unsent.Load()
			if n, err := w.sock.Drops(); err == nil {
				r.Dropped += n
			}
		}
	}
	return r
}

// Clients returns copies of the records of all clients.
func (p *Pool) Clients() (list []clientlog.Record) {
	p.Do(func(s *responder.Server) {
		for r := range s.Clients().All() {
			list = append(list, *r)
		}
	})
	return list
}

// Close ends all threads and closes their sockets. The pool is of no use any
// more; closing it again does nothing.
func (p *Pool) Close() {
	if !p.closed {
		p.closed = true
		close(p.ended)
	}
	for _, g := range p.groups {
		g.close()
	}
	p.groups = nil
}

func (g *group) close() {
	for _, w := range g.workers {
		w.stop()
	}
}
