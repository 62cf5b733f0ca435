// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRoomForWorkers: threads that answer and never pause must not wait for each
// other, nor the loop for them. Without a server port one processor is enough.
func TestRoomForWorkers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config string
		want   func(procs int) bool
	}{
		{"allow all\nworkers 3\n", func(n int) bool { return n > 2*3 }},
		{"", func(n int) bool { return n == 1 }},
	} {
		b := newBench(t)
		d := b.prepare(b.b, "server", tt.config)
		cmd := d.Command("-d")
		cmd.Env = append(cmd.Env, "GODEBUG=schedtrace=100", "GOMAXPROCS=")
		p, err := b.lab.Start("server", cmd)
		b.must(err)
		d.Process = p
		b.until(10*time.Second, "foliotd runs", func() bool {
			_, err := d.Ctl("status")
			return err == nil
		})
		told := strings.Count(d.Log(), "SCHED ")
		b.until(10*time.Second, "the scheduler tells of itself", func() bool { return strings.Count(d.Log(), "SCHED ") > told+2 })
		all := regexp.MustCompile(`gomaxprocs=(\d+)`).FindAllStringSubmatch(d.Log(), -1)
		if n, err := strconv.Atoi(all[len(all)-1][1]); err != nil || !tt.want(n) {
			t.Errorf("configuration %q: Go's scheduler has %d processors, %v", tt.config, n, err)
		}
	}
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
