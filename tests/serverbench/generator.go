// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// slot is the pace of the generator: what is due is sent, then it sleeps, so
	// that the rest of the bench gets the processor too.
	slot = 100 * time.Microsecond
	// patience bounds the burst after the generator lost its processor. Frames
	// that were due earlier are given up and do not count as offered.
	patience = time.Millisecond
	// single is the rate up to which every request comes from another client than
	// the one before. Above, the generator has to send bursts.
	single     = 700_000
	burstLimit = 4
)

// burst is how many requests in a row come from one client at a rate.
func burst(rate float64) int {
	if rate > single {
		return burstLimit
	}
	return 1
}

// kind is what the requests of the generator look like.
type kind int

const (
	basic  kind = iota
	costly      // half of them interleaved with stamps nobody gave, which cost a server memory
)

// generator sends requests from many addresses into one end of a link.
type generator struct {
	one, many *sender
	kind      kind
	random    *rand.Rand
	clients   uint32 // how many addresses
	client    uint32 // the next one
	step      uint32
}

// newGenerator opens a generator on an interface; call it inside the namespace.
func newGenerator(ifindex int, to target) (*generator, error) {
	one, err := newSender(ifindex, to, 1)
	if err != nil {
		return nil, err
	}
	many, err := newSender(ifindex, to, burstLimit)
	if err != nil {
		one.close()
		return nil, err
	}
	g := &generator{one: one, many: many, random: rand.New(rand.NewPCG(1, 2))}
	g.population(1, basic)
	return g, nil
}

func (g *generator) close() {
	g.one.close()
	g.many.close()
}

// population sets how many clients take part, and how they ask. Each asks once
// before any asks again, in an order that scatters them.
func (g *generator) population(n uint32, k kind) {
	g.clients, g.client, g.kind = n, 0, k
	g.step = scatter(n)
}

// scatter returns a step that visits all of n numbers, neighbours in time far
// from each other.
func scatter(n uint32) uint32 {
	step := max(uint32(float64(n)*0.6180339887), 1)
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// send sends n frames, at most batch, and returns how many requests left.
func (g *generator) send(s *sender, n int) (int, error) {
	for i, f := range s.frames[:n] {
		setClient(f, address(g.client))
		for k := range s.burst {
			setTransmit(f, k, g.random.Uint64())
		}
		if g.kind == costly && i%2 == 0 {
			setInterleaved(f, g.random.Uint64()|1, g.random.Uint64())
		} else {
			setInterleaved(f, 0, 0)
		}
		g.client = uint32((uint64(g.client) + uint64(g.step)) % uint64(g.clients))
	}
	sent, err := s.send(n)
	return sent * s.burst, err
}

// load sends rate requests a second until limit have left or stop says so, and
// returns how many left.
func (g *generator) load(rate float64, limit int, stop func(elapsed time.Duration) bool) (sent int, err error) {
	s := g.one
	if burst(rate) > 1 {
		s = g.many
	}
	size := float64(s.burst)
	p := newPacer(rate)
	defer p.close()
	for sent < limit && !stop(p.elapsed()) {
		for due := p.due(); due >= size && sent < limit; due = p.due() {
			n, err := g.send(s, min(int(due/size), batch))
			if err != nil {
				return sent, err
			}
			sent += n
			p.spend(max(float64(n), size))
		}
		p.rest()
	}
	return sent, nil
}

// during stops a load after d.
func during(d time.Duration) func(time.Duration) bool {
	return func(elapsed time.Duration) bool { return elapsed >= d }
}

// pacer says how much is due at a rate. Its goroutine keeps its thread.
type pacer struct {
	rate  float64 // a second
	begin time.Time
	last  time.Duration // since begin: until when owed is counted
	woke  time.Duration
	owed  float64
}

func newPacer(rate float64) *pacer {
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // sleep as exactly as the kernel can
	return &pacer{rate: rate, begin: time.Now()}
}

func (p *pacer) close() { runtime.UnlockOSThread() }

func (p *pacer) elapsed() time.Duration { return time.Since(p.begin) }

// due returns how many are due now. It gives up what was due before the thread
// lost its processor, and comes to an end when a slot is over.
func (p *pacer) due() float64 {
	now := p.elapsed()
	p.owed = min(p.owed+p.rate*(now-p.last).Seconds(), p.rate*patience.Seconds())
	p.last = now
	if now-p.woke > patience {
		return 0
	}
	return p.owed
}

func (p *pacer) spend(n float64) { p.owed -= n }

// rest sleeps for what is left of the slot.
func (p *pacer) rest() {
	if left := slot - (p.elapsed() - p.woke); left > 0 {
		nap(left)
	}
	p.woke = p.elapsed()
}

func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil) // cut short by a signal, it is only a little early
}
