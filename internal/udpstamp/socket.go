// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// pendingStamps is how many transmit stamps may be outstanding on a socket whose
// kernel counts datagrams instead of carrying our ids. A power of two.
const pendingStamps = 256

// Socket is a non-blocking UDP socket of one address family. One goroutine owns
// it. Send, Recv and RecvTx do not allocate, except for an error and at the first
// use of an IPv6 zone.
type Socket struct {
	fd        int
	v6        bool
	hardware  bool
	features  Features
	precision clock.Dispersion
	remote    netip.AddrPort // valid on a client socket
	zones     []zone
	parsed    control
	rx, tx    buffers
	counter   counter
}

// buffers are what the kernel is given to read from or write to. They contain
// pointers to each other: a Socket must not be copied.
type buffers struct {
	header  unix.Msghdr
	vector  unix.Iovec
	name    unix.RawSockaddrInet6 // large enough for IPv4 too
	control [controlWords]uint64  // aligned as control messages must be
}

// zone remembers the name of an interface. An address with that zone keeps
// netip's entry for it alive, so that giving a zone does not allocate.
type zone struct {
	index uint32
	name  string
	keep  netip.Addr
}

func newZone(index uint32, name string) zone {
	return zone{index, name, netip.IPv6Unspecified().WithZone(name)}
}

// counter translates the kernel's count of stamped datagrams to their TxIDs.
type counter struct {
	next    uint32
	pending [pendingStamps]struct{ key, id uint32 }
}

func (s *Socket) prepare() {
	for _, b := range [...]*buffers{&s.rx, &s.tx} {
		b.header.Iov = &b.vector
		b.header.SetIovlen(1)
	}
}

// FD returns the file descriptor, for a [Poller] or for socket options. It
// stays the property of s.
func (s *Socket) FD() int { return s.fd }

// Cookie returns the number by which eBPF programs know the socket; no other has
// it before the next boot.
func (s *Socket) Cookie() (uint64, error) {
	n, err := unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return n, os.NewSyscallError("getsockopt SO_COOKIE", err)
}

// Remote returns whom a client socket is connected to, the zero AddrPort for a
// server socket.
func (s *Socket) Remote() netip.AddrPort { return s.remote }

// Close closes the socket. A Poller forgets it by itself.
func (s *Socket) Close() error {
	fd := s.fd
	s.fd = -1
	if fd < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

// Recv fills msgs with datagrams that have arrived and returns how many. Fewer
// than len(msgs) without an error means that no more are waiting. The n
// messages count also beside an error, such as ECONNREFUSED on a client socket
// after an ICMP message; see [Transient].
func (s *Socket) Recv(msgs []Message) (n int, err error) {
	for n < len(msgs) {
		errno := s.recvOne(&msgs[n])
		switch errno {
		case 0:
			n++
		case unix.EAGAIN:
			return n, nil
		case unix.EINTR:
		default:
			return n, os.NewSyscallError("recvmsg", errno)
		}
	}
	return n, nil
}

func (s *Socket) recvOne(m *Message) unix.Errno {
	b := &s.rx
	b.header.Name = (*byte)(unsafe.Pointer(&b.name))
	b.header.Namelen = uint32(unsafe.Sizeof(b.name))
	b.vector.Base = unsafe.SliceData(m.buf)
	b.vector.SetLen(len(m.buf))
	size, errno := s.receive(0)
	if errno != 0 {
		return errno
	}
	c := &s.parsed
	m.Data = m.buf[:size]
	m.Truncated = b.header.Flags&unix.MSG_TRUNC != 0
	m.Local, m.Iface = c.local, c.iface
	m.Hardware = clock.At[NIC](c.hardware)
	if c.software != 0 {
		m.Stamp = s.kernelStamp(c.software)
	} else {
		m.Stamp = clock.Stamp{
			Time: clock.At[clock.Realtime](time.Now().UnixNano()),
			Err:  s.precision, Kind: clock.StampDaemon,
		}
	}
	if m.From = s.remote; !s.remote.IsValid() {
		m.From = s.addrPort(&b.name)
	}
	return 0
}

// receive calls recvmsg(2) and parses the control messages. The calls of this
// file do not block, so the scheduler need not hear of them.
func (s *Socket) receive(flags uintptr) (int, unix.Errno) {
	b := &s.rx
	b.header.Control = (*byte)(unsafe.Pointer(&b.control))
	b.header.SetControllen(int(unsafe.Sizeof(b.control)))
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.header)), flags)
	if errno != 0 {
		return 0, errno
	}
	s.parsed.parse(b.controlBytes()[:b.header.Controllen])
	return int(n), 0
}

