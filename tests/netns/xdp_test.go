// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// xdpReport is what `foliotctl --json ebpf` tells.
type xdpReport struct {
	Loaded, Serving bool
	Trouble         string
	OneStep         struct{ Wanted, On bool }
	Interfaces      []xdpPlace
}

type xdpPlace struct {
	Name, Mode, Trouble string
	Answers             bool
	In, Out             xdpTraffic
}

type xdpTraffic struct {
	Packets  uint64
	Verdicts map[string][2]uint64 `json:"verdicts_ipv4_ipv6"`
}

func (t xdpTraffic) verdict(names ...string) (n uint64) {
	for _, name := range names {
		n += t.Verdicts[name][0] + t.Verdicts[name][1]
	}
	return n
}

// ebpf asks a daemon about its eBPF programs.
func (b *bench) ebpf(d *Daemon) (p xdpReport, err error) {
	out, err := exec.Command(binaries.Foliotctl, "--json", "-s", d.Socket, "-t", "5s", "ebpf").Output()
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	return p, err
}

// at returns what a daemon says of the server's end of the link.
func (b *bench) at(d *Daemon) xdpPlace {
	b.Helper()
	p, err := b.ebpf(d)
	b.must(err)
	for _, i := range p.Interfaces {
		if i.Name == b.link.BDev {
			return i
		}
	}
	b.Fatalf("nothing is known of %s: %+v", b.link.BDev, p)
	return xdpPlace{}
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

// inKernel waits until a daemon answers in the kernel, or not.
func (b *bench) inKernel(d *Daemon, want bool, limit time.Duration) {
	b.Helper()
	b.until(limit, fmt.Sprintf("requests answered in the kernel: %v", want), func() bool {
		p, err := b.ebpf(d)
		return err == nil && p.Loaded && p.Serving == want
	})
}

// known waits until a daemon knows whether it has programs, which it may load while
// it serves already.
func (b *bench) known(d *Daemon) (p xdpReport) {
	b.Helper()
	b.until(20*time.Second, "the daemon tells of its programs", func() bool {
		var err error
		p, err = b.ebpf(d)
		return err == nil && (len(p.Interfaces) > 0 || strings.Contains(p.Trouble, "missing"))
	})
	return p
}

// xdpAttached tells whether some XDP program is at the server's end, by the kernel.
func (b *bench) xdpAttached() bool {
	b.Helper()
	out, err := exec.Command("ip", "-n", b.b.Name, "-d", "link", "show", "dev", b.link.BDev).CombinedOutput()
	b.must(err)
	return strings.Contains(string(out), "prog/xdp")
}

// plainRequest is a request of a client in basic mode.
func plainRequest(version, n byte) []byte {
	q := make([]byte, 48)
	q[0], q[40], q[47] = version<<3|3, 0xe0, n
	return q
}

// replyTo sends a request and returns the answer, nil if there is none.
func replyTo(conn net.Conn, q []byte, wait time.Duration) (reply []byte) {
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
	b.inKernel(d, true, 10*time.Second)
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
	b.until(5*time.Second, "requests are denied", func() bool { return replyTo(conn, plainRequest(4, 1), 100*time.Millisecond) == nil })
	after := b.at(d)
	if after.In.verdict("denied") == 0 || after.In.Packets < before.In.Packets || after.Mode != "native" {
		t.Errorf("after a reload: %+v, before: %+v", after, before)
	}
	b.must(d.Signal(syscall.SIGTERM))
	if code, err := d.Wait(5 * time.Second); err != nil || code != 0 {
		t.Errorf("end: code %d, %v", code, err)
	}
	if b.xdpAttached() {
		t.Error("a program stays after the daemon ended")
	}
}

// TestXDPLease: a stopped daemon's program ends with its lease, and goes on when it
// does; when it is killed the program is gone, and clients go on with another server.
func TestXDPLease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.receiving()
	third, err := b.lab.Space()
	b.must(err)
	other, err := b.lab.Link(b.a, third)
	b.must(err)
	b.chronyd(third, "other", "allow all\nlocal stratum 8\n")
	d := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\n"+b.xdp())
	b.inKernel(d, true, 10*time.Second)
	client := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s\nserver %s %s\n", b.link.B4, fast, other.B4, fast))
	b.selected(client, b.link.B4, 20*time.Second)
	conn := b.ask()
	if replyTo(conn, plainRequest(4, 1), time.Second) == nil {
		t.Fatal("no answer")
	}
	b.must(d.Signal(syscall.SIGSTOP))
	if replyTo(conn, plainRequest(4, 2), 100*time.Millisecond) == nil {
		t.Error("no answer right after the daemon was stopped: it was not the program that answered")
	}
	b.until(5*time.Second, "the lease of a stopped daemon ends", func() bool {
		return replyTo(conn, plainRequest(4, 3), 50*time.Millisecond) == nil
	})
	b.must(d.Signal(syscall.SIGCONT))
	b.inKernel(d, true, 5*time.Second)
	d.Kill()
	b.until(2*time.Second, "the program is gone", func() bool { return !b.xdpAttached() })
	// The source that was selected stays so for a while; the other is followed with it.
	n := len(b.measured(client, other.B4, 1, 10*time.Second))
	b.accurate(b.measured(client, other.B4, n+6, 30*time.Second)[n:])
	b.until(20*time.Second, "the client goes on with the other server", func() bool {
		status, _ := client.Ctl("status")
		row := Row(status, other.B4.String())
		return strings.Contains(status, ", synchronised to ") && (strings.HasPrefix(row, "*") || strings.HasPrefix(row, "+"))
	})
}

