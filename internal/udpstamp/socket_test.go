// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

func TestMain(m *testing.M) {
	before := openFiles()
	keep, err := KeepStamping()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	keep.Close()
	// The Go runtime may have opened its own poller (two descriptors) meanwhile.
	if after := openFiles(); code == 0 && after > before+2 {
		fmt.Fprintf(os.Stderr, "file descriptors leaked: %d before, %d after the tests\n", before, after)
		code = 1
	}
	os.Exit(code)
}

func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// warmUp waits until the kernel stamps arrivals: it begins to from a work queue
// some milliseconds after the first socket asked for stamps.
var warmUp = sync.OnceValue(func() error {
	s, err := OpenServer(Options{Local: loopback4})
	if err != nil {
		return err
	}
	defer s.Close()
	at, err := s.LocalAddr()
	if err != nil {
		return err
	}
	msgs := NewMessages(1, 8)
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(time.Millisecond) {
		if err := s.Send(&Datagram{To: at, Data: []byte("x")}); err != nil {
			return err
		}
		if n, err := s.Recv(msgs); err != nil || n == 1 && msgs[0].Stamp.Kind == clock.StampKernel {
			return err
		}
	}
	return errors.New("the kernel stamped no arrival within 5 s")
})

// counting are the features of a kernel that counts stamped datagrams.
func counting() Features {
	f := Probe()
	f.OwnIDs = false
	return f
}

// pair is a server socket and a client socket connected to it.
type pair struct {
	client, server *Socket
	poller         *Poller
	at             netip.AddrPort
}

func newPair(t *testing.T, ip netip.Addr, f Features) pair {
	t.Helper()
	server, err := openServer(Options{Local: ip, Precision: 1e-7}, f)
	if err != nil {
		if ip.Is6() && errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Skipf("no IPv6 loopback address: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	at, err := server.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	client, err := openClient(at, Options{Precision: 1e-7}, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	for token, s := range []*Socket{client, server} {
		if err := p.Add(s.FD(), uint64(token)); err != nil {
			t.Fatal(err)
		}
	}
	return pair{client, server, p, at}
}

// receive waits for one datagram.
func (p pair) receive(t *testing.T, s *Socket) *Message {
	t.Helper()
	msgs := NewMessages(1, 256)
	for range 100 {
		n, err := s.Recv(msgs)
		if err != nil {
			t.Fatalf("Recv: %v", err)
		}
		if n == 1 {
			return &msgs[0]
		}
		if _, _, err := p.poller.Wait(20 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no datagram in 2 s")
	return nil
}

// transmitted waits for n transmit stamps.
func (p pair) transmitted(t *testing.T, s *Socket, n int) []Tx {
	t.Helper()
	txs, got := make([]Tx, n), 0
	for range 100 {
		k, err := s.RecvTx(txs[got:])
		if err != nil {
			t.Fatalf("RecvTx: %v", err)
		}
		if got += k; got == n {
			return txs
		}
		if _, _, err := p.poller.Wait(20 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%d of %d transmit stamps in 2 s", got, n)
	return nil
}

func send(t *testing.T, s *Socket, d Datagram) {
	t.Helper()
	if err := s.Send(&d); err != nil {
		t.Fatalf("Send(%+v): %v", d, err)
	}
}

// TestCookie: each socket has one of its own, and keeps it.
func TestCookie(t *testing.T) {
	seen := make(map[uint64]bool)
	for range 3 {
		s, err := OpenServer(Options{Local: loopback4})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		n, err := s.Cookie()
		if again, _ := s.Cookie(); err != nil || n == 0 || n != again || seen[n] {
			t.Errorf("cookies %d and %d, %v", n, again, err)
		}
		seen[n] = true
	}
}

func TestExchange(t *testing.T) {
	if !Probe().Stamps {
		t.Skipf("kernel lacks %v", Probe().Missing())
	}
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
			t.Run(ip.String()+" "+name, func(t *testing.T) {
				if name == "own ids" && !f.OwnIDs {
					t.Skip("kernel has no SCM_TS_OPT_ID (6.13)")
				}
				if err := warmUp(); err != nil {
					t.Fatal(err)
				}
				testExchange(t, newPair(t, ip, f))
			})
		}
	}
}

func testExchange(t *testing.T, p pair) {
	before := time.Now().UnixNano()
	send(t, p.client, Datagram{Data: []byte("request"), TxID: 0xdeadbeef})
	req := p.receive(t, p.server)
	if string(req.Data) != "request" || req.Local != p.at.Addr() || req.Iface == 0 || req.Truncated {
		t.Errorf("server received %q at %v on interface %d, want \"request\" at %v", req.Data, req.Local, req.Iface, p.at.Addr())
	}
	if from, err := p.client.LocalAddr(); err != nil || req.From != netip.AddrPortFrom(p.at.Addr(), from.Port()) {
		t.Errorf("server received from %v, want port %v, %v", req.From, from, err)
	}
	send(t, p.server, Datagram{To: req.From, Local: req.Local, Iface: req.Iface, Data: []byte("reply"), TxID: 7})
	reply := p.receive(t, p.client)
	if string(reply.Data) != "reply" || reply.From != p.at || reply.Local != p.at.Addr() {
		t.Errorf("client received %q from %v at %v, want \"reply\" from %v", reply.Data, reply.From, reply.Local, p.at)
	}
	t1 := p.transmitted(t, p.client, 1)[0]
	t3 := p.transmitted(t, p.server, 1)[0]
	if t1.ID != 0xdeadbeef || t3.ID != 7 {
		t.Errorf("transmit stamps of %#x and %#x, want 0xdeadbeef and 0x7", t1.ID, t3.ID)
	}
	after := time.Now().UnixNano()
	last := before
	for i, s := range []clock.Stamp{t1.Stamp, req.Stamp, t3.Stamp, reply.Stamp} {
		if s.Kind != clock.StampKernel || s.Err != 1e-7 {
			t.Errorf("T%d is of kind %v with error %v, want kernel and 1e-7", i+1, s.Kind, s.Err)
		}
		if ns := s.Time.Nanos(); ns < last || ns > after {
			t.Errorf("T%d = %d, want within %d..%d", i+1, ns, last, after)
		}
		last = s.Time.Nanos()
	}
}

func TestIDsMatchSeveralDatagrams(t *testing.T) {
	if !Probe().Stamps {
		t.Skipf("kernel lacks %v", Probe().Missing())
	}
	for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, loopback4, f)
			// Only some are stamped; the ids are neither dense nor ordered.
			want := []uint32{500, 3, 0xffffffff, 42}
			for _, id := range want {
				send(t, p.client, Datagram{Data: []byte("x"), TxID: id})
				send(t, p.client, Datagram{Data: []byte("y")})
			}
			for i, tx := range p.transmitted(t, p.client, len(want)) {
				if tx.ID != want[i] {
					t.Errorf("transmit stamp %d is of id %d, want %d", i, tx.ID, want[i])
				}
			}
			var none [1]Tx
			if n, err := p.client.RecvTx(none[:]); n != 0 || err != nil {
				t.Errorf("RecvTx() = %d, %v with id %d, want no stamp of an unnamed datagram", n, err, none[0].ID)
			}
		})
	}
}

