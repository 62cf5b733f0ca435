// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

func TestBasicExchange(t *testing.T) {
	for _, behind := range []clock.Interval{0, 1, 123456789, -987654321, 3 * clock.Hour, -40 * clock.Day} {
		l := online(t, baseConfig())
		l.behind = behind
		l.there, l.back = 3*clock.Millisecond+1, 3*clock.Millisecond+1
		l.want(Accepted, "first exchange")
		l.checkOffset("basic", behind)
		s := l.sample()
		if d := float64(s.Delay) - 2*l.there.Seconds(); d > 1e-9 || d < -1e-9 {
			t.Errorf("behind %d: delay %v, want %v", behind, s.Delay, 2*l.there.Seconds())
		}
		if want := 0.001 + float64(s.Delay); float64(s.RootDelay)-want > 1.0/65536 || float64(s.RootDelay) < want {
			t.Errorf("root delay %v, want %v", s.RootDelay, want)
		}
		if s.RootDisp < clock.Dispersion(0.002)+s.Disp || s.Disp < 1e-9 || s.Disp > 1e-6+2000e-6*0.01 {
			t.Errorf("root dispersion %v, dispersion %v", s.RootDisp, s.Disp)
		}
		r, ok := l.a.Report()
		if !ok || r.Tests != testsAll || r.TxStamp != clock.StampDaemon || r.RxStamp != clock.StampKernel || r.Local != localAddr {
			t.Errorf("report %+v", r)
		}
	}
}

// TestOddNanoseconds: halving the two intervals loses nothing, whatever their
// signs and parities.
func TestOddNanoseconds(t *testing.T) {
	for there := clock.Interval(1000); there < 1004; there++ {
		for back := clock.Interval(1000); back < 1004; back++ {
			for took := clock.Interval(-3); took <= 3; took++ {
				l := online(t, baseConfig())
				l.there, l.back, l.serverTook = there, back, took
				l.request()
				b := l.reply()
				rx, tx := l.serverWall(l.sent+there), l.serverWall(l.sent+there+took)
				binary.BigEndian.PutUint64(b[32:], uint64(ntp.FromInstant(rx)))
				binary.BigEndian.PutUint64(b[40:], uint64(ntp.FromInstant(tx)))
				l.time = l.sent + there + took + back
				if v := l.receive(b); v != Accepted {
					t.Fatalf("there %d, took %d, back %d: %v", there, took, back, v)
				}
				want := float64(there-back) * 0.5e-9
				if got := float64(l.sample().Offset); got-want > 1e-12 || want-got > 1e-12 {
					t.Fatalf("there %d, took %d, back %d: offset %v, want %v", there, took, back, got, want)
				}
			}
		}
	}
}

// forgeries are changes to a good answer that make it none.
var forgeries = []struct {
	name   string
	change func(b []byte)
	want   Verdict
}{
	{"zero origin", func(b []byte) { clear(b[24:32]) }, BadOrigin},
	{"foreign origin", func(b []byte) { b[31] ^= 1 }, BadOrigin},
	{"origin is our receive timestamp", func(b []byte) { copy(b[24:32], b[32:40]) }, BadOrigin},
	{"zero receive", func(b []byte) { clear(b[32:40]) }, BadStamps},
	{"zero transmit", func(b []byte) { clear(b[40:48]) }, BadStamps},
	{"all zero", func(b []byte) { clear(b[24:48]) }, BadOrigin},
	{"client mode", func(b []byte) { b[0] = b[0]&^7 | 3 }, BadMode},
	{"active mode", func(b []byte) { b[0] = b[0]&^7 | 1 }, BadMode},
	{"passive mode", func(b []byte) { b[0] = b[0]&^7 | 2 }, BadMode},
	{"broadcast mode", func(b []byte) { b[0] = b[0]&^7 | 5 }, BadMode},
	{"control mode", func(b []byte) { b[0] = b[0]&^7 | 6 }, BadMode},
	{"reserved mode", func(b []byte) { b[0] &^= 7 }, BadMode},
	{"version 3", func(b []byte) { b[0] = b[0]&^0x38 | 3<<3 }, BadVersion},
	{"version 5", func(b []byte) { b[0] = b[0]&^0x38 | 5<<3 }, BadVersion},
	{"version 0", func(b []byte) { b[0] &^= 0x38 }, BadVersion},
	{"kiss RATE with a foreign origin", func(b []byte) { kiss(b, ntp.KissRate); b[25] ^= 9 }, BadOrigin},
	{"kiss RATE with zero origin", func(b []byte) { kiss(b, ntp.KissRate); clear(b[24:32]) }, BadOrigin},
	{"kiss DENY with a foreign origin", func(b []byte) { kiss(b, ntp.KissDeny); b[25] ^= 9 }, BadOrigin},
}

