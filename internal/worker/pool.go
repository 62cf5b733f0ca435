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
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
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
	Control Controller       // of control messages (mode 6); nil: they are refused
	// Departed hears of answers whose departure was watched, at most one in
	// sampleTime of each worker, on the worker's thread; nil: nobody does.
	Departed func(*Departure)
}

// Departure is an answer that left.
type Departure struct {
	To      netip.AddrPort
	Request ntp.Timestamp // the transmit timestamp of what was answered
	Told    clock.Wall    // when it should leave
	Left    clock.Wall    // when it did, by the kernel's stamp
}

// Controller takes NTP control messages over. All workers call it at the same time.
type Controller interface {
	// Control reports whether the message is taken over: it is copied, and what
	// becomes of it is no longer the worker's business.
	Control(m *udpstamp.Message) bool
}

// Pool is the threads that serve at any number of addresses. One goroutine owns
// it, but for what says that any may call it.
type Pool struct {
	cfg      Config
	random   *rand.ChaCha8
	mu       sync.Mutex // guards groups and started against those who look
	groups   []*group
	snapshot atomic.Pointer[responder.Snapshot]
	policy   atomic.Pointer[responder.Policy]
	links    atomic.Pointer[links]
	room     *room
	ended    chan struct{}
	started  bool
	closed   bool
	refused  error // why the kernel does not steer
}

// group is the threads of one address.
type group struct {
	addr    netip.Addr
	workers []*worker
}

// NewPool returns a pool that serves nowhere yet.
func NewPool(c Config) *Pool {
	p := &Pool{cfg: c, random: rand.NewChaCha8(c.Seed), ended: make(chan struct{}), room: newRoom()}
	p.snapshot.Store(&responder.Snapshot{Leap: ntp.LeapUnsync})
	p.policy.Store(&responder.Policy{})
	p.lookAtLinks()
	go p.followLinks()
	go p.room.keep(p.Threads, p.ended)
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

// Publish makes s what is served from the next packet on. Any goroutine may
// call it.
func (p *Pool) Publish(s responder.Snapshot) { p.snapshot.Store(&s) }

// Enact makes c the policy from the next packet on. Any goroutine may call it.
func (p *Pool) Enact(c responder.Policy) { p.policy.Store(&c) }

// Open opens the sockets of an address. Once the pool was started it serves there
// at once.
func (p *Pool) Open(a netip.Addr) error {
	o := p.cfg.Socket
	o.Local = a
	sockets, refused, err := udpstamp.OpenGroup(o, p.cfg.Threads, p.random.Uint64())
	if err != nil {
		return err
	}
	p.refused = cmp.Or(p.refused, refused)
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
	p.mu.Lock()
	p.groups = append(p.groups, g)
	p.mu.Unlock()
	if p.started {
		p.start(g)
	}
	return nil
}

// Start begins to serve. Between Open and Start rights may be dropped: it is
// opening that needs them.
func (p *Pool) Start() {
	if p.started {
		return
	}
	p.mu.Lock()
	p.started = true
	p.mu.Unlock()
	for _, g := range p.groups {
		p.start(g)
	}
}

func (p *Pool) start(g *group) {
	for _, w := range g.workers {
		go w.run()
	}
}

// Threads returns the number of workers. Any goroutine may call it.
func (p *Pool) Threads() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.groups {
		n += len(g.workers)
	}
	return n
}

// Refused returns why the kernel does not spread clients over as many threads as
// were asked for, nil if it does.
func (p *Pool) Refused() error { return p.refused }

// Addrs returns where the pool serves. Any goroutine may call it.
func (p *Pool) Addrs() []netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs := make([]netip.Addr, len(p.groups))
	for i, g := range p.groups {
		addrs[i] = g.addr
	}
	return addrs
}

// Cookies returns the identities of all sockets (SO_COOKIE), of those that tell.
func (p *Pool) Cookies() (list []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.groups {
		for _, w := range g.workers {
			if c, err := w.sock.Cookie(); err == nil {
				list = append(list, c)
			}
		}
	}
	return list
}

// Talker returns a socket to send from at an address that the pool serves at; the
// caller closes it, before the pool. Any goroutine may call it.
func (p *Pool) Talker(a netip.Addr) (*udpstamp.Socket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.groups {
		if g.addr == a {
			return g.workers[0].sock.Talker()
		}
	}
	return nil, fmt.Errorf("no socket at %s", a)
}

// Do runs f on the thread of each worker, one after the other, between two
// batches of packets: there it may look at everything. f must be quick. Any
// goroutine may call it.
func (p *Pool) Do(f func(s *responder.Server)) {
	for _, w := range p.running() {
		w.do(func() { f(w.server) })
	}
}

// running returns the workers, none before Start.
func (p *Pool) running() (list []*worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started {
		return nil
	}
	for _, g := range p.groups {
		list = append(list, g.workers...)
	}
	return list
}

