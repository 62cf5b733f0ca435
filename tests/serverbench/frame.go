// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"net"
	"net/netip"

	"foliot/internal/ntp"
)

// Offsets in a frame: Ethernet, IPv4 without options, UDP, an NTP header.
const (
	ipAt     = 14
	udpAt    = ipAt + 20
	ntpAt    = udpAt + 8
	frameLen = ntpAt + ntp.HeaderLen
)

// ntpPort is where servers listen.
const ntpPort = 123

// clientNet begins the addresses of the clients that do not exist. With ten
// million of them they end at 10.232.150.127, so they never touch the links.
var clientNet = netip.MustParseAddr("10.80.0.0")

// target is where frames go.
type target struct {
	src, dst net.HardwareAddr
	addr     netip.Addr
}

// address returns the address of client number i.
func address(i uint32) uint32 {
	b := clientNet.As4()
	return binary.BigEndian.Uint32(b[:]) + i
}

// newFrame returns a frame with n requests from nobody yet; see setClient. If
// there are several, the kernel makes a datagram of each. The UDP checksum of one
// is left out: a network card verifies checksums for the kernel, a veth pair does
// not.
func newFrame(to target, n int) []byte {
	b := make([]byte, ntpAt+n*ntp.HeaderLen)
	copy(b[0:], to.dst)
	copy(b[6:], to.src)
	binary.BigEndian.PutUint16(b[12:], 0x0800) // IPv4
	ip := b[ipAt:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(len(b)-ipAt))
	ip[8], ip[9] = 64, udpProtocol // 64 hops
	dst := to.addr.As4()
	copy(ip[16:], dst[:])
	udp := b[udpAt:]
	binary.BigEndian.PutUint16(udp[2:], ntpPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(b)-udpAt))
	request := ntp.Packet{Version: ntp.Version, Mode: ntp.ModeClient, Poll: 6, Precision: 32}
	for i := range n {
		request.Encode(b[ntpAt+i*ntp.HeaderLen:])
	}
	return b
}

const udpProtocol = 17

// setClient makes the frame come from an address.
func setClient(b []byte, addr uint32) {
	ip := b[ipAt : ipAt+20]
	binary.BigEndian.PutUint32(ip[12:], addr)
	binary.BigEndian.PutUint16(b[udpAt:], uint16(32768+addr%16384))
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^sum16(ip))
	if len(b) > frameLen {
		// The kernel finishes the checksums of the datagrams that it makes, from
		// the sum over their pseudo header.
		var pseudo [12]byte
		copy(pseudo[:], ip[12:20])
		pseudo[9] = udpProtocol
		copy(pseudo[10:], b[udpAt+4:udpAt+6])
		binary.BigEndian.PutUint16(b[udpAt+6:], sum16(pseudo[:]))
	}
}

// setTransmit sets the transmit timestamp of request i, which a client fills
// with random bits.
func setTransmit(b []byte, i int, t uint64) {
	binary.BigEndian.PutUint64(b[ntpAt+i*ntp.HeaderLen+40:], t)
}

// setInterleaved makes the first request one of interleaved mode: the receive
// timestamp of the reply before, and when that arrived.
func setInterleaved(b []byte, received, arrived uint64) {
	binary.BigEndian.PutUint64(b[ntpAt+24:], received)
	binary.BigEndian.PutUint64(b[ntpAt+32:], arrived)
}

// sum16 is the sum in ones' complement of an even number of octets, whose
// complement is the internet checksum (RFC 1071).
func sum16(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	sum = sum>>16 + sum&0xffff
	return uint16(sum + sum>>16)
}

// destination is the address that a frame goes to.
func destination(b []byte) uint32 { return binary.BigEndian.Uint32(b[ipAt+16:]) }
