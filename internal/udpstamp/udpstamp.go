// SPDX-License-Identifier: Apache-2.0

// Package udpstamp has UDP sockets whose datagrams carry the time at which the
// kernel received or sent them (SO_TIMESTAMPING, Documentation/networking/
// timestamping.rst), and the epoll loop that serves them. It knows nothing of
// NTP, starts no goroutine and stays away from Go's network poller: one
// goroutine owns a [Poller] and its [Socket]s, and only [Poller.Wake] may be
// called from elsewhere.
//
// The one concept: a transmit stamp is asked for message by message. A datagram
// sent with a TxID comes back, without its payload, on the socket's error queue,
// where [Socket.RecvTx] finds the TxID and the stamp. Datagrams without a TxID
// cost nothing.
//
// Stamps of the system clock feed the engine: of kind StampKernel, or
// StampDaemon where the kernel gave none. A network card stamps with a clock of
// its own ([NIC]), so its stamps are handed out beside them.
package udpstamp

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// NIC is the clock domain of a network card's hardware clock. Instants of two
// cards do not compare.
type NIC struct{}

// Message is a received datagram. Make them with [NewMessages].
type Message struct {
	Data  []byte         // valid until the next Recv into this message
	From  netip.AddrPort // IPv4 unmapped; link-local IPv6 with its zone's name
	Local netip.Addr     // destination in the header, without zone; invalid if unknown
	Iface int            // index of the receiving interface, 0 if unknown
	Stamp clock.Stamp    // arrival on the system clock, kernel or daemon
	// Hardware is the arrival on the network card's clock, zero if it gave none.
	Hardware  clock.Instant[NIC]
	Truncated bool // Data lacks the end of the datagram

	buf []byte
}

// NewMessages returns n messages that hold datagrams of up to size octets.
func NewMessages(n, size int) []Message {
	msgs := make([]Message, n)
	bufs := make([]byte, n*size)
	for i := range msgs {
		msgs[i].buf = bufs[i*size : (i+1)*size : (i+1)*size]
	}
	return msgs
}

// Datagram is one to send.
type Datagram struct {
	To    netip.AddrPort // ignored on a client socket
	Local netip.Addr     // source address, invalid to let the kernel choose; likewise
	Iface int            // index of the interface to leave by, 0 for the route's; likewise
	Data  []byte
	TxID  uint32 // not 0: tell its transmit stamp through RecvTx
}

// Tx is the transmit stamp of a datagram. With hardware stamping the same ID
// may come twice: once with Stamp, once with Hardware.
type Tx struct {
	ID       uint32
	Stamp    clock.Stamp        // StampNone if this is the card's
	Hardware clock.Instant[NIC] // zero if this is the kernel's
}

// UnsupportedError says that the kernel lacks something.
type UnsupportedError struct {
	Feature   string // what is missing
	MinKernel string // the first kernel that has it, "" when it is up to a driver
	Cost      string // what is worse without it, "" if that is not told
}

func (e *UnsupportedError) Error() string {
	if e.MinKernel == "" {
		return e.Feature + " is not supported by the driver"
	}
	return fmt.Sprintf("%s is not supported by the kernel (needs Linux %s)", e.Feature, e.MinKernel)
}

// Is makes every UnsupportedError match errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// Transient tells whether an error of Send, Recv or RecvTx is about one
// datagram (an ICMP message, a missing route, a full queue, a packet filter)
// and leaves the socket in order.
func Transient(err error) bool {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return false
	}
	return transientErrno(errno)
}

func transientErrno(errno unix.Errno) bool {
	switch errno {
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EMSGSIZE, unix.EADDRNOTAVAIL, unix.EINVAL:
		return true
	}
	return icmpErrno(errno)
}

// icmpErrno tells whether the kernel reports an ICMP message or the state of
// the route with it (net/ipv4/icmp.c, net/ipv6/icmp.c).
func icmpErrno(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN,
		unix.ENETDOWN, unix.ENOPROTOOPT, unix.EACCES, unix.EPROTO, unix.ENONET, unix.EOPNOTSUPP:
		return true
	}
	return false
}
