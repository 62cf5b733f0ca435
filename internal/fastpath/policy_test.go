// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/traffic"
)

// ask sends a plain request from an address.
func (b *bench) ask(a netip.Addr) Verdict {
	b.Helper()
	f := plain(!a.Is4())
	f.from = netip.AddrPortFrom(a, 4000)
	v, _, _ := b.verdict(f.bytes())
	return v
}

// TestAccess: whoever the table allows is answered, whoever it does not is dropped,
// with tables of all shapes, and each replaces the one before wholly.
func TestAccess(t *testing.T) {
	b := newBench(t, Config{})
	rng := rand.New(rand.NewPCG(1, 2))
	random4 := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(rng.IntN(4)), byte(rng.IntN(4)), byte(rng.IntN(256))})
	}
	random6 := func() netip.Addr {
		a := netip.MustParseAddr("2001:db8::").As16()
		a[5], a[7], a[15] = byte(rng.IntN(4)), byte(rng.IntN(4)), byte(rng.IntN(256))
		return netip.AddrFrom16(a)
	}
	for round := range 20 {
		var rules []acl.Rule
		for range rng.IntN(12) {
			r := acl.Rule{Allow: rng.IntN(2) == 0, Prefix: netip.PrefixFrom(random4(), rng.IntN(33))}
			if rng.IntN(2) == 0 {
				r.Prefix = netip.PrefixFrom(random6(), rng.IntN(129))
			}
			rules = append(rules, r)
		}
		table := acl.New(rules)
		b.must(b.SetPolicy(table, nil))
		b.publish()
		for range 40 {
			for _, a := range []netip.Addr{random4(), random6()} {
				want := traffic.Denied
				if table.Allowed(a) {
					want = traffic.Answered
				}
				if v := b.ask(a); v != want {
					t.Fatalf("round %d, rules %v: %v: %v, want %v", round, rules, a, v, want)
				}
			}
		}
	}
	b.must(b.SetPolicy(nil, nil))
	b.publish()
	if v := b.ask(random4()); v != traffic.Denied {
		t.Errorf("nobody is allowed, and %v", v)
	}
}

// TestNoPolicy: until there is a policy all requests go up, of whoever was seen before
// too.
func TestNoPolicy(t *testing.T) {
	b := newBench(t, Config{})
	b.unset()
	a := netip.MustParseAddr("10.0.0.1")
	b.must(b.Serve("lo", false))
	if v := b.ask(a); v != traffic.Seen {
		t.Errorf("%v", v)
	}
	b.must(b.Serve("lo", true))
	for range 2 {
		if v := b.ask(a); v != traffic.UpLease {
			t.Errorf("%v, want it left to the sockets", v)
		}
	}
	b.policy(nil, "10.0.0.0/8")
	if v := b.ask(a); v != traffic.Answered {
		t.Errorf("with a policy: %v", v)
	}
}

// TestManyPrefixes: more prefixes than a large blocklist has fit.
func TestManyPrefixes(t *testing.T) {
	b := newBench(t, Config{})
	rules := []acl.Rule{rule(true, "0.0.0.0/0")}
	for i := range 40_000 {
		a := netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 8})
		rules = append(rules, acl.Rule{Prefix: netip.PrefixFrom(a, 32)})
	}
	b.must(b.SetPolicy(acl.New(rules), nil))
	b.publish()
	for a, want := range map[string]Verdict{"11.0.0.8": traffic.Denied, "11.156.63.8": traffic.Denied, "11.156.64.8": traffic.Answered} {
		if v := b.ask(netip.MustParseAddr(a)); v != want {
			t.Errorf("%s: %v, want %v", a, v, want)
		}
	}
}

// unset takes away all policies, as if none had been set.
func (b *bench) unset() {
	b.Helper()
	for range 2 {
		b.must(b.SetPolicy(nil, nil))
	}
	for i := range 2 {
		b.must(b.set("policies", i, &ntpPolicy{}))
	}
}

