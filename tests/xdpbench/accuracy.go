// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/udpstamp"
	"foliot/tests/netns"
)

// setting is a server whose time is looked at.
type setting struct {
	name    string
	mode    fastpath.Mode
	onestep bool
	leads   fastpath.Leads
}

// found is what was seen of a setting, in ns: how much later than its timestamp a
// reply left, and the offset that the client computes; the truth is zero.
type found struct{ late, offset, chronyd []float64 }

// accuracy prints how true the time is that clients get, of a socket whose
// timestamps are corrected on their way out, or not, and of the XDP program.
func (b *bench) accuracy() error {
	pass, err := b.near.PassXDP(b.link.ADev)
	if err != nil {
		return err
	}
	defer pass.Close()
	var lead clock.Interval
	fmt.Printf("\n%-34s %28s %20s %20s\n", "ns", "left - timestamp", "offset", "chronyd's offset")
	fmt.Printf("%-34s %8s %9s %9s %10s %9s %10s %9s\n", "", "median", "p90", "p99", "median", "p99", "median", "p99")
	for _, s := range []setting{
		{name: "socket", mode: fastpath.Watch},
		{name: "socket, one-step", mode: fastpath.Watch, onestep: true},
		{name: "socket, one-step with a lead", mode: fastpath.Watch, onestep: true, leads: fastpath.Leads{OneStep: 1}},
		{name: "XDP", mode: fastpath.Native},
	} {
		if s.leads.OneStep > 0 {
			s.leads.OneStep = lead
		}
		r, err := b.look(&s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.onestep && lead == 0 {
			lead = clock.Interval(quantile(r.late, 0.5)) // as a daemon learns it
		}
		line(s.name, &r)
	}
	return nil
}

func line(name string, r *found) {
	cell := func(v []float64, q float64) string {
		if len(v) == 0 {
			return "-"
		}
		return fmt.Sprintf("%+.0f", quantile(v, q))
	}
	fmt.Printf("%-34s %8s %9s %9s %10s %9s %10s %9s\n", name, cell(r.late, 0.5), cell(r.late, 0.9), cell(r.late, 0.99),
		cell(r.offset, 0.5), cell(r.offset, 0.99), cell(r.chronyd, 0.5), cell(r.chronyd, 0.99))
}

func quantile(v []float64, q float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[int(q*float64(len(v)-1))]
}

// look sets a server up and asks it.
func (b *bench) look(s *setting) (r found, err error) {
	f, err := b.load(1, nil)
	if err != nil {
		return r, err
	}
	defer f.Close()
	server, err := b.socket(f)
	if err != nil {
		return r, err
	}
	defer server.close()
	if err := b.far.Inside(func() error { _, err := f.Attach(b.link.BDev, s.mode); return err }); err != nil {
		return r, err
	}
	if err := errors.Join(f.OneStep(s.onestep), f.Publish(&b.snap, 4*clock.Second, s.leads)); err != nil {
		return r, err
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
				f.Publish(&b.snap, 4*clock.Second, s.leads)
			}
		}
	}()
	if err := b.exchanges(server, &r); err != nil {
		return r, err
	}
	return r, b.client(&r)
}

// socket is a server at a socket: one that reads the clock right before it sends,
// and learns when that was.
type socket struct {
	sock *udpstamp.Socket
	stop chan struct{}
	done sync.WaitGroup
	mu   sync.Mutex
	left map[ntp.Timestamp]clock.Wall // by the receive timestamp of the reply
}

func (b *bench) socket(f *fastpath.Fastpath) (*socket, error) {
	s := &socket{stop: make(chan struct{}), left: make(map[ntp.Timestamp]clock.Wall)}
	err := b.far.Inside(func() (err error) {
		s.sock, err = udpstamp.OpenServer(udpstamp.Options{Local: b.link.B4, Port: 123})
		return err
	})
	if err != nil {
		return nil, err
	}
	cookie, err := s.sock.Cookie()
	if err = errors.Join(err, f.AddSocket(cookie)); err != nil {
		return nil, errors.Join(err, s.sock.Close())
	}
	s.done.Go(func() { s.run(&b.snap) })
	return s, nil
}

func (s *socket) close() {
	close(s.stop)
	s.done.Wait()
	s.sock.Close()
}

