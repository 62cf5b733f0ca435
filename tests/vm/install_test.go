// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"strings"
	"testing"
	"time"

	"foliot/tests/vm/wire"
)

// install installs the package with a configuration that is there before, and
// waits for the unit.
func (m *machine) install(t *testing.T, conf string) {
	t.Helper()
	m.installBy(t, "dpkg --force-confold -i", conf) // apt takes a minute to think
}

// installBy is install by the command how.
func (m *machine) installBy(t *testing.T, how, conf string) {
	t.Helper()
	if conf != "" {
		m.write(t, "/etc/foliot/foliot.conf", conf)
	}
	m.sh(t, "DEBIAN_FRONTEND=noninteractive "+how+" /payload/foliot.deb")
	m.sh(t, "systemctl is-active foliotd")
}

// served is the configuration of a server that has nothing but its own clock.
const served = `local stratum 3
allow 192.168.4.0/24
driftfile /var/lib/foliot/drift
`

func TestInstall(t *testing.T) {
	t.Parallel()
	m := start(t, spec{name: "alone", image: trixie(t), host: 11})
	m.installBy(t, "apt-get install -y -q --no-install-recommends", "")
	if got := m.sh(t, "systemctl is-enabled foliotd"); got != "enabled" {
		t.Errorf("systemctl is-enabled foliotd: %s, want enabled", got)
	}
	// The unit as it ships has no rights for eBPF, and the daemon says so.
	log := m.sh(t, "journalctl --no-pager -u foliotd | grep -v 'No eBPF programs'")
	for _, unwanted := range []string{"ignoring", "Unknown key", "denied", "not permitted"} {
		if strings.Contains(log, unwanted) {
			t.Errorf("the journal has %q:\n%s", unwanted, log)
		}
	}
	t.Log(m.sh(t, "systemctl show foliotd -p Type -p User -p NRestarts -p ActiveState; systemd-analyze security foliotd | tail -1"))
	t.Log(m.sh(t, "foliotctl tracking; ls -ld /run/foliot /run/chrony /var/lib/foliot /var/log/foliot; ps -eo user,pid,rss,args | grep foliot[d]"))

	before := m.sh(t, "systemctl show -P MainPID foliotd")
	m.sh(t, "systemctl restart foliotd")
	if after := m.sh(t, "systemctl show -P MainPID foliotd"); after == before || after == "0" {
		t.Errorf("main process after a restart: %s, before %s", after, before)
	}
	testReload(t, m)

	boot := m.sh(t, "cat /proc/sys/kernel/random/boot_id")
	m.sh(t, "systemd-run -q --on-active=1 systemctl reboot")
	eventually(t, 2*time.Minute, "the machine is up again", func() bool {
		r, err := m.ask(&wire.Request{Do: wire.Run, Script: "cat /proc/sys/kernel/random/boot_id", Seconds: 2}, 3*time.Second)
		return err == nil && strings.TrimSpace(r.Out) != boot
	})
	eventually(t, time.Minute, "foliotd is active after a reboot", func() bool {
		out, _ := m.try(t, "systemctl is-active foliotd")
		return out == "active"
	})
	m.sh(t, "apt-get purge -y -q foliot")
	if out := m.sh(t, "ls -d /var/lib/foliot /etc/foliot /usr/sbin/foliotd 2>/dev/null; getent passwd foliot || true"); out != "" {
		t.Errorf("left after purge: %s", out)
	}
}

// testReload checks that a wrong configuration is refused with its place and
// changes nothing, and that a right one counts.
func testReload(t *testing.T, m *machine) {
	t.Helper()
	before := m.sh(t, "systemctl show -P MainPID foliotd")
	m.sh(t, "echo 'makestep one 3' >/etc/foliot/conf.d/bad.conf")
	if out, code := m.try(t, "systemctl reload foliotd"); code == 0 {
		t.Errorf("systemctl reload with an error in the configuration succeeds: %s", out)
	}
	if out := m.sh(t, "journalctl --no-pager -u foliotd -n 20"); !strings.Contains(out, "line 1 in file /etc/foliot/conf.d/bad.conf: one is not") {
		t.Errorf("the journal does not name the place of the error:\n%s", out)
	}
	if after := m.sh(t, "systemctl is-active foliotd && systemctl show -P MainPID foliotd"); after != "active\n"+before {
		t.Errorf("after a refused reload: %q, want active and process %s", after, before)
	}
	m.sh(t, "rm /etc/foliot/conf.d/bad.conf; echo 'server 192.168.4.99' >/etc/foliot/conf.d/good.conf; systemctl reload foliotd")
	if out := m.sh(t, "foliotctl -n sources; rm /etc/foliot/conf.d/good.conf"); !strings.Contains(out, "192.168.4.99") {
		t.Errorf("sources after a reload lack the new one:\n%s", out)
	}
	m.sh(t, "systemctl reload foliotd; systemctl is-active foliotd")
}