// TestDeniedRequestsOfAllKinds are dropped, since the sockets would answer none of
// them; what is no request goes up.
func TestDeniedRequestsOfAllKinds(t *testing.T) {
	b := newBench(t, Config{})
	b.policy(nil, "10.0.0.0/8")
	b.publish()
	for _, tt := range verdicts {
		f := plain(false)
		tt.change(&f)
		if tt.only == 6 {
			continue
		}
		want := tt.want
		switch want {
		case traffic.Answered, traffic.UpInterleaved, traffic.UpVersion, traffic.UpLength:
			want = traffic.Denied
		}
		if len(f.payload)+f.udpLen < ntp.HeaderLen-8 || len(f.payload) < ntp.HeaderLen {
			want = tt.want
		}
		if v, action, _ := b.verdict(f.bytes()); v != want || action != actionOf(want) {
			t.Errorf("%s: %v, want %v", tt.name, v, want)
		}
	}
}

// limitModel is the limit as user space has it.
type limitModel struct {
	table *clientlog.Table
	limit *clientlog.Limit
}

// TestLimitLikeUserSpace: without a leak the limit lets pass what the one of user
// space lets pass, request for request.
func TestLimitLikeUserSpace(t *testing.T) {
	b := newBench(t, Config{})
	for _, tt := range []struct{ interval, burst int }{{12, 1}, {12, 5}, {12, 255}, {0, 8}} {
		limit := clientlog.NewLimit(tt.interval, tt.burst, 4, 0)
		b.policy(limit, "0.0.0.0/0", "::/0")
		m := limitModel{clientlog.New(1<<16, clientlog.HashKey{1, 2}), limit}
		a := netip.AddrFrom4([4]byte{10, 9, byte(tt.interval), byte(tt.burst)})
		passed, dropped := 0, 0
		for i := range tt.burst + 40 {
			b.publish()
			r, err := readTAI()
			b.must(err)
			now := r.wall
			d := m.table.Hit(clientlog.PrefixOf(a), now, 4, limit, func() uint64 { return 1 })
			switch v := b.ask(a); {
			case v == traffic.Answered && d == clientlog.Pass:
				passed++
			case v == traffic.Limited && d == clientlog.Drop && i >= tt.burst:
				dropped++
			case v == traffic.Answered && d == clientlog.Drop:
				// The leak, of which this model has none; it takes what is in the
				// bucket there as well.
			default:
				t.Errorf("limit %+v: request %d: %v, user space says %v", tt, i, v, d)
			}
		}
		if passed < tt.burst || dropped < 20 {
			t.Errorf("limit %+v: %d passed, %d dropped", tt, passed, dropped)
		}
	}
}

// TestLeakAndKisses: of the requests beyond the limit as many are answered, and
// kissed, as it says.
func TestLeakAndKisses(t *testing.T) {
	b := newBench(t, Config{})
	const n = 4000
	for leak := 1; leak <= 4; leak++ {
		for kod := range 5 {
			b.policy(clientlog.NewLimit(12, 1, leak, kod), "0.0.0.0/0")
			counts := map[Verdict]float64{}
			a := netip.AddrFrom4([4]byte{10, 10, byte(leak), byte(kod)})
			for i := range n {
				if i%100 == 0 {
					b.publish()
				}
				counts[b.ask(a)]++
			}
			// A client that asks as often as here is flooding, not impatient.
			pass := n / float64(int(1)<<leak)
			kiss := 0.0
			if kod > 0 {
				kiss = (n - pass) / float64(int(1)<<kod)
			}
			for v, want := range map[Verdict]float64{traffic.Answered: pass, traffic.Kissed: kiss, traffic.Limited: n - pass - kiss} {
				if d := counts[v] - want; d*d > 36*max(want, 1) {
					t.Errorf("leak %d, kod %d: %v %v times, want about %v", leak, kod, v, counts[v], want)
				}
			}
		}
	}
}

