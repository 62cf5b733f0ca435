// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// Batch receives datagrams at a server socket and sends answers to them, many
// with one system call. An answer is written over its request and leaves from
// the address and the interface at which the request came. One goroutine owns a
// Batch and its Socket; nothing allocates.
type Batch struct {
	s    *Socket
	msgs []Message
	rx   []slot   // where requests arrive; the octets, address and control data of msgs
	tx   []packet // answers that wait for Flush
	wait int      // how many
	ids  []uint32 // their TxIDs
	errq []slot   // where transmit stamps arrive
	// The headers that the kernel gets: they point into the slots.
	rxHeaders, txHeaders, errHeaders []mmsghdr
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	n      uint32
}

// slotWords is the room for control data of a slot in 64-bit words. Stamps and
// packet info of a request take 112 octets, those of a transmit stamp with its
// extended error 128.
const slotWords = 24

// slot is the memory of a datagram that arrives.
type slot struct {
	vector  unix.Iovec
	name    unix.RawSockaddrInet6 // large enough for IPv4 too
	control [slotWords]uint64
}

// packet is the memory of a datagram that leaves.
type packet struct {
	vector  unix.Iovec
	control [slotWords / 2]uint64
}

// stampBatch is how many transmit stamps are read with one system call.
const stampBatch = 32

// NewBatch returns a batch of up to n datagrams of up to size octets on a server
// socket.
func NewBatch(s *Socket, n, size int) *Batch {
	b := &Batch{
		s: s, msgs: NewMessages(n, size), ids: make([]uint32, n),
		rx: make([]slot, n), tx: make([]packet, n), errq: make([]slot, stampBatch),
		rxHeaders: make([]mmsghdr, n), txHeaders: make([]mmsghdr, n), errHeaders: make([]mmsghdr, stampBatch),
	}
	for i := range b.rx {
		r := &b.rx[i]
		r.vector.Base = unsafe.SliceData(b.msgs[i].buf)
		r.vector.SetLen(size)
		b.rxHeaders[i].header = unix.Msghdr{Iov: &r.vector, Name: (*byte)(unsafe.Pointer(&r.name)), Control: (*byte)(unsafe.Pointer(&r.control))}
		b.rxHeaders[i].header.SetIovlen(1)
		b.txHeaders[i].header = unix.Msghdr{Iov: &b.tx[i].vector}
		b.txHeaders[i].header.SetIovlen(1)
	}
	for i := range b.errq {
		b.errHeaders[i].header.Control = (*byte)(unsafe.Pointer(&b.errq[i].control))
	}
	return b
}

// Recv receives what is waiting, up to the size of the batch, and forgets
// answers that were not flushed. No messages without an error mean that nothing
// waits. The messages are valid until the next call.
func (b *Batch) Recv() ([]Message, error) {
	b.wait = 0
	for i := range b.rxHeaders {
		h := &b.rxHeaders[i].header
		h.Namelen = uint32(unsafe.Sizeof(b.rx[i].name))
		h.SetControllen(int(unsafe.Sizeof(b.rx[i].control)))
	}
	n, errno := mmsg(unix.SYS_RECVMMSG, b.s.fd, b.rxHeaders, 0)
	if errno != 0 {
		return nil, batchError("recvmmsg", errno)
	}
	for i := range n {
		b.arrived(i)
	}
	return b.msgs[:n], nil
}

// mmsg calls recvmmsg(2) or sendmmsg(2) on a socket that does not block, and so
// without telling the scheduler.
func mmsg(call uintptr, fd int, headers []mmsghdr, flags uintptr) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(headers))),
			uintptr(len(headers)), flags, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func batchError(call string, errno unix.Errno) error {
	if errno == unix.EAGAIN {
		return nil
	}
	return os.NewSyscallError(call, errno)
}

// arrived fills in message i from what the kernel wrote.
func (b *Batch) arrived(i int) {
	m, h, r := &b.msgs[i], &b.rxHeaders[i], &b.rx[i]
	c := &b.s.parsed
	c.parse(r.octets()[:h.header.Controllen])
	m.Data = m.buf[:h.n]
	m.Truncated = h.header.Flags&unix.MSG_TRUNC != 0
	m.From = b.s.addrPort(&r.name)
	m.Local, m.Iface = c.local, c.iface
	m.Hardware = clock.At[NIC](c.hardware)
	if c.software != 0 {
		m.Stamp = b.s.kernelStamp(c.software)
		return
	}
	m.Stamp = clock.Stamp{Time: clock.At[clock.Realtime](time.Now().UnixNano()), Err: b.s.precision, Kind: clock.StampDaemon}
}

func (r *slot) octets() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&r.control)), unsafe.Sizeof(r.control))
}