// TestXDPUnsynchronised: what a daemon without time says is for its threads to say.
func TestXDPUnsynchronised(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.receiving()
	d := b.foliotd(b.b, "server", "allow all\n"+b.xdp())
	b.known(d)
	conn := b.ask()
	var reply []byte
	b.until(10*time.Second, "an answer", func() bool {
		reply = replyTo(conn, plainRequest(4, 1), 100*time.Millisecond)
		return reply != nil
	})
	if reply[0]>>6 != 3 {
		t.Errorf("leap %d, want 3 (unsynchronised)", reply[0]>>6)
	}
	if at := b.at(d); at.In.verdict("answer") != 0 || at.In.verdict("up_lease") == 0 {
		t.Errorf("verdicts %+v, want up_lease and no answer", at.In.Verdicts)
	}
}

// TestXDPHeld: where another program has the interface the daemon leaves it alone,
// says so, and serves by its threads; when it is free the daemon takes it.
func TestXDPHeld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.receiving()
	holder, err := b.b.PassXDP(b.link.BDev)
	b.must(err)
	d := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\n"+b.xdp())
	b.known(d)
	conn := b.ask()
	b.until(10*time.Second, "an answer", func() bool { return replyTo(conn, plainRequest(4, 1), 100*time.Millisecond) != nil })
	at := b.at(d)
	if at.Answers || at.Mode != "watch" || at.In.verdict("answer") != 0 {
		t.Errorf("beside another program: %+v", at)
	}
	if n := strings.Count(d.Log(), "another XDP program has the interface"); n != 1 {
		t.Errorf("%d messages about the other program, want 1:\n%s", n, d.Log())
	}
	b.must(holder.Close())
	b.inKernel(d, true, 25*time.Second)
	if replyTo(conn, plainRequest(4, 2), time.Second) == nil || b.at(d).In.verdict("answer") == 0 {
		t.Error("no answer in the kernel after the other program is gone")
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
	b.inKernel(d, true, 10*time.Second)
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
		if got := replyTo(conn, q, wait) != nil; got != want {
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
	if want := fmt.Sprintf("%s,%d,", b.link.A4, 5*each); !strings.Contains(clients, want) {
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
			b.inKernel(d, true, 10*time.Second)
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

// TestWatchOthers: with its own server off the daemon counts what another one on
// the machine does, and neither answers nor touches it.
func TestWatchOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.b, "watcher", "port 0\nonestep on\n")
	b.known(d)
	conn := b.ask()
	const requests = 50
	for i := range byte(requests) {
		if replyTo(conn, plainRequest(4, i), time.Second) == nil {
			t.Fatal("chronyd does not answer")
		}
	}
	at := b.at(d)
	if at.Answers || at.In.verdict("seen") < requests || at.Out.verdict("seen") < requests || at.Out.verdict("rewritten") > 0 {
		t.Errorf("%d exchanges with another daemon: %+v", requests, at)
	}
}

// TestOneStep: replies of the daemon's threads leave with a corrected timestamp, and
// chronyd finds the time as good or better than without.
func TestOneStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nonestep on\n")
	b.until(10*time.Second, "one-step is on", func() bool { p, err := b.ebpf(d); return err == nil && p.OneStep.On })
	client := b.chronyd(b.a, "client", fmt.Sprintf("server %s minpoll -4 maxpoll -4\n", b.link.B4))
	with := b.measured(client, b.link.B4, 60, 20*time.Second)
	b.accurate(with)
	if at := b.at(d); at.Out.verdict("rewritten") == 0 {
		t.Errorf("no timestamp was corrected: %+v", at.Out)
	}
	b.must(d.Rewrite("allow all\nlocal stratum 5\nonestep off\n"))
	_, err := d.Ctl("reload")
	b.must(err)
	b.until(5*time.Second, "one-step is off", func() bool { p, err := b.ebpf(d); return err == nil && !p.OneStep.On })
	before, n := b.at(d).Out.verdict("rewritten"), len(b.measured(client, b.link.B4, 1, time.Second))
	without := b.measured(client, b.link.B4, n+60, 20*time.Second)[n:]
	if after := b.at(d).Out.verdict("rewritten"); after != before {
		t.Errorf("%d timestamps were corrected after one-step was turned off", after-before)
	}
	b.accurate(without)
	t.Logf("median offset of chronyd: %.2f us with one-step, %.2f us without",
		1e6*Quantile(Offsets(with), 0.5), 1e6*Quantile(Offsets(without), 0.5))
}

