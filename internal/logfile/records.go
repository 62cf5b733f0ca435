// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Tests are the verdicts on a packet, one bit each, set when passed.
type Tests uint16

// Tests in the order of the columns: 1 to 3 and 5 to 7 of RFC 5905, then
// chrony's own four.
const (
	TestLoop       Tests = 1 << iota // D: no synchronisation loop
	TestDevRatio                     // C: maxdelaydevratio or maxdelayquant
	TestDelayRatio                   // B: maxdelayratio
	TestMaxDelay                     // A: maxdelay, precision, response time, interleaving
	Test7                            // root distance is sane
	Test6                            // server is synchronised
	Test5                            // authentication
	Test3                            // timestamps are not zero
	Test2                            // answers our request
	Test1                            // no duplicate

	// TestsSynchronized are the tests that a packet in a log without
	// rawmeasurements has passed: 1 to 7.
	TestsSynchronized = Test1 | Test2 | Test3 | Test5 | Test6 | Test7
)

// Measurement is a line of measurements.log: one received packet.
type Measurement struct {
	Time        clock.Served // of the sample
	Source      Name
	Leap        ntp.Leap // of the packet
	Stratum     int      // of the packet
	Tests       Tests
	LocalPoll   int // log2 seconds
	RemotePoll  int // log2 seconds
	Score       float64
	Offset      clock.Offset // column: positive = local clock slow
	PeerDelay   clock.Delay
	PeerDisp    clock.Dispersion
	RootDelay   clock.Delay
	RootDisp    clock.Dispersion
	RefID       uint32 // of the packet
	Mode        ntp.Mode
	Interleaved bool
	TxStamp     clock.StampKind // of the request's departure
	RxStamp     clock.StampKind // of the reply's arrival
}

const measurementHead = "   Date (UTC) Time  Source          L St 123 567 ABCD  LP RP Scr.     Offset Peer delay  Peer disp Root delay  Root disp RefID    M  T R"

func (m *Measurement) appendTo(b []byte) []byte {
	b = append(appendDate(b, m.Time), ' ')
	b = m.Source.appendLeft(b, 15)
	b = append(b, ' ', leapChar(m.Leap), ' ')
	b = append(appendInt(b, m.Stratum, 2), ' ')
	b = append(appendBits(b, uint8(m.Tests>>7), 3), ' ')
	b = append(appendBits(b, uint8(m.Tests>>4), 3), ' ')
	b = append(appendBits(b, uint8(m.Tests), 4), "  "...)
	b = append(appendInt(b, m.LocalPoll, 2), ' ')
	b = append(appendInt(b, m.RemotePoll, 2), ' ')
	b = appendFloat(b, m.Score, layout{'f', 4, 2})
	b = appendExp(b, float64(m.Offset))
	b = appendExp(b, float64(m.PeerDelay))
	b = appendExp(b, float64(m.PeerDisp))
	b = appendExp(b, float64(m.RootDelay))
	b = appendExp(b, float64(m.RootDisp))
	b = appendHex(append(b, ' '), m.RefID)
	kind := byte('B')
	if m.Interleaved {
		kind = 'I'
	}
	return append(b, ' ', '0'+byte(m.Mode), kind, ' ', stampChar(m.TxStamp), ' ', stampChar(m.RxStamp), '\n')
}

// stampChar is the letter of a timestamp's origin. The file knows three; a
// stamp by an eBPF program is the kernel's to it.
func stampChar(k clock.StampKind) byte {
	if k == clock.StampBPF {
		k = clock.StampKernel
	}
	return k.Letter()
}

// Statistics is a line of statistics.log: one regression.
type Statistics struct {
	Time      clock.Served
	Source    Name
	StdDev    float64         // of the measurements, seconds
	Offset    clock.Offset    // estimated; column: positive = local clock fast
	OffsetSD  float64         // of Offset, seconds
	Frequency clock.Frequency // relative to the present compensation; column: positive = local clock gains
	Skew      clock.Frequency // bound of the error of Frequency
	Stress    float64         // |old - new frequency| / old error
	Samples   int             // used by the fit
	BestStart int             // index of the oldest one that is kept
	Runs      int             // of residuals of one sign
	Asymmetry float64         // of the jitter, -0.5..0.5; negative = worse towards the source
}

const statisticsHead = "   Date (UTC) Time  Source             Std dev     Offset  Offset sd       Freq       Skew  Stress  Ns  Bs  Nr  Asym"

func (s *Statistics) appendTo(b []byte) []byte {
	b = append(appendDate(b, s.Time), ' ')
	b = s.Source.appendLeft(b, 15)
	b = appendExp(b, s.StdDev)
	b = appendExp(b, fast(s.Offset))
	b = appendExp(b, s.OffsetSD)
	b = appendExp(b, fast(s.Frequency))
	b = append(appendExp(b, float64(s.Skew)), ' ')
	b = append(appendFloat(b, s.Stress, layout{'e', 7, 1}), ' ')
	b = append(appendInt(b, s.Samples, 3), ' ')
	b = append(appendInt(b, s.BestStart, 3), ' ')
	b = append(appendInt(b, s.Runs, 3), ' ')
	return append(appendFloat(b, s.Asymmetry, layout{'f', 5, 2}), '\n')
}

// Options are the selection options of a source.
type Options uint8

// Selection options.
const (
	OptNoSelect Options = 1 << iota
	OptPrefer
	OptTrust
	OptRequire
)

