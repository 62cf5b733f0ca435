// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"foliot/internal/clock"
)

// batchLab is a batch of a server socket and a client of it.
type batchLab struct {
	t      *testing.T
	server *Socket
	client *Socket
	batch  *Batch
	at     netip.AddrPort
	msgs   []Message
}

func newBatchLab(t *testing.T, ip netip.Addr, f Features, n, size int) *batchLab {
	t.Helper()
	if err := warmUp(); err != nil {
		t.Fatal(err)
	}
	l := &batchLab{t: t, msgs: NewMessages(n, 256)}
	var err error
	if l.server, err = openServer(Options{Local: ip}, f); err != nil {
		t.Skipf("no socket at %s: %v", ip, err)
	}
	t.Cleanup(func() { l.server.Close() })
	if l.at, err = l.server.LocalAddr(); err != nil {
		t.Fatal(err)
	}
	if l.client, err = OpenClient(l.at, Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.client.Close() })
	l.batch = NewBatch(l.server, n, size)
	return l
}

func (l *batchLab) send(texts ...string) {
	l.t.Helper()
	for _, text := range texts {
		if err := l.client.Send(&Datagram{Data: []byte(text)}); err != nil {
			l.t.Fatal(err)
		}
	}
}

// stamps reads n transmit stamps of the server's socket.
func (l *batchLab) stamps(n int) []Tx {
	l.t.Helper()
	txs := make([]Tx, 64)
	got := 0
	for begin := time.Now(); got < n && time.Since(begin) < 2*time.Second; {
		k, err := l.batch.RecvTx(txs[got:])
		if err != nil {
			l.t.Fatal(err)
		}
		got += k
	}
	return txs[:got]
}

// TestBatch answers some of the requests, and asks when some answers left.
func TestBatch(t *testing.T) {
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
			t.Run(ip.String()+" "+name, func(t *testing.T) {
				l := newBatchLab(t, ip, f, 8, 16)
				if msgs, err := l.batch.Recv(); len(msgs) != 0 || err != nil {
					t.Fatalf("nothing was sent: %d messages, %v", len(msgs), err)
				}
				l.send("one", "two", "three", "longer than 16 octets", "five")
				before := wallNow()
				msgs, err := l.batch.Recv()
				if err != nil || len(msgs) != 5 {
					t.Fatalf("%d messages, %v, want 5", len(msgs), err)
				}
				for i, want := range []string{"one", "two", "three", "longer than 16 o", "five"} {
					m := &msgs[i]
					if string(m.Data) != want || m.Truncated != (i == 3) || m.Local != ip || m.Iface == 0 {
						t.Errorf("message %d: %q, truncated %v, at %v, interface %d", i, m.Data, m.Truncated, m.Local, m.Iface)
					}
					if from, _ := l.client.LocalAddr(); m.From != from {
						t.Errorf("message %d is from %v, want %v", i, m.From, from)
					}
					if age := before.Sub(m.Stamp.Time); m.Stamp.Kind != clock.StampKernel || age < 0 || age > clock.Second {
						t.Errorf("message %d: stamp %+v, %v before it was read", i, m.Stamp, age)
					}
				}
				copy(msgs[0].Data, "ONE")
				l.batch.Answer(0, 3, 7)
				l.batch.Answer(2, 2, 0)
				l.batch.Answer(4, 4, 9)
				if n, err := l.batch.Flush(); n != 3 || err != nil {
					t.Fatalf("%d answers sent, %v, want 3", n, err)
				}
				after := wallNow()
				n, err := l.client.Recv(l.msgs)
				if n != 3 || err != nil {
					t.Fatalf("%d answers, %v, want 3", n, err)
				}
				for i, want := range []string{"ONE", "th", "five"} {
					if string(l.msgs[i].Data) != want {
						t.Errorf("answer %d is %q, want %q", i, l.msgs[i].Data, want)
					}
				}
				txs := l.stamps(2)
				if len(txs) != 2 || txs[0].ID != 7 || txs[1].ID != 9 {
					t.Fatalf("transmit stamps %+v, want those of 7 and 9", txs)
				}
				for _, tx := range txs {
					if tx.Stamp.Kind != clock.StampKernel || tx.Stamp.Time.Before(before) || tx.Stamp.Time.After(after) {
						t.Errorf("answer %d left at %+v, want between %v and %v", tx.ID, tx.Stamp, before, after)
					}
				}
				if n, err := l.batch.Flush(); n != 0 || err != nil {
					t.Errorf("an empty flush sends %d, %v", n, err)
				}
			})
		}
	}
}

