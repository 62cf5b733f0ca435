// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"math"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// Document is a State as other programs read it, in JSON. Names end in the unit.
// Offsets are positive if the clock is behind, frequencies if it is slow, as
// everywhere in foliot. Fields are added, and never change their meaning.
type Document struct {
	Version     string           `json:"version"`
	PID         int              `json:"process_id"`
	Time        time.Time        `json:"time"`
	Uptime      float64          `json:"uptime_seconds"`
	File        string           `json:"configuration_file"` // "" for directives on the command line
	ReadAt      time.Time        `json:"configuration_time"`
	Tracking    TrackingDocument `json:"tracking"`
	Clock       ClockDocument    `json:"clock"`
	Kernel      *KernelDocument  `json:"kernel,omitempty"`
	Sources     []SourceDocument `json:"sources"`
	Unresolved  []string         `json:"unresolved_names"`
	Server      ServerDocument   `json:"server"`
	Clients     []ClientDocument `json:"clients"` // the busiest, those first
	ClientCount int              `json:"client_count"`
}

// TrackingDocument is [Tracking].
type TrackingDocument struct {
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

// ClockDocument is [Clock].
type ClockDocument struct {
	Controlled bool    `json:"controlled"`
	Steps      uint64  `json:"steps"`
	StepSum    float64 `json:"stepped_seconds"`
	Slews      uint64  `json:"rate_changes"`
	Foreign    uint64  `json:"foreign_changes"`
	Failures   uint64  `json:"failures"`
	Precision  float64 `json:"precision_seconds"`
}

// KernelDocument is [Kernel].
type KernelDocument struct {
	Synchronized bool    `json:"synchronised"`
	Status       string  `json:"status"` // STA_ bits, hexadecimal
	MaxError     float64 `json:"maximum_error_seconds"`
	EstError     float64 `json:"estimated_error_seconds"`
	Frequency    float64 `json:"frequency_ppm"`
	Tick         int64   `json:"tick_microseconds"`
	TAI          int     `json:"tai_offset_seconds"`
}

// SourceDocument is [Source].
type SourceDocument struct {
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

// ServerDocument is [Server]. Its counters only grow while the daemon runs.
type ServerDocument struct {
	Open     bool              `json:"open"`
	Threads  int               `json:"threads"`
	Depths   []DepthDocument   `json:"depths"`
	Records  int               `json:"client_records"`
	Evicted  uint64            `json:"client_records_evicted"`
	Overflow uint64            `json:"receive_overflows"`
	Unsent   uint64            `json:"unsent_answers"`
	CmdHits  uint64            `json:"command_requests"`
	CmdDrops uint64            `json:"command_dropped"`
	Cmd      map[string]uint64 `json:"command_verdicts"`
	Control  map[string]uint64 `json:"control_verdicts"`
}

// DepthDocument counts what was done at one depth, from the driver to the loop.
type DepthDocument struct {
	Name        string            `json:"depth"`
	Answered    uint64            `json:"answered"`
	Refused     uint64            `json:"refused"`
	Interleaved uint64            `json:"interleaved"`
	Keyed       uint64            `json:"authenticated"`
	IPv6        uint64            `json:"ipv6"`
	Verdicts    map[string]uint64 `json:"verdicts"` // those that occurred
}

// ClientDocument is a record of a client.
type ClientDocument struct {
	Name    string  `json:"client"` // an address, or a network
	Hits    uint32  `json:"requests"`
	Drops   uint32  `json:"dropped"`
	Pause   float64 `json:"interval_seconds"` // mean between requests; 0: not known
	Version uint8   `json:"version"`
	Age     float64 `json:"last_age_seconds"`
}

// leapWords are chronyc's, in lower case.
var leapWords = [...]string{
	ntp.LeapNone: "normal", ntp.LeapInsert: "insert_second", ntp.LeapDelete: "delete_second", ntp.LeapUnsync: "not_synchronised",
}

// Document describes s, with the busiest of so many clients.
func (s *State) Document(busiest []clientlog.Record, clients int) *Document {
	d := &Document{
		Version: s.Version, PID: s.PID, Time: clock.Time(s.Now.Wall), Uptime: s.Now.Mono.Sub(s.Started).Seconds(),
		File: s.Config.File, ReadAt: s.Config.ReadAt.UTC(), Tracking: s.tracking(),
		Clock: ClockDocument{
			Controlled: s.Clock.Controlled, Steps: s.Clock.Steps, StepSum: s.Clock.StepSum, Slews: s.Clock.Slews,
			Foreign: s.Clock.Foreign, Failures: s.Clock.Failures, Precision: s.Clock.Precision,
		},
		Kernel: s.Kernel.document(), Server: s.Server.document(), ClientCount: clients,
		// No entries are [] and not null.
		Sources: make([]SourceDocument, len(s.Sources)), Clients: make([]ClientDocument, len(busiest)),
		Unresolved: append([]string{}, s.Unsolved...),
	}
	for i := range s.Sources {
		d.Sources[i] = s.Sources[i].document()
	}
	for i := range busiest {
		d.Clients[i] = clientDocument(&busiest[i], s.Now.Wall)
	}
	return d
}

func (s *State) tracking() TrackingDocument {
	t := &s.Tracking
	d := TrackingDocument{
		Synchronized: t.Synchronized, Local: t.Local, Source: t.Source, Stratum: int(t.Stratum),
		RefID: fmt.Sprintf("%08X", uint32(t.RefID)), Leap: leapWords[t.Leap&3], Age: -1,
		Remaining: float64(t.Remaining), LastOffset: float64(t.LastOffset), RMSOffset: t.RMSOffset,
		Frequency: t.Frequency.PPM(), Residual: t.Residual.PPM(), Skew: t.Skew.PPM(),
		RootDelay: t.RootDelay, RootDisp: t.RootDisp, Interval: t.Interval, Updates: t.Updates, ErrorBound: t.ErrorBound(),
	}
	if t.Addr.IsValid() {
		d.Address = t.Addr.String()
	}
	if !t.RefTime.IsZero() {
		d.Age = s.Served.Sub(t.RefTime).Seconds()
	}
	return d
}

func (k *Kernel) document() *KernelDocument {
	if !k.Valid {
		return nil
	}
	return &KernelDocument{
		Synchronized: k.Synchronized, Status: fmt.Sprintf("0x%04x", k.Status), MaxError: float64(k.MaxError),
		EstError: float64(k.EstError), Frequency: k.Frequency.PPM(), Tick: k.Tick, TAI: k.TAI,
	}
}

func (x *Source) document() SourceDocument {
	sel, m := x.Selected(), &x.Samples
	d := SourceDocument{
		ID: x.ID, Name: x.Name, Mode: x.Mode.String(), Rack: x.Rack, Activity: x.State.String(),
		Letter: string(rune(sel.Status)), State: sel.Name, Why: sel.Why,
		Stratum: int(x.Stratum), Poll: int(x.Poll), Reach: int(x.Reach), Samples: m.N, Age: m.LastAge,
		Offset: float64(m.Last), Error: m.LastErr, Delay: float64(m.Delay), Deviation: m.SD,
		Frequency: m.Frequency.PPM(), Skew: m.Skew.PPM(), Recent: make([]float64, m.Recent.N),
		Sent: x.Counts.Sent, Received: x.Counts.Received, Good: x.Counts.Good, Key: x.Auth.KeyID, BadAuth: x.Auth.Failures,
		KernelRx: x.KernelRx, HardwareRx: x.HardwareRx,
	}
	if x.Addr.IsValid() {
		d.Address = x.Addr.Addr().String()
	}
	for i := range d.Recent {
		d.Recent[i] = float64(m.Recent.Offsets[i])
	}
	for _, v := range []*float64{&d.Error, &d.Deviation, &d.Frequency, &d.Skew} {
		if math.IsInf(*v, 0) || math.IsNaN(*v) {
			*v = 0 // JSON has no such numbers; Samples says that nothing is known
		}
	}
	return d
}

func (s *Server) document() ServerDocument {
	d := ServerDocument{
		Open: s.Open, Threads: s.Threads, Records: s.Records, Evicted: s.Evicted, Overflow: s.Overflow, Unsent: s.Unsent,
		CmdHits: s.CmdHits, CmdDrops: s.CmdDrops, Cmd: named(s.Cmd), Control: named(s.Control),
	}
	for _, at := range []struct {
		name string
		c    *responder.Counters
	}{{"xdp", &s.XDP}, {"worker", &s.Workers}, {"engine", &s.Engine}} {
		c := at.c
		one := DepthDocument{
			Name: at.name, Answered: c.Answered(), Refused: c.Refused(), Interleaved: c.Interleaved, Keyed: c.Authenticated,
			IPv6: c.V6[responder.Answer] + c.V6[responder.Kissed], Verdicts: make(map[string]uint64),
		}
		for v, n := range c.Verdicts {
			if n > 0 {
				one.Verdicts[responder.Verdict(v).String()] = n
			}
		}
		d.Depths = append(d.Depths, one)
	}
	return d
}

func named(all []Count) map[string]uint64 {
	m := make(map[string]uint64)
	for _, c := range all {
		m[c.Name] = c.N
	}
	return m
}

func clientDocument(r *clientlog.Record, now clock.Wall) ClientDocument {
	p := r.Prefix.Netip()
	d := ClientDocument{Name: p.String(), Hits: r.Hits, Drops: r.Drops, Version: r.Version(), Age: max(now.Sub(r.Last).Seconds(), 0)}
	if p.IsSingleIP() {
		d.Name = p.Addr().String()
	}
	if log2, ok := r.Interval(); ok {
		d.Pause = math.Exp2(log2)
	}
	return d
}
