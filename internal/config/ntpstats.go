// SPDX-License-Identifier: Apache-2.0

package config

// Span says how long a file of statistics is written to (filegen type).
type Span uint8

// Spans, and what is put behind the name of the file.
const (
	SpanDay   Span = iota // YYYYMMDD, the default
	SpanWeek              // YYYYWww
	SpanMonth             // YYYYMM
	SpanYear              // YYYY
	SpanAge               // aNNNNNNNN: days since the start, in seconds
	SpanPID               // process number
	SpanNone              // one file
)

// SpanNames are ntpd's.
var SpanNames = [...]string{"day", "week", "month", "year", "age", "pid", "none"}

// FileSet is a set of files of statistics (statistics, filegen).
type FileSet struct {
	Enabled bool
	File    string // file: what the names begin with, after the directory
	Type    Span   // type (day)
	Link    bool   // link, nolink: the file without suffix is the newest (true)
}

// NTPStats are statistics in the formats of ntpd.
type NTPStats struct {
	Prefix     string // statsdir: what the paths begin with (/var/log/ntpstats/)
	Loop, Peer FileSet
}

// DefaultNTPStats returns what counts without directives: nothing is written.
func DefaultNTPStats() NTPStats {
	return NTPStats{
		Prefix: "/var/log/ntpstats/",
		Loop:   FileSet{File: "loopstats", Link: true},
		Peer:   FileSet{File: "peerstats", Link: true},
	}
}