// TestKiss: a kiss says what the responder's does.
func TestKiss(t *testing.T) {
	b := newBench(t, Config{})
	b.policy(clientlog.NewLimit(10, 1, 4, 1), "0.0.0.0/0", "::/0")
	for _, v6 := range []bool{false, true} {
		kissed := false
		for i := 0; i < 100 && !kissed; i++ {
			b.publish()
			f := plain(v6)
			v, _, out := b.verdict(f.bytes())
			if v != traffic.Kissed {
				continue
			}
			kissed = true
			var p ntp.Packet
			p.Decode(out[len(out)-ntp.HeaderLen:])
			if p.Leap != ntp.LeapUnsync || p.Stratum != 0 || p.RefID != ntp.KissRate || p.RootDelay != 0 || p.RootDisp != 0 ||
				p.Reference != 0 || p.Poll != 10 || p.Origin != 0x123456789abcdef1 || p.Precision != b.snap.Precision ||
				p.Receive&1 != 1 || p.Transmit == 0 || p.Version != 4 || p.Mode != ntp.ModeServer {
				t.Errorf("kiss %+v", p)
			}
			head := len(out) - ntp.HeaderLen - 8
			back := frame{from: f.to, to: f.from, payload: out[head+8:]}.bytes()
			if string(back[len(back)-ntp.HeaderLen-8:]) != string(out[head:]) {
				t.Error("the checksum of a kiss is wrong")
			}
		}
		if !kissed {
			t.Error("no kiss in 100 requests")
		}
	}
}

// TestOneBudget: requests that go up are paid for out of the same bucket, and user
// space decides about them.
func TestOneBudget(t *testing.T) {
	b := newBench(t, Config{})
	b.policy(clientlog.NewLimit(12, 4, 4, 0), "0.0.0.0/0")
	f := plain(false)
	interleaved := plain(false)
	edit(func(p *ntp.Packet) { p.Origin, p.Receive = 3, 7 })(&interleaved)
	for i := range 4 {
		b.publish()
		data, want := f.bytes(), traffic.Answered
		if i%2 == 1 {
			data, want = interleaved.bytes(), traffic.UpInterleaved
		}
		if v, _, _ := b.verdict(data); v != want {
			t.Errorf("request %d: %v, want %v", i, v, want)
		}
	}
	dropped, up := 0, 0
	for range 40 {
		if v, action, _ := b.verdict(f.bytes()); v == traffic.Limited && action == xdpDrop {
			dropped++
		}
		if v, action, _ := b.verdict(interleaved.bytes()); v == traffic.UpInterleaved && action == xdpPass {
			up++
		}
	}
	if dropped < 25 || up != 40 {
		t.Errorf("beyond the burst %d of 40 requests are dropped, and %d of 40 go up", dropped, up)
	}
}

// TestLeakOnce: of requests beyond the limit the leak lets the same part through
// whoever answers them, the program or the responder behind it.
func TestLeakOnce(t *testing.T) {
	b := newBench(t, Config{})
	const n, burst = 4000, 8
	limit := clientlog.NewLimit(12, burst, 2, 0)
	b.policy(limit, "0.0.0.0/0")
	random := rand.New(rand.NewPCG(5, 6))
	s := responder.NewServer(responder.Config{Log: 1 << 16, Random: random.Uint64})
	policy := &responder.Policy{Access: access("0.0.0.0/0"), Limit: limit}
	here, up := plain(false), plain(false)
	edit(func(p *ntp.Packet) { p.Version = 2 })(&up)
	var answered [2]int
	for i := range n {
		if i%100 == 0 {
			b.publish()
		}
		if action, _ := b.run(here.bytes()); action == xdpTX {
			answered[0]++
		}
		if action, _ := b.run(up.bytes()); action != xdpPass {
			continue
		}
		var out responder.Reply
		in := responder.Arrival{From: up.from, Stamp: clock.Stamp{Time: wallNow(), Kind: clock.StampKernel}}
		if s.Receive(append([]byte(nil), up.payload...), &in, policy, &b.snap, &out) == responder.Answer {
			answered[1]++
		}
	}
	for i, v := range answered {
		if want := n/4 + burst; v < want-200 || v > want+200 { // seven standard deviations
			t.Errorf("of version %d %d of %d requests are answered, want about %d", 4-2*i, v, n, want)
		}
	}
}

