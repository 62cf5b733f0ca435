// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/state"
)

// desk is a daemon that notes what it is asked.
type desk struct {
	state  state.State
	broken error
	table  *clientlog.Table
	orders []cmdmon.Command
	bodies []cmdmon.Request
	status cmdmon.Status
	asked  int // for a State
}

func (d *desk) State(context.Context, time.Duration, bool) (*state.State, error) {
	d.asked++
	return &d.state, d.broken
}

func (d *desk) Clients(slot int, f func(r *clientlog.Record) bool) (next, slots int) {
	for ; slot < d.table.Slots(); slot++ {
		if r := d.table.At(slot); r != nil && !f(r) {
			break
		}
	}
	return slot, d.table.Slots()
}

func (d *desk) Client(p clientlog.Prefix) (clientlog.Record, bool) {
	if r := d.table.Lookup(p); r != nil {
		return *r, true
	}
	return clientlog.Record{}, false
}

func (d *desk) Order(_ context.Context, c cmdmon.Command, m cmdmon.Request) (cmdmon.Reply, cmdmon.Status) {
	d.orders = append(d.orders, c)
	d.bodies = append(d.bodies, m)
	if c == cmdmon.SetTime && d.status == cmdmon.Success {
		return &cmdmon.ManualTimestampReply{}, cmdmon.Success
	}
	return nil, d.status
}

var (
	unix      netip.Addr // no address
	loopback  = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.IPv6Loopback()
	allowed   = netip.MustParseAddr("192.0.2.7")
	stranger  = netip.MustParseAddr("198.51.100.1")
	start     = clock.At[clock.Realtime](1_700_000_000_000_000_000)
)

// open are the commands that are open by default.
func open() map[cmdmon.Command]bool {
	m := make(map[cmdmon.Command]bool)
	for _, word := range []string{"activity", "manual", "rtcdata", "smoothing", "sourcename", "sources", "sourcestats", "tracking"} {
		for _, c := range cmdmon.Opened(word) {
			m[c] = true
		}
	}
	return m
}

func newServer(d *desk, change func(*Policy)) *Server {
	p := Policy{
		Access: acl.New([]acl.Rule{{Allow: true, Prefix: netip.MustParsePrefix("192.0.2.0/24")}}),
		Open:   open(),
	}
	if change != nil {
		change(&p)
	}
	if d.table == nil {
		d.table = clientlog.New(1<<14, clientlog.HashKey{1, 2})
	}
	return New(d, p, 1<<14, [32]byte{3})
}

// ask sends a whole request and returns the header of the answer.
func ask(s *Server, from netip.Addr, c cmdmon.Command, m cmdmon.Request) (cmdmon.ReplyHeader, []byte, Verdict) {
	b := cmdmon.AppendRequest(nil, cmdmon.RequestHeader{Command: c, Sequence: 77}, m)
	out, v := s.Answer(context.Background(), b, from, start, nil)
	var h cmdmon.ReplyHeader
	if v == Answered && (!h.Decode(out) || h.Command != c || h.Sequence != 77 || len(out) > len(b)) {
		panic("the answer is none to the request")
	}
	return h, out, v
}

// TestAcceptance goes through the order in which a datagram is judged.
func TestAcceptance(t *testing.T) {
	whole := cmdmon.AppendRequest(nil, cmdmon.RequestHeader{Command: cmdmon.Tracking}, nil)
	header := func(version byte, kind byte, c cmdmon.Command, n int) []byte {
		b := make([]byte, n)
		copy(b, []byte{version, kind, 0, 0, byte(c >> 8), byte(c)})
		return b
	}
	for _, tt := range []struct {
		name    string
		b       []byte
		from    netip.Addr
		verdict Verdict
		status  cmdmon.Status
	}{
		{"whole", whole, unix, Answered, cmdmon.Success},
		{"loopback", whole, loopback, Answered, cmdmon.Success},
		{"loopback IPv6", whole, loopback6, Answered, cmdmon.Success},
		{"loopback as IPv6", whole, netip.MustParseAddr("::ffff:127.0.0.1"), Answered, cmdmon.Success},
		{"allowed", whole, allowed, Answered, cmdmon.Success},
		{"stranger", whole, stranger, Denied, 0},
		{"a stranger's rubbish", nil, stranger, Denied, 0},
		{"empty", nil, unix, BadLength, 0},
		{"27 octets", whole[:27], unix, BadLength, 0},
		{"28 octets", whole[:28], unix, Answered, cmdmon.BadPacketLength},
		{"one octet short", whole[:len(whole)-1], unix, Answered, cmdmon.BadPacketLength},
		{"longer", append(whole[:len(whole):len(whole)], make([]byte, 860-len(whole))...), unix, Answered, cmdmon.Success},
		{"861 octets", make([]byte, 861), unix, BadLength, 0},
		{"a reply", header(6, 2, cmdmon.Tracking, 104), unix, NotRequest, 0},
		{"version 5", header(5, 1, cmdmon.Tracking, 104), unix, Answered, cmdmon.BadPacketVersion},
		{"version 7", header(7, 1, 0xffff, 28), unix, Answered, cmdmon.BadPacketVersion},
		{"version 4", header(4, 1, cmdmon.Tracking, 104), unix, TooOld, 0},
		{"no command", header(6, 1, 75, 28), unix, Answered, cmdmon.Invalid},
		{"a dead command", header(6, 1, 10, 860), unix, Answered, cmdmon.Invalid},
		{"no command, from the network", header(6, 1, 999, 28), loopback, Answered, cmdmon.Invalid},
		{"not open", header(6, 1, cmdmon.Shutdown, 28), loopback, Answered, cmdmon.Unauthorised},
		{"not open and short", header(6, 1, cmdmon.Clients, 30), loopback, Answered, cmdmon.BadPacketLength},
	} {
		d := &desk{}
		s := newServer(d, nil)
		out, v := s.Answer(context.Background(), tt.b, tt.from, start, nil)
		var h cmdmon.ReplyHeader
		if v != tt.verdict || v == Answered != h.Decode(out) || h.Status != tt.status {
			t.Errorf("%s: %s, %v, want %s, %v", tt.name, v, h.Status, tt.verdict, tt.status)
		}
		if len(d.orders) > 0 {
			t.Errorf("%s: orders %v were given", tt.name, d.orders)
		}
	}
}