func kiss(b []byte, code ntp.RefID) {
	b[0], b[1] = b[0]|0xc0, 0
	binary.BigEndian.PutUint32(b[12:], uint32(code))
}

// TestForgeries: whatever is not an answer to the last request changes nothing,
// and the true answer is still taken after it.
func TestForgeries(t *testing.T) {
	for _, xleave := range []bool{false, true} {
		for _, f := range forgeries {
			cfg := baseConfig()
			cfg.XLeave = xleave
			l := online(t, cfg)
			l.exchange()
			l.exchange()
			l.exchange()
			l.request()
			good := append([]byte(nil), l.reply()...)
			bad := append([]byte(nil), good...)
			f.change(bad)
			before, deadline := freeze(l.a), l.a.Deadline()
			if v := l.receive(bad); v != f.want {
				t.Errorf("%s: %v, want %v", f.name, v, f.want)
			}
			unchanged(t, f.name, before, l.a)
			if l.a.Deadline() != deadline {
				t.Errorf("%s moved the deadline", f.name)
			}
			if v := l.receive(good); v != Accepted {
				t.Errorf("the answer after %q: %v", f.name, v)
			}
		}
	}
}

func TestReplays(t *testing.T) {
	for _, xleave := range []bool{false, true} {
		cfg := baseConfig()
		cfg.XLeave = xleave
		l := online(t, cfg)
		var past [][]byte
		for range 5 {
			l.exchange()
			past = append(past, append([]byte(nil), l.answer...))
			before := freeze(l.a)
			for range 3 {
				if v := l.receive(l.answer); v != Unexpected {
					t.Errorf("a duplicate is %v, want %v", v, Unexpected)
				}
			}
			unchanged(t, "a duplicate", before, l.a)
		}
		l.request()
		before := freeze(l.a)
		for i, b := range past {
			if v := l.receive(b); v != BadOrigin && v != Duplicate {
				t.Errorf("replay of answer %d: %v", i, v)
			}
		}
		unchanged(t, "a replay", before, l.a)
		if v := l.receive(l.reply()); v != Accepted {
			t.Errorf("the answer after replays: %v", v)
		}
	}
}

func TestLengths(t *testing.T) {
	l := online(t, baseConfig())
	l.request()
	long := append(append([]byte(nil), l.reply()...), make([]byte, 1500)...)
	before := freeze(l.a)
	for n := range 1500 {
		if n >= 48 && n <= 1140 && n%4 == 0 {
			continue
		}
		if v := l.receive(long[:n]); v == Accepted || v == Synced || v == Unsynced {
			t.Fatalf("%d octets: %v", n, v)
		}
	}
	for _, n := range []int{52, 64, 120, 1140} { // neither fields nor MAC
		if v := l.receive(long[:n]); v != BadAuth {
			t.Errorf("%d octets: %v, want %v", n, v, BadAuth)
		}
	}
	unchanged(t, "a bad length", before, l.a)
}

