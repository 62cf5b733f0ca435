// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/udpstamp"
)

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
	everybody = responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
)

// bench is a pool that serves on the loopback interface.
type bench struct {
	*testing.T
	pool *Pool
	port uint16
}

func newBench(t *testing.T, threads int, addrs ...netip.Addr) *bench {
	t.Helper()
	for range 20 {
		port := freePort(t)
		p := NewPool(Config{
			Socket:  udpstamp.Options{Port: port, RecvBuffer: 1 << 20, Precision: 1e-9},
			Threads: threads, Stamps: 256, Log: 1 << 16, Seed: [32]byte{1},
		})
		open := true
		for _, a := range addrs {
			if err := p.Open(a); err != nil {
				t.Logf("port %d: %v", port, err)
				open = false
			}
		}
		if !open {
			p.Close()
			continue
		}
		t.Cleanup(p.Close)
		p.Publish(responder.Snapshot{Stratum: 3, RefID: 0xc0000207, Precision: -25})
		p.Enact(everybody)
		p.Start()
		return &bench{t, p, port}
	}
	t.Fatal("no free port")
	return nil
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	s, err := udpstamp.OpenServer(udpstamp.Options{Local: loopback4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at, err := s.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	return at.Port()
}

// client is one that asks the pool.
type client struct {
	b    *bench
	sock *udpstamp.Socket
	msgs []udpstamp.Message
	buf  []byte
	last ntp.Packet // the last answer
	n    uint64
}

// client returns a client that asks to from the address local, invalid for any.
func (b *bench) client(to, local netip.Addr) *client {
	b.Helper()
	sock, err := udpstamp.OpenClient(netip.AddrPortFrom(to, b.port), udpstamp.Options{Local: local, RecvBuffer: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sock.Close() })
	return &client{b: b, sock: sock, msgs: udpstamp.NewMessages(64, 2048), buf: make([]byte, 0, 2048)}
}

func (c *client) send(data []byte) {
	c.b.Helper()
	if err := c.sock.Send(&udpstamp.Datagram{Data: data}); err != nil {
		c.b.Fatal(err)
	}
}

// recv waits for an answer, nil if there is none.
func (c *client) recv(wait time.Duration) []byte {
	c.b.Helper()
	for begin := time.Now(); time.Since(begin) < wait; runtime.Gosched() {
		n, err := c.sock.Recv(c.msgs[:1])
		if err != nil {
			c.b.Fatal(err)
		}
		if n == 1 {
			return c.msgs[0].Data
		}
	}
	return nil
}

// ask sends a request and decodes the answer to it.
func (c *client) ask(q ntp.Packet) bool {
	c.b.Helper()
	c.n++
	q.Version, q.Mode, q.Transmit = 4, ntp.ModeClient, ntp.Timestamp(c.n<<20|1)
	c.send(q.AppendTo(c.buf))
	b := c.recv(5 * time.Second)
	return b != nil && c.last.Decode(b) && (c.last.Origin == q.Transmit || c.last.Origin == q.Receive && q.Receive != 0)
}

func TestAnswers(t *testing.T) {
	b := newBench(t, 2, loopback4, loopback6)
	if n := b.pool.Threads(); n != 4 || b.pool.Refused() != nil {
		t.Errorf("%d threads, %v, want 4", n, b.pool.Refused())
	}
	for _, to := range []netip.Addr{loopback4, loopback6} {
		c := b.client(to, netip.Addr{})
		before := wallNow()
		if !c.ask(ntp.Packet{}) {
			t.Fatalf("%s does not answer", to)
		}
		after := wallNow()
		p := &c.last
		if p.Stratum != 3 || p.RefID != 0xc0000207 || p.Precision != -25 || p.Mode != ntp.ModeServer {
			t.Errorf("%s answers %+v, not what was published", to, p)
		}
		rx, tx := p.Receive.Wall(), p.Transmit.Wall()
		if rx.Before(before) || tx.Before(rx) || tx.After(after.Add(clock.Millisecond)) {
			t.Errorf("%s: received %v and sent %v, between %v and %v", to, rx, tx, before, after)
		}
		if from := c.msgs[0].From; from.Addr() != to {
			t.Errorf("the answer is from %v, want %v", from, to)
		}
	}
	b.pool.Publish(responder.Snapshot{Stratum: 9, Precision: -25})
	if c := b.client(loopback4, netip.Addr{}); !c.ask(ntp.Packet{}) || c.last.Stratum != 9 {
		t.Errorf("stratum %d after another snapshot was published, want 9", c.last.Stratum)
	}
	r := b.pool.Report()
	if all, v6 := r.Verdicts[responder.Answer], r.V6[responder.Answer]; all != 3 || v6 != 1 {
		t.Errorf("%d answers, %d of them over IPv6, want 3 and 1", all, v6)
	}
	stays := uint64(0)
	for _, n := range r.Residence.Buckets {
		stays += n
	}
	if mean := r.Residence.Sum / 3; stays != 3-r.DaemonRx || mean <= 0 || mean > clock.Second {
		t.Errorf("%d stays of %d ns on average, want 3 of less than a second", stays, mean)
	}
}

// TestCounts: what is sent is counted exactly once, by reason, over all workers.
func TestCounts(t *testing.T) {
	b := newBench(t, 3, loopback4)
	var q ntp.Packet
	q.Version, q.Mode = 4, ntp.ModeClient
	good := q.AppendTo(nil)
	q.Mode = ntp.ModeServer
	reply := q.AppendTo(nil)
	const clients = 40
	for i := range clients {
		c := b.client(loopback4, netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}))
		c.send(good)
		c.send(good[:40])
		c.send(make([]byte, 1500))
		c.send(reply)
		if c.recv(5*time.Second) == nil {
			t.Fatalf("client %d gets no answer", i)
		}
	}
	b.pool.Enact(responder.Policy{})
	c := b.client(loopback4, netip.Addr{})
	c.send(good)
	if c.recv(50*time.Millisecond) != nil {
		t.Error("a client gets an answer after access was withdrawn")
	}
	r := b.pool.Report()
	for v, want := range map[responder.Verdict]uint64{
		responder.Answer: clients, responder.BadLength: 2 * clients, responder.BadMode: clients, responder.Denied: 1,
	} {
		if r.Verdicts[v] != want {
			t.Errorf("%v: counted %d, want %d", v, r.Verdicts[v], want)
		}
	}
	if r.Answered() != clients || r.Refused() != 3*clients+1 || r.Unsent != 0 || r.Dropped != 0 || r.Versions[3] != clients {
		t.Errorf("report %+v", r)
	}
	records, total := b.pool.Clients(2 * clients)
	if some, n := b.pool.Clients(3); len(some) != 3 || n != clients || total != clients {
		t.Errorf("%d of %d clients, then all %d, want 3 of %d", len(some), n, total, clients)
	}
	seen := make(map[clientlog.Prefix]bool)
	for i := range records {
		if seen[records[i].Prefix] || records[i].Hits != 1 {
			t.Errorf("client %v has %d hits", records[i].Prefix.Netip(), records[i].Hits)
		}
		seen[records[i].Prefix] = true
	}
	if len(seen) != clients {
		t.Errorf("%d clients are remembered, want %d", len(seen), clients)
	}
}

