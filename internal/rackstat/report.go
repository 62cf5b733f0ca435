// SPDX-License-Identifier: Apache-2.0

// Package rackstat says how well the clocks of racks agree: from what was measured
// of each host it makes statistics of racks and of the cluster, the matrix of
// racks, a list of what stands out, and a verdict; and it compares two such
// reports. It measures nothing and prints nothing.
//
// The one concept is the [Report]: a plain value that says all, which every view
// renders and which is what is kept as JSON. Times, offsets and bounds are in
// seconds, frequencies are ratios. An offset is positive if the host is ahead.
package rackstat

import "foliot/internal/stability"

// Format is the version of the Report's form.
const Format = 1

// Report is the outcome of a run.
type Report struct {
	Format    int       `json:"format"`
	Version   string    `json:"version"` // of foliot
	Started   string    `json:"started"` // RFC 3339
	Seconds   float64   `json:"seconds"` // the run took
	From      string    `json:"from"`    // the machine that measured
	Against   string    `json:"against"` // what offsets are relative to
	Shift     float64   `json:"shift"`   // of that, relative to the machine that measured
	Interval  float64   `json:"interval"`
	Asymmetry float64   `json:"asymmetry"` // share that the ways of a path may differ by
	Stopped   bool      `json:"stopped,omitempty"`
	Self      Self      `json:"self"`
	Hosts     []Host    `json:"hosts"`
	Racks     []Rack    `json:"racks"` // by name
	Cluster   Summary   `json:"cluster"`
	Matrix    Matrix    `json:"matrix"`
	Findings  []Finding `json:"findings"` // the gravest first
	Views     []View    `json:"views,omitempty"`
	Pairs     []Pair    `json:"pairs,omitempty"` // of racks, as Views have them
	Verdicts  []Verdict `json:"verdicts,omitempty"`
}

// Self is what the measuring machine knows of its own doing.
type Self struct {
	Requests uint64  `json:"requests"`
	Answers  uint64  `json:"answers"`
	Jumps    int     `json:"jumps"`    // steps of its clock, after which all began anew
	LateP50  float64 `json:"late_p50"` // of sending, to a factor of two
	LateP99  float64 `json:"late_p99"`
	DelayP50 float64 `json:"delay_p50"` // of all samples
	DelayP99 float64 `json:"delay_p99"`
}

// Host is what was measured of a host.
type Host struct {
	Name        string            `json:"name"`
	Address     string            `json:"address,omitempty"` // with the port if it is not 123
	Rack        string            `json:"rack"`
	Zone        string            `json:"zone,omitempty"`
	Row         string            `json:"row,omitempty"`
	State       string            `json:"state"` // "ok", or why not
	Measured    bool              `json:"measured"`
	Synced      bool              `json:"synced"`
	Offset      float64           `json:"offset"` // relative to the report's reference
	Raw         float64           `json:"raw"`    // relative to the machine that measured
	Bound       float64           `json:"bound"`  // of the error of either
	Root        float64           `json:"root"`   // the host's own claim of its error
	SD          float64           `json:"sd"`     // of samples about their line
	Drift       float64           `json:"drift"`
	Skew        float64           `json:"skew"` // bound of Drift's error
	Jitter      float64           `json:"jitter"`
	Delay       float64           `json:"delay"` // shortest
	Loss        float64           `json:"loss"`
	Sent        uint64            `json:"sent"`
	Answered    uint64            `json:"answered"`
	Samples     int               `json:"samples"`
	Interleaved uint64            `json:"interleaved"`
	Stamps      string            `json:"stamps,omitempty"` // who stamped departures and arrivals: D, K, H
	Stratum     uint8             `json:"stratum"`
	Leap        uint8             `json:"leap"`
	RefID       uint32            `json:"refid"`
	Reference   string            `json:"reference,omitempty"` // RefID for people
	Notes       []string          `json:"notes,omitempty"`
	Series      []Point           `json:"series,omitempty"`
	Stability   []stability.Point `json:"stability,omitempty"`
}

// Total is the bound of the host's offset from true time, as far as it says the
// truth of its own error.
func (h *Host) Total() float64 { return h.Bound + h.Root }

// Point is one sample: seconds since the start, raw offset and round trip.
type Point [3]float64

// Summary is statistics of hosts.
type Summary struct {
	Hosts    int     `json:"hosts"`
	Measured int     `json:"measured"`
	Median   float64 `json:"median"` // of offsets
	P50      float64 `json:"p50"`    // of sizes of offsets, likewise
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
	Spread   float64 `json:"spread"` // between the hosts farthest apart
	Worst    float64 `json:"worst"`  // the same if each is off by its bound in the worst way
	Bound    float64 `json:"bound"`  // median
	Jitter   float64 `json:"jitter"` // median
	Delay    float64 `json:"delay"`  // median
	Loss     float64 `json:"loss"`   // of all requests
}

// Rack is a rack.
type Rack struct {
	Name      string            `json:"name"`
	Zone      string            `json:"zone,omitempty"`
	Row       string            `json:"row,omitempty"`
	Summary                     // of its hosts
	Stability []stability.Point `json:"stability,omitempty"` // medians of its hosts
}

// Matrix compares racks, in the order of the report. Offset[a][b] is by how much
// the median of rack b is ahead of that of a; Worst[a][b] is how far apart a host
// of a and one of b may be, their bounds included; within a rack likewise. Racks
// without a host that was measured have zeros.
type Matrix struct {
	Offset [][]float64 `json:"offset"`
	Worst  [][]float64 `json:"worst"`
}

// Level is how grave a finding is.
type Level string

// Levels.
const (
	Grave Level = "error"
	Odd   Level = "warning"
	Aside Level = "info"
)

// Finding is something that stands out.
type Finding struct {
	Level Level  `json:"level"`
	Kind  string `json:"kind"` // "outlier", "unreachable", "unsynchronised", "loop", "upstream", "loss", "duplicate"
	Rack  string `json:"rack,omitempty"`
	Host  string `json:"host,omitempty"`
	Text  string `json:"text"`
}

// View is what another daemon measures of hosts (option --from).
type View struct {
	From  string     `json:"from"` // the daemon
	Rack  string     `json:"rack"`
	State string     `json:"state"` // "ok", or why not
	Sees  []Sighting `json:"sees,omitempty"`
}

// Sighting is one host as another daemon sees it.
type Sighting struct {
	Host   string  `json:"host"` // name in the inventory, or the address
	Rack   string  `json:"rack,omitempty"`
	Offset float64 `json:"offset"` // of the host relative to that daemon
	Bound  float64 `json:"bound"`
	SD     float64 `json:"sd"`
}

// Verdict is whether a requirement holds.
type Verdict struct {
	Name   string  `json:"name"`
	Limit  float64 `json:"limit"`
	Value  float64 `json:"value"`
	Holds  bool    `json:"holds"`
	Proven bool    `json:"proven"` // it holds, or not, whatever the measurement's errors within their bounds
}
