// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// EventKind says what happened. The fields of [Event] that hold for a kind are
// named beside it.
type EventKind uint8

// Kinds of event.
const (
	EvSelected        EventKind = iota + 1 // Source
	EvUnselected                           // Outcome, Agreeing, Total, Unreachable
	EvFalseticker                          // Source
	EvDistance                             // Source, Value (seconds), Limit
	EvJitter                               // Source, Value (seconds), Limit
	EvStratum                              // Source, Count (the stratum), Limit
	EvKissOfDeath                          // Source
	EvClockWrong                           // Value: the offset, seconds
	EvStepped                              // Value: the step, seconds
	EvStepFailed                           //
	EvFrequencyFailed                      //
	EvJump                                 // Value: the foreign step, seconds
	EvInterference                         // Value: the foreign rate, ratio
	EvChangeIgnored                        // Value, Limit
	EvChangeFatal                          // Value, Limit
	EvInitialOffset                        // Value: what -q or -Q found, seconds; Count: 1 if it is stepped
	EvLeapSecond                           // Count: +1 inserted, -1 deleted
	EvTAI                                  // Count: TAI-UTC, seconds
	EvUnresolved                           // Name
	EvDuplicate                            // Name, an address that another source has
	EvAdded                                // Source
	EvRemoved                              // Source
	EvReplaced                             // Source, Old
	EvOnline                               // Source
	EvOffline                              // Source
	EvFallback                             // Count: log2 of the span used; Value: ratio
	EvMeasurement                          // Source, Report
	EvStatistics                           // Source, Register, Estimate
	EvTracking                             // Tracking
	EvSelection                            // Time, Rows
	EvTemperature                          // Time, Value: the sensor's; Limit: the compensation, ratio
	EvTemperatureWild                      // Value: a reading that was ignored
	EvSetting                              // Option, and what is beside it there
)

// SourceRef names a source in an event.
type SourceRef struct {
	ID   SourceID
	Name string // as configured
	Addr netip.AddrPort
}

// Event tells people what happened. Pointers in it are valid while the event
// is handled, and only then.
type Event struct {
	Kind        EventKind
	Time        clock.Served
	Source      SourceRef
	Old         SourceRef
	Assoc       *source.Association
	Report      *source.Report
	Estimate    stats.Estimate
	Tracking    *Tracking
	Outcome     selection.Outcome
	Value       float64
	Limit       float64
	Count       int
	Agreeing    int
	Total       int
	Unreachable int
	Name        string
	Option      Option
	Rows        []SelectionRow
}

// SelectionRow is what a run of selection made of one source.
type SelectionRow struct {
	Source   SourceRef
	Status   selection.Status
	Asked    source.SelectOptions // as configured
	Options  source.SelectOptions // in force (authselectmode)
	Reach    uint8
	Score    float64
	LastAge  float64 // of the newest sample, seconds
	Lo, Hi   float64 // the interval that the source claims, seconds
	Distance float64 // root distance, seconds
}

// Tracking describes an update of the clock, and is chrony's report of that name.
type Tracking struct {
	Time         clock.Served
	Name         string     // of the source selected at the last update, as configured
	Addr         netip.Addr // of that source; invalid for none
	Stratum      uint8
	RefID        uint32
	Leap         uint8
	Frequency    clock.Frequency // positive: the clock is slow uncorrected
	Skew         clock.Frequency
	Residual     clock.Frequency
	LastOffset   clock.Offset // positive: the clock was behind
	RMSOffset    float64
	Combined     int
	OffsetSD     float64
	Remaining    clock.Offset // still to be slewed out, positive: wall clock behind
	RootDelay    float64
	RootDisp     float64
	MaxError     float64
	Interval     float64
	RefTime      clock.Served // of the last update, as it is served
	Synchronized bool
	Local        bool // what is served is the local clock (directive local)
	Updates      int  // followed since the start
}
