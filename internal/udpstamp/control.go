// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sizes of control messages (cmsg(3)), whose header is a size_t and two ints.
var (
	cmsgHeader = unix.CmsgLen(0)
	cmsgAlign  = unix.CmsgSpace(1) - unix.CmsgSpace(0)
)

// controlWords is the room for control data in 64-bit words. Three stamps, the
// packet info, and an extended error with an address take less than 200 octets.
const controlWords = 48

// control is what the control messages of one datagram say.
type control struct {
	software int64 // nanoseconds since the Unix epoch, 0 = none
	hardware int64 // nanoseconds of the card's clock, 0 = none
	local    netip.Addr
	iface    int
	tx       bool   // a transmit stamp: txKey holds
	txKey    uint32 // SCM_TS_OPT_ID, or the count of stamped datagrams
}

// parse reads the control messages in b. What it does not know or what does
// not fit it ignores, as the kernel may add messages at any time.
func (c *control) parse(b []byte) {
	*c = control{}
	for len(b) >= cmsgHeader {
		size := cmsgSize(b)
		if size < uint64(cmsgHeader) || size > uint64(len(b)) {
			return
		}
		n := int(size)
		ints := b[cmsgHeader-8:]
		c.add(binary.NativeEndian.Uint32(ints), binary.NativeEndian.Uint32(ints[4:]), b[cmsgHeader:n])
		b = b[min((n+cmsgAlign-1)/cmsgAlign*cmsgAlign, len(b)):]
	}
}

// cmsgSize reads cmsg_len, a size_t at the front of a header that has two ints
// behind it.
func cmsgSize(b []byte) uint64 {
	if cmsgHeader == 16 {
		return binary.NativeEndian.Uint64(b)
	}
	return uint64(binary.NativeEndian.Uint32(b))
}

func (c *control) add(level, kind uint32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPING_NEW:
		c.addStamps(data)
	case level == unix.SOL_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		// struct in_pktinfo: interface, local address, address in the header,
		// which is not ours if the datagram was broadcast.
		c.iface = int(binary.NativeEndian.Uint32(data))
		c.local = netip.AddrFrom4([4]byte(data[4:8]))
	case level == unix.SOL_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		c.iface = int(binary.NativeEndian.Uint32(data[16:]))
	case level == unix.SOL_IP && kind == unix.IP_RECVERR,
		level == unix.SOL_IPV6 && kind == unix.IPV6_RECVERR:
		c.addExtendedError(data)
	}
}

// addStamps reads struct scm_timestamping64: three timespecs of 64-bit fields,
// of which the first is the kernel's, the second no longer used and the third
// the network card's.
func (c *control) addStamps(data []byte) {
	if len(data) < 48 {
		return
	}
	c.software = stampNanos(data)
	c.hardware = stampNanos(data[32:])
}

// stampNanos returns a timespec in nanoseconds, 0 ("none") if it is out of range.
func stampNanos(b []byte) int64 {
	sec := int64(binary.NativeEndian.Uint64(b))
	nsec := int64(binary.NativeEndian.Uint64(b[8:]))
	if sec < 0 || sec >= math.MaxInt64/1_000_000_000 || nsec < 0 || nsec >= 1e9 {
		return 0
	}
	return sec*1e9 + nsec
}

// addExtendedError reads struct sock_extended_err (linux/errqueue.h) and keeps
// it if it announces the stamp taken when the datagram went to the driver.
func (c *control) addExtendedError(data []byte) {
	if len(data) < 16 {
		return
	}
	errno, origin := binary.NativeEndian.Uint32(data), data[4]
	info := binary.NativeEndian.Uint32(data[8:])
	if errno == uint32(unix.ENOMSG) && origin == unix.SO_EE_ORIGIN_TIMESTAMPING && info == unix.SCM_TSTAMP_SND {
		c.tx, c.txKey = true, binary.NativeEndian.Uint32(data[12:])
	}
}

// appendCmsg adds a control message with room for size octets to b and returns
// both b and that room. The capacity of b suffices.
func appendCmsg(b []byte, level, kind uint32, size int) (grown, data []byte) {
	at := len(b)
	b = b[:at+unix.CmsgSpace(size)]
	m := b[at:]
	clear(m)
	if cmsgHeader == 16 {
		binary.NativeEndian.PutUint64(m, uint64(unix.CmsgLen(size)))
	} else {
		binary.NativeEndian.PutUint32(m, uint32(unix.CmsgLen(size)))
	}
	binary.NativeEndian.PutUint32(m[cmsgHeader-8:], level)
	binary.NativeEndian.PutUint32(m[cmsgHeader-4:], kind)
	return b, m[cmsgHeader : cmsgHeader+size]
}

// appendUint32 adds a control message with one 32-bit number.
func appendUint32(b []byte, level, kind, v uint32) []byte {
	b, data := appendCmsg(b, level, kind, 4)
	binary.NativeEndian.PutUint32(data, v)
	return b
}

// appendPktinfo adds the source address and interface to send from.
func appendPktinfo(b []byte, v6 bool, local netip.Addr, iface int) []byte {
	if !local.IsValid() && iface == 0 {
		return b
	}
	if v6 {
		b, data := appendCmsg(b, unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		if local.Is6() {
			a := local.As16()
			copy(data, a[:])
		}
		binary.NativeEndian.PutUint32(data[16:], uint32(iface))
		return b
	}
	b, data := appendCmsg(b, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	binary.NativeEndian.PutUint32(data, uint32(iface))
	if local := local.Unmap(); local.Is4() {
		a := local.As4()
		copy(data[4:8], a[:]) // ipi_spec_dst
	}
	return b
}