// TestLateAnswer: after the time that an answer may take, and before the first
// request, nothing is accepted.
func TestLateAnswer(t *testing.T) {
	l := online(t, baseConfig())
	before := freeze(l.a)
	if v := l.receive((&ntp.Packet{Version: 4, Mode: ntp.ModeServer}).AppendTo(nil)); v != Unexpected {
		t.Errorf("before the first request: %v", v)
	}
	unchanged(t, "an unsolicited packet", before, l.a)
	l.request()
	b := l.reply()
	if got := l.until(); got != Hangup {
		t.Fatalf("after the request: outcome %v, want hang-up", got)
	}
	if d := (l.time - l.sent).Seconds(); d < 6.999 || d > 7.001 {
		t.Errorf("the socket is closed %v s after the request, want maxdelay + 4 s", d)
	}
	before = freeze(l.a)
	if v := l.receive(b); v != Unexpected {
		t.Errorf("a late answer: %v", v)
	}
	unchanged(t, "a late answer", before, l.a)
}

// acceptanceTest is one packet and what becomes of it.
type acceptanceTest struct {
	name   string
	setup  func(l *lab, cfg *Config)
	change func(b []byte) []byte
	want   Verdict
	failed Tests
}

var testKey, otherKey = mustKey(7), mustKey(8)

func mustKey(id uint32) auth.Key {
	k, err := auth.NewKey(id, auth.SHA1, []byte("0123456789abcdef0123"))
	if err != nil {
		panic(err)
	}
	return k
}

func acceptanceTests() []acceptanceTest {
	be := binary.BigEndian
	sealed := func(k auth.Key) func(b []byte) []byte {
		return func(b []byte) []byte { return k.AppendMAC(be.AppendUint32(b, k.ID()), b) }
	}
	return []acceptanceTest{
		{"good", nil, nil, Accepted, 0},
		{"5: authenticated", func(l *lab, c *Config) { c.Key, c.Authenticated = testKey, true }, sealed(testKey), Accepted, 0},
		{"5: no MAC", func(l *lab, c *Config) { c.Key, c.Authenticated = testKey, true }, nil, BadAuth, TestAuth},
		{"5: another key", func(l *lab, c *Config) { c.Key, c.Authenticated = testKey, true }, sealed(otherKey), BadAuth, TestAuth},
		{"5: changed after sealing", func(l *lab, c *Config) { c.Key, c.Authenticated = testKey, true },
			func(b []byte) []byte { b = sealed(testKey)(b); b[2]++; return b }, BadAuth, TestAuth},
		{"5: crypto-NAK", func(l *lab, c *Config) { c.Key, c.Authenticated = testKey, true },
			func(b []byte) []byte { return append(b, 0, 0, 0, 0) }, BadAuth, TestAuth},
		{"5: a MAC that nobody asked for", nil, sealed(otherKey), Accepted, 0},
		{"6: leap", nil, func(b []byte) []byte { b[0] |= 0xc0; return b }, Unsynced, TestSynced},
		{"6: stratum 0", nil, func(b []byte) []byte { b[1] = 0; return b }, Unsynced, TestSynced},
		{"6: stratum 15", nil, func(b []byte) []byte { b[1] = 15; return b }, Accepted, 0},
		{"6: stratum 16", nil, func(b []byte) []byte { b[1] = 16; return b }, Unsynced, TestSynced},
		{"7: root delay", nil, func(b []byte) []byte { be.PutUint32(b[4:], 32<<16); return b }, Unsynced, TestDistance},
		{"7: root dispersion", nil, func(b []byte) []byte { be.PutUint32(b[8:], 16<<16); return b }, Unsynced, TestDistance},
		{"7: just under", nil, func(b []byte) []byte { be.PutUint32(b[4:], 0); be.PutUint32(b[8:], 16<<16-1); return b }, Accepted, 0},
		{"A: delay", func(l *lab, c *Config) { c.MaxDelay = 0.009 }, nil, Synced, TestA},
		{"A: delay within", func(l *lab, c *Config) { c.MaxDelay = 0.0101 }, nil, Accepted, 0},
		{"A: precision", func(l *lab, c *Config) { c.MaxDelay = 0.2 }, func(b []byte) []byte { b[3] = 0xfe; return b }, Synced, TestA},
		{"A: slow server", func(l *lab, c *Config) { l.serverTook, c.MaxDelay = 5*clock.Second, 10 }, nil, Synced, TestA},
		{"A: minimum delay mirrored", func(l *lab, c *Config) { c.Limits.MinDelay, c.MaxDelay = 2, 3 }, nil, Synced, TestA},
		{"D: follows us", func(l *lab, c *Config) { l.env.Serving = true },
			func(b []byte) []byte { b[1] = 3; be.PutUint32(b[12:], uint32(ntp.RefIDOf(localAddr))); return b }, Synced, TestD},
		{"D: follows us, stratum 1", func(l *lab, c *Config) { l.env.Serving = true },
			func(b []byte) []byte { b[1] = 1; be.PutUint32(b[12:], uint32(ntp.RefIDOf(localAddr))); return b }, Accepted, 0},
		{"D: we serve nobody", nil,
			func(b []byte) []byte { b[1] = 3; be.PutUint32(b[12:], uint32(ntp.RefIDOf(localAddr))); return b }, Accepted, 0},
		{"D: is us", func(l *lab, c *Config) {
			l.env.Serving = true
			l.snap.Stratum = 4
			l.env.Local = Reference{Stratum: 4, RefID: l.snap.RefID, Time: l.snap.RefTime, RootDelay: 0.001}
		}, nil, Synced, TestD},
		{"D: is like us but for the reference time", func(l *lab, c *Config) {
			l.env.Serving = true
			l.snap.Stratum = 4
			l.env.Local = Reference{Stratum: 4, RefID: l.snap.RefID, Time: l.snap.RefTime.Add(1), RootDelay: 0.001}
		}, nil, Accepted, 0},
		{"near a leap second", func(l *lab, c *Config) { l.env.NearLeap = true }, nil, NearLeap, 0},
		{"no transmit stamp", func(l *lab, c *Config) { l.noTx = true }, nil, Synced, TestA | TestB | TestC | TestD},
	}
}

