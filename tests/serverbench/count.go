// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// counters are what the kernel counted for a server since it began. Nothing is
// added to the way of a packet to count it.
type counters struct {
	at       time.Time
	answers  int // packets that left the server's interface
	octets   int // of those
	received int // datagrams that the server took from its sockets
	dropped  int // datagrams for which there was no room in them
	cpu      time.Duration
	user     int // clock ticks outside the kernel, in all threads
	system   int // and inside
	busy     int // clock ticks that the server's processor was not idle, whoever used it
}

// sub returns what was counted since before.
func (c counters) sub(before counters) counters {
	c.answers -= before.answers
	c.octets -= before.octets
	c.received -= before.received
	c.dropped -= before.dropped
	c.cpu -= before.cpu
	c.user -= before.user
	c.system -= before.system
	c.busy -= before.busy
	return c
}

// count reads the counters of the server.
func (s *server) count() (c counters, err error) {
	c.at = time.Now()
	pid := s.proc.PID()
	if c.cpu, err = s.proc.CPU(); err != nil {
		return c, fmt.Errorf("%s: %w: %s", s.name, err, s.proc.Log())
	}
	files := make(map[string]string)
	for _, name := range []string{"net/dev", "net/snmp", "stat"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			return c, err
		}
		files[name] = string(b)
	}
	if c.octets, c.answers, err = deviceSent(files["net/dev"], s.dev); err != nil {
		return c, err
	}
	if c.received, c.dropped, err = datagrams(files["net/snmp"]); err != nil {
		return c, err
	}
	if c.user, c.system, err = ticks(files["stat"]); err != nil {
		return c, err
	}
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return c, err
	}
	c.busy, err = busy(string(b), serverCPU)
	return c, err
}

// busy finds the time that a processor was not idle in /proc/stat, in clock
// ticks. What a hypervisor took counts too.
func busy(text string, cpu int) (sum int, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != fmt.Sprintf("cpu%d", cpu) {
			continue
		}
		for i, s := range f[1:9] { // user nice system idle iowait irq softirq steal
			if n := number(s, &err); i != 3 && i != 4 {
				sum += n
			}
		}
		return sum, err
	}
	return 0, fmt.Errorf("no processor %d in /proc/stat", cpu)
}

// deviceSent finds what an interface sent in /proc/net/dev.
func deviceSent(text, dev string) (octets, packets int, err error) {
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if f := strings.Fields(rest); ok && name == dev && len(f) >= 10 {
			return number(f[8], &err), number(f[9], &err), err
		}
	}
	return 0, 0, fmt.Errorf("no interface %s in /proc/net/dev", dev)
}

// datagrams finds the datagrams received and those lost for lack of room in
// /proc/net/snmp, whose lines come in pairs: names, then values.
func datagrams(text string) (received, dropped int, err error) {
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names[:min(len(names), len(f))] {
			switch name {
			case "InDatagrams":
				received = number(f[i], &err)
			case "RcvbufErrors":
				dropped = number(f[i], &err)
			}
		}
		return received, dropped, err
	}
	return 0, 0, fmt.Errorf("no counters of UDP in /proc/net/snmp")
}

// ticks finds the user and system time in /proc/PID/stat. The name of the
// process, in parentheses, may contain anything.
func ticks(text string) (user, system int, err error) {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 13 {
		return 0, 0, fmt.Errorf("no times in /proc/PID/stat")
	}
	return number(f[11], &err), number(f[12], &err), err
}

// number parses a counter, keeping the first error.
func number(s string, err *error) int {
	n, e := strconv.Atoi(s)
	if *err == nil {
		*err = e
	}
	return n
}
