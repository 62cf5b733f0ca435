// SPDX-License-Identifier: Apache-2.0

// Package document is what a daemon shows as other programs read it, in JSON: the
// form of a State (package state), which has more in it than a program outside can
// use.
//
// The one concept is that the form stays: fields are added, and never change their
// meaning. Names end in the unit. Offsets are positive if the clock is behind,
// frequencies if it is slow, as everywhere in foliot.
package document

import "time"

// Document is the daemon at one moment. Names end in the unit.
// Offsets are positive if the clock is behind, frequencies if it is slow, as
// everywhere in foliot. Fields are added, and never change their meaning.
type Document struct {
	Version     string    `json:"version"`
	PID         int       `json:"process_id"`
	Time        time.Time `json:"time"`
	Uptime      float64   `json:"uptime_seconds"`
	File        string    `json:"configuration_file"` // "" for directives on the command line
	ReadAt      time.Time `json:"configuration_time"`
	Tracking    Tracking  `json:"tracking"`
	Clock       Clock     `json:"clock"`
	Kernel      *Kernel   `json:"kernel,omitempty"`
	Sources     []Source  `json:"sources"`
	Unresolved  []string  `json:"unresolved_names"`
	Server      Server    `json:"server"`
	Clients     []Client  `json:"clients"` // the busiest, those first
	ClientCount int       `json:"client_count"`
}

// Tracking is what is claimed about the clock.
type Tracking struct {
	Synchronized bool    `json:"synchronised"`
	Local        bool    `json:"local"`
	Source       string  `json:"source"`
	Address      string  `json:"address"`
	Stratum      int     `json:"stratum"`
	RefID        string  `json:"reference_id"`
	Leap         string  `json:"leap_status"`
	Age          float64 `json:"last_update_age_seconds"` // negative: there was none
	Remaining    float64 `json:"remaining_offset_seconds"`
	LastOffset   float64 `json:"last_offset_seconds"`
	RMSOffset    float64 `json:"rms_offset_seconds"`
	Frequency    float64 `json:"frequency_ppm"`
	Residual     float64 `json:"residual_frequency_ppm"`
	Skew         float64 `json:"skew_ppm"`
	RootDelay    float64 `json:"root_delay_seconds"`
	RootDisp     float64 `json:"root_dispersion_seconds"`
	Interval     float64 `json:"update_interval_seconds"`
	Updates      uint64  `json:"updates"`
	ErrorBound   float64 `json:"error_bound_seconds"`
}

// Clock is how it is controlled.
type Clock struct {
	Controlled bool    `json:"controlled"`
	Steps      uint64  `json:"steps"`
	StepSum    float64 `json:"stepped_seconds"`
	Slews      uint64  `json:"rate_changes"`
	Foreign    uint64  `json:"foreign_changes"`
	Failures   uint64  `json:"failures"`
	Precision  float64 `json:"precision_seconds"`
}

// Kernel is what the kernel says of it.
type Kernel struct {
	Synchronized bool    `json:"synchronised"`
	Status       string  `json:"status"` // STA_ bits, hexadecimal
	MaxError     float64 `json:"maximum_error_seconds"`
	EstError     float64 `json:"estimated_error_seconds"`
	Frequency    float64 `json:"frequency_ppm"`
	Tick         int64   `json:"tick_microseconds"`
	TAI          int     `json:"tai_offset_seconds"`
}

// Source is one association.
type Source struct {
	ID         uint32    `json:"id"`
	Name       string    `json:"name"`
	Address    string    `json:"address"`
	Mode       string    `json:"mode"`
	Rack       string    `json:"rack,omitempty"`
	Activity   string    `json:"activity"`
	Letter     string    `json:"letter"` // of selection, chrony's
	State      string    `json:"state"`
	Why        string    `json:"why"`
	Stratum    int       `json:"stratum"`
	Poll       int       `json:"poll_log2_seconds"`
	Reach      int       `json:"reach"`
	Samples    int       `json:"samples"`
	Age        float64   `json:"last_sample_age_seconds"` // negative: there is none
	Offset     float64   `json:"offset_seconds"`          // of the newest sample, with corrections since
	Error      float64   `json:"error_seconds"`
	Delay      float64   `json:"delay_seconds"`
	Deviation  float64   `json:"deviation_seconds"`
	Frequency  float64   `json:"frequency_ppm"`
	Skew       float64   `json:"skew_ppm"`
	Recent     []float64 `json:"recent_offsets_seconds"` // the oldest first
	Sent       uint64    `json:"sent"`
	Received   uint64    `json:"received"`
	Good       uint64    `json:"good"`
	Key        uint32    `json:"key_id,omitempty"`
	BadAuth    uint64    `json:"authentication_failures"`
	KernelRx   uint64    `json:"kernel_receive_timestamps"`
	HardwareRx uint64    `json:"hardware_receive_timestamps"`
}

// Server is what was done for clients. Its counters only grow while the daemon runs.
type Server struct {
	Open     bool              `json:"open"`
	Threads  int               `json:"threads"`
	Depths   []Depth           `json:"depths"`
	Records  int               `json:"client_records"`
	Evicted  uint64            `json:"client_records_evicted"`
	Overflow uint64            `json:"receive_overflows"`
	Unsent   uint64            `json:"unsent_answers"`
	CmdHits  uint64            `json:"command_requests"`
	CmdDrops uint64            `json:"command_dropped"`
	Cmd      map[string]uint64 `json:"command_verdicts"`
	Control  map[string]uint64 `json:"control_verdicts"`
}

// Depth counts what was done at one depth, from the driver to the loop.
type Depth struct {
	Name        string            `json:"depth"`
	Answered    uint64            `json:"answered"`
	Refused     uint64            `json:"refused"`
	Interleaved uint64            `json:"interleaved"`
	Keyed       uint64            `json:"authenticated"`
	IPv6        uint64            `json:"ipv6"`
	Verdicts    map[string]uint64 `json:"verdicts"` // those that occurred
}

// Client is a record of a client.
type Client struct {
	Name    string  `json:"client"` // an address, or a network
	Hits    uint32  `json:"requests"`
	Drops   uint32  `json:"dropped"`
	Pause   float64 `json:"interval_seconds"` // mean between requests; 0: not known
	Version uint8   `json:"version"`
	Age     float64 `json:"last_age_seconds"`
}
