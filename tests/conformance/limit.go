// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"

	"foliot/internal/ntp"
)

// LimitRow is a test of the rate limit: clients that ask many times without a pause.
type LimitRow struct {
	Name     string
	Clients  int // one after the other
	Burst    int // the first requests of each are all answered
	Requests int // that follow, from each
	Ask      Ask
	Want     Want
	Answers  [2]int // how many of those that follow are answered, from, to
	Kisses   [2]int // how many of these answers are kisses of death
}

// RunLimits runs the limit rows of the state that t is in.
func RunLimits(t Target, s *State, n *int, report Report) {
	for i := range s.Limits {
		r := &s.Limits[i]
		var total tally
		var err error
		for c := 0; c < r.Clients && err == nil; c++ {
			*n++
			err = s.flood(t, r, *n, &total)
		}
		if err == nil {
			err = total.judge(r)
		}
		report(r.Name, err)
	}
}

// tally counts answers to requests beyond the burst.
type tally struct{ answers, kisses int }

func (c *tally) judge(r *LimitRow) error {
	if c.answers < r.Answers[0] || c.answers > r.Answers[1] || c.kisses < r.Kisses[0] || c.kisses > r.Kisses[1] {
		return fmt.Errorf("of %d requests beyond the burst %d are answered, %d of that kisses; want %v, %v",
			r.Clients*r.Requests, c.answers, c.kisses, r.Answers, r.Kisses)
	}
	return nil
}

// flood lets client n ask.
func (s *State) flood(t Target, r *LimitRow, n int, total *tally) error {
	asked := make([]Exchanged, r.Burst+r.Requests)
	requests := make([][]byte, len(asked))
	for i := range asked {
		// Steps number the transmit timestamps, of 8 bits each.
		requests[i] = r.Ask(nil, fresh(n+i>>8<<14, i&0xff))
		asked[i].Request, asked[i].Before = requests[i], t.Now()
	}
	replies, err := t.Exchange(From{}.addr(n), requests...)
	if err != nil {
		return err
	}
	if err := match(asked, replies); err != nil {
		return err
	}
	for i := range asked {
		x := &asked[i]
		x.After = t.Now()
		beyond := i >= r.Burst
		if beyond && x.Reply == nil {
			continue
		}
		want := r.Want
		want.Kiss = beyond && header(x.Reply).Stratum == 0
		if err := s.judge(t.Name(), want, x, nil); err != nil {
			return fmt.Errorf("request %d: %w%s", i, err, x)
		}
		if beyond {
			total.answers++
		}
		if want.Kiss {
			total.kisses++
		}
	}
	return nil
}

// match gives each reply to the request that it repeats.
func match(asked []Exchanged, replies [][]byte) error {
	byTransmit := make(map[ntp.Timestamp]*Exchanged, len(asked))
	for i := range asked {
		byTransmit[header(asked[i].Request).Transmit] = &asked[i]
	}
	for _, b := range replies {
		x := byTransmit[header(b).Origin]
		if x == nil || x.Reply != nil {
			return fmt.Errorf("%x answers no request, or one again", b)
		}
		x.Reply = b
	}
	return nil
}
