// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"net"
	"net/netip"
)

// Dial returns a connected UDP socket in the namespace, from an address that the
// kernel takes for one of its own.
func (s *Space) Dial(from, to netip.AddrPort) (conn *net.UDPConn, err error) {
	err = s.Inside(func() error {
		conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
		return err
	})
	return conn, err
}
