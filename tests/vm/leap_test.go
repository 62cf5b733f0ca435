// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foliot/tests/vm/wire"
)

var allLeaps = flag.Bool("leaps", false, "insert and delete a leap second in each mode, which takes eight minutes")

// midnight is the end of a June in which a leap second is to come, and unixToNTP
// the distance of the epochs (RFC 5905), seconds.
const (
	midnight  = 1814400000 // 2027-07-01T00:00:00Z
	unixToNTP = 2208988800
)

// leapList is a list with the real leap second of 2012 and one of ours.
func leapList(change int) string {
	return fmt.Sprintf("#@ %d\n%d 34\n%d 35\n%d %d", midnight+unixToNTP+1<<24, 1230768000+unixToNTP, 1341100800+unixToNTP, midnight+unixToNTP, 35+change)
}

// Status bits (linux/timex.h).
const (
	staIns = 0x10
	staDel = 0x20
)

func TestLeapSecond(t *testing.T) {
	t.Parallel()
	img := trixie(t)
	both := startAll(t, spec{name: "server", image: img, host: 1}, spec{name: "client", image: img, host: 2})
	server, client := both[0], both[1]
	server.install(t, served)
	client.install(t, following(server, ""))
	type leap struct {
		change int
		mode   string
	}
	list := []leap{{+1, "system"}, {-1, "slew"}}
	if *allLeaps {
		list = nil
		for _, mode := range []string{"system", "step", "slew", "ignore"} {
			list = append(list, leap{+1, mode}, leap{-1, mode})
		}
	}
	for _, l := range list {
		name := map[int]string{+1: "inserted", -1: "deleted"}[l.change]
		t.Run(name+" in mode "+l.mode, func(t *testing.T) { testLeap(t, server, client, l.change, l.mode) })
	}
}

// goTo sets the clock of m to a time, seconds since 1970.
func (m *machine) goTo(t *testing.T, unix int64) {
	t.Helper()
	now := m.clock(t, wire.Request{})
	m.clock(t, wire.Request{Do: wire.Shift, Seconds: float64(unix) - float64(now.Wall)/1e9})
}

func testLeap(t *testing.T, server, client *machine, change int, mode string) {
	const early = 45 // seconds before midnight
	server.sh(t, "systemctl stop foliotd")
	server.write(t, "/etc/foliot/leap.list", leapList(change))
	server.write(t, "/etc/foliot/foliot.conf", served+"leapseclist /etc/foliot/leap.list\n")
	server.goTo(t, midnight-early)
	server.sh(t, "systemctl start foliotd")
	// A server that has nothing but its own clock announces no leap second, as
	// chronyd does: the client has the list too.
	client.write(t, "/etc/foliot/leap.list", leapList(change))
	client.begin(t, server, "leapsecmode "+mode+"\nleapseclist /etc/foliot/leap.list\n"+following(server, ""), 0, 0)
	client.within(t, server, 2e-3, 30*time.Second)
	before, _ := client.reading(t, 20)

	left := float64(midnight) - float64(client.clock(t, wire.Request{}).Wall)/1e9
	if left < 2 {
		t.Fatalf("%.1f s before midnight the client is only synchronised now", left)
	}
	time.Sleep(time.Duration((left - 1.5) * float64(time.Second)))
	s := client.clock(t, wire.Request{})
	announced := s.Status & (staIns | staDel)
	want := 0
	if mode == "system" {
		want = map[int]int{+1: staIns, -1: staDel}[change]
	}
	if announced != want {
		t.Errorf("status of the kernel before midnight is %#x, want the bits of leap seconds to be %#x", s.Status, want)
	}
	fastest := 0.0
	for begin := time.Now(); time.Since(begin) < 6*time.Second; time.Sleep(100 * time.Millisecond) {
		fastest = math.Max(fastest, math.Abs(client.clock(t, wire.Request{}).PPM))
	}
	if slewed := fastest > 10000; slewed != (mode == "slew" || mode == "ignore") {
		t.Errorf("after midnight the rate goes to %.0f ppm", fastest)
	}
	client.within(t, server, 5e-3, 45*time.Second)
	after, bound := client.reading(t, 20)
	if moved := after - before; math.Abs(moved+float64(change)) > 0.02+bound {
		t.Errorf("the clock moved by %+.3f s, want %+d s", moved, -change)
	}
	log := client.journal(t)
	if mode == "step" && !strings.Contains(log, "was stepped") {
		t.Errorf("no step in mode step:\n%s", log)
	}
	t.Logf("moved %+.4f s, at up to %.0f ppm", after-before, fastest)
}
