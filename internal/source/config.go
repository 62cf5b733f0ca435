// SPDX-License-Identifier: Apache-2.0

// Package source is an NTP association: it decides when to ask a server or a
// peer, builds the request, tests the answer, makes a sample of it and keeps
// the statistics of the source. It owns no socket and reads no clock; its
// caller hands it what happened and when, and carries out what it wants.
//
// The one concept: an exchange has four timestamps, two of them ours. Ours are
// kept as served time and move with the served clock ([Association.Adjust]),
// so that an exchange stays whole when the clock is corrected in its middle.
package source

import (
	"net/netip"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// SelectOptions say how far selection trusts a source.
type SelectOptions uint8

// Selection options of a source (chrony.conf names); values as on the
// monitoring protocol's wire.
const (
	NoSelect SelectOptions = 1 << iota
	Prefer
	Trust
	Require
)

// Config is what a person decides about one association.
type Config struct {
	Name      string         // as configured
	Rack      string         // label, as configured
	Addr      netip.AddrPort // where it is
	Symmetric bool           // peer, not server

	MinPoll, MaxPoll int8 // log2 seconds, -7..24
	PollTarget       int  // samples wanted within the Allan time (8)
	Version          uint8
	IBurst           bool
	Burst            bool
	Offline          bool
	AutoOffline      bool
	XLeave           bool
	Copy             bool
	Presend          int8 // warm-up packet if poll is at least this; 100 = never
	Filter           int  // polls per median filter, 0 = none
	MaxUnreach       int
	MinStratum       uint8
	Select           SelectOptions // as configured
	MonoRoot         bool          // extfield F323
	Key              auth.Key
	KeyID            uint32 // of Key, also while the key itself is missing; 0 = none
	Authenticated    bool   // every packet must carry Key

	MaxDelay         float64 // seconds
	MaxDelayRatio    float64 // < 1 = off
	MaxDelayDevRatio float64 // 0 = off
	MaxDelayQuantile float64 // 0 = off; replaces MaxDelayDevRatio
	Correction       clock.Offset

	Limits stats.Limits
	Prior  stats.Prior
}

// State is where the association is in its life.
type State uint8

// States of an association.
const (
	Offline State = iota
	Online
	BurstOnline  // in a burst, then online
	BurstOffline // in a burst, then offline
)

// Verdict says what became of a packet. Its name is the label of the counter.
type Verdict uint8

// Verdicts, in the order of the tests.
const (
	Accepted    Verdict = iota // a sample was made
	Synced                     // valid and synchronised, but no sample (test A to D failed)
	Unsynced                   // valid, but the source is not synchronised (tests 6, 7)
	BadMode                    // not the mode of an answer to us
	BadVersion                 // not the version that we sent
	Unexpected                 // nothing was asked, or it was answered already
	Duplicate                  // test 1
	BadOrigin                  // test 2
	BadStamps                  // test 3
	BadAuth                    // test 5
	KissOfDeath                // kiss code RATE, obeyed
	NearLeap                   // too close to a leap second to tell the second
	verdictCount
)

var verdictNames = [verdictCount]string{
	"accepted", "synced", "unsynced", "bad_mode", "bad_version", "unexpected",
	"duplicate", "bad_origin", "bad_stamps", "bad_auth", "kiss_of_death", "near_leap",
}

func (v Verdict) String() string { return verdictNames[v] }

// Tests are the ten acceptance tests, one bit each from test 1 up to test D, in
// the order that the measurements log prints: 123 567 ABCD. A set bit passed.
type Tests uint16

// The acceptance tests.
const (
	TestDuplicate Tests = 1 << iota // 1: not a duplicate of the last valid packet
	TestOrigin                      // 2: answers our last request
	TestStamps                      // 3: no timestamp is zero
	TestAuth                        // 5: authenticated if it must be
	TestSynced                      // 6: leap and stratum of a synchronised clock
	TestDistance                    // 7: root distance is finite
	TestA                           // round trip and stamps plausible
	TestB                           // maxdelayratio
	TestC                           // maxdelaydevratio, maxdelayquant
	TestD                           // no synchronisation loop

	testsValid  = TestDuplicate | TestOrigin | TestStamps | TestAuth
	testsSynced = testsValid | TestSynced | TestDistance
	testsAll    = testsSynced | TestA | TestB | TestC | TestD
)

// Report is what is known of the last valid exchange, for logs and monitoring.
type Report struct {
	Time         clock.Served
	Packet       ntp.Packet
	Tests        Tests
	Interleaved  bool
	Offset       clock.Offset
	Delay        clock.Delay
	Disp         clock.Dispersion
	RootDelay    clock.Delay
	RootDisp     clock.Dispersion
	ResponseTime float64 // seconds the server took
	Score        float64 // of the poll control, 0..1
	LocalPoll    int8
	TxStamp      clock.StampKind
	RxStamp      clock.StampKind
	Local        netip.Addr
}

// Counters count packets of one association.
type Counters struct {
	Sent, Received, Valid, Good uint64
	Verdicts                    [verdictCount]uint64
	TxStamps, RxStamps          StampCounts
}

// StampCounts count packets by who stamped them. A packet that was stamped several
// times counts once, for the stamp from nearest to the wire.
type StampCounts [clock.StampHardware + 1]uint64

// moved counts a packet under the kind to that was counted under from before.
func (c *StampCounts) moved(from, to clock.StampKind) {
	if from != clock.StampNone {
		c[from]--
	}
	c[to]++
}