// TestRanking: from whatever order the busiest come first, and never more than are
// asked for.
func TestRanking(t *testing.T) {
	r := ranking{n: 5}
	for seed := range uint64(20) {
		table := clientlog.New(1<<14, clientlog.HashKey{seed, 1})
		for i := range 100 {
			who := clientlog.PrefixOf(netip.AddrFrom4([4]byte{10, 0, byte(seed), byte(i)}))
			for range (i*37+int(seed))%100 + 1 {
				table.Hit(who, clock.At[clock.Realtime](1e18), 4, nil, nil)
			}
		}
		for from := 0; from < table.Slots(); from += 16 {
			r.take(table, from, min(from+16, table.Slots()))
			r.cut()
		}
	}
	if len(r.list) != 5 || r.total != 2000 {
		t.Fatalf("%d of %d clients, want 5 of 2000", len(r.list), r.total)
	}
	for i := range r.list {
		if r.list[i].Hits != 100 {
			t.Errorf("place %d has %d requests, want 100", i, r.list[i].Hits)
		}
	}
}

// TestOccupied: where another pool serves none may share.
func TestOccupied(t *testing.T) {
	b := newBench(t, 1, loopback4)
	p := NewPool(b.pool.cfg)
	defer p.Close()
	for _, a := range []netip.Addr{loopback4, netip.IPv4Unspecified()} {
		if err := p.Open(a); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("open %s beside another pool: %v, want address already in use", a, err)
		}
	}
	if err := p.Open(netip.MustParseAddr("127.0.0.2")); err != nil {
		t.Error(err)
	}
	if err := b.pool.Open(netip.MustParseAddr("127.0.0.3")); err != nil {
		t.Error(err)
	}
}

