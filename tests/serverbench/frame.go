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

// newFrame returns a request from nobody yet; see setClient. Its UDP checksum is
// left out: a network card verifies checksums for the kernel, a veth pair does
// not.
func newFrame(to target) []byte {
	b := make([]byte, frameLen)
	copy(b[0:], to.dst)
	copy(b[6:], to.src)
	binary.BigEndian.PutUint16(b[12:], 0x0800) // IPv4
	ip := b[ipAt:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], frameLen-ipAt)
	ip[8], ip[9] = 64, 17 // hops, UDP
	dst := to.addr.As4()
	copy(ip[16:], dst[:])
	udp := b[udpAt:]
	binary.BigEndian.PutUint16(udp[2:], ntpPort)
	binary.BigEndian.PutUint16(udp[4:], frameLen-udpAt)
	request := ntp.Packet{Version: ntp.Version, Mode: ntp.ModeClient, Poll: 6, Precision: 32}
	request.Encode(b[ntpAt:])
	return b
}

// setClient makes the frame come from client number i.
func setClient(b []byte, i uint32) {
	ip := b[ipAt : ipAt+20]
	binary.BigEndian.PutUint32(ip[12:], address(i))
	binary.BigEndian.PutUint16(b[udpAt:], uint16(32768+i%16384))
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
}

// setTransmit sets the transmit timestamp of the request, which a client fills
// with random bits.
func setTransmit(b []byte, t uint64) { binary.BigEndian.PutUint64(b[ntpAt+40:], t) }

// setInterleaved makes the request one of interleaved mode: the receive
// timestamp of the reply before, and when that arrived.
func setInterleaved(b []byte, received, arrived uint64) {
	binary.BigEndian.PutUint64(b[ntpAt+24:], received)
	binary.BigEndian.PutUint64(b[ntpAt+32:], arrived)
}

// checksum is the internet checksum (RFC 1071) of an even number of octets.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}