func (s *socket) run(snap *responder.Snapshot) {
	seed := uint64(1)
	server := responder.NewServer(responder.Config{Random: func() uint64 { seed = seed*6364136223846793005 + 1442695040888963407; return seed }})
	policy := &responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
	msgs, txs := udpstamp.NewMessages(1, 2048), make([]udpstamp.Tx, 8)
	var told [1 << 12]ntp.Timestamp
	for id := uint32(1); ; {
		select {
		case <-s.stop:
			return
		default:
		}
		if n, _ := s.sock.RecvTx(txs); n > 0 {
			s.mu.Lock()
			for _, tx := range txs[:n] {
				s.left[told[tx.ID%uint32(len(told))]] = tx.Stamp.Time
			}
			s.mu.Unlock()
		}
		n, err := s.sock.Recv(msgs)
		if n == 0 || err != nil {
			time.Sleep(20 * time.Microsecond)
			continue
		}
		m := &msgs[0]
		var out responder.Reply
		in := responder.Arrival{From: m.From, Stamp: m.Stamp}
		if server.Receive(m.Data, &in, policy, snap, &out) != responder.Answer {
			continue
		}
		server.Seal(&out, m.Data[:out.Len], now(), snap)
		var p ntp.Packet
		p.Decode(m.Data[:out.Len])
		told[id%uint32(len(told))] = p.Receive
		s.sock.Send(&udpstamp.Datagram{To: m.From, Local: m.Local, Data: m.Data[:out.Len], TxID: id})
		id++
	}
}

func now() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }

// exchanges asks many times, with stamps of the kernel at both ends.
func (b *bench) exchanges(server *socket, r *found) error {
	var sock *udpstamp.Socket
	err := b.near.Inside(func() (err error) {
		sock, err = udpstamp.OpenClient(netip.AddrPortFrom(b.link.B4, 123), udpstamp.Options{})
		return err
	})
	if err != nil {
		return err
	}
	defer sock.Close()
	msgs, txs := udpstamp.NewMessages(1, 2048), make([]udpstamp.Tx, 8)
	departed := make(map[ntp.Timestamp]ntp.Timestamp)
	const pace = 2 * time.Millisecond
	for id := uint32(1); id < uint32(8*b.duration/pace); id++ {
		q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(uint64(id)*0x9E3779B97F4A7C15 | 1)}
		if err := sock.Send(&udpstamp.Datagram{Data: q.AppendTo(nil), TxID: id}); err != nil {
			return err
		}
		var t1, t4 clock.Wall
		var p ntp.Packet
		for end := time.Now().Add(pace); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
			if n, _ := sock.RecvTx(txs); n > 0 && txs[n-1].ID == id {
				t1 = txs[n-1].Stamp.Time
			}
			if n, _ := sock.Recv(msgs); n > 0 && p.Decode(msgs[0].Data) && p.Origin == q.Transmit {
				t4 = msgs[0].Stamp.Time
			}
		}
		if t1.IsZero() || t4.IsZero() {
			continue
		}
		forth, back := p.Receive.Wall().Sub(t1), p.Transmit.Wall().Sub(t4)
		r.offset = append(r.offset, float64(forth+back)/2)
		departed[p.Receive] = p.Transmit
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	for receive, transmit := range departed {
		if at, ok := server.left[receive]; ok {
			r.late = append(r.late, float64(at.Sub(transmit.Wall())))
		}
	}
	if len(r.offset) < 50 {
		return fmt.Errorf("%d exchanges", len(r.offset))
	}
	return nil
}

// client lets stock chronyd ask. It does not select the server: with control of
// the clock off it would correct a clock of its own, and then find itself right.
func (b *bench) client(r *found) error {
	d, err := b.near.Chronyd("client", fmt.Sprintf("server %s minpoll -6 maxpoll -6 iburst noselect\n", b.link.B4))
	if err != nil {
		return err
	}
	time.Sleep(2*time.Second + 8*b.duration)
	d.Kill()
	for _, m := range netns.Measurements(d.LogFile("measurements")) {
		if m.Tests == "111 111 1111" {
			r.chronyd = append(r.chronyd, 1e9*m.Offset)
		}
	}
	return nil
}
