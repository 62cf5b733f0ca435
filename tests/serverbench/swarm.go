// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// The swarm: clients in interleaved mode that share a rate.
const (
	swarmNet     = 10<<8 | 79 // the first half of their addresses
	swarmClients = 1000
	swarmRate    = 50_000.0 // requests a second of all, if nothing else is asked for
	// swarmWarmup is the share of a step in which every client gets its first
	// answers, which cannot be interleaved.
	swarmWarmup = 0.2
	// tolerance is how much before the tap's stamp a departure may be and still be
	// called true: the server's stamp is made some hundred nanoseconds after the
	// tap's, by the same kernel, and a daemon's own at least two microseconds
	// before.
	tolerance = 500 * time.Nanosecond
)

// member is a client of the swarm.
type member struct {
	received ntp.Timestamp // by the server, of the last answer; its key
	last     passage       // of that answer
	passing  answer        // the last that the tap at the server saw
	asked    [remembered]asked
	next     int // place in asked
}

// remembered is how many requests of a client may wait for their answers.
const remembered = 8

// passage is the way of an answer as the taps saw it, in nanoseconds of Unix
// time.
type passage struct {
	departed int64 // from the server, 0 if that was not seen
	landed   int64 // at the client
}

// asked is what a request said, by which its answer is known, and the answer that
// it followed.
type asked struct {
	arrived  ntp.Timestamp // when the answer before came, 0 if there was none
	transmit ntp.Timestamp
	before   passage
}

// swarm asks a server through its own sender, and sees the answers at both ends
// of the link.
type swarm struct {
	*sender
	near, far *tap // at the clients, at the server
	random    *rand.Rand
	members   [swarmClients]member
	next      int
	counting  bool
	seen      loyalty
	late      []float64 // seconds
}

// loyalty is what came of interleaved requests.
type loyalty struct {
	Sent        int     `json:"sent"`
	Answered    int     `json:"answered"`
	Interleaved int     `json:"interleaved"`
	True        int     `json:"true"`           // and the transmit timestamp is the departure of the answer before
	LateMedian  micros  `json:"late_median_us"` // of those interleaved: departure minus timestamp
	LateP99     micros  `json:"late_p99_us"`    // of the absolute value
	CPU         float64 `json:"cpu_us_per_answer"`
}

