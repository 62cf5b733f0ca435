// SPDX-License-Identifier: Apache-2.0

// Package links knows the network interfaces of the machine and their addresses,
// and hears when they change. It asks the kernel twice, however many there are.
package links

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Link is an interface.
type Link struct {
	Index    int
	Name     string
	MAC      net.HardwareAddr // none: no Ethernet
	Up       bool
	Loopback bool
	Addrs    []netip.Addr // usable ones, without zones: no duplicates, nor such as may be one
}

// Read returns the interfaces there are.
func Read() ([]Link, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addrs, err := addresses()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	list := make([]Link, len(ifaces))
	for i := range ifaces {
		f := &ifaces[i]
		list[i] = Link{
			Index: f.Index, Name: f.Name, MAC: f.HardwareAddr, Addrs: addrs[f.Index],
			Up: f.Flags&net.FlagUp != 0, Loopback: f.Flags&net.FlagLoopback != 0,
		}
	}
	return list, nil
}

// addresses returns the addresses of all interfaces by their indices (rtnetlink(7)).
func addresses() (map[int][]netip.Addr, error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETADDR, unix.AF_UNSPEC)
	if err != nil {
		return nil, os.NewSyscallError("netlinkrib", err)
	}
	msgs, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, os.NewSyscallError("parsenetlinkmessage", err)
	}
	all := make(map[int][]netip.Addr)
	for i := range msgs {
		m := &msgs[i]
		if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, os.NewSyscallError("parsenetlinkrouteattr", err)
		}
		index := int(binary.NativeEndian.Uint32(m.Data[4:])) // struct ifaddrmsg
		if a := address(attrs, uint32(m.Data[2])); a.IsValid() {
			all[index] = append(all[index], a)
		}
	}
	return all, nil
}

// address is the own one in the attributes of an address; the other one is that of
// the far end, or the same. It is invalid if it is not to be used.
func address(attrs []syscall.NetlinkRouteAttr, flags uint32) (a netip.Addr) {
	own := false
	for i := range attrs {
		r := &attrs[i]
		switch r.Attr.Type {
		case unix.IFA_LOCAL:
			own = true
			a, _ = netip.AddrFromSlice(r.Value)
		case unix.IFA_ADDRESS:
			if !own {
				a, _ = netip.AddrFromSlice(r.Value)
			}
		case unix.IFA_FLAGS:
			flags = binary.NativeEndian.Uint32(r.Value)
		}
	}
	if flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && flags&unix.IFA_F_OPTIMISTIC == 0 {
		return netip.Addr{}
	}
	return a
}

// Watcher hears of changes.
type Watcher struct{ f *os.File }

// Watch returns what hears of changes of interfaces and addresses from now on.
func Watch() (*Watcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return &Watcher{os.NewFile(uintptr(fd), "rtnetlink")}, nil
}

// Wait waits for a change. That some were lost is one too; any other error is the end.
func (w *Watcher) Wait() error {
	var b [8192]byte
	_, err := w.f.Read(b[:])
	if e, ok := err.(*os.PathError); ok && e.Err == unix.ENOBUFS {
		return nil
	}
	return err
}

// Close ends Wait.
func (w *Watcher) Close() error { return w.f.Close() }
