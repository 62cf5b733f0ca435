// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// binaries are the programs under test, nil where the tests cannot run.
var binaries *Binaries

func TestMain(m *testing.M) { os.Exit(mainCode(m)) }

func mainCode(m *testing.M) int {
	if Ready() != nil {
		return m.Run() // tests say themselves why they skip
	}
	dir, err := os.MkdirTemp("", prefix)
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		binaries, err = Build("../..", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// bench is a lab with two namespaces joined by a link, for one test. Clients
// run in a, servers in b.
type bench struct {
	*testing.T
	lab  *Lab
	a, b *Space
	link *Link
	all  []*Daemon
	rest []*Process // of other makes
}

// newBench skips the test where it cannot run. In continuous integration as
// root it must be able to.
func newBench(t *testing.T) *bench {
	t.Helper()
	able(t, Ready())
	b := &bench{T: t}
	var err error
	b.lab, err = NewLab()
	b.must(err)
	t.Cleanup(b.close)
	b.a, err = b.lab.Space()
	b.must(err)
	b.b, err = b.lab.Space()
	b.must(err)
	b.link, err = b.lab.Link(b.a, b.b)
	b.must(err)
	return b
}

// able skips a test that cannot run because of err.
func able(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
		t.Fatalf("cannot run although CI=true: %v", err)
	}
	t.Skip(err)
}

// peer is the path of a program of another make.
func (b *bench) peer(name string) string {
	b.Helper()
	path, err := Peer(name)
	able(b.T, err)
	return path
}

func (b *bench) close() {
	if b.Failed() {
		for _, p := range b.rest {
			b.Logf("%s printed:\n%s", p.Name, tail(p.Log(), 60))
		}
		for _, d := range b.all {
			if d.Process == nil {
				continue
			}
			b.Logf("%s printed:\n%s", d.Name, d.Log())
			b.Logf("%s measured:\n%s", d.Name, tail(d.LogFile("measurements"), 12))
		}
	}
	if err := b.lab.Close(); err != nil {
		b.Error(err)
	}
}

func tail(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// foliotd starts foliotd in s.
func (b *bench) foliotd(s *Space, name, config string, args ...string) *Daemon {
	b.Helper()
	d, err := s.Foliotd(binaries, name, config, args...)
	b.must(err)
	b.all = append(b.all, d)
	return d
}

// prepare is foliotd without starting it.
func (b *bench) prepare(s *Space, name, config string) *Daemon {
	b.Helper()
	d, err := s.Prepare(binaries, name, config)
	b.must(err)
	b.all = append(b.all, d)
	return d
}

// chronyd starts chronyd in s.
func (b *bench) chronyd(s *Space, name, config string) *Daemon {
	b.Helper()
	return b.chronydOf(Stock, s, name, config)
}

// chronydOf starts chronyd of another edition in s.
func (b *bench) chronydOf(c Chrony, s *Space, name, config string) *Daemon {
	b.Helper()
	d, err := s.ChronydOf(c, name, config)
	b.must(err)
	b.all = append(b.all, d)
	return d
}

// until waits for cond.
func (b *bench) until(limit time.Duration, what string, cond func() bool) {
	b.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if cond() {
			return
		}
		if time.Now().After(end) {
			b.Fatalf("%s: not within %s", what, limit)
		}
	}
}

// selected waits until foliotd follows the source at addr.
func (b *bench) selected(d *Daemon, addr netip.Addr, limit time.Duration) {
	b.Helper()
	last := ""
	defer func() {
		if b.Failed() {
			b.Logf("last status of %s:\n%s", d.Name, last)
		}
	}()
	b.until(limit, d.Name+" selects "+addr.String(), func() bool {
		last, _ = d.Ctl("status")
		return strings.HasPrefix(Row(last, addr.String()), "*")
	})
}

// chronySelected waits until chronyd follows the source at addr.
func (b *bench) chronySelected(d *Daemon, addr netip.Addr, limit time.Duration) {
	b.Helper()
	last := ""
	defer func() {
		if b.Failed() {
			b.Logf("last sources of %s:\n%s", d.Name, last)
		}
	}()
	b.until(limit, d.Name+" selects "+addr.String(), func() bool {
		last, _ = d.Chronyc("-c", "sources")
		for line := range strings.Lines(last) {
			f := strings.Split(line, ",")
			if len(f) > 3 && f[1] == "*" && f[2] == addr.String() {
				return true
			}
		}
		return false
	})
}

// measured waits for n measurements of d with the source at addr.
func (b *bench) measured(d *Daemon, addr netip.Addr, n int, limit time.Duration) []Measurement {
	b.Helper()
	var got []Measurement
	b.until(limit, fmt.Sprintf("%s makes %d measurements of %s", d.Name, n, addr), func() bool {
		got = got[:0]
		for _, m := range Measurements(d.LogFile("measurements")) {
			if m.Source == addr.String() {
				got = append(got, m)
			}
		}
		return len(got) >= n
	})
	return got
}

// accurate checks that measurements agree with the truth: one clock, so all
// offsets are zero but for noise.
func (b *bench) accurate(all []Measurement) {
	b.Helper()
	if got := Quantile(Offsets(all), 0.5); !(got < 100e-6) {
		b.Errorf("median of %d offsets is %.1f us, want below 100 us: %+v", len(all), got*1e6, all)
	}
}

// stamped checks that the kernel stamped the packets of both directions.
func (b *bench) stamped(all []Measurement) {
	b.Helper()
	for _, m := range all {
		if m.Tx != "K" || m.Rx != "K" {
			b.Errorf("stamps are %s %s, want K K (kernel): %+v", m.Tx, m.Rx, m)
			return
		}
	}
}

// fast are options of a source that is asked each second.
const fast = "iburst minpoll 0 maxpoll 0"

// serving is the configuration of a chronyd that serves.
const serving = "allow all\nlocal stratum 3\n"
