// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"cmp"
	"slices"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/fastpath"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/state"
	"foliot/internal/traffic"
)

// Loaded tells whether there are programs.
func (k *Keeper) Loaded() bool { return k != nil && k.path.Load() != nil }

// InDriver tells whether a program sits in some driver: elsewhere the socket's
// stamp is the earlier one.
func (k *Keeper) InDriver() bool {
	if !k.Loaded() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.native
}

// Serving tells whether requests are answered in the kernel at some interface.
func (k *Keeper) Serving() bool {
	if !k.Loaded() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.serving
}

// Look fills in what is to be seen of the programs.
func (k *Keeper) Look(s *state.Programs, served *responder.Counters) {
	if k == nil {
		s.Trouble = "turned off (ebpf off)"
		return
	}
	path := k.path.Load()
	s.Wanted, s.Loaded = true, path != nil
	if path == nil {
		s.Trouble = k.reason()
		return
	}
	for _, f := range fastpath.AllFeatures {
		s.Features = append(s.Features, state.Feature{Name: f.String(), Since: f.Since(), There: path.Features().Has(f)})
	}
	list, err := path.Counters()
	if err != nil {
		s.Trouble = err.Error()
	}
	h, err := path.Histograms()
	if err == nil {
		s.Residence, s.Correction = h.Residence, h.Correction
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	*served = k.past
	if s.Trouble == "" {
		s.Trouble = k.refusal
	}
	s.OneStepWanted, s.OneStep, s.Lead = k.want.kernel.OneStep, k.onestep, k.lead.value()
	s.Serving = k.serving && time.Now().Before(k.lasts)
	s.Interfaces = k.interfaces(list, served)
}

// reason says why there are no programs.
func (k *Keeper) reason() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refused == nil {
		return "being loaded"
	}
	return k.refused.Error()
}

// interfaces describes what is attached, and what is not and should be.
func (k *Keeper) interfaces(list []fastpath.Interface, sum *responder.Counters) (out []state.ProgramAt) {
	for i := range list {
		f := &list[i]
		served(sum, f)
		at := state.ProgramAt{Name: f.Name, Mode: f.Mode.String(), Serves: f.Serves, In: f.In, Out: f.Out}
		if p, ok := k.shown[f.Name]; ok {
			at.Asked, at.Trouble = p.asked, p.trouble
		}
		out = append(out, at)
	}
	for name, p := range k.shown {
		if p.index == 0 {
			out = append(out, state.ProgramAt{Name: name, Mode: "none", Asked: p.asked, Trouble: p.trouble})
		}
	}
	slices.SortFunc(out, func(a, b state.ProgramAt) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// served adds the requests that ended in the kernel at an interface, as the
// responder counts them. What went up is counted there.
func served(c *responder.Counters, f *fastpath.Interface) {
	for from, to := range map[traffic.Verdict]responder.Verdict{
		traffic.Answered: responder.Answer, traffic.Kissed: responder.Kissed,
		traffic.Denied: responder.Denied, traffic.Limited: responder.Limited,
	} {
		c.Verdicts[to] += f.In.Verdict(from)
		c.V6[to] += f.In.Verdicts[1][from]
	}
	for v := 1; v <= ntp.Version; v++ {
		c.Versions[v-1] += f.In.Answers[v]
	}
}

// Clients returns the records of the n clients that ask most, the busiest first,
// and how many there are. All requests that pass the programs are in them, those
// that went up to the threads too.
func (k *Keeper) Clients(n int) (list []clientlog.Record, total int) {
	if !k.Loaded() {
		return nil, 0
	}
	for c := range k.path.Load().Clients() {
		total++
		list = append(list, record(&c))
		if len(list) >= 2*n+1024 {
			list = clientlog.Busiest(list, n)
		}
	}
	return clientlog.Busiest(list, n), total
}

func record(c *fastpath.Client) clientlog.Record {
	return clientlog.Restore(clientlog.Summary{
		Prefix: clientlog.PrefixOf(c.Prefix.Addr()), Last: c.Last, Hits: c.Hits, Drops: c.Drops,
		Interval: c.Interval, Hasty: c.Hasty, Versions: c.Versions, Version: c.Version,
	})
}
