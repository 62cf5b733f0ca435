// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tcMessageLen is the size of struct tcmsg, linux/rtnetlink.h.
const tcMessageLen = 20

// tcMessage is a struct tcmsg.
func tcMessage(ifindex int, handle, parent, info uint32) []byte {
	m := make([]byte, tcMessageLen, 128)
	for i, v := range [...]uint32{uint32(ifindex), handle, parent, info} {
		binary.NativeEndian.PutUint32(m[4+4*i:], v)
	}
	return m
}

func word(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// attribute appends an attribute of netlink (7) to a message.
func attribute(m []byte, kind uint16, value []byte) []byte {
	m = binary.NativeEndian.AppendUint16(m, uint16(4+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(m, value...)
	return append(m, make([]byte, -len(m)&3)...)
}

// find returns the value of an attribute, nil if it is not there.
func find(b []byte, kind uint16) []byte {
	const flags = 0xc000 // NLA_F_NESTED, NLA_F_NET_BYTEORDER
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&^flags == kind {
			return b[4:n]
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// conversation is a socket to the kernel's routing. It is about the network
// namespace that it was opened in.
type conversation struct{ fd int }

func converse() (conversation, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	return conversation{fd}, os.NewSyscallError("socket", err)
}

func (c conversation) close() error { return os.NewSyscallError("close", unix.Close(c.fd)) }

// ask sends a message to the kernel and returns what it answers, without headers.
// The error is the kernel's.
func (c conversation) ask(kind, flags uint16, body []byte) (replies [][]byte, err error) {
	m := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(m, uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags|unix.NLM_F_REQUEST)
	if err := unix.Sendto(c.fd, append(m, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		done, err := split(b[:n], &replies)
		if done || err != nil {
			return replies, err
		}
	}
}

// split appends copies of the messages in a datagram. It tells whether the answer
// ends there.
func split(b []byte, replies *[][]byte) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return true, fmt.Errorf("netlink: message of %d octets of %d", n, len(b))
		}
		body := b[unix.NLMSG_HDRLEN:n]
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, fmt.Errorf("netlink: error of %d octets", len(body))
			}
			if e := int32(binary.NativeEndian.Uint32(body)); e != 0 {
				return true, unix.Errno(-e)
			}
			return true, nil
		}
		*replies = append(*replies, append([]byte(nil), body...))
		b = b[min((n+3)&^3, len(b)):]
	}
	return false, nil
}