// TestInterleaved: from the third answer on, each tells when the kernel sent the
// one before.
func TestInterleaved(t *testing.T) {
	b := newBench(t, 2, loopback4)
	c := b.client(loopback4, netip.Addr{})
	var arrived clock.Wall
	var sent ntp.Timestamp
	for i := range 20 {
		q := ntp.Packet{}
		if i > 0 {
			q.Origin, q.Receive = c.last.Receive, ntp.Timestamp(i<<40|2)
		}
		before, told := arrived, sent
		if !c.ask(q) {
			t.Fatalf("no answer to request %d", i)
		}
		arrived, sent = c.msgs[0].Stamp.Time, c.last.Transmit
		if i < 2 {
			continue
		}
		if c.last.Origin != q.Receive {
			t.Fatalf("answer %d is not interleaved", i)
		}
		// On the loopback interface the kernel stamps the departure a moment
		// before the arrival.
		if early := before.Sub(c.last.Transmit.Wall()); early < 0 || early > clock.Millisecond {
			t.Errorf("answer %d: the one before arrived %v ns after it left (%v told then)", i, int64(early), told)
		}
	}
	if r := b.pool.Report(); r.Interleaved < 18 || r.TrueTx != r.Interleaved || r.Stamps != 1 {
		t.Errorf("%d interleaved answers, %d with the kernel's stamp, %d stamps held", r.Interleaved, r.TrueTx, r.Stamps)
	}
}

