// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"net/netip"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/state"
)

// sampleState returns a state in which nearly every field differs from every
// other, with n sources.
func sampleState(n int) *state.State {
	s := &state.State{
		Now:     clock.Now{Wall: clock.At[clock.Realtime](1.8e18 + 5e8), Mono: clock.At[clock.Raw](2e12)},
		Started: clock.At[clock.Raw](1e12), Version: "1.2.3",
		Tracking: state.Tracking{
			Synchronized: true, Source: "ntp0.example", Addr: netip.MustParseAddr("192.0.2.1"), Stratum: 3, RefID: 0xc0000201,
			Leap: ntp.LeapInsert, RefTime: clock.At[clock.Corrected](1.8e18), Remaining: 1e-6, LastOffset: -2e-6, RMSOffset: 3e-6,
			Frequency: 12e-6, Residual: -1e-9, Skew: 2e-8, RootDelay: 4e-3, RootDisp: 5e-4, Interval: 64.5, Updates: 77, OffsetSD: 6e-7,
		},
		Clock: state.Clock{Controlled: true, Steps: 2, StepSum: -1.5, Slews: 9, Foreign: 1, Failures: 3, Precision: 2.5e-8},
		Kernel: state.Kernel{
			Valid: true, Synchronized: true, Status: 0x2001, Frequency: -3e-6, MaxError: 7e-3, EstError: 8e-4,
			Constant: 7, Precision: 1e-6, Tolerance: 5e-4, TAI: 37, Tick: 10000, Leap: ntp.LeapInsert,
		},
		Unsolved: []string{"nowhere.example"},
		Smooth:   state.Smoothing{Active: true, Offset: 0.25, Frequency: 1e-5, Remaining: 3600},
		Server: state.Server{
			Open: true, Threads: 4, Stamps: 11, Span: 90 * clock.Second, Records: 12, Evicted: 13, Unsent: 14, Overflow: 15,
			CmdHits: 16, CmdDrops: 17,
		},
		Config: state.Configuration{ReadAt: time.Unix(1.8e9, 0), RateLimit: true},
	}
	for i, c := range []*responder.Counters{&s.Server.XDP, &s.Server.Workers, &s.Server.Engine} {
		for v := range c.Verdicts {
			c.Verdicts[v], c.V6[v] = uint64(1000*i+10*v+5), uint64(v+1)
		}
		for v := range c.Versions {
			c.Versions[v] = uint64(100*i + v)
		}
		c.Authenticated, c.Interleaved, c.TrueTx, c.DaemonRx = uint64(20+i), uint64(30+i), uint64(40+i), uint64(50+i)
		s.Server.Total.Add(c)
	}
	for i := range 5 {
		s.Server.Residence.Add(clock.Interval(40_000 << i))
	}
	for i := range n {
		s.Sources = append(s.Sources, sampleSource(i))
	}
	return s
}

func sampleSource(i int) state.Source {
	all := state.Selections
	x := float64(i + 1)
	addr := netip.AddrFrom4([4]byte{192, 0, byte(2 + i/256), byte(i)})
	s := state.Source{
		ID: uint32(i), Name: fmt.Sprintf("ntp%d.example", i), Addr: netip.AddrPortFrom(addr, 123),
		Pool: i%2 == 0, State: state.Activity(i % 4), Status: all[(i+16)%len(all)].Status,
		Poll: 6, Reach: 0x7f, Reached: 8, Unanswered: i % 3, Stratum: 2, RefID: ntp.RefIDOf(addr),
		Samples: state.Samples{
			N: 8, Runs: 3, Span: 512, LastAge: 12.25, Last: clock.Offset(1.5e-6 * x), LastErr: 2.5e-3, Offset: clock.Offset(-1.25e-6 / x),
			OffsetSD: 3.3e-7 * x, SD: 4.4e-6 * x, Frequency: clock.Frequency(5.5e-9 * x), Skew: 6.6e-9, Delay: clock.Delay(7.7e-4 * x),
			Dispersion: 8.8e-6, Jitter: 9.9e-7 * x, Asymmetry: 0.25,
		},
		Auth:   state.Auth{Symmetric: i%3 == 1, KeyID: 7, Failures: uint64(i % 5)},
		Counts: source.Counters{Sent: 100, Received: 99, Valid: 98, Good: 97},
		Report: source.Report{Offset: clock.Offset(2e-6 * x), Delay: 8e-4, Disp: 9e-6, ResponseTime: 3e-5},
		Score:  1, Distance: 1.1e-2 * x,
	}
	switch i % 7 {
	case 3:
		s.Home = "home"
		s.Rack = "r\"1\"\\a\nb" // every octet that is escaped
	case 4:
		s.Status, s.Samples = selection.Missing, state.Samples{LastAge: -1}
	case 5:
		s.Mode, s.RefID, s.Addr = state.RefClock, 'P'<<24|'P'<<16|ntp.RefID('0'+i/10%10)<<8|ntp.RefID('0'+i%10), netip.AddrPort{}
		s.Name = fmt.Sprintf("PPS%d", i)
	case 6:
		s.Mode, s.Addr = state.Peer, netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 1123)
	}
	return s
}
