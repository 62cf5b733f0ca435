// SPDX-License-Identifier: Apache-2.0

package command

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/state"
)

// reports are the commands that read a State. The request b has all its data.
var reports = map[cmdmon.Command]func(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status){
	cmdmon.NSources:    nSources,
	cmdmon.SourceData:  sourceData,
	cmdmon.SourceStats: sourceStats,
	cmdmon.SelectData:  selectData,
	cmdmon.Tracking:    tracking,
	cmdmon.Activity:    activity,
	cmdmon.Smoothing:   smoothing,
	cmdmon.ServerStats: serverStats,
	cmdmon.NTPData:     ntpData,
	cmdmon.AuthData:    authData,
	cmdmon.SourceName:  sourceName,
	cmdmon.ManualList:  manualList,
	cmdmon.RTCReport:   noRTC,
	cmdmon.WriteRTC:    noRTC,
	cmdmon.TrimRTC:     noRTC,
}

// noRTC answers what is about a driver of the real-time clock.
func noRTC(*state.State, []byte) (cmdmon.Reply, cmdmon.Status) { return nil, cmdmon.NoRTC }

// Names that have not resolved are numbered after the sources.
func nSources(s *state.State, _ []byte) (cmdmon.Reply, cmdmon.Status) {
	return &cmdmon.NSourcesReply{N: uint32(len(s.Sources) + len(s.Unsolved))}, cmdmon.Success
}

// byIndex returns the source that a request numbers. The source is nil for a name
// that has not resolved, of which the address is only a number.
func byIndex(s *state.State, b []byte) (src *state.Source, addr cmdmon.IPAddr, ok bool) {
	var m cmdmon.Index
	if !cmdmon.DecodeRequest(b, &m) {
		return nil, addr, false
	}
	i := uint64(m.Index)
	switch n := uint64(len(s.Sources)); {
	case i < n:
		src = &s.Sources[i]
		return src, cmdmon.IPAddr{Addr: src.Addr.Addr()}, true
	case i-n < uint64(len(s.Unsolved)):
		return nil, cmdmon.IPAddr{ID: unsolvedID(s, int(i-n))}, true
	}
	return nil, addr, false
}

// unsolvedID is the number of a name that has not resolved.
func unsolvedID(s *state.State, i int) uint32 {
	if i < len(s.EntryIDs) {
		return s.EntryIDs[i]
	}
	return uint32(i + 1)
}

// unsolvedPoll is the interval at which a name would be asked, log2 seconds.
func unsolvedPoll(s *state.State, id uint32) int16 {
	for i := range min(len(s.EntryIDs), len(s.Polls)) {
		if s.EntryIDs[i] == id {
			return int16(s.Polls[i])
		}
	}
	return 0
}

// byAddress returns the source that a request names, likewise.
func byAddress(s *state.State, b []byte) (src *state.Source, addr cmdmon.IPAddr, name string, ok bool) {
	var m cmdmon.Address
	if !cmdmon.DecodeRequest(b, &m) {
		return nil, addr, "", false
	}
	a := m.Addr.Addr.Unmap()
	for i := range s.Sources {
		if src := &s.Sources[i]; a.IsValid() && src.Addr.Addr().WithZone("") == a {
			return src, cmdmon.IPAddr{Addr: a}, src.Name, true
		}
	}
	for i, name := range s.Unsolved {
		if !a.IsValid() && m.Addr.ID == unsolvedID(s, i) {
			return nil, m.Addr, name, true
		}
	}
	return nil, addr, "", false
}

// sourceStates are what chronyc distinguishes; all others are not selectable.
var sourceStates = map[selection.Status]cmdmon.SourceState{
	selection.Selected: cmdmon.StateSelected, selection.Combined: cmdmon.StateUnselected,
	selection.Falseticker: cmdmon.StateFalseticker, selection.Jittery: cmdmon.StateJittery,
	selection.WaitSources: cmdmon.StateSelectable, selection.NotPreferred: cmdmon.StateSelectable,
	selection.WaitUpdate: cmdmon.StateSelectable, selection.Outlier: cmdmon.StateSelectable,
	selection.Candidate: cmdmon.StateSelectable,
}

func sourceData(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	src, addr, ok := byIndex(s, b)
	if !ok {
		return nil, cmdmon.NoSuchSource
	}
	m := &cmdmon.SourceDataReply{Addr: addr, State: cmdmon.StateNonselectable, SinceSample: cmdmon.NoSample}
	if src == nil {
		m.Poll = unsolvedPoll(s, addr.ID)
		return m, cmdmon.Success
	}
	if st, ok := sourceStates[src.Status]; ok {
		m.State = st
	}
	m.Mode = cmdmon.SourceMode(src.Mode)
	m.Poll, m.Reach = int16(src.Poll), uint16(src.Reach)
	if x := &src.Samples; x.N > 0 {
		m.Stratum = uint16(src.Stratum)
		m.SinceSample = sinceSample(s, src)
		m.OrigOffset, m.Offset, m.OffsetErr = -float64(x.LastRaw), -float64(x.Last), x.LastErr
	}
	return m, cmdmon.Success
}

