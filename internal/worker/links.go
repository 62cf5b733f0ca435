// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"net"
	"net/netip"
	"time"
)

// linksAge is how long a list of links is believed.
const linksAge = time.Minute

// links are the networks that each interface is on. An answer to somebody on the
// network that the request came from leaves by the same interface; the way to
// all others is the routing table's business: behind a load balancer, or
// with two ways to the world, requests come by an interface that leads to nobody.
// Immutable.
type links []link

type link struct {
	iface   int
	network netip.Prefix
}

// readLinks asks the system. What it does not tell is not on any link.
func readLinks() links {
	var list links
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, link{i.Index, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()).Masked()})
			}
		}
	}
	return list
}

// pin returns the interface by which an answer to a has to leave, given the one
// by which the request came, and 0 if that is for the route to say.
func (l links) pin(a netip.Addr, iface int) int {
	if a.Zone() != "" || a.IsLinkLocalUnicast() {
		return iface
	}
	for i := range l {
		if l[i].iface == iface && l[i].network.Contains(a) {
			return iface
		}
	}
	return 0
}
