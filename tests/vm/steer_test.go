// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"foliot/tests/vm/wire"
)

// following is the configuration of a client of the lab's server, which asks
// often so that a test takes minutes; add is more of it.
func following(server *machine, add string) string {
	return fmt.Sprintf("server %s iburst minpoll 0 maxpoll 2\nmakestep 1.0 3\nrtcsync\ndriftfile /var/lib/foliot/drift\nkeyfile /etc/foliot/foliot.keys\n%s",
		server.addr(), add)
}

// pair starts a server with foliotd and a machine without a daemon, at the
// same time.
func pair(t *testing.T) (server, client *machine) {
	t.Helper()
	img := trixie(t)
	both := startAll(t, spec{name: "server", image: img, host: 1}, spec{name: "client", image: img, host: 2})
	server, client = both[0], both[1]
	server.install(t, served)
	return server, client
}

// startAll boots machines side by side.
func startAll(t *testing.T, specs ...spec) []*machine {
	t.Helper()
	list := make([]*machine, len(specs))
	for i, s := range specs {
		list[i] = launch(t, s)
	}
	for _, m := range list {
		m.await(t)
		m.network(t)
	}
	return list
}

// disturb sets the clock of m apart from that of o, and its rate.
func (m *machine) disturb(t *testing.T, o *machine, offset, ppm float64) {
	t.Helper()
	m.clock(t, wire.Request{Do: wire.Rate, PPM: ppm})
	now, _ := m.apart(t, o)
	m.clock(t, wire.Request{Do: wire.Shift, Seconds: offset - now})
}

var trackedFrequency = regexp.MustCompile(`Frequency +: ([0-9.]+) ppm (slow|fast)`)

// frequency returns what foliotd says about the rate of the clock by itself,
// ppm, positive: it runs fast.
func (m *machine) frequency(t *testing.T) float64 {
	t.Helper()
	out := m.sh(t, "foliotctl tracking")
	f := trackedFrequency.FindStringSubmatch(out)
	if f == nil {
		t.Fatalf("no frequency in %s", out)
	}
	ppm, err := strconv.ParseFloat(f[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	if f[2] == "slow" {
		ppm = -ppm
	}
	return ppm
}

// within waits until the clock of m is within limit seconds of o's.
func (m *machine) within(t *testing.T, o *machine, limit float64, patience time.Duration) {
	t.Helper()
	var off, bound float64
	begin := time.Now()
	for time.Since(begin) < patience {
		off, bound = m.apart(t, o)
		if math.Abs(off) < limit {
			t.Logf("%s is %+.3f ms from %s (read to %.3f ms) after %.0f s", m.name, off*1e3, o.name, bound*1e3, time.Since(begin).Seconds())
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("%s is %+.3f ms from %s (read to %.3f ms) after %v, want less than %.3f ms:\n%s", m.name, off*1e3, o.name, bound*1e3, patience,
		limit*1e3, m.sh(t, "foliotctl tracking; foliotctl -n sources"))
}

// synchronised checks what others are told about the clock.
func (m *machine) synchronised(t *testing.T, want bool) {
	t.Helper()
	answer := map[bool]string{true: "yes", false: "no"}[want]
	if out := m.sh(t, "timedatectl show -P NTPSynchronized"); out != answer {
		t.Errorf("timedatectl on %s says synchronised %s, want %s", m.name, out, answer)
	}
	if out, code := m.try(t, "/payload/kudu -limit 1s"); (code == 0) != want {
		t.Errorf("the check of Kudu on %s: exit status %d: %s", m.name, code, out)
	}
	s := m.clock(t, wire.Request{})
	if (s.State != 5) != want {
		t.Errorf("adjtimex on %s: state %d, status %#x", m.name, s.State, s.Status)
	}
}

func TestSlew(t *testing.T) {
	server, client := pair(t)
	// An unsteered clock runs at its own rate and the one set: the daemon is to
	// find the latter, since the lab's machines have exact clocks.
	client.disturb(t, server, 0.4, 80)
	client.synchronised(t, false)
	client.install(t, following(server, ""))
	client.within(t, server, 1e-3, 90*time.Second)
	eventually(t, time.Minute, "the frequency is within 1 ppm", func() bool { return math.Abs(client.frequency(t)) < 1 })
	if log := client.sh(t, "journalctl --no-pager -u foliotd"); strings.Contains(log, "was stepped") {
		t.Errorf("0.4 s were stepped with makestep 1.0 3:\n%s", log)
	}
	client.synchronised(t, true)
	off, bound := client.apart(t, server)
	s := client.clock(t, wire.Request{})
	t.Logf("offset %+.3f ms (read to %.3f ms), kernel rate %+.3f ppm, bound %.6f s", off*1e3, bound*1e3, s.PPM, s.MaxError)
	if math.Abs(off)-bound > s.MaxError {
		t.Errorf("the kernel's bound of %.6f s does not hold: the error is %.6f s", s.MaxError, off)
	}
}
