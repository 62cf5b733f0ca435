// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// skfNetOff makes a classic BPF program load from the network header
// (SKF_NET_OFF, linux/filter.h), a negative number.
const skfNetOff = 0xfff00000

// Offsets of the source address in the headers of IPv4 and IPv6, octets.
const (
	source4 = 12
	source6 = 8
)

// OpenGroup opens n server sockets at one address that share the load by
// client: all datagrams from one IPv4 address or one IPv6 /64 reach the same
// socket. Which one depends on key, which should be random, so that nobody can
// aim at one of them. Where the kernel refuses to steer it opens a single one, and
// says why it does.
//
// The port must be nobody else's (EADDRINUSE): of a port that two programs share
// each would get what the other's clients asked.
func OpenGroup(o Options, n int, key uint64) (group []*Socket, refused, err error) {
	first := o
	first.Exclusive = true
	s, err := OpenServer(first)
	if err != nil {
		return nil, nil, err
	}
	group = []*Socket{s}
	if err := s.share(); err != nil {
		s.Close()
		return nil, nil, fmt.Errorf("open server socket at %s: %w", o.Local, err)
	}
	for len(group) < n {
		s, err := OpenServer(o)
		if err != nil {
			closeAll(group)
			return nil, nil, err
		}
		group = append(group, s)
		if len(group) != 2 {
			continue
		}
		// A group exists from the second socket on.
		if err := steer(group[0], n, key); err != nil {
			s.Close()
			return group[:1], err, nil
		}
	}
	return group, nil, nil
}

func closeAll(group []*Socket) {
	for _, s := range group {
		s.Close()
	}
}

// steer gives the reuseport group of s a program that returns the index of the
// socket for a datagram, in the order in which they were opened; those that are
// not there yet get nothing.
func steer(s *Socket, n int, key uint64) error {
	prog := steering(s.v6, uint32(n), key)
	f := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &f); err != nil {
		return fmt.Errorf("steer clients to workers: %w", os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF", err))
	}
	return nil
}

// steering is the program: a keyed hash of the source address modulo n. It is
// one round of multiplication and folding for each word of the address.
func steering(v6 bool, n uint32, key uint64) []unix.SockFilter {
	k0, k1 := uint32(key)|1, uint32(key>>32)
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: skfNetOff + off}
	}
	alu := func(op uint16, k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_ALU | op | unix.BPF_K, K: k}
	}
	toX := unix.SockFilter{Code: unix.BPF_MISC | unix.BPF_TAX}
	xorX := unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_XOR | unix.BPF_X}
	mix := []unix.SockFilter{
		alu(unix.BPF_XOR, k1), alu(unix.BPF_MUL, k0), toX, alu(unix.BPF_RSH, 16), xorX,
		alu(unix.BPF_MUL, 0x85ebca6b), toX, alu(unix.BPF_RSH, 13), xorX,
	}
	var p []unix.SockFilter
	if v6 {
		p = append(p, load(source6))
		p = append(p, mix...)
		p = append(p, toX, load(source6+4), xorX)
	} else {
		p = append(p, load(source4))
	}
	p = append(p, mix...)
	return append(p, alu(unix.BPF_MOD, n), unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A})
}
