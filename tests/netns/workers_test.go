// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRoomForWorkers: threads that answer and never pause must not wait for each
// other, nor the loop for them. At rest one processor is enough.
func TestRoomForWorkers(t *testing.T) {
	b := newBench(t)
	d := b.prepare(b.b, "server", "allow all\nlocal stratum 5\nworkers 3\n")
	cmd := d.Command("-d")
	cmd.Env = append(cmd.Env, "GODEBUG=schedtrace=100", "GOMAXPROCS=")
	p, err := b.lab.Start("server", cmd)
	b.must(err)
	d.Process = p
	procs := func() int {
		all := regexp.MustCompile(`gomaxprocs=(\d+)`).FindAllStringSubmatch(d.Log(), -1)
		if len(all) == 0 {
			return 0
		}
		n, err := strconv.Atoi(all[len(all)-1][1])
		b.must(err)
		return n
	}
	b.until(10*time.Second, "foliotd runs on one processor", func() bool {
		_, err := d.Ctl("status")
		return err == nil && procs() == 1
	})
	floodFor(b, b.a, netip.AddrPortFrom(b.link.B4, 123), 2*time.Second)
	if n := procs(); n <= 2*3 {
		t.Errorf("Go's scheduler has %d processors under load, want one for each of 6 workers and more", n)
	}
	b.until(30*time.Second, "one processor after the load", func() bool { return procs() == 1 })
}

// TestPortTaken: where another daemon of the same user serves, which permits to
// share its port, foliotd says so and does not start.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.foliotd(b.b, "first", "allow all\nlocal stratum 5\n")
	b.until(10*time.Second, "foliotd runs", func() bool {
		_, err := first.Ctl("status")
		return err == nil
	})
	second := b.foliotd(b.b, "second", "allow all\nlocal stratum 7\n")
	b.until(10*time.Second, "the second ends", func() bool {
		return strings.Contains(second.Log(), "could not open any NTP server socket")
	})
	if !strings.Contains(second.Log(), "address already in use") {
		t.Error("the second does not say why")
	}
	client := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	all := b.measured(client, b.link.B4, 3, 15*time.Second)
	if got := all[len(all)-1].Stratum; got != 5 {
		t.Errorf("stratum %d is served, want 5 of the first", got)
	}
}
