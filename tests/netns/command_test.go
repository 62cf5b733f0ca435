// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// order is a command of chronyc and what it must print.
type order struct {
	command string
	want    string // regular expression for all of it
	fails   bool   // the exit code is not 0
}

const ok = `^200 OK\n$`

// orders is every command that changes something, in an order in which each makes
// sense. SRC is a source that is followed, DIR the directory of the daemon.
var orders = []order{
	{"makestep", `^500 Failure\n$`, true}, // without clock control
	{"makestep 0.1 3", ok, false},
	{"burst 2/4", ok, false},
	{"burst 1/2 SRC", ok, false},
	{"burst 1/2 255.255.255.0/203.0.113.0", `^503 No such source\n$`, true},
	{"offline SRC", ok, false},
	{"online SRC", ok, false},
	{"offline", ok, false},
	{"onoffline", ok, false},
	{"online 255.255.0.0/10.77.0.0", ok, false},
	{"online 203.0.113.1", `^503 No such source\n$`, true},
	{"minpoll SRC 1", ok, false},
	{"maxpoll SRC 3", ok, false},
	{"maxdelay SRC 0.5", ok, false},
	{"maxdelayratio SRC 50", ok, false},
	{"maxdelaydevratio SRC 20", ok, false},
	{"minstratum SRC 2", ok, false},
	{"polltarget SRC 6", ok, false},
	{"minpoll 203.0.113.1 1", `^503 No such source\n$`, true},
	{"maxupdateskew 500", ok, false},
	{"reselectdist 0.001", ok, false},
	{"reselect", ok, false},
	{"refresh", ok, false},
	{"rekey", ok, false},
	{"dfreq 1.0e-3", ok, false},
	{"doffset -0.0001", ok, false},
	{"local stratum 8", ok, false},
	{"local off", ok, false},
	{"allow 192.0.2.0/24", ok, false},
	{"accheck 192.0.2.9", `^208 Access allowed\n$`, false},
	{"deny 192.0.2.9", ok, false},
	{"accheck 192.0.2.9", `^209 Access denied\n$`, false},
	{"accheck 2001:db8::1", `^209 Access denied\n$`, false},
	{"allow all 2001:db8::/32", ok, false},
	{"accheck 2001:db8::1", `^208 Access allowed\n$`, false},
	{"deny all", ok, false},
	{"accheck 192.0.2.10", `^209 Access denied\n$`, false},
	{"cmdallow 192.0.2.0/24", ok, false},
	{"cmdaccheck 192.0.2.9", `^208 Access allowed\n$`, false},
	{"cmddeny all 192.0.2.0/24", ok, false},
	{"cmdaccheck 192.0.2.9", `^209 Access denied\n$`, false},
	{"add server 127.123.1.1 minpoll 4 iburst", ok, false},
	{"add server 127.123.1.1", `^511 Source already present\n$`, true},
	{"add peer 127.123.1.2", ok, false},
	{"delete 127.123.1.1", ok, false},
	{"delete 127.123.1.1", `^503 No such source\n$`, true},
	{"delete 127.123.1.2", ok, false},
	{"manual on", ok, false},
	{"settime now", `^200 OK\nClock was .* seconds fast\.  Frequency change = .*ppm, new frequency = .*ppm\n$`, false},
	{"manual list", `(?s)^210 n_samples = 1\n.*\n 0 .*\n$`, false},
	{"manual delete 0", ok, false},
	{"manual delete 0", `^516 Sample index out of range\n$`, true},
	{"manual reset", ok, false},
	{"manual off", ok, false},
	{"settime now", `^505 Facility not enabled in daemon\n$`, true},
	{"smoothtime activate", ok, false},
	{"smoothtime reset", ok, false},
	{"reload sources", ok, false},
	{"dump", ok, false},
	{"cyclelogs", ok, false},
	{"rtcdata", `^513 RTC driver not running\n$`, true},
	{"trimrtc", `^513 RTC driver not running\n$`, true},
	{"writertc", `^513 RTC driver not running\n$`, true},
	{"reset sources", ok, false},
}

// newerOrders need a chronyc newer than 4.3.
var newerOrders = []order{
	{"selectopts SRC +trust -prefer", ok, false},
	{"selectopts SRC -trust", ok, false},
	{"offset SRC 0.01", ok, false},
	{"offset SRC 0", ok, false},
	{"offset 203.0.113.1 0", `^503 No such source\n$`, true},
	{"local stratum 8 activate 0.1", ok, false},
}

