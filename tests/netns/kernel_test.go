// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"foliot/internal/ntp"
)

// programs is the answer of `foliotctl --json ebpf`.
type programs struct {
	Loaded, Serving bool
	Trouble         string
	Interfaces      []programAt
	OneStep         struct {
		Wanted, On bool
		Lead       float64 `json:"lead_seconds"`
	}
	ResidenceNS  struct{ Buckets []uint64 } `json:"residence_ns"`
	CorrectionNS struct{ Buckets []uint64 } `json:"correction_ns"`
}

type programAt struct {
	Name, Mode, Trouble string
	Asked, Answers      bool
	In, Out             traffic
}

type traffic struct {
	Packets  uint64
	Verdicts map[string][2]uint64 `json:"verdicts_ipv4_ipv6"`
	Kinds    map[string]uint64
}

func (t traffic) verdict(names ...string) (n uint64) {
	for _, name := range names {
		n += t.Verdicts[name][0] + t.Verdicts[name][1]
	}
	return n
}

func (b *bench) programs(d *Daemon) (p programs) {
	b.Helper()
	out, err := d.Ctl("--json", "ebpf")
	if err == nil {
		err = json.Unmarshal([]byte(out), &p)
	}
	if err != nil {
		b.Fatalf("foliotctl --json ebpf: %v: %s", err, out)
	}
	return p
}

// verdict sums a verdict of what came in by all interfaces.
func (p *programs) verdict(name string) (n uint64) {
	for i := range p.Interfaces {
		n += p.Interfaces[i].In.verdict(name)
	}
	return n
}

func sum(list []uint64) (n uint64) {
	for _, v := range list {
		n += v
	}
	return n
}

// attached is the identity of the XDP program at an interface, "" for none.
func (s *Space) attached(dev string) string {
	out, _ := exec.Command("ip", "-n", s.Name, "-d", "link", "show", dev).CombinedOutput()
	m := regexp.MustCompile(`prog/xdp id (\d+)`).FindSubmatch(out)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// answered sends a plain request from a and tells whether it is answered.
func (b *bench) answered(from netip.Addr, version uint8) bool {
	b.Helper()
	to := b.link.B4
	if from.Is6() {
		to = b.link.B6
	}
	conn, err := b.a.Dial(netip.AddrPortFrom(from, 0), netip.AddrPortFrom(to, 123))
	b.must(err)
	defer conn.Close()
	q := ntp.Packet{Version: version, Mode: ntp.ModeClient, Transmit: 0x1234567890abcdef}
	if _, err := conn.Write(q.AppendTo(nil)); err != nil {
		return false
	}
	conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	var reply [100]byte
	n, err := conn.Read(reply[:])
	var p ntp.Packet
	return err == nil && n == ntp.HeaderLen && p.Decode(reply[:n]) && p.Mode == ntp.ModeServer && p.Origin == q.Transmit
}

// serves waits until requests are answered in the kernel.
func (b *bench) serves(d *Daemon, limit time.Duration) {
	b.Helper()
	b.until(limit, d.Name+" answers in the kernel", func() bool {
		out, err := d.Ctl("ebpf")
		return err == nil && strings.Contains(out, ": loaded, requests are answered in the kernel")
	})
}

// loaded waits until the programs are loaded and attached, or refused.
func (b *bench) loaded(d *Daemon) {
	b.Helper()
	b.until(10*time.Second, d.Name+" loads its programs", func() bool {
		out, err := d.Ctl("ebpf")
		return err == nil && !strings.Contains(out, "being loaded")
	})
}

// kernelMode is a way to attach, and what of a peer it needs.
type kernelMode struct {
	name, option string
	pass         bool // a program at the other end of the link
}

var kernelModes = []kernelMode{{"generic", "", false}, {"native", " mode native", true}}

// TestKernelServes lets chronyd follow a foliotd that answers in the kernel, and
// takes the daemon away: stopped it loses its lease, killed its programs.
func TestKernelServes(t *testing.T) {
	for _, mode := range kernelModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if mode.pass {
				pass, err := b.a.PassXDP(b.link.ADev)
				b.must(err)
				defer pass.Close()
			}
			server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nxdp serve "+b.link.BDev+mode.option+"\n")
			b.serves(server, 10*time.Second)
			client := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\nserver %s %s\n", b.link.B4, fast, b.link.B6, fast))
			b.accurate(b.measured(client, b.link.B4, 8, 30*time.Second))
			b.accurate(b.measured(client, b.link.B6, 8, 30*time.Second))
			p := b.programs(server)
			if n := p.verdict("answer"); n < 16 {
				t.Errorf("%d requests answered in the kernel, want at least 16", n)
			}
			if p.Interfaces[1].Mode != mode.name {
				t.Errorf("mode %s, want %s", p.Interfaces[1].Mode, mode.name)
			}
			out, err := server.Chronyc("-c", "serverstats")
			b.must(err)
			if hits := strings.Split(out, ",")[0]; hits < "1" || hits == "0" {
				t.Errorf("serverstats: %s", out)
			}
			out, err = server.Chronyc("-c", "clients")
			b.must(err)
			if !strings.Contains(out, b.link.A4.String()+",") {
				t.Errorf("%s is not among the clients:\n%s", b.link.A4, out)
			}

			b.must(server.Signal(syscall.SIGSTOP))
			b.until(5*time.Second, "a stopped daemon falls silent", func() bool { return !b.answered(b.link.A4, 4) })
			b.must(server.Signal(syscall.SIGCONT))
			b.until(5*time.Second, "it goes on", func() bool { return b.answered(b.link.A4, 4) })

			if b.b.attached(b.link.BDev) == "" {
				t.Error("no program at the interface")
			}
			server.Kill()
			b.until(5*time.Second, "the programs of a daemon that was killed are gone", func() bool {
				return b.b.attached(b.link.BDev) == "" && !b.answered(b.link.A4, 4)
			})
			b.must(server.Start("-d"))
			b.serves(server, 10*time.Second)
			before := len(b.measured(client, b.link.B4, 1, time.Second))
			b.accurate(b.measured(client, b.link.B4, before+4, 20*time.Second)[before:])
		})
	}
}