func TestAcceptanceTests(t *testing.T) {
	for _, tt := range acceptanceTests() {
		cfg := baseConfig()
		l := newLab(t, cfg)
		if tt.setup != nil {
			tt.setup(l, &cfg)
		}
		l.a = New(cfg, l.a.estimator)
		l.a.Online(l.now(), &l.env)
		l.request()
		b := l.reply()
		if tt.change != nil {
			b = tt.change(b)
		}
		if v := l.receive(b); v != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, v, tt.want)
		}
		tt.check(t, l.a)
	}
}

func (tt *acceptanceTest) check(t *testing.T, a *Association) {
	t.Helper()
	valid := tt.want == Accepted || tt.want == Synced || tt.want == Unsynced || tt.want == NearLeap
	r, ok := a.Report()
	if ok != valid {
		t.Errorf("%s: report %v, want %v", tt.name, ok, valid)
	}
	if ok && tt.want != Unsynced && r.Tests != testsAll&^tt.failed || tt.want == Unsynced && r.Tests&tt.failed != 0 {
		t.Errorf("%s: tests passed %010b, want all but %010b", tt.name, r.Tests, tt.failed)
	}
	if got := a.Register().Held(); got != 0 && tt.want != Accepted || got != 1 && tt.want == Accepted {
		t.Errorf("%s: %d samples", tt.name, got)
	}
	synced := tt.want == Accepted || tt.want == Synced || tt.want == NearLeap
	if reach, bits := a.Reach(); valid && (reach == 1) != synced || valid && bits != 1 {
		t.Errorf("%s: reach %08b of %d bits", tt.name, reach, bits)
	}
	if c := a.Counters; c.Verdicts[tt.want] != 1 || c.Received != 1 || c.Sent != 1 {
		t.Errorf("%s: counters %+v", tt.name, c)
	}
}

