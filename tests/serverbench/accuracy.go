// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"time"

	"foliot/internal/ntp"
)

// linkNet is the first half of the addresses of the links.
const linkNet = 10<<8 | 77

// service is how well a server tells the time, in one mode at one load: one row
// of the table of accuracy.
type service struct {
	Server      string    `json:"server"`
	Load        string    `json:"load"`
	Interleaved bool      `json:"interleaved"`
	Sent        int       `json:"sent"`
	Answered    int       `json:"answered"` // in the mode that was asked for
	Late        []float64 `json:"late_s"`
	Offset      []float64 `json:"offset_s"`
}

// accuracy measures all servers in turns, quiet and with half of the load that
// saturates them.
func (f *field) accuracy(rounds int, d time.Duration) ([]*service, error) {
	var all []*service
	for _, load := range []string{"quiet", "half"} {
		rows := make(map[*server][2]*service)
		rate := make(map[*server]float64)
		for _, s := range f.servers {
			rows[s] = [2]*service{
				{Server: s.name, Load: load}, {Server: s.name, Load: load, Interleaved: true},
			}
			all = append(all, rows[s][0], rows[s][1])
			if load == "quiet" {
				continue
			}
			s.load.population(populations[0], basic)
			most, err := s.saturate(d / 3)
			if err != nil {
				return nil, err
			}
			rate[s] = most / 2
		}
		for range rounds {
			for _, s := range f.servers {
				if err := f.probed(s, rate[s], d, rows[s]); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
}

// probed lets a probe of each mode ask a server that has a load beside, 0 for
// none, and adds what they found.
func (f *field) probed(s *server, rate float64, d time.Duration, rows [2]*service) error {
	t, err := f.tap(s, linkNet)
	if err != nil {
		return err
	}
	defer t.close()
	var probes [2]*probe
	err = f.clients.Inside(func() (err error) {
		for i := range probes {
			if probes[i], err = newProbe(s.addr, i == 1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		if rate == 0 {
			loaded <- nil
			return
		}
		_, err := s.load.load(rate, never, during(d+d/10))
		loaded <- err
	}()
	err = errors.Join(watch(t, probes[:], d), <-loaded)
	for i, p := range probes {
		p.close()
		rows[i].add(&p.samples)
	}
	return err
}

// watch lets the probes ask for d, and looks at the tap before it looks at what
// they got. They ask in turns: what comes right after another request finds the
// server awake, which makes its answer leave microseconds sooner.
func watch(t *tap, probes []*probe, d time.Duration) error {
	departed := make(map[ntp.Timestamp]int64)
	end := time.Now().Add(d)
	for i := 0; time.Now().Before(end); i++ {
		p := probes[i%len(probes)]
		if err := p.ask(time.Now()); err != nil {
			return err
		}
		nap(probeEvery / 2)
		t.each(func(a *answer) { departed[a.packet.Receive] = a.at })
		for _, p := range probes {
			if err := p.take(time.Now(), departed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *service) add(s *samples) {
	v.Sent += s.Sent
	v.Answered += s.Answered
	v.Late = append(v.Late, s.Late...)
	v.Offset = append(v.Offset, s.Offset...)
}
