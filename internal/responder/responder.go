// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"encoding/binary"
	"math"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Policy is what people decided about serving. Immutable; threads share it.
type Policy struct {
	Access *acl.Table // who may ask; nil: nobody
	// Restrict takes away from those who may; nil: nothing.
	Restrict *acl.Restrictions
	Keys     auth.Ring        // that requests may be authenticated with
	Limit    *clientlog.Limit // how often; nil: as often as they like
	// Some: Limit is for those whose restriction has the flag limited, and kisses
	// are for those whose has kod.
	Some bool
}

// Config is what a Server is made with.
type Config struct {
	Stamps int               // clients in interleaved mode at a time; 0: the mode is off
	Log    int64             // memory for records of clients, octets; 0: none are kept
	Key    clientlog.HashKey // random and secret
	Random func() uint64
}

// Server answers requests. Not safe for concurrent use: each thread that answers
// owns one.
type Server struct {
	Counters Counters

	stamps  *stampStore
	clients *clientlog.Table
	key     clientlog.HashKey
	random  func() uint64
	req     request // scratch
}

// NewServer returns a server that has not heard of anybody.
func NewServer(c Config) *Server {
	return &Server{
		stamps:  newStampStore(c.Stamps, c.Key[0]),
		clients: clientlog.New(c.Log, c.Key),
		key:     c.Key,
		random:  c.Random,
	}
}

// Clients returns the records of those who asked, nil if none are kept.
func (s *Server) Clients() *clientlog.Table { return s.clients }

// Stamps returns how many transmit timestamps are held for clients in
// interleaved mode, and over what time.
func (s *Server) Stamps() (n int, span clock.Interval) { return s.stamps.span() }

// Arrival is where a datagram came from, and when.
type Arrival struct {
	From  netip.AddrPort
	Stamp clock.Stamp
}

// Reply is an answer that lacks its transmit timestamp, and the MAC that covers it.
type Reply struct {
	Len         int  // octets of the whole answer
	Interleaved bool // it tells when the answer before was sent
	origin      ntp.Timestamp
	receive     ntp.Timestamp
	tag         int      // in the stamp store, -1 for none
	key         auth.Key // of the MAC
	body, mac   int      // octets before the MAC; of the MAC, 0 for none
}

// Receive judges the datagram b. If the verdict is [Answer] or [Kissed], b[:out.Len]
// has become an answer that [Server.Seal] completes; else b is as it was.
func (s *Server) Receive(b []byte, in *Arrival, p *Policy, snap *Snapshot, out *Reply) Verdict {
	v := s.judge(b, in, p)
	s.Counters.Verdicts[v]++
	if in.From.Addr().Is6() {
		s.Counters.V6[v]++
	}
	if v.Answered() {
		s.count(in)
		s.respond(b, in, p, snap, v == Kissed, out)
	}
	return v
}

// judge is the order in which requests are turned away: first what costs least
// to see. Records are kept only of those who may ask, and keys are tried only
// as often as the limit allows.
func (s *Server) judge(b []byte, in *Arrival, p *Policy) Verdict {
	r := &s.req
	if v := r.read(b, in.From.Port()); v != Answer {
		return v
	}
	addr := in.From.Addr()
	if !p.Access.Allowed(addr) {
		return Denied
	}
	r.taken = p.Restrict.Of(in.From)
	if r.taken != 0 && s.restricted(r) {
		return Denied
	}
	v := Answer
	switch s.clients.Hit(clientlog.PrefixOf(addr), in.Stamp.Time, r.packet.Version, p.limit(r.taken), s.random) {
	case clientlog.Drop:
		return Limited
	case clientlog.Kiss:
		if v = Kissed; p.Some && r.taken&acl.KoD == 0 {
			return Limited
		}
	}
	if !r.authentic(b, p.Keys) {
		return BadAuth
	}
	return v
}

// restricted tells whether what is taken away from the sender of r leaves no answer.
func (s *Server) restricted(r *request) bool {
	const drops = 10 // ntpd loses one packet in ten for who has the flag flake
	f := r.taken
	return f&(acl.Ignore|acl.NoServe) != 0 ||
		f&acl.Version != 0 && r.packet.Version != ntp.Version ||
		f&acl.NoTrust != 0 && len(r.trailer.MAC) == 0 ||
		f&acl.Flake != 0 && s.random()%drops == 0
}

// limit returns the rate limit for those from whom f is taken away.
func (p *Policy) limit(f acl.Flags) *clientlog.Limit {
	if p.Some && f&acl.Limited == 0 {
		return nil
	}
	return p.Limit
}

// count notes what kinds of requests are answered.
func (s *Server) count(in *Arrival) {
	c := &s.Counters
	c.Versions[s.req.packet.Version-1]++
	if len(s.req.trailer.MAC) != 0 {
		c.Authenticated++
	}
	if in.Stamp.Kind == clock.StampDaemon {
		c.DaemonRx++
	}
}

