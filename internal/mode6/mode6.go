// SPDX-License-Identifier: Apache-2.0

// Package mode6 answers NTP control messages (RFC 9327, RFC 1305 appendix B), so
// that ntpq and what is built on it show foliotd as they show ntpd. It renders
// one [state.State] and computes nothing that is not in it; it has no socket, reads
// no clock, and there is no path by which a message could change anything:
// whatever writes is answered with an error.
//
// The one concept is the [Responder]: the octets of a request, their sender and
// the state go in, the datagrams of the answer come out.
//
// # Who is answered
//
// A request of 12 octets asks for kilobytes, and its sender's address may be forged:
// that is the amplification of CVE-2013-5211. ntpq expects it so; there is no
// handshake before it reads variables. What is decided here:
//
//   - Only those whom [Policy].Access names are answered at all, with data or with an
//     error. By default that is the machine itself (127.0.0.0/8 and ::1): no packet
//     from outside can come from there, the kernel drops them as martians. All
//     others meet silence, as with ntpd's "restrict default noquery".
//   - To other machines that Access names, what answers are longer than their requests
//     is taken out of a purse that fills by [Policy].Surplus octets each second.
//     Whoever forges the addresses of that network gains no more than that.
//   - The list of clients, which is long, goes only to who returns a nonce that was
//     sent to the same address and port less than 16 seconds ago. It is that nonce
//     that proves the address, so that the list costs nothing of the purse.
//   - Errors have 12 octets, which no request falls short of. Answers are marked as
//     such, and what is marked as one is not answered: there are no loops.
package mode6

import (
	"cmp"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/state"
)

// Policy is what people decided about control messages. The zero Policy answers
// the machine itself.
type Policy struct {
	Access *acl.Table // who may ask; nil: the machine itself
	// Restrict takes away from those (noquery, ignore; nomrulist); nil: nothing.
	Restrict *acl.Restrictions
	Surplus  int // octets a second of longer answers to other machines; 0: 16384
}

const defaultSurplus = 16384

// Config is what a Responder is made with.
type Config struct {
	Policy  Policy
	Secret  [32]byte // random and secret, for nonces
	Machine Machine
}

// Machine is what uname(2) says, for three variables.
type Machine struct{ Processor, System, Release string }

// Request is a datagram, and what it may be answered with.
type Request struct {
	Octets  []byte
	From    netip.AddrPort
	Now     clock.Now                 // when it is answered
	State   *state.State              // not nil
	Clients func() []clientlog.Record // copies of all records, asked for with a nonce only; nil: none
}

// Verdict says what became of a datagram. Its name is the label of the counter.
type Verdict uint8

// Verdicts. All but the first two are silence.
const (
	Answered   Verdict = iota // with data
	Failed                    // with an error
	BadLength                 // shorter than a header
	BadVersion                // not version 1 to 4
	BadMode                   // not mode 6, an answer, or part of a message
	Denied                    // not by Policy
	BadNonce                  // no nonce, not ours, or too old
	Throttled                 // the purse is empty
	verdictCount
)

var verdictNames = [verdictCount]string{
	"answered", "failed", "bad_length", "bad_version", "bad_mode", "denied", "bad_nonce", "throttled",
}

func (v Verdict) String() string { return verdictNames[v] }

// Verdicts is the number of verdicts.
const Verdicts = int(verdictCount)

// Counters count what a Responder did. They only grow.
type Counters struct {
	Verdicts      [Verdicts]uint64
	Received      uint64 // datagrams
	OctetsIn      uint64 // of requests that were answered
	OctetsOut     uint64 // of answers
	DatagramsSent uint64
}

// Responder answers requests. Not safe for concurrent use: one goroutine owns it.
type Responder struct {
	Counters Counters

	config Config
	purse  purse
	list   snapshot // of clients

	// The request in hand, and memory that is used again.
	req    *Request
	head   header
	view   view
	text   text
	proven bool // the sender returned a nonce
	octets []byte
	frags  [][]byte
}

