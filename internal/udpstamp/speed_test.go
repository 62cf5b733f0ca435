// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		for name, f := range map[string]Features{"own ids": Probe(), "counted": counting()} {
			t.Run(ip.String()+" "+name, func(t *testing.T) {
				p := newPair(t, ip, f)
				msgs, txs := NewMessages(4, 128), make([]Tx, 4)
				q := Datagram{Data: make([]byte, 48), TxID: 1}
				r := Datagram{Data: make([]byte, 48)}
				var got, stamps int
				exchange := func() {
					if err := p.client.Send(&q); err != nil {
						t.Fatal(err)
					}
					q.TxID++
					n, err := p.server.Recv(msgs)
					if err != nil {
						t.Fatal(err)
					}
					for i := range n {
						r.To, r.Local, r.Iface = msgs[i].From, msgs[i].Local, msgs[i].Iface
						if err := p.server.Send(&r); err != nil {
							t.Fatal(err)
						}
					}
					k, err := p.client.RecvTx(txs)
					if err != nil {
						t.Fatal(err)
					}
					stamps += k
					if _, _, err := p.poller.Wait(0); err != nil {
						t.Fatal(err)
					}
					n, err = p.client.Recv(msgs)
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
				n := testing.AllocsPerRun(1, func() {
					for range 10000 {
						exchange()
					}
				})
				if n != 0 {
					t.Errorf("10000 exchanges allocate %v times, want 0", n)
				}
				// AllocsPerRun runs twice; loopback loses nothing here, but a
				// delayed softirq may leave the last ones unread.
				if got < 19990 || f.Stamps && stamps < 19990 {
					t.Errorf("%d answers and %d stamps in 20000 exchanges", got, stamps)
				}
			})
		}
	}
}

func TestHardwareOnLoopback(t *testing.T) {
	if caps, err := Hardware("lo"); err == nil && (caps.Rx || caps.Stamps(RxAll) || caps.PHC >= 0) {
		t.Errorf("Hardware(lo) = %+v, want no hardware stamps", caps)
	}
	_, err := EnableHardware("lo", RxAll)
	switch {
	case errors.Is(err, unix.EPERM):
		t.Skip("needs CAP_NET_ADMIN")
	case !errors.Is(err, errors.ErrUnsupported):
		t.Errorf("EnableHardware(lo) = %v, want an UnsupportedError", err)
	}
	// Asking for hardware stamps does no harm where there are none.
	s, err := OpenServer(Options{Local: loopback4, Hardware: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at, _ := s.LocalAddr()
	c, err := OpenClient(at, Options{Hardware: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, Datagram{Data: []byte("x"), TxID: 5})
	var txs [2]Tx
	if n, err := c.RecvTx(txs[:]); Probe().Stamps && (n != 1 || err != nil || txs[0].ID != 5 || txs[0].Stamp.Kind != clock.StampKernel) {
		t.Errorf("RecvTx() = %d, %v, %+v, want one kernel stamp of id 5", n, err, txs[0])
	}
}

func BenchmarkExchange(b *testing.B) {
	server, err := OpenServer(Options{Local: loopback4})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	at, _ := server.LocalAddr()
	client, err := OpenClient(at, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	msgs, txs := NewMessages(2, 128), make([]Tx, 2)
	d := Datagram{Data: make([]byte, 48), TxID: 1}
	b.ReportAllocs()
	for b.Loop() {
		if err := client.Send(&d); err != nil {
			b.Fatal(err)
		}
		server.Recv(msgs)
		client.RecvTx(txs)
	}
}