// TestKernelReload changes whom is answered, and whether in the kernel, without
// taking a program off.
func TestKernelReload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := "local stratum 5\nxdp serve " + b.link.BDev + "\n"
	server := b.foliotd(b.b, "server", "allow all\n"+config)
	b.serves(server, 10*time.Second)
	id := b.b.attached(b.link.BDev)
	reload := func(text string) {
		b.Helper()
		b.must(server.Rewrite(text))
		if out, err := server.Ctl("reload"); err != nil {
			t.Fatalf("reload: %v: %s", err, out)
		}
	}
	b.until(3*time.Second, "both families are answered", func() bool { return b.answered(b.link.A4, 4) && b.answered(b.link.A6, 3) })
	reload("allow all\ndeny " + b.link.A4.String() + "\n" + config)
	b.until(3*time.Second, "an IPv4 client that is denied is not answered", func() bool { return !b.answered(b.link.A4, 4) })
	if !b.answered(b.link.A6, 4) {
		t.Error("others are not answered either")
	}
	p := b.programs(server)
	if p.verdict("denied") == 0 {
		t.Error("nobody was refused in the kernel")
	}
	reload("allow all\nlocal stratum 5\n")
	b.until(3*time.Second, "threads answer", func() bool {
		before := b.programs(server)
		ok := b.answered(b.link.A4, 4)
		after := b.programs(server)
		return ok && before.verdict("answer") == after.verdict("answer")
	})
	reload("allow all\n" + config)
	b.serves(server, 3*time.Second)
	if !b.answered(b.link.A4, 4) {
		t.Error("no answer after all that")
	}
	if now := b.b.attached(b.link.BDev); now != id || id == "" {
		t.Errorf("program %s was replaced by %s", id, now)
	}
	b.must(server.Signal(syscall.SIGTERM))
	if code, err := server.Wait(5 * time.Second); err != nil || code != 0 {
		t.Errorf("end: code %d, %v", code, err)
	}
	if id := b.b.attached(b.link.BDev); id != "" {
		t.Errorf("program %s stayed behind", id)
	}
}

// TestKernelHeld lets another program have the interface first.
func TestKernelHeld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other, err := b.b.PassXDP(b.link.BDev)
	b.must(err)
	defer other.Close()
	server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nxdp serve "+b.link.BDev+" mode native\n")
	b.loaded(server)
	b.until(10*time.Second, "threads answer", func() bool { return b.answered(b.link.A4, 4) })
	const told = "are answered by threads: attach to"
	if n := strings.Count(server.Log(), told); n != 1 || !strings.Contains(server.Log(), "another XDP program has the interface") {
		t.Errorf("%d messages about the interface, want 1:\n%s", n, server.Log())
	}
	p := b.programs(server)
	if p.Serving || p.verdict("answer") > 0 || p.verdict("seen") == 0 {
		t.Errorf("while another program has the interface: %+v", p)
	}
	b.must(other.Close())
	b.serves(server, 15*time.Second)
}

