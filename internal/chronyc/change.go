// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"net/netip"
	"strings"

	"foliot/internal/cmdmon"
)

// runner carries a command out. The line is what follows its name.
type runner func(s *Session, line string) bool

// plainly is a command without arguments and report. What follows its name is not
// looked at.
func plainly(c cmdmon.Command) runner {
	return func(s *Session, _ string) bool { return s.order(c, nil) }
}

// about takes a value off the line that a source is to get.
func about[T any](try func(string) (T, string, bool), order func(*Session, cmdmon.IPAddr, T) bool) runner {
	return func(s *Session, line string) bool {
		name, rest := cut(line)
		v, _, ok := try(rest)
		if !ok {
			return s.Complain("Invalid syntax for address value")
		}
		addr, ok := s.sourceAddr(name)
		if !ok {
			return s.Complain("Could not get address for hostname")
		}
		return order(s, addr, v)
	}
}

func sourceInteger(c cmdmon.Command) runner {
	return about(tryInt, func(s *Session, addr cmdmon.IPAddr, v int) bool {
		return s.order(c, &cmdmon.SourceInteger{Addr: addr, Value: int32(v)})
	})
}

func sourceFloat(c cmdmon.Command) runner {
	return about(tryFloat, func(s *Session, addr cmdmon.IPAddr, v float64) bool {
		return s.order(c, &cmdmon.SourceFloat{Addr: addr, Value: v})
	})
}

// number is a command with a number, and the complaint if there is none, which
// may be silence.
func number(c cmdmon.Command, complaint string) runner {
	return func(s *Session, line string) bool {
		v, _, ok := tryFloat(line)
		switch {
		case ok:
			return s.order(c, &cmdmon.Number{Value: v})
		case complaint != "":
			s.Complain("%s", complaint)
		}
		return false
	}
}

// switches is a command with one word of several.
func switches(c cmdmon.Command, words map[string]int32, complaint string) runner {
	return func(s *Session, line string) bool {
		v, ok := words[line]
		if !ok {
			return s.Complain("%s", complaint)
		}
		return s.order(c, &cmdmon.Option{Value: v})
	}
}

// the is a command that has one word as argument, always the same.
func the(word string, c cmdmon.Command, complaint string) runner {
	return func(s *Session, line string) bool {
		if line != word {
			return s.Complain("%s", complaint)
		}
		return s.order(c, nil)
	}
}

func masked(c cmdmon.Command) runner {
	return func(s *Session, line string) bool {
		m, ok := s.mask(line)
		return ok && s.order(c, &m)
	}
}

// mask reads which sources are meant: all, one by its address or name, those in a
// subnet, or those whose address has a value under a mask.
func (s *Session) mask(line string) (m cmdmon.Masked, ok bool) {
	if line == "" {
		return m, true
	}
	first, second, both := strings.Cut(line, "/")
	if !both {
		m.Addr, ok = s.sourceAddr(line)
		if !ok {
			return m, s.Complain("Could not get address for hostname")
		}
		m.Mask = maskOf(m.Addr, -1)
		return m, true
	}
	a, err := netip.ParseAddr(first)
	if err != nil {
		return m, s.Complain("Invalid syntax for mask/address")
	}
	if b, err := netip.ParseAddr(second); err == nil {
		return cmdmon.Masked{Mask: cmdmon.IPAddr{Addr: a}, Addr: cmdmon.IPAddr{Addr: b}}, true
	}
	n, _, ok := tryInt(second)
	if !ok {
		return m, s.Complain("Invalid syntax for mask/address")
	}
	m.Addr = cmdmon.IPAddr{Addr: a}
	m.Mask = maskOf(m.Addr, n)
	return m, true
}

