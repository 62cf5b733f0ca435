// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"math"

	"foliot/internal/cmdmon"
	"foliot/internal/config"
	"foliot/internal/setup"
)

// addSource is the command add: a source with the options of the directives
// server, peer and pool.
func (l *loop) addSource(m *cmdmon.AddSourceRequest) cmdmon.Status {
	s, status := sourceOf(m)
	if status != cmdmon.Success {
		return status
	}
	c := setup.Source(l.w.cfg, &s, &l.d.inForce.Files, l.d.machine())
	status = statuses[l.e.AddSource(l.w.Now(), c, &l.acts)]
	l.perform()
	return status
}

// sourceOf translates what chronyc sends. Numbers out of range are taken to the
// end of it, as chronyd does.
func sourceOf(m *cmdmon.AddSourceRequest) (config.Source, cmdmon.Status) {
	kinds := map[cmdmon.SourceType]config.SourceKind{
		cmdmon.TypeServer: config.KindServer, cmdmon.TypePeer: config.KindPeer, cmdmon.TypePool: config.KindPool,
	}
	kind, ok := kinds[m.Type]
	switch {
	case !ok:
		return config.Source{}, cmdmon.Invalid
	case m.Name == "":
		return config.Source{}, cmdmon.InvalidName
	case m.Flags&cmdmon.AddFlagNTS != 0:
		return config.Source{}, cmdmon.Failed // leaving authentication out silently would be worse
	}
	s := config.DefaultSource(kind, m.Name)
	s.Port = uint16(between(m.Port, 0, math.MaxUint16))
	s.MinPoll = int8(between(m.MinPoll, config.MinPoll, config.MaxPoll))
	s.MaxPoll = max(s.MinPoll, int8(between(m.MaxPoll, config.MinPoll, config.MaxPoll)))
	s.Presend = int16(between(m.PresendMinPoll, config.MinPoll, config.NeverPresend))
	s.MinStratum = uint8(between(m.MinStratum, 0, 15))
	s.PollTarget = int(between(m.PollTarget, 1, math.MaxInt32))
	s.Version = uint8(between(m.Version, 0, 4))
	s.MaxSources = int(between(m.MaxSources, 1, config.MaxPoolSize))
	s.MinSamples = int(between(m.MinSamples, -1, math.MaxInt32))
	s.MaxSamples = int(between(m.MaxSamples, -1, math.MaxInt32))
	s.Filter = int(between(m.FilterLength, 0, config.MaxMedianSize))
	s.Key = m.AuthKey
	s.CertSet = m.CertSet
	if m.MaxUnreach > 0 { // chronyc before 4.8 sends nothing
		s.MaxUnreach = int(m.MaxUnreach)
	}
	setFlags(&s, m.Flags)
	setNumbers(&s, m)
	return s, cmdmon.Success
}

func setFlags(s *config.Source, f cmdmon.AddFlags) {
	s.Offline = f&cmdmon.AddFlagOnline == 0
	for flag, to := range map[cmdmon.AddFlags]*bool{
		cmdmon.AddFlagAutoOffline: &s.AutoOffline, cmdmon.AddFlagIBurst: &s.IBurst, cmdmon.AddFlagBurst: &s.Burst,
		cmdmon.AddFlagPrefer: &s.Prefer, cmdmon.AddFlagNoSelect: &s.NoSelect, cmdmon.AddFlagTrust: &s.Trust,
		cmdmon.AddFlagRequire: &s.Require, cmdmon.AddFlagInterleaved: &s.XLeave, cmdmon.AddFlagCopy: &s.Copy,
		cmdmon.AddFlagEFMonoRoot: &s.MonoRoot, cmdmon.AddFlagEFNetCorr: &s.NetCorr,
	} {
		*to = f&flag != 0
	}
	switch {
	case f&cmdmon.AddFlagIPv4 != 0:
		s.Family = config.FamilyIPv4
	case f&cmdmon.AddFlagIPv6 != 0:
		s.Family = config.FamilyIPv6
	}
}

// Limits of numbers, chrony's.
const (
	maxDelay     = 1e3 // seconds
	maxRatio     = 1e6
	maxAsymmetry = 0.5 // more asks for it to be estimated
)

func setNumbers(s *config.Source, m *cmdmon.AddSourceRequest) {
	s.MaxDelay = max(0, min(m.MaxDelay, maxDelay))
	s.MaxDelayRatio = max(0, min(m.MaxDelayRatio, maxRatio))
	s.MaxDelayDevRatio = max(0, min(m.MaxDelayDevRatio, maxRatio))
	if q := m.MaxDelayQuant; q > 0 {
		s.MaxDelayQuantile = max(0.05, min(q, 0.95))
	}
	s.MinDelay = max(0, min(m.MinDelay, maxDelay))
	s.Offset = m.Offset
	if math.Abs(m.Asymmetry) <= maxAsymmetry {
		s.Asymmetry, s.AsymmetrySet = m.Asymmetry, true
	}
}

// between takes v to the range from lo to hi.
func between[T ~int32 | ~uint32](v T, lo, hi int64) int64 { return max(lo, min(int64(v), hi)) }