func wallNow() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }

// TestBatchForgets: what was queued and not flushed is gone with the next batch.
func TestBatchForgets(t *testing.T) {
	l := newBatchLab(t, loopback4, Probe(), 4, 16)
	l.send("first")
	l.batch.Recv()
	l.batch.Answer(0, 5, 0)
	l.send("second")
	if msgs, err := l.batch.Recv(); err != nil || len(msgs) != 1 {
		t.Fatalf("%d messages, %v", len(msgs), err)
	}
	l.batch.Answer(0, 6, 0)
	l.batch.Flush()
	if n, err := l.client.Recv(l.msgs); err != nil || n != 1 || string(l.msgs[0].Data) != "second" {
		t.Errorf("%d answers, %v, the first %q; want the second alone", n, err, l.msgs[0].Data)
	}
}

// TestBatchGoesOn: an answer that cannot be sent does not keep the others.
func TestBatchGoesOn(t *testing.T) {
	for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
		t.Run(name, func(t *testing.T) {
			l := newBatchLab(t, loopback4, f, 4, 16)
			l.send("one", "two", "three")
			msgs, err := l.batch.Recv()
			if err != nil || len(msgs) != 3 {
				t.Fatalf("%d messages, %v", len(msgs), err)
			}
			msgs[1].Local = netip.MustParseAddr("192.0.2.1") // not an address of ours
			for i := range msgs {
				l.batch.Answer(i, len(msgs[i].Data), uint32(i+1))
			}
			if n, err := l.batch.Flush(); n != 2 || err == nil {
				t.Errorf("%d answers sent, %v, want 2 and an error", n, err)
			}
			if n, _ := l.client.Recv(l.msgs); n != 2 || !bytes.Equal(l.msgs[1].Data, []byte("three")) {
				t.Errorf("%d answers, want the first and the third", n)
			}
			if txs := l.stamps(1); len(txs) == 0 || txs[len(txs)-1].ID != 3 {
				t.Errorf("transmit stamps %+v, want the last to be of 3", txs)
			}
		})
	}
}

// TestBatchOtherInterface: where the interface of the request has no way to its
// sender, the answer takes the route's.
func TestBatchOtherInterface(t *testing.T) {
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		l := newBatchLab(t, ip, Probe(), 4, 16)
		l.send("one")
		msgs, err := l.batch.Recv()
		if err != nil || len(msgs) != 1 {
			t.Fatalf("%d messages, %v", len(msgs), err)
		}
		msgs[0].Iface = 1 << 20 // there is none such
		l.batch.Answer(0, 3, 0)
		if n, err := l.batch.Flush(); n != 1 || err != nil {
			t.Errorf("%s: %d answers sent, %v, want 1", ip, n, err)
		}
		if n, err := l.client.Recv(l.msgs); n != 1 || err != nil {
			t.Errorf("%s: %d answers arrived, %v, want 1", ip, n, err)
		}
	}
}