// TestRights tries each command by each way.
func TestRights(t *testing.T) {
	for c := range cmdmon.Command(80) {
		if !c.Known() {
			continue
		}
		for _, from := range []netip.Addr{unix, loopback, allowed} {
			for _, all := range []bool{false, true} {
				s := newServer(&desk{}, func(p *Policy) {
					if all { // as far as opencommands goes
						for _, word := range []string{"authdata", "clients", "ntpdata", "selectdata", "serverstats"} {
							for _, c := range cmdmon.Opened(word) {
								p.Open[c] = true
							}
						}
					}
				})
				h, _, v := ask(s, from, c, body(c))
				may := from == unix || c.Access() == cmdmon.Open || all && c.Access() == cmdmon.Openable
				if v != Answered || may == (h.Status == cmdmon.Unauthorised) {
					t.Errorf("%s from %v, everything open %v: %s, %v", c, from, all, v, h.Status)
				}
			}
		}
	}
}

// TestSweep sends each length from 0 to 1500 with each type and many commands, by
// each way: nothing breaks, and no answer is longer than what it answers.
func TestSweep(t *testing.T) {
	d := &desk{}
	s := newServer(d, nil)
	s.Change(func(p *Policy) { p.Access = acl.New([]acl.Rule{{Allow: true, Everything: true}}) })
	rng := rand.New(rand.NewPCG(1, 2))
	b, out := make([]byte, 1500), make([]byte, 0, 1500)
	sent := uint64(0)
	for n := range 1501 {
		for _, from := range []netip.Addr{unix, loopback, allowed} {
			for c := range cmdmon.Command(78) {
				for i := range b[:n] {
					b[i] = byte(rng.Uint32())
				}
				if n > 8 {
					copy(b, []byte{byte(4 + rng.IntN(4)), byte(rng.IntN(4)), 0, 0, byte(c >> 8), byte(c)})
				}
				if rng.IntN(2) == 0 && n > 2 {
					b[0], b[1] = cmdmon.Version, 1
				}
				got, v := s.Answer(context.Background(), b[:n], from, start, out)
				s.counters[v].Add(1)
				sent++
				if len(got) > n || v == Answered != (len(got) > 0) {
					t.Fatalf("%d octets of %v from %v: %s, %d octets of answer", n, c, from, v, len(got))
				}
			}
		}
	}
	total := uint64(0)
	for v, n := range s.Counts() {
		total += n
		t.Logf("%s: %d", Verdict(v), n)
	}
	if total != sent {
		t.Errorf("%d datagrams, %d counted", sent, total)
	}
}

func FuzzAnswer(f *testing.F) {
	for c := range cmdmon.Command(76) {
		f.Add(cmdmon.AppendRequest(nil, cmdmon.RequestHeader{Command: c}, body(c)), byte(0))
	}
	ways := []netip.Addr{unix, loopback, allowed, stranger}
	f.Fuzz(func(t *testing.T, b []byte, way byte) {
		d := &desk{state: full()}
		s := newServer(d, nil)
		from := ways[int(way)%len(ways)]
		out, v := s.Answer(context.Background(), b, from, start, nil)
		var h cmdmon.ReplyHeader
		switch {
		case len(out) > len(b):
			t.Errorf("%d octets answer %d", len(out), len(b))
		case v == Answered && !h.Decode(out):
			t.Error("an answer that cannot be read")
		case from != unix && len(d.orders) > 0:
			t.Errorf("order %v over the network", d.orders)
		}
	})
}

