// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"math"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/cmdmon"
)

// clientsReport is a page of the report clients. The slots of those who ask for
// time come first, then those of our own clients; somebody who is in both comes
// once, with the former.
func (s *Server) clientsReport(ctx context.Context, r *request) (cmdmon.Reply, cmdmon.Status, Verdict) {
	var ask cmdmon.ClientsRequest
	if !cmdmon.DecodeRequest(r.b, &ask) {
		return nil, cmdmon.BadPacketLength, Answered
	}
	st, err := s.daemon.State(ctx, youngest, false)
	if err != nil {
		return nil, 0, Busy
	}
	if st.Config.NoLog {
		return nil, cmdmon.Inactive, Answered
	}
	p := page{server: s, ask: &ask, at: r.at, room: int(min(ask.N, cmdmon.MaxClients))}
	p.fill()
	return &p.reply, cmdmon.Success, Answered
}

// page is a report on its way.
type page struct {
	server *Server
	ask    *cmdmon.ClientsRequest
	at     clock.Wall
	room   int
	found  []clientlog.Record // of clients of time
	reply  cmdmon.ClientsReply
}

func (p *page) fill() {
	first := int(min(p.ask.First, math.MaxInt32))
	next, slots := p.server.daemon.Clients(first, func(r *clientlog.Record) bool {
		if len(p.found) == p.room {
			return false
		}
		if r.Hits >= p.ask.MinHits {
			p.found = append(p.found, *r)
		}
		if p.ask.Reset {
			r.Reset()
		}
		return true
	})
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p.found {
		r := &p.found[i]
		p.add(r, s.clients.Lookup(r.Prefix))
	}
	p.reply.Indices = uint32(slots + s.clients.Slots())
	for ; next >= slots && next < int(p.reply.Indices) && int(p.reply.N) < p.room; next++ {
		p.ours(s.clients.At(next - slots))
	}
	p.reply.Next = uint32(next)
}

// ours adds one of our own clients that was not listed with those of time.
func (p *page) ours(cmd *clientlog.Record) {
	if cmd == nil {
		return
	}
	ntp, both := p.server.daemon.Client(cmd.Prefix)
	listed := both && ntp.Hits >= p.ask.MinHits
	if !listed && cmd.Hits >= p.ask.MinHits {
		p.add(&ntp, cmd)
	}
	if p.ask.Reset {
		cmd.Reset()
	}
}

// add adds a client; either record may be missing.
func (p *page) add(ntp, cmd *clientlog.Record) {
	c := &p.reply.Clients[p.reply.N]
	p.reply.N++
	*c = cmdmon.Client{
		NTPInterval: cmdmon.NoInterval, NKEInterval: cmdmon.NoInterval, CmdInterval: cmdmon.NoInterval, TimeoutInterval: cmdmon.NoInterval,
		NTPLast: cmdmon.NoSample, NKELast: cmdmon.NoSample, CmdLast: cmdmon.NoSample,
	}
	if cmd != nil {
		c.Addr.Addr = cmd.Prefix.Netip().Addr()
		c.CmdHits, c.CmdDrops = cmd.Hits, cmd.Drops
		c.CmdInterval, c.CmdLast = interval(cmd.Interval()), p.age(cmd)
	}
	if !ntp.Last.IsZero() {
		c.Addr.Addr = ntp.Prefix.Netip().Addr()
		c.NTPHits, c.NTPDrops = ntp.Hits, ntp.Drops
		c.NTPInterval, c.TimeoutInterval, c.NTPLast = interval(ntp.Interval()), interval(ntp.HastyInterval()), p.age(ntp)
	}
}

func (p *page) age(r *clientlog.Record) uint32 {
	return uint32(min(max(p.at.Sub(r.Last).Seconds(), 0), cmdmon.NoSample-1))
}

// interval rounds log2 seconds.
func interval(v float64, known bool) int8 {
	if !known {
		return cmdmon.NoInterval
	}
	return int8(math.Round(max(-126, min(v, 126))))
}
