// SPDX-License-Identifier: Apache-2.0

// Package config is the typed configuration of the daemon: what a person
// decided, whatever language it was written in. It knows defaults and what
// contradicts itself; it reads no file, resolves no name and acts on nothing.
//
// The one concept: a value of type [Config] is complete. Every setting that the
// file did not mention holds its default, so that a reader never asks whether a
// field was set, except where its comment gives a value that means "unset".
//
// Lengths of time are float64 seconds and frequencies are float64 parts per
// million, as people write them. Defaults are chrony's where chrony has one.
package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// Config is everything that the daemon's configuration can say.
type Config struct {
	Rack       string      // rack: where this machine is, a label of metrics (none)
	Sources    []Source    // time sources in order of appearance; those of SourceDirs last
	SourceDirs []SourceDir // where more sources are looked for (sourcedir), in order
	Refclocks  []Raw       // refclock lines as written; not interpreted

	Select  Select
	Clock   Clock
	Leap    Leap
	Local   Local
	Server  Server
	Client  Client
	Command Command
	Metrics Metrics
	Log     Log
	Process Process
}

// Origin is where something was configured.
type Origin struct {
	File string // path as it was opened; empty = the command line
	Line int    // from 1; on the command line the number of the argument
}

// String names the place as it ends a message: "line 3 in file /etc/x.conf".
func (o Origin) String() string {
	if o.File == "" {
		return fmt.Sprintf("line %d of the command line", o.Line)
	}
	return fmt.Sprintf("line %d in file %s", o.Line, o.File)
}

// Raw is a line that is kept but not interpreted.
type Raw struct {
	Origin Origin
	Words  []string // directive name first
}

// SourceDir is one sourcedir directive: directories that are searched together
// for files with sources. Of files with the same name in several of them, the
// one in the first counts.
type SourceDir struct {
	Origin Origin
	Dirs   []string // 1..10 paths
}

// Default returns a configuration in which every setting has its default and
// no source is configured.
func Default() *Config {
	return &Config{
		Select: Select{
			AuthMode: AuthMix, CombineLimit: 3, MaxDistance: 3, MaxJitter: 1,
			MaxStratum: 15, MinSources: 1, ReselectDistance: 1e-4, StratumWeight: 1e-3,
		},
		Clock: Clock{
			DriftInterval: 3600, MaxUpdateSkew: 1000, MaxSlewRate: 1e6 / 12.0,
			MaxDrift: MaxDrift, MaxClockError: 1, CorrTimeRatio: 3,
		},
		Local: Local{Stratum: 10, Distance: 1},
		Server: Server{
			Port: 123, ClientLogLimit: -1,
			RateLimit: RateLimit{Interval: 3, Burst: 8, Leak: 2},
		},
		Client: Client{
			AcquisitionPort: -1, MinSamples: 6, Refresh: 1209600, HWTimeout: 1e-3,
		},
		Command: Command{
			Sockets: []string{"/run/foliot/foliotd.sock", "/run/chrony/chronyd.sock"}, Port: 323,
			BindAddr4: netip.AddrFrom4([4]byte{127, 0, 0, 1}), BindAddr6: netip.IPv6Loopback(),
			Open: []string{
				"activity", "manual", "rtcdata", "smoothing",
				"sourcename", "sources", "sourcestats", "tracking",
			},
			RateLimit: RateLimit{Interval: -4, Burst: 8, Leak: 2},
		},
		Metrics: Metrics{Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), MetricsPort)},
		Log:     Log{Banner: 32, Change: 1},
		Process: Process{PIDFile: "/run/foliot/foliotd.pid"},
	}
}

// Validate reports settings that are valid one by one but contradict each
// other. It wants values within the ranges that their comments give, and checks
// those on which memory or an index depends.
func (c *Config) Validate() error {
	if c.Server.NoClientLog && (c.Server.RateLimit.Enabled || c.Command.RateLimit.Enabled) {
		return errors.New("ratelimit cannot be used together with noclientlog")
	}
	if c.Select.MinStratum > c.Select.MaxStratum {
		return fmt.Errorf("minstratum %d is above maxstratum %d",
			c.Select.MinStratum, c.Select.MaxStratum)
	}
	for i := range c.Sources {
		if err := c.Sources[i].validate(); err != nil {
			return fmt.Errorf("source %s at %s: %w", c.Sources[i].Name, c.Sources[i].Origin, err)
		}
	}
	return nil
}