// TestKernelUser drops root once the programs are there.
func TestKernelUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.prepare(b.b, "server", "allow all\nlocal stratum 5\nebpf on\nxdp serve "+b.link.BDev+"\nonestep on\n")
	b.must(os.MkdirAll(filepath.Join(d.Dir, "log"), 0o755))
	b.must(os.Chown(filepath.Join(d.Dir, "log"), 65534, 65534))
	b.must(d.Start("-d", "-u", "nobody"))
	b.serves(d, 10*time.Second)
	b.until(3*time.Second, "both families are answered", func() bool { return b.answered(b.link.A4, 4) && b.answered(b.link.A6, 4) })
	b.must(d.Rewrite("allow all\ndeny " + b.link.A4.String() + "\nlocal stratum 5\nebpf on\nxdp serve " + b.link.BDev + "\n"))
	b.must(d.Signal(syscall.SIGHUP))
	b.until(3*time.Second, "the new rule holds", func() bool { return !b.answered(b.link.A4, 4) && b.answered(b.link.A6, 4) })
	caps, err := Status(d.PID(), "CapEff")
	b.must(err)
	if caps != "0000000000000400" { // CAP_NET_BIND_SERVICE
		t.Errorf("capabilities %s are left", caps)
	}
}

// TestKernelRefused takes the rights away from the start: the daemon serves, and
// says once what is missing.
func TestKernelRefused(t *testing.T) {
	for _, tt := range []struct{ name, config, level, want string }{
		{"by default", "", "INFO", "CAP_BPF"},
		{"asked for", "xdp serve auto\n", "WARN", "CAP_BPF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			d := b.prepare(b.b, "server", "allow all\nlocal stratum 5\n"+tt.config)
			cmd := d.Command("-d")
			for i, arg := range cmd.Args {
				if strings.HasPrefix(arg, "--bounding-set=") {
					cmd.Args[i] = arg + ",-bpf,-perfmon,-sys_admin"
				}
			}
			p, err := b.lab.Start("server", cmd)
			b.must(err)
			d.Process = p
			b.loaded(d)
			b.until(10*time.Second, "threads answer", func() bool { return b.answered(b.link.A4, 4) })
			if n := strings.Count(d.Log(), "No eBPF programs"); n != 1 || !strings.Contains(d.Log(), tt.want) {
				t.Errorf("%d messages, want 1 with %s:\n%s", n, tt.want, d.Log())
			}
			out, err := d.Ctl("ebpf")
			if err != nil || !strings.HasPrefix(out, "eBPF programs   : none: ") || !strings.Contains(out, tt.want) {
				t.Errorf("foliotctl ebpf: %v: %s", err, out)
			}
		})
	}
}

// TestKernelUnsynchronised: what has no time answers by threads, which say so.
func TestKernelUnsynchronised(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := b.foliotd(b.b, "server", "allow all\nxdp serve "+b.link.BDev+"\n")
	b.loaded(server)
	b.until(10*time.Second, "threads answer", func() bool { return b.answered(b.link.A4, 4) })
	p := b.programs(server)
	if p.Serving || p.verdict("answer") > 0 || p.verdict("up_lease") == 0 {
		t.Errorf("without time: %+v", p)
	}
}

// TestKernelCounts sends requests of all kinds and finds each of them again, once.
func TestKernelCounts(t *testing.T) {
	for _, limit := range []string{"", "ratelimit interval 4 burst 6 leak 4\n"} {
		t.Run("limit "+limit, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			server := b.foliotd(b.b, "server", "allow 10.0.0.0/8\nallow fd77::/16\ndeny 10.99.0.0/16\nlocal stratum 5\n"+limit+
				"xdp serve "+b.link.BDev+"\nmetrics listen 127.0.0.1:9923\n")
			b.serves(server, 10*time.Second)
			before := b.requests(server)
			p := b.spoofer(b.a, netip.AddrPortFrom(b.link.B4, 123))
			sent := 0
			for i := range 1200 {
				from := netip.AddrFrom4([4]byte{10, byte(98 + i%2), 0, byte(i % 50)})
				b.must(p.send(netip.AddrPortFrom(from, 5000), question(i)))
				sent++
			}
			var after map[string]uint64
			b.until(10*time.Second, fmt.Sprintf("%d requests are counted", sent), func() bool {
				after = b.requests(server)
				return after["all"]-before["all"] == uint64(sent)
			})
			t.Logf("%v", after)
			if after["xdp answer"] == 0 || after["xdp denied"] == 0 || after["worker answer"] == 0 {
				t.Errorf("not all depths were asked: %v", after)
			}
			if limited := after["xdp limited"] + after["worker limited"]; (limited > 0) != (limit != "") {
				t.Errorf("%d requests were over the limit %q", limited, limit)
			}
		})
	}
}

