// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/state"
)

const wallStart, monoStart = 1_800_000_000_000_000_000, 5_000_000_000_000

// noise is a number around 0 that belongs to n.
func noise(n int) float64 { return rand.New(rand.NewPCG(uint64(n), 1)).NormFloat64() }

// demo is a daemon at work after n times ten seconds.
func demo(n int) *state.State {
	at := int64(n) * 10e9
	day := math.Sin(float64(n) / 700)
	s := &state.State{
		Now:     clock.Now{Wall: clock.At[clock.Realtime](wallStart + at), Mono: clock.At[clock.Raw](monoStart + at)},
		Served:  clock.At[clock.Corrected](wallStart + at),
		Started: clock.At[clock.Raw](monoStart - 400_000_000_000_000), Version: "0.2.0",
		Tracking: state.Tracking{
			Synchronized: n < 900 || n > 960, Source: "ntp1.dc2.example.net", Addr: netip.MustParseAddr("192.0.2.11"), Stratum: 2,
			RefTime: clock.At[clock.Corrected](wallStart + at - 7e9), Remaining: clock.Offset(noise(n) * 2e-7),
			LastOffset: clock.Offset(day*3e-6 + noise(n)*1.5e-6), RMSOffset: 2.1e-6, Frequency: clock.FromPPM(-12.4 + 0.05*day + 0.002*noise(n/3)),
			Skew: clock.FromPPM(0.018), RootDelay: 3.2e-4, RootDisp: 6e-5 + 2e-5*math.Abs(day) + 4e-7*float64(n%64), Interval: 64.2, Updates: uint64(n / 6),
		},
		Clock:    state.Clock{Controlled: true, Steps: 1, Slews: uint64(n / 3)},
		Kernel:   state.Kernel{Valid: true, Synchronized: true, MaxError: 3.1e-4},
		Unsolved: []string{"ntp9.dc3.example.net"},
		Server:   state.Server{Open: true, Threads: 2},
	}
	for i, x := range []struct {
		name   string
		status selection.Status
		off    float64
	}{
		{"ntp1.dc2.example.net", selection.Selected, 1.2e-6}, {"ntp2.dc2.example.net", selection.Combined, -2.4e-6},
		{"ntp3.dc2.example.net", selection.Combined, 3.9e-6}, {"a-server-with-a-rather-long-name.pool.example.org", selection.Outlier, 4.1e-4},
		{"192.0.2.66", selection.Falseticker, -0.1234}, {"2001:db8:1:2:3:4:5:6", selection.Stale, 8e-5}, {"ntp8.example.com", selection.Missing, 0},
	} {
		s.Sources = append(s.Sources, source(i, x.name, x.status, x.off+noise(n+i)*1e-7))
	}
	serve(&s.Server, uint64(n))
	s.Programs = programs(uint64(n))
	return s
}

func source(i int, name string, status selection.Status, offset float64) state.Source {
	addr, err := netip.ParseAddr(name)
	if err != nil {
		addr = netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})
	}
	s := state.Source{
		ID: uint32(i), Name: name, Addr: netip.AddrPortFrom(addr, 123), Status: status, Poll: 6, Reach: 0o377, Reached: 8, Stratum: uint8(1 + i%3),
		Samples: state.Samples{N: 12, LastAge: float64(7 + 5*i), Last: clock.Offset(offset), LastErr: 1.9e-4 * float64(1+i), Delay: clock.Delay(3e-4 * float64(1+3*i)), SD: 2e-6},
	}
	switch status {
	case selection.Missing:
		s.Reach, s.Stratum, s.Samples = 0, 0, state.Samples{LastAge: -1}
	case selection.Stale:
		s.Reach, s.Samples.LastAge = 0, 5400
	case selection.Selected:
		s.Rack = "r12"
	}
	return s
}

func serve(s *state.Server, n uint64) {
	w := &s.Workers
	w.Verdicts[responder.Answer] = 2_234_567 + answers(n)
	w.Verdicts[responder.Limited], w.Verdicts[responder.Denied], w.Verdicts[responder.BadLength] = 5_120+n, 42, 7
	w.V6[responder.Answer], w.Interleaved, w.Authenticated = w.Verdicts[responder.Answer]/5, 90_000, 1_200
	s.Engine.Verdicts[responder.Answer] = 300 + n/6
	s.Total.Add(w)
	s.Total.Add(&s.Engine)
}

// answers is how many there were, at a rate that goes up and down.
func answers(n uint64) uint64 {
	t := float64(n)
	return uint64(24_000*t - 900_000*math.Cos(t/90) + 300*noise(int(n)))
}

// justStarted is a daemon that knows nothing yet.
func justStarted() *state.State {
	return &state.State{
		Now:     clock.Now{Wall: clock.At[clock.Realtime](wallStart), Mono: clock.At[clock.Raw](monoStart)},
		Started: clock.At[clock.Raw](monoStart - 2e9), Version: "0.2.0", Tracking: state.Tracking{Leap: ntp.LeapUnsync},
		Unsolved: []string{"pool.example.org"},
	}
}

// demoClients are clients that asked, some more often than others.
func demoClients() (list []clientlog.Record) {
	srv := responder.NewServer(responder.Config{Log: 1 << 20, Random: func() uint64 { return 1 }})
	policy := &responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
	for i := range 40 {
		from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		if i%7 == 6 {
			from = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::1", i))
		}
		for k := range 5 + i*i {
			var b [48]byte
			b[0] = 4<<3 | 3
			at := clock.At[clock.Realtime](wallStart).Add(clock.Interval(k) * 16 * clock.Second)
			srv.Receive(b[:], &responder.Arrival{From: netip.AddrPortFrom(from, 40000), Stamp: clock.Stamp{Time: at}}, policy, &responder.Snapshot{}, new(responder.Reply))
		}
	}
	for r := range srv.Clients().All() {
		list = append(list, *r)
	}
	return list
}

// programs are those of a host with two cards, of which another program has one.
func programs(n uint64) state.Programs {
	p := state.Programs{Wanted: true, Loaded: true, Serving: true, OneStepWanted: true, OneStep: true, Interfaces: []state.ProgramAt{
		{Name: "enp65s0f0np0", Mode: "native", Asked: true, Serves: true},
		{Name: "enp65s0f1np1", Mode: "watch", Asked: true, Trouble: "attach to enp65s0f1np1: another XDP program has the interface"},
		{Name: "lo", Mode: "watch"},
	}}
	in, out := &p.Interfaces[0].In, &p.Interfaces[0].Out
	in.Verdicts[0][fastpath.Answered], in.Verdicts[1][fastpath.Answered] = 31000*n, 9000*n
	in.Verdicts[0][fastpath.Limited], in.Verdicts[0][fastpath.UpInterleaved], out.Verdicts[0][fastpath.Rewritten] = 40*n, 300*n, 290*n
	return p
}