// New returns a responder that has answered nobody.
func New(c Config) *Responder {
	return &Responder{config: c}
}

// SetPolicy changes who is answered.
func (r *Responder) SetPolicy(p Policy) { r.config.Policy = p }

// Respond returns the datagrams that answer q, none for silence. They are valid
// until the next call.
func (r *Responder) Respond(q *Request) [][]byte {
	r.Counters.Received++
	r.req, r.proven = q, false
	r.frags = r.frags[:0]
	v := r.judge()
	if v == Answered {
		v = r.answer()
	}
	if v <= Failed && !r.affordable() {
		v, r.frags = Throttled, r.frags[:0]
	}
	r.Counters.Verdicts[v]++
	if v <= Failed {
		r.Counters.OctetsIn += uint64(len(q.Octets))
		r.Counters.OctetsOut += uint64(total(r.frags))
		r.Counters.DatagramsSent += uint64(len(r.frags))
	}
	clear(r.view.all) // the state may go
	r.req, r.view = nil, view{used: r.view.used, all: r.view.all}
	return r.frags
}

// Worth tells whether b, come from that address, is a request that p lets be
// answered. It costs next to nothing, so that who hands datagrams over to a
// Responder need not hand over what it would drop.
func (p Policy) Worth(b []byte, from netip.AddrPort) bool {
	var h header
	return h.read(b) == Answered && p.allows(from)
}

// allows tells whether from may ask. Nobody asks from port 0.
func (p Policy) allows(from netip.AddrPort) bool {
	if from.Port() == 0 || p.Restrict.Of(from)&(acl.Ignore|acl.NoQuery) != 0 {
		return false
	}
	if p.Access == nil {
		return from.Addr().Unmap().IsLoopback()
	}
	return p.Access.Allowed(from.Addr())
}

func (r *Responder) judge() Verdict {
	if v := r.head.read(r.req.Octets); v != Answered {
		return v
	}
	if !r.config.Policy.allows(r.req.From) {
		return Denied
	}
	return Answered
}

// answer carries the request out.
func (r *Responder) answer() Verdict {
	r.view.take(r)
	r.text.reset()
	body, ok := r.head.body(r.req.Octets)
	if !ok {
		return r.fail(badFormat)
	}
	status, err := r.perform(body)
	switch err {
	case noError:
		r.fragment(status)
		return Answered
	case silence:
		return BadNonce
	}
	return r.fail(err)
}

// perform writes the data of the answer and returns its status word.
func (r *Responder) perform(body []byte) (status uint16, err failure) {
	switch r.head.op {
	case opUnspec:
		return r.status()
	case opReadStatus:
		return r.readStatus()
	case opReadVariables:
		return r.readVariables(body)
	case opReadClock:
		return r.readClock(body)
	case opReadMRU:
		if r.config.Policy.Restrict.Of(r.req.From)&acl.NoMRU != 0 {
			return 0, noPermission
		}
		return 0, r.readClients(body)
	case opNonce:
		r.text.bare("nonce", r.nonce())
		return 0, noError
	case opWriteVariables, opWriteClock, opSetTrap, opConfigure, opSaveConfig, opOrderedList, opUnsetTrap:
		return 0, noPermission
	}
	return 0, badOperation
}

// affordable pays for the answer, if it must be paid for.
func (r *Responder) affordable() bool {
	surplus := total(r.frags) - len(r.req.Octets)
	if surplus <= 0 || r.proven || r.req.From.Addr().Unmap().IsLoopback() {
		return true
	}
	return r.purse.spend(surplus, cmp.Or(r.config.Policy.Surplus, defaultSurplus), r.req.Now.Mono)
}

func total(datagrams [][]byte) (n int) {
	for _, b := range datagrams {
		n += len(b)
	}
	return n
}