// TestPolicyChanges: a limit and a table that are changed count from the next
// packet on, and records of clients stay.
func TestPolicyChanges(t *testing.T) {
	b := newBench(t, Config{})
	a := netip.MustParseAddr("10.20.30.40")
	for i, step := range []struct {
		change func()
		want   Verdict
	}{
		{func() {}, traffic.Answered},
		{func() { b.policy(nil, "10.0.0.0/8") }, traffic.Answered},
		{func() { b.policy(nil, "10.20.30.41/32") }, traffic.Denied},
		{func() { b.policy(nil, "10.20.30.40/31") }, traffic.Answered},
		{func() { b.must(b.Serve("lo", false)) }, traffic.Seen},
		{func() { b.must(b.Serve("lo", true)) }, traffic.Answered},
		{func() { _, err := b.SetAddrs(nil); b.must(err) }, traffic.UpAddress},
		{func() {
			_, err := b.SetAddrs([]Own{{Addr: server4.Addr(), Interface: lo + 1}})
			b.must(err)
		}, traffic.UpAddress},
		{func() { _, err := b.SetAddrs([]Own{{Addr: server4.Addr()}}); b.must(err) }, traffic.Answered},
	} {
		step.change()
		b.publish()
		if v := b.ask(a); v != step.want {
			t.Errorf("step %d: %v, want %v", i, v, step.want)
		}
	}
	for c := range b.Clients() {
		if c.Prefix.Addr() == a && c.Hits != 6 {
			t.Errorf("the record has %d hits, want one for each request to us that was not denied", c.Hits)
		}
	}
}

// TestOwnAddresses: as many addresses as a large host has find their places.
func TestOwnAddresses(t *testing.T) {
	b := newBench(t, Config{})
	var list []Own
	for i := range 120 {
		list = append(list,
			Own{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})},
			Own{Addr: netip.AddrFrom16([16]byte{0xfd, 0, 0, byte(i), 15: 1})})
	}
	left, err := b.SetAddrs(list)
	b.must(err)
	if left > 4 {
		t.Errorf("%d of %d addresses have no place", left, len(list))
	}
	answered := 0
	for _, o := range list {
		f := plain(o.Addr.Is6())
		f.to = netip.AddrPortFrom(o.Addr, 123)
		b.publish()
		switch v, _, _ := b.verdict(f.bytes()); v {
		case traffic.Answered:
			answered++
		case traffic.UpAddress:
		default:
			t.Errorf("%v: %v", o.Addr, v)
		}
	}
	if answered != len(list)-left {
		t.Errorf("%d addresses are answered, want %d", answered, len(list)-left)
	}
}

