// SPDX-License-Identifier: Apache-2.0

// Package setup translates the configuration that people write
// ([config.Config]) into the one that the engine takes ([engine.Config]). It is
// the only place that knows both; files that the configuration names are read
// by the caller and handed over as [Files].
package setup

import (
	"fmt"
	"math"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/discipline"
	"foliot/internal/drifts"
	"foliot/internal/engine"
	"foliot/internal/leap"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// Files is what the files named in the configuration hold.
type Files struct {
	Keys     auth.Ring
	Leap     *leap.Table
	Drift    *engine.Drift
	TempComp *drifts.TempComp
	Lookup   func(host string) (netip.Addr, bool) // for names in access rules
}

// Machine is what the machine itself brings.
type Machine struct {
	Quantum    float64 // resolution of the clock, seconds
	Controlled bool    // the clock may be set
	Seed       uint64
}

// Engine makes the engine's configuration.
func Engine(c *config.Config, f *Files, m *Machine) engine.Config {
	quantum := quantum(c, m)
	e := engine.Config{
		Selection:     selectionConfig(c),
		AuthMode:      authModes[c.Select.AuthMode],
		Discipline:    disciplineConfig(c),
		Clock:         clockConfig(c, m),
		Local:         localConfig(c),
		Leap:          engine.LeapConfig{Mode: leapModes[c.Leap.Mode], Table: f.Leap},
		Fallback:      drifts.FallbackConfig{Min: c.Clock.FallbackDrift.Min, Max: c.Clock.FallbackDrift.Max},
		TempComp:      f.TempComp,
		Manual:        c.Clock.Manual,
		Quantum:       quantum,
		Precision:     int8(math.Ceil(math.Log2(quantum))),
		DriftInterval: c.Clock.DriftInterval,
		Drift:         f.Drift,
		RefreshEvery:  c.Client.Refresh,
		Seed:          m.Seed,
	}
	if c.Server.Smooth.Enabled {
		s := c.Server.Smooth
		e.Smooth = engine.SmoothConfig{Enabled: true, MaxFreq: s.MaxFreq, MaxWander: s.MaxWander, LeapOnly: s.LeapOnly}
	}
	e.Stamps, e.ClientLog = WorkerMemory(c, 1)
	// In Linux it answers only what comes from a peer's port.
	e.Stamps, e.ClientLog = min(e.Stamps, defaultClients), min(e.ClientLog, defaultClients*clientlog.RecordSize)
	e.NoServer = c.Server.Port == 0
	e.SharedPort = c.Server.Port != 0 && c.Client.AcquisitionPort == int(c.Server.Port)
	e.Policy = responder.Policy{Access: Access(c.Server.Access, f.Lookup), Keys: f.Keys}
	if r := c.Server.RateLimit; r.Enabled {
		e.Policy.Limit = clientlog.NewLimit(r.Interval, r.Burst, r.Leak, r.KoD)
	}
	e.Broadcasts = broadcasts(c.Server.Broadcasts)
	for i := range c.Sources {
		e.Sources = append(e.Sources, Source(c, &c.Sources[i], f, m))
	}
	return e
}

// quantum is the resolution of the clock, seconds.
func quantum(c *config.Config, m *Machine) float64 {
	if c.Clock.Precision > 0 {
		return c.Clock.Precision
	}
	return m.Quantum
}

var authModes = map[config.AuthMode]engine.AuthMode{
	config.AuthIgnore: engine.AuthIgnore, config.AuthMix: engine.AuthMix,
	config.AuthPrefer: engine.AuthPrefer, config.AuthRequire: engine.AuthRequire,
}

var leapModes = map[config.LeapMode]leap.Mode{
	config.LeapSystem: leap.ModeSystem, config.LeapStep: leap.ModeStep,
	config.LeapSlew: leap.ModeSlew, config.LeapIgnore: leap.ModeIgnore,
}

// clientMemory is chrony's size of one client, octets: a record and a timestamp in
// interleaved mode. Without a limit there is room for 4096.
const (
	clientMemory   = 128
	defaultClients = 4096
)

// WorkerMemory returns what each of so many threads may hold for clients:
// timestamps for interleaved mode, and octets for records. A limit that was
// configured is for all of them together.
func WorkerMemory(c *config.Config, threads int) (stamps int, records int64) {
	if c.Server.NoClientLog {
		return 0, 0
	}
	clients := int64(defaultClients)
	if limit := c.Server.ClientLogLimit; limit >= 0 {
		clients = min(max(limit/clientMemory/int64(threads), 16), 1<<24)
	}
	return int(clients), clients * int64(clientlog.RecordSize)
}

func selectionConfig(c *config.Config) selection.Config {
	s := selection.Config{
		MaxDistance: c.Select.MaxDistance, MaxJitter: c.Select.MaxJitter,
		MinSources: c.Select.MinSources, CombineLimit: c.Select.CombineLimit,
		ReselectDist: c.Select.ReselectDistance, StratumWeight: c.Select.StratumWeight,
		MinStratum: c.Select.MinStratum, MaxStratum: c.Select.MaxStratum,
		ClockError: c.Clock.MaxClockError * 1e-6,
	}
	if c.Local.Enabled && c.Local.Orphan {
		s.OrphanStratum = c.Local.Stratum
	}
	return s
}

func disciplineConfig(c *config.Config) discipline.Config {
	d := discipline.Config{
		StepThreshold: c.Clock.StepThreshold, StepLimit: c.Clock.StepLimit,
		MaxUpdateSkew: clock.FromPPM(c.Clock.MaxUpdateSkew),
		CorrTimeRatio: c.Clock.CorrTimeRatio,
		ClockError:    clock.FromPPM(c.Clock.MaxClockError),
		LogChange:     c.Log.Change,
	}
	if x := c.Clock.MaxChange; x.Set {
		d.MaxChange, d.ChangeStart, d.ChangeIgnore = x.Offset, x.Start, x.Ignore
	}
	return d
}

func clockConfig(c *config.Config, m *Machine) discipline.ClockConfig {
	return discipline.ClockConfig{
		Controlled:  m.Controlled,
		MaxSlewRate: clock.FromPPM(c.Clock.MaxSlewRate),
		MaxDrift:    clock.FromPPM(c.Clock.MaxDrift),
	}
}

func localConfig(c *config.Config) engine.LocalConfig {
	l := c.Local
	return engine.LocalConfig{
		Enabled: l.Enabled, Stratum: l.Stratum, Distance: l.Distance, Activate: l.Activate,
		Orphan: l.Orphan, WaitSynced: l.WaitSynced, WaitUnsynced: l.WaitUnsynced,
	}
}

// longestBroadcast is the longest interval between broadcasts that is heeded, as
// in chrony: 2^24 seconds.
const longestBroadcast = 1 << 24

func broadcasts(all []config.Broadcast) (out []engine.BroadcastConfig) {
	for _, b := range all {
		out = append(out, engine.BroadcastConfig{Interval: float64(min(b.Interval, longestBroadcast)), Dest: b.Dest})
	}
	return out
}

// Access builds the table of who may ask. A host name that does not resolve
// lets nobody in.
func Access(rules []config.AccessRule, lookup func(string) (netip.Addr, bool)) *acl.Table {
	var out []acl.Rule
	for _, r := range rules {
		a := acl.Rule{Allow: r.Allow, All: r.All, Everything: r.Everything, Prefix: r.Prefix}
		if r.Host != "" {
			addr, ok := netip.Addr{}, false
			if lookup != nil {
				addr, ok = lookup(r.Host)
			}
			if !ok {
				continue
			}
			a.Prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		out = append(out, a)
	}
	return acl.New(out)
}

// Source makes the engine's configuration of one source, which may be one that
// a command adds: c needs not contain it.
func Source(c *config.Config, s *config.Source, f *Files, m *Machine) engine.SourceConfig {
	quantum := quantum(c, m)
	t := source.Config{
		Symmetric: s.Kind == config.KindPeer, Rack: s.Rack,
		MinPoll: s.MinPoll, MaxPoll: s.MaxPoll, PollTarget: s.PollTarget,
		Version: s.Version, IBurst: s.IBurst, Burst: s.Burst,
		Offline: s.Offline, AutoOffline: s.AutoOffline, XLeave: s.XLeave, Copy: s.Copy,
		Presend: int8(min(s.Presend, config.NeverPresend)), Filter: s.Filter,
		MaxUnreach: s.MaxUnreach, MinStratum: s.MinStratum, Select: options(s),
		MonoRoot: s.MonoRoot, MaxDelay: s.MaxDelay, MaxDelayRatio: s.MaxDelayRatio,
		MaxDelayDevRatio: s.MaxDelayDevRatio, MaxDelayQuantile: s.MaxDelayQuantile,
		Correction: clock.Offset(s.Offset), Limits: limits(c, s, quantum),
		Prior: stats.Prior{Precision: quantum},
	}
	if f.Drift != nil {
		t.Prior.FreqSD = min(max(float64(f.Drift.Skew), 1e-8), 0.1)
	}
	if s.Key != 0 {
		// A key that is missing verifies nothing: the source stays without
		// samples until the key file has it.
		t.Key, t.KeyID, t.Authenticated = f.Keys[s.Key], s.Key, true
	}
	if t.Version == 0 {
		t.Version = defaultVersion(&t)
	}
	return engine.SourceConfig{
		Name: s.Name, Port: s.Port, Pool: s.Kind == config.KindPool, MaxSources: s.MaxSources,
		Family: engine.Family(s.Family), Template: t,
	}
}

// MissingKeys names the sources whose key is not in the ring, one message each.
func MissingKeys(c *config.Config, keys auth.Ring) (out []string) {
	for i := range c.Sources {
		s := &c.Sources[i]
		if _, ok := keys[s.Key]; s.Key != 0 && !ok {
			out = append(out, fmt.Sprintf("Key %d of %s %s at %s is missing in key file %q: its answers will not be accepted",
				s.Key, s.Kind, s.Name, s.Origin, c.Process.KeyFile))
		}
	}
	return out
}

// defaultVersion is 4, or 3 with a MAC so long that after an NTPv4 header it
// could be taken for extension fields (RFC 7822 section 7.5.1.4).
func defaultVersion(t *source.Config) uint8 {
	if t.Authenticated && t.Key.MACLen() > 20 && !t.XLeave && !t.MonoRoot {
		return 3
	}
	return 4
}

func limits(c *config.Config, s *config.Source, quantum float64) stats.Limits {
	l := stats.Limits{
		MinSamples: c.Client.MinSamples, MaxSamples: c.Client.MaxSamples,
		Precision: quantum, MinDelay: clock.Delay(s.MinDelay),
		ClockError: clock.Dispersion(c.Clock.MaxClockError * 1e-6),
	}
	if s.MinSamples >= 0 {
		l.MinSamples = s.MinSamples
	}
	l.MinSamples = max(l.MinSamples, 1) // 0 means none at least, in Limits the default
	if s.MaxSamples >= 0 {
		l.MaxSamples = s.MaxSamples
	}
	if s.AsymmetrySet {
		// chrony counts offsets the other way round: positive is ahead.
		l.FixedAsym, l.Asymmetry = true, -s.Asymmetry
	}
	return l
}

func options(s *config.Source) (o source.SelectOptions) {
	for _, x := range [...]struct {
		set bool
		bit source.SelectOptions
	}{
		{s.NoSelect, source.NoSelect}, {s.Prefer, source.Prefer},
		{s.Trust, source.Trust}, {s.Require, source.Require},
	} {
		if x.set {
			o |= x.bit
		}
	}
	return o
}
