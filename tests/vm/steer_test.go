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

// startAll boots machines side by side.
func startAll(t *testing.T, specs ...spec) []*machine {
	t.Helper()
	list := make([]*machine, len(specs))
	port := lab.port.Add(1)
	for i, s := range specs {
		s.port = port
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

// begin starts the daemon of m anew with a configuration and no memory, offset
// seconds ahead of o and with a clock whose rate was set ppm too fast.
func (m *machine) begin(t *testing.T, o *machine, conf string, offset, ppm float64) {
	t.Helper()
	m.sh(t, "systemctl stop foliotd chrony 2>/dev/null; rm -f /var/lib/foliot/* /etc/foliot/conf.d/*.conf")
	m.write(t, "/etc/foliot/foliot.conf", conf)
	m.disturb(t, o, offset, ppm)
	m.sh(t, "journalctl -q --rotate && journalctl -q --vacuum-time=1s && systemctl reset-failed foliotd; systemctl start foliotd")
}

// journal returns what the daemon logged since begin.
func (m *machine) journal(t *testing.T) string {
	t.Helper()
	return m.sh(t, "journalctl --no-pager -o cat -u foliotd")
}

// TestSteering has a machine follow another, with everything that may happen.
func TestSteering(t *testing.T) {
	t.Parallel()
	img := trixie(t)
	both := startAll(t, spec{name: "server", image: img, host: 1}, spec{name: "client", image: img, host: 2})
	server, client := both[0], both[1]
	server.install(t, served)
	t.Run("unsynchronised", func(t *testing.T) { client.synchronised(t, false) })
	client.install(t, following(server, ""))
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, server, client *machine)
	}{
		{"slew", testSlew},
		{"step", testStep},
		{"killed in mid-slew", testKilled},
		{"crash loop", testCrashLoop},
		{"paused", testPause},
		{"set by hand", testSetByHand},
		{"network down", testOutage},
		{"disk full", testDiskFull},
		{"chrony's own test", testClockUpdate},
		{"seed pair of chrony", testSeedChrony},
		{"chronyd beside ours", testChronyd},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, server, client) })
	}
}

// An unsteered clock runs at the rate that was set: the daemon is to find that
// out, since the lab's machines have exact clocks.
func testSlew(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, ""), 0.4, 80)
	client.within(t, server, 1e-3, 90*time.Second)
	defer func() {
		t.Log(client.sh(t, "foliotctl tracking; foliotctl -n sourcestats; foliotctl -n ntpdata | grep -i stamping"))
	}()
	took := eventually(t, 150*time.Second, "the frequency is within 1 ppm", func() bool { return math.Abs(client.frequency(t)) < 1 })
	if log := client.journal(t); strings.Contains(log, "was stepped") {
		t.Errorf("0.4 s were stepped with makestep 1.0 3:\n%s", log)
	}
	client.synchronised(t, true)
	off, bound := client.apart(t, server)
	s := client.clock(t, wire.Request{})
	t.Logf("frequency after %.0f s more; offset %+.3f ms (read to %.3f ms), kernel rate %+.3f ppm, bound %.6f s",
		took.Seconds(), off*1e3, bound*1e3, s.PPM, s.MaxError)
	if math.Abs(off)-bound > s.MaxError {
		t.Errorf("the kernel's bound of %.6f s does not hold: the error is %.6f s", s.MaxError, off)
	}
	client.sh(t, "systemctl start foliot-wait && systemctl is-active time-sync.target && systemctl stop foliot-wait")
}

func testStep(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, ""), -3000, -50)
	client.within(t, server, 5e-3, 60*time.Second)
	if log := client.journal(t); !strings.Contains(log, "was stepped by 3000") && !strings.Contains(log, "was stepped by 2999") {
		t.Errorf("the journal tells of no step:\n%s", log)
	}
	client.synchronised(t, true)
}

// slewing waits until the clock runs far from its base rate.
func (m *machine) slewing(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "a slew", func() bool { return math.Abs(m.clock(t, wire.Request{}).PPM) > 1000 })
}

// testKilled ends the daemon in mid-slew. No new instance shall mend what the old
// one left at first: that is for the guard, or for what comes after its end too.
func testKilled(t *testing.T, server, client *machine) {
	const drop = "/run/systemd/system/foliotd.service.d/once.conf"
	for _, v := range []struct{ name, restart, kill string }{
		{"the daemon alone", "no", "kill -9 $(systemctl show -P MainPID foliotd)"},
		{"daemon and guard at once", "on-failure", "systemctl kill -s KILL foliotd"},
	} {
		client.write(t, drop, "[Service]\nRestart="+v.restart)
		client.sh(t, "systemctl daemon-reload")
		client.begin(t, server, "maxslewrate 20000\n"+following(server, ""), 0.9, 20)
		client.slewing(t)
		client.sh(t, v.kill)
		took := eventually(t, 8*time.Second, "the rate is the clock's own again after a kill of "+v.name, func() bool {
			return math.Abs(client.clock(t, wire.Request{}).PPM) < 500
		})
		t.Logf("kill of %s: base rate seen after %.1f s", v.name, took.Seconds())
	}
	client.sh(t, "rm "+drop+"; systemctl daemon-reload")
}

// testCrashLoop has the daemon crash after each step: only so many steps as
// makestep allows may come of that.
func testCrashLoop(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, ""), 100, 0)
	steps := 0
	for range 5 {
		n := strings.Count(client.journal(t), "was stepped by")
		for begin := time.Now(); time.Since(begin) < 12*time.Second && n == steps; n = strings.Count(client.journal(t), "was stepped by") {
			time.Sleep(500 * time.Millisecond)
		}
		steps = n
		client.clock(t, wire.Request{Do: wire.Shift, Seconds: 100})
		client.sh(t, "kill -9 $(systemctl show -P MainPID foliotd); sleep 2; timeout 30 sh -c 'until systemctl is-active foliotd; do sleep 1; done'")
	}
	if steps < 1 || steps > 3 {
		t.Errorf("%d steps in a crash loop with makestep 1.0 3, want 1 to 3:\n%s", steps, client.journal(t))
	}
	t.Logf("%d steps in 5 crashes", steps)
}
