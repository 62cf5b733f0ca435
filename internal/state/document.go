// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"math"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/document"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// leapWords are chronyc's, in lower case.
var leapWords = [...]string{
	ntp.LeapNone: "normal", ntp.LeapInsert: "insert_second", ntp.LeapDelete: "delete_second", ntp.LeapUnsync: "not_synchronised",
}

// Document describes s, with the busiest of so many clients.
func (s *State) Document(busiest []clientlog.Record, clients int) *document.Document {
	d := &document.Document{
		Version: s.Version, PID: s.PID, Time: clock.Time(s.Now.Wall), Uptime: s.Now.Mono.Sub(s.Started).Seconds(),
		File: s.Config.File, ReadAt: s.Config.ReadAt.UTC(), Tracking: s.tracking(),
		Clock: document.Clock{
			Controlled: s.Clock.Controlled, Steps: s.Clock.Steps, StepSum: s.Clock.StepSum, Slews: s.Clock.Slews,
			Foreign: s.Clock.Foreign, Failures: s.Clock.Failures, Precision: s.Clock.Precision,
		},
		Kernel: s.Kernel.document(), Server: s.Server.document(), ClientCount: clients,
		// No entries are [] and not null.
		Sources: make([]document.Source, len(s.Sources)), Clients: make([]document.Client, len(busiest)),
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

func (s *State) tracking() document.Tracking {
	t := &s.Tracking
	d := document.Tracking{
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

func (k *Kernel) document() *document.Kernel {
	if !k.Valid {
		return nil
	}
	return &document.Kernel{
		Synchronized: k.Synchronized, Status: fmt.Sprintf("0x%04x", k.Status), MaxError: float64(k.MaxError),
		EstError: float64(k.EstError), Frequency: k.Frequency.PPM(), Tick: k.Tick, TAI: k.TAI,
	}
}

func (x *Source) document() document.Source {
	sel, m := x.Selected(), &x.Samples
	d := document.Source{
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

func (s *Server) document() document.Server {
	d := document.Server{
		Open: s.Open, Threads: s.Threads, Records: s.Records, Evicted: s.Evicted, Overflow: s.Overflow, Unsent: s.Unsent,
		CmdHits: s.CmdHits, CmdDrops: s.CmdDrops, Cmd: named(s.Cmd), Control: named(s.Control),
	}
	for _, at := range []struct {
		name string
		c    *responder.Counters
	}{{"xdp", &s.XDP}, {"worker", &s.Workers}, {"engine", &s.Engine}} {
		c := at.c
		one := document.Depth{
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

func clientDocument(r *clientlog.Record, now clock.Wall) document.Client {
	p := r.Prefix.Netip()
	d := document.Client{Name: p.String(), Hits: r.Hits, Drops: r.Drops, Version: r.Version(), Age: max(now.Sub(r.Last).Seconds(), 0)}
	if p.IsSingleIP() {
		d.Name = p.Addr().String()
	}
	if log2, ok := r.Interval(); ok {
		d.Pause = math.Exp2(log2)
	}
	return d
}