// RecvTx fills txs with transmit stamps that have become known and returns how
// many. Fewer than len(txs) without an error means that no more are waiting.
// Read it before Recv: the poller reports a waiting stamp until it is read.
func (s *Socket) RecvTx(txs []Tx) (n int, err error) {
	s.rx.header.Name, s.rx.header.Namelen = nil, 0
	s.rx.vector.SetLen(0)
	for n < len(txs) {
		_, errno := s.receive(unix.MSG_ERRQUEUE)
		switch errno {
		case 0:
			if s.transmitted(&txs[n]) {
				n++
			}
		case unix.EAGAIN:
			return n, nil
		case unix.EINTR:
		default:
			return n, os.NewSyscallError("recvmsg MSG_ERRQUEUE", errno)
		}
	}
	return n, nil
}

// transmitted turns the control messages just parsed into a transmit stamp.
func (s *Socket) transmitted(tx *Tx) bool {
	c := &s.parsed
	if !c.tx || c.software == 0 && c.hardware == 0 {
		return false
	}
	*tx = Tx{ID: c.txKey, Hardware: clock.At[NIC](c.hardware)}
	if c.software != 0 {
		tx.Stamp = s.kernelStamp(c.software)
	}
	if !s.features.OwnIDs {
		tx.ID = s.counter.lookup(c.txKey)
	}
	return tx.ID != 0
}

func (s *Socket) kernelStamp(ns int64) clock.Stamp {
	return clock.Stamp{Time: clock.At[clock.Realtime](ns), Err: s.precision, Kind: clock.StampKernel}
}

// Send sends d. Where the kernel cannot stamp, a TxID asks for nothing.
func (s *Socket) Send(d *Datagram) error {
	stamped := d.TxID != 0 && s.features.Stamps
	s.address(d)
	s.request(d, stamped)
	errno := s.transmit()
	if errno != 0 && s.remote.IsValid() && icmpErrno(errno) {
		// The kernel hands out the ICMP answer to an earlier datagram in place
		// of sending this one; it does so once.
		s.countFailure(stamped)
		errno = s.transmit()
	}
	if errno != 0 {
		s.countFailure(stamped)
		return os.NewSyscallError("sendmsg", errno)
	}
	if stamped && !s.features.OwnIDs {
		s.counter.sent(d.TxID)
	}
	return nil
}

func (s *Socket) transmit() unix.Errno {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.tx.header)), 0)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// address sets the datagram and its destination.
func (s *Socket) address(d *Datagram) {
	b := &s.tx
	b.vector.Base = unsafe.SliceData(d.Data)
	b.vector.SetLen(len(d.Data))
	if s.remote.IsValid() {
		b.header.Name, b.header.Namelen = nil, 0
		return
	}
	b.header.Name = (*byte)(unsafe.Pointer(&b.name))
	port := (*[2]byte)(unsafe.Pointer(&b.name.Port))
	binary.BigEndian.PutUint16(port[:], d.To.Port())
	if !s.v6 {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.name))
		v4.Family = unix.AF_INET
		v4.Addr = [4]byte{}
		if ip := d.To.Addr().Unmap(); ip.Is4() {
			v4.Addr = ip.As4()
		}
		b.header.Namelen = unix.SizeofSockaddrInet4
		return
	}
	b.name.Family = unix.AF_INET6
	b.name.Addr = d.To.Addr().As16()
	b.name.Scope_id = s.scope(d.To.Addr())
	b.header.Namelen = unix.SizeofSockaddrInet6
}