// TestOrders gives every command that changes something, by each chronyc.
func TestOrders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	newer, err := Newer()
	able(t, err)
	b.chronyd(b.b, "server", serving)
	for i, edition := range []Chrony{Stock, newer} {
		name := fmt.Sprintf("client%d", i)
		config := fmt.Sprintf("server %s %s\nsmoothtime 400 0.01\ndumpdir %s\nkeyfile %s\n", b.link.B4, fast, b.lab.Path(name), keyFile(b))
		if i > 0 {
			config += "port 0\n" // of one namespace
		}
		d := b.foliotd(b.a, name, config)
		b.selected(d, b.link.B4, 15*time.Second)
		all := orders
		if i > 0 {
			all = append(slices.Clone(orders), newerOrders...)
		}
		for _, o := range all {
			cmd := strings.ReplaceAll(o.command, "SRC", b.link.B4.String())
			out, err := d.ChronycOf(edition, strings.Fields(cmd)...)
			if !regexp.MustCompile(o.want).MatchString(out) || (err != nil) != o.fails {
				t.Errorf("chronyc of edition %d: %s: %v, printed %q, want %q", i, cmd, err, out, o.want)
			}
		}
		b.selected(d, b.link.B4, 20*time.Second)
		if out, err := d.ChronycOf(edition, "waitsync", "10", "0.1", "0", "1"); err != nil {
			t.Errorf("waitsync: %v, %s", err, out)
		}
		out, err := d.ChronycOf(edition, "shutdown")
		if err != nil || out != "200 OK\n" {
			t.Errorf("shutdown: %v, %q", err, out)
		}
		d.Signal(syscall.SIGTERM) // an impatient script; it may be too late already
		code, err := d.Wait(5 * time.Second)
		pid := filepath.Join(d.Dir, "pid")
		if err != nil || code != 0 || exists(d.Commands) || exists(pid) || !strings.Contains(d.Log(), "foliotd exiting") {
			t.Errorf("after shutdown: exit code %d, %v, socket there: %v, pid file there: %v", code, err, exists(d.Commands), exists(pid))
		}
	}
}

// TestOrdersTakeEffect looks at what commands change.
func TestOrdersTakeEffect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	newer, err := Newer()
	able(t, err)
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	b.selected(d, b.link.B4, 15*time.Second)
	ask := func(args ...string) string {
		t.Helper()
		out, err := d.ChronycOf(newer, args...)
		if err != nil {
			t.Errorf("%v: %v: %s", args, err, out)
		}
		return out
	}
	ask("add", "server", b.link.B6.String(), "minpoll", "0", "maxpoll", "0", "iburst", "noselect")
	b.until(10*time.Second, "the added source answers", func() bool {
		return strings.Contains(ask("-c", "sources"), "^,?,"+b.link.B6.String()+",3,0,")
	})
	ask("selectopts", b.link.B6.String(), "-noselect", "+trust", "+prefer")
	b.until(10*time.Second, "it is selected", func() bool {
		return strings.Contains(ask("-c", "sources"), "^,*,"+b.link.B6.String())
	})
	if out := ask("-c", "selectdata"); !strings.Contains(out, b.link.B6.String()+",N,-,P,T,-,-,-,P,T,-") {
		t.Errorf("options of the added source:\n%s", out)
	}
	ask("offline", b.link.B4.String())
	b.until(10*time.Second, "one is offline", func() bool { return ask("-c", "activity") == "1,1,0,0,0\n" })
	ask("delete", b.link.B6.String())
	if out := ask("-c", "sources"); strings.Contains(out, b.link.B6.String()) {
		t.Errorf("the source is still there:\n%s", out)
	}
	ask("local", "stratum", "7", "distance", "0")
	b.until(10*time.Second, "local is in force", func() bool { return strings.HasPrefix(ask("-c", "tracking"), "7F7F0101,,7,") })

	// The server port opens with the first that may ask.
	c := b.chronyd(b.b, "other", fmt.Sprintf("server %s %s\nport 0\n", b.link.A4, fast))
	ask("allow", b.link.B4.String()+"/24")
	b.chronySelected(c, b.link.A4, 15*time.Second)
	b.until(5*time.Second, "the client is listed", func() bool {
		return strings.Contains(ask("-c", "clients"), b.link.B4.String()+",")
	})
}

