// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"flag"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"foliot/tests/vm/wire"
)

// How long the network and the machine itself stand still. The lab has ten
// minutes; -outage 10m is for those who have more.
var (
	outage = flag.Duration("outage", 45*time.Second, "how long the network is down")
	stall  = flag.Duration("stall", 60*time.Second, "how long the machine stands still")
)

// everStep is for machines that may be stopped: their clock is to be stepped
// whenever it is off.
const everStep = "makestep 0.5 -1\n"

// testPause has the machine stand still, its own clocks included, as a hypervisor
// does: nothing inside tells but the time that others have.
func testPause(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, everStep), 0.01, 0)
	client.within(t, server, 2e-3, 60*time.Second)
	client.pause(t, *stall)
	off, _ := client.apart(t, server)
	if off > -stall.Seconds()/2 {
		t.Fatalf("after the pause the clock is %+.3f s off, which is no pause of %v", off, *stall)
	}
	client.within(t, server, 5e-3, 60*time.Second)
	client.synchronised(t, true)
}

func testSetByHand(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, ""), 0, 0)
	client.within(t, server, 2e-3, 60*time.Second)
	time.Sleep(20 * time.Second) // for more updates than makestep has
	client.sh(t, "date -s '-3 seconds'")
	// makestep 1.0 3 allows no step any more: three seconds take half a minute.
	eventually(t, 30*time.Second, "the daemon notices", func() bool { return strings.Contains(client.journal(t), "clock") })
	client.within(t, server, 5e-3, 150*time.Second)
	if log := client.journal(t); strings.Contains(log, "was stepped") {
		t.Errorf("a clock set by hand was stepped with makestep 1.0 3 long after the start:\n%s", log)
	}
}

// testOutage takes the network away: the clock runs on at the rate found, and the
// kernel's bound grows with the time.
func testOutage(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, ""), 0.05, 30)
	client.within(t, server, 1e-3, 60*time.Second)
	eventually(t, 60*time.Second, "the frequency is within 1 ppm", func() bool { return math.Abs(client.frequency(t)) < 1 })
	before := client.clock(t, wire.Request{})
	client.sh(t, "ip link set eth0 down")
	time.Sleep(*outage)
	after := client.clock(t, wire.Request{})
	off, bound := client.apart(t, server)
	t.Logf("after %v alone: %+.3f ms off (read to %.3f ms), the kernel's bound went from %.6f to %.6f s", *outage, off*1e3, bound*1e3, before.MaxError, after.MaxError)
	if after.MaxError <= before.MaxError {
		t.Errorf("the kernel's bound did not grow: %.6f s, before %.6f s", after.MaxError, before.MaxError)
	}
	if math.Abs(off)-bound > after.MaxError {
		t.Errorf("the kernel's bound of %.6f s does not hold: %.6f s", after.MaxError, off)
	}
	client.sh(t, "ip link set eth0 up; foliotctl online")
	client.within(t, server, 1e-3, 60*time.Second)
	client.synchronised(t, true)
}

// testDiskFull leaves no octet for drift, dumps and logs: the daemon says so and
// goes on.
func testDiskFull(t *testing.T, server, client *machine) {
	client.begin(t, server, following(server, "logdir /var/log/foliot\nlog tracking measurements statistics\ndumpdir /var/lib/foliot\n"), 0.01, 0)
	client.sh(t, "mount -t tmpfs -o size=16k,mode=0750,uid=foliot,gid=foliot none /var/lib/foliot; mount -t tmpfs -o size=16k,mode=0750,uid=foliot,gid=foliot none /var/log/foliot")
	defer client.sh(t, "systemctl stop foliotd; umount /var/lib/foliot /var/log/foliot")
	client.sh(t, "systemctl restart foliotd; head -c 32k /dev/zero >/var/lib/foliot/fill; head -c 32k /dev/zero >/var/log/foliot/fill; df /var/lib/foliot /var/log/foliot")
	client.within(t, server, 2e-3, 60*time.Second)
	time.Sleep(5 * time.Second)
	client.synchronised(t, true)
	client.sh(t, "systemctl restart foliotd; systemctl is-active foliotd")
	if log := client.journal(t); !strings.Contains(log, "no space left") {
		t.Errorf("the journal does not tell of a full disk:\n%s", log)
	}
}

