// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/ntp"
)

// Sizes of the ring, in octets.
const (
	tapSlot   = 256 // a header, an address and an NTP frame
	tapBlock  = 1 << 16
	tapBlocks = 64
)

// tap sees the answers that pass an interface, with the time at which the kernel
// handed them to the driver or got them from it. It is a ring in memory shared
// with the kernel (packet(7), Documentation/networking/packet_mmap.rst), version
// 2, which gives each packet at once.
type tap struct {
	fd   int
	ring []byte
	at   int // the slot to look at next
}

// newTap opens a tap on an interface for answers to addresses that begin with
// net, 16 bits; call it inside the namespace.
func newTap(ifindex int, net uint16) (*tap, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket AF_PACKET", err)
	}
	t := &tap{fd: fd}
	if err := t.open(ifindex, net); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return t, nil
}

func (t *tap) open(ifindex int, net uint16) (err error) {
	filter := answersTo(net)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	ring := unix.TpacketReq{
		Block_size: tapBlock, Block_nr: tapBlocks, Frame_size: tapSlot, Frame_nr: tapBlock / tapSlot * tapBlocks,
	}
	err = errors.Join(
		os.NewSyscallError("setsockopt SO_ATTACH_FILTER", unix.SetsockoptSockFprog(t.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)),
		os.NewSyscallError("setsockopt PACKET_VERSION", unix.SetsockoptInt(t.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2)),
		os.NewSyscallError("setsockopt SO_TIMESTAMPNS", unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)),
		os.NewSyscallError("setsockopt PACKET_RX_RING", setRing(t.fd, &ring)))
	if err != nil {
		return err
	}
	t.ring, err = unix.Mmap(t.fd, 0, tapBlock*tapBlocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	// Only a tap of all protocols sees what leaves.
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
	return os.NewSyscallError("bind", unix.Bind(t.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifindex}))
}

func setRing(fd int, r *unix.TpacketReq) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_PACKET, unix.PACKET_RX_RING,
		uintptr(unsafe.Pointer(r)), unsafe.Sizeof(*r), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// answersTo is a filter for IPv4 datagrams from port 123 to addresses that begin
// with net.
func answersTo(net uint16) []unix.SockFilter {
	const half, octet, equal = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_LD | unix.BPF_B | unix.BPF_ABS,
		unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	return []unix.SockFilter{
		{Code: half, K: 12}, {Code: equal, K: 0x0800, Jf: 7},
		{Code: octet, K: ipAt + 9}, {Code: equal, K: udpProtocol, Jf: 5},
		{Code: half, K: udpAt}, {Code: equal, K: ntpPort, Jf: 3},
		{Code: half, K: ipAt + 16}, {Code: equal, K: uint32(net), Jf: 1},
		{Code: unix.BPF_RET, K: tapSlot}, {Code: unix.BPF_RET},
	}
}

func (t *tap) close() {
	unix.Munmap(t.ring)
	unix.Close(t.fd)
}

// answer is an answer that a tap saw.
type answer struct {
	at     int64 // Unix time in nanoseconds
	to     uint32
	packet ntp.Packet
}

// each calls f for every answer that has passed since it was called last.
func (t *tap) each(f func(*answer)) {
	for {
		slot := t.ring[t.at*tapSlot : (t.at+1)*tapSlot]
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
		if atomic.LoadUint32(&h.Status)&unix.TP_STATUS_USER == 0 {
			return
		}
		frame := slot[h.Mac:min(int(h.Mac)+int(h.Snaplen), tapSlot)]
		if len(frame) >= frameLen {
			a := answer{at: int64(h.Sec)*1e9 + int64(h.Nsec), to: destination(frame)}
			if a.packet.Decode(frame[ntpAt:frameLen]) {
				f(&a)
			}
		}
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
		t.at = (t.at + 1) % (tapBlock / tapSlot * tapBlocks)
	}
}
