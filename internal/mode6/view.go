// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/state"
)

// view is the state as ntpd would see it: associations have numbers of 16 bits,
// and a name that has not resolved is one too.
type view struct {
	*state.State
	now      clock.Now
	counters *Counters
	machine  *Machine
	all      []peer // by number
	selected *peer
	used     map[uint16]bool
}

// peer is an association.
type peer struct {
	*state.Source
	v        *view
	id       uint16
	unit     int    // of a reference clock: how many are before it
	unsolved string // a name without address, "" for an association
}

// mostPeers is how many associations are shown: ntpq gives up at 64 datagrams, and
// 117 fit in one.
const mostPeers = 60 * maxData / 4

// take fills the view for the request in hand.
func (v *view) take(r *Responder) {
	*v = view{
		State: r.req.State, now: r.req.Now, counters: &r.Counters, machine: &r.config.Machine,
		all: v.all[:0], used: v.used,
	}
	if v.used == nil {
		v.used = map[uint16]bool{}
	}
	clear(v.used)
	clocks := 0
	for i := range v.Sources[:min(len(v.Sources), mostPeers)] {
		s := &v.Sources[i]
		v.all = append(v.all, peer{Source: s, v: v, id: v.number(uint16((s.ID-1)%0xffff)+1, 1), unit: clocks})
		if s.Mode == state.RefClock {
			clocks++
		}
	}
	v.addLocal()
	for _, name := range v.Unsolved[:min(len(v.Unsolved), mostPeers-len(v.all))] {
		v.all = append(v.all, peer{Source: &unresolved, v: v, id: v.number(0xffff, -1), unsolved: name})
	}
	for i := range v.all {
		if v.all[i].Status == selection.Selected {
			v.selected = &v.all[i]
		}
	}
}

// addLocal shows the local clock as an association, if it was configured as one: its
// stratum is one less than what is served.
func (v *view) addLocal() {
	c := &v.Config
	if !c.NTPClock {
		return
	}
	const firstNumber, poll = 0x7f01, 6
	s := &state.Source{
		Name: "LOCAL", Mode: state.RefClock, Stratum: c.Stratum - 1, Status: selection.WaitUpdate,
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 127, 1, byte(c.Unit)}), 123),
		Poll: poll, MinPoll: poll, MaxPoll: poll, Reach: 0xff, Reached: 8,
		RefID: 'L'<<24 | 'O'<<16 | 'C'<<8 | 'L', Samples: state.Samples{N: 1},
	}
	if v.Tracking.Local {
		s.Status = selection.Selected
	}
	v.all = append(v.all, peer{Source: s, v: v, id: v.number(firstNumber, 1), unit: c.Unit})
}

// unresolved stands for a name without address. Its poll is ntpd's first.
var unresolved = state.Source{Poll: 6}

// number returns the first free association number from id on. It is the ID of the
// source, unless 65535 sources have been since the start; names that have not
// resolved are numbered from the other end.
func (v *view) number(id uint16, step int) uint16 {
	for id == 0 || v.used[id] {
		id += uint16(step)
	}
	v.used[id] = true
	return id
}

// find returns an association, nil if there is none.
func (v *view) find(id uint16) *peer {
	for i := range v.all {
		if v.all[i].id == id {
			return &v.all[i]
		}
	}
	return nil
}

// uptime is in whole seconds.
func (v *view) uptime() uint64 { return uint64(max(0, v.now.Mono.Sub(v.Started).Seconds())) }

// served is the served time now: the state may be a little older.
func (v *view) served() clock.Served { return v.Served.Add(v.now.Mono.Sub(v.Now.Mono)) }

func (v *view) synchronized() bool { return v.Tracking.Synchronized || v.Tracking.Local }

func (v *view) leap() ntp.Leap {
	if !v.synchronized() {
		return ntp.LeapUnsync
	}
	return v.Tracking.Leap & 3
}