// TestDelayTests: tests B and C look at the samples before.
func TestDelayTests(t *testing.T) {
	tests := []struct {
		name        string
		cfg         func(c *Config)
		there, back clock.Interval
		jump        clock.Interval
		want        Verdict
		failed      Tests
	}{
		{"B within", func(c *Config) { c.MaxDelayRatio = 2 }, 9, 9, 0, Accepted, 0},
		{"B beyond", func(c *Config) { c.MaxDelayRatio = 2 }, 11, 11, 0, Synced, TestB},
		{"B off", func(c *Config) { c.MaxDelayRatio = 0.5 }, 500, 500, 0, Accepted, 0},
		{"C devratio beyond", func(c *Config) { c.MaxDelayDevRatio = 10 }, 5, 50, 0, Synced, TestC},
		{"C devratio, but the offset says more", func(c *Config) { c.MaxDelayDevRatio = 10 }, 5, 50, clock.Second, Accepted, 0},
		{"C devratio off", func(c *Config) {}, 5, 50, 0, Accepted, 0},
		{"C quantile within", func(c *Config) { c.MaxDelayQuantile = 0.9 }, 5, 5, 0, Accepted, 0},
		{"C quantile beyond", func(c *Config) { c.MaxDelayQuantile = 0.5 }, 50, 50, 0, Synced, TestC},
	}
	for _, tt := range tests {
		cfg := baseConfig()
		tt.cfg(&cfg)
		l := online(t, cfg)
		for i := range 12 {
			l.there = 5*clock.Millisecond + clock.Interval(i%3)*clock.Microsecond
			if v := l.exchange(); v != Accepted && v != Synced {
				t.Fatalf("%s: exchange %d: %v", tt.name, i, v)
			}
		}
		l.there, l.back, l.behind = tt.there*clock.Millisecond, tt.back*clock.Millisecond, tt.jump
		if v := l.exchange(); v != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, v, tt.want)
		}
		if r, _ := l.a.Report(); r.Tests != testsAll&^tt.failed {
			t.Errorf("%s: tests passed %010b, want all but %010b", tt.name, r.Tests, tt.failed)
		}
	}
}

// TestKissRate: one long pause for each plea, and no more than one in a row.
func TestKissRate(t *testing.T) {
	l := online(t, baseConfig())
	pause := func() float64 {
		before := l.sent
		l.request()
		return (l.sent - before).Seconds()
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if got < want || got > want*1.021+0.1 {
			t.Errorf("%s: the next request after %v s, want %v", name, got, want)
		}
	}
	l.request()
	for i := range 5 {
		b := append([]byte(nil), l.reply()...)
		kiss(b, ntp.KissRate)
		if v := l.receive(b); v != KissOfDeath {
			t.Fatalf("plea %d: %v, want %v", i, v, KissOfDeath)
		}
		before := freeze(l.a)
		if v := l.receive(b); v != Unexpected {
			t.Errorf("the same plea again: %v, want %v", v, Unexpected)
		}
		unchanged(t, "the same plea again", before, l.a)
		want := 64.0
		if i == 0 {
			want = 5 * 64
		}
		near("plea", pause(), want)
		if l.a.Poll() != 6 {
			t.Errorf("poll %d, want 6", l.a.Poll())
		}
	}
	if v := l.receive(l.reply()); v != Accepted {
		t.Fatalf("an answer: %v", v)
	}
	near("after an answer", pause(), 64)
	b := l.reply()
	kiss(b, ntp.KissRate)
	l.receive(b)
	near("a new plea", pause(), 5*64)
	for _, code := range []ntp.RefID{ntp.KissDeny, ntp.KissRstr} {
		b := l.reply()
		kiss(b, code)
		if v := l.receive(b); v != Unsynced || l.a.State() != Online {
			t.Errorf("kiss code %#x: %v, state %v; want an unsynchronised source, still polled", code, v, l.a.State())
		}
		near("after DENY", pause(), 64)
	}
}