// respond writes the answer over the request b.
func (s *Server) respond(b []byte, in *Arrival, p *Policy, snap *Snapshot, kiss bool, out *Reply) {
	q := &s.req.packet
	received := snap.Served(in.Stamp.Time)
	*out = Reply{tag: -1, key: s.req.key, mac: len(s.req.trailer.MAC)}
	a := ntp.Packet{
		Version: q.Version, Mode: answerMode(q.Mode), Poll: q.Poll, Precision: snap.Precision,
		Origin:  q.Transmit,
		Receive: ntp.FromInstant(received).Fuzz(snap.Precision, s.random()) | 1,
	}
	if l := p.limit(s.req.taken); l != nil {
		a.Poll = max(a.Poll, l.Interval)
	}
	if kiss {
		a.Leap, a.RefID = ntp.LeapUnsync, ntp.KissRate
	} else {
		snap.describe(received, &a)
		s.interleave(q, in.From.Addr(), &a, out)
	}
	out.origin, out.receive = a.Origin, a.Receive
	out.body = ntp.HeaderLen + s.putFields(b, in.Stamp.Time, snap)
	out.Len = out.body
	if out.mac > 0 {
		out.Len += 4 + out.mac
	}
	a.Encode(b)
}

// describe fills in what the answer says about our clock at the instant at.
func (s *Snapshot) describe(at clock.Served, a *ntp.Packet) {
	a.Leap, a.Stratum, a.RefID = s.Leap, s.Stratum, s.RefID
	a.RootDelay = ntp.ToShort(s.RootDelay)
	a.RootDisp = ntp.ToShort(s.RootDisp + math.Abs(at.Sub(s.RefTime).Seconds())*s.DispRate)
	if !s.RefTime.IsZero() {
		// Smoothed like the other timestamps: none of them may lie before it.
		a.Reference = ntp.FromInstant(s.RefTime.Shift(s.Smooth.at(at)))
	}
}

// interleave looks up when the answer before was really sent, for a client that
// repeats the receive timestamp of that answer as its origin (RFC 9769 section
// 2). Only such clients cost memory: they are known by the lowest bit, 1 in our
// receive timestamps and 0 in our transmit timestamps.
func (s *Server) interleave(q *ntp.Packet, from netip.Addr, a *ntp.Packet, out *Reply) {
	if s.stamps == nil || q.Version != ntp.Version || q.Mode == ntp.ModeActive || q.Origin&1 == 0 || q.Receive == q.Transmit {
		return
	}
	who := s.key.Address(from)
	if e := s.stamps.take(q.Origin, who); e.sent != 0 && q.Receive != 0 {
		a.Origin, a.Transmit = q.Receive, e.sent
		out.Interleaved = true
		s.Counters.Interleaved++
		if e.kind != clock.StampDaemon {
			s.Counters.TrueTx++
		}
	}
	out.tag = s.stamps.put(a.Receive, who)
}

// answerMode is the mode of an answer to a request of mode m.
func answerMode(m ntp.Mode) ntp.Mode {
	if m == ntp.ModeActive {
		return ntp.ModePassive
	}
	return ntp.ModeServer
}

// Seal completes the answer in b: the transmit timestamp, the wall time w at
// which it leaves, decided as late as possible, and the MAC. It returns the tag,
// below 2^30, under which to tell [Server.Transmitted] when it really left, or -1.
func (s *Server) Seal(r *Reply, b []byte, w clock.Wall, snap *Snapshot) int {
	t := s.transmit(r, ntp.FromInstant(snap.Served(w)), snap.Precision)
	if !r.Interleaved {
		binary.BigEndian.PutUint64(b[40:], uint64(t))
	}
	if r.tag >= 0 {
		s.stamps.set(r.tag, t, clock.StampDaemon)
	}
	if r.mac > 0 {
		var mac [auth.MaxMACLen]byte
		binary.BigEndian.PutUint32(b[r.body:], r.key.ID())
		copy(b[r.body+4:r.Len], r.key.AppendMAC(mac[:0], b[:r.body]))
	}
	return r.tag
}

// transmit makes the transmit timestamp of t: unlike every other timestamp in
// the answer, so that it cannot be taken for one of them.
func (s *Server) transmit(r *Reply, t ntp.Timestamp, precision int8) ntp.Timestamp {
	for {
		f := t.Fuzz(precision, s.random()) &^ 1
		if f != r.origin && f != r.receive && f != 0 {
			return f
		}
		t += 2
	}
}

// Transmitted tells when the answer with a tag really left. Of two stamps the one
// from nearer to the wire counts, whichever comes first. Stamps that come too late
// or make no sense are not believed.
func (s *Server) Transmitted(tag int, at clock.Stamp, snap *Snapshot) {
	e := s.stamps.entry(tag)
	if e == nil || at.Kind < e.kind {
		return
	}
	left := snap.Served(at.Time)
	if d := left.Sub(e.sent.Served()); d >= -earliest && d <= clock.Second {
		s.stamps.set(tag, ntp.FromInstant(left)&^1, at.Kind)
	}
}

// earliest is how long before the foretold time a datagram may have left.
const earliest = clock.Millisecond