// stratum is 16 for a clock that is not synchronised, as ntpd has it.
func (v *view) stratum() uint8 {
	if !v.synchronized() || v.Tracking.Stratum == 0 {
		return ntp.MaxStratum
	}
	return v.Tracking.Stratum
}

// initial is what ntpd calls the reference of a clock that has none yet.
var initial = [4]byte{'I', 'N', 'I', 'T'}

// oneEvent is the count of events in status words. They are not counted, but the
// last one is known from the state, so there was at least one.
const oneEvent = 1 << 4

// Parts of the system status word (RFC 9327 section 3.1): what the clock follows,
// and the last event.
const (
	sourceNone, sourceRefClock, sourceLocal, sourceNTP = 0, 4, 5, 6
	eventClockSync, eventNoPeer                        = 5, 8
)

// status is the system status word.
func (v *view) status() uint16 {
	source, event := sourceNone, eventClockSync
	switch {
	case v.Tracking.Local:
		source = sourceLocal
	case !v.Tracking.Synchronized:
		event = eventNoPeer
	case v.selected != nil && v.selected.Mode == state.RefClock:
		source = sourceRefClock
	default:
		source = sourceNTP
	}
	return uint16(v.leap())<<14 | uint16(source)<<8 | oneEvent | uint16(event)
}

// Parts of the peer status word (RFC 9327 section 3.2).
const (
	peerConfigured, peerAuthEnabled, peerAuthentic, peerReachable = 0x80, 0x40, 0x20, 0x10

	eventMobilize, eventUnreachable, eventReachable, eventSystemPeer = 1, 3, 4, 10
)

// choice is what selection made of an association, by ntpd's numbers: the code at
// the beginning of a line of ntpq is " x.-+#*o"[choice].
type choice uint8

const (
	reject     choice = 0
	falsetick  choice = 1
	outlier    choice = 3
	candidate  choice = 4
	systemPeer choice = 6
)

// choice translates the status. Like chronyc, it calls an outlier whatever tells the
// truth and is not combined.
func (p *peer) choice() choice {
	switch p.Status {
	case selection.Selected:
		return systemPeer
	case selection.Combined:
		return candidate
	case selection.Outlier, selection.NotPreferred, selection.WaitSources, selection.WaitUpdate, selection.Candidate:
		return outlier
	case selection.Falseticker, selection.Untrusted:
		return falsetick
	}
	return reject
}

// status is the peer status word. As with ntpd, what a pool gave is not configured.
func (p *peer) status() uint16 {
	bits, event := uint16(p.choice()), eventMobilize
	if !p.Pool {
		bits |= peerConfigured
	}
	if p.Auth.Symmetric {
		bits |= peerAuthEnabled
		if p.HasReport { // which only authentic packets give
			bits |= peerAuthentic
		}
	}
	switch {
	case p.Status == selection.Selected:
		event = eventSystemPeer
	case p.Reach != 0:
		event = eventReachable
	case p.HasReport:
		event = eventUnreachable
	}
	if p.Reach != 0 {
		bits |= peerReachable
	}
	return bits<<8 | oneEvent | uint16(event)
}

// status answers the opcode 0 and is the status word of other answers.
func (r *Responder) status() (uint16, failure) {
	if r.head.assoc == 0 {
		return r.view.status(), noError
	}
	p := r.view.find(r.head.assoc)
	if p == nil {
		return 0, badAssoc
	}
	return p.status(), noError
}

// readStatus lists the associations, or describes one.
func (r *Responder) readStatus() (uint16, failure) {
	if r.head.assoc != 0 {
		return r.readVariables(nil)
	}
	r.text.binary = true
	for i := range r.view.all {
		p := &r.view.all[i]
		r.text.word(p.id)
		r.text.word(p.status())
	}
	return r.view.status(), noError
}

// PeerStatus returns the status word of a source.
func PeerStatus(s *state.Source) uint16 { return (&peer{Source: s}).status() }
