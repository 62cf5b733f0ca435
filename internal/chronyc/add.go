// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"math"
	"strconv"
	"strings"

	"foliot/internal/cmdmon"
	"foliot/internal/config"
)

var sourceTypes = map[string]cmdmon.SourceType{
	"server": cmdmon.TypeServer, "peer": cmdmon.TypePeer, "pool": cmdmon.TypePool,
}

func add(s *Session, line string) bool {
	kind, rest := cut(line)
	name, rest := cut(rest)
	m := newSource(sourceTypes[strings.ToLower(kind)], name)
	if m.Type == 0 || name == "" || len(name) > 255 || !readOptions(rest, sourceOptions(m)) {
		return s.Complain("Invalid syntax for add command")
	}
	// The daemon is assumed to be here, and to have the same resolver.
	if _, ok := s.sourceAddr(name); !ok {
		return s.Complain("Invalid host/IP address")
	}
	return s.order(cmdmon.AddSource, m)
}

// newSource is a source without options. The daemon's defaults are chrony's, and
// must be sent.
func newSource(kind cmdmon.SourceType, name string) *cmdmon.AddSourceRequest {
	d := config.DefaultSource(config.KindServer, name)
	return &cmdmon.AddSourceRequest{
		Type: kind, Name: name, Port: uint32(d.Port), MinPoll: int32(d.MinPoll), MaxPoll: int32(d.MaxPoll),
		PresendMinPoll: int32(d.Presend), PollTarget: uint32(d.PollTarget), MaxSources: uint32(d.MaxSources),
		MinSamples: int32(d.MinSamples), MaxSamples: int32(d.MaxSamples), NTSPort: uint32(d.NTSPort),
		MaxDelay: d.MaxDelay, MaxDelayDevRatio: d.MaxDelayDevRatio, Asymmetry: estimated,
		Flags: cmdmon.AddFlagOnline, MaxUnreach: int32(d.MaxUnreach),
	}
}

// estimated is in place of an asymmetry that is not configured.
const estimated = 1.0

// reader takes the value of an option off the rest of the line.
type reader func(line string) (rest string, ok bool)

// readOptions reads a line of options. Their names may be in capitals.
func readOptions(line string, known map[string]reader) bool {
	for line != "" {
		var name string
		name, line = cut(line)
		read, ok := known[strings.ToLower(name)]
		if !ok {
			return false
		}
		if line, ok = read(line); !ok {
			return false
		}
		line = strings.TrimLeft(line, " ")
	}
	return true
}

func integer[T ~int32 | ~uint32](to *T) reader {
	return func(line string) (string, bool) {
		n, rest, ok := tryInt(line)
		*to = T(n)
		return rest, ok
	}
}

func real(to *float64) reader {
	return func(line string) (rest string, ok bool) {
		*to, rest, ok = tryFloat(line)
		return rest, ok
	}
}

func within[T ~int32 | ~uint32](to *T, lo, hi T) reader {
	return func(line string) (string, bool) {
		rest, ok := integer(to)(line)
		return rest, ok && *to >= lo && *to <= hi
	}
}

func set(flags *cmdmon.AddFlags, bit cmdmon.AddFlags) reader {
	return func(line string) (string, bool) {
		*flags |= bit
		return line, true
	}
}

