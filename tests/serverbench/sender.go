// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/ntp"
)

// batch is how many frames one sendmmsg(2) takes at most.
const batch = 64

// sender writes frames to a packet socket, past the queueing discipline: what a
// frame costs is little more than its way through the kernel. UDP sockets that
// borrow addresses (IP_TRANSPARENT) reach four fifths of that.
//
// With burst above 1 a frame holds that many requests of one client, which the
// kernel cuts apart at the server's socket. So many share a way.
type sender struct {
	fd      int
	burst   int
	frames  [batch][]byte
	vectors [batch]unix.Iovec
	msgs    [batch]mmsghdr
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// vnetLen is the size of struct virtio_net_hdr, which says how to cut a frame.
const vnetLen = 10

// newSender opens a sender on an interface; call it inside the namespace.
func newSender(ifindex int, to target, burst int) (*sender, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket AF_PACKET", err)
	}
	s := &sender{fd: fd, burst: burst}
	err = errors.Join(
		os.NewSyscallError("setsockopt PACKET_QDISC_BYPASS", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)),
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex})))
	if burst > 1 {
		err = errors.Join(err, os.NewSyscallError("setsockopt PACKET_VNET_HDR",
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	for i := range s.frames {
		s.prepare(i, to)
	}
	return s, nil
}

// prepare makes frame i, with its virtio header before it if it has one.
func (s *sender) prepare(i int, to target) {
	frame := newFrame(to, s.burst)
	whole := frame
	if s.burst > 1 {
		whole = make([]byte, vnetLen, vnetLen+len(frame))
		whole[0], whole[1] = 1, 5 // VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP_L4
		for at, v := range []uint16{2: ntpAt, 4: ntp.HeaderLen, 6: udpAt, 8: 6} {
			if v != 0 {
				binary.NativeEndian.PutUint16(whole[at:], v)
			}
		}
		whole = append(whole, frame...)
		frame = whole[vnetLen:]
	}
	s.frames[i] = frame
	s.vectors[i].Base = &whole[0]
	s.vectors[i].SetLen(len(whole))
	s.msgs[i].header.Iov = &s.vectors[i]
	s.msgs[i].header.SetIovlen(1)
}

func (s *sender) close() { unix.Close(s.fd) }

// send sends the first n frames and returns how many left.
func (s *sender) send(n int) (int, error) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), uintptr(n), 0, 0, 0)
	switch errno {
	case 0:
		return int(sent), nil
	case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
		return 0, nil // the interface is full: as good as lost on the way
	}
	return 0, os.NewSyscallError("sendmmsg", errno)
}