// sinceSample counts from the second in which the sample was taken, so that nobody
// learns the fraction of our receive timestamps, as chronyd does.
func sinceSample(s *state.State, src *state.Source) uint32 {
	at := s.Served.Add(-clock.Seconds(src.Samples.LastAge)).Nanos()
	return uint32(max(0, (s.Served.Nanos()-at+at%1e9)/1e9))
}

func sourceStats(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	src, addr, ok := byIndex(s, b)
	if !ok {
		return nil, cmdmon.NoSuchSource
	}
	m := &cmdmon.SourceStatsReply{Addr: addr, Skew: worstSkew, SD: worstSD}
	if src == nil {
		return m, cmdmon.Success
	}
	x := &src.Samples
	m.RefID = uint32(src.RefID)
	m.Samples, m.Runs, m.Span = uint32(x.N), uint32(x.Runs), uint32(math.Round(x.Span))
	m.SD, m.Frequency, m.Skew = x.SD, negative(x.Frequency.PPM()), x.Skew.PPM()
	m.Offset, m.OffsetErr = negative(float64(x.Offset)), x.OffsetSD+x.LastErr
	return m, cmdmon.Success
}

// What is said of a source that is not known at all.
const (
	worstSkew = 2000 // ppm
	worstSD   = 4    // seconds
)

// negative turns the sign of v, but not that of zero, which would be printed.
func negative(v float64) float64 { return 0 - v }

func selectData(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	src, addr, ok := byIndex(s, b)
	if !ok {
		return nil, cmdmon.NoSuchSource
	}
	m := &cmdmon.SelectDataReply{Addr: addr, State: byte(selection.Missing), Leap: uint8(ntp.LeapUnsync), Score: 1}
	if src == nil {
		m.State = byte(selection.Unsync) // as chronyd says
		return m, cmdmon.Success
	}
	m.RefID, m.Leap = uint32(src.RefID), uint8(src.Leap)
	if src.Status != 0 {
		m.State = byte(src.Status)
	}
	m.Authenticated = src.Auth.Symmetric
	m.Configured, m.Effective = cmdmon.SelectFlags(src.Asked), cmdmon.SelectFlags(src.Used)
	m.Score = src.Score
	if src.Samples.N > 0 && src.Status != selection.Missing {
		m.LastSample = uint32(max(0, src.Samples.LastAge))
	}
	m.Lo, m.Hi = negative(float64(src.Hi)), negative(float64(src.Lo))
	return m, cmdmon.Success
}

func tracking(s *state.State, _ []byte) (cmdmon.Reply, cmdmon.Status) {
	t := &s.Tracking
	m := &cmdmon.TrackingReply{
		RefID: uint32(t.RefID), Stratum: uint16(t.Stratum), Leap: uint16(t.Leap), RefTime: cmdmon.ToTimespec(t.RefTime),
		Correction: float64(t.Remaining), LastOffset: negative(float64(t.LastOffset)), RMSOffset: t.RMSOffset,
		Frequency: negative(t.Frequency.PPM()), RootDelay: t.RootDelay, RootDispersion: t.RootDisp, Interval: t.Interval,
	}
	if t.Synchronized {
		m.Addr.Addr = t.Addr.WithZone("")
		m.Residual, m.Skew = t.Residual.PPM(), t.Skew.PPM()
	}
	return m, cmdmon.Success
}

func activity(s *state.State, _ []byte) (cmdmon.Reply, cmdmon.Status) {
	m := &cmdmon.ActivityReply{Unresolved: uint32(len(s.Unsolved))}
	for i := range s.Sources {
		switch s.Sources[i].State {
		case state.Online:
			m.Online++
		case state.Offline:
			m.Offline++
		case state.BurstOnline:
			m.BurstOnline++
		case state.BurstOffline:
			m.BurstOffline++
		}
	}
	return m, cmdmon.Success
}

func smoothing(s *state.State, _ []byte) (cmdmon.Reply, cmdmon.Status) {
	x := &s.Smooth
	if !x.Enabled {
		return nil, cmdmon.NotEnabled
	}
	m := &cmdmon.SmoothingReply{
		Offset: float64(x.Offset), Frequency: x.Frequency.PPM(), Wander: x.Wander * 1e6,
		LastUpdate: x.LastUpdate, Remaining: x.Remaining,
	}
	if x.Active {
		m.Flags |= cmdmon.FlagSmoothActive
	}
	if x.LeapOnly {
		m.Flags |= cmdmon.FlagSmoothLeapOnly
	}
	return m, cmdmon.Success
}

