// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/discipline"
	"foliot/internal/drifts"
	"foliot/internal/leap"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// Config is everything that the engine is told by people, in its own types.
type Config struct {
	Sources    []SourceConfig
	Broadcasts []BroadcastConfig
	Selection  selection.Config
	AuthMode   AuthMode
	Discipline discipline.Config
	Clock      discipline.ClockConfig
	Local      LocalConfig
	Leap       LeapConfig
	Smooth     SmoothConfig
	Fallback   drifts.FallbackConfig
	TempComp   *drifts.TempComp // nil: none
	Policy     responder.Policy // whom to serve, and how

	Manual        bool    // times that a person types are listened to (SetTime)
	NoServer      bool    // port 0: the server port is never opened
	SharedPort    bool    // requests are sent from the server port
	Precision     int8    // of the local clock, log2 seconds
	Quantum       float64 // the same in seconds
	Stamps        int     // clients in interleaved mode at a time
	ClientLog     int64   // memory for records of clients, octets; 0 = none are kept
	DriftInterval float64 // seconds between ActDrift, at least
	Drift         *Drift  // what the drift file held, nil for none
	RefreshEvery  float64 // refresh, seconds; 0 = off
	OneShot       bool    // -q, -Q: exit after the first update
	Line          bool    // estimate with stats.Line in place of stats.Tracker
	Seed          uint64  // of all random numbers; secret in production
}

// SourceConfig is one server, peer or pool as configured. Key identifies it over
// a change of configuration: kind, name and port.
type SourceConfig struct {
	Name       string
	Port       uint16
	Pool       bool
	MaxSources int // of a pool
	Family     Family
	Template   source.Config // Name and Addr are filled in; Select is as configured
}

// same tells whether o is the same source with, perhaps, other options.
func (c *SourceConfig) same(o *SourceConfig) bool {
	return c.Name == o.Name && c.Port == o.Port && c.Pool == o.Pool &&
		c.Template.Symmetric == o.Template.Symmetric && c.Family == o.Family
}

// LocalConfig is chrony's directive local: serve time without a source.
type LocalConfig struct {
	Enabled      bool
	Stratum      uint8   // (10)
	Distance     float64 // become active above this root distance, seconds (1)
	Activate     float64 // only once the root distance was below this, seconds (0 = at once)
	Orphan       bool    // follow other such servers; Selection.OrphanStratum follows from it
	WaitSynced   float64 // seconds after the last update
	WaitUnsynced float64 // seconds after the start, or since the reference was lost
	// Clock is the reference ID of a local clock that counts as a reference, as one
	// of ntpd's does: the kernel is told that its clock is synchronised. 0: none.
	Clock ntp.RefID
}

// LeapConfig says where leap seconds are learned and how they are applied.
type LeapConfig struct {
	Mode  leap.Mode
	Table *leap.Table // leapseclist or leapsectz; nil: sources vote
}

// SmoothConfig is chrony's directive smoothtime.
type SmoothConfig struct {
	Enabled   bool
	MaxFreq   float64 // ppm
	MaxWander float64 // ppm per second
	LeapOnly  bool
}

// estimator returns a new estimator for a source.
func (c *Config) estimator(p stats.Prior) stats.Estimator {
	if c.Line {
		return &stats.Line{}
	}
	return stats.NewTracker(p)
}

// literal reports the address that name is, if it is one literally.
func literal(name string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(name)
	return a, err == nil
}
