// SPDX-License-Identifier: Apache-2.0

package cmdmon

// Index is the data of [SourceData], [SourceStats] and [SelectData], which number
// sources from 0, and of [ManualDelete], which numbers samples.
type Index struct{ Index uint32 }

func (m *Index) fields(w *wire) { integer32(w, &m.Index) }

// NSourcesReply says how many sources there are, refclocks included.
type NSourcesReply struct{ N uint32 }

// ReplyType implements [Reply].
func (m *NSourcesReply) ReplyType() ReplyType { return ReplyNSources }

func (m *NSourcesReply) fields(w *wire) { integer32(w, &m.N) }

// SourceState is what selection made of a source.
type SourceState uint16

// States of sources, with the characters that chronyc prints.
const (
	StateSelected      SourceState = iota // *
	StateNonselectable                    // ?
	StateFalseticker                      // x
	StateJittery                          // ~
	StateUnselected                       // +, combined
	StateSelectable                       // -
)

// SourceMode is the kind of a source.
type SourceMode uint16

// Modes of sources, with the characters that chronyc prints.
const (
	ModeClient   SourceMode = iota // ^
	ModePeer                       // =
	ModeRefclock                   // #
)

// NoSample is in place of an age of something that has not happened.
const NoSample = 0xffffffff

// SourceDataReply is a row of the report sources. Offsets are in seconds; a
// positive one means that the local clock is ahead of the source.
type SourceDataReply struct {
	Addr        IPAddr // of a refclock, its reference ID as an IPv4 address
	Poll        int16  // log2 seconds
	Stratum     uint16
	State       SourceState
	Mode        SourceMode
	Flags       uint16
	Reach       uint16  // the last eight polls, newest in the lowest bit
	SinceSample uint32  // seconds; NoSample if there is none
	OrigOffset  float64 // of the last sample, as measured
	Offset      float64 // of the last sample, with corrections since
	OffsetErr   float64 // its bound
}

// ReplyType implements [Reply].
func (m *SourceDataReply) ReplyType() ReplyType { return ReplySourceData }

func (m *SourceDataReply) fields(w *wire) {
	w.addrs(&m.Addr)
	integer16(w, &m.Poll)
	integer16(w, &m.Stratum)
	integer16(w, &m.State)
	integer16(w, &m.Mode)
	integer16(w, &m.Flags)
	integer16(w, &m.Reach)
	integer32(w, &m.SinceSample)
	w.floats(&m.OrigOffset, &m.Offset, &m.OffsetErr)
}

// SourceStatsReply is a row of the report sourcestats. A positive frequency means
// that the local clock runs fast against the source; a positive offset that it
// is ahead.
type SourceStatsReply struct {
	RefID     uint32
	Addr      IPAddr // none for a refclock
	Samples   uint32
	Runs      uint32  // of residuals with one sign
	Span      uint32  // seconds
	SD        float64 // of the samples, seconds
	Frequency float64 // residual, ppm
	Skew      float64 // its bound, ppm
	Offset    float64 // estimated, seconds
	OffsetErr float64 // its bound, seconds
}

// ReplyType implements [Reply].
func (m *SourceStatsReply) ReplyType() ReplyType { return ReplySourceStats }

func (m *SourceStatsReply) fields(w *wire) {
	integer32(w, &m.RefID)
	w.addrs(&m.Addr)
	w.counts(&m.Samples, &m.Runs, &m.Span)
	w.floats(&m.SD, &m.Frequency, &m.Skew, &m.Offset, &m.OffsetErr)
}

// SelectFlags are the options of selection.
type SelectFlags uint16

// Options of selection.
const (
	FlagNoSelect SelectFlags = 0x1
	FlagPrefer   SelectFlags = 0x2
	FlagTrust    SelectFlags = 0x4
	FlagRequire  SelectFlags = 0x8
)

// SelectDataReply is a row of the report selectdata.
type SelectDataReply struct {
	RefID         uint32
	Addr          IPAddr // none for a refclock
	State         byte   // chronyc's letter
	Authenticated bool
	Leap          uint8
	Configured    SelectFlags
	Effective     SelectFlags
	LastSample    uint32 // seconds ago; NoSample if there is none
	Score         float64
	Lo, Hi        float64 // the interval that the source claims, seconds
}

// ReplyType implements [Reply].
func (m *SelectDataReply) ReplyType() ReplyType { return ReplySelectData }

func (m *SelectDataReply) fields(w *wire) {
	var authenticated uint8
	if m.Authenticated {
		authenticated = 1
	}
	integer32(w, &m.RefID)
	w.addrs(&m.Addr)
	integer8(w, &m.State)
	integer8(w, &authenticated)
	integer8(w, &m.Leap)
	w.skip(1)
	integer16(w, &m.Configured)
	integer16(w, &m.Effective)
	integer32(w, &m.LastSample)
	w.floats(&m.Score, &m.Lo, &m.Hi)
	if !w.writing {
		m.Authenticated = authenticated != 0
	}
}

// ActivityReply counts sources by whether they are asked.
type ActivityReply struct {
	Online, Offline, BurstOnline, BurstOffline, Unresolved uint32
}

// ReplyType implements [Reply].
func (m *ActivityReply) ReplyType() ReplyType { return ReplyActivity }

func (m *ActivityReply) fields(w *wire) {
	w.counts(&m.Online, &m.Offline, &m.BurstOnline, &m.BurstOffline, &m.Unresolved)
}

// nameLen is the room for a name with its end.
const nameLen = 256

// SourceNameReply is the name of a source as it was configured.
type SourceNameReply struct{ Name string }

// ReplyType implements [Reply].
func (m *SourceNameReply) ReplyType() ReplyType { return ReplySourceName }

func (m *SourceNameReply) fields(w *wire) { w.text(nameLen, &m.Name) }
