// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"foliot/tests/netns"
)

// crowds are the numbers of client addresses after which memory is measured.
// Those of one are among the next one's.
var crowds = []int{1_000, 100_000, 1_000_000, 10_000_000}

// crowdLeast is how many requests a crowd sends at least, so that a server has
// come to rest after the first.
const crowdLeast = 200_000

// crowdPace is the least rate at which crowds ask, a second, even if it is too much
// for the server: the largest must not take longer than two minutes.
const crowdPace = 100_000

// footprint is the memory of a server after so many different clients.
type footprint struct {
	Server   string  `json:"server"`
	Clients  int     `json:"clients"`
	Answered float64 `json:"answered_ratio"`
	RSS      int     `json:"rss_kb"`
}

// memory measures foliotd alone, started anew.
func (f *field) memory(crowds []int, d time.Duration) ([]*footprint, error) {
	s := f.servers[0]
	if err := f.restart(s); err != nil {
		return nil, err
	}
	s.load.population(populations[0], basic)
	most, err := s.saturate(d / 3)
	if err != nil {
		return nil, err
	}
	if err := f.restart(s); err != nil {
		return nil, err
	}
	var all []*footprint
	for _, n := range crowds {
		p, err := s.crowd(n, max(0.8*most, crowdPace))
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// crowd lets every one of n clients ask, half of them in a way that costs a
// server memory.
func (s *server) crowd(n int, rate float64) (*footprint, error) {
	s.load.population(uint32(n), costly)
	before, err := s.count()
	if err != nil {
		return nil, err
	}
	sent, err := s.load.load(rate, max(n, crowdLeast), during(time.Hour))
	if err != nil {
		return nil, err
	}
	after, err := s.count()
	if err != nil {
		return nil, err
	}
	text, err := netns.Status(s.proc.PID(), "VmRSS")
	if err != nil {
		return nil, err
	}
	kB, err := strconv.Atoi(strings.TrimSuffix(text, " kB"))
	if err != nil {
		return nil, fmt.Errorf("read VmRSS %q: %w", text, err)
	}
	return &footprint{
		Server: s.name, Clients: n, Answered: float64(after.sub(before).answers) / float64(sent), RSS: kB,
	}, nil
}
