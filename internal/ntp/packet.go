// SPDX-License-Identifier: Apache-2.0

// Package ntp is the NTP wire format: versions 1 to 4 of the packet header
// (RFC 1059, 1119, 1305, 5905), extension fields (RFC 7822) and the trailing
// message authentication code. It decodes and encodes octets; what they mean
// for a clock is decided elsewhere. Nothing here allocates.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+---------------+---------------+
//	|LI | VN  |Mode |    Stratum    |     Poll      |   Precision   |   0
//	|                         Root delay (16.16)                    |   4
//	|                     Root dispersion (16.16)                   |   8
//	|                          Reference ID                         |  12
//	|                   Reference timestamp (32.32)                 |  16
//	|                    Origin timestamp (32.32)                   |  24
//	|                    Receive timestamp (32.32)                  |  32
//	|                    Transmit timestamp (32.32)                 |  40
//	|  extension fields, 4-octet aligned, then key ID and digest    |  48
package ntp

import (
	"crypto/md5"
	"encoding/binary"
	"net/netip"
)

// Sizes, in octets.
const (
	HeaderLen = 48
	// MaxLen is the longest packet that is looked at, as in chrony.
	MaxLen = 1140
	// MaxMACLen is the longest MAC that may follow extension fields
	// (RFC 7822 section 7.5.1.4): key ID and 20 octets.
	MaxMACLen = 4 + 20
	// MaxLongMACLen is the longest MAC on a packet without extension fields:
	// key ID and 64 octets (SHA-512), as chrony and ntpd accept.
	MaxLongMACLen = 4 + 64
	minMACLen     = 4 + 16
	minField      = 16
)

// Leap is the leap indicator, RFC 5905 figure 9.
type Leap uint8

// Leap indicator values.
const (
	LeapNone   Leap = 0
	LeapInsert Leap = 1 // the last minute of the month has 61 seconds
	LeapDelete Leap = 2 // the last minute of the month has 59 seconds
	LeapUnsync Leap = 3 // the clock is not synchronised
)

// Mode is the association mode, RFC 5905 figure 10.
type Mode uint8

// Association modes. Mode 0 is how version 1 marked both client and server.
const (
	ModeReserved  Mode = 0
	ModeActive    Mode = 1
	ModePassive   Mode = 2
	ModeClient    Mode = 3
	ModeServer    Mode = 4
	ModeBroadcast Mode = 5
	ModeControl   Mode = 6
	ModePrivate   Mode = 7
)

// Versions that are understood.
const (
	MinVersion = 1
	Version    = 4
)

// MaxStratum is the first stratum that means "unsynchronised" (RFC 5905
// section 7.3, MAXSTRAT).
const MaxStratum = 16

// RefID is a reference identifier: four ASCII octets for stratum 0 and 1, the
// address of the server above otherwise.
type RefID uint32

// Kiss codes (RFC 5905 section 7.4) and reference identifiers with a meaning.
const (
	KissRate RefID = 'R'<<24 | 'A'<<16 | 'T'<<8 | 'E'
	KissDeny RefID = 'D'<<24 | 'E'<<16 | 'N'<<8 | 'Y'
	KissRstr RefID = 'R'<<24 | 'S'<<16 | 'T'<<8 | 'R'
	// RefIDLocal (127.127.1.1) is what a server with only its own clock
	// calls its reference, as chrony does.
	RefIDLocal RefID = 127<<24 | 127<<16 | 1<<8 | 1
	// RefIDSmooth (127.127.1.255) marks smoothed time.
	RefIDSmooth RefID = 127<<24 | 127<<16 | 1<<8 | 255
)

// Packet is a decoded NTP header. RootDelay and RootDisp are 16.16 seconds,
// Poll and Precision log2 seconds.
type Packet struct {
	Leap      Leap
	Version   uint8
	Mode      Mode
	Stratum   uint8
	Poll      int8
	Precision int8
	RootDelay Short
	RootDisp  Short
	RefID     RefID
	Reference Timestamp
	Origin    Timestamp
	Receive   Timestamp
	Transmit  Timestamp
}

// Decode reads the header at the start of b. It reports false for a length
// that cannot be NTP (not 48 to 1140 octets in steps of four) or a version that
// is not understood, leaving p undefined. What follows the header is read with
// [SplitTrailer].
func (p *Packet) Decode(b []byte) bool {
	if len(b) < HeaderLen || len(b) > MaxLen || len(b)%4 != 0 {
		return false
	}
	_ = b[HeaderLen-1]
	p.Leap = Leap(b[0] >> 6)
	p.Version = b[0] >> 3 & 7
	p.Mode = Mode(b[0] & 7)
	p.Stratum = b[1]
	p.Poll = int8(b[2])
	p.Precision = int8(b[3])
	p.RootDelay = Short(binary.BigEndian.Uint32(b[4:]))
	p.RootDisp = Short(binary.BigEndian.Uint32(b[8:]))
	p.RefID = RefID(binary.BigEndian.Uint32(b[12:]))
	p.Reference = Timestamp(binary.BigEndian.Uint64(b[16:]))
	p.Origin = Timestamp(binary.BigEndian.Uint64(b[24:]))
	p.Receive = Timestamp(binary.BigEndian.Uint64(b[32:]))
	p.Transmit = Timestamp(binary.BigEndian.Uint64(b[40:]))
	return p.Version >= MinVersion && p.Version <= Version
}

// OriginOf returns the origin timestamp of a packet, which has at least HeaderLen
// octets.
func OriginOf(b []byte) Timestamp { return Timestamp(binary.BigEndian.Uint64(b[24:])) }

// Encode writes the header into b, which must hold HeaderLen octets.
func (p *Packet) Encode(b []byte) {
	_ = b[HeaderLen-1]
	b[0] = byte(p.Leap&3)<<6 | p.Version&7<<3 | byte(p.Mode&7)
	b[1] = p.Stratum
	b[2] = byte(p.Poll)
	b[3] = byte(p.Precision)
	binary.BigEndian.PutUint32(b[4:], uint32(p.RootDelay))
	binary.BigEndian.PutUint32(b[8:], uint32(p.RootDisp))
	binary.BigEndian.PutUint32(b[12:], uint32(p.RefID))
	binary.BigEndian.PutUint64(b[16:], uint64(p.Reference))
	binary.BigEndian.PutUint64(b[24:], uint64(p.Origin))
	binary.BigEndian.PutUint64(b[32:], uint64(p.Receive))
	binary.BigEndian.PutUint64(b[40:], uint64(p.Transmit))
}

// AppendTo appends the header to b.
func (p *Packet) AppendTo(b []byte) []byte {
	var h [HeaderLen]byte
	p.Encode(h[:])
	return append(b, h[:]...)
}

// RefIDOf returns the reference identifier of a server at addr: the address
// itself for IPv4, the first octets of its MD5 digest for IPv6 (RFC 5905
// section 7.3).
func RefIDOf(addr netip.Addr) RefID {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return RefID(binary.BigEndian.Uint32(b[:]))
	}
	b := addr.As16()
	sum := md5.Sum(b[:])
	return RefID(binary.BigEndian.Uint32(sum[:]))
}
