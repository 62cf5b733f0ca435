// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"fmt"
	"net/netip"
	"slices"

	"foliot/internal/clock"
	"foliot/internal/engine"
)

// Port numbers of client sockets, as Linux chooses them by default.
const (
	firstPort = 32768
	portCount = 28232
)

// socket is the client socket of an association, connected to one server.
type socket struct {
	source engine.SourceID
	port   uint16
	host   Host
	to     netip.AddrPort
}

// Send implements engine.World.
func (w *World) Send(e *engine.Engine, s *engine.Send, datagram []byte) bool {
	host, ok := hostOf(s.To.Addr())
	if !ok || w.err != nil || s.Source == 0 && !w.listens {
		return false
	}
	m := Message{
		Kind: KindUDP, Host: host, DstPort: uint32(s.To.Port()),
		SrcPort: uint32(w.opt.port()), Data: datagram,
	}
	if s.Source != 0 {
		m.SrcPort = uint32(w.clientSocket(s, host).port)
	}
	wall := w.Now().Wall
	e.Seal(s, datagram, wall)
	if err := w.conn.Send(&m); err != nil {
		w.err = fmt.Errorf("send to %s: %w", s.To, err)
		return false
	}
	if w.env.stamps && s.TxID != 0 {
		stamp := clock.Stamp{Time: wall, Kind: clock.StampKernel}
		w.sent = append(w.sent, engine.Transmitted{ID: s.TxID, Stamp: stamp})
	}
	return true
}

// clientSocket returns the socket of the source, a new one if it is to be fresh
// or has none.
func (w *World) clientSocket(s *engine.Send, host Host) *socket {
	if !s.Fresh {
		for i := range w.sockets {
			if c := &w.sockets[i]; c.source == s.Source && c.to == s.To {
				return c
			}
		}
	}
	w.hangup(s.Source)
	port := w.opt.ClientPort
	if port == 0 {
		port = w.freePort()
	}
	w.sockets = append(w.sockets, socket{source: s.Source, port: port, host: host, to: s.To})
	return &w.sockets[len(w.sockets)-1]
}

func (w *World) freePort() uint16 {
	for {
		p := uint16(firstPort + w.rng.IntN(portCount))
		used := func(c socket) bool { return c.port == p }
		if p != w.opt.port() && !slices.ContainsFunc(w.sockets, used) {
			return p
		}
	}
}

// hangup closes the client socket of a source.
func (w *World) hangup(id engine.SourceID) {
	w.sockets = slices.DeleteFunc(w.sockets, func(c socket) bool { return c.source == id })
}

// receive takes the oldest message from the server and hands it to whoever has
// a socket for it. Other kinds of socket would take their messages here.
func (w *World) receive() error {
	m, err := w.conn.Receive()
	if err != nil {
		return fmt.Errorf("receive message: %w", err)
	}
	if m.Kind != KindUDP {
		return nil
	}
	in, ok := w.accept(&m)
	if !ok {
		return nil
	}
	w.packet = append(w.packet[:0], m.Data...) // the next request overwrites m.Data
	in.Data = w.packet
	for range w.env.multiply {
		w.engine.Receive(w.Now(), &in, &w.acts)
		w.engine.Perform(w, &w.acts)
	}
	return nil
}

// accept finds the NTP socket that a datagram is for and describes it as a fact.
// A client socket gets only what its server sends; the server's port gets the
// rest while it is open.
func (w *World) accept(m *Message) (engine.Received, bool) {
	now := w.Now()
	in := engine.Received{
		Local: Host{Subnet: m.Host.Subnet, Node: w.env.node}.addr(w.env.ipv6),
		Stamp: clock.Stamp{Time: now.Wall, Kind: clock.StampDaemon},
	}
	if w.env.stamps {
		in.Stamp.Kind = clock.StampKernel
	}
	for i := range w.sockets {
		c := &w.sockets[i]
		if m.DstPort == uint32(c.port) && m.SrcPort == uint32(c.to.Port()) && m.Host == c.host {
			in.Source, in.From = c.source, c.to
			in.Local = Host{Subnet: m.Host.Subnet, Node: w.env.node}.addr(c.to.Addr().Is6())
			return in, true
		}
	}
	from := m.Host.addr(w.env.ipv6)
	if !w.listens || m.DstPort != uint32(w.opt.port()) || !from.IsValid() || m.SrcPort > 0xffff {
		return in, false
	}
	in.From = netip.AddrPortFrom(from, uint16(m.SrcPort))
	return in, true
}
