// SPDX-License-Identifier: Apache-2.0

package command

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/state"
)

var sourceAddr = netip.MustParseAddr("192.0.2.1")

// full is a State with a source, a name, and something in each field.
func full() state.State {
	served := clock.At[clock.Corrected](1_700_000_000_600_000_000)
	s := state.State{
		Now: clock.Now{Wall: start}, Served: served,
		Tracking: state.Tracking{
			Synchronized: true, Source: "one.test", Addr: sourceAddr, Stratum: 2, RefID: 0xc0000201, Leap: ntp.LeapInsert,
			RefTime: served.Add(-5 * clock.Second), Remaining: 1e-3, LastOffset: 2e-3, RMSOffset: 3e-3,
			Frequency: clock.FromPPM(4), Residual: clock.FromPPM(0.5), Skew: clock.FromPPM(0.25),
			RootDelay: 0.01, RootDisp: 0.02, Interval: 64,
		},
		Unsolved: []string{"nowhere.test"}, EntryIDs: []uint32{9}, Polls: []int8{5},
		Smooth: state.Smoothing{Enabled: true, Active: true, Offset: 0.5, Frequency: clock.FromPPM(3), Wander: 2e-6, LastUpdate: 7, Remaining: 8},
	}
	s.Sources = []state.Source{{
		ID: 1, Name: "one.test", Addr: netip.AddrPortFrom(sourceAddr, 123), Local: allowed, State: state.BurstOffline,
		Status: selection.Selected, Asked: source.Prefer, Used: source.Prefer | source.Trust, Poll: 6, Reach: 0o377, Reached: 8,
		Stratum: 1, RefID: 0xc0000201, KernelTx: 3, KernelRx: 4, HardwareTx: 5, HardwareRx: 6, Score: 1.5, Lo: -0.25, Hi: 0.5,
		Samples: state.Samples{
			N: 7, Runs: 3, Span: 99.6, LastAge: 10.4, Last: 1e-3, LastRaw: 2e-3, LastErr: 4e-3, Offset: 5e-3, OffsetSD: 1e-3,
			SD: 6e-3, Frequency: clock.FromPPM(1), Skew: clock.FromPPM(2), Asymmetry: 0.125,
		},
		Auth:   state.Auth{Symmetric: true, KeyID: 11, KeyType: "SHA256", KeyBits: 160},
		Counts: source.Counters{Sent: 20, Received: 19, Valid: 18, Good: 17}, HasReport: true,
		Report: source.Report{
			Packet: ntp.Packet{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Poll: 5, Precision: -20, RefID: 0x47505300},
			Tests:  0x3ff &^ source.TestD, Interleaved: true, Offset: 0.5, Delay: 0.25, Disp: 0.125, ResponseTime: 1e-4,
			TxStamp: clock.StampHardware, RxStamp: clock.StampBPF, Local: allowed,
		},
	}}
	t := &s.Server.Total
	t.Verdicts[responder.Answer], t.Verdicts[responder.Limited], t.Verdicts[responder.Denied] = 50, 5, 7
	t.Authenticated, t.Interleaved, t.TrueTx, t.DaemonRx = 3, 4, 2, 1
	s.Server.Stamps, s.Server.Span, s.Server.Evicted = 12, 30*clock.Second, 6
	return s
}

// fetch asks for a report by the unix socket and decodes it.
func fetch[R cmdmon.Reply](t *testing.T, s *Server, c cmdmon.Command, m cmdmon.Request, into R) R {
	t.Helper()
	h, b, v := ask(s, unix, c, m)
	if v != Answered || h.Status != cmdmon.Success || !cmdmon.DecodeReply(b, into) {
		t.Fatalf("%s: %s, %v", c, v, h.Status)
	}
	return into
}

// near compares what went through a Float.
func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*math.Abs(want) }

