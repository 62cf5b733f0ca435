// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/tests/netns"
)

// lab is a server with the programs in front and a client, across a veth pair.
type lab struct {
	testing.TB
	*Fastpath
	lab            *netns.Lab
	client, server *netns.Space
	link           *netns.Link
	served         atomic.Pointer[responder.Snapshot]
	stop           chan struct{}
}

func newLab(t testing.TB) *lab {
	t.Helper()
	if err := netns.Ready(); err != nil {
		able(t, fmt.Errorf("%w: %w", err, errors.ErrUnsupported))
	}
	f, err := Load(Config{Clients: 1 << 20, Key: clientlog.HashKey{3, 4}})
	able(t, err)
	l := &lab{TB: t, Fastpath: f, stop: make(chan struct{})}
	t.Cleanup(l.close)
	l.lab, err = netns.NewLab()
	l.must(err)
	for _, s := range []**netns.Space{&l.client, &l.server} {
		*s, err = l.lab.Space()
		l.must(err)
	}
	l.link, err = l.lab.Link(l.client, l.server)
	l.must(err)
	l.must(l.SetPolicy(access("0.0.0.0/0", "::/0"), nil))
	_, err = l.SetAddrs([]Own{{Addr: l.link.B4}, {Addr: l.link.B6}})
	l.must(err)
	l.publish(responder.Snapshot{Stratum: 1, RefID: 0x4c4f434c, RefTime: clock.At[clock.Corrected](time.Now().UnixNano()), Precision: -24})
	go l.renew()
	return l
}

func (l *lab) publish(s responder.Snapshot) {
	l.Helper()
	l.served.Store(&s)
	l.must(l.Publish(&s, 2*clock.Second, Leads{}))
}

// renew keeps the lease, as a daemon does.
func (l *lab) renew() {
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(200 * time.Millisecond):
			l.Publish(l.served.Load(), 2*clock.Second, Leads{})
		}
	}
}

func (l *lab) close() {
	close(l.stop)
	if err := l.Close(); err != nil {
		l.Error(err)
	}
	if l.lab != nil {
		if err := l.lab.Close(); err != nil {
			l.Error(err)
		}
	}
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// attach attaches the programs to the server's end.
func (l *lab) attach(m Mode) Mode {
	l.Helper()
	pass, err := l.client.PassXDP(l.link.ADev)
	l.must(err)
	l.Cleanup(func() { pass.Close() })
	l.must(l.server.Inside(func() (err error) {
		m, err = l.Attach(l.link.BDev, m)
		return err
	}))
	return m
}

func (l *lab) traffic() *Interface {
	l.Helper()
	list, err := l.Counters()
	l.must(err)
	if len(list) != 1 {
		l.Fatalf("%d interfaces are attached", len(list))
	}
	return &list[0]
}

// serve answers requests at a socket of the server, as the workers do, until the
// test ends. What it answers is in the counters of the server that it returns.
func (l *lab) serve(addr netip.Addr) (s *responder.Server, cookie uint64) {
	l.Helper()
	var conn *net.UDPConn
	l.must(l.server.Inside(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, ntpPort)))
		return err
	}))
	l.Cleanup(func() { conn.Close() })
	seed := uint64(1)
	s = responder.NewServer(responder.Config{Stamps: 64, Log: 1 << 16, Random: func() uint64 { seed = seed*6364136223846793005 + 1; return seed }})
	policy := &responder.Policy{Access: access("0.0.0.0/0", "::/0")}
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			var out responder.Reply
			in := responder.Arrival{From: from, Stamp: clock.Stamp{Time: wallNow(), Kind: clock.StampDaemon}}
			if s.Receive(b[:n], &in, policy, l.served.Load(), &out) == responder.Answer {
				s.Seal(&out, b[:out.Len], wallNow(), l.served.Load())
				conn.WriteToUDPAddrPort(b[:out.Len], from)
			}
		}
	}()
	return s, l.cookie(conn)
}

func (l *lab) cookie(conn *net.UDPConn) (cookie uint64) {
	l.Helper()
	raw, err := conn.SyscallConn()
	l.must(err)
	l.must(raw.Control(func(fd uintptr) {
		cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
	}))
	l.must(err)
	return cookie
}

const ntpPort = 123

func wallNow() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }

// dial returns a socket of the client.
func (l *lab) dial(v6 bool) *net.UDPConn {
	l.Helper()
	from, to := l.link.A4, l.link.B4
	if v6 {
		from, to = l.link.A6, l.link.B6
	}
	conn, err := l.client.Dial(netip.AddrPortFrom(from, 0), netip.AddrPortFrom(to, ntpPort))
	l.must(err)
	l.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a request and returns the reply, nil if there is none.
func (l *lab) ask(conn *net.UDPConn, q []byte) []byte {
	l.Helper()
	if _, err := conn.Write(q); err != nil {
		l.Fatal(err)
	}
	b := make([]byte, 2048)
	conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	n, err := conn.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// plainRequest is the payload of one that is answered in the kernel; n makes it
// unlike others.
func plainRequest(n uint64) []byte {
	p := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Poll: 6, Transmit: ntp.Timestamp(n*0x9E3779B97F4A7C15 | 1)}
	return p.AppendTo(nil)
}

// TestChronyd: stock chronyd as a client is content, over IPv4 and IPv6, in each
// mode of the programs.
func TestChronyd(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, IPv6 %v", mode, v6), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				if got := l.attach(mode); got != mode {
					t.Fatalf("attached in mode %v", got)
				}
				l.follow(v6, "")
				if n := l.traffic().In.Verdict(Answered); n < 3 {
					t.Errorf("%d requests were answered in the kernel", n)
				}
			})
		}
	}
}