// TestSteer: what comes from one address reaches one socket, whatever the port,
// and many addresses are spread evenly.
func TestSteer(t *testing.T) {
	const sockets, clients = 4, 200
	for _, key := range []uint64{0, 1, 0xdeadbeefcafef00d} {
		group := openGroup(t, loopback4, sockets, key)
		at, err := group[0].LocalAddr()
		if err != nil {
			t.Fatal(err)
		}
		for i := range clients {
			local := netip.AddrFrom4([4]byte{127, 0, byte(1 + i>>8), byte(i)})
			for range 3 {
				c, err := OpenClient(at, Options{Local: local})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Send(&Datagram{Data: []byte(local.String())}); err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
		}
		where := make(map[string]int)
		for i, s := range group {
			msgs := NewMessages(3*clients, 32)
			n, err := s.Recv(msgs)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range msgs[:n] {
				if before, ok := where[string(m.Data)]; ok && before != i {
					t.Errorf("key %#x: %s reaches sockets %d and %d", key, m.Data, before, i)
				}
				where[string(m.Data)] = i
			}
			// Evenly is 150; 99.99 % of random keys are within 5 deviations.
			if n < 60 || n > 270 {
				t.Errorf("key %#x: socket %d got %d of %d", key, i, n, 3*clients)
			}
		}
		if len(where) != clients {
			t.Errorf("key %#x: %d of %d clients arrived", key, len(where), clients)
		}
	}
}

// openGroup opens a group at a port that is free.
func openGroup(t *testing.T, ip netip.Addr, n int, key uint64) []*Socket {
	t.Helper()
	for range 20 {
		probe, err := OpenServer(Options{Local: ip})
		if err != nil {
			t.Fatal(err)
		}
		at, err := probe.LocalAddr()
		probe.Close()
		if err != nil {
			t.Fatal(err)
		}
		group, _, err := OpenGroup(Options{Local: ip, Port: at.Port(), RecvBuffer: 1 << 20}, n, key)
		if err == nil {
			t.Cleanup(func() {
				for _, s := range group {
					s.Close()
				}
			})
			if len(group) != n {
				t.Fatalf("%d sockets, want %d: the kernel does not steer", len(group), n)
			}
			return group
		}
	}
	t.Fatal("no free port")
	return nil
}

// TestSteering checks the programs for what the kernel refuses, and that a key
// makes a difference.
func TestSteering(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		a, b := steering(v6, 4, 1), steering(v6, 4, 2)
		if fmt.Sprint(a) == fmt.Sprint(b) {
			t.Errorf("IPv6 %v: the program does not depend on the key", v6)
		}
	}
}

