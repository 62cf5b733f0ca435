// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"net/netip"
	"strings"

	"foliot/internal/cmdmon"
)

// access is allow, deny and the like: one command for a subnet, and one for a
// subnet and all in it.
func access(one, all cmdmon.Command) runner {
	return func(s *Session, line string) bool {
		c := one
		if word, rest := cut(line); word == "all" {
			c, line = all, rest
		}
		m, ok := s.subnet(line)
		if !ok {
			return s.Complain("Could not read address")
		}
		return s.order(c, &m)
	}
}

// subnet reads 192.0.2.0/24, 192.0.2, 192.0.2.1, 2001:db8::/32, a host's name, or
// nothing, which is all addresses.
func (s *Session) subnet(line string) (m cmdmon.Subnet, ok bool) {
	if line == "" {
		return m, true
	}
	text, bits, sliced := strings.Cut(line, "/")
	a, n, ok := prefix(text)
	if !ok && !sliced {
		a, ok = s.address(text)
		n = a.BitLen()
	}
	if sliced && ok {
		var rest string
		n, rest, ok = tryInt(bits)
		ok = ok && rest == ""
	}
	return cmdmon.Subnet{Addr: cmdmon.IPAddr{Addr: a}, Bits: int32(n)}, ok
}

// prefix reads an address, or the first one to three octets of one, and returns
// how many bits were given.
func prefix(text string) (netip.Addr, int, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a, a.BitLen(), true
	}
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return netip.Addr{}, 0, false
	}
	var octets [4]byte
	for i, part := range parts {
		n, rest, ok := tryInt(part)
		if !ok || rest != "" || n < 0 || n > 255 {
			return netip.Addr{}, 0, false
		}
		octets[i] = byte(n)
	}
	return netip.AddrFrom4(octets), 8 * len(parts), true
}

func accessCheck(c cmdmon.Command) runner {
	return func(s *Session, line string) bool {
		a, ok := s.address(line)
		if !ok {
			return s.Complain("Could not read address")
		}
		return s.order(c, &cmdmon.Address{Addr: cmdmon.IPAddr{Addr: a}})
	}
}
