// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"foliot/internal/rackstat"
)

// racks runs "foliotctl racks run" in the namespace and returns its report and exit
// code.
func (b *bench) racks(s *Space, inventory string, args ...string) (*rackstat.Report, int) {
	b.Helper()
	list, err := b.lab.Write(inventory, "racks", "hosts")
	b.must(err)
	out := b.lab.Path("racks", "report.json")
	os.Remove(out)
	cmd := s.Command(append([]string{binaries.Foliotctl, "racks", "run", "--quiet", "--json", out}, append(args, list)...)...)
	text, err := cmd.CombinedOutput()
	code := cmd.ProcessState.ExitCode()
	raw, fail := os.ReadFile(out)
	if fail != nil {
		b.Fatalf("no report: %v, %v: %s", fail, err, text)
	}
	r := new(rackstat.Report)
	b.must(json.Unmarshal(raw, r))
	b.Logf("exit %d\n%s", code, text)
	return r, code
}

// within checks that every offset is within its own bound: all clocks are one.
func (b *bench) within(r *rackstat.Report) {
	b.Helper()
	for i := range r.Hosts {
		h := &r.Hosts[i]
		if h.Measured && !(math.Abs(h.Raw) <= h.Bound && h.Bound < 0.01) {
			b.Errorf("host %s: offset %g, bound %g", h.Name, h.Raw, h.Bound)
		}
	}
}

// TestRacks: foliotd and chronyd at many addresses, IPv4 and IPv6, beside hosts that
// are dead in all ways.
func TestRacks(t *testing.T) {
	b := newBench(t)
	b.foliotd(b.b, "foliot", "local stratum 3\nallow\nmanual\n")
	b.chronyd(b.b, "chrony", "local stratum 5\nallow\nport 1123\n")
	b.chronyd(b.b, "unsynced", "allow\nport 1124\n")
	b.foliotd(b.b, "limited", "local\nallow\nport 1125\nratelimit interval 10 burst 1 leak 4 kod 1\n")
	b.must(b.a.Hosts("10.77.1.2 many", "fd77:1::2 many"))
	var list strings.Builder
	for i := range 12 {
		a := netip.AddrFrom4([4]byte{10, 77, 1, byte(10 + i)})
		b.must(b.b.AddAddr(b.link.BDev, a))
		fmt.Fprintf(&list, "%s r%d\n%s:1123 r%d\n", a, i%3, a, i%3)
	}
	fmt.Fprintf(&list, "%s r1\n[%s]:1123 r2\nmany r2\n", b.link.B6, b.link.B6)
	fmt.Fprintf(&list, "10.77.1.2:1124 odd\n10.77.1.2:1125 odd\n10.77.1.2:9 odd\n10.77.1.99 odd\n192.0.2.1 odd\nnosuch.invalid odd\n")
	time.Sleep(2 * time.Second)
	r, code := b.racks(b.a, list.String(), "-n", "8", "-i", "1s", "--require", "p95=1ms")
	if code != 0 {
		b.Errorf("exit code %d", code)
	}
	b.within(r)
	state := map[string]*rackstat.Host{}
	for i := range r.Hosts {
		state[r.Hosts[i].Name] = &r.Hosts[i]
	}
	for name, want := range map[string]string{
		"10.77.1.10": "ok", "10.77.1.10:1123": "ok", b.link.B6.String(): "ok", "many": "ok",
		"10.77.1.2:1124": "not synchronised", "10.77.1.2:9": "refused", "192.0.2.1": "no route", "nosuch.invalid": "name does not resolve",
	} {
		if h := state[name]; h == nil || !strings.HasPrefix(h.State, want) {
			b.Errorf("host %s: %+v, want %s", name, h, want)
		}
	}
	if h := state["10.77.1.99"]; h.Measured || h.Loss != 1 {
		b.Errorf("an address that nobody has: %+v", h)
	}
	if h := state["10.77.1.2:1125"]; h.Sent >= 8 || h.Sent == 0 {
		b.Errorf("the host that limits was asked %d times", h.Sent)
	}
	if h := state["10.77.1.10:1123"]; h.Interleaved == 0 || h.Stamps != "KK" {
		b.Errorf("chronyd: %d interleaved answers, stamps %s", h.Interleaved, h.Stamps)
	}
	if h := state["many"]; len(h.Notes) == 0 || !strings.Contains(h.Notes[0], "1 address more") {
		b.Errorf("notes of a name with two addresses: %v", h.Notes)
	}
	if r, _ := b.racks(b.a, "many r\n", "-n", "1", "-6"); !r.Hosts[0].Measured || !strings.HasPrefix(r.Hosts[0].Address, "fd77") {
		b.Errorf("by IPv6: %+v", r.Hosts[0])
	}
}

