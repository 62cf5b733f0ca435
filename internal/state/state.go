// SPDX-License-Identifier: Apache-2.0

// Package state is what the daemon shows of itself: one value, [State], taken by
// the loop between two facts. Every view (chronyc's protocol, mode 6, metrics, the
// status page, foliotctl) renders it, and none computes or asks the engine.
//
// The one concept is that a State is a copy: it is complete, it does not change,
// and whoever has it may keep it. Units and signs are those of [foliot/internal/clock]:
// a positive offset means that the local clock is behind, a positive frequency
// that it is slow uncorrected. Views whose format has the other sign turn it.
package state

import (
	"math"
	"net/netip"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
)

// State is the daemon at one moment.
type State struct {
	Now      clock.Now     // when it was taken
	Served   clock.Served  // the served time then
	Started  clock.Mono    // when the daemon started
	Version  string        // of foliot
	Tracking Tracking      // the clock
	Clock    Clock         // how it is controlled
	Kernel   Kernel        // what the kernel says of it
	Sources  []Source      // in the order of the configuration; associations, not names
	Unsolved []string      // names that have not resolved
	EntryIDs []uint32      // of those, in the same order, for as long as the daemon runs
	Manual   []Typed       // times that people typed, the oldest first
	Smooth   Smoothing     // smoothtime
	Server   Server        // requests of clients
	Config   Configuration // what was decided and matters to views
}

// Tracking is what is claimed about the clock, chrony's report of that name.
type Tracking struct {
	Synchronized bool   // a source is followed; false for local and for nothing
	Local        bool   // the directive local is in force
	Source       string // name of the selected source as configured, "" for none
	Addr         netip.Addr
	Stratum      uint8 // as served; 0 if not synchronised
	RefID        ntp.RefID
	Leap         ntp.Leap
	RefTime      clock.Served // of the last update; zero for never
	Remaining    clock.Offset // of the wall clock, still to be slewed out
	LastOffset   clock.Offset // estimated at the last update
	RMSOffset    float64      // long-term mean, seconds
	Frequency    clock.Frequency
	Residual     clock.Frequency // what the last update would have changed
	Skew         clock.Frequency // bound of the frequency's error
	RootDelay    float64         // seconds
	RootDisp     float64         // at Now, seconds
	Interval     float64         // between the last two updates, seconds
	Updates      uint64
	OffsetSD     float64 // of the last estimate, seconds
}

// ErrorBound is how far from true time the wall clock may be, seconds: what is
// still to be slewed out, and the root distance (RFC 5905 section 11.2).
func (t *Tracking) ErrorBound() float64 {
	return math.Abs(float64(t.Remaining)) + t.RootDisp + t.RootDelay/2
}

// Clock is what was done to the clock since the start.
type Clock struct {
	Controlled bool    // false with -x
	Steps      uint64  // by us
	StepSum    float64 // of those with their signs, seconds; positive: forward
	Slews      uint64  // changes of the rate
	Foreign    uint64  // changes by somebody else that were noticed
	Failures   uint64  // that the kernel refused
	Precision  float64
}

// Kernel is what adjtimex(2) tells everybody. Valid is false if it was not asked.
type Kernel struct {
	Valid        bool
	Synchronized bool             // not STA_UNSYNC
	Status       int              // STA_ bits
	Offset       clock.Offset     // of the kernel's own loop
	Frequency    clock.Frequency  // without the tick
	MaxError     clock.Dispersion // seconds
	EstError     clock.Dispersion // seconds
	Constant     int              // of the kernel's loop
	Precision    float64          // seconds
	Tolerance    clock.Frequency  // ratio
	TAI          int              // TAI-UTC, seconds
	Tick         int64            // microseconds per tick
	Leap         ntp.Leap         // announced to the kernel
}