// question is one of all kinds of requests: plain ones of two versions, for which
// the programs are, and four more, for which the threads are.
func question(i int) []byte {
	q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(i)<<32 | 1}
	switch i / 2 % 6 {
	case 0, 1:
	case 2:
		q.Version = 3
	case 3:
		q.Version = 1
	case 4:
		q.Mode = ntp.ModeActive
	case 5:
		return append(q.AppendTo(nil), 0, 0, 0, 0) // a crypto-NAK is no request
	}
	return q.AppendTo(nil)
}

// requests reads the metric of that name: by depth and verdict, and all together.
func (b *bench) requests(d *Daemon) map[string]uint64 {
	b.Helper()
	out, err := d.Space.Run("curl", "-s", "http://127.0.0.1:9923/metrics")
	b.must(err)
	n := map[string]uint64{}
	row := regexp.MustCompile(`(?m)^foliot_server_requests_total\{depth="(\w+)",family="\w+",verdict="(\w+)"\} (\d+)`)
	for _, m := range row.FindAllStringSubmatch(out, -1) {
		var v uint64
		fmt.Sscan(m[3], &v)
		if v > 0 {
			n[m[1]+" "+m[2]] += v
			n["all"] += v
		}
	}
	return n
}

// TestKernelWatches counts and times the packets of another daemon.
func TestKernelWatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	watcher := b.foliotd(b.b, "watcher", "port 0\n")
	b.until(10*time.Second, "the watcher watches", func() bool {
		out, err := watcher.Ctl("ebpf")
		return err == nil && strings.Contains(out, b.link.BDev)
	})
	client := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	b.chronySelected(client, b.link.B4, 15*time.Second)
	b.measured(client, b.link.B4, 6, 10*time.Second)
	p := b.programs(watcher)
	for i := range p.Interfaces {
		f := &p.Interfaces[i]
		if f.Name != b.link.BDev {
			continue
		}
		if f.Mode != "watch" || f.In.Kinds["v4/client"] < 6 || f.Out.Kinds["v4/server"] < 6 {
			t.Errorf("%+v", f)
		}
	}
	if n := sum(p.ResidenceNS.Buckets); n < 6 {
		t.Errorf("%d replies were timed, want at least 6", n)
	}
}

// TestKernelOneStep compares what chronyd measures with one-step and without it.
func TestKernelOneStep(t *testing.T) {
	b := newBench(t)
	config := "allow all\nlocal stratum 5\n"
	server := b.foliotd(b.b, "server", config+"onestep on\n")
	client := b.chronyd(b.a, "client", fmt.Sprintf("server %s iburst minpoll -4 maxpoll -4\n", b.link.B4))
	b.chronySelected(client, b.link.B4, 15*time.Second)
	b.measured(client, b.link.B4, 150, 20*time.Second)
	p := b.programs(server)
	if n := sum(p.CorrectionNS.Buckets); !p.OneStep.Wanted || n < 100 {
		t.Errorf("%d timestamps were corrected: %+v", n, p.OneStep)
	}
	b.must(server.Rewrite(config))
	if out, err := server.Ctl("reload"); err != nil {
		t.Fatal(out)
	}
	time.Sleep(1500 * time.Millisecond) // until it is off
	before := b.programs(server)
	from := len(b.measured(client, b.link.B4, 1, time.Second))
	all := b.measured(client, b.link.B4, from+100, 20*time.Second)
	after := b.programs(server)
	if sum(after.CorrectionNS.Buckets) != sum(before.CorrectionNS.Buckets) {
		t.Error("timestamps are corrected although that is off")
	}
	with, without := Offsets(all[50:150]), Offsets(all[from:])
	t.Logf("|offset| with one-step: median %.2f us, 90 %% %.2f us; without: %.2f us, %.2f us; lead %.2f us",
		Quantile(with, 0.5)*1e6, Quantile(with, 0.9)*1e6, Quantile(without, 0.5)*1e6, Quantile(without, 0.9)*1e6, p.OneStep.Lead*1e6)
	b.accurate(all)
}