// maskOf is a mask of n bits for an address, of all bits if n is no such number. A
// source without address has none.
func maskOf(a cmdmon.IPAddr, n int) cmdmon.IPAddr {
	if !a.Addr.IsValid() {
		return cmdmon.IPAddr{}
	}
	if n < 0 || n > a.Addr.BitLen() {
		n = a.Addr.BitLen()
	}
	ones := a.Addr.AsSlice()
	for i := range ones {
		ones[i] = byte(uint16(0xff00) >> min(max(n-8*i, 0), 8))
	}
	mask, _ := netip.AddrFromSlice(ones)
	return cmdmon.IPAddr{Addr: mask}
}

func burst(s *Session, line string) bool {
	counts, rest := cut(line)
	good, after, ok := tryInt(counts)
	if !ok || !strings.HasPrefix(after, "/") {
		return s.Complain("Invalid syntax for burst command")
	}
	total, _, ok := tryInt(after[1:])
	if !ok {
		return s.Complain("Invalid syntax for burst command")
	}
	m, ok := s.mask(rest)
	return ok && s.order(cmdmon.Burst, &cmdmon.BurstRequest{Masked: m, Good: int32(good), Total: int32(total)})
}

func makeStep(s *Session, line string) bool {
	if line == "" {
		return s.order(cmdmon.MakeStep, nil)
	}
	threshold, rest, ok := tryFloat(line)
	limit, _, also := tryInt(rest)
	if !ok || !also {
		return s.Complain("Bad syntax for makestep command")
	}
	return s.order(cmdmon.ModifyMakeStep, &cmdmon.StepLimit{Limit: int32(limit), Threshold: threshold})
}

func remove(s *Session, line string) bool {
	name, _ := cut(line)
	if name == "" {
		return s.Complain("Invalid syntax for address")
	}
	addr, ok := s.sourceAddr(name)
	if !ok {
		return s.Complain("Could not get address for hostname")
	}
	return s.order(cmdmon.DelSource, &cmdmon.Address{Addr: addr})
}

// either reads a source by its address, or a refclock by its reference
// identifier.
func (s *Session) either(name string) (addr cmdmon.IPAddr, id uint32, ok bool) {
	if a, err := netip.ParseAddr(name); err == nil {
		return cmdmon.IPAddr{Addr: a}, 0, true
	}
	if strings.HasPrefix(name, "ID#") {
		addr, ok = s.sourceAddr(name)
		return addr, 0, ok
	}
	if name == "" || len(name) > 4 {
		return addr, 0, false
	}
	for i := range 4 {
		id <<= 8
		if i < len(name) {
			id |= uint32(name[i])
		}
	}
	return addr, id, true
}

// selectOptions are the options of selection in both numberings.
var selectOptions = map[string]struct {
	mask   cmdmon.SelectFlags
	option cmdmon.AddFlags
}{
	"noselect": {cmdmon.FlagNoSelect, cmdmon.AddFlagNoSelect}, "prefer": {cmdmon.FlagPrefer, cmdmon.AddFlagPrefer},
	"trust": {cmdmon.FlagTrust, cmdmon.AddFlagTrust}, "require": {cmdmon.FlagRequire, cmdmon.AddFlagRequire},
}

func selectOpts(s *Session, line string) bool {
	name, rest := cut(line)
	addr, id, ok := s.either(name)
	m := &cmdmon.SelectOptsRequest{Addr: addr, RefID: id}
	for word := range strings.FieldsSeq(rest) {
		o, known := selectOptions[strings.ToLower(word[1:])]
		if ok = ok && known && strings.ContainsAny(word[:1], "+-"); !ok {
			break
		}
		m.Mask |= o.mask
		if word[0] == '+' {
			m.Options |= o.option
		}
	}
	if !ok {
		return s.Complain("Invalid syntax for selectopts command")
	}
	return s.order(cmdmon.ModifySelectOpts, m)
}

func offset(s *Session, line string) bool {
	name, rest := cut(line)
	addr, id, ok := s.either(name)
	v, _, also := tryFloat(rest)
	if !ok || !also {
		return s.Complain("Invalid syntax for offset command")
	}
	return s.order(cmdmon.ModifyOffset, &cmdmon.OffsetRequest{Addr: addr, RefID: id, Offset: v})
}