// TestRacksNothing: one host, all dead, and only addresses of the wrong family.
func TestRacksNothing(t *testing.T) {
	b := newBench(t)
	b.must(b.a.Hosts("10.77.1.2 four"))
	for _, tt := range []struct {
		inventory string
		args      []string
		state     string
	}{
		{"10.77.1.2 r\n", nil, "refused"}, {"four r\n", []string{"-6"}, "name does not resolve: four has IPv4 addresses only"},
		{"192.0.2.1 r\n192.0.2.2 s\n", nil, "no route"}, {"2001:db8::1 r\n", nil, "no route"},
	} {
		r, code := b.racks(b.a, tt.inventory, append([]string{"-n", "2", "-i", "1s", "--require", "p99=1s"}, tt.args...)...)
		if code != 3 || !strings.HasPrefix(r.Hosts[0].State, tt.state) || r.Verdicts[0].Holds {
			b.Errorf("%q: exit code %d, state %q, want 3, %q", tt.inventory, code, r.Hosts[0].State, tt.state)
		}
	}
}

// TestRacksInterrupted: what was measured before Ctrl-C is reported.
func TestRacksInterrupted(t *testing.T) {
	b := newBench(t)
	b.foliotd(b.b, "foliot", "local stratum 3\nallow\n")
	time.Sleep(time.Second)
	list, err := b.lab.Write("10.77.1.2 r\n", "racks", "hosts")
	b.must(err)
	out := b.lab.Path("racks", "report.json")
	p, err := b.lab.Start("racks", b.a.Command(binaries.Foliotctl, "racks", "run", "-n", "0", "-t", "1h", "-i", "1s", "--json", out, list))
	b.must(err)
	time.Sleep(4 * time.Second)
	b.must(p.Signal(os.Interrupt))
	if code, err := p.Wait(10 * time.Second); code != 0 || err != nil {
		b.Fatalf("exit code %d, %v: %s", code, err, p.Log())
	}
	raw, err := os.ReadFile(out)
	b.must(err)
	r := new(rackstat.Report)
	b.must(json.Unmarshal(raw, r))
	if !r.Stopped || !r.Hosts[0].Measured || r.Hosts[0].Samples < 2 {
		b.Errorf("%+v", r.Hosts[0])
	}
	b.within(r)
}

// TestRacksFrom: what another daemon sees is asked of it, and monitored sources are
// measured there without being followed.
func TestRacksFrom(t *testing.T) {
	b := newBench(t)
	b.foliotd(b.b, "foliot", "local stratum 3\nallow\n")
	watcher, err := b.a.Prepare(binaries, "watcher", "rack r1\nlocal stratum 8\nmonitor 10.77.1.2 rack r2 minpoll 0 maxpoll 0\n")
	b.must(err)
	b.all = append(b.all, watcher)
	// The last word on both counts.
	text, err := os.ReadFile(watcher.Config)
	b.must(err)
	b.must(os.WriteFile(watcher.Config, []byte(strings.Replace(string(text), "cmdport 0", "cmdport 323", 1)), 0o644))
	b.must(watcher.Start("-d"))
	time.Sleep(6 * time.Second)
	r, code := b.racks(b.a, "10.77.1.2 r2\n127.0.0.1 r1\n", "-n", "2", "-i", "1s", "--from", "127.0.0.1,10.77.1.2")
	if code != 0 || len(r.Views) != 2 {
		b.Fatalf("exit code %d, views %+v", code, r.Views)
	}
	v := r.Views[0]
	if v.State != "ok" || len(v.Sees) != 1 || v.Sees[0].Host != "10.77.1.2" || v.Sees[0].Rack != "r2" || math.Abs(v.Sees[0].Offset) > v.Sees[0].Bound {
		b.Errorf("view %+v", v)
	}
	if len(r.Pairs) != 1 || r.Pairs[0].From != "r1" || r.Pairs[0].To != "r2" || math.Abs(r.Pairs[0].Offset) > r.Pairs[0].Worst {
		b.Errorf("pairs %+v", r.Pairs)
	}
	if v := r.Views[1]; v.State == "ok" || v.State == "" {
		b.Errorf("view of a daemon that does not talk: %+v", v)
	}
	if status, err := watcher.Ctl("status"); err != nil || strings.Contains(Row(status, "10.77.1.2"), "* ") {
		b.Errorf("%v: %s", err, status)
	}
}
