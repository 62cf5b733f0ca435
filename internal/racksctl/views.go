// SPDX-License-Identifier: Apache-2.0

package racksctl

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"foliot/internal/cmdclient"
	"foliot/internal/cmdmon"
	"foliot/internal/prober"
	"foliot/internal/rackstat"
	"foliot/internal/resolve"
)

// asking is how many daemons are asked at the same time.
const asking = 16

// views asks daemons what they see of the hosts: their sources, by the monitoring
// protocol, which changes nothing. They must let this machine (cmdallow,
// bindcmdaddress).
func (p *plan) views(c *command, from []string) []rackstat.View {
	list := make([]rackstat.View, len(from))
	known := p.known()
	room := make(chan struct{}, asking)
	var all sync.WaitGroup
	for i, name := range from {
		list[i] = rackstat.View{From: name, Rack: p.rackOf(name)}
		all.Add(1)
		go func() {
			defer all.Done()
			room <- struct{}{}
			defer func() { <-room }()
			sees, err := sightings(c.ctx, name)
			for k := range sees {
				if j, ok := known[netip.MustParseAddr(sees[k].Host)]; ok {
					sees[k].Host, sees[k].Rack = p.hosts[j].Name, p.hosts[j].Rack
				}
			}
			list[i].Sees, list[i].State = sees, "ok"
			if err != nil {
				list[i].State = err.Error()
			}
		}()
	}
	all.Wait()
	return list
}

// known is the hosts by their addresses.
func (p *plan) known() map[netip.Addr]int {
	m := map[netip.Addr]int{}
	for k, s := range p.specs {
		m[s.Addr.Addr()] = p.of[k]
	}
	return m
}

// rackOf returns the rack of a host of the inventory.
func (p *plan) rackOf(name string) string {
	for i := range p.hosts {
		if h := &p.hosts[i]; h.Name == name || h.Address == name {
			return h.Rack
		}
	}
	return ""
}

func addressesOf(ctx context.Context, host string) []netip.Addr {
	if l := prober.Addresses(ctx, []string{host}, resolve.Any)[0]; l.Err == nil {
		return []netip.Addr{l.Addr}
	}
	return nil
}

// sightings asks one daemon for all its sources, which go by their addresses.
func sightings(ctx context.Context, host string) ([]rackstat.Sighting, error) {
	client, err := cmdclient.Open(ctx, []string{host}, cmdclient.DefaultPort, addressesOf)
	if err != nil {
		return nil, fmt.Errorf("name does not resolve: %s", host)
	}
	defer client.Close()
	n := new(cmdmon.NSourcesReply)
	if err := ask(ctx, client, cmdmon.NSources, nil, n); err != nil {
		return nil, err
	}
	var list []rackstat.Sighting
	for i := range min(n.N, maxHosts) {
		data, stat := new(cmdmon.SourceDataReply), new(cmdmon.SourceStatsReply)
		if err := ask(ctx, client, cmdmon.SourceData, &cmdmon.Index{Index: i}, data); err != nil {
			return list, err
		}
		if err := ask(ctx, client, cmdmon.SourceStats, &cmdmon.Index{Index: i}, stat); err != nil {
			return list, err
		}
		if !data.Addr.Addr.IsValid() || data.Mode == cmdmon.ModeRefclock || stat.Samples == 0 {
			continue
		}
		// The protocol counts as positive that the daemon is ahead of its source.
		s := rackstat.Sighting{Host: data.Addr.Addr.String(), Offset: -stat.Offset, Bound: data.OffsetErr, SD: stat.SD}
		list = append(list, s)
	}
	return list, nil
}

// ask asks one question.
func ask(ctx context.Context, client *cmdclient.Client, cmd cmdmon.Command, q cmdmon.Request, m cmdmon.Reply) error {
	h, b, err := client.Ask(ctx, cmd, q)
	switch {
	case err != nil:
		return fmt.Errorf("does not answer commands from here (bindcmdaddress, cmdallow): %w", err)
	case h.Status != cmdmon.Success:
		return fmt.Errorf("refuses: status %d", h.Status)
	case !cmdmon.DecodeReply(b, m):
		return fmt.Errorf("answers what is no answer")
	}
	return nil
}
