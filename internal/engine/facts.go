// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/clock"
)

// SourceID names an association for as long as the engine runs. IDs are not
// reused; 0 means "none" (the server sockets).
type SourceID uint32

// EntryID names a configured source, a name that may not have resolved yet. IDs are
// not reused.
type EntryID uint32

// Received is the fact that a datagram arrived.
type Received struct {
	Source SourceID       // whose client socket it arrived at, 0 for a server socket
	From   netip.AddrPort // IPv4 addresses unmapped
	Local  netip.Addr     // destination address, invalid if unknown
	Iface  int            // index of the receiving interface, 0 if unknown
	Stamp  clock.Stamp    // when it arrived
	Data   []byte         // valid during the call
}

// Transmitted is the fact that the world learned when a datagram left. It may
// be told several times for one datagram, each time from nearer to the wire.
type Transmitted struct {
	ID    TxID // the ID of the Send action
	Stamp clock.Stamp
}

// TxID names a datagram whose transmit timestamp the engine wants; 0 = not wanted.
type TxID uint32

// Resolved is the answer to a Resolve action. Without addresses the name did
// not resolve this time.
type Resolved struct {
	Name  string
	Addrs []netip.Addr
}

// ClockDone is what became of a clock action.
type ClockDone struct {
	// At is the instant at which it took effect, read as closely as possible
	// after the system call. For a step, At is read after the step.
	At clock.Now
	// Frequency is the total rate that the kernel now has, rounded as the
	// kernel rounds.
	Frequency clock.Frequency
	// OK is false when the world could not do it: clock control is off, the
	// capability is missing, the kernel refused. Nothing changed then.
	OK bool
}