// seed reads a file of the users' own.
func seed(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../internal/chronyconf/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testSeedChrony runs the pair of chrony's files that the first users have, on
// machines with their addresses; the upstream server does not exist here.
func testSeedChrony(t *testing.T, server, client *machine) {
	server.sh(t, "ip addr add 192.168.4.254/24 dev eth0 2>/dev/null; grep -q openstack1 /etc/hosts || echo '192.168.4.254 openstack1' >>/etc/hosts")
	client.sh(t, "grep -q openstack1 /etc/hosts || echo '192.168.4.254 openstack1' >>/etc/hosts")
	upstream := "local stratum 8\n" // for what is behind 3.centos.pool.ntp.org
	server.write(t, "/etc/foliot/foliot.conf", upstream+seed(t, "seed-server.conf"))
	server.sh(t, "systemctl restart foliotd")
	client.begin(t, server, seed(t, "seed-client.conf"), 0.2, 10)
	eventually(t, 60*time.Second, "openstack1 is selected", func() bool {
		out, _ := client.try(t, "foliotctl sources")
		return strings.Contains(out, "^* openstack1")
	})
	client.within(t, server, 5e-3, 60*time.Second)
	t.Log(client.sh(t, "foliotctl sources"))
	server.write(t, "/etc/foliot/foliot.conf", served)
	server.sh(t, "systemctl restart foliotd")
}

// testChronyd has stock chronyd follow foliotd, and foliotd follow it.
func testChronyd(t *testing.T, server, client *machine) {
	client.sh(t, "systemctl stop foliotd")
	client.write(t, "/etc/chrony/chrony.conf", following(server, "allow 192.168.4.0/24\nlocal stratum 5\n")+
		"driftfile /var/lib/chrony/drift\nkeyfile /etc/chrony/chrony.keys")
	client.disturb(t, server, 0.3, 25)
	client.sh(t, "DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i /opt/debs/chrony_*.deb; systemctl restart chrony")
	if out := client.sh(t, "systemctl is-active foliotd || true"); out != "inactive" {
		t.Errorf("foliotd beside chronyd is %s", out)
	}
	client.within(t, server, 1e-3, 90*time.Second)
	t.Log("chronyd follows foliotd\n" + client.sh(t, "chronyc -n sources; chronyc tracking"))

	server.begin(t, client, following(client, ""), 0.3, -25)
	server.within(t, client, 1e-3, 90*time.Second)
	t.Log("foliotd follows chronyd\n" + server.sh(t, "foliotctl -n sources; foliotctl tracking"))

	// Adoption, with the unit of chrony still there and disabled by nobody.
	out := client.sh(t, "foliotctl adopt && foliotd --check")
	if active := client.sh(t, "systemctl is-active chrony"); active != "active" {
		t.Errorf("chrony is %s after foliotctl adopt", active)
	}
	client.sh(t, "systemctl disable --now chrony 2>/dev/null; systemctl start foliotd; chronyc -n tracking >/dev/null")
	t.Log("adopted\n" + out + "\nand stock chronyc asks foliotd:\n" + client.sh(t, "chronyc -n sources"))
	client.sh(t, "systemctl stop foliotd; dpkg --purge chrony >/dev/null")
}

// testClockUpdate runs the test of chrony's that steps the clock, with our
// programs under the names of its own.
func testClockUpdate(t *testing.T, server, client *machine) {
	client.sh(t, "systemctl stop foliotd; rm -rf /tmp/chrony && mkdir -p /tmp/chrony/bin && cd /tmp/chrony && "+
		"tar xzf /opt/debs/chrony_*.orig.tar.gz --strip-components=1 && "+
		"ln -s /usr/sbin/foliotd bin/chronyd && ln -s /usr/bin/foliotctl bin/chronyc")
	out, code := client.try(t, "cd /tmp/chrony/test/system && CHRONY_PATH=/tmp/chrony/bin ./100-clockupdate; code=$?; cat tmp/chronyd.out tmp/chronyc.out; exit $code")
	if code != 0 {
		t.Errorf("exit status %d:\n%s", code, out)
	}
}
