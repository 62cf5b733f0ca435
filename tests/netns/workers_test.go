// SPDX-License-Identifier: Apache-2.0

package netns

import (
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
