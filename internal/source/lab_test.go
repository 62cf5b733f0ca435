// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/stats"
)

const (
	testEpoch = int64(1_800_000_000_000_000_000) // true time at the start
	monoStart = int64(1_000_000_000_000)
)

// lab is an association, a server and the network between them, in virtual
// time. Delays and clock errors are whole nanoseconds.
type lab struct {
	t      testing.TB
	a      *Association
	env    Env
	time   clock.Interval // true time since the start
	behind clock.Interval // our clock's error
	drift  float64        // how much slower our clock runs
	noTx   bool           // no transmit stamps at all

	server       *responder.Server
	snap         responder.Snapshot
	there, back  clock.Interval // delays
	serverAhead  clock.Interval
	serverTook   clock.Interval
	req          Request
	sent         clock.Interval // when the last request left
	wire, answer []byte
}

// client asks, and everybody may.
var (
	client    = netip.MustParseAddrPort("192.0.2.77:40000")
	everybody = &responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
)

func baseConfig() Config {
	return Config{
		Addr: netip.MustParseAddrPort("192.0.2.1:123"), MinPoll: 6, MaxPoll: 6, PollTarget: 8,
		Version: 4, Presend: 100, MaxDelay: 3, MaxUnreach: 1000,
	}
}

func newLab(t testing.TB, cfg Config) *lab {
	l := &lab{
		t: t, a: New(cfg, &stats.Line{}),
		server: responder.NewServer(responder.Config{Stamps: 16, Random: rand.New(rand.NewPCG(1, 1)).Uint64}),
		there:  5 * clock.Millisecond, back: 5 * clock.Millisecond, serverTook: 30 * clock.Microsecond,
	}
	l.env = Env{Precision: -30, Quantum: 1e-9, ClockError: 1e-6, Rand: rand.New(rand.NewPCG(2, 2))}
	l.snap = responder.Snapshot{
		Stratum: 1, RefID: 0x47505300, Precision: -32, Epoch: 5,
		RefTime: clock.At[clock.Corrected](testEpoch - 1e9), RootDelay: 0.001, RootDisp: 0.002,
	}
	return l
}

// online returns a lab whose association is online.
func online(t testing.TB, cfg Config) *lab {
	l := newLab(t, cfg)
	l.a.Online(l.now(), &l.env)
	return l
}

func (l *lab) wallAt(true clock.Interval) clock.Wall {
	return clock.At[clock.Realtime](testEpoch).Add(true - l.behind - clock.Seconds(l.drift*true.Seconds()))
}

func (l *lab) serverWall(true clock.Interval) clock.Wall {
	return clock.At[clock.Realtime](testEpoch).Add(true + l.serverAhead)
}

func (l *lab) now() clock.Now {
	return clock.Now{Wall: l.wallAt(l.time), Mono: clock.At[clock.Raw](monoStart).Add(l.time)}
}

// until waits for the next deadline and carries it out.
func (l *lab) until() Outcome {
	l.t.Helper()
	d := l.a.Deadline()
	if d.IsZero() {
		l.t.Fatal("no deadline")
	}
	l.time = max(l.time, d.Sub(clock.At[clock.Raw](monoStart)))
	out := l.a.OnDeadline(l.now(), &l.env, &l.req)
	if out == Transmit {
		l.transmit()
	}
	return out
}

// transmit does what the daemon does to send the request.
func (l *lab) transmit() {
	l.sent = l.time
	l.wire = l.req.Packet.AppendTo(l.wire[:0])
	if l.req.Timed {
		at := l.env.Correction.Served(l.now().Wall)
		ts := ntp.FromInstant(at)
		binary.BigEndian.PutUint64(l.wire[40:], uint64(ts))
		l.a.Sealed(ts, at)
	} else if !l.noTx {
		l.a.Transmitted(clock.Stamp{Time: l.now().Wall, Kind: clock.StampDaemon}, &l.env)
	}
	if l.req.MonoRoot {
		l.wire = AppendMonoRootRequest(l.wire)
	}
}