func sourceName(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	_, _, name, ok := byAddress(s, b)
	if !ok {
		return nil, cmdmon.NoSuchSource
	}
	return &cmdmon.SourceNameReply{Name: name}, cmdmon.Success
}

// keyTypes are the numbers of algorithms in the protocol, chrony's own.
var keyTypes = map[string]uint16{
	"MD5": 1, "SHA1": 2, "SHA256": 3, "SHA384": 4, "SHA512": 5, "SHA3-224": 6, "SHA3-256": 7, "SHA3-384": 8, "SHA3-512": 9,
	"AES128": 13, "AES256": 14,
}

func authData(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	src, _, _, ok := byAddress(s, b)
	if !ok {
		return nil, cmdmon.NoSuchSource
	}
	m := &cmdmon.AuthDataReply{LastKE: cmdmon.NoSample}
	if src != nil && src.Auth.Symmetric {
		m.Mode, m.KeyID = cmdmon.AuthSymmetric, src.Auth.KeyID
		m.KeyType, m.KeyBits = keyTypes[src.Auth.KeyType], uint16(src.Auth.KeyBits)
	}
	return m, cmdmon.Success
}

func ntpData(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	src, addr, _, ok := byAddress(s, b)
	if !ok {
		return nil, cmdmon.NoSuchSource
	}
	m := &cmdmon.NTPDataReply{Remote: addr}
	if src != nil {
		m.RemotePort = src.Addr.Port()
		m.Tx, m.Rx, m.Valid, m.Good = uint32(src.Counts.Sent), uint32(src.Counts.Received), uint32(src.Counts.Valid), uint32(src.Counts.Good)
		m.KernelTx, m.KernelRx = uint32(src.KernelTx), uint32(src.KernelRx)
		m.HardwareTx, m.HardwareRx = uint32(src.HardwareTx), uint32(src.HardwareRx)
		if src.HasReport {
			exchange(m, src)
		}
	}
	if t, older := cmdmon.OlderReply(cmdmon.NTPData, len(b)); older && t == cmdmon.ReplyNTPData1 {
		return &cmdmon.NTPData1Reply{NTPDataReply: *m}, cmdmon.Success
	}
	return m, cmdmon.Success
}

// exchange describes the last valid exchange.
func exchange(m *cmdmon.NTPDataReply, src *state.Source) {
	r, p := &src.Report, &src.Report.Packet
	m.Local.Addr = r.Local.WithZone("")
	m.Leap, m.Version, m.Mode, m.Stratum = uint8(p.Leap), p.Version, uint8(p.Mode), p.Stratum
	m.Poll, m.Precision = p.Poll, p.Precision
	m.RootDelay, m.RootDispersion = p.RootDelay.Seconds(), p.RootDisp.Seconds()
	m.RefID = uint32(p.RefID)
	if p.Reference != 0 {
		m.RefTime = cmdmon.ToTimespec(p.Reference.Served())
	}
	m.Offset, m.PeerDelay, m.PeerDispersion = float64(r.Offset), float64(r.Delay), float64(r.Disp)
	m.ResponseTime, m.JitterAsymmetry = r.ResponseTime, negative(src.Samples.Asymmetry)
	m.Flags = tests(r.Tests)
	if r.Interleaved {
		m.Flags |= cmdmon.FlagInterleaved
	}
	if src.Auth.Symmetric {
		m.Flags |= cmdmon.FlagAuthenticated
	}
	m.TxStamp, m.RxStamp = stampLetter(r.TxStamp), stampLetter(r.RxStamp)
}

// stampLetter is the letter of who took a timestamp; chronyc knows no eBPF.
func stampLetter(k clock.StampKind) byte {
	switch k {
	case clock.StampNone:
		return 0
	case clock.StampBPF:
		return 'K'
	}
	return k.Letter()
}

// tests turns the acceptance tests round: the first one is the highest bit.
func tests(t source.Tests) (flags uint16) {
	const n = 10
	for i := range n {
		if t>>i&1 != 0 {
			flags |= 1 << (n - 1 - i)
		}
	}
	return flags
}

// manualList is the report of the times that a person typed.
func manualList(s *state.State, _ []byte) (cmdmon.Reply, cmdmon.Status) {
	m := &cmdmon.ManualListReply{N: uint32(min(len(s.Manual), cmdmon.MaxManualSamples))}
	for i, x := range s.Manual[:m.N] {
		m.Samples[i] = cmdmon.ManualSample{
			When: cmdmon.ToTimespec(x.When), Slewed: negative(float64(x.Offset)),
			Original: negative(float64(x.Original)), Residual: negative(float64(x.Residual)),
		}
	}
	return m, cmdmon.Success
}