// Report is what all workers together did.
type Report struct {
	responder.Counters
	Stamps    int                 // transmit timestamps held for clients in interleaved mode
	Span      clock.Interval      // from the oldest to the newest of them, at the most
	Records   int                 // of clients
	Evicted   uint64              // records of clients that gave way to new ones
	Unsent    uint64              // answers that the kernel did not take
	Dropped   uint64              // requests that found the receive buffer full
	Residence responder.Residence // of requests that the kernel or the card stamped
}

// Report asks all workers, all at once: under load each takes its time to be
// scheduled. Any goroutine may call it.
func (p *Pool) Report() Report {
	workers := p.running()
	parts := make([]Report, len(workers))
	asked := make([]<-chan struct{}, len(workers))
	for i, w := range workers {
		asked[i] = w.ask(func() { parts[i].add(w) })
	}
	var r Report
	for i, w := range workers {
		w.await(asked[i])
		r.Merge(&parts[i])
	}
	return r
}

// Merge adds what other workers did.
func (r *Report) Merge(o *Report) {
	r.Add(&o.Counters)
	r.Stamps += o.Stamps
	r.Span = max(r.Span, o.Span)
	r.Records += o.Records
	r.Evicted += o.Evicted
	r.Unsent += o.Unsent
	r.Dropped += o.Dropped
	r.Residence.Merge(&o.Residence)
}

// add adds what a worker did; it runs on the worker's thread.
func (r *Report) add(w *worker) {
	r.Add(&w.server.Counters)
	n, span := w.server.Stamps()
	r.Stamps += n
	r.Span = max(r.Span, span)
	r.Records += w.server.Clients().Len()
	r.Evicted += w.server.Clients().Evicted()
	r.Unsent += w.unsent
	r.Residence.Merge(&w.residence)
	if n, err := w.sock.Drops(); err == nil {
		r.Dropped += n
	}
}

// census is how many records are looked at between two batches of packets.
const census = 4096

// Clients returns copies of the records of the n clients that ask most, the busiest
// first, and how many clients there are. It needs no more memory where there are
// many. Any goroutine may call it.
func (p *Pool) Clients(n int) (list []clientlog.Record, total int) {
	r := ranking{n: n}
	for _, w := range p.running() {
		table := w.server.Clients()
		slots := table.Slots() // it never changes
		for from := 0; from < slots; from += census {
			w.do(func() { r.take(table, from, min(from+census, slots)) })
			r.cut()
		}
	}
	return r.list, r.total
}

// ranking is the n busiest of total clients.
type ranking struct {
	list     []clientlog.Record
	n, total int
	least    uint32 // no more requests than this do not count, since n clients have as many
}

// take adds those in the slots from one to before another; it runs on the thread
// that owns the table.
func (k *ranking) take(t *clientlog.Table, from, to int) {
	for i := from; i < to; i++ {
		if r := t.At(i); r != nil {
			k.total++
			if r.Hits > k.least {
				k.list = append(k.list, *r)
			}
		}
	}
}

// cut sorts the list and drops those behind the first n.
func (k *ranking) cut() {
	k.list = clientlog.Busiest(k.list, k.n)
	if len(k.list) == k.n {
		k.least = k.list[k.n-1].Hits
	}
}

// Slots returns how many records of clients there is room for in all workers. Any
// goroutine may call it.
func (p *Pool) Slots() (n int) {
	for _, w := range p.running() {
		n += w.server.Clients().Slots() // it never changes
	}
	return n
}

// Walk hands the records of clients to f on the threads that own them, beginning
// with slot from, until f reports false. It returns the slot that f refused, or
// Slots. f must be quick. Any goroutine may call it.
func (p *Pool) Walk(from int, f func(r *clientlog.Record) bool) (next int) {
	start := 0
	for _, w := range p.running() {
		slots := w.server.Clients().Slots()
		for from < start+slots {
			first, more := from-start, true
			w.do(func() {
				for i := first; more && i < min(first+census, slots); i++ {
					if r := w.server.Clients().At(i); r != nil {
						more = f(r)
					}
					if more {
						from++
					}
				}
			})
			if !more || from == start+first { // refused, or the worker is gone
				return from
			}
		}
		start += slots
	}
	return max(from, start)
}

// Client returns the record of one client. Any goroutine may call it.
func (p *Pool) Client(prefix clientlog.Prefix) (found clientlog.Record, ok bool) {
	p.Do(func(s *responder.Server) {
		if r := s.Clients().Lookup(prefix); r != nil && (!ok || r.Last.After(found.Last)) {
			found, ok = *r, true
		}
	})
	return found, ok
}

// Close ends all threads and closes their sockets. The pool is of no use any
// more; closing it again does nothing.
func (p *Pool) Close() {
	if !p.closed {
		p.closed = true
		close(p.ended)
	}
	p.mu.Lock()
	groups := p.groups
	p.groups = nil
	p.mu.Unlock()
	for _, g := range groups {
		for _, w := range g.workers {
			w.stop(p.started)
		}
	}
}
