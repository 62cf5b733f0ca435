// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ask asks a server once from a connected socket, which hears nobody but the
// address that was asked, and returns the traffic class of the answer (the TOS
// octet).
func (s *Space) ask(to netip.AddrPort) (class int, err error) {
	c, err := s.dial(to)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	conn := c.(*net.UDPConn)
	if err := tellClass(conn); err != nil {
		return 0, err
	}
	request := make([]byte, 48)
	request[0] = 4<<3 | 3 // version 4, client
	rand.Read(request[40:])
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	conn.SetReadDeadline(time.Now().Add(time.Second))
	answer, class, _, err := hear(conn)
	switch {
	case err != nil:
		return 0, err
	case len(answer) != 48 || answer[0]&7 != 4 || string(answer[24:32]) != string(request[40:]):
		return 0, fmt.Errorf("%x is no answer to %x", answer, request)
	}
	return class, nil
}

// tellClass lets the kernel tell the traffic class of what a socket receives.
func tellClass(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var v4, v6 error
	err = raw.Control(func(fd uintptr) {
		v4 = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_RECVTOS, 1)
		v6 = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1)
	})
	if v4 == nil || v6 == nil { // the other family is not the socket's
		return err
	}
	return errors.Join(err, v4, v6)
}

// hear receives a datagram with its traffic class.
func hear(conn *net.UDPConn) (b []byte, class int, from netip.AddrPort, err error) {
	var data, control [256]byte
	n, nc, _, from, err := conn.ReadMsgUDPAddrPort(data[:], control[:])
	if err != nil {
		return nil, 0, from, err
	}
	all, err := unix.ParseSocketControlMessage(control[:nc])
	if err != nil {
		return nil, 0, from, err
	}
	for _, m := range all {
		switch {
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_TOS && len(m.Data) >= 1:
			class = int(m.Data[0])
		case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_TCLASS && len(m.Data) >= 4:
			class = int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return data[:n], class, from, nil
}

// answers waits until a server in b answers a at addr and returns the traffic
// class of the answer.
func (b *bench) answers(addr netip.Addr, port uint16) (class int) {
	b.Helper()
	b.until(10*time.Second, fmt.Sprintf("%s answers at port %d", addr, port), func() bool {
		var err error
		class, err = b.a.ask(netip.AddrPortFrom(addr, port))
		return err == nil
	})
	return class
}

// refuses checks that nobody listens at addr: the kernel says so by ICMP, of which
// it sends a limited number.
func (b *bench) refuses(addr netip.Addr, port uint16) {
	b.Helper()
	var err error
	for range 5 {
		if _, err = b.a.ask(netip.AddrPortFrom(addr, port)); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		b.Errorf("asking %s at port %d gives %v, want %v", addr, port, err, syscall.ECONNREFUSED)
	}
}

// TestAnswersFromWhereAsked has servers at several addresses of an interface,
// some of which they are bound to.
func TestAnswersFromWhereAsked(t *testing.T) {
	for _, tt := range []struct {
		name string
		bind []int // which of the four
	}{
		{"everywhere", nil},
		{"first of each family", []int{0, 2}},
		{"second of each family", []int{1, 3}},
		{"both of one family", []int{0, 1}},
		{"all by name", []int{3, 2, 1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			all := []netip.Addr{b.link.B4, second(b.link.B4), b.link.B6, second(b.link.B6)}
			b.must(b.b.AddAddr(b.link.BDev, all[1]))
			b.must(b.b.AddAddr(b.link.BDev, all[3]))
			config := "allow all\nlocal stratum 5\n"
			bound := map[int]bool{}
			for _, i := range tt.bind {
				config += "bindaddress " + all[i].String() + "\n"
				bound[i] = true
			}
			b.foliotd(b.b, "server", config)
			for i, addr := range all {
				if len(tt.bind) == 0 || bound[i] {
					b.answers(addr, 123)
				}
			}
			for i, addr := range all {
				if len(tt.bind) != 0 && !bound[i] {
					b.refuses(addr, 123)
				}
			}
		})
	}
}

// TestBindDevice serves one of two links.
func TestBindDevice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other, err := b.lab.Link(b.a, b.b)
	b.must(err)
	b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nbinddevice "+other.BDev+"\n")
	b.answers(other.B4, 123)
	b.answers(other.B6, 123)
	b.refuses(b.link.B4, 123)
	b.refuses(b.link.B6, 123)
}

// TestPort uses another port than 123 in both directions.
func TestPort(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nport 11123\n")
	b.chronyd(b.b, "other", serving+"port 11124\n")
	c := b.chronyd(b.a, "chronyd", fmt.Sprintf("server %s port 11123 %s\nserver %s port 11123 %s\n", b.link.B4, fast, b.link.B6, fast))
	f := b.foliotd(b.a, "foliotd", fmt.Sprintf("port 0\nserver %s port 11124 %s\n", b.link.B6, fast))
	b.chronyHears(c, b.link.B4)
	b.chronyHears(c, b.link.B6)
	b.selected(f, b.link.B6, 15*time.Second)
	b.refuses(b.link.B4, 123)
}

// chronyHears waits until chronyd has a few good measurements of addr.
func (b *bench) chronyHears(d *Daemon, addr netip.Addr) {
	b.Helper()
	b.accurate(b.measured(d, addr, 4, 20*time.Second))
}

// TestDSCP looks at the traffic class of requests and of answers.
func TestDSCP(t *testing.T) {
	const class = 46 << 2 // expedited forwarding, above the two bits of ECN
	t.Parallel()
	b := newBench(t)
	var conns []*net.UDPConn
	for _, at := range []netip.Addr{b.link.A4, b.link.A6} {
		conn, err := b.a.listen(netip.AddrPortFrom(at, 123))
		b.must(err)
		defer conn.Close()
		b.must(tellClass(conn))
		conns = append(conns, conn)
	}
	b.foliotd(b.b, "both", fmt.Sprintf("dscp 46\nallow all\nlocal stratum 5\nserver %s %s\nserver %s %s\n", b.link.A4, fast, b.link.A6, fast))
	for _, addr := range []netip.Addr{b.link.B4, b.link.B6} {
		if got := b.answers(addr, 123); got != class {
			t.Errorf("the traffic class of answers from %s is %#x, want %#x", addr, got, class)
		}
	}
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, got, from, err := hear(conn)
		b.must(err)
		if got != class {
			t.Errorf("the traffic class of requests from %s is %#x, want %#x", from, got, class)
		}
	}
}

