// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/ntp"
)

// Verdict says what becomes of a datagram at the server port. Its name is the
// label of the counter.
type Verdict uint8

// Verdicts.
const (
	Answer     Verdict = iota // an answer
	Kissed                    // an answer that asks for fewer requests (RATE)
	BadLength                 // not 48 to 1140 octets in steps of four
	BadVersion                // not version 1 to 4
	BadMode                   // not a request
	BadTrailer                // what follows the header is neither field nor MAC
	BadAuth                   // a MAC that we cannot verify
	Denied                    // not allowed
	Limited                   // over the rate limit
	verdictCount
)

var verdictNames = [verdictCount]string{
	"answer", "kiss", "bad_length", "bad_version", "bad_mode", "bad_trailer", "bad_auth", "denied", "limited",
}

func (v Verdict) String() string { return verdictNames[v] }

// Answered tells whether there is an answer to send.
func (v Verdict) Answered() bool { return v == Answer || v == Kissed }

// Verdicts is the number of verdicts.
const Verdicts = int(verdictCount)

// Counters count what a Server did. They only grow.
type Counters struct {
	Verdicts      [Verdicts]uint64
	V6            [Verdicts]uint64    // of Verdicts, those of IPv6
	Versions      [ntp.Version]uint64 // of answers; version v at v-1
	Authenticated uint64              // answers with a MAC
	Interleaved   uint64              // answers in interleaved mode
	TrueTx        uint64              // of those, with a timestamp of the kernel or the card
	DaemonRx      uint64              // answers to requests that the kernel did not stamp
}

// Add adds the counts of o.
func (c *Counters) Add(o *Counters) {
	for i := range c.Verdicts {
		c.Verdicts[i] += o.Verdicts[i]
		c.V6[i] += o.V6[i]
	}
	for i := range c.Versions {
		c.Versions[i] += o.Versions[i]
	}
	c.Authenticated += o.Authenticated
	c.Interleaved += o.Interleaved
	c.TrueTx += o.TrueTx
	c.DaemonRx += o.DaemonRx
}

// Answered returns how many datagrams were answered.
func (c *Counters) Answered() uint64 { return c.Verdicts[Answer] + c.Verdicts[Kissed] }

// Refused returns how many datagrams were not.
func (c *Counters) Refused() (n uint64) {
	for _, v := range c.Verdicts[BadLength:] {
		n += v
	}
	return n
}

// request is a datagram that was judged worth an answer.
type request struct {
	packet  ntp.Packet
	trailer ntp.Trailer
	taken   acl.Flags // from who sent it
	key     auth.Key  // of the MAC, if there is one
}

// read decodes a datagram from source port port.
func (r *request) read(b []byte, port uint16) Verdict {
	if len(b) < ntp.HeaderLen || len(b) > ntp.MaxLen || len(b)%4 != 0 {
		return BadLength
	}
	if !r.packet.Decode(b) {
		return BadVersion
	}
	switch p := &r.packet; {
	case p.Mode == ntp.ModeClient, p.Mode == ntp.ModeActive:
	case p.Mode == ntp.ModeReserved && p.Version == 1 && port != 123:
		// Version 1 had no modes; a client is known by its port.
	default:
		return BadMode
	}
	var ok bool
	if r.trailer, ok = ntp.SplitTrailer(b, r.packet.Version); !ok {
		return BadTrailer
	}
	return Answer
}

// authentic finds the key of the MAC of the request b and tells whether it is
// right; a request without one is. Only version 4 cuts long MACs.
func (r *request) authentic(b []byte, keys auth.Ring) bool {
	t := &r.trailer
	r.key = auth.Key{}
	if len(t.MAC) == 0 {
		return true
	}
	key, ok := keys[t.KeyID]
	if !ok || r.packet.Version != ntp.Version && len(t.MAC) != key.MACLen() || !key.Verify(b[:t.MACOffset], t.MAC) {
		return false
	}
	r.key = key
	return true
}