// sourceOptions is the table of options of server, peer and pool.
func sourceOptions(m *cmdmon.AddSourceRequest) map[string]reader {
	on := func(bit cmdmon.AddFlags) reader { return set(&m.Flags, bit) }
	return map[string]reader{
		"asymmetry":        real(&m.Asymmetry),
		"auto_offline":     on(cmdmon.AddFlagAutoOffline),
		"burst":            on(cmdmon.AddFlagBurst),
		"certset":          integer(&m.CertSet),
		"copy":             on(cmdmon.AddFlagCopy),
		"extfield":         extensionField(&m.Flags),
		"filter":           integer(&m.FilterLength),
		"iburst":           on(cmdmon.AddFlagIBurst),
		"ipv4":             on(cmdmon.AddFlagIPv4),
		"ipv6":             on(cmdmon.AddFlagIPv6),
		"key":              within(&m.AuthKey, 1, math.MaxUint32),
		"maxdelay":         real(&m.MaxDelay),
		"maxdelaydevratio": real(&m.MaxDelayDevRatio),
		"maxdelayquant":    real(&m.MaxDelayQuant),
		"maxdelayratio":    real(&m.MaxDelayRatio),
		"maxpoll":          integer(&m.MaxPoll),
		"maxsamples":       integer(&m.MaxSamples),
		"maxsources":       integer(&m.MaxSources),
		"maxunreach":       integer(&m.MaxUnreach),
		"mindelay":         real(&m.MinDelay),
		"minpoll":          integer(&m.MinPoll),
		"minsamples":       integer(&m.MinSamples),
		"minstratum":       integer(&m.MinStratum),
		"noselect":         on(cmdmon.AddFlagNoSelect),
		"nts":              on(cmdmon.AddFlagNTS),
		"ntsport":          within(&m.NTSPort, 0, math.MaxUint16),
		"offline":          func(line string) (string, bool) { m.Flags &^= cmdmon.AddFlagOnline; return line, true },
		"offset":           real(&m.Offset),
		"polltarget":       integer(&m.PollTarget),
		"port":             within(&m.Port, 0, math.MaxUint16),
		"prefer":           on(cmdmon.AddFlagPrefer),
		"presend":          integer(&m.PresendMinPoll),
		"require":          on(cmdmon.AddFlagRequire),
		"trust":            on(cmdmon.AddFlagTrust),
		"version":          integer(&m.Version),
		"xleave":           on(cmdmon.AddFlagInterleaved),
	}
}

// extensionField reads the type of an extension field. F324 is the number that
// 10A had as an experiment.
func extensionField(flags *cmdmon.AddFlags) reader {
	return func(line string) (string, bool) {
		word, rest := cut(line)
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(word), "0x"), 16, 32)
		switch {
		case err == nil && n == 0xf323:
			*flags |= cmdmon.AddFlagEFMonoRoot
		case err == nil && (n == 0x10a || n == 0xf324):
			*flags |= cmdmon.AddFlagEFNetCorr
		default:
			return rest, false
		}
		return rest, true
	}
}

// Defaults of the command local, chrony's.
const (
	localStratum  = 10
	localDistance = 1   // seconds
	orphanWait    = 300 // seconds, before an orphan serves while unsynchronised
)

func local(s *Session, line string) bool {
	if line == "off" {
		return s.orderLocal(&cmdmon.Local{})
	}
	m := &cmdmon.Local{On: true, Stratum: localStratum, Distance: localDistance, WaitUnsynced: -1}
	ok := readOptions(line, map[string]reader{
		"activate":     real(&m.Activate),
		"distance":     real(&m.Distance),
		"orphan":       func(line string) (string, bool) { m.Orphan = true; return line, true },
		"stratum":      within(&m.Stratum, 1, 15),
		"waitsynced":   real(&m.WaitSynced),
		"waitunsynced": real(&m.WaitUnsynced),
	})
	if !ok {
		return s.Complain("Invalid syntax for local command")
	}
	switch {
	case m.WaitUnsynced < 0 && m.Orphan:
		m.WaitUnsynced = orphanWait
	case m.WaitUnsynced < 0:
		m.WaitUnsynced = 0
	}
	return s.orderLocal(m)
}

// orderLocal gives the command in the form of today, and if the daemon does not
// know that, in the form of before.
func (s *Session) orderLocal(m *cmdmon.Local) bool {
	h, _, ok := s.exchange(cmdmon.Local3, m)
	if ok && h.Status == cmdmon.Invalid {
		h, _, ok = s.exchange(cmdmon.Local2, &cmdmon.LocalOlder{Local: *m})
	}
	return ok && s.done(h)
}
