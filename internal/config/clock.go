// SPDX-License-Identifier: Apache-2.0

package config

// AuthMode says how sources with and without authentication are mixed.
type AuthMode uint8

// Modes of authselectmode.
const (
	AuthRequire AuthMode = iota // only authenticated sources are selected
	AuthPrefer                  // the others only if there is no authenticated one
	AuthMix                     // authenticated ones are trusted and required if both kinds exist
	AuthIgnore                  // authentication does not matter for selection
)

// Select says which sources may set the clock.
type Select struct {
	AuthMode         AuthMode // authselectmode (mix)
	CombineLimit     float64  // combinelimit: ratio of distances (3; 0 = do not combine)
	MaxDistance      float64  // maxdistance: root distance, seconds (3)
	MaxJitter        float64  // maxjitter: standard deviation, seconds (1)
	MinStratum       uint8    // minstratum: lowest stratum of a source (0; 0..15)
	MaxStratum       uint8    // maxstratum: highest stratum of a source (15; 0..15)
	MinSources       int      // minsources: selectable sources that an update needs (1; from 1)
	ReselectDistance float64  // reselectdist: seconds by which a new source must be better (1e-4)
	StratumWeight    float64  // stratumweight: seconds of distance per stratum (1e-3)
}

// MaxDrift is the largest frequency error that can be corrected, ppm.
const MaxDrift = 100000

// Clock says how the system clock is corrected.
type Clock struct {
	DriftFile     string  // driftfile: path; empty = the frequency is not kept
	DriftInterval float64 // driftfile interval: seconds between two writings (3600)
	NTPDrift      bool    // driftfile ntpd: in ntpd's format, the frequency alone
	NoControl     bool    // noclockcontrol: measure and serve, leave the clock alone

	StepThreshold float64 // makestep: seconds; larger offsets are stepped
	StepLimit     int     // makestep: the first so many updates may step (0 = none, negative = all)
	RTCSync       bool    // rtcsync: the kernel copies its time to the real-time clock
	Manual        bool    // manual: times that a person types count

	MaxUpdateSkew float64 // maxupdateskew: ppm; a worse frequency estimate is not used (1000)
	MaxSlewRate   float64 // maxslewrate: ppm (83333.333)
	MaxDrift      float64 // maxdrift: ppm, either sign (100000; 0..100000)
	MaxClockError float64 // maxclockerror: ppm by which the clock may change on its own (1)
	CorrTimeRatio float64 // corrtimeratio: the larger, the slower the slew (3)
	Precision     float64 // clockprecision: seconds (0 = measured; 1e-9..1)

	MaxChange     MaxChange
	FallbackDrift FallbackDrift
	TempComp      TempComp
	InitStepSlew  InitStepSlew
}

// MaxChange is the maxchange directive: the offset that ends the daemon.
type MaxChange struct {
	Set    bool    // offsets are limited
	Offset float64 // seconds, either sign
	Start  int     // updates at the start that are not checked (from 0)
	Ignore int     // later updates with a larger offset that are only ignored (negative = all)
}

// FallbackDrift is the fallbackdrift directive: averages of the frequency that
// are used while there is no source. Both zero = none.
type FallbackDrift struct {
	Min, Max int // log2 seconds since the last update
}

// TempComp is the tempcomp directive: compensation by a temperature sensor.
type TempComp struct {
	File     string  // sensor; empty = no compensation
	Interval float64 // seconds between readings
	Points   string  // path of a table of temperature and ppm; empty = the polynomial counts
	T0       float64 // temperature at which the compensation is K0, in the sensor's unit
	K0       float64 // ppm
	K1       float64 // ppm per unit of temperature
	K2       float64 // ppm per its square
}

// InitStepSlew is the initstepslew directive: the clock is set once from some
// servers before anything else happens. No servers = it is not.
type InitStepSlew struct {
	Threshold float64  // seconds; a larger offset is stepped
	Servers   []string // names or addresses
}

// LeapMode says how a leap second is applied.
type LeapMode uint8

// Modes of leapsecmode.
const (
	LeapSystem LeapMode = iota // by the kernel
	LeapStep                   // by the daemon, at once
	LeapSlew                   // by the daemon, slowly
	LeapIgnore                 // not, the clock is corrected later
)

// Leap says where leap seconds come from and what is done with them.
type Leap struct {
	TimeZone string   // leapsectz: a time zone with leap seconds, as right/UTC; empty = none
	List     string   // leapseclist: path of a leap-seconds.list; empty = none
	Mode     LeapMode // leapsecmode (system)
}

// Local is the local directive: serve time without a source.
type Local struct {
	Enabled      bool
	Stratum      uint8   // stratum: of the local reference (10; 1..15)
	Distance     float64 // distance: root distance above which it takes over, seconds (1)
	Activate     float64 // activate: root distance once needed, seconds (0 = none)
	Orphan       bool    // orphan: servers of this kind agree on one of them
	WaitSynced   float64 // waitsynced: seconds to wait after the last update (0)
	WaitUnsynced float64 // waitunsynced: seconds to wait at the start (300 with Orphan, else 0)
	NTPClock     bool    // unit: it is shown as ntpd's local clock 127.127.1.Unit, whose stratum is one less
	Unit         int     // unit (0; 0..3)
}
