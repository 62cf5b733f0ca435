// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// TestOlderSystem installs the package on Debian 12: Linux 6.1, and a systemd that
// does not know notify-reload.
func TestOlderSystem(t *testing.T) {
	t.Parallel()
	old := image(t, "bookworm", "linux-image-cloud-amd64")
	both := startAll(t, spec{name: "server", image: old, host: 1}, spec{name: "client", image: trixie(t), host: 2})
	server, client := both[0], both[1]
	t.Log(server.sh(t, "uname -r; systemctl --version | head -1"))
	server.install(t, served+"confdir /etc/foliot/conf.d\n")
	testReload(t, server)
	client.install(t, following(server, ""))
	client.begin(t, server, following(server, ""), 0.1, 10)
	client.within(t, server, 2e-3, 60*time.Second)
	// And the other way round.
	client.sh(t, "systemctl stop foliotd")
	client.write(t, "/etc/foliot/foliot.conf", served)
	client.sh(t, "systemctl start foliotd")
	server.begin(t, client, following(client, ""), -0.1, -10)
	server.within(t, client, 2e-3, 60*time.Second)
	server.synchronised(t, true)
}

// TestCost reports how fast the daemon is there and what it takes.
func TestCost(t *testing.T) {
	t.Parallel()
	m := start(t, spec{name: "cost", image: trixie(t), host: 3})
	m.install(t, served)
	rss := m.sh(t, "grep -h ^VmRSS: /proc/$(systemctl show -P MainPID foliotd)/status")
	size := m.sh(t, "stat -c %s /usr/sbin/foliotd")
	t.Logf("%s, %s octets on disk", strings.Join(strings.Fields(rss), " "), size)
	var kb, octets float64
	scan(t, strings.TrimPrefix(rss, "VmRSS:"), &kb)
	scan(t, size, &octets)
	if kb > 40*1024 || octets > 20e6 || math.IsNaN(kb+octets) {
		t.Errorf("foliotd takes %.0f kB of memory and %.0f octets of disk, want at most 40 MB and 20 MB", kb, octets)
	}
}

func scan(t *testing.T, text string, to *float64) {
	t.Helper()
	if _, err := fmt.Sscan(text, to); err != nil {
		t.Fatalf("read a number from %q: %v", text, err)
	}
}
