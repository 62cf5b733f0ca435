// SPDX-License-Identifier: Apache-2.0

// Package command answers chronyc: it is the daemon's side of chrony's command and
// monitoring protocol ([foliot/internal/cmdmon]), on unix datagram sockets and on
// UDP. It decides who may ask what, turns a [state.State] into reports, and hands
// orders to the daemon. What an order does is the daemon's business.
//
// The one concept is the way that a request came. What comes through a unix socket
// was sent by somebody who may enter its directory, and may do everything. What
// comes over the network may only read, and only what is open; the address is the
// sender's word, so an answer is never longer than what was received.
package command

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/state"
)

// Daemon is what the server asks. Any goroutine may call its methods.
type Daemon interface {
	// State returns a State that is not older than age. Unless the threads that
	// serve are to be asked too, what they did may be older.
	State(ctx context.Context, age time.Duration, threads bool) (*state.State, error)
	// Clients hands the records of NTP clients from slot on to f, until that
	// reports false. It returns the slot to go on with and how many slots there
	// are. f must be quick.
	Clients(slot int, f func(r *clientlog.Record) bool) (next, slots int)
	// Client returns the record of one NTP client.
	Client(p clientlog.Prefix) (clientlog.Record, bool)
	// Order carries a command out that changes something. The next State shows
	// what it changed.
	Order(ctx context.Context, c cmdmon.Command, m cmdmon.Request) (cmdmon.Reply, cmdmon.Status)
}

// Policy is what people decided about commands over the network.
type Policy struct {
	Access *acl.Table // who may ask beside this host itself; nil: nobody
	Limit  *clientlog.Limit
	Open   map[cmdmon.Command]bool // what may be asked
}

// Ages of a State that will do, and how long a command may take.
const (
	youngest = 50 * time.Millisecond // chronyc asks several times for one report
	patience = 3 * time.Second       // chronyc gives up after about 7 s
)

// Verdict says what becomes of a datagram. Its name is the label of the counter.
type Verdict uint8

// Verdicts, those that drop a datagram in the order of the tests.
const (
	Answered   Verdict = iota
	Denied             // not in cmdallow
	BadLength          // no length that a request can have
	NotRequest         // a reply, or nothing of this protocol
	Limited            // over cmdratelimit
	TooOld             // a version that would not understand the answer
	Busy               // the daemon had no State in time
	Overlong           // the answer would be longer than the request
	Unsent             // the kernel did not take the answer
	Verdicts   = iota
)

var verdictNames = [Verdicts]string{
	"answered", "denied", "bad_length", "not_request", "limited", "too_old", "busy", "overlong", "unsent",
}

func (v Verdict) String() string { return verdictNames[v] }

// Server answers requests. Goroutines may share it.
type Server struct {
	daemon   Daemon
	counters [Verdicts]atomic.Uint64
	hits     atomic.Uint64 // requests, whatever became of them

	mu      sync.Mutex // guards what follows
	policy  Policy
	clients *clientlog.Table
	random  *rand.ChaCha8
	sockets []*socket
	changed func(*acl.Table)
	running bool
	closing atomic.Bool
}

// New returns a server without sockets. It remembers clients in so many octets.
func New(d Daemon, p Policy, memory int64, seed [32]byte) *Server {
	s := &Server{daemon: d, policy: p, random: rand.NewChaCha8(seed)}
	s.clients = clientlog.New(memory, clientlog.HashKey{s.random.Uint64(), s.random.Uint64()})
	return s
}

// Enact makes p the policy from the next request on.
func (s *Server) Enact(p Policy) {
	s.mu.Lock()
	s.policy = p
	s.mu.Unlock()
}

// OnAccess has f told who may ask whenever an order changes that.
func (s *Server) OnAccess(f func(*acl.Table)) { s.changed = f }

// Change lets f change the policy. f must not change what the policy points at.
func (s *Server) Change(f func(p *Policy)) {
	s.mu.Lock()
	f(&s.policy)
	s.mu.Unlock()
}

// Allowed tells whether a may ask over the network, this host left aside.
func (s *Server) Allowed(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.Access.Allowed(a)
}

// Counts returns how many datagrams got each verdict.
func (s *Server) Counts() (by [Verdicts]uint64) {
	for i := range by {
		by[i] = s.counters[i].Load()
	}
	return by
}

// Hits returns how many requests came and how many of them were not answered;
// what is no request, or comes from somebody who may not ask, is neither.
func (s *Server) Hits() (hits, drops uint64) {
	for v := Limited; int(v) < Verdicts; v++ {
		drops += s.counters[v].Load()
	}
	return s.hits.Load(), drops
}

// request is one datagram and where it came from.
type request struct {
	b      []byte
	from   netip.Addr // invalid: a unix socket
	at     clock.Wall
	header cmdmon.RequestHeader
}

// local tells whether the request came from this host itself.
func (r *request) local() bool { return !r.from.IsValid() || r.from.IsLoopback() }

// Answer judges the datagram b from an address, invalid for a unix socket, and
// appends the answer to out. If the verdict is not Answered there is none.
func (s *Server) Answer(ctx context.Context, b []byte, from netip.Addr, at clock.Wall, out []byte) ([]byte, Verdict) {
	r := request{b: b, from: from.Unmap(), at: at}
	start := len(out)
	out, v := s.answer(ctx, &r, out)
	if len(out)-start > len(b) {
		v = Overlong
	}
	if v != Answered {
		out = out[:start]
	}
	return out, v
}

