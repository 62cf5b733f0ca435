// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// at returns what a daemon says of the server's end of the link.
func (b *bench) at(d *Daemon) programAt {
	b.Helper()
	p := b.programs(d)
	for _, i := range p.Interfaces {
		if i.Name == b.link.BDev {
			return i
		}
	}
	b.Fatalf("nothing is known of %s: %+v", b.link.BDev, p)
	return programAt{}
}

// xdp is the configuration of a server that answers in the kernel.
func (b *bench) xdp() string { return "xdp serve " + b.link.BDev + " mode native\n" }

// receiving lets frames reach the clients that a program at the other end sends.
func (b *bench) receiving() {
	b.Helper()
	pass, err := b.a.PassXDP(b.link.ADev)
	b.must(err)
	b.Cleanup(func() { pass.Close() })
}

// plainRequest is a request of a client in basic mode.
func plainRequest(version, n byte) []byte {
	q := make([]byte, 48)
	q[0], q[40], q[47] = version<<3|3, 0xe0, n
	return q
}

// answerTo sends a request and tells whether it is answered, and how.
func answerTo(conn net.Conn, q []byte, wait time.Duration) (reply []byte) {
	conn.Write(q)
	conn.SetReadDeadline(time.Now().Add(wait))
	reply = make([]byte, 2048)
	n, err := conn.Read(reply)
	if err != nil {
		return nil
	}
	return reply[:n]
}

// ask is a socket to the server.
func (b *bench) ask() net.Conn {
	b.Helper()
	conn, err := b.a.dial(netip.AddrPortFrom(b.link.B4, 123))
	b.must(err)
	b.Cleanup(func() { conn.Close() })
	return conn
}

// TestXDPServes: a daemon that dropped its rights answers chronyd, ntpdig and
// foliotd in the kernel, heeds a new access list without being attached anew, and
// leaves nothing behind.
func TestXDPServes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.receiving()
	config := "local stratum 5\n" + b.xdp()
	d := b.foliotd(b.b, "server", "allow all\n"+config, "-u", "nobody")
	b.serves(d, 10*time.Second)
	if caps, err := Status(d.PID(), "CapEff"); err != nil || strings.TrimLeft(caps, "0") != "400" {
		t.Errorf("capabilities %s (%v), want only CAP_NET_BIND_SERVICE", caps, err)
	}
	chrony := b.chronyd(b.a, "chrony", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	ours := b.foliotd(b.a, "ours", fmt.Sprintf("server %s %s\n", b.link.B6, fast))
	b.chronySelected(chrony, b.link.B4, 15*time.Second)
	b.accurate(b.measured(chrony, b.link.B4, 6, 15*time.Second))
	b.selected(ours, b.link.B6, 15*time.Second)
	b.accurate(b.measured(ours, b.link.B6, 6, 15*time.Second))
	if out, err := b.a.Run(b.peer("ntpdig"), b.link.B4.String()); err != nil {
		t.Errorf("ntpdig: %v: %s", err, out)
	}
	before := b.at(d)
	if before.In.Verdicts["answer"][0] < 6 || before.In.Verdicts["answer"][1] < 6 {
		t.Errorf("answered in the kernel: %+v, want both families", before.In.Verdicts)
	}
	b.must(d.Rewrite("deny all\nallow " + b.link.B4.String() + "/32\n" + config))
	_, err := d.Ctl("reload")
	b.must(err)
	conn := b.ask()
	b.until(5*time.Second, "requests are denied", func() bool { return answerTo(conn, plainRequest(4, 1), 100*time.Millisecond) == nil })
	after := b.at(d)
	if after.In.verdict("denied") == 0 || after.In.Packets < before.In.Packets || after.Mode != "native" {
		t.Errorf("after a reload: %+v, before: %+v", after, before)
	}
	b.must(d.Signal(syscall.SIGTERM))
	if code, err := d.Wait(5 * time.Second); err != nil || code != 0 {
		t.Errorf("end: code %d, %v", code, err)
	}
	if b.b.attached(b.link.BDev) != "" {
		t.Error("a program stays after the daemon ended")
	}
}

