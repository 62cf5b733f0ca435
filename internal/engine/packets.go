// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"net/netip"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/source"
)

// seal is what is left to do to a datagram at the moment of sending.
type seal struct {
	member *member          // a request of this association
	reply  *responder.Reply // or a reply
	key    auth.Key         // zero: no MAC
	mac    int              // length of the MAC, 0 for none
	body   int              // length without the MAC
	timed  bool

	broadcast bool // or a broadcast
}

// sendRequest turns the request that the association has built into an action.
func (e *Engine) sendRequest(m *member, out *Actions) {
	cfg := m.assoc.Config()
	s := &out.add(ActSend).Send
	s.To, s.Fresh = cfg.Addr, m.req.Fresh
	if cfg.Symmetric {
		s.Peer = m.id
	} else {
		s.Source = m.id
	}
	m.txID = TxID(uint32(m.slot)&0xffff | (uint32(m.txID)&0x7fff0000+0x10000)&0x7fff0000)
	s.TxID = m.txID
	s.seal = seal{member: m, timed: m.req.Timed}
	if cfg.Authenticated {
		s.seal.key = cfg.Key
		s.seal.mac = macLen(cfg.Key, &m.req)
	}
	s.off = len(out.buf)
	out.buf = m.req.Packet.AppendTo(out.buf)
	if m.req.MonoRoot {
		out.buf = source.AppendMonoRootRequest(out.buf)
	}
	out.finish(s)
}

// finish makes room for the MAC behind the datagram of s.
func (a *Actions) finish(s *Send) {
	s.seal.body = len(a.buf) - s.off
	if n := s.seal.mac; n > 0 {
		a.buf = append(a.buf, make([]byte, 4+n)...)
	}
	s.end = len(a.buf)
}

// Seal completes the datagram b of s at the wall time w: transmit timestamp,
// then MAC. The world calls it last before sending.
func (e *Engine) Seal(s *Send, b []byte, w clock.Wall) {
	switch k := &s.seal; {
	case k.broadcast:
		e.sealBroadcast(b, w)
	case k.reply != nil:
		if tag := e.server.Seal(k.reply, b, w, &e.snap); tag >= 0 {
			s.TxID = serverTx | TxID(tag)
		}
	case k.timed:
		t := ntp.FromInstant(e.clk.Correction().Served(w))
		binary.BigEndian.PutUint64(b[40:], uint64(t))
		k.member.assoc.Sealed(t, e.clk.Correction().Served(w))
	case k.member != nil:
		env := source.Env{Correction: e.clk.Correction()}
		k.member.assoc.Transmitted(clock.Stamp{Time: w, Kind: clock.StampDaemon}, &env)
	}
	if k := &s.seal; k.mac > 0 {
		var mac [auth.MaxMACLen]byte
		binary.BigEndian.PutUint32(b[k.body:], k.key.ID())
		copy(b[k.body+4:], k.key.AppendMAC(mac[:0], b[:k.body])[:k.mac])
	}
}

// macLen is the length of the MAC on a request: in version 4 no more than 20
// octets, since more could be taken for extension fields (RFC 7822 section
// 7.5.1.4). chronyd refuses a longer one.
func macLen(k auth.Key, r *source.Request) int {
	if r.Packet.Version == ntp.Version {
		return min(k.MACLen(), auth.ShortMACLen)
	}
	return k.MACLen()
}

// serverTx marks the TxID of a reply; the rest is its tag.
const serverTx TxID = 1 << 31

// Transmitted takes a transmit timestamp in.
func (e *Engine) Transmitted(now clock.Now, tx *Transmitted, out *Actions) {
	if tx.ID&serverTx != 0 {
		e.server.Transmitted(int(tx.ID&^serverTx), tx.Stamp, &e.snap)
		return
	}
	slot := int(tx.ID & 0xffff)
	if slot >= len(e.members) || e.members[slot].txID != tx.ID {
		return
	}
	env := source.Env{Correction: e.clk.Correction()}
	e.members[slot].assoc.Transmitted(tx.Stamp, &env)
}

// Receive takes a datagram in.
func (e *Engine) Receive(now clock.Now, in *Received, out *Actions) {
	e.watch(now, out)
	trustStamp(now, &in.Stamp)
	if in.Source != 0 {
		if m := e.byID[in.Source]; m != nil && !e.asksBack(in) {
			e.answered(m, now, in, out)
			return
		}
		if !e.cfg.SharedPort {
			return
		}
	}
	if m := e.peerOf(in); m != nil {
		e.answered(m, now, in, out)
		return
	}
	e.request(in, out)
}

// A stamp may be this much older than the reading that comes with it, or newer,
// in seconds. Beyond that the clock was stepped in between.
const (
	oldestStamp = 1.0
	newestStamp = 1e-3
)

// trustStamp replaces a stamp that the clock of now cannot have made by the
// reading itself.
func trustStamp(now clock.Now, s *clock.Stamp) {
	if age := now.Wall.Sub(s.Time).Seconds(); age > oldestStamp || age < -newestStamp {
		*s = clock.Stamp{Time: now.Wall, Err: s.Err, Kind: clock.StampDaemon}
	}
}

// asksBack tells whether a server of ours asks us, at a client socket that has
// the server's port (acquisitionport): its request is no answer.
func (e *Engine) asksBack(in *Received) bool {
	return e.cfg.SharedPort && len(in.Data) > 0 && ntp.Mode(in.Data[0]&7) == ntp.ModeClient
}

// peerOf returns the association for a symmetric packet from a configured peer.
func (e *Engine) peerOf(in *Received) *member {
	if len(in.Data) < ntp.HeaderLen {
		return nil
	}
	if mode := ntp.Mode(in.Data[0] & 7); mode != ntp.ModeActive && mode != ntp.ModePassive {
		return nil
	}
	return e.byPeer[in.From]
}

// answered hands a packet to its association.
func (e *Engine) answered(m *member, now clock.Now, in *Received, out *Actions) {
	if e.silenced(m, in) {
		return
	}
	env := e.env(m, now)
	arrival := source.Arrival{Data: in.Data, Local: in.Local, Stamp: in.Stamp}
	v := m.assoc.Receive(&arrival, now, &env)
	switch v {
	case source.Accepted, source.Synced, source.Unsynced, source.NearLeap:
		m.kiss = false
		if !m.assoc.Config().Symmetric {
			out.add(ActHangup).Source = m.id
		}
		e.measured(m, now, out)
	case source.KissOfDeath:
		if !m.kiss {
			m.kiss = true
			out.event(EvKissOfDeath).Source = m.ref()
		}
	}
}

// request answers a request at the server port.
func (e *Engine) request(in *Received, out *Actions) {
	off := len(out.buf)
	out.buf = append(out.buf, in.Data...) // becomes the reply
	r := out.reply()
	arrival := responder.Arrival{From: in.From, Stamp: in.Stamp}
	switch e.server.Receive(out.buf[off:], &arrival, &e.cfg.Policy, &e.snap, r) {
	case responder.Answer, responder.Kissed:
		s := &out.add(ActSend).Send
		s.To, s.Local, s.Iface = in.From, in.Local, in.Iface
		s.seal = seal{reply: r}
		s.off, s.end = off, off+r.Len
		out.buf = out.buf[:s.end]
	default:
		out.buf = out.buf[:off]
		out.replied--
	}
}

// ref names the member in events.
func (m *member) ref() SourceRef {
	c := m.assoc.Config()
	return SourceRef{ID: m.id, Name: c.Name, Addr: c.Addr}
}

// addrPort joins an address, unmapped, and a port.
func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a.Unmap(), port) }