// TestXDPRefused: where programs may not be loaded the daemon serves by its threads,
// and says once what is missing.
func TestXDPRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.prepare(b.b, "server", "allow all\nlocal stratum 5\n"+b.xdp())
	const gone = "-bpf,-sys_admin"
	inner := d.Command("-d")
	cmd := b.b.Command(append([]string{"setpriv", "--bounding-set=" + gone, "--inh-caps=" + gone}, inner.Args[4+len(unclocked):]...)...)
	cmd.Env = inner.Env
	p, err := b.lab.Start("server", cmd)
	b.must(err)
	d.Process = p
	conn := b.ask()
	b.until(10*time.Second, "an answer", func() bool { return replyTo(conn, plainRequest(4, 1), 100*time.Millisecond) != nil })
	told := b.known(d)
	if told.Loaded || !strings.Contains(told.Trouble, "missing CAP_BPF") {
		t.Errorf("without CAP_BPF: %+v", told)
	}
	if n := strings.Count(d.Log(), "CAP_BPF"); n != 1 || !strings.Contains(d.Log(), "answered by threads") {
		t.Errorf("%d messages about CAP_BPF, want one that says what it costs:\n%s", n, d.Log())
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
	b.inKernel(d, true, 25*time.Second)
	conn, err := b.a.dial(netip.AddrPortFrom(late.B4, 123))
	b.must(err)
	defer conn.Close()
	if replyTo(conn, plainRequest(4, 1), time.Second) == nil {
		t.Error("no answer at the new interface")
	}
	p, err := b.ebpf(d)
	b.must(err)
	for _, i := range p.Interfaces {
		if i.Name == late.BDev && i.In.verdict("answer") != 1 {
			t.Errorf("at the new interface: %+v, want one answer", i)
		}
	}
}