// TestBusy: without a State there is no answer, so that chronyc asks again.
func TestBusy(t *testing.T) {
	d := &desk{broken: errors.New("busy")}
	s := newServer(d, nil)
	for _, c := range []cmdmon.Command{cmdmon.Tracking, cmdmon.Clients} {
		if _, out, v := ask(s, unix, c, nil); v != Busy || len(out) > 0 {
			t.Errorf("%s: %s and %d octets, want none", c, v, len(out))
		}
	}
}

// TestRateLimit: only others than this host are limited, and both are counted.
func TestRateLimit(t *testing.T) {
	s := newServer(&desk{}, func(p *Policy) { p.Limit = clientlog.NewLimit(3, 4, 4, 0) })
	count := func(from netip.Addr) (n int) {
		for range 200 {
			if _, _, v := ask(s, from, cmdmon.Tracking, nil); v == Answered {
				n++
			}
		}
		return n
	}
	if n := count(loopback); n != 200 {
		t.Errorf("%d of 200 requests of this host were answered", n)
	}
	if n := count(allowed); n < 4 || n > 60 {
		t.Errorf("%d of 200 requests were answered, want about 16", n)
	}
	if hits, _ := s.Hits(); hits != 400 {
		t.Errorf("%d hits, want 400", hits)
	}
}

// TestCommandAccess changes who may ask, by commands.
func TestCommandAccess(t *testing.T) {
	d := &desk{}
	s := newServer(d, nil)
	var told *acl.Table
	s.OnAccess(func(who *acl.Table) { told = who })
	check := func(a netip.Addr) cmdmon.Status {
		h, _, _ := ask(s, unix, cmdmon.CmdAccessCheck, &cmdmon.Address{Addr: cmdmon.IPAddr{Addr: a}})
		return h.Status
	}
	give := func(c cmdmon.Command, a netip.Addr, bits int32) cmdmon.Status {
		h, _, _ := ask(s, unix, c, &cmdmon.Subnet{Addr: cmdmon.IPAddr{Addr: a}, Bits: bits})
		return h.Status
	}
	if check(stranger) != cmdmon.AccessDenied || check(allowed) != cmdmon.AccessAllowed {
		t.Error("before: the stranger is let in, or the other not")
	}
	for _, tt := range []struct {
		c      cmdmon.Command
		a      netip.Addr
		bits   int32
		status cmdmon.Status
		now    bool // the stranger may ask
	}{
		{cmdmon.CmdAllow, stranger, 24, cmdmon.Success, true},
		{cmdmon.CmdDeny, stranger, 32, cmdmon.Success, false},
		{cmdmon.CmdAllow, stranger, 33, cmdmon.BadSubnet, false},
		{cmdmon.CmdAllow, stranger, -1, cmdmon.BadSubnet, false},
		{cmdmon.CmdAllowAll, unix, 0, cmdmon.Success, true},
		{cmdmon.CmdDenyAll, unix, 0, cmdmon.Success, false},
		{cmdmon.CmdAllow, unix, 3, cmdmon.BadSubnet, false},
		{cmdmon.CmdAllow, unix, 0, cmdmon.Success, true},
	} {
		if got := give(tt.c, tt.a, tt.bits); got != tt.status || (check(stranger) == cmdmon.AccessAllowed) != tt.now {
			t.Errorf("%s %v/%d: %v, may ask %v; want %v, %v", tt.c, tt.a, tt.bits, got, !tt.now, tt.status, tt.now)
		}
	}
	if len(d.orders) > 0 {
		t.Errorf("the daemon got orders %v", d.orders)
	}
	if told == nil || told.Allowed(stranger) != (check(stranger) == cmdmon.AccessAllowed) {
		t.Error("who asks in other ways was not told who may")
	}
}

// TestOlder answers a chronyc that knows shorter reports.
func TestOlder(t *testing.T) {
	s := newServer(&desk{state: full()}, nil)
	for c, kind := range map[cmdmon.Command]cmdmon.ReplyType{cmdmon.ServerStats: cmdmon.ReplyServerStats3, cmdmon.NTPData: cmdmon.ReplyNTPData1} {
		b := cmdmon.AppendRequest(nil, cmdmon.RequestHeader{Command: c}, &cmdmon.Address{Addr: cmdmon.IPAddr{Addr: sourceAddr}})
		b = b[:cmdmon.ReplyLen(kind)]
		out, v := s.Answer(context.Background(), b, unix, start, nil)
		var h cmdmon.ReplyHeader
		if v != Answered || !h.Decode(out) || h.Type != kind || h.Status != cmdmon.Success || len(out) > len(b) {
			t.Errorf("%s in %d octets: %s, %+v", c, len(b), v, h)
		}
	}
}
