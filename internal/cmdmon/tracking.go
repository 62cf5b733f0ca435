// SPDX-License-Identifier: Apache-2.0

package cmdmon

// TrackingReply is the report tracking. Times are in seconds, frequencies in ppm.
type TrackingReply struct {
	RefID          uint32
	Addr           IPAddr // none without a source, and for a refclock
	Stratum        uint16
	Leap           uint16
	RefTime        Timespec
	Correction     float64 // still to be made; positive: the system clock is behind
	LastOffset     float64 // positive: the clock was ahead at the last update
	RMSOffset      float64
	Frequency      float64 // positive: the clock would run fast
	Residual       float64 // of the selected source against Frequency
	Skew           float64 // bound of the error of Frequency
	RootDelay      float64
	RootDispersion float64
	Interval       float64 // between the last updates
}

// ReplyType implements [Reply].
func (m *TrackingReply) ReplyType() ReplyType { return ReplyTracking }

func (m *TrackingReply) fields(w *wire) {
	integer32(w, &m.RefID)
	w.addrs(&m.Addr)
	integer16(w, &m.Stratum)
	integer16(w, &m.Leap)
	w.time(&m.RefTime)
	w.floats(&m.Correction, &m.LastOffset, &m.RMSOffset, &m.Frequency, &m.Residual, &m.Skew,
		&m.RootDelay, &m.RootDispersion, &m.Interval)
}

// Flags of [SmoothingReply].
const (
	FlagSmoothActive   = 1
	FlagSmoothLeapOnly = 2
)

// SmoothingReply is the report smoothing.
type SmoothingReply struct {
	Flags      uint32
	Offset     float64 // of served time, seconds
	Frequency  float64 // ppm
	Wander     float64 // ppm per second
	LastUpdate float64 // seconds ago
	Remaining  float64 // seconds
}

// ReplyType implements [Reply].
func (m *SmoothingReply) ReplyType() ReplyType { return ReplySmoothing }

func (m *SmoothingReply) fields(w *wire) {
	integer32(w, &m.Flags)
	w.floats(&m.Offset, &m.Frequency, &m.Wander, &m.LastUpdate, &m.Remaining)
}

// RTCReply is the report rtcdata.
type RTCReply struct {
	RefTime Timespec
	Samples uint16
	Runs    uint16
	Span    uint32  // seconds
	Fast    float64 // the real-time clock is ahead, seconds
	Gain    float64 // ppm
}

// ReplyType implements [Reply].
func (m *RTCReply) ReplyType() ReplyType { return ReplyRTC }

func (m *RTCReply) fields(w *wire) {
	w.time(&m.RefTime)
	integer16(w, &m.Samples)
	integer16(w, &m.Runs)
	integer32(w, &m.Span)
	w.floats(&m.Fast, &m.Gain)
}

// ManualTimestampReply is the answer to [SetTime].
type ManualTimestampReply struct {
	Offset         float64 // the clock was ahead, seconds
	FrequencyShift float64 // ppm
	Frequency      float64 // new, ppm
}

// ReplyType implements [Reply].
func (m *ManualTimestampReply) ReplyType() ReplyType { return ReplyManualTimestamp }

func (m *ManualTimestampReply) fields(w *wire) {
	w.floats(&m.Offset, &m.FrequencyShift, &m.Frequency)
}

// MaxManualSamples is how many samples a [ManualListReply] holds.
const MaxManualSamples = 16

// ManualSample is a time that was typed in. Offsets are in seconds, positive if
// the clock was ahead.
type ManualSample struct {
	When     Timespec
	Slewed   float64 // offset with corrections since
	Original float64
	Residual float64
}

// ManualListReply is the report manual list.
type ManualListReply struct {
	N       uint32 // how many of Samples count
	Samples [MaxManualSamples]ManualSample
}

// ReplyType implements [Reply].
func (m *ManualListReply) ReplyType() ReplyType { return ReplyManualList }

func (m *ManualListReply) fields(w *wire) {
	integer32(w, &m.N)
	for i := range m.Samples {
		s := &m.Samples[i]
		w.time(&s.When)
		w.floats(&s.Slewed, &s.Original, &s.Residual)
	}
}
