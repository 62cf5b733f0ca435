// SPDX-License-Identifier: Apache-2.0

package cmdmon

// Address is the data of [AccessCheck], [CmdAccessCheck], [DelSource], [NTPData],
// [SourceName] and [AuthData].
type Address struct{ Addr IPAddr }

func (m *Address) fields(w *wire) { w.addrs(&m.Addr) }

// Masked is the data of [Online] and [Offline]: the sources whose address has,
// under the mask, the value Addr. No address means all sources.
type Masked struct{ Mask, Addr IPAddr }

func (m *Masked) fields(w *wire) { w.addrs(&m.Mask, &m.Addr) }

// BurstRequest is the data of [Burst].
type BurstRequest struct {
	Masked
	Good  int32 // stop after so many good samples
	Total int32 // or so many requests
}

func (m *BurstRequest) fields(w *wire) {
	m.Masked.fields(w)
	integer32(w, &m.Good)
	integer32(w, &m.Total)
}

// SourceInteger is the data of [ModifyMinPoll], [ModifyMaxPoll],
// [ModifyMinStratum] and [ModifyPollTarget].
type SourceInteger struct {
	Addr  IPAddr
	Value int32
}

func (m *SourceInteger) fields(w *wire) {
	w.addrs(&m.Addr)
	integer32(w, &m.Value)
}

// SourceFloat is the data of [ModifyMaxDelay] (seconds), [ModifyDelayRatio] and
// [ModifyDevRatio].
type SourceFloat struct {
	Addr  IPAddr
	Value float64
}

func (m *SourceFloat) fields(w *wire) {
	w.addrs(&m.Addr)
	w.floats(&m.Value)
}

// Number is the data of [ModifyUpdateSkew] (ppm), [DoFreq] (ppm), [DoOffset]
// (seconds) and [ReselectDistance] (seconds).
type Number struct{ Value float64 }

func (m *Number) fields(w *wire) { w.floats(&m.Value) }

// Option is the data of [Manual] and [SmoothTime].
type Option struct{ Value int32 }

// Options of [Manual] and [SmoothTime].
const (
	ManualOff   = 0
	ManualOn    = 1
	ManualReset = 2

	SmoothReset    = 0
	SmoothActivate = 1
)

func (m *Option) fields(w *wire) { integer32(w, &m.Value) }

// Instant is the data of [SetTime].
type Instant struct{ Time Timespec }

func (m *Instant) fields(w *wire) { w.time(&m.Time) }

// StepLimit is the data of [ModifyMakeStep].
type StepLimit struct {
	Limit     int32   // how many of the next updates may step; negative: all
	Threshold float64 // seconds
}

func (m *StepLimit) fields(w *wire) {
	integer32(w, &m.Limit)
	w.floats(&m.Threshold)
}

// SelectOptsRequest is the data of [ModifySelectOpts].
type SelectOptsRequest struct {
	Addr  IPAddr // none: a refclock
	RefID uint32 // of the refclock
	// Which options change, and which of those are set then. The numbers
	// are of two kinds: chrony's mistake, which is the protocol by now.
	Mask    SelectFlags
	Options AddFlags
}

func (m *SelectOptsRequest) fields(w *wire) {
	w.addrs(&m.Addr)
	integer32(w, &m.RefID)
	w.skip(2) // the mask has 32 bits, of which 4 are used
	integer16(w, &m.Mask)
	integer32(w, &m.Options)
}

// OffsetRequest is the data of [ModifyOffset].
type OffsetRequest struct {
	Addr   IPAddr  // none: a refclock
	RefID  uint32  // of the refclock
	Offset float64 // correction of the source, seconds
}

func (m *OffsetRequest) fields(w *wire) {
	w.addrs(&m.Addr)
	integer32(w, &m.RefID)
	w.floats(&m.Offset)
}

// SourceType is the kind of source that is added.
type SourceType uint32

// Kinds of sources.
const (
	TypeServer SourceType = 1
	TypePeer   SourceType = 2
	TypePool   SourceType = 3
)

// AddFlags are switches of [AddSourceRequest].
type AddFlags uint32

// Switches of sources.
const (
	AddFlagOnline      AddFlags = 0x1
	AddFlagAutoOffline AddFlags = 0x2
	AddFlagIBurst      AddFlags = 0x4
	AddFlagPrefer      AddFlags = 0x8
	AddFlagNoSelect    AddFlags = 0x10
	AddFlagTrust       AddFlags = 0x20
	AddFlagRequire     AddFlags = 0x40
	AddFlagInterleaved AddFlags = 0x80
	AddFlagBurst       AddFlags = 0x100
	AddFlagNTS         AddFlags = 0x200
	AddFlagCopy        AddFlags = 0x400
	AddFlagEFMonoRoot  AddFlags = 0x800  // extension field F323
	AddFlagEFNetCorr   AddFlags = 0x1000 // extension field 010A
	AddFlagIPv4        AddFlags = 0x2000
	AddFlagIPv6        AddFlags = 0x4000
)

// NoKey is in place of the number of a key.
const NoKey = 0

// AddSourceRequest is the data of [AddSource]. Its options are those of the
// directives server, peer and pool.
type AddSourceRequest struct {
	Type                             SourceType
	Name                             string // name or address, up to 255 octets; "" if it had no end
	Port                             uint32
	MinPoll, MaxPoll, PresendMinPoll int32
	MinStratum, PollTarget           uint32
	Version                          uint32 // 0: the daemon's choice
	MaxSources                       uint32
	MinSamples, MaxSamples           int32 // -1: as configured for all
	AuthKey                          uint32
	NTSPort                          uint32
	MaxDelay, MaxDelayRatio          float64
	MaxDelayDevRatio, MinDelay       float64
	Asymmetry                        float64 // 1: to be estimated
	Offset                           float64
	Flags                            AddFlags
	FilterLength                     int32
	CertSet                          uint32
	MaxDelayQuant                    float64
	MaxUnreach                       int32 // 0 from chronyc before 4.8
}

func (m *AddSourceRequest) fields(w *wire) {
	integer32(w, &m.Type)
	w.text(nameLen, &m.Name)
	integer32(w, &m.Port)
	integer32(w, &m.MinPoll)
	integer32(w, &m.MaxPoll)
	integer32(w, &m.PresendMinPoll)
	w.counts(&m.MinStratum, &m.PollTarget, &m.Version, &m.MaxSources)
	integer32(w, &m.MinSamples)
	integer32(w, &m.MaxSamples)
	w.counts(&m.AuthKey, &m.NTSPort)
	w.floats(&m.MaxDelay, &m.MaxDelayRatio, &m.MaxDelayDevRatio, &m.MinDelay, &m.Asymmetry, &m.Offset)
	integer32(w, &m.Flags)
	integer32(w, &m.FilterLength)
	integer32(w, &m.CertSet)
	w.floats(&m.MaxDelayQuant)
	integer32(w, &m.MaxUnreach)
}