// TestSteerIPv6: all that can be seen on the loopback's one address is that the
// kernel takes the program, and delivers.
func TestSteerIPv6(t *testing.T) {
	group := openGroup(t, loopback6, 3, 5)
	at, err := group[0].LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c, err := OpenClient(at, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(&Datagram{Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	var got []int
	for _, s := range group {
		n, err := s.Recv(NewMessages(20, 8))
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			got = append(got, n)
		}
	}
	if len(got) != 1 || got[0] != 10 {
		t.Errorf("sockets got %v datagrams of one address, want one of them 10", got)
	}
}

// TestGroupIsAlone: a port that another socket has is refused, even one that
// would share it; the sockets of a group may then be joined by connected ones.
func TestGroupIsAlone(t *testing.T) {
	group := openGroup(t, loopback4, 2, 1)
	at, err := group[0].LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	if more, _, err := OpenGroup(Options{Local: loopback4, Port: at.Port()}, 2, 1); !errors.Is(err, syscall.EADDRINUSE) {
		closeAll(more)
		t.Errorf("a second group at one port: %v, want EADDRINUSE", err)
	}
	c, err := OpenClient(netip.AddrPortFrom(loopback4, 9), Options{Local: loopback4, Port: at.Port()})
	if err != nil {
		t.Fatalf("a connected socket beside a group: %v", err)
	}
	c.Close()
}

// TestDrops: the kernel counts what finds the buffer full.
func TestDrops(t *testing.T) {
	l := newBatchLab(t, loopback4, Probe(), 4, 16)
	if n, err := l.server.Drops(); n != 0 || err != nil {
		t.Fatalf("%d drops at first, %v", n, err)
	}
	const sent = 5000
	for range sent {
		l.send("x")
	}
	dropped, err := l.server.Drops()
	if err != nil {
		t.Fatal(err)
	}
	kept := uint64(0)
	for {
		msgs, err := l.batch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(msgs) == 0 {
			break
		}
		kept += uint64(len(msgs))
	}
	if dropped == 0 || kept+dropped != sent {
		t.Errorf("%d kept and %d dropped of %d", kept, dropped, sent)
	}
}

func TestBatchNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
			l := newBatchLab(t, ip, f, 8, 64)
			q := Datagram{Data: make([]byte, 48)}
			txs := make([]Tx, 8)
			answers, stamps := 0, 0
			n := testing.AllocsPerRun(1, func() {
				for i := range 10000 {
					if err := l.client.Send(&q); err != nil {
						t.Fatal(err)
					}
					msgs, err := l.batch.Recv()
					if err != nil {
						t.Fatal(err)
					}
					for j := range msgs {
						l.batch.Answer(j, len(msgs[j].Data), uint32(i+1))
					}
					if _, err := l.batch.Flush(); err != nil {
						t.Fatal(err)
					}
					k, err := l.batch.RecvTx(txs)
					if err != nil {
						t.Fatal(err)
					}
					stamps += k
					k, err = l.client.Recv(l.msgs)
					if err != nil {
						t.Fatal(err)
					}
					answers += k
				}
			})
			if n != 0 {
				t.Errorf("%s, %s: 10000 exchanges allocate %v times, want 0", ip, name, n)
			}
			if answers < 19990 || stamps < 19900 {
				t.Errorf("%s, %s: %d answers and %d stamps in 20000 exchanges", ip, name, answers, stamps)
			}
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	server, err := OpenServer(Options{Local: loopback4, RecvBuffer: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	at, err := server.LocalAddr()
	if err != nil {
		b.Fatal(err)
	}
	client, err := OpenClient(at, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	batch := NewBatch(server, 64, 64)
	q := Datagram{Data: make([]byte, 48)}
	in := NewMessages(64, 64)
	b.ReportAllocs()
	for b.Loop() {
		for range 64 {
			if err := client.Send(&q); err != nil {
				b.Fatal(err)
			}
		}
		msgs, err := batch.Recv()
		if err != nil {
			b.Fatal(err)
		}
		for j := range msgs {
			batch.Answer(j, 48, 0)
		}
		batch.Flush()
		client.Recv(in)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/exchange")
}

// TestTalkerCounts: a second socket takes no stamps away from the first, nor, where
// the kernel counts, makes it take one answer's for another's.
func TestTalkerCounts(t *testing.T) {
	for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
		t.Run(name, func(t *testing.T) {
			l := newBatchLab(t, loopback4, f, 4, 64)
			talker, err := l.server.Talker()
			if err != nil {
				t.Fatal(err)
			}
			defer talker.Close()
			from, err := l.client.LocalAddr()
			if err != nil {
				t.Fatal(err)
			}
			if err := talker.Send(&Datagram{To: from, Data: []byte("aside"), TxID: 77}); err != nil {
				t.Fatal(err)
			}
			l.send("one")
			if msgs, err := l.batch.Recv(); len(msgs) != 1 || err != nil {
				t.Fatalf("%d messages, %v, want 1", len(msgs), err)
			}
			l.batch.Answer(0, 3, 5)
			if sent, err := l.batch.Flush(); sent != 1 || err != nil {
				t.Fatalf("sent %d, %v", sent, err)
			}
			if txs := l.stamps(1); len(txs) != 1 || txs[0].ID != 5 {
				t.Errorf("stamps %+v, want one of 5", txs)
			}
		})
	}
}
