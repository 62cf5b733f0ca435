// SPDX-License-Identifier: Apache-2.0

package config

import "fmt"

// SourceKind says how the daemon talks to a source.
type SourceKind uint8

// Kinds of sources.
const (
	KindServer SourceKind = iota // one server, asked in client mode
	KindPool                     // a name behind which there are many servers
	KindPeer                     // a peer, in symmetric active mode
)

// String returns the name of the directive that makes such a source.
func (k SourceKind) String() string {
	return [...]string{"server", "pool", "peer"}[k]
}

// Family restricts the addresses that a name may resolve to.
type Family uint8

// Address families.
const (
	FamilyAny Family = iota
	FamilyIPv4
	FamilyIPv6
)

// Limits of what a source can be told.
const (
	MinPoll       = -7   // log2 seconds: 1/128 s
	MaxPoll       = 24   // log2 seconds: 194 days
	MaxPoolSize   = 16   // sources of one pool
	NeverPresend  = 100  // value of Source.Presend that no poll reaches
	MaxMedianSize = 8192 // longest median filter
)

// Source is one server, pool or peer directive. The comments give the name of
// the option, its unit, and its default and range.
type Source struct {
	Origin  Origin
	FromDir bool // came from a sourcedir, and goes if it is no longer there

	Kind   SourceKind
	Name   string // host name or address, as written
	Port   uint16 // port: UDP port (123)
	Family Family // ipv4, ipv6 (any)

	MinPoll    int8  // minpoll: log2 seconds (6; -7..24)
	MaxPoll    int8  // maxpoll: log2 seconds (10; MinPoll..24)
	PollTarget int   // polltarget: samples (8; from 1)
	IBurst     bool  // iburst: quick requests at the start
	Burst      bool  // burst: more requests if none gave a good sample
	Presend    int16 // presend: warm up if the poll, log2 seconds, is at least this (100 = never)
	Version    uint8 // version: NTP version (0 = depends on the other options; 1..4)
	XLeave     bool  // xleave: interleaved mode (RFC 9769)
	MonoRoot   bool  // extfield F323: monotonic timestamps and precise root delay and dispersion
	NetCorr    bool  // extfield 10A: corrections of the network

	Offline     bool // offline: is not asked until told so
	AutoOffline bool // auto_offline: goes offline if sending fails
	MaxSources  int  // maxsources: members of a pool in use (4; 1..16)
	MaxUnreach  int  // maxunreach: polls a source may stay selected without answering (100000; from 0)

	Key     uint32 // key: identifier of the symmetric key (0 = none)
	NTS     bool   // nts: authenticate by NTS
	NTSPort uint16 // ntsport: TCP port of NTS-KE (4460)
	CertSet uint32 // certset: set of trusted certificates (0)

	MaxDelay         float64 // maxdelay: seconds (3; 0..1000)
	MaxDelayRatio    float64 // maxdelayratio: to the minimum delay (0; below 1 = no test)
	MaxDelayDevRatio float64 // maxdelaydevratio: to the deviation of the offset (10; 0 = no test)
	MaxDelayQuantile float64 // maxdelayquant: probability (0 = no test; 0.05..0.95); replaces MaxDelayDevRatio
	MinDelay         float64 // mindelay: seconds (0 = take the minimum of the samples)
	Asymmetry        float64 // asymmetry: of the delay's jitter, negative = more of it on the way to the source (-0.5..0.5)
	AsymmetrySet     bool    // Asymmetry counts; otherwise it is estimated
	Offset           float64 // offset: seconds added to the measured offset (0)
	Filter           int     // filter: polls per median (0 = none; to 8192)
	MinSamples       int     // minsamples: fewest samples kept (-1 = Client.MinSamples; from 0); MaxSamples wins
	MaxSamples       int     // maxsamples: most samples kept (-1 = Client.MaxSamples; from 0, 0 = no limit)
	MinStratum       uint8   // minstratum: the source's stratum is taken to be at least this (0; 0..15)
	Copy             bool    // copy: take over the source's reference ID and stratum

	Rack     string // rack: where it is, a label of metrics (none)
	NoSelect bool   // noselect: is measured and never selected
	Prefer   bool   // prefer: is selected before those without
	Trust    bool   // trust: tells the truth if it disagrees with others
	Require  bool   // require: the clock is updated only if one of these is selectable
}

// DefaultSource returns a source of which only kind and name are configured.
func DefaultSource(kind SourceKind, name string) Source {
	return Source{
		Kind: kind, Name: name, Port: 123, NTSPort: 4460,
		MinPoll: 6, MaxPoll: 10, PollTarget: 8, Presend: NeverPresend,
		MaxSources: 4, MaxUnreach: 100000,
		MaxDelay: 3, MaxDelayDevRatio: 10,
		MinSamples: -1, MaxSamples: -1,
	}
}

// validate checks what tables and timers of the daemon depend on.
func (s *Source) validate() error {
	switch {
	case s.Name == "":
		return fmt.Errorf("the name is empty")
	case s.MinPoll < MinPoll || s.MaxPoll > MaxPoll || s.MinPoll > s.MaxPoll:
		return fmt.Errorf("poll range %d..%d (min %d, max %d)", s.MinPoll, s.MaxPoll, MinPoll, MaxPoll)
	case s.MaxSources < 1 || s.MaxSources > MaxPoolSize:
		return fmt.Errorf("maxsources %d (min 1, max %d)", s.MaxSources, MaxPoolSize)
	case s.PollTarget < 1:
		return fmt.Errorf("polltarget %d (min 1)", s.PollTarget)
	case s.Filter < 0 || s.Filter > MaxMedianSize:
		return fmt.Errorf("filter %d (min 0, max %d)", s.Filter, MaxMedianSize)
	case s.Version > 4:
		return fmt.Errorf("version %d (min 1, max 4)", s.Version)
	case s.MinStratum > 15:
		return fmt.Errorf("minstratum %d (min 0, max 15)", s.MinStratum)
	}
	return nil
}