func TestRefusedIsAValue(t *testing.T) {
	for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, loopback4, f)
			p.server.Close()
			msgs := NewMessages(2, 64)
			send(t, p.client, Datagram{Data: []byte("x"), TxID: 1})
			n, err := p.client.Recv(msgs)
			if n != 0 || !errors.Is(err, unix.ECONNREFUSED) || !Transient(err) {
				t.Fatalf("Recv() = %d, %v after an ICMP port unreachable, want ECONNREFUSED", n, err)
			}
			// A pending error must not cost the next datagram.
			send(t, p.client, Datagram{Data: []byte("x"), TxID: 2})
			again, err := openServer(Options{Local: p.at.Addr(), Port: p.at.Port()}, f)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			send(t, p.client, Datagram{Data: []byte("second"), TxID: 3})
			if m := p.receive(t, again); string(m.Data) != "second" {
				t.Errorf("received %q, want \"second\"", m.Data)
			}
			if !f.Stamps {
				return
			}
			var last uint32
			for last != 3 {
				last = p.transmitted(t, p.client, 1)[0].ID
			}
		})
	}
}

func TestCountRestartsAfterFailure(t *testing.T) {
	f := counting()
	if !f.Stamps {
		t.Skip("kernel does not stamp")
	}
	p := newPair(t, loopback4, f)
	send(t, p.client, Datagram{Data: []byte("x"), TxID: 10})
	p.transmitted(t, p.client, 1)
	err := p.client.Send(&Datagram{Data: make([]byte, 70000), TxID: 11})
	if !errors.Is(err, unix.EMSGSIZE) || !Transient(err) {
		t.Fatalf("Send of 70000 octets = %v, want EMSGSIZE", err)
	}
	send(t, p.client, Datagram{Data: []byte("x"), TxID: 12})
	if tx := p.transmitted(t, p.client, 1)[0]; tx.ID != 12 {
		t.Errorf("transmit stamp of id %d after a failed one, want 12", tx.ID)
	}
}