// Selection is a line of selection.log: what one selection made of one source.
type Selection struct {
	Time    clock.Served
	Source  Name
	State   byte    // the symbol: * + D U P W x T O S w ~ d M s N
	Options Options // effective ones, authselectmode included
	Reach   uint8   // the last eight polls, newest in bit 0
	Score   float64 // against the selected source
	Age     float64 // of the newest sample, seconds
	// Low and High are the ends of the interval that must contain the true
	// offset, Low <= High in foliot's sign. The columns have the opposite one,
	// positive = local clock fast, and therefore come from High and Low.
	Low, High clock.Offset
}

const selectionHead = "   Date (UTC) Time  Source          S Optns  Rch Score    Last rx        Low       High"

func (s *Selection) appendTo(b []byte) []byte {
	b = append(appendDate(b, s.Time), ' ')
	b = s.Source.appendLeft(b, 15)
	b = append(b, ' ', s.State, ' ', '-')
	for i, letter := range [...]byte{'N', 'P', 'T', 'R'} {
		if s.Options>>i&1 == 0 {
			letter = '-'
		}
		b = append(b, letter)
	}
	b = append(appendOctal(append(b, ' '), s.Reach, 4), ' ')
	b = appendFloat(b, s.Score, layout{'f', 5, 2})
	b = appendExp(b, s.Age)
	b = appendExp(b, fast(s.High))
	return append(appendExp(b, fast(s.Low)), '\n')
}

// Tracking is a line of tracking.log: one update of the clock.
type Tracking struct {
	Time       clock.Served
	Reference  Name // reference ID 0 while not synchronised
	Stratum    int
	Frequency  clock.Frequency // of the clock uncorrected; column in ppm: positive = local clock fast
	Skew       clock.Frequency // bound of its error; column in ppm
	Offset     clock.Offset    // about to be corrected; column: positive = local clock fast
	Leap       ntp.Leap
	Combined   int              // sources
	OffsetSD   float64          // of the combined offset, seconds
	Correction clock.Offset     // left from the previous update; column: positive = system clock slow
	RootDelay  clock.Delay      //
	RootDisp   clock.Dispersion //
	MaxError   clock.Dispersion // largest possible since the previous update
}

const trackingHead = "   Date (UTC) Time  Reference       St   Freq ppm   Skew ppm     Offset L Co  Offset sd  Remaining Root delay  Root disp  Max error"

func (t *Tracking) appendTo(b []byte) []byte {
	b = append(appendDate(b, t.Time), ' ')
	b = append(t.Reference.appendLeft(b, 15), ' ')
	b = append(appendInt(b, t.Stratum, 2), ' ')
	b = append(appendFloat(b, fast(t.Frequency)*1e6, layout{'f', 10, 3}), ' ')
	b = appendFloat(b, t.Skew.PPM(), layout{'f', 10, 3})
	b = appendExp(b, fast(t.Offset))
	b = append(b, ' ', leapChar(t.Leap), ' ')
	b = appendInt(b, t.Combined, 2)
	b = appendExp(b, t.OffsetSD)
	b = appendExp(b, float64(t.Correction))
	b = appendExp(b, float64(t.RootDelay))
	b = appendExp(b, float64(t.RootDisp))
	return append(appendExp(b, float64(t.MaxError)), '\n')
}

// RefClock is a line of refclocks.log: a sample of a reference clock.
type RefClock struct {
	Time     clock.Served
	RefID    uint32
	Filtered bool // the result of a polling interval: DriverPoll, Pulse and Raw do not apply
	// DriverPoll counts the driver's polls within the polling interval.
	DriverPoll int
	Leap       ntp.Leap
	Pulse      bool             // the sample is of a pulse (PPS)
	Raw        clock.Offset     // as the driver measured it; column: positive = local clock slow
	Cooked     clock.Offset     // with corrections; column: positive = local clock slow
	Disp       clock.Dispersion // assumed
}

const refClockHead = "   Date (UTC) Time         RefID  DP L P    Raw offset  Corr. offset       Disp"

func (r *RefClock) appendTo(b []byte) []byte {
	b = append(appendDate(b, r.Time), '.')
	us := r.Time.Nanos() % 1e9
	if us < 0 {
		us += 1e9
	}
	us /= 1e3
	for div := int64(1e5); div > 0; div /= 10 {
		b = append(b, '0'+byte(us/div%10))
	}
	b = append(Name{RefID: r.RefID}.appendLeft(append(b, ' '), 5), ' ')
	wide := layout{'e', 13, 6}
	if r.Filtered {
		b = append(b, "  - "...)
		b = append(b, leapChar(r.Leap))
		b = append(b, " -       -       "...)
	} else {
		b = append(appendInt(b, r.DriverPoll, 3), ' ', leapChar(r.Leap), ' ')
		b = append(appendBool(b, r.Pulse), ' ')
		b = append(appendFloat(b, float64(r.Raw), wide), ' ')
	}
	b = appendFloat(b, float64(r.Cooked), wide)
	return append(appendExp(b, float64(r.Disp)), '\n')
}

// TempComp is a line of tempcomp.log: one temperature compensation.
type TempComp struct {
	Time        clock.Served
	Temperature float64 // as the sensor says it, in units of the sensor
	// Compensation is applied; column in ppm: positive = the clock runs
	// faster than without.
	Compensation clock.Frequency
}

const tempCompHead = "   Date (UTC) Time        Temp.       Comp."

func (t *TempComp) appendTo(b []byte) []byte {
	b = append(appendDate(b, t.Time), ' ')
	b = append(appendFloat(b, t.Temperature, layout{'e', 11, 4}), ' ')
	return append(appendFloat(b, t.Compensation.PPM(), layout{'e', 11, 4}), '\n')
}