func (p *packet) octets() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&p.control)), unsafe.Sizeof(p.control))
}

// Answer queues the first n octets of message i as an answer to its sender. A
// TxID other than 0 asks for its transmit stamp.
func (b *Batch) Answer(i, n int, txID uint32) {
	h, p, r := &b.txHeaders[b.wait].header, &b.tx[b.wait], &b.rx[i]
	p.vector.Base = r.vector.Base
	p.vector.SetLen(n)
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&r.name)), b.rxHeaders[i].header.Namelen
	if !b.s.features.Stamps {
		txID = 0
	}
	b.ids[b.wait] = txID
	b.address(h, p, &b.msgs[i], txID)
	b.wait++
}

// address writes the control messages of an answer to m.
func (b *Batch) address(h *unix.Msghdr, p *packet, m *Message, txID uint32) {
	local := m.Local
	if local.IsMulticast() {
		local = netip.Addr{}
	}
	ctl := appendPktinfo(p.octets()[:0], b.s.v6, local, m.Iface)
	n := len(ctl)
	if txID == 0 && b.s.v6 && n == unix.CmsgSpace(unix.SizeofInet6Pktinfo) {
		// Without its padding the message fits the room that the kernel has on
		// its stack (net/socket.c, ____sys_sendmsg).
		n = unix.CmsgLen(unix.SizeofInet6Pktinfo)
	}
	if txID != 0 {
		n = len(b.s.appendStampRequest(ctl, txID))
	}
	h.Control = (*byte)(unsafe.Pointer(&p.control))
	if n == 0 {
		h.Control = nil
	}
	h.SetControllen(n)
}

// Flush sends the queued answers and returns how many the kernel took. One that
// cannot be sent is passed over, after a second try by whatever interface the
// route has; the error is that of the last.
func (b *Batch) Flush() (sent int, err error) {
	again := false
	for at := 0; at < b.wait; {
		n, errno := mmsg(unix.SYS_SENDMMSG, b.s.fd, b.txHeaders[at:b.wait], 0)
		if errno == 0 && n > 0 {
			b.countSent(b.ids[at : at+n])
			sent, at, again = sent+n, at+n, false
			continue
		}
		b.s.countFailure(b.ids[at] != 0)
		if !again && noWay(errno) {
			again = true
			b.anyInterface(at)
			continue
		}
		err = os.NewSyscallError("sendmmsg", errno)
		at, again = at+1, false
	}
	b.wait = 0
	return sent, err
}

// noWay tells whether the interface that was named is to blame.
func noWay(errno unix.Errno) bool {
	return errno == unix.ENETUNREACH || errno == unix.EHOSTUNREACH || errno == unix.ENODEV
}

// anyInterface lets the answer at place i leave by another interface than the
// request came by: the way back need not be the way here.
func (b *Batch) anyInterface(i int) {
	if b.txHeaders[i].header.Controllen == 0 {
		return
	}
	ctl := b.tx[i].octets()[cmsgHeader:] // the packet info is the first message
	if b.s.v6 {
		clear(ctl[16:20])
	} else {
		clear(ctl[:4])
	}
}

func (b *Batch) countSent(ids []uint32) {
	if b.s.features.OwnIDs {
		return
	}
	for _, id := range ids {
		if id != 0 {
			b.s.counter.sent(id)
		}
	}
}

// RecvTx fills txs with transmit stamps that have become known and returns how
// many. Fewer than len(txs) without an error mean that no more are waiting.
func (b *Batch) RecvTx(txs []Tx) (n int, err error) {
	for n < len(txs) {
		headers := b.errHeaders[:min(len(b.errHeaders), len(txs)-n)]
		for i := range headers {
			headers[i].header.SetControllen(int(unsafe.Sizeof(b.errq[i].control)))
		}
		got, errno := mmsg(unix.SYS_RECVMMSG, b.s.fd, headers, unix.MSG_ERRQUEUE)
		if errno != 0 {
			return n, batchError("recvmmsg MSG_ERRQUEUE", errno)
		}
		for i := range got {
			b.s.parsed.parse(b.errq[i].octets()[:headers[i].header.Controllen])
			if b.s.transmitted(&txs[n]) {
				n++
			}
		}
		if got < len(headers) {
			return n, nil
		}
	}
	return n, nil
}

// Drops returns how many datagrams the kernel dropped because the receive buffer
// was full (SK_MEMINFO_DROPS). Any goroutine may call it.
func (s *Socket) Drops() (uint64, error) {
	var info [9]uint32 // SK_MEMINFO_VARS, linux/sock_diag.h
	const drops = 8
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt SO_MEMINFO", errno)
	}
	return uint64(info[drops]), nil
}
