// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// BroadcastConfig is chrony's directive broadcast: packets that nobody asked
// for, sent to a network (mode 5).
type BroadcastConfig struct {
	Interval float64 // seconds between packets (1 to 2^24)
	Dest     netip.AddrPort
}

// broadcast is one such directive at work.
type broadcast struct {
	cfg BroadcastConfig
	due clock.Mono // when the next packet leaves
}

// broadcastJitter is the share of the interval by which a packet may leave
// later, as chrony has it: servers that started together drift apart.
const broadcastJitter = 0.02

// setBroadcasts follows the configuration. A line that stays keeps its phase;
// the first packet of a new one leaves after one interval. Without a server port
// there is nothing to send from.
func (e *Engine) setBroadcasts(now clock.Now) {
	old := e.broadcasts
	e.broadcasts = nil
	if e.cfg.NoServer {
		return
	}
	for _, c := range e.cfg.Broadcasts {
		b := broadcast{cfg: c}
		if at := slices.IndexFunc(old, func(b broadcast) bool { return b.cfg == c }); at >= 0 {
			b = old[at]
			old = slices.Delete(old, at, at+1)
		} else {
			e.delayBroadcast(&b, now)
		}
		e.broadcasts = append(e.broadcasts, b)
	}
}

// delayBroadcast puts the next packet of b off by an interval.
func (e *Engine) delayBroadcast(b *broadcast, now clock.Now) {
	b.due = now.Mono.Add(clock.Seconds(b.cfg.Interval * (1 + broadcastJitter*e.rng.Float64())))
}

// tickBroadcasts sends what is due. It is sent while unsynchronised too, as
// chronyd does: the leap indicator says so, and those who listen learn that the
// server lives.
func (e *Engine) tickBroadcasts(now clock.Now, out *Actions) {
	for i := range e.broadcasts {
		if b := &e.broadcasts[i]; !now.Mono.Before(b.due) {
			e.sendBroadcast(b, now, out)
			e.delayBroadcast(b, now)
		}
	}
}

func (e *Engine) sendBroadcast(b *broadcast, now clock.Now, out *Actions) {
	r := e.published(now)
	p := ntp.Packet{
		Leap: r.Leap, Version: ntp.Version, Mode: ntp.ModeBroadcast, Stratum: r.Stratum,
		Poll: int8(math.Round(math.Log2(b.cfg.Interval))), Precision: e.snap.Precision, RefID: r.RefID,
		RootDelay: ntp.ToShort(r.RootDelay), RootDisp: ntp.ToShort(r.RootDisp),
	}
	if !r.Time.IsZero() {
		p.Reference = ntp.FromInstant(r.Time)
	}
	s := &out.add(ActSend).Send
	s.To = b.cfg.Dest
	s.seal = seal{broadcast: true}
	s.off = len(out.buf)
	out.buf = p.AppendTo(out.buf)
	out.finish(s)
}

// sealBroadcast writes the transmit timestamp for the wall time w.
func (e *Engine) sealBroadcast(b []byte, w clock.Wall) {
	t := ntp.FromInstant(e.snap.Served(w)).Fuzz(e.snap.Precision, e.rng.Uint64())
	binary.BigEndian.PutUint64(b[40:], uint64(t))
}
