// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"net"
	"net/netip"
	"time"
)

// linksAge is how long what is known of the machine's addresses is believed.
const linksAge = 10 * time.Second

// links are the addresses of the machine and the networks that its interfaces are
// on. Immutable.
//
// An answer leaves from the address that was asked. To somebody on the network that
// the request came from it leaves by the same interface; the way to all others
// is the routing table's business: behind a load balancer, or with two ways to
// the world, requests come by an interface that leads to nobody.
type links struct {
	list []link
	// sole is the one IPv4 address that the machine has, beside its loopback's, if
	// it has one only. The kernel need not be told to answer from that, which
	// saves a fiftieth of the cost of an answer.
	sole netip.Addr
}

type link struct {
	iface   int
	network netip.Prefix
}

// readLinks asks the system. What it does not tell is not on any link.
func readLinks() links {
	var l links
	others := 0
	ifaces, err := net.Interfaces()
	if err != nil {
		return l
	}
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil {
			others++ // there may be some
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits())
			l.list = append(l.list, link{i.Index, p.Masked()})
			if p.Addr().Is4() && !p.Addr().IsLoopback() {
				l.sole = p.Addr()
				others++
			}
		}
	}
	if others != 1 {
		l.sole = netip.Addr{}
	}
	return l
}

// from returns the address and the interface that an answer to a has to leave from,
// given those that the request came to. The invalid address and 0 are for the
// kernel to choose.
func (l *links) from(a, local netip.Addr, iface int) (netip.Addr, int) {
	if local == l.sole && local.IsValid() && !a.IsLinkLocalUnicast() {
		return netip.Addr{}, 0
	}
	return local, l.pin(a, iface)
}

func (l *links) pin(a netip.Addr, iface int) int {
	if a.Zone() != "" || a.IsLinkLocalUnicast() {
		return iface
	}
	for i := range l.list {
		if l.list[i].iface == iface && l.list[i].network.Contains(a) {
			return iface
		}
	}
	return 0
}