func TestKissRateInBurst(t *testing.T) {
	cfg := baseConfig()
	cfg.IBurst = true
	l := online(t, cfg)
	l.request()
	b := l.reply()
	kiss(b, ntp.KissRate)
	if v := l.receive(b); v != KissOfDeath || l.a.State() != Online {
		t.Errorf("%v, state %v; want the burst to end", v, l.a.State())
	}
	before := l.sent
	l.request()
	if d := (l.sent - before).Seconds(); d < 5*64 {
		t.Errorf("the next request after %v s, want 320", d)
	}
}

// FuzzReceive throws packets at an association with an open exchange. A packet
// that does not echo the request never makes a sample or changes anything.
func FuzzReceive(f *testing.F) {
	good := ntp.Packet{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Receive: 1, Transmit: 2}
	f.Add(good.AppendTo(nil), uint8(0), true)
	f.Add(ntp.AppendField(good.AppendTo(nil), ntp.FieldMonoRoot, make([]byte, 24), 0), uint8(1), false)
	f.Add(good.AppendTo(nil), uint8(2), true)
	f.Add(good.AppendTo(nil), uint8(3), true)
	f.Fuzz(func(t *testing.T, b []byte, kind uint8, echo bool) {
		cfg := baseConfig()
		cfg.XLeave, cfg.Symmetric, cfg.MonoRoot = kind&1 != 0, kind&2 != 0, kind&4 != 0
		l := online(t, cfg)
		if !cfg.Symmetric {
			l.exchange()
			l.exchange()
		}
		l.request()
		if echo && len(b) >= 48 {
			b = append([]byte(nil), b...)
			copy(b[24:32], l.wire[40:48])
		}
		held, before := l.a.Register().Held(), freeze(l.a)
		v := l.receive(b)
		var p ntp.Packet
		ours := p.Decode(b) && p.Origin != 0 && (p.Origin == l.a.local.txNTP ||
			cfg.XLeave && (p.Origin == before.a.local.rxNTP))
		if !ours && (v == Accepted || v == Synced || v == Unsynced || v == KissOfDeath || l.a.Register().Held() != held) {
			t.Fatalf("%x is %v", b, v)
		}
		if v == Accepted {
			s := l.sample()
			if !(s.Delay > 0 && s.Disp > 0 && float64(s.Delay) <= 3.1+float64(s.Disp)) || s.Offset != s.Offset {
				t.Fatalf("sample %+v", s)
			}
		}
		if !ours && !cfg.Symmetric {
			unchanged(t, "a foreign packet", before, l.a)
		}
		for range 4 { // and life goes on
			l.until()
		}
	})
}

// TestRandomStampsDiffer: requests disclose nothing and cannot be guessed.
func TestRandomStampsDiffer(t *testing.T) {
	l := online(t, baseConfig())
	seen := make(map[ntp.Timestamp]bool)
	ones, zeros := ntp.Timestamp(0), ^ntp.Timestamp(0)
	for range 200 {
		l.request()
		p := l.req.Packet
		if seen[p.Transmit] || p.Transmit == 0 {
			t.Fatalf("transmit timestamp %#x again", p.Transmit)
		}
		seen[p.Transmit] = true
		ones, zeros = ones|p.Transmit, zeros&p.Transmit
		want := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Poll: 6, Precision: 32, Transmit: p.Transmit}
		if p != want || !l.req.Fresh || l.req.Timed {
			t.Fatalf("request %+v discloses something, want %+v", l.req, want)
		}
	}
	if ones&^zeros != ^ntp.Timestamp(0) {
		t.Errorf("bits %#x never change", ^(ones &^ zeros))
	}
	if r := rand.New(zeroFirst{new(int)}); randomStamp(r) != 5 {
		t.Error("a random zero is used as a timestamp")
	}
}

type zeroFirst struct{ n *int }

func (z zeroFirst) Uint64() uint64 {
	if *z.n++; *z.n == 1 {
		return 0
	}
	return 5
}
