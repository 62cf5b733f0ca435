// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// populations are the numbers of client addresses.
var populations = []uint32{10_000, 1_000_000}

// loads are the offered loads, as multiples of the saturating one.
var loads = []float64{0.5, 1, 2, 4}

// rates is what came of one load.
type rates struct {
	Asked    float64 `json:"asked_per_s"`   // what the generator was told
	Offered  float64 `json:"offered_per_s"` // what it managed
	Answered float64 `json:"answered_per_s"`
	CPU      float64 `json:"cpu_us_per_answer"` // of the server's processor
	User     float64 `json:"user_us_per_answer"`
	Busy     float64 `json:"busy_ratio"`  // share of its processor that the server used
	Noise    float64 `json:"noise_ratio"` // share that others used
}

// PerCore is the answers that a second of processor time gives.
func (r rates) PerCore() float64 { return 1e6 / r.CPU }

// offer loads the server for a while and counts.
func (s *server) offer(rate float64, d time.Duration) (rates, error) {
	if _, err := s.load.load(rate, never, during(d/10)); err != nil { // fill queues and caches
		return rates{}, err
	}
	before, err := s.count()
	if err != nil {
		return rates{}, err
	}
	sent, err := s.load.load(rate, never, during(d))
	if err != nil {
		return rates{}, err
	}
	after, err := s.count()
	if err != nil {
		return rates{}, err
	}
	return s.rates(rate, sent, after.sub(before), after.at.Sub(before.at))
}

// Other work on the server's processor, as a share of it, above which a step is
// measured again, and how often at most.
const (
	tolerable = 0.1
	tries     = 3
)

// offerQuietly is offer, repeated if there was other work on the processor. Of all
// tries the quietest counts.
func (s *server) offerQuietly(rate float64, d time.Duration) (best rates, err error) {
	for i := range tries {
		r, err := s.offer(rate, d)
		if err != nil {
			return rates{}, err
		}
		if i == 0 || r.Noise < best.Noise {
			best = r
		}
		if best.Noise <= tolerable {
			break
		}
	}
	return best, nil
}

// clockTicks is USER_HZ, the unit of times in /proc, which is part of the kernel's
// interface.
const clockTicks = 100

// never is more requests than any load sends.
const never = 1 << 40

// rates divides what was counted by the time and by the answers. It refuses
// what cannot be answers, such as messages that nobody listens.
func (s *server) rates(asked float64, sent int, c counters, took time.Duration) (rates, error) {
	if c.answers <= 0 {
		return rates{}, fmt.Errorf("%s does not answer at %.0f requests/s: %s", s.name, asked, s.proc.Log())
	}
	if size := float64(c.octets) / float64(c.answers); size > frameLen+1 || size < frameLen-1 {
		return rates{}, fmt.Errorf("%s sends %.0f octets in a frame, an answer has %d", s.name, size, frameLen)
	}
	seconds, answers := took.Seconds(), float64(c.answers)
	cpu := c.cpu.Seconds()
	return rates{
		Asked: asked, Offered: float64(sent) / seconds, Answered: answers / seconds, CPU: cpu * 1e6 / answers,
		User: cpu * 1e6 / answers * float64(c.user) / max(float64(c.user+c.system), 1),
		Busy: cpu / seconds, Noise: max(0, float64(c.busy)/clockTicks-cpu) / seconds,
	}, nil
}

// saturate steps the load up until the server twice answers clearly less than it
// is asked, and returns what it can answer: the most that it did, or would have
// with the whole of a processor that it could not get enough of.
func (s *server) saturate(d time.Duration) (float64, error) {
	most, over := 0.0, 0
	for rate := 50_000.0; over < 2; rate *= 1.3 {
		r, err := s.offer(rate, d)
		if err != nil {
			return 0, err
		}
		most = max(most, r.Answered)
		if r.Busy+r.Noise > 0.95 {
			most = max(most, r.PerCore())
		}
		if r.Answered < 0.85*r.Offered || r.Offered < 0.85*rate {
			over++ // once may be somebody else's work
		}
	}
	return most, nil
}

// step is one row of the throughput table before the rounds are joined.
type step struct {
	Server     string  `json:"server"`
	Clients    uint32  `json:"clients"`
	Load       float64 `json:"load"` // multiple of saturation
	Saturation float64 `json:"saturation_per_s"`
	Rounds     []rates `json:"rounds"`
}

// throughput measures all servers in turns.
func (f *field) throughput(rounds int, d time.Duration) ([]*step, error) {
	var all []*step
	for _, clients := range populations {
		steps, err := f.steps(clients, d)
		if err != nil {
			return nil, err
		}
		for range rounds {
			for i, t := range steps {
				s := f.servers[i%len(f.servers)]
				r, err := s.offerQuietly(t.Load*t.Saturation, d)
				if err != nil {
					return nil, err
				}
				t.Rounds = append(t.Rounds, r)
			}
		}
		all = append(all, steps...)
	}
	return all, nil
}

// steps finds the saturation of each server, and lists what to measure: every
// load, and at every load the servers in turn.
func (f *field) steps(clients uint32, d time.Duration) ([]*step, error) {
	saturation := make(map[*server]float64)
	for _, s := range f.servers {
		s.load.population(clients, basic)
		most, err := s.saturate(d / 3)
		if err != nil {
			return nil, err
		}
		saturation[s] = most
	}
	var all []*step
	for _, load := range loads {
		for _, s := range f.servers {
			all = append(all, &step{Server: s.name, Clients: clients, Load: load, Saturation: saturation[s]})
		}
	}
	return all, nil
}
