// SPDX-License-Identifier: Apache-2.0

package config

import "net/netip"

// AccessRule is one line of an access list. The rules of a list count in their
// order; exactly one of Prefix, Host and Everything tells whom a rule is about.
type AccessRule struct {
	Origin     Origin
	Allow      bool         // allow, else deny
	All        bool         // the rules before it for addresses within no longer count
	Everything bool         // every address of both families
	Prefix     netip.Prefix // network with host bits cleared; invalid if one of the others counts
	Host       string       // name, not resolved; the first address that it has is meant
}

// RateLimit bounds the answers to one address.
type RateLimit struct {
	Enabled  bool
	Interval int // interval: log2 seconds between answers (ratelimit 3, cmdratelimit -4; -19..12)
	Burst    int // burst: answers above the rate (8; 1..255)
	Leak     int // leak: answers 1 of 2^Leak requests above the limit (2; 1..4)
	KoD      int // kod: answers 1 of 2^KoD of those with a kiss code RATE (0 = none; 0..4)
}

// MaxClientLog is the largest memory for records of clients, bytes.
const MaxClientLog = 1 << 31

// Server says whom the daemon serves, and how.
type Server struct {
	Port           uint16       // port: UDP port (123; 0 = no server)
	Access         []AccessRule // allow, deny; with no rule nobody is served and no port is opened
	BindAddresses  []netip.Addr // bindaddress, in order, each once (empty = every address)
	BindDevice     string       // binddevice: interface (empty = every one)
	Broadcasts     []Broadcast  // broadcast, in order
	Workers        int          // workers: threads that answer, for each address (0 = one for each processor; ..1024)
	ClientLogLimit int64        // clientloglimit: bytes for all threads together (-1 = 524288 for each thread; 0..2^31)
	NoClientLog    bool         // noclientlog: keep no records; no interleaved mode for clients
	RateLimit      RateLimit    // ratelimit
	Smooth         Smooth
	Kernel         Kernel
}

// Kernel says what eBPF programs do for the server and its clients.
type Kernel struct {
	Load    Load       // ebpf: whether there are any
	Serve   []XDPServe // xdp serve, each interface once
	OneStep bool       // onestep: replies get the time at which they leave on their way out
}

// Load says whether eBPF programs are wanted.
type Load uint8

// Values of ebpf.
const (
	LoadIfAllowed Load = iota // where the system lets us (the default)
	LoadOn                    // it is worth a warning if it does not
	LoadOff
)

// XDPServe is one xdp serve directive: plain requests that come by the interface
// are answered by a program there.
type XDPServe struct {
	Origin    Origin
	Interface string // name; XDPAuto = every one whose driver runs programs
	Mode      XDPMode
}

// XDPAuto is the name that stands for every interface whose driver can.
const XDPAuto = "auto"

// XDPMode is where a program gets at what an interface receives.
type XDPMode uint8

// Values of mode.
const (
	XDPAny     XDPMode = iota // in the driver if it can, else behind it (the default)
	XDPNative                 // in the driver
	XDPGeneric                // behind the driver, which any can
)

// Broadcast is one broadcast directive: packets sent to a network (mode 5).
type Broadcast struct {
	Origin   Origin
	Interval int            // seconds between packets (from 1)
	Dest     netip.AddrPort // address, and port (123)
}

// Smooth is the smoothtime directive: served time is spared the steps of the
// system clock.
type Smooth struct {
	Enabled   bool
	MaxFreq   float64 // ppm by which served time may run faster or slower
	MaxWander float64 // ppm per second by which that may change
	LeapOnly  bool    // only leap seconds are smoothed
}

// Client says how sources are asked.
type Client struct {
	AcquisitionPort int           // acquisitionport: UDP port (-1 = another for each request, 0 = one chosen at the start)
	BindAddr4       netip.Addr    // bindacqaddress, IPv4 (invalid = the kernel chooses)
	BindAddr6       netip.Addr    // bindacqaddress, IPv6 (invalid = the kernel chooses)
	BindDevice      string        // bindacqdevice: interface (empty = the kernel chooses)
	DSCP            uint8         // dscp: of sent packets, those of the server too (0; 0..63)
	MinSamples      int           // minsamples: fewest samples kept of a source (6; from 0); MaxSamples wins
	MaxSamples      int           // maxsamples: most samples kept of a source (0 = no limit)
	Refresh         float64       // refresh: seconds after which names are resolved again (1209600; 0 = never)
	HWTimestamps    []HWTimestamp // hwtimestamp, in order
	HWTimeout       float64       // hwtstimeout: seconds to wait for a late transmit stamp (1e-3)
	MaxTxBuffers    int           // maxtxbuffers: packets awaiting a transmit stamp by number (0 = not by number)
}

// RxFilter says which packets an interface stamps when it receives them.
type RxFilter uint8

// Receive filters of hwtimestamp.
const (
	RxAuto RxFilter = iota // the narrowest of ntp, all, none that the interface can do
	RxAll                  // every packet
	RxNTP                  // NTP packets
	RxPTP                  // PTP packets
	RxNone                 // none; only sent packets are stamped
)

// HWTimestamp is one hwtimestamp directive: the interface stamps packets.
type HWTimestamp struct {
	Origin     Origin
	Interface  string   // name; "*" = every interface that can
	MinPoll    int      // minpoll: log2 seconds between readings of its clock (0; -6..20)
	MaxPoll    int      // maxpoll: log2 seconds (MinPoll+1; MinPoll..20)
	MinSamples int      // minsamples: fewest readings used (2; 1..1024); MaxSamples wins
	MaxSamples int      // maxsamples: most readings used (16; 1..1024)
	Precision  float64  // precision: of a reading, seconds (100e-9)
	TxComp     float64  // txcomp: seconds added to transmit stamps (0)
	RxComp     float64  // rxcomp: seconds taken from receive stamps (0)
	NoCrossTS  bool     // nocrossts: do not use the kernel's cross timestamps
	RxFilter   RxFilter // rxfilter (auto)
}

// DefaultHWTimestamp returns what a hwtimestamp directive without options means.
func DefaultHWTimestamp(iface string) HWTimestamp {
	return HWTimestamp{
		Interface: iface, MaxPoll: 1, MinSamples: 2, MaxSamples: 16, Precision: 100e-9,
	}
}