// TestInterleaved: chronyd in interleaved mode is answered in the kernel once, and
// then by the socket.
func TestInterleaved(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.attach(Native)
	s, _ := l.serve(l.link.B4)
	l.follow(false, "xleave")
	in := l.traffic().In
	if in.Verdict(Answered) == 0 || in.Verdict(UpInterleaved) < 2 || s.Counters.Answered() < 2 || s.Counters.Interleaved == 0 {
		t.Errorf("%d requests were answered in the kernel, %d went up for interleaved mode; the socket answered %d, %d in that mode",
			in.Verdict(Answered), in.Verdict(UpInterleaved), s.Counters.Answered(), s.Counters.Interleaved)
	}
}

// follow lets a chronyd look how wrong its clock is.
func (l *lab) follow(v6 bool, opts string) {
	l.Helper()
	a := l.link.B4
	if v6 {
		a = l.link.B6
	}
	out, err := l.client.Run("chronyd", "-Q", "-t", "20", fmt.Sprintf("server %s iburst %s", a, opts),
		"port 0", "cmdport 0", "user root", "pidfile "+l.lab.Path("pid"))
	if off := clockWrong(out); err != nil || off < -1e-3 || off > 1e-3 {
		l.Fatalf("chronyd: %v\n%s", err, out)
	}
}

// clockWrong returns what chronyd -Q found.
func clockWrong(out string) float64 {
	m := regexp.MustCompile(`System clock wrong by (-?[0-9.]+) seconds`).FindStringSubmatch(out)
	if m == nil {
		return 1e9
	}
	v, _ := strconv.ParseFloat(m[1], 64)
	return v
}

// TestMixedTraffic: whatever is sent is counted, exactly once, and answered exactly
// once by one of the two.
func TestMixedTraffic(t *testing.T) {
	l := newLab(t)
	l.attach(Native)
	s4, _ := l.serve(l.link.B4)
	s6, _ := l.serve(l.link.B6)
	const rounds = 50
	var octets uint64
	for _, v6 := range []bool{false, true} {
		conn := l.dial(v6)
		for i := range uint64(rounds) {
			for kind := range 4 {
				q := plainRequest(i<<8 | uint64(kind)<<4)
				switch kind {
				case 1:
					q[0] = 2<<3 | 3
				case 2:
					q = ntp.AppendField(q, 0x104, make([]byte, 28), 0)
				case 3:
					q[31] = 1 // of the origin
				}
				octets += uint64(len(q))
				if l.ask(conn, q) == nil {
					t.Fatalf("IPv6 %v: request %d of kind %d is not answered", v6, i, kind)
				}
			}
			conn.Write([]byte{1, 2, 3})
			octets += 3
		}
	}
	i := l.traffic()
	for v, want := range map[Verdict]uint64{
		Answered: 2 * rounds, UpVersion: 2 * rounds, UpLength: 4*rounds - 2*rounds, UpInterleaved: 2 * rounds, Seen: 2 * rounds,
	} {
		for family := range 2 {
			if got := i.In.Verdicts[family][v]; got != want/2 {
				t.Errorf("%v, family %d: %d, want %d", v, family, got, want/2)
			}
		}
	}
	if got := i.In.Packets(); got != 10*rounds || i.In.Octets != octets {
		t.Errorf("%d packets of %d octets, want %d of %d", got, i.In.Octets, 10*rounds, octets)
	}
	if got := i.Out.Packets(); got != 6*rounds || i.Out.Kinds[4][4] != 4*rounds || i.Out.Kinds[2][4] != 2*rounds {
		t.Errorf("%d packets left, of that %d of version 4 and %d of version 2", got, i.Out.Kinds[4][4], i.Out.Kinds[2][4])
	}
	if n := s4.Counters.Answered() + s6.Counters.Answered(); n != 6*rounds {
		t.Errorf("the sockets answered %d, want %d", n, 6*rounds)
	}
	var sizes, kinds uint64
	for _, n := range i.In.Sizes {
		sizes += n
	}
	for _, all := range i.In.Kinds {
		for _, n := range all {
			kinds += n
		}
	}
	if sizes != 10*rounds || kinds != 10*rounds || i.In.Sizes[0] != 2*rounds || i.In.Sizes[3] != 2*rounds {
		t.Errorf("sizes %v, kinds %v", i.In.Sizes, i.In.Kinds)
	}
	h, err := l.Histograms()
	l.must(err)
	var residence uint64
	for _, n := range h.Residence.Buckets {
		residence += n
	}
	if residence != 6*rounds {
		t.Errorf("the residence of %d replies is known, of %d", residence, 6*rounds)
	}
}