func (s *Server) answer(ctx context.Context, r *request, out []byte) ([]byte, Verdict) {
	open, v := s.admit(r)
	if v != Answered {
		return out, v
	}
	h := cmdmon.ReplyHeader{Command: r.header.Command, Sequence: r.header.Sequence}
	var reply cmdmon.Reply
	if r.header.Version != cmdmon.Version {
		if r.header.Version < cmdmon.MinVersion {
			return out, TooOld
		}
		h.Status = cmdmon.BadPacketVersion
	} else if h.Status = complete(r); h.Status == cmdmon.Success {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if reply, h.Status, v = s.dispatch(ctx, r, open); v != Answered {
			return out, v
		}
	}
	return cmdmon.AppendReply(out, h, reply), Answered
}

// admit decides whether a datagram is looked into, and tells whether its command
// may be given that way.
func (s *Server) admit(r *request) (open bool, v Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !r.local() && !s.policy.Access.Allowed(r.from):
		return false, Denied
	case len(r.b) < cmdmon.MinRequest || len(r.b) > cmdmon.MaxRequest:
		return false, BadLength
	case !r.header.Decode(r.b):
		return false, NotRequest
	}
	s.hits.Add(1)
	if !r.from.IsValid() {
		return true, Answered
	}
	limit := s.policy.Limit
	if r.local() {
		limit = nil
	}
	const someVersion = 1 // of NTP, which the table wants to know
	if s.clients.Hit(clientlog.PrefixOf(r.from), r.at, someVersion, limit, s.random.Uint64) != clientlog.Pass {
		return false, Limited
	}
	return s.policy.Open[r.header.Command], Answered
}

// complete tells what is wrong with a request of our version before anybody looks
// at its data.
func complete(r *request) cmdmon.Status {
	c := r.header.Command
	if !c.Known() {
		return cmdmon.Invalid
	}
	if _, older := cmdmon.OlderReply(c, len(r.b)); len(r.b) < cmdmon.RequestLen(c) && !older {
		return cmdmon.BadPacketLength
	}
	return cmdmon.Success
}

// dispatch has a complete request answered, if it may be given that way.
func (s *Server) dispatch(ctx context.Context, r *request, open bool) (cmdmon.Reply, cmdmon.Status, Verdict) {
	c := r.header.Command
	if !open {
		return nil, cmdmon.Unauthorised, Answered
	}
	report, reads := reports[c]
	switch {
	case reads:
		st, err := s.daemon.State(ctx, youngest, c == cmdmon.ServerStats)
		if err != nil {
			return nil, 0, Busy
		}
		if c == cmdmon.ServerStats {
			// Those of this protocol are at hand, and as of now.
			fresh := *st
			fresh.Server.CmdHits, fresh.Server.CmdDrops = s.Hits()
			st = &fresh
		}
		reply, status := report(st, r.b)
		return reply, status, Answered
	case c == cmdmon.Clients:
		return s.clientsReport(ctx, r)
	}
	m := body(c)
	if m != nil && !cmdmon.DecodeRequest(r.b, m) {
		return nil, cmdmon.BadPacketLength, Answered
	}
	reply, status := s.order(ctx, c, m)
	return reply, status, Answered
}

// order carries out what changes something.
func (s *Server) order(ctx context.Context, c cmdmon.Command, m cmdmon.Request) (cmdmon.Reply, cmdmon.Status) {
	switch m := m.(type) {
	case *cmdmon.Subnet:
		switch c {
		case cmdmon.CmdAllow, cmdmon.CmdAllowAll, cmdmon.CmdDeny, cmdmon.CmdDenyAll:
			return nil, s.changeAccess(c, m)
		}
	case *cmdmon.Address:
		if c == cmdmon.CmdAccessCheck {
			return nil, access(s.Allowed(m.Addr.Addr))
		}
	}
	return s.daemon.Order(ctx, c, m)
}

func access(allowed bool) cmdmon.Status {
	if allowed {
		return cmdmon.AccessAllowed
	}
	return cmdmon.AccessDenied
}

// changeAccess is cmdallow and cmddeny.
func (s *Server) changeAccess(c cmdmon.Command, m *cmdmon.Subnet) cmdmon.Status {
	rule, ok := Rule(c, m)
	if !ok {
		return cmdmon.BadSubnet
	}
	s.Change(func(p *Policy) {
		p.Access = p.Access.With(rule)
		if s.changed != nil {
			s.changed(p.Access)
		}
	})
	return cmdmon.Success
}

// Rule returns the rule that one of the eight commands allow and deny adds, false
// if there is no such network.
func Rule(c cmdmon.Command, m *cmdmon.Subnet) (acl.Rule, bool) {
	var r acl.Rule
	switch c {
	case cmdmon.Allow, cmdmon.CmdAllow:
		r.Allow = true
	case cmdmon.AllowAll, cmdmon.CmdAllowAll:
		r.Allow, r.All = true, true
	case cmdmon.DenyAll, cmdmon.CmdDenyAll:
		r.All = true
	}
	if a := m.Addr.Addr; !a.IsValid() {
		// Without an address both families are meant, and no network in them.
		r.Everything = true
		return r, m.Addr.ID == 0 && m.Bits == 0
	} else if m.Bits < 0 || int(m.Bits) > a.BitLen() {
		return r, false
	} else {
		r.Prefix = netip.PrefixFrom(a, int(m.Bits)).Masked()
	}
	return r, true
}
