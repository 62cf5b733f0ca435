// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// late is what the replies of the test's socket say too early: far more than what
// passes between sealing and leaving.
const late = 20 * clock.Millisecond

// fixed is a server of replies that are made up, and what it sends.
func (l *lab) fixed(addr netip.Addr, reply func(q *ntp.Packet) []byte) (cookie uint64) {
	l.Helper()
	var conn *net.UDPConn
	l.must(l.server.Inside(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, ntpPort)))
		return err
	}))
	l.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			var q ntp.Packet
			if q.Decode(b[:n]) {
				conn.WriteToUDPAddrPort(reply(&q), from)
			}
		}
	}()
	return l.cookie(conn)
}

// basic is a reply in basic mode whose transmit timestamp is too early.
func (l *lab) basic(q *ntp.Packet) ntp.Packet {
	now := l.served.Load().Served(wallNow())
	return ntp.Packet{
		Version: 4, Mode: ntp.ModeServer, Stratum: 1, Precision: -24, Origin: q.Transmit,
		Receive: ntp.FromInstant(now.Add(-2*late)) | 1, Transmit: ntp.FromInstant(now.Add(-late)) &^ 1,
	}
}

// TestOneStep: the transmit timestamps of our replies in basic mode become those of
// their departure, with a right checksum, whoever computes it; all other packets
// stay as they are.
func TestOneStep(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		for _, v6 := range []bool{false, true} {
			l := newLab(t)
			snap := *l.served.Load()
			snap.Correction.Offset = 5
			l.publish(snap)
			_, err := l.server.Run("ethtool", "-K", l.link.BDev, "tx", offload)
			l.must(err)
			l.attach(Watch)
			addr := l.link.B4
			if v6 {
				addr = l.link.B6
			}
			var change func(p *ntp.Packet) []byte
			cookie := l.fixed(addr, func(q *ntp.Packet) []byte {
				p := l.basic(q)
				return change(&p)
			})
			conn := l.dial(v6)
			for _, tt := range []struct {
				name      string
				change    func(p *ntp.Packet) []byte
				onestep   bool
				known     bool
				rewritten bool
			}{
				{"one-step is off", func(p *ntp.Packet) []byte { return p.AppendTo(nil) }, false, true, false},
				{"another's socket", func(p *ntp.Packet) []byte { return p.AppendTo(nil) }, true, false, false},
				{"basic", func(p *ntp.Packet) []byte { return p.AppendTo(nil) }, true, true, true},
				{"interleaved", func(p *ntp.Packet) []byte { p.Transmit = p.Receive - 1; return p.AppendTo(nil) }, true, true, false},
				{"from long ago", func(p *ntp.Packet) []byte {
					p.Receive -= 2 << 32
					p.Transmit -= 2 << 32
					return p.AppendTo(nil)
				}, true, true, false},
				{"with a MAC", func(p *ntp.Packet) []byte { return append(p.AppendTo(nil), make([]byte, 20)...) }, true, true, false},
				{"of mode 2", func(p *ntp.Packet) []byte { p.Mode = ntp.ModePassive; return p.AppendTo(nil) }, true, true, false},
				{"basic again", func(p *ntp.Packet) []byte { return p.AppendTo(nil) }, true, true, true},
			} {
				l.must(l.OneStep(tt.onestep))
				if tt.known {
					l.must(l.AddSocket(cookie))
				} else {
					l.must(l.RemoveSocket(cookie))
				}
				var sent []byte
				change = func(p *ntp.Packet) []byte {
					sent = tt.change(p)
					return append([]byte(nil), sent...)
				}
				before := l.served.Load().Served(wallNow())
				got := l.ask(conn, plainRequest(1))
				if got == nil {
					t.Fatalf("offload %s, IPv6 %v, %s: no reply", offload, v6, tt.name)
				}
				l.judge(tt.name, sent, got, before, tt.rewritten)
			}
			h, err := l.Histograms()
			l.must(err)
			total := uint64(0)
			for i, n := range h.Correction.Buckets {
				if total += n; n > 0 && (i < 24 || i > 30) { // 2^24 ns is 17 ms
					t.Errorf("%d corrections in bucket %d, want them above 20 ms", n, i)
				}
			}
			if n := l.traffic().Out.Verdict(Rewritten); n != 2 || total != 2 {
				t.Errorf("%d packets are rewritten, %d in the histogram, want 2", n, total)
			}
			l.must(l.Close())
		}
	}
}