// TestReloadSources changes files of a sourcedir.
func TestReloadSources(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := b.lab.Path("sources")
	b.must(os.MkdirAll(dir, 0o755))
	write := func(name, text string) {
		b.must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("a.sources", "server 127.123.5.1\nserver 127.123.5.2\n")
	write("b.sources", "server 127.123.5.3\n")
	d := b.foliotd(b.a, "client", "server 127.123.5.9\nsourcedir "+dir+"\n")
	list := func() string {
		out, err := d.Chronyc("-c", "sources")
		b.must(err)
		var names []string
		for line := range strings.Lines(out) {
			f := strings.Split(line, ",")
			names = append(names, strings.TrimPrefix(f[2], "127.123.5.")+"/"+f[4])
		}
		return strings.Join(names, " ")
	}
	b.until(5*time.Second, "the daemon answers", func() bool { _, err := d.Chronyc("activity"); return err == nil })
	if got := list(); got != "9/6 1/6 2/6 3/6" {
		t.Errorf("at the start: %s", got)
	}
	if out, err := d.Chronyc("add", "server", "127.123.5.8"); err != nil {
		t.Fatalf("add: %v: %s", err, out)
	}
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, "9/6 1/6 2/6 3/6 8/6"},
		{func() { write("a.sources", "server 127.123.5.2 minpoll 5\nserver 127.123.5.4\n") }, "9/6 3/6 8/6 2/5 4/6"},
		{func() { write("b.sources", "server 127.123.5.3\nserver 127.123.5.3\n") }, "9/6 3/6 8/6 2/5 4/6"},
		{func() {}, "9/6 3/6 8/6 2/5 4/6"},
		{func() { write("a.sources", "sever 127.123.5.2\nserver 127.123.5.4\n") }, "9/6 3/6 8/6 4/6"},
		{func() { write("a.sources", "") }, "9/6 3/6 8/6"},
		{func() { write("a.sources", "server 127.123.5.9\n") }, "9/6 3/6 8/6"},
		{func() { b.must(os.Remove(filepath.Join(dir, "a.sources"))) }, "9/6 3/6 8/6"},
		{func() { b.must(os.Remove(filepath.Join(dir, "b.sources"))) }, "9/6 8/6"},
	} {
		step.change()
		out, err := d.Chronyc("reload", "sources")
		if err != nil {
			t.Errorf("reload sources: %v: %s", err, out)
		}
		if got := list(); got != step.want {
			t.Errorf("after a change: %s, want %s", got, step.want)
		}
	}
	for what, want := range map[string]int{"Could not add source 127.123.5.3 at line 2 in file": 1, "sever": 1} {
		if n := strings.Count(d.Log(), what); n != want {
			t.Errorf("%d messages with %q, want %d", n, what, want)
		}
	}
}

// TestNetworkCommands asks over the network, where only reading is open, and only
// for some.
func TestNetworkCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.b, "server", fmt.Sprintf(
		"cmdport 323\nbindcmdaddress 0.0.0.0\nbindcmdaddress ::\ncmdallow %s\ncmdallow %s\nlocal\n", b.link.A4, b.link.A6))
	far := func(to netip.Addr, args ...string) (string, error) {
		return b.a.Run(append([]string{"chronyc", "-n", "-h", to.String()}, args...)...)
	}
	b.until(10*time.Second, "the daemon answers", func() bool { _, err := far(b.link.B4, "tracking"); return err == nil })
	for _, to := range []netip.Addr{b.link.B4, b.link.B6} {
		for cmd, want := range map[string]string{
			"tracking": "Reference ID", "sources": "MS Name", "serverstats": "501 Not authorised", "makestep": "501 Not authorised",
			"shutdown": "501 Not authorised", "clients": "501 Not authorised",
		} {
			if out, _ := far(to, cmd); !strings.Contains(out, want) {
				t.Errorf("%s at %s: %q, want %q", cmd, to, out, want)
			}
		}
	}
	if out, err := d.Chronyc("cmddeny", b.link.A4.String()); err != nil {
		t.Fatalf("cmddeny: %v: %s", err, out)
	}
	if out, err := far(b.link.B4, "tracking"); err == nil || !strings.Contains(out, "506 Cannot talk to daemon") {
		t.Errorf("from one that may not ask: %v, %q", err, out)
	}
	out, err := d.Chronyc("clients")
	b.must(err)
	if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(b.link.A4.String()) + ` +0 +0 +- +- +- +\d+ +0 `).MatchString(out) {
		t.Errorf("clients does not list the one who commands:\n%s", out)
	}
	if !d.Running() {
		t.Error("the daemon was shut down over the network")
	}
}

// TestFloodSparesCommands asks while the server port is flooded.
func TestFloodSparesCommands(t *testing.T) {
	b := newBench(t)
	b.chronyd(b.b, "upstream", serving)
	d := b.foliotd(b.a, "foliotd", fmt.Sprintf("server %s %s\nallow all\n", b.link.B4, fast))
	b.selected(d, b.link.B4, 12*time.Second)
	done := make(chan []time.Duration)
	end := time.Now().Add(3 * time.Second)
	go func() {
		var took []time.Duration
		for time.Now().Before(end.Add(-200 * time.Millisecond)) {
			from := time.Now()
			out, err := exec.Command("chronyc", "-n", "-h", d.Commands, "sources").CombinedOutput()
			if err != nil || !strings.Contains(string(out), b.link.B4.String()) {
				t.Errorf("sources: %v: %s", err, out)
			}
			took = append(took, time.Since(from))
			time.Sleep(20 * time.Millisecond)
		}
		done <- took
	}()
	time.Sleep(100 * time.Millisecond)
	sent := floodFor(b, b.b, netip.AddrPortFrom(b.link.A4, 123), time.Until(end))
	took := <-done
	slices.Sort(took)
	t.Logf("%d requests; chronyc sources %d times, median %v, slowest %v", sent, len(took), took[len(took)/2], took[len(took)-1])
	if median := took[len(took)/2]; median > 100*time.Millisecond {
		t.Errorf("the median of chronyc sources is %v during a flood, want 100 ms at most", median)
	}
}