// TestXDPCounts sends requests of all kinds: what the program and the threads
// counted adds up to what was sent.
func TestXDPCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.receiving()
	denied := netip.MustParseAddr("10.77.1.77")
	b.must(b.a.AddAddr(b.link.ADev, denied))
	d := b.foliotd(b.b, "server", "allow all\ndeny "+denied.String()+"\nlocal stratum 5\n"+b.xdp())
	b.serves(d, 10*time.Second)
	refused, err := b.a.Dial(netip.AddrPortFrom(denied, 0), netip.AddrPortFrom(b.link.B4, 123))
	b.must(err)
	defer refused.Close()
	const each = 40
	sent := 0
	send := func(conn net.Conn, q []byte, want bool) {
		t.Helper()
		wait := time.Second
		if !want {
			wait = time.Millisecond
		}
		if got := answerTo(conn, q, wait) != nil; got != want {
			t.Errorf("request %x...: answered %v, want %v", q[:1], got, want)
		}
		sent++
	}
	for i := range byte(each) {
		conn := b.ask()
		long := append(plainRequest(4, i), make([]byte, 28)...) // an extension field
		long[50], long[51] = 0, 28
		send(conn, plainRequest(4, i), true)
		send(conn, plainRequest(3, i), true)
		send(conn, plainRequest(2, i), true)
		send(conn, long, true)
		send(conn, plainRequest(4, i)[:47], false)
		send(refused, plainRequest(4, i), false)
		conn.Close()
	}
	at := b.at(d)
	if at.In.Packets != uint64(sent) {
		t.Errorf("%d packets came in, %d were sent: %+v", at.In.Packets, sent, at.In.Verdicts)
	}
	if got := at.In.verdict("answer"); got != 2*each {
		t.Errorf("%d answered in the kernel, want %d", got, 2*each)
	}
	if got := at.In.verdict("denied"); got != each {
		t.Errorf("%d denied in the kernel, want %d", got, each)
	}
	status, err := d.Ctl("status")
	b.must(err)
	if want := fmt.Sprintf("requests answered %d (0 interleaved, 0 with a key, 0 asked to slow down), refused %d ", 4*each, 2*each); !strings.Contains(status, want) {
		t.Errorf("both depths together: %s\nwant %s", status, want)
	}
	clients, err := d.Chronyc("-c", "clients")
	b.must(err)
	// What is too short for a request makes nobody a client.
	if want := fmt.Sprintf("%s,%d,", b.link.A4, 4*each); !strings.Contains(clients, want) {
		t.Errorf("clients:\n%s\nwant %s", clients, want)
	}
}

// TestXDPLimit: a client that asks too often gets as much at either depth.
func TestXDPLimit(t *testing.T) {
	t.Parallel()
	const requests = 400
	got := make(map[bool]int)
	for _, kernel := range []bool{true, false} {
		b := newBench(t)
		b.receiving()
		config := "allow all\nlocal stratum 5\nratelimit interval 10 burst 8 leak 2\nebpf off\n"
		if kernel {
			config = strings.Replace(config, "ebpf off\n", b.xdp(), 1)
		}
		d := b.foliotd(b.b, "server", config)
		conn := b.ask()
		b.until(10*time.Second, "foliotd runs", func() bool { _, err := d.Ctl("status"); return err == nil })
		if kernel {
			b.serves(d, 10*time.Second)
		}
		for i := range requests {
			conn.Write(plainRequest(4, byte(i)))
			time.Sleep(200 * time.Microsecond)
		}
		for conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); ; got[kernel]++ {
			var reply [64]byte
			if _, err := conn.Read(reply[:]); err != nil {
				break
			}
		}
		if kernel && b.at(d).In.verdict("limited") == 0 {
			t.Error("nothing was limited in the kernel")
		}
	}
	// A burst of 8, and one in four of the rest: 106 with a standard deviation of 9.
	// A leak fills no bucket, but the pace of a client may change the odds.
	for kernel, n := range got {
		if n < 8+20 || n > requests*2/3 {
			t.Errorf("in the kernel: %v: %d of %d requests answered", kernel, n, requests)
		}
	}
	if d := got[true] - got[false]; d < -60 || d > 60 {
		t.Errorf("%d of %d answered in the kernel, %d by threads", got[true], requests, got[false])
	}
}

// TestXDPLate: links of programs that are loaded take no rights, so an interface that
// comes after they were dropped is served like the others. Until then its name is
// told to be unknown.
func TestXDPLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nxdp serve v2b mode native\n", "-u", "nobody")
	b.until(10*time.Second, "the daemon misses the interface", func() bool {
		return strings.Contains(d.Log(), "Requests at v2b are answered by threads: ")
	})
	late, err := b.lab.Link(b.a, b.b)
	b.must(err)
	if late.BDev != "v2b" {
		t.Fatalf("the second link is %s", late.BDev)
	}
	pass, err := b.a.PassXDP(late.ADev)
	b.must(err)
	t.Cleanup(func() { pass.Close() })
	b.serves(d, 25*time.Second)
	conn, err := b.a.dial(netip.AddrPortFrom(late.B4, 123))
	b.must(err)
	defer conn.Close()
	if answerTo(conn, plainRequest(4, 1), time.Second) == nil {
		t.Error("no answer at the new interface")
	}
	p := b.programs(d)
	for _, i := range p.Interfaces {
		if i.Name == late.BDev && i.In.verdict("answer") != 1 {
			t.Errorf("at the new interface: %+v, want one answer", i)
		}
	}
}
