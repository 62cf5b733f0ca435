// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"net/netip"
	"strconv"
	"strings"

	"foliot/internal/config"
)

// access is allow, deny and their cmd twins: [all] [network].
func access(to *[]config.AccessRule, allow bool) directive {
	return directive{0, 2, func(s *statement) error {
		rule := config.AccessRule{Origin: s.origin, Allow: allow}
		words := s.args
		if len(words) > 0 && strings.EqualFold(words[0], "all") {
			rule.All, words = true, words[1:]
		}
		switch len(words) {
		case 0:
			rule.Everything = true
		case 1:
			if err := network(&rule, s, words[0]); err != nil {
				return err
			}
		default:
			return s.bad("one network is expected, %s is a second", words[1])
		}
		*to = append(*to, rule)
		return nil
	}}
}

// network stores whom a rule is about: an address, a network (with a prefix
// length, or the first octets of an IPv4 address), or the name of a host.
func network(rule *config.AccessRule, s *statement, word string) error {
	base, length, slash := strings.Cut(word, "/")
	addr, bits, numeric := partialAddress(base)
	if !numeric {
		if slash || !isHostName(word) {
			return s.bad("%s is no address, network or host name", word)
		}
		rule.Host = word
		return nil
	}
	if slash {
		e := integer(&bits, 0, int64(addr.BitLen()))(length)
		if e != nil && e.malformed {
			return s.bad("the prefix length in %s is not a number", word)
		}
		if e != nil {
			return &problem{
				what: "Invalid value " + length + " in " + s.name + " directive (prefix length, " + e.allowed + ")",
				at:   s.origin,
			}
		}
	}
	rule.Prefix = netip.PrefixFrom(addr, bits).Masked()
	return nil
}

// partialAddress reads an address, or the first octets of an IPv4 address: 10.1
// is 10.1.0.0 with a prefix length of 16.
func partialAddress(word string) (addr netip.Addr, bits int, ok bool) {
	if a, err := netip.ParseAddr(word); err == nil {
		a = a.WithZone("").Unmap()
		return a, a.BitLen(), true
	}
	var octets [4]byte
	parts := strings.Split(word, ".")
	if len(parts) > 4 {
		return netip.Addr{}, 0, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, 0, false
		}
		octets[i] = byte(n)
	}
	return netip.AddrFrom4(octets), 8 * len(parts), true
}

// isHostName tells whether a word can be the name of a host. What consists of
// digits and dots is a mistyped address.
func isHostName(word string) bool {
	letters := false
	for _, c := range word {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters = true
		case '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return letters && len(word) <= 255
}
