// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"foliot/internal/cmdmon"
	"foliot/internal/report"
)

func tracking(s *Session, _ string) bool {
	m := new(cmdmon.TrackingReply)
	if _, ok := s.ask(cmdmon.Tracking, nil, m); !ok {
		return false
	}
	report.Tracking(s.print, m, s.reference(m.Addr, m.RefID, 0))
	return true
}

// tableOptions are what reports about sources understand: -a for all sources,
// those without address included, and -v for an explanation.
func tableOptions(line string) (all, explained bool) {
	for word := range strings.FieldsSeq(line) {
		all = all || word == "-a"
		explained = explained || word == "-v"
	}
	return all, explained
}

// count asks how many sources there are.
func (s *Session) count() (n uint32, ok bool) {
	m := new(cmdmon.NSourcesReply)
	_, ok = s.ask(cmdmon.NSources, nil, m)
	return m.N, ok
}

func sources(s *Session, line string) bool {
	all, explained := tableOptions(line)
	n, ok := s.count()
	if !ok {
		return false
	}
	report.Sources(s.print, explained)
	defer s.print.End()
	for i := range n {
		m := new(cmdmon.SourceDataReply)
		if _, ok := s.ask(cmdmon.SourceData, &cmdmon.Index{Index: i}, m); !ok {
			return false
		}
		switch {
		case m.Mode == cmdmon.ModeRefclock:
			report.Source(s.print, m, refName(clockID(m.Addr)))
		case all || !unresolved(m.Addr):
			report.Source(s.print, m, s.name(m.Addr, report.NameWidth))
		}
	}
	return true
}

// unresolved tells whether a source waits for its address.
func unresolved(a cmdmon.IPAddr) bool { return !a.Addr.IsValid() && a.ID != 0 }

