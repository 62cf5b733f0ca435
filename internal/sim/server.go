// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// Server answers from true time, or from what its faults make of it. The zero
// value of each fault is none; they may be changed while the world runs.
type Server struct {
	Addr    netip.Addr
	Stratum uint8
	Leap    ntp.Leap
	RefID   ntp.RefID
	Disp    float64                   // root dispersion, seconds
	Offset  func(t float64) float64   // error of its clock, seconds; positive: ahead
	Dead    func(t float64) bool      // does not answer
	Tamper  func(t float64, b []byte) // changes the answer before it leaves
	Repeat  int                       // sends each answer so many times more
	Kiss    ntp.RefID                 // answers with this kiss code
	Silent  bool                      // does not announce leap seconds

	Requests int
	w        *World
	server   *responder.Server
}

// Serve adds a server.
func (w *World) Serve(s *Server) *Server {
	s.w = w
	s.server = responder.NewServer(responder.Config{Stamps: 1024, Random: w.rng.Uint64})
	if s.Stratum == 0 {
		s.Stratum = 1
	}
	if s.RefID == 0 {
		s.RefID = ntp.RefIDLocal
	}
	w.hosts[s.Addr] = s
	return s
}

// Fault returns how far the server's clock is off UTC at true time t, in seconds;
// positive is ahead.
func (s *Server) Fault(t float64) float64 {
	if s.Offset == nil {
		return 0
	}
	return s.Offset(t)
}

// wall returns the reading of the server's clock at true time t.
func (s *Server) wall(t float64) clock.Wall {
	return clock.At[clock.Realtime](s.w.reading(s.w.utc(t) + s.Fault(t)).Nanos())
}

// leap returns the server's leap indicator.
func (s *Server) leap() ntp.Leap {
	if s.Leap != ntp.LeapNone || s.Silent {
		return s.Leap
	}
	return s.w.announced(s.w.now)
}

func (s *Server) snapshot() responder.Snapshot {
	return responder.Snapshot{
		Leap: s.leap(), Stratum: s.Stratum, RefID: s.RefID, RootDisp: s.Disp, Precision: -30,
		RefTime: clock.At[clock.Corrected](s.wall(s.w.now).Nanos() - 1e9),
	}
}

func (s *Server) deliver(d *datagram) {
	s.Requests++
	if s.Dead != nil && s.Dead(s.w.now) {
		return
	}
	snap := s.snapshot()
	now := s.wall(s.w.now)
	stamp := clock.Stamp{Time: now, Kind: clock.StampKernel}
	b := append([]byte(nil), d.data...)
	var r responder.Reply
	if s.server.Receive(b, &responder.Arrival{From: d.from, Stamp: stamp}, &everybody, &snap, &r) != responder.Answer {
		return
	}
	b = b[:r.Len]
	s.server.Transmitted(s.server.Seal(&r, b, now, &snap), stamp, &snap)
	if s.Kiss != 0 {
		b[0] |= byte(ntp.LeapUnsync) << 6
		b[1] = 0
		binary.BigEndian.PutUint32(b[12:], uint32(s.Kiss))
	}
	if s.Tamper != nil {
		s.Tamper(s.w.now, b)
	}
	for range 1 + s.Repeat {
		s.w.send(&datagram{from: d.to, to: d.from, data: b})
	}
}

// everybody may ask.
var everybody = responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