// TestKernelFollows moves addresses and interfaces while requests are answered in the
// kernel.
func TestKernelFollows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nxdp serve "+b.link.BDev+"\n")
	b.serves(server, 10*time.Second)
	b.until(3*time.Second, "an answer", func() bool { return b.answered(b.link.A4, 4) })

	// The client goes on sending to the old place: so does a switch, for a while.
	second := second(b.link.B4)
	b.must(b.b.AddAddr(b.link.BDev, second))
	ask := func(to netip.Addr) bool {
		conn, err := b.a.Dial(netip.AddrPortFrom(b.link.A4, 0), netip.AddrPortFrom(to, 123))
		b.must(err)
		defer conn.Close()
		return answerTo(conn, plainRequest(4, 1), 300*time.Millisecond) != nil
	}
	inKernel := func() uint64 { p := b.programs(server); return p.verdict("answer") }
	b.until(5*time.Second, "the new address is answered in the kernel", func() bool {
		before := inKernel()
		return ask(second) && inKernel() > before
	})
	b.must(b.b.IP("addr", "del", second.String()+"/24", "dev", b.link.BDev))
	time.Sleep(500 * time.Millisecond) // for the news to travel
	before := inKernel()
	if ask(second) || inKernel() != before {
		t.Error("an address that is gone is answered")
	}

	counted := inKernel()
	b.must(b.b.IP("link", "set", b.link.BDev, "down"))
	b.must(b.b.IP("link", "set", b.link.BDev, "up"))
	b.until(5*time.Second, "an interface that was down is answered at", func() bool { return b.answered(b.link.A4, 4) })
	if inKernel() <= counted {
		t.Error("the counters began anew, or threads answer")
	}
	for range 2 {
		if n := strings.Count(server.Log(), "are answered in the kernel"); n != 1 {
			t.Errorf("%d messages about the interface, want 1:\n%s", n, server.Log())
		}
	}
}

// TestKernelManyInterfaces has more interfaces than there is room for, the one to
// serve at the last.
func TestKernelManyInterfaces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 20 {
		ends := [...]string{fmt.Sprintf("many%d", i), fmt.Sprintf("more%d", i)}
		b.must(b.b.IP("link", "add", ends[0], "type", "veth", "peer", "name", ends[1]))
		for j, name := range ends {
			b.must(b.b.IP("addr", "add", fmt.Sprintf("10.%d.%d.1/24", 200+j, i), "dev", name))
			b.must(b.b.IP("link", "set", name, "up"))
		}
	}
	late, err := b.lab.Link(b.a, b.b)
	b.must(err)
	server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nxdp serve "+late.BDev+"\n")
	b.serves(server, 10*time.Second)
	conn, err := b.a.Dial(netip.AddrPortFrom(late.A4, 0), netip.AddrPortFrom(late.B4, 123))
	b.must(err)
	defer conn.Close()
	b.until(5*time.Second, "an answer", func() bool { return answerTo(conn, plainRequest(4, 1), 300*time.Millisecond) != nil })
	if p := b.programs(server); p.verdict("answer") == 0 {
		t.Error("it was not the program that answered")
	}
	if n := strings.Count(server.Log(), "is not counted"); n != 1 {
		t.Errorf("%d messages about interfaces without a place, want 1:\n%s", n, server.Log())
	}
}

// TestKernelLongList has an access list that is longer than most: whoever is allowed
// is answered, by whichever depth.
func TestKernelLongList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var list strings.Builder
	for i := range 17_000 {
		fmt.Fprintf(&list, "allow 10.%d.%d.%d/25\n", 100+i>>9, i>>1&255, i&1*128)
	}
	server := b.foliotd(b.b, "server", "allow "+b.link.A4.String()+"\n"+list.String()+"local stratum 5\nxdp serve "+b.link.BDev+"\n")
	b.loaded(server)
	b.until(10*time.Second, "an answer", func() bool { return b.answered(b.link.A4, 4) })
	b.must(server.Rewrite(list.String() + "local stratum 5\nxdp serve " + b.link.BDev + "\n"))
	if out, err := server.Ctl("reload"); err != nil {
		t.Fatalf("reload: %v: %s", err, out)
	}
	b.until(5*time.Second, "who is no longer allowed is not answered", func() bool { return !b.answered(b.link.A4, 4) })
}