// TestClients: the records say what user space's would.
func TestClients(t *testing.T) {
	b := newBench(t, Config{Clients: 64 << 10})
	m := clientlog.New(1<<16, clientlog.HashKey{1, 2})
	rng := rand.New(rand.NewPCG(3, 4))
	octets := make(map[netip.Prefix]uint64)
	for range 400 {
		a := netip.AddrFrom4([4]byte{10, 7, 0, byte(rng.IntN(20))})
		if rng.IntN(2) == 0 {
			a = netip.AddrFrom16([16]byte{0x20, 1, 7: byte(rng.IntN(20)), 15: byte(rng.IntN(9))})
		}
		f := plain(!a.Is4())
		f.from = netip.AddrPortFrom(a, 4000)
		version := uint8(1 + rng.IntN(4))
		f.payload[0] = version<<3 | 3
		f.payload = append(f.payload, make([]byte, 4*rng.IntN(8))...)
		b.publish()
		before := wallNow()
		b.run(f.bytes())
		p := clientlog.PrefixOf(a)
		at := b.record(p.Netip()).Last
		if after := wallNow(); at.Before(before) || at.After(after) {
			t.Errorf("%v asked %v ns after it did", a, at.Sub(before))
		}
		m.Hit(p, at, version, nil, nil)
		octets[p.Netip()] += uint64(len(f.payload))
	}
	n := 0
	for c := range b.Clients() {
		n++
		r := m.Lookup(clientlog.PrefixOf(c.Prefix.Addr()))
		if r == nil || r.Prefix.Netip() != c.Prefix {
			t.Errorf("a record of %v, who never asked", c.Prefix)
			continue
		}
		interval, known := r.Interval()
		if c.Hits != r.Hits || c.Drops != r.Drops || c.Version != r.Version() || c.Octets != octets[c.Prefix] {
			t.Errorf("record %+v, want hits %d, version %d, octets %d", c, r.Hits, r.Version(), octets[c.Prefix])
		}
		for v := range uint8(4) {
			if r.Versions(v+1) != (c.Versions>>v&1 == 1) {
				t.Errorf("%v: versions %b", c.Prefix, c.Versions)
			}
		}
		if math.IsNaN(c.Interval) == known || known && c.Interval != interval {
			t.Errorf("%v: mean interval 2^%v s, want 2^%v", c.Prefix, c.Interval, interval)
		}
	}
	if n != len(octets) {
		t.Errorf("%d records, want %d", n, len(octets))
	}
}

// TestNoClients: of what is no request to the responder there is no record, answered
// here or not, and of what it would count there is.
func TestNoClients(t *testing.T) {
	b := newBench(t, Config{})
	b.policy(nil, "192.0.2.0/24", "2001:db8:9::/48")
	mode := func(version uint8, m ntp.Mode) func(*frame) {
		return edit(func(p *ntp.Packet) { p.Version, p.Mode = version, m })
	}
	for i, tt := range []struct {
		name   string
		change func(f *frame)
		noted  bool
	}{
		{"request", mode(4, ntp.ModeClient), true},
		{"of version 5", mode(5, ntp.ModeClient), false},
		{"of a peer", mode(4, ntp.ModeActive), true},
		{"of version 1", mode(1, ntp.ModeReserved), true},
		{"reserved mode", mode(2, ntp.ModeReserved), false},
		{"reply to our port 123", mode(4, ntp.ModeServer), false},
		{"reply of a peer", mode(4, ntp.ModePassive), false},
		{"broadcast", mode(4, ntp.ModeBroadcast), false},
		{"control", mode(2, 6), false},
		{"too short", func(f *frame) { f.payload = f.payload[:44] }, false},
		{"odd length", func(f *frame) { f.payload = append(f.payload, 0) }, false},
		{"too long", func(f *frame) { f.payload = append(f.payload, make([]byte, 1140-44)...) }, false},
		{"with fields", func(f *frame) { f.payload = append(f.payload, make([]byte, 28)...) }, true},
		{"for another host", func(f *frame) { f.to = netip.AddrPortFrom(f.to.Addr().Next(), 123) }, false},
		{"in a frame for another", func(f *frame) { f.foreign = true }, false},
		{"wrong checksum", func(f *frame) { f.badChecksum = true }, false},
		{"of nobody allowed", func(f *frame) { f.from = address("198.18.0.1:4000") }, false},
	} {
		for _, serve := range []bool{false, true} {
			b.must(b.Serve("lo", serve))
			f := plain(false)
			f.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(2 * i)}), 4000)
			if serve {
				f.from = netip.AddrPortFrom(f.from.Addr().Next(), 4000)
			}
			tt.change(&f)
			b.publish()
			b.run(f.bytes())
			// Only the socket looks at checksums where nothing is served.
			want := tt.noted || f.badChecksum && !serve
			if got := b.record(netip.PrefixFrom(f.from.Addr(), 32)).Hits > 0; got != want {
				t.Errorf("%s, served %v: noted %v", tt.name, serve, got)
			}
		}
	}
}