// Source is one association.
type Source struct {
	ID     uint32 // for as long as the daemon runs
	Name   string // as configured
	Addr   netip.AddrPort
	Local  netip.Addr // that the last answer came to, invalid if none did
	Mode   Mode
	Pool   bool   // came from a pool directive
	Rack   string // label, "" if none was given
	Home   string // label of the machine that the daemon runs on, likewise
	State  Activity
	Status selection.Status     // what selection made of it; 0 = not looked at yet
	Asked  source.SelectOptions // as configured
	Used   source.SelectOptions // in force (authselectmode)

	Poll, MinPoll, MaxPoll int8
	Reach                  uint8
	Reached                int // polls that Reach covers, at most 8
	Unanswered             int // polls in a row
	Stratum                uint8
	Leap                   ntp.Leap
	RefID                  ntp.RefID // of the source itself, as others see it: its address

	Samples                                    Samples
	Auth                                       Auth
	Counts                                     source.Counters
	KernelTx, KernelRx, HardwareTx, HardwareRx uint64 // stamps of packets, by who took them
	HasReport                                  bool
	Report                                     source.Report // of the last valid answer
	Score                                      float64       // of selection
	Lo, Hi                                     clock.Offset  // the interval that the source claims; both 0 if none
	Distance                                   float64       // root distance, seconds
}

// Mode says what kind of source it is.
type Mode uint8

// Modes, numbered as in chrony's protocol.
const (
	Client Mode = iota
	Peer
	RefClock
)

// Activity says whether a source is asked.
type Activity uint8

// Activities, in the order of chronyc's report of that name.
const (
	Online Activity = iota
	Offline
	BurstOnline
	BurstOffline
)

// Samples is what is known of a source's time.
type Samples struct {
	N, Runs    int
	Span       float64         // seconds
	LastAge    float64         // of the newest sample, seconds; negative if there is none
	Last       clock.Offset    // of the newest sample, with corrections since
	LastRaw    clock.Offset    // as it was measured
	LastErr    float64         // bound, seconds
	Offset     clock.Offset    // estimated for Now
	OffsetSD   float64         // seconds
	SD         float64         // of the samples, seconds
	Frequency  clock.Frequency // of the source against our clock
	Skew       clock.Frequency
	Delay      clock.Delay // of the newest sample
	Dispersion clock.Dispersion
	Jitter     float64 // root mean square of differences between samples, seconds
	Asymmetry  float64
}

// Auth is how a source is authenticated.
type Auth struct {
	Symmetric bool
	KeyID     uint32
	KeyType   string // as in key files
	KeyBits   int
	Failures  uint64 // answers that were not authentic
}

// Typed is a time that somebody typed.
type Typed struct {
	When     clock.Served
	Offset   clock.Offset // with all corrections since
	Original clock.Offset // as it was typed
	Residual clock.Offset // off the line that was followed
}

// Smoothing is what smoothtime adds to served time.
type Smoothing struct {
	Enabled          bool // smoothtime is configured
	Active, LeapOnly bool
	Offset           clock.Offset
	Frequency        clock.Frequency // positive: served time runs fast
	Wander           float64         // seconds per second squared
	LastUpdate       float64         // seconds ago
	Remaining        float64         // seconds until it is over
}

// Server is what was done for clients. Counters only grow.
type Server struct {
	Open    bool
	Threads int
	Total   responder.Counters // of all depths
	Workers responder.Counters // of the threads
	Engine  responder.Counters // of the loop
	XDP     responder.Counters // of the program in the driver; zero without one
	// Of the threads' answers to requests that the kernel or the card stamped.
	Residence responder.Residence
	Stamps    int            // transmit timestamps held for clients in interleaved mode
	Span      clock.Interval // from the oldest to the newest
	Records   int            // records of clients
	Evicted   uint64         // records that gave way to new clients
	Unsent    uint64         // answers that the kernel did not take
	Overflow  uint64         // requests that found the receive buffer full
	CmdHits   uint64         // requests of chronyc's protocol
	CmdDrops  uint64         // of those, not answered
	Cmd       []Count        // datagrams at chronyc's sockets, by what became of them
}

// Count is a counter with the name of what it counts, as a label has it.
type Count struct {
	Name string
	N    uint64
}

// Configuration is what views need of the configuration.
type Configuration struct {
	File       string
	Rack       string // where this machine is, "" if that is not configured
	ReadAt     time.Time
	NoLog      bool // noclientlog
	RateLimit  bool
	LeapSource string // "", "sources", a file or a time zone
	TAI        int
}