// newSwarm opens the swarm of a server.
func (f *field) newSwarm(s *server) (*swarm, error) {
	w := &swarm{random: rand.New(rand.NewPCG(3, 4))}
	var err error
	if w.far, err = f.tap(s, swarmNet); err != nil {
		return nil, err
	}
	err = f.clients.Inside(func() error {
		i, err := net.InterfaceByName(s.client)
		if err != nil {
			return err
		}
		if w.sender, err = newSender(i.Index, s.target, 1); err != nil {
			return err
		}
		w.near, err = newTap(i.Index, swarmNet)
		return err
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// tap opens a tap at the server's end of its link.
func (f *field) tap(s *server, to uint16) (t *tap, err error) {
	err = s.space.Inside(func() error {
		i, err := net.InterfaceByName(s.dev)
		if err != nil {
			return err
		}
		t, err = newTap(i.Index, to)
		return err
	})
	return t, err
}

func (w *swarm) close() {
	if w.sender != nil {
		w.sender.close()
	}
	for _, t := range []*tap{w.near, w.far} {
		if t != nil {
			t.close()
		}
	}
}

// run asks rate times a second for d.
func (w *swarm) run(rate float64, d time.Duration) error {
	p := newPacer(rate)
	defer p.close()
	for elapsed := p.elapsed(); elapsed < d; elapsed = p.elapsed() {
		w.counting = elapsed.Seconds() > swarmWarmup*d.Seconds()
		w.look()
		for due := p.due(); due >= 1; due = p.due() {
			n, err := w.ask(min(int(due), batch))
			if err != nil {
				return err
			}
			p.spend(float64(n))
		}
		p.rest()
	}
	nap(10 * time.Millisecond) // for the last answers
	w.look()
	return nil
}

// ask sends the requests of the next n members.
func (w *swarm) ask(n int) (int, error) {
	for i := range n {
		f, m := w.frames[i], &w.members[w.next]
		q := m.ask(ntp.Timestamp(w.random.Uint64()))
		setClient(f, swarmNet<<16|uint32(w.next+1))
		setInterleaved(f, uint64(m.received), uint64(q.arrived))
		setTransmit(f, 0, uint64(q.transmit))
		w.next = (w.next + 1) % swarmClients
	}
	sent, err := w.send(n)
	if w.counting {
		w.seen.Sent += sent
	}
	return n, err // what did not leave is lost on the way
}

// ask makes the next request of a client.
func (m *member) ask(transmit ntp.Timestamp) asked {
	q := asked{transmit: transmit, before: m.last}
	if m.received != 0 {
		q.arrived = ntp.FromInstant(clock.At[clock.Realtime](m.last.landed))
	}
	m.asked[m.next] = q
	m.next = (m.next + 1) % remembered
	return q
}

// look takes in what passed the two ends of the link, the server's first.
func (w *swarm) look() {
	w.far.each(func(a *answer) {
		if i := int(a.to&0xffff) - 1; i >= 0 && i < swarmClients {
			w.members[i].passing = *a
		}
	})
	w.near.each(func(a *answer) {
		if i := int(a.to&0xffff) - 1; i >= 0 && i < swarmClients {
			w.judge(&w.members[i], a)
		}
	})
}

// judge counts an answer that came to a member. Those to requests that could not
// be interleaved, or that are long forgotten, do not count.
func (w *swarm) judge(m *member, a *answer) {
	i := slices.IndexFunc(m.asked[:], func(q asked) bool {
		return q.arrived != 0 && (a.packet.Origin == q.arrived || a.packet.Origin == q.transmit)
	})
	if w.counting && i >= 0 {
		q := &m.asked[i]
		w.seen.Answered++
		if a.packet.Origin == q.arrived {
			w.seen.Interleaved++
			w.judgeDeparture(q.before, a.packet.Transmit.Wall().Nanos())
		}
	}
	m.received, m.last = a.packet.Receive, passage{landed: a.at}
	if m.passing.packet.Receive == a.packet.Receive {
		m.last.departed = m.passing.at
	}
}

// judgeDeparture compares what the server says about the departure of the
// answer before with what the taps saw: it left after the one and before the
// other.
func (w *swarm) judgeDeparture(before passage, said int64) {
	if before.departed == 0 {
		return
	}
	if said >= before.departed-tolerance.Nanoseconds() && said <= before.landed {
		w.seen.True++
	}
	w.late = append(w.late, float64(before.departed-said)*1e-9)
}

// loyaltyOf is one row of the table of interleaved mode, before the rounds are
// joined.
type loyaltyOf struct {
	Server string    `json:"server"`
	Rounds []loyalty `json:"rounds"`
}

// interleaved measures all servers in turns.
func (f *field) interleaved(rounds int, rate float64, d time.Duration) ([]*loyaltyOf, error) {
	var all []*loyaltyOf
	for _, s := range f.servers {
		all = append(all, &loyaltyOf{Server: s.name})
	}
	for range rounds {
		for i, s := range f.servers {
			seen, err := f.followed(s, rate, d)
			if err != nil {
				return nil, err
			}
			all[i].Rounds = append(all[i].Rounds, seen)
		}
	}
	return all, nil
}

// followed lets a new swarm ask a server.
func (f *field) followed(s *server, rate float64, d time.Duration) (loyalty, error) {
	w, err := f.newSwarm(s)
	if err != nil {
		return loyalty{}, err
	}
	defer w.close()
	before, err := s.count()
	if err != nil {
		return loyalty{}, err
	}
	if err := w.run(rate, d); err != nil {
		return loyalty{}, err
	}
	after, err := s.count()
	if err != nil {
		return loyalty{}, err
	}
	c := after.sub(before)
	w.seen.LateMedian, w.seen.LateP99 = middle(w.late), far(w.late)
	w.seen.CPU = c.cpu.Seconds() * 1e6 / max(float64(c.answers), 1)
	return w.seen, nil
}
