// SPDX-License-Identifier: Apache-2.0

package config

import "net/netip"

// Command says who may monitor and control the daemon.
type Command struct {
	Sockets    []string     // bindcmdaddress with a path: unix sockets (foliotd's own, and where chronyc looks; empty = none)
	Port       uint16       // cmdport: UDP port (323; 0 = no UDP)
	BindAddr4  netip.Addr   // bindcmdaddress, IPv4 (127.0.0.1)
	BindAddr6  netip.Addr   // bindcmdaddress, IPv6 (::1)
	BindDevice string       // bindcmddevice: interface (empty = every one)
	Access     []AccessRule // cmdallow, cmddeny; this host itself is always allowed
	Open       []string     // opencommands: what may be asked over UDP, lower case
	RateLimit  RateLimit    // cmdratelimit; KoD does not apply
}

// MetricsPort is the TCP port of the listener for metrics if none is named.
const MetricsPort = 9923

// Metrics says what monitoring systems and browsers are shown.
type Metrics struct {
	Listen       netip.AddrPort // metrics listen: TCP address of /metrics and the status page (127.0.0.1:9923; invalid = no listener)
	CompatChrony bool           // metrics compat chrony: the names of chrony_exporter too
}

// Log says what is written down.
type Log struct {
	Dir    string  // logdir: directory of the files (empty = none are written)
	Banner int     // logbanner: lines between two headings (32; 0 = no headings)
	Change float64 // logchange: offset, seconds, from which a correction is reported (1)
	File   string  // logfile: messages (empty = the system's log); -l on the command line wins
	NTP    NTPStats

	// One file each, the options of the log directive.
	RawMeasurements bool // every valid measurement, accepted or not
	Measurements    bool // accepted measurements
	Statistics      bool
	Selection       bool
	Tracking        bool
	RTC             bool
	Refclocks       bool
	TempComp        bool
}

// Process says how the daemon runs.
type Process struct {
	User          string // user: run as this user once set up (empty = as started)
	PIDFile       string // pidfile: path (/run/foliot/foliotd.pid; empty = none)
	LockAll       bool   // lock_all: keep all memory resident
	SchedPriority int    // sched_priority: of SCHED_FIFO (0 = normal scheduling; 0..100)
	DumpDir       string // dumpdir: where histories of sources are kept (empty = nowhere)
	KeyFile       string // keyfile, keys: path of the symmetric keys (empty = none)
	NTPKeys       bool   // keys: the file is written as ntpd's
}