// record returns the record of a client, the zero one if there is none.
func (b *bench) record(p netip.Prefix) (found Client) {
	for c := range b.Clients() {
		if c.Prefix == p {
			found = c
		}
	}
	return found
}

// TestChangesUnderLoad: while policies and states are replaced as fast as can be,
// every packet meets one of them, whole.
func TestChangesUnderLoad(t *testing.T) {
	b := newBench(t, Config{})
	b.snap.Precision, b.snap.DispRate = -32, 0
	other := b.snap
	other.Stratum, other.RefID, other.RootDelay = 7, 0x01020304, 0.5
	other.Correction.Offset += 1000
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			snap, rules := &b.snap, "192.0.2.0/24"
			if i%2 == 0 {
				snap, rules = &other, "192.0.0.0/8"
			}
			if err := errors.Join(b.Publish(snap, maxLease, Leads{}), b.SetPolicy(access(rules, "10.0.0.0/8"), nil)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	seen := make(map[uint8]int)
	for i := 0; i < 200_000 && (i < 10_000 || seen[2] == 0 || seen[7] == 0); i++ {
		f := plain(false)
		action, out := b.run(f.bytes())
		if action != xdpTX {
			t.Errorf("packet %d: action %d", i, action)
			break
		}
		var p ntp.Packet
		p.Decode(out[14+28:])
		seen[p.Stratum]++
		want := &b.snap
		if p.Stratum == other.Stratum {
			want = &other
		}
		off := want.Served(wallNow()).Sub(p.Receive.Served())
		if p.Stratum != want.Stratum || p.RefID != want.RefID || p.RootDelay != ntp.ToShort(want.RootDelay) || off < -clock.Second || off > 100*clock.Second {
			t.Errorf("packet %d is answered by a mixture: %+v, %v s off", i, p, off.Seconds())
			break
		}
	}
	close(stop)
	<-done
	if seen[2] == 0 || seen[7] == 0 || len(seen) != 2 {
		t.Errorf("strata %v, want both", seen)
	}
}

// TestClientsAreBounded: whoever was silent for longest gives way.
func TestClientsAreBounded(t *testing.T) {
	b := newBench(t, Config{Clients: 1})
	const n = 100
	for i := range n {
		b.publish()
		b.ask(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		b.ask(netip.MustParseAddr("10.1.1.1")) // asks all the time
		if i < n-1 {
			b.backdate(1 << 22)
		}
	}
	got := make(map[netip.Addr]uint32)
	for c := range b.Clients() {
		got[c.Prefix.Addr()] = c.Hits
	}
	if len(got) != clientWays || got[netip.MustParseAddr("10.1.1.1")] != n {
		t.Errorf("records %v, want %d, of that one of 10.1.1.1 with %d hits", got, clientWays, n)
	}
	for i := n - clientWays + 1; i < n; i++ {
		if got[netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})] != 1 {
			t.Errorf("client %d is forgotten, but older ones are not: %v", i, got)
		}
	}
}

// backdate moves the requests of all clients of the first set by so many ns into
// the past.
func (b *bench) backdate(ns uint32) {
	b.Helper()
	var heads [clientWays * headSize]byte
	_, err := b.clients.ReadAt(heads[:], 0)
	b.must(err)
	for i := range clientWays {
		last := heads[i*headSize+4:]
		binary.LittleEndian.PutUint32(last, binary.LittleEndian.Uint32(last)-ns>>20)
	}
	_, err = b.clients.WriteAt(heads[:], 0)
	b.must(err)
}
