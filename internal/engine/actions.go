// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// ActionKind says which field of an [Action] holds.
type ActionKind uint8

// Kinds of action. The world carries actions out in the order of the list.
const (
	// ActSend: transmit Action.Send. Call [Engine.Seal] last.
	ActSend ActionKind = iota + 1
	// ActHangup: close the client socket of Action.Source.
	ActHangup
	// ActResolve: look Action.Name up and tell the answer as Resolved.
	ActResolve
	// ActFrequency: set the total clock rate to Action.Frequency. Tell the
	// result as ClockDone before any other fact.
	ActFrequency
	// ActStep: add Action.Offset to the wall clock at once. Tell the result as
	// ClockDone before any other fact.
	ActStep
	// ActStatus: make Action.Status the kernel's opinion of the clock.
	ActStatus
	// ActPublish: hand Action.Snapshot to everything that answers requests.
	ActPublish
	// ActDrift: remember Action.Drift over a restart (driftfile).
	ActDrift
	// ActEvent: tell people Action.Event.
	ActEvent
	// ActListen: Action.Listen says whether the server port must be open.
	ActListen
	// ActPolicy: answer requests by Action.Policy from now on.
	ActPolicy
	// ActExit: stop the daemon; Action.Exit says why.
	ActExit
)

// Action is one thing that the engine wants done.
type Action struct {
	Kind      ActionKind
	Source    SourceID
	Listen    bool
	Family    Family
	Send      Send
	Name      string
	Frequency clock.Frequency
	// Base is the rate without the slew that Frequency may contain: what the
	// clock must have if nobody is there to end the slew.
	Base     clock.Frequency
	Offset   clock.Offset
	Status   KernelStatus
	Snapshot responder.Snapshot
	Policy   responder.Policy
	Drift    Drift
	Event    Event
	Exit     ExitReason
}

// Family restricts the addresses of a name.
type Family uint8

// Address families.
const (
	FamilyAny Family = iota
	FamilyIPv4
	FamilyIPv6
)

// Send describes one datagram. Its octets live in the Actions that it came in.
type Send struct {
	// Source is the association that sends from a client socket of its own;
	// 0 sends from the server socket.
	Source SourceID
	// Peer is the symmetric association that sends from the server port, else 0.
	Peer SourceID
	// Fresh asks for a new client socket with a random port, connected to To,
	// in place of the one the association had.
	Fresh bool
	To    netip.AddrPort
	Local netip.Addr // source address to use, invalid for any
	Iface int        // interface to use, 0 for any
	TxID  TxID       // not 0: tell Transmitted, also with the best later stamp
	seal  seal
	off   int // where the datagram begins in the buffer of Actions
	end   int // where it ends
}

// Drift is what the drift file holds.
type Drift struct {
	Frequency clock.Frequency // positive: the clock is slow uncorrected
	Skew      clock.Frequency // bound of its error, not negative
}

// KernelStatus is what the kernel tells other programs about the clock
// (adjtimex(2)).
type KernelStatus struct {
	Synchronized bool             // clears STA_UNSYNC
	Leap         ntp.Leap         // sets STA_INS or STA_DEL, only in leapsecmode system
	MaxError     clock.Dispersion // root distance
	EstError     clock.Dispersion // standard deviation
	TAI          int              // TAI-UTC in seconds, 0 = do not touch
}

// ExitReason says why the engine wants to stop.
type ExitReason uint8

// Reasons to stop.
const (
	ExitMaxChange ExitReason = iota + 1 // maxchange exceeded too often
	ExitDone                            // one-shot mode (-q, -Q) has its result
	ExitNoSource                        // one-shot mode found no usable source
)

// Actions collects what the engine wants done. The caller owns it and reuses
// it: a slice that has grown once does not allocate again.
type Actions struct {
	list    []Action
	buf     []byte
	replies [maxReplies]responder.Reply
	replied int
}

// maxReplies is how many replies one fact can cause.
const maxReplies = 2

// reply returns room for a reply, valid until Reset.
func (a *Actions) reply() *responder.Reply {
	a.replied++
	return &a.replies[(a.replied-1)%maxReplies]
}

// Len returns the number of actions. Carrying out an action may add more.
func (a *Actions) Len() int { return len(a.list) }

// At returns action i, valid until the next call that adds actions.
func (a *Actions) At(i int) *Action { return &a.list[i] }

// Datagram returns the octets of a Send action, valid until Reset.
func (a *Actions) Datagram(s *Send) []byte { return a.buf[s.off:s.end] }

// Reset forgets all actions.
func (a *Actions) Reset() {
	clear(a.list)
	a.list, a.buf, a.replied = a.list[:0], a.buf[:0], 0
}

// add appends an action and returns it for filling in.
func (a *Actions) add(k ActionKind) *Action {
	a.list = append(a.list, Action{Kind: k})
	return &a.list[len(a.list)-1]
}