// TestSigns: offsets of sources, and frequencies, have the other sign in this
// protocol, where positive is a clock that is ahead or fast.
func TestSigns(t *testing.T) {
	s := newServer(&desk{state: full()}, nil)
	tr := fetch(t, s, cmdmon.Tracking, nil, &cmdmon.TrackingReply{})
	if !near(tr.Correction, 1e-3) || !near(tr.LastOffset, -2e-3) || !near(tr.Frequency, -4) || !near(tr.Skew, 0.25) || tr.Addr.Addr != sourceAddr {
		t.Errorf("tracking %+v", tr)
	}
	sd := fetch(t, s, cmdmon.SourceData, &cmdmon.Index{}, &cmdmon.SourceDataReply{})
	if !near(sd.Offset, -1e-3) || !near(sd.OrigOffset, -2e-3) || sd.State != cmdmon.StateSelected || sd.SinceSample != 10 || sd.Reach != 0o377 {
		t.Errorf("sources %+v", sd)
	}
	ss := fetch(t, s, cmdmon.SourceStats, &cmdmon.Index{}, &cmdmon.SourceStatsReply{})
	if !near(ss.Offset, -5e-3) || !near(ss.Frequency, -1) || !near(ss.Skew, 2) || ss.Span != 100 {
		t.Errorf("sourcestats %+v", ss)
	}
	sel := fetch(t, s, cmdmon.SelectData, &cmdmon.Index{}, &cmdmon.SelectDataReply{})
	if !near(sel.Lo, -0.5) || !near(sel.Hi, 0.25) || !sel.Authenticated || sel.Configured != cmdmon.FlagPrefer ||
		sel.Effective != cmdmon.FlagPrefer|cmdmon.FlagTrust || sel.State != '*' || sel.LastSample != 10 {
		t.Errorf("selectdata %+v", sel)
	}
	sm := fetch(t, s, cmdmon.Smoothing, nil, &cmdmon.SmoothingReply{})
	if sm.Flags != cmdmon.FlagSmoothActive || !near(sm.Offset, 0.5) || !near(sm.Frequency, 3) || !near(sm.Wander, 2) {
		t.Errorf("smoothing %+v", sm)
	}
}

func TestNTPData(t *testing.T) {
	s := newServer(&desk{state: full()}, nil)
	at := &cmdmon.Address{Addr: cmdmon.IPAddr{Addr: sourceAddr}}
	m := fetch(t, s, cmdmon.NTPData, at, &cmdmon.NTPDataReply{})
	if m.Flags != 0x3fe|cmdmon.FlagInterleaved|cmdmon.FlagAuthenticated {
		t.Errorf("flags %#x, want all tests but the last, interleaved and authenticated", m.Flags)
	}
	if !near(m.Offset, 0.5) || !near(m.JitterAsymmetry, -0.125) || m.TxStamp != 'H' || m.RxStamp != 'K' ||
		m.Local.Addr != allowed || m.RemotePort != 123 || m.Tx != 20 || m.Good != 17 || m.HardwareRx != 6 {
		t.Errorf("ntpdata %+v", m)
	}
	auth := fetch(t, s, cmdmon.AuthData, at, &cmdmon.AuthDataReply{})
	if auth.Mode != cmdmon.AuthSymmetric || auth.KeyType != 3 || auth.KeyID != 11 || auth.KeyBits != 160 {
		t.Errorf("authdata %+v", auth)
	}
	if h, _, _ := ask(s, unix, cmdmon.NTPData, &cmdmon.Address{Addr: cmdmon.IPAddr{Addr: stranger}}); h.Status != cmdmon.NoSuchSource {
		t.Errorf("ntpdata of nobody: %v", h.Status)
	}
}

// TestUnresolved: names without an address come after the sources, by a number.
func TestUnresolved(t *testing.T) {
	s := newServer(&desk{state: full()}, nil)
	if n := fetch(t, s, cmdmon.NSources, nil, &cmdmon.NSourcesReply{}); n.N != 2 {
		t.Errorf("%d sources, want 2", n.N)
	}
	id := cmdmon.IPAddr{ID: 9}
	sd := fetch(t, s, cmdmon.SourceData, &cmdmon.Index{Index: 1}, &cmdmon.SourceDataReply{})
	if sd.Addr != id || sd.State != cmdmon.StateNonselectable || sd.SinceSample != cmdmon.NoSample || sd.Poll != 5 {
		t.Errorf("sources %+v, want only a number and the interval", sd)
	}
	name := fetch(t, s, cmdmon.SourceName, &cmdmon.Address{Addr: id}, &cmdmon.SourceNameReply{})
	if name.Name != "nowhere.test" {
		t.Errorf("name %q", name.Name)
	}
	fetch(t, s, cmdmon.NTPData, &cmdmon.Address{Addr: id}, &cmdmon.NTPDataReply{})
	for _, c := range []cmdmon.Command{cmdmon.SourceData, cmdmon.SourceStats, cmdmon.SelectData} {
		for _, i := range []uint32{2, 1 << 31, math.MaxUint32} {
			if h, _, _ := ask(s, unix, c, &cmdmon.Index{Index: i}); h.Status != cmdmon.NoSuchSource {
				t.Errorf("%s of number %d: %v", c, i, h.Status)
			}
		}
	}
	a := fetch(t, s, cmdmon.Activity, nil, &cmdmon.ActivityReply{})
	if *a != (cmdmon.ActivityReply{BurstOffline: 1, Unresolved: 1}) {
		t.Errorf("activity %+v", a)
	}
}

