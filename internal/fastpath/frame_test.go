// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"net/netip"

	"foliot/internal/ntp"
)

// frame is what a packet to the programs is made of. The zero value of a field
// means what is usual.
type frame struct {
	from, to     netip.AddrPort
	payload      []byte
	tags         []uint16 // of VLANs, the outermost first: their EtherTypes
	options      int      // octets of IP options, or of extension headers
	fragment     uint16   // IPv4: the flags and offset; IPv6: of the extension header
	headers      []byte   // IPv6: numbers of the extension headers, 8 octets each
	protocol     byte
	multicast    bool // the frame is
	foreign      bool // likewise for another host
	noChecksum   bool
	badChecksum  bool // of UDP
	badIP        bool // checksum of IP
	partial      bool // the checksum has only the pseudo header in it
	udpLen, pad  int  // more octets that UDP claims; that follow
	cut          int  // octets that are missing at the end
	version, ihl byte // of IP, wrong ones
}

var (
	client4 = netip.MustParseAddrPort("192.0.2.9:40123")
	server4 = netip.MustParseAddrPort("198.51.100.1:123")
	client6 = netip.MustParseAddrPort("[2001:db8:9::9]:40123")
	server6 = netip.MustParseAddrPort("[2001:db8:1::1]:123")
)

// bytes builds the frame.
func (f frame) bytes() []byte {
	be := binary.BigEndian
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	if f.multicast {
		b[0] |= 1
	}
	if f.foreign {
		b[5] = 3
	}
	for i, tag := range f.tags {
		if i == 0 {
			b = be.AppendUint16(b, tag)
		}
		b = be.AppendUint16(b, 77)
		if i+1 < len(f.tags) {
			b = be.AppendUint16(b, f.tags[i+1])
		}
	}
	b = be.AppendUint16(b, map[bool]uint16{true: 0x800, false: 0x86dd}[f.from.Addr().Is4()])
	if f.from.Addr().Is4() {
		b = f.ipv4(b)
	} else {
		b = f.ipv6(b)
	}
	at := len(b)
	b = be.AppendUint16(b, f.from.Port())
	b = be.AppendUint16(b, f.to.Port())
	b = be.AppendUint16(b, uint16(8+len(f.payload)+f.udpLen))
	b = append(b, 0, 0)
	b = append(b, f.payload...)
	sum := f.pseudo()
	switch {
	case f.noChecksum:
	case f.partial:
		be.PutUint16(b[at+6:], fold(sum))
	default:
		c := ^fold(sum + sumOf(b[at:]))
		if c == 0 {
			c = 0xffff
		}
		if f.badChecksum {
			c ^= 0x1000
		}
		be.PutUint16(b[at+6:], c)
	}
	b = append(b, make([]byte, f.pad)...)
	return b[:len(b)-f.cut]
}

func (f frame) ipv4(b []byte) []byte {
	be := binary.BigEndian
	at := len(b)
	b = append(b, 0x45+byte(f.options/4), 0x10)
	if f.version != 0 {
		b[at] = f.version<<4 | b[at]&15
	}
	if f.ihl != 0 {
		b[at] = b[at]&0xf0 | f.ihl
	}
	b = be.AppendUint16(b, uint16(20+f.options+8+len(f.payload)))
	b = be.AppendUint16(b, 0x1234)
	b = be.AppendUint16(b, f.fragment)
	b = append(b, 57, f.proto(), 0, 0)
	b = append(b, f.from.Addr().AsSlice()...)
	b = append(b, f.to.Addr().AsSlice()...)
	for range f.options {
		b = append(b, 1) // no operation
	}
	c := ^fold(sumOf(b[at:]))
	if f.badIP {
		c ^= 1
	}
	be.PutUint16(b[at+10:], c)
	return b
}

func (f frame) ipv6(b []byte) []byte {
	be := binary.BigEndian
	next := append(append([]byte(nil), f.headers...), f.proto())
	b = append(b, 0x6a, 0xb0, 0, 1)
	b = be.AppendUint16(b, uint16(8*len(f.headers)+f.options+8+len(f.payload)))
	b = append(b, next[0], 58)
	b = append(b, f.from.Addr().AsSlice()...)
	b = append(b, f.to.Addr().AsSlice()...)
	for i, h := range f.headers {
		x := []byte{next[i+1], 0, 0, 0, 0, 0, 0, 0}
		if h == 44 {
			be.PutUint16(x[2:], f.fragment)
		} else if i == 0 {
			x[1] = byte(f.options / 8)
			x = append(x, make([]byte, f.options)...)
		}
		b = append(b, x...)
	}
	return b
}

func (f frame) proto() byte {
	if f.protocol != 0 {
		return f.protocol
	}
	return 17
}

// pseudo sums the pseudo header of UDP.
func (f frame) pseudo() uint32 {
	return sumOf(f.from.Addr().AsSlice()) + sumOf(f.to.Addr().AsSlice()) + 17 + uint32(8+len(f.payload)+f.udpLen)
}

// sumOf sums the 16-bit words of b, RFC 1071.
func sumOf(b []byte) (sum uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// request is the header of a request.
func request(version uint8, mode ntp.Mode) ntp.Packet {
	return ntp.Packet{Version: version, Mode: mode, Poll: 6, Precision: -20, Transmit: 0x123456789abcdef1}
}

// plain is a request that is answered in the kernel, over IPv4 or IPv6.
func plain(v6 bool) frame {
	p := request(4, ntp.ModeClient)
	f := frame{from: client4, to: server4, payload: p.AppendTo(nil)}
	if v6 {
		f.from, f.to = client6, server6
	}
	return f
}