func TestDaemonStamps(t *testing.T) {
	p := newPair(t, loopback4, Features{})
	before := time.Now().UnixNano()
	send(t, p.client, Datagram{Data: []byte("x"), TxID: 9})
	m := p.receive(t, p.server)
	if ns := m.Stamp.Time.Nanos(); m.Stamp.Kind != clock.StampDaemon || ns < before || ns > time.Now().UnixNano() {
		t.Errorf("stamp without kernel support = %+v, want kind daemon, after %d", m.Stamp, before)
	}
	var txs [1]Tx
	if n, err := p.client.RecvTx(txs[:]); n != 0 || err != nil {
		t.Errorf("RecvTx() = %d, %v, want nothing", n, err)
	}
}

func TestTruncated(t *testing.T) {
	p := newPair(t, loopback4, Probe())
	send(t, p.client, Datagram{Data: bytes.Repeat([]byte("z"), 300)})
	if m := p.receive(t, p.server); !m.Truncated || len(m.Data) != 256 {
		t.Errorf("300 octets into 256: Truncated = %v, %d octets", m.Truncated, len(m.Data))
	}
}

func TestPktinfoChoosesSource(t *testing.T) {
	// All of 127.0.0.0/8 is local: a server at the unspecified address must
	// answer from the address that was asked.
	server, err := OpenServer(Options{Local: netip.IPv4Unspecified()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at, err := server.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	asked := netip.MustParseAddr("127.9.8.7")
	client, err := OpenClient(netip.AddrPortFrom(asked, at.Port()), Options{Local: netip.MustParseAddr("127.1.2.3"), DSCP: 46})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p := pair{client: client, server: server}
	if p.poller, err = NewPoller(); err != nil {
		t.Fatal(err)
	}
	defer p.poller.Close()
	for _, s := range []*Socket{client, server} {
		if err := p.poller.Add(s.FD(), 1); err != nil {
			t.Fatal(err)
		}
	}
	send(t, client, Datagram{Data: []byte("q")})
	q := p.receive(t, server)
	if q.Local != asked || q.From.Addr() != netip.MustParseAddr("127.1.2.3") {
		t.Errorf("request from %v to %v, want from 127.1.2.3 to %v", q.From, q.Local, asked)
	}
	// A connected client drops what comes from any other address.
	send(t, server, Datagram{To: q.From, Data: []byte("wrong source")})
	send(t, server, Datagram{To: q.From, Local: q.Local, Data: []byte("right source")})
	if m := p.receive(t, client); string(m.Data) != "right source" {
		t.Errorf("client received %q, want only the answer from %v", m.Data, asked)
	}
	if tos, err := unix.GetsockoptInt(client.FD(), unix.SOL_IP, unix.IP_TOS); err != nil || tos != 46<<2 {
		t.Errorf("IP_TOS = %#x, %v, want %#x", tos, err, 46<<2)
	}
}

func TestLinkLocalZone(t *testing.T) {
	ip, ok := linkLocal()
	if !ok {
		t.Skip("no interface with a link-local IPv6 address")
	}
	server, err := OpenServer(Options{Local: netip.IPv6Unspecified()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at, err := server.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	client, err := OpenClient(netip.AddrPortFrom(ip, at.Port()), Options{Local: ip})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	msgs := NewMessages(1, 64)
	q, r := Datagram{Data: []byte("q")}, Datagram{Local: ip, Data: []byte("r")}
	exchange := func() {
		if err := client.Send(&q); err != nil {
			t.Fatal(err)
		}
		if n, err := server.Recv(msgs); n != 1 || err != nil {
			t.Fatalf("Recv() = %d, %v", n, err)
		}
		if msgs[0].From.Addr() != ip {
			t.Fatalf("received from %v, want %v", msgs[0].From, ip)
		}
		r.To = msgs[0].From
		if err := server.Send(&r); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Recv(msgs); n != 1 || err != nil {
			t.Fatalf("client Recv() = %d, %v", n, err)
		}
	}
	exchange()
	if raceEnabled {
		return
	}
	if n := testing.AllocsPerRun(1, func() {
		for range 1000 {
			exchange()
		}
	}); n != 0 {
		t.Errorf("1000 exchanges with a zone allocate %v times, want 0", n)
	}
}

// linkLocal returns one of the machine's own link-local addresses. Datagrams to
// it stay on the machine.
func linkLocal() (netip.Addr, bool) {
	list, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, ifi := range list {
		addrs, err := ifi.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				return p.Addr().WithZone(ifi.Name), true
			}
		}
	}
	return netip.Addr{}, false
}