// judge compares the reply that came with the one that was sent.
func (l *lab) judge(name string, sent, got []byte, before clock.Served, rewritten bool) {
	l.Helper()
	var s, g ntp.Packet
	s.Decode(sent)
	g.Decode(got)
	after := l.served.Load().Served(wallNow())
	left := g.Transmit.Served()
	if rewritten {
		if left.Before(before) || left.After(after) || g.Transmit&1 != 0 {
			l.Errorf("%s: left %v s after the request was sent, %v s before the reply came, lowest bit %d",
				name, left.Sub(before).Seconds(), after.Sub(left).Seconds(), g.Transmit&1)
		}
		g.Transmit = s.Transmit
	}
	if g != s || len(got) != len(sent) {
		l.Errorf("%s: the reply was %+v and came as %+v", name, s, g)
	}
}

// TestStamps: both ends of an exchange at the server can be looked up.
func TestStamps(t *testing.T) {
	l := newLab(t)
	l.attach(Watch)
	l.fixed(l.link.B4, func(q *ntp.Packet) []byte { p := l.basic(q); return p.AppendTo(nil) })
	conn := l.dial(false)
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	for n := range uint64(50) {
		q := plainRequest(n)
		var p ntp.Packet
		p.Decode(q)
		e := Exchange{Peer: at.Addr(), Port: at.Port(), Transmit: p.Transmit}
		if arrived, _ := l.Stamps(e); !arrived.IsZero() {
			t.Errorf("exchange %d is known before it took place", n)
		}
		before := wallNow()
		if l.ask(conn, q) == nil {
			t.Fatal("no reply")
		}
		after := wallNow()
		arrived, left := l.Stamps(e)
		if arrived.Before(before) || left.Before(arrived) || after.Before(left) {
			t.Errorf("exchange %d: arrived %v ns after it was sent, left %v ns later, came %v ns later",
				n, arrived.Sub(before), left.Sub(arrived), after.Sub(left))
		}
	}
}

// TestStampOfReply: the arrival of a reply to a client of this host is known by the
// request that it repeats.
func TestStampOfReply(t *testing.T) {
	b := newBench(t, Config{})
	for _, v6 := range []bool{false, true} {
		f := plain(v6)
		edit(func(p *ntp.Packet) { p.Mode, p.Origin = ntp.ModeServer, 0xabcdef0123456789 })(&f)
		f.from, f.to = netip.AddrPortFrom(f.from.Addr(), ntpPort), netip.AddrPortFrom(f.to.Addr(), 40001)
		before := wallNow()
		b.run(f.bytes())
		arrived, left := b.Stamps(Exchange{Peer: f.from.Addr(), Port: 40001, Transmit: 0xabcdef0123456789})
		if after := wallNow(); arrived.Before(before) || arrived.After(after) || !left.IsZero() {
			t.Errorf("IPv6 %v: arrived %v ns after it was sent, left %v", v6, arrived.Sub(before), left)
		}
		if arrived, _ := b.Stamps(Exchange{Peer: f.from.Addr(), Port: 40002, Transmit: 0xabcdef0123456789}); !arrived.IsZero() {
			t.Errorf("IPv6 %v: another port has the stamp", v6)
		}
	}
}

// TestClosed: everything says so once the programs are unloaded.
func TestClosed(t *testing.T) {
	f, err := Load(Config{})
	able(t, err)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	_, attach := f.Attach("lo", Watch)
	_, addrs := f.SetAddrs(nil)
	_, histograms := f.Histograms()
	for what, err := range map[string]error{
		"attach": attach, "addrs": addrs, "histograms": histograms, "withdraw": f.Withdraw(), "policy": f.SetPolicy(nil, nil),
		"one-step": f.OneStep(true), "socket": f.AddSocket(1), "no socket": f.RemoveSocket(1),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
}