// clockID is the reference identifier of a refclock, which is in place of an IPv4
// address.
func clockID(a cmdmon.IPAddr) uint32 {
	if !a.Addr.Is4() {
		return 0
	}
	b := a.Addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

func sourceStats(s *Session, line string) bool {
	all, explained := tableOptions(line)
	n, ok := s.count()
	if !ok {
		return false
	}
	report.SourceStats(s.print, explained)
	defer s.print.End()
	for i := range n {
		m := new(cmdmon.SourceStatsReply)
		if _, ok := s.ask(cmdmon.SourceStats, &cmdmon.Index{Index: i}, m); !ok {
			return false
		}
		if all || !unresolved(m.Addr) {
			report.SourceStat(s.print, m, s.reference(m.Addr, m.RefID, report.NameWidth))
		}
	}
	return true
}

func selectData(s *Session, line string) bool {
	all, explained := tableOptions(line)
	n, ok := s.count()
	if !ok {
		return false
	}
	report.SelectData(s.print, explained)
	defer s.print.End()
	for i := range n {
		m := new(cmdmon.SelectDataReply)
		if _, ok := s.ask(cmdmon.SelectData, &cmdmon.Index{Index: i}, m); !ok {
			return false
		}
		if all || !unresolved(m.Addr) {
			report.SelectDatum(s.print, m, s.reference(m.Addr, m.RefID, report.NameWidth))
		}
	}
	return true
}

func authData(s *Session, line string) bool {
	all, explained := tableOptions(line)
	n, ok := s.count()
	if !ok {
		return false
	}
	report.AuthData(s.print, explained)
	defer s.print.End()
	for i := range n {
		source := new(cmdmon.SourceDataReply)
		if _, ok := s.ask(cmdmon.SourceData, &cmdmon.Index{Index: i}, source); !ok {
			return false
		}
		if source.Mode == cmdmon.ModeRefclock || !all && unresolved(source.Addr) {
			continue
		}
		m := new(cmdmon.AuthDataReply)
		if _, ok := s.ask(cmdmon.AuthData, &cmdmon.Address{Addr: source.Addr}, m); !ok {
			return false
		}
		report.AuthDatum(s.print, m, s.name(source.Addr, report.NameWidth))
	}
	return true
}

func activity(s *Session, _ string) bool {
	m := new(cmdmon.ActivityReply)
	if _, ok := s.ask(cmdmon.Activity, nil, m); !ok {
		return false
	}
	report.Activity(s.print, m)
	return true
}

func ntpData(s *Session, line string) bool {
	if line != "" {
		addr, ok := s.sourceAddr(line)
		if !ok {
			return s.Complain("Could not get address for hostname")
		}
		return s.ntpDatum(addr, false)
	}
	n, ok := s.count()
	if !ok {
		return false
	}
	s.print.Begin()
	defer s.print.End()
	for i := range n {
		m := new(cmdmon.SourceDataReply)
		if _, ok := s.ask(cmdmon.SourceData, &cmdmon.Index{Index: i}, m); !ok {
			return false
		}
		if m.Mode == cmdmon.ModeRefclock || !m.Addr.Addr.IsValid() {
			continue
		}
		if !s.ntpDatum(m.Addr, true) {
			return false
		}
	}
	return true
}

// ntpDatum is ntpdata about one source. If it is about one of several, an empty
// line parts it from what was before, but not from a refusal.
func (s *Session) ntpDatum(addr cmdmon.IPAddr, several bool) bool {
	m, old := new(cmdmon.NTPDataReply), new(cmdmon.NTPData1Reply)
	got, ok := s.ask(cmdmon.NTPData, &cmdmon.Address{Addr: addr}, m, old)
	if !ok {
		return false
	}
	if got == cmdmon.Reply(old) {
		m = &old.NTPDataReply
	}
	if several {
		s.print.Note("")
	}
	names := report.Names{Remote: plain(m.Remote), Local: plain(m.Local)}
	if m.Stratum <= 1 {
		names.Reference = refName(m.RefID)
	}
	report.NTPData(s.print, m, names, got == cmdmon.Reply(m))
	return true
}

func serverStats(s *Session, _ string) bool {
	m, old := new(cmdmon.ServerStatsReply), new(cmdmon.ServerStats3Reply)
	got, ok := s.ask(cmdmon.ServerStats, nil, m, old)
	if !ok {
		return false
	}
	if got == cmdmon.Reply(old) {
		m = &old.ServerStatsReply
	}
	report.ServerStats(s.print, m, got == cmdmon.Reply(m))
	return true
}

func clients(s *Session, line string) bool {
	q := cmdmon.ClientsRequest{N: cmdmon.MaxClients}
	nke := false
	for line != "" {
		var word string
		word, line = cut(line)
		switch word {
		case "-k":
			nke = true
		case "-r":
			q.Reset = true
		case "-p":
			word, line = cut(line)
			n, _, ok := tryInt(word)
			if !ok {
				return s.Complain("Invalid syntax for clients command")
			}
			q.MinHits = uint32(n)
		}
	}
	return s.clientPages(q, nke)
}

// clientPages asks for clients until there are no more.
func (s *Session) clientPages(q cmdmon.ClientsRequest, nke bool) bool {
	report.Clients(s.print, nke)
	defer s.print.End()
	for {
		m := new(cmdmon.ClientsReply)
		if _, ok := s.ask(cmdmon.Clients, &q, m); !ok {
			return false
		}
		for i := range min(m.N, cmdmon.MaxClients) {
			if c := &m.Clients[i]; c.Addr != (cmdmon.IPAddr{}) {
				report.Client(s.print, c, s.host(c.Addr, report.NameWidth), nke)
			}
		}
		if m.Next >= m.Indices || m.Next <= q.First {
			return true
		}
		q.First = m.Next
	}
}

func sourceName(s *Session, line string) bool {
	addr, ok := s.sourceAddr(line)
	if !ok {
		return s.Complain("Could not read address")
	}
	m := new(cmdmon.SourceNameReply)
	if _, ok := s.ask(cmdmon.SourceName, &cmdmon.Address{Addr: addr}, m); !ok {
		return false
	}
	s.print.Line("name", printable(m.Name))
	return true
}

func smoothing(s *Session, _ string) bool {
	m := new(cmdmon.SmoothingReply)
	if _, ok := s.ask(cmdmon.Smoothing, nil, m); !ok {
		return false
	}
	report.Smoothing(s.print, m)
	return true
}

func rtcData(s *Session, _ string) bool {
	m := new(cmdmon.RTCReply)
	if _, ok := s.ask(cmdmon.RTCReport, nil, m); !ok {
		return false
	}
	report.RTC(s.print, m)
	return true
}

// localID is the reference identifier of a daemon that has no source.
const localID = 0x7f7f0101

// waitSync asks again and again whether the clock is synchronised.
func waitSync(s *Session, line string) bool {
	tries, limit, skew, interval := 0, 0.0, 0.0, 10.0
	if n, rest, ok := tryInt(line); ok {
		tries = n
		for _, v := range []*float64{&limit, &skew, &interval} {
			if *v, rest, ok = tryFloat(rest); !ok {
				break
			}
		}
		if !ok && interval == 0 {
			interval = 10
		}
	}
	pause := time.Duration(math.Min(math.Max(interval, 0.1), math.MaxInt64/2e9) * 1e9)
	for try := 1; ; try++ {
		m := new(cmdmon.TrackingReply)
		if _, ok := s.ask(cmdmon.Tracking, nil, m); ok {
			correction := math.Abs(m.Correction)
			report.Try(s.print, try, m, correction)
			s.Out.Flush()
			if (m.Addr != (cmdmon.IPAddr{}) || m.RefID != 0 && m.RefID != localID) &&
				(limit == 0 || correction <= limit) && (skew == 0 || m.Skew <= skew) {
				return true
			}
		}
		if tries != 0 && try >= tries {
			return false
		}
		select {
		case <-s.Ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}