// loopback are both addresses of it.
var loopback = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}

// TestLoopback has client and server in one namespace.
func TestLoopback(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := "port 0\n"
	for _, addr := range loopback {
		config += "server " + addr.String() + " " + fast + "\n"
	}
	b.foliotd(b.b, "foliotd-server", "allow all\nlocal stratum 5\n")
	c := b.chronyd(b.b, "chronyd", config)
	b.chronyd(b.a, "chronyd-server", serving)
	f := b.foliotd(b.a, "foliotd", config)
	for _, addr := range loopback {
		b.chronyHears(c, addr)
		b.accurate(b.measured(f, addr, 4, 20*time.Second))
	}
	b.until(15*time.Second, "chronyd selects", func() bool {
		return chronyState(c, loopback[0]) == "*" || chronyState(c, loopback[1]) == "*"
	})
	b.until(15*time.Second, "foliotd selects", func() bool {
		status, _ := f.Ctl("status")
		return strings.HasPrefix(Row(status, loopback[0].String()), "*") || strings.HasPrefix(Row(status, loopback[1].String()), "*")
	})
}

// linkLocal gives both ends of two links the same link-local addresses, so that
// only the zone tells the servers apart, and returns that of the far end.
func (b *bench) linkLocal() (far netip.Addr, links []*Link) {
	b.Helper()
	other, err := b.lab.Link(b.a, b.b)
	b.must(err)
	far, links = netip.MustParseAddr("fe80::b"), []*Link{b.link, other}
	for _, k := range links {
		b.must(b.a.AddAddr(k.ADev, netip.MustParseAddr("fe80::a")))
		b.must(b.b.AddAddr(k.BDev, far))
	}
	return far, links
}

// TestLinkLocalServer serves at link-local addresses. chronyd takes the
// interface from its configuration, the others from the address.
func TestLinkLocalServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	far, links := b.linkLocal()
	b.foliotd(b.b, "server", "allow all\nlocal stratum 5\n")
	c := b.chronyd(b.a, "chronyd", fmt.Sprintf("port 0\nbindacqdevice %s\nserver %s %s\n", links[1].ADev, far, fast))
	b.chronySelected(c, far, 15*time.Second)
	b.chronyHears(c, far)
	ntpdig := b.peer("ntpdig")
	for _, k := range links {
		out, err := b.a.Run(ntpdig, far.String()+"%"+k.ADev)
		if err != nil || !strings.Contains(out, " s5 ") {
			t.Errorf("ntpdig on %s: %v:\n%s", k.ADev, err, out)
		}
	}
}

// TestLinkLocalClient lets foliotd follow chronyd at link-local addresses that
// only their zones tell apart.
func TestLinkLocalClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	far, links := b.linkLocal()
	b.chronyd(b.b, "server", serving)
	config := ""
	for _, k := range links {
		config += fmt.Sprintf("server %s%%%s %s\n", far, k.ADev, fast)
	}
	d := b.foliotd(b.a, "client", config)
	for _, k := range links {
		all := b.measured(d, far.WithZone(k.ADev), 4, 20*time.Second)
		b.accurate(all)
		b.stamped(all)
	}
}
