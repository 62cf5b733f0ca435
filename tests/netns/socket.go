// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial returns a UDP socket in the namespace, from an address of it (the zero
// AddrPort: whichever) to another.
func (s *Space) Dial(from, to netip.AddrPort) (conn *net.UDPConn, err error) {
	var local *net.UDPAddr
	if from.IsValid() {
		local = net.UDPAddrFromAddrPort(from)
	}
	failed := s.visit(func() { conn, err = net.DialUDP("udp", local, net.UDPAddrFromAddrPort(to)) })
	return conn, errors.Join(failed, err)
}

// visit calls f on a thread in the namespace. The thread comes back: it must not
// end, because children of ours end with the thread that started them.
func (s *Space) visit(f func()) error {
	there, err := unix.Open("/run/netns/"+s.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(there)
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer unix.Close(home)
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	f()
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		return err // the thread stays locked, and is used for nothing else
	}
	runtime.UnlockOSThread()
	return nil
}

// Run runs a command in the namespace to its end.
func (s *Space) Run(args ...string) error {
	return run("ip", append([]string{"netns", "exec", s.Name}, args...)...)
}
