// SPDX-License-Identifier: Apache-2.0

// Package conformance says what an NTP server answers: one table of requests and
// replies, and sweeps over all lengths, modes and versions, for whatever answers.
// It knows nothing of clients, and nothing of how good the served time is.
//
// The one concept is the [Target], a server that can be put into a [State] and
// asked. What foliot answers is the table's word; where a target means to answer
// otherwise, the row says so, with the reason, and that is tested as well.
package conformance

import (
	"errors"
	"fmt"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Target is a server under test.
type Target interface {
	// Name is how rows call the target, and the prefix of its failures.
	Name() string
	// Enter puts the server into a state and returns once it is served. The error
	// is errors.ErrUnsupported where the target has no way into the state.
	Enter(s *State) error
	// Exchange sends requests from an address of this package and returns all that
	// came back, in order of arrival.
	Exchange(from netip.AddrPort, requests ...[]byte) ([][]byte, error)
	// Now returns the true time, by which the timestamps of answers are judged.
	Now() clock.Served
}

// Names of targets that rows speak of.
const (
	Core    = "core"
	Foliotd = "foliotd"
	Chronyd = "chronyd"
)

// Addresses that clients ask from; Denied may not ask. All of IPv6 that a client
// commands is one /64, so each has its own.
var (
	Clients4 = netip.MustParsePrefix("10.78.0.0/16")
	Clients6 = netip.MustParsePrefix("fd78::/32")
	Denied4  = netip.MustParsePrefix("10.79.0.0/16")
	Denied6  = netip.MustParsePrefix("fd79::/32")
)

// client returns address n of a prefix.
func client(p netip.Prefix, n int) netip.Addr {
	a := p.Addr().As16()
	if p.Addr().Is4() {
		return netip.AddrFrom4([4]byte{a[12], a[13], byte(n >> 8), byte(n)})
	}
	a[6], a[7], a[15] = byte(n>>8), byte(n), 1
	return netip.AddrFrom16(a)
}

// Row is a test: requests in order, each with what comes back.
type Row struct {
	Name  string
	Steps []Step
	But   []But
}

// But says what a target answers instead, and why that is meant.
type But struct {
	Target string
	Wants  []Want // of each step
	Why    string
}

// Step is one request of a row.
type Step struct {
	Ask  Ask
	Want Want
	From From
}

// From says who asks. The zero value is the client of the row, over IPv4, from an
// ordinary port.
type From struct {
	Another bool // another client than the row's
	V6      bool
	Denied  bool
	Port    uint16
}

// addr returns the address of the client of row n.
func (f From) addr(n int) netip.AddrPort {
	if f.Another {
		n += 1 << 15
	}
	p := Clients4
	switch {
	case f.V6 && f.Denied:
		p = Denied6
	case f.V6:
		p = Clients6
	case f.Denied:
		p = Denied4
	}
	port := f.Port
	if port == 0 {
		port = 20123 // not one that the kernel gives to others
	}
	return netip.AddrPortFrom(client(p, n), port)
}

// wants returns what a target answers to each step.
func (r *Row) wants(target string) []Want {
	for _, b := range r.But {
		if b.Target == target {
			return b.Wants
		}
	}
	out := make([]Want, len(r.Steps))
	for i, s := range r.Steps {
		out[i] = s.Want
	}
	return out
}

// Report is told how each row went; err is nil if it went as the table says.
type Report func(name string, err error)

// Run puts t into a state and runs the rows of the state. n numbers the clients,
// so that every row of a target has its own.
func Run(t Target, s *State, n *int, report Report) error {
	if err := t.Enter(s); err != nil {
		return err
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		*n++
		report(r.Name, s.run(t, r, *n))
	}
	return nil
}

// run runs one row.
func (s *State) run(t Target, r *Row, n int) error {
	var h History
	for i, want := range r.wants(t.Name()) {
		step := &r.Steps[i]
		ask := step.Ask(h, fresh(n, i))
		x := Exchanged{Request: ask, Before: t.Now()}
		replies, err := t.Exchange(step.From.addr(n), ask)
		x.After = t.Now()
		if err != nil {
			return err
		}
		if len(replies) > 1 {
			return fmt.Errorf("step %d: %d answers to one request", i, len(replies))
		}
		if len(replies) == 1 {
			x.Reply = replies[0]
		}
		if err := s.judge(t.Name(), want, &x, h); err != nil {
			return fmt.Errorf("step %d: %w%s", i, err, &x)
		}
		h = append(h, x)
	}
	return nil
}

// fresh is a transmit timestamp that no other step has: random to look at, as
// those of clients are.
func fresh(n, step int) ntp.Timestamp {
	x := uint64(n)<<8 | uint64(step) | 1<<40
	return ntp.Timestamp(x * 0x9E3779B97F4A7C15)
}

// Exchanged is a request and its reply, nil for none.
type Exchanged struct {
	Request, Reply []byte
	Before, After  clock.Served // true time
}

// String shows as much as a reader can look through.
func (x *Exchanged) String() string {
	const most = 120 // octets
	return fmt.Sprintf("\nrequest %x\nreply   %x", x.Request[:min(len(x.Request), most)], x.Reply[:min(len(x.Reply), most)])
}

// History is what a row has exchanged so far.
type History []Exchanged

// header decodes the header of a packet of whatever version.
func header(b []byte) (p ntp.Packet) {
	if len(b) >= ntp.HeaderLen {
		p.Decode(b[:ntp.HeaderLen])
	}
	return p
}

// Skipped tells whether Run could not put the target into the state.
func Skipped(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