// request waits for the next request, passing over hang-ups.
func (l *lab) request() {
	l.t.Helper()
	for range 3 {
		if l.until() == Transmit {
			return
		}
	}
	l.t.Fatal("no request in three deadlines")
}

// reply is the server's answer to the last request.
func (l *lab) reply() []byte {
	l.t.Helper()
	rx := l.serverWall(l.sent + l.there)
	in := responder.Arrival{From: client, Stamp: clock.Stamp{Time: rx, Kind: clock.StampKernel}}
	l.answer = append(l.answer[:0], l.wire...)
	var out responder.Reply
	if v := l.server.Receive(l.answer, &in, everybody, &l.snap, &out); v != responder.Answer {
		l.t.Fatalf("the server does not answer %x: %v", l.wire, v)
	}
	l.answer = l.answer[:out.Len]
	left := rx.Add(l.serverTook)
	tag := l.server.Seal(&out, l.answer, left, &l.snap)
	l.server.Transmitted(tag, clock.Stamp{Time: left, Kind: clock.StampKernel}, &l.snap)
	return l.answer
}

var localAddr = netip.MustParseAddr("198.51.100.7")

// receive delivers b after the round trip.
func (l *lab) receive(b []byte) Verdict {
	l.time = max(l.time, l.sent+l.there+l.serverTook+l.back)
	in := Arrival{Data: b, Local: localAddr, Stamp: clock.Stamp{Time: l.now().Wall, Err: 1e-9, Kind: clock.StampKernel}}
	return l.a.Receive(&in, l.now(), &l.env)
}

// exchange makes one request and delivers the answer.
func (l *lab) exchange() Verdict {
	l.t.Helper()
	l.request()
	return l.receive(l.reply())
}

// want fails unless the exchange goes as told.
func (l *lab) want(v Verdict, when string) {
	l.t.Helper()
	if got := l.exchange(); got != v {
		r, _ := l.a.Report()
		l.t.Fatalf("%s: %v, want %v (tests %010b)", when, got, v, r.Tests)
	}
}

// sample returns the newest sample.
func (l *lab) sample() stats.Sample { return *l.a.Register().Last() }

// checkOffset compares the last report with our clock's true error, to 1 ns.
func (l *lab) checkOffset(when string, want clock.Interval) {
	l.t.Helper()
	r, ok := l.a.Report()
	if !ok || math.Abs(float64(r.Offset)-want.Seconds()) > 1.01e-9 {
		l.t.Errorf("%s: offset %.9f, want %.9f", when, float64(r.Offset), want.Seconds())
	}
}

// frozen is a copy of an association without its counters.
type frozen struct {
	a    Association
	reg  stats.Register
	line stats.Line
}

func freeze(a *Association) frozen {
	f := frozen{a: *a, reg: *a.register, line: *a.estimator.(*stats.Line)}
	f.a.Counters = Counters{}
	f.a.register, f.a.estimator = nil, nil
	return f
}

// unchanged fails if a differs from before in more than its counters.
func unchanged(t testing.TB, name string, before frozen, a *Association) {
	t.Helper()
	after := freeze(a)
	if reflect.DeepEqual(before, after) {
		return
	}
	x, y := reflect.ValueOf(before.a), reflect.ValueOf(after.a)
	for i := range x.NumField() {
		was, is := fmt.Sprintf("%+v", x.Field(i)), fmt.Sprintf("%+v", y.Field(i))
		if was != is {
			t.Errorf("%s changed %s from %s to %s", name, x.Type().Field(i).Name, was, is)
		}
	}
	t.Errorf("%s changed the state; statistics the same: %v", name,
		reflect.DeepEqual(before.reg, after.reg) && reflect.DeepEqual(before.line, after.line))
}