// TestRateLimit: a client that floods is limited exactly, whatever ports it has.
func TestRateLimit(t *testing.T) {
	b := newBench(t, 4, loopback4)
	p := everybody
	p.Limit = clientlog.NewLimit(12, 5, 4, 0)
	b.pool.Enact(p)
	var q ntp.Packet
	q.Version, q.Mode = 4, ntp.ModeClient
	const requests = 200
	for range requests {
		b.client(loopback4, netip.AddrFrom4([4]byte{127, 0, 2, 1})).send(q.AppendTo(nil))
	}
	var r Report
	for range 100 {
		if r = b.pool.Report(); r.Answered()+r.Refused() == requests {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	// 5 of the burst, and about 195/16 that leak; 40 is 8 deviations above.
	if n := r.Answered(); n < 5 || n > 45 || r.Verdicts[responder.Limited] != requests-n {
		t.Errorf("%d of %d answered, %d limited", n, requests, r.Verdicts[responder.Limited])
	}
	if records, _ := b.pool.Clients(1 << 20); len(records) != 1 || records[0].Hits != requests || records[0].Drops != uint32(requests-r.Answered()) {
		t.Errorf("records %+v", records)
	}
}

// TestFlood closes a pool and asks it while it is flooded.
func TestFlood(t *testing.T) {
	b := newBench(t, 2, loopback4)
	var stop atomic.Bool
	var wg sync.WaitGroup
	var q ntp.Packet
	q.Version, q.Mode = 4, ntp.ModeClient
	for i := range 2 {
		c := b.client(loopback4, netip.AddrFrom4([4]byte{127, 0, 3, byte(i)}))
		data := q.AppendTo(nil)
		wg.Go(func() {
			for !stop.Load() {
				c.sock.Send(&udpstamp.Datagram{Data: data}) // a full buffer is no failure here
				c.sock.Recv(c.msgs)
			}
		})
	}
	// The flood is there once the first of it is answered.
	var r Report
	for end := time.Now().Add(10 * time.Second); r.Answered() == 0 && time.Now().Before(end); r = b.pool.Report() {
		time.Sleep(time.Millisecond)
	}
	longest := time.Duration(0)
	for range 50 {
		begin := time.Now()
		b.pool.Report()
		b.pool.Publish(responder.Snapshot{Stratum: 1, Precision: -25})
		b.pool.Enact(everybody)
		longest = max(longest, time.Since(begin))
	}
	r = b.pool.Report()
	b.pool.Close()
	b.pool.Close()
	stop.Store(true)
	wg.Wait()
	t.Logf("%d answers; the slowest report took %v", r.Answered(), longest)
	if r.Answered() == 0 || longest > time.Second {
		t.Errorf("%d answers, the slowest report took %v", r.Answered(), longest)
	}
}

// TestWorkerNoAllocations lets a worker answer 10,000 requests, every other in
// interleaved mode, and counts what the whole program allocates.
func TestWorkerNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := newBench(t, 1, loopback4)
	c := b.client(loopback4, netip.Addr{})
	var q ntp.Packet
	ask := func() {
		for i := range 5000 {
			c.ask(ntp.Packet{})
			q.Origin, q.Receive = c.last.Receive, ntp.Timestamp(i<<8|2)
			if !c.ask(q) {
				t.Fatal("no answer")
			}
		}
	}
	ask()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ask()
	runtime.ReadMemStats(&after)
	// The runtime's own timers and threads take a few.
	if n := after.Mallocs - before.Mallocs; n > 100 {
		t.Errorf("%d allocations in 10,000 requests, want none", n)
	}
}

// TestLinks: where answers leave from.
func TestLinks(t *testing.T) {
	l := links{list: []link{
		{2, netip.MustParsePrefix("192.0.2.0/24")}, {3, netip.MustParsePrefix("198.51.100.0/25")},
		{3, netip.MustParsePrefix("2001:db8::/64")},
	}}
	const ours, ours6 = "192.0.2.1", "2001:db8::1"
	for _, tt := range []struct {
		sole, addr, local string
		iface             int
		wantLocal         string // "" for the kernel's choice
		want              int
	}{
		{"", "192.0.2.7", ours, 2, ours, 2}, {"", "192.0.2.7", ours, 3, ours, 0}, {"", "198.51.100.9", ours, 3, ours, 3},
		{"", "203.0.113.1", ours, 2, ours, 0}, {"", "203.0.113.1", ours, 9, ours, 0},
		{"", "2001:db8::7", ours6, 3, ours6, 3}, {"", "2001:db8::7", ours6, 2, ours6, 0},
		{"", "fe80::1%eth0", "fe80::2", 5, "fe80::2", 5}, {"", "169.254.1.1", ours, 4, ours, 4},
		{ours, "192.0.2.7", ours, 2, "", 0}, {ours, "203.0.113.1", ours, 2, "", 0},
		{ours, "192.0.2.7", "127.0.0.1", 1, "127.0.0.1", 0}, {ours, "192.0.2.7", "192.0.2.2", 2, "192.0.2.2", 2},
		{ours, "169.254.1.1", ours, 4, ours, 4}, {ours, "2001:db8::7", ours6, 3, ours6, 3},
	} {
		l.sole = netip.Addr{}
		if tt.sole != "" {
			l.sole = netip.MustParseAddr(tt.sole)
		}
		local, iface := l.from(netip.MustParseAddr(tt.addr), netip.MustParseAddr(tt.local), tt.iface)
		if want := tt.wantLocal; iface != tt.want || local.IsValid() != (want != "") || want != "" && local.String() != want {
			t.Errorf("%+v: the answer leaves from %v by interface %d", tt, local, iface)
		}
	}
	if local, _ := l.from(netip.MustParseAddr("192.0.2.7"), netip.Addr{}, 2); local.IsValid() {
		t.Errorf("a request to an unknown address is answered from %v", local)
	}
	if len(readLinks().list) == 0 {
		t.Error("the machine is on no network, not even its own loopback")
	}
}
