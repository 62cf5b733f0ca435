// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Host is a node on a subnet, both counted from 0 as the protocol does. People
// count from 1: node 3 on subnet 1 is 192.168.123.3 or fc00::123:3.
type Host struct {
	Subnet uint32
	Node   uint32 // everyNode in a broadcast
}

// everyNode is the destination of a broadcast.
const everyNode = 0xffffffff

// Ranges of what an address can express.
const (
	firstSubnet = 123 // third octet of the first subnet
	lastSubnet  = 255
	everyOctet  = 255 // last octet of a broadcast address
)

// prefix6 is what all IPv6 addresses begin with; subnet and node follow, an
// octet each.
var prefix6 = netip.MustParsePrefix("fc00::123:0/112")

// hostOf returns the host with the address a, false for one outside the network.
func hostOf(a netip.Addr) (Host, bool) {
	a = a.Unmap()
	if a.Is6() {
		b := a.As16()
		if !prefix6.Contains(a) || b[15] == 0 || b[15] == everyOctet {
			return Host{}, false
		}
		return Host{Subnet: uint32(b[14]), Node: uint32(b[15]) - 1}, true
	}
	if !a.Is4() {
		return Host{}, false
	}
	b := a.As4()
	if b[0] != 192 || b[1] != 168 || b[2] < firstSubnet || b[3] == 0 {
		return Host{}, false
	}
	h := Host{Subnet: uint32(b[2]) - firstSubnet, Node: uint32(b[3]) - 1}
	if b[3] == everyOctet {
		h.Node = everyNode
	}
	return h, true
}

// addr returns the host's address, invalid if none expresses it.
func (h Host) addr(ipv6 bool) netip.Addr {
	if h.Subnet > lastSubnet-firstSubnet || h.Node >= everyOctet-1 {
		return netip.Addr{}
	}
	if ipv6 {
		b := prefix6.Addr().As16()
		b[14], b[15] = byte(h.Subnet), byte(h.Node)+1
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte{192, 168, firstSubnet + byte(h.Subnet), byte(h.Node) + 1})
}

// lookup resolves a name as the simulator's own clients do: nodeN.netS.clk is
// one node, nodes-A-B-C.netS.clk are several, the last one first. Any other name
// that is not an address does not resolve.
func lookup(name string, ipv6 bool) []netip.Addr {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}
	}
	host, net, ok := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(name, "."), ".clk"), ".net")
	subnet, good := count(net)
	if !ok || !good || !strings.HasSuffix(strings.TrimSuffix(name, "."), ".clk") {
		return nil
	}
	list, many := strings.CutPrefix(host, "nodes-")
	if !many {
		if list, ok = strings.CutPrefix(host, "node"); !ok {
			return nil
		}
	}
	var found []netip.Addr
	for n := range strings.SplitSeq(list, "-") {
		node, ok := count(n)
		a := Host{Subnet: subnet, Node: node}.addr(ipv6)
		if !ok || !a.IsValid() || !many && n != list {
			return nil
		}
		found = append(found, a)
	}
	slices.Reverse(found)
	return found
}

// count parses a number that counts from 1 and returns it counted from 0.
func count(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 {
		return 0, false
	}
	return uint32(n - 1), true
}