// TestWatch: watching answers nothing, and sees all.
func TestWatch(t *testing.T) {
	l := newLab(t)
	l.attach(Watch)
	s, _ := l.serve(l.link.B4)
	conn := l.dial(false)
	for i := range uint64(20) {
		if l.ask(conn, plainRequest(i)) == nil {
			t.Fatal("no answer")
		}
	}
	i := l.traffic()
	if i.Mode != Watch || i.In.Verdict(Seen) != 20 || i.In.Packets() != 20 || i.Out.Packets() != 20 || s.Counters.Answered() != 20 {
		t.Errorf("%+v, and the socket answered %d", i, s.Counters.Answered())
	}
	for c := range l.Clients() {
		if c.Prefix.Addr() != l.link.A4 || c.Hits != 20 || c.Octets != 20*48 {
			t.Errorf("record %+v", c)
		}
	}
}

// TestStarved: when nobody renews the lease, the sockets take over, and when
// somebody does, they have rest.
func TestStarved(t *testing.T) {
	l := newLab(t)
	l.attach(Native)
	s, _ := l.serve(l.link.B4)
	conn := l.dial(false)
	count := func() (uint64, uint64) { return l.traffic().In.Verdict(Answered), s.Counters.Answered() }
	l.ask(conn, plainRequest(1))
	snap := *l.served.Load()
	snap.Leap = ntp.LeapUnsync
	l.publish(snap)
	if b := l.ask(conn, plainRequest(2)); b == nil || b[0]>>6 != 3 {
		t.Errorf("unsynchronised: %x", b)
	}
	if k, u := count(); k != 1 || u != 1 {
		t.Errorf("answered %d in the kernel, %d above; want 1, 1", k, u)
	}
	snap.Leap = ntp.LeapNone
	l.publish(snap)
	l.ask(conn, plainRequest(3))
	if k, u := count(); k != 2 || u != 1 {
		t.Errorf("answered %d in the kernel, %d above; want 2, 1", k, u)
	}
	l.must(l.server.Inside(func() error { return l.Detach(l.link.BDev) }))
	if l.ask(conn, plainRequest(4)) == nil || s.Counters.Answered() != 2 {
		t.Errorf("detached: the socket answered %d, want 2", s.Counters.Answered())
	}
}

// TestHeld: an interface that another program holds is left alone.
func TestHeld(t *testing.T) {
	for _, mode := range []Mode{Native, Generic, Auto} {
		l := newLab(t)
		other, err := l.server.PassXDP(l.link.BDev)
		l.must(err)
		before := l.ip()
		err = l.server.Inside(func() error { _, err := l.Attach(l.link.BDev, mode); return err })
		var held *HeldError
		if !errors.As(err, &held) || held.Interface != l.link.BDev {
			t.Errorf("%v: %v, want a HeldError", mode, err)
		}
		if after := l.ip(); after != before || !strings.Contains(after, "xdp") {
			t.Errorf("%v: the interface was\n%s\nand is\n%s", mode, before, after)
		}
		l.must(other.Close())
		if list, err := l.Counters(); err != nil || len(list) != 0 {
			t.Errorf("%v: %d interfaces, %v", mode, len(list), err)
		}
		l.must(l.server.Inside(func() error { _, err := l.Attach(l.link.BDev, mode); return err }))
	}
}

// ip is what ip says of the server's interface, but for its counters of packets.
func (l *lab) ip() string {
	l.Helper()
	out, err := l.server.Run("ip", "-d", "link", "show", "dev", l.link.BDev)
	l.must(err)
	return out
}

// TestJumbo: interfaces with large frames can be served too.
func TestJumbo(t *testing.T) {
	l := newLab(t)
	l.must(l.client.IP("link", "set", l.link.ADev, "mtu", "9000"))
	l.must(l.server.IP("link", "set", l.link.BDev, "mtu", "9000"))
	l.must(l.server.Inside(func() error { _, err := l.Attach(l.link.BDev, Native); return err }))
	if i := l.traffic(); i.Mode != Native {
		t.Errorf("%+v", i)
	}
}

// TestAttachErrors: what cannot be attached is said to be, and nothing stays.
func TestAttachErrors(t *testing.T) {
	l := newLab(t)
	if _, err := l.Attach("nosuch0", Native); err == nil {
		t.Error("an interface that does not exist is attached")
	}
	l.attach(Native)
	if err := l.server.Inside(func() error { _, err := l.Attach(l.link.BDev, Native); return err }); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("attached twice: %v", err)
	}
	if err := l.Serve("nosuch0", true); err == nil {
		t.Error("an interface that is not attached serves")
	}
	l.must(l.Detach("nosuch0"))
}