func TestServerStats(t *testing.T) {
	s := newServer(&desk{state: full()}, nil)
	m := fetch(t, s, cmdmon.ServerStats, nil, &cmdmon.ServerStatsReply{})
	want := cmdmon.ServerStatsReply{
		NTPHits: 55, NTPDrops: 5, CmdHits: 1, LogDrops: 6, AuthHits: 3, InterleavedHits: 4, Timestamps: 12, Span: 30,
		DaemonRx: 1, KernelRx: 49, DaemonTx: 48, KernelTx: 2,
	}
	if *m != want {
		t.Errorf("serverstats %+v, want %+v", m, want)
	}
}

// TestNothing asks a daemon that has no sources and does nothing.
func TestNothing(t *testing.T) {
	s := newServer(&desk{}, nil)
	tr := fetch(t, s, cmdmon.Tracking, nil, &cmdmon.TrackingReply{})
	if tr.Addr.Addr.IsValid() || math.Signbit(tr.LastOffset) || tr.RefTime != (cmdmon.Timespec{}) {
		t.Errorf("tracking %+v, want nothing", tr)
	}
	for c, want := range map[cmdmon.Command]cmdmon.Status{
		cmdmon.Smoothing: cmdmon.NotEnabled, cmdmon.RTCReport: cmdmon.NoRTC, cmdmon.TrimRTC: cmdmon.NoRTC, cmdmon.WriteRTC: cmdmon.NoRTC,
		cmdmon.SourceData: cmdmon.NoSuchSource, cmdmon.SourceName: cmdmon.NoSuchSource,
	} {
		if h, _, _ := ask(s, unix, c, nil); h.Status != want {
			t.Errorf("%s: %v, want %v", c, h.Status, want)
		}
	}
}

// pages collects the whole report clients.
func pages(t *testing.T, s *Server, r cmdmon.ClientsRequest) (list []cmdmon.Client) {
	t.Helper()
	r.N = cmdmon.MaxClients
	for range 1000 {
		m := fetch(t, s, cmdmon.Clients, &r, &cmdmon.ClientsReply{})
		list = append(list, m.Clients[:m.N]...)
		if m.Next >= m.Indices {
			return list
		}
		if m.N < cmdmon.MaxClients {
			t.Fatalf("a page of %d before the end: chronyc would stop", m.N)
		}
		r.First = m.Next
	}
	t.Fatal("the report does not end")
	return nil
}

// TestClients lists those who ask for time and those who command, each once.
func TestClients(t *testing.T) {
	d := &desk{table: clientlog.New(1<<15, clientlog.HashKey{5, 6})}
	s := newServer(d, nil)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
	for i := range 100 { // 0 to 99 ask for time, the even ones three times
		for range 1 + 2*((i+1)%2) {
			d.table.Hit(clientlog.PrefixOf(addr(i)), start.Add(-9*clock.Second), 4, nil, nil)
		}
	}
	for i := 90; i < 110; i++ { // 90 to 109 command
		ask(s, addr(i), cmdmon.Tracking, nil)
	}
	all := pages(t, s, cmdmon.ClientsRequest{})
	seen := make(map[netip.Addr]cmdmon.Client)
	for _, c := range all {
		seen[c.Addr.Addr] = c
	}
	if len(all) != 110 || len(seen) != 110 {
		t.Fatalf("%d rows about %d clients, want 110", len(all), len(seen))
	}
	if c := seen[addr(90)]; c.NTPHits != 3 || c.CmdHits != 1 || c.NTPLast != 9 || c.CmdLast != 0 || c.CmdInterval != cmdmon.NoInterval {
		t.Errorf("both: %+v", c)
	}
	if c := seen[addr(105)]; c.NTPHits != 0 || c.CmdHits != 1 || c.NTPLast != cmdmon.NoSample || c.NTPInterval != cmdmon.NoInterval {
		t.Errorf("only commands: %+v", c)
	}
	if n := len(pages(t, s, cmdmon.ClientsRequest{MinHits: 2})); n != 50 {
		t.Errorf("%d clients with two requests or more, want 50", n)
	}
	pages(t, s, cmdmon.ClientsRequest{Reset: true})
	for _, c := range pages(t, s, cmdmon.ClientsRequest{}) {
		if c.NTPHits != 0 || c.CmdHits != 0 {
			t.Fatalf("after a reset: %+v", c)
		}
	}
	d.state.Config.NoLog = true
	if h, _, _ := ask(s, unix, cmdmon.Clients, nil); h.Status != cmdmon.Inactive {
		t.Errorf("without a log: %v, want %v", h.Status, cmdmon.Inactive)
	}
}
