// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"foliot/internal/cmdmon"
	"foliot/internal/report"
)

// lookupTime bounds the wait for the name of one address.
const lookupTime = 10 * time.Second

// address returns the first address of a host, or the address that it is.
func (s *Session) address(host string) (netip.Addr, bool) {
	all := s.addresses(s.Ctx, host)
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	return all[0], true
}

// sourceAddr returns the address of a source by its name or address, or ID#n for
// one that has none yet.
func (s *Session) sourceAddr(name string) (cmdmon.IPAddr, bool) {
	if n, ok := strings.CutPrefix(name, "ID#"); ok {
		id, _, ok := tryInt(n)
		return cmdmon.IPAddr{ID: uint32(id)}, ok
	}
	a, ok := s.address(name)
	return cmdmon.IPAddr{Addr: a}, ok
}

// plain is an address in figures.
func plain(a cmdmon.IPAddr) string {
	switch {
	case a.Addr.IsValid():
		return a.Addr.String()
	case a.ID != 0:
		return fmt.Sprintf("ID#%010d", a.ID)
	}
	return "[UNSPEC]"
}

// refName is a reference identifier as a string: its octets that can be printed.
func refName(id uint32) string {
	var b []byte
	for _, c := range binary.BigEndian.AppendUint32(nil, id) {
		if c >= ' ' && c <= '~' {
			b = append(b, c)
		}
	}
	return string(b)
}

// name is what a source is called in a report: as it was configured with -N, else
// by the name of its address. Up to room characters are shown of that; 0 is no
// limit.
func (s *Session) name(a cmdmon.IPAddr, room int) string {
	if !s.o.SourceNames {
		return s.host(a, room)
	}
	h, reply, ok := s.exchange(cmdmon.SourceName, &cmdmon.Address{Addr: a})
	var m cmdmon.SourceNameReply
	if !ok || h.Status != cmdmon.Success || !cmdmon.DecodeReply(reply, &m) {
		return "?"
	}
	return printable(m.Name)
}

// printable keeps a name from writing anything but text to the terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}

// host is the name of an address, or the address where names are not wanted.
func (s *Session) host(a cmdmon.IPAddr, room int) string {
	if s.o.NoNames || s.o.Format != report.Text || !a.Addr.IsValid() {
		return plain(a)
	}
	name, known := s.names[a.Addr]
	if !known {
		name = s.lookup(a)
		s.names[a.Addr] = name
	}
	if room > 0 && len(name) > room {
		name = name[:room-1] + ">"
	}
	return name
}

func (s *Session) lookup(a cmdmon.IPAddr) string {
	ctx, cancel := context.WithTimeout(s.Ctx, lookupTime)
	defer cancel()
	all, err := net.DefaultResolver.LookupAddr(ctx, a.Addr.String())
	if err != nil || len(all) == 0 {
		return plain(a)
	}
	return printable(strings.TrimSuffix(all[0], "."))
}

// reference is what the reference of a clock is called: a source, or an
// identifier if it has no address.
func (s *Session) reference(a cmdmon.IPAddr, id uint32, room int) string {
	if a == (cmdmon.IPAddr{}) {
		return refName(id)
	}
	return s.name(a, room)
}