// request writes the control messages: where from, and whether to stamp.
func (s *Socket) request(d *Datagram, stamped bool) {
	b := &s.tx
	ctl := b.controlBytes()[:0]
	if !s.remote.IsValid() {
		ctl = appendPktinfo(ctl, s.v6, d.Local, d.Iface)
	}
	if stamped {
		ctl = s.appendStampRequest(ctl, d.TxID)
	}
	b.header.Control = unsafe.SliceData(ctl)
	b.header.SetControllen(len(ctl))
	if len(ctl) == 0 {
		b.header.Control = nil
	}
}

// appendStampRequest asks for the transmit stamp of a datagram.
func (s *Socket) appendStampRequest(ctl []byte, txID uint32) []byte {
	flags := uint32(unix.SOF_TIMESTAMPING_TX_SOFTWARE)
	if s.hardware {
		flags |= unix.SOF_TIMESTAMPING_TX_HARDWARE
	}
	ctl = appendUint32(ctl, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags)
	if s.features.OwnIDs {
		ctl = appendUint32(ctl, unix.SOL_SOCKET, unix.SCM_TS_OPT_ID, txID)
	}
	return ctl
}

// countFailure restarts the kernel's count after a stamped datagram that may or
// may not have been counted. Stamps still to come are lost with it.
func (s *Socket) countFailure(stamped bool) {
	if !stamped || s.features.OwnIDs {
		return
	}
	// The count begins again at 0 when OPT_ID goes from off to on.
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, 0) == nil {
		enableStamps(s.fd, s.features, s.hardware) // it worked before
	}
	s.counter = counter{}
}

func (c *counter) sent(id uint32) {
	p := &c.pending[c.next%pendingStamps]
	p.key, p.id = c.next, id
	c.next++
}

// lookup returns the TxID of the datagram that was counted as key, 0 if it is
// too old to be known. The entry stays: a hardware stamp may follow.
func (c *counter) lookup(key uint32) uint32 {
	if p := &c.pending[key%pendingStamps]; p.key == key {
		return p.id
	}
	return 0
}

func (b *buffers) controlBytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&b.control)), int(unsafe.Sizeof(b.control)))
}

// addrPort decodes a socket address of the socket's family.
func (s *Socket) addrPort(name *unix.RawSockaddrInet6) netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	p := binary.BigEndian.Uint16(port[:])
	if !s.v6 {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), p)
	}
	ip := netip.AddrFrom16(name.Addr)
	if name.Scope_id != 0 {
		ip = ip.WithZone(s.zoneName(name.Scope_id))
	}
	return netip.AddrPortFrom(ip, p)
}

// zoneName returns the name of an interface, its number if it has none.
func (s *Socket) zoneName(index uint32) string {
	for i := range s.zones {
		if s.zones[i].index == index {
			return s.zones[i].name
		}
	}
	name := strconv.FormatUint(uint64(index), 10)
	if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
		name = ifi.Name
	}
	s.zones = append(s.zones, newZone(index, name))
	return name
}

// scope returns the interface index of ip's zone, 0 if it has none or an
// unknown one.
func (s *Socket) scope(ip netip.Addr) uint32 {
	name := ip.Zone()
	if name == "" {
		return 0
	}
	for i := range s.zones {
		if s.zones[i].name == name {
			return s.zones[i].index
		}
	}
	index, err := zoneIndex(name)
	if err != nil {
		return 0
	}
	s.zones = append(s.zones, newZone(index, name))
	return index
}
