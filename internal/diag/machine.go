// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"foliot/internal/process"
	"foliot/internal/state"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
)

// known are files of the kernel, each with what it is.
var known = [...]struct{ name, path string }{
	{"kernel", "/proc/version"},
	{"clock source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
	{"clock sources", "/sys/devices/system/clocksource/clocksource0/available_clocksource"},
	{"machine", "/sys/class/dmi/id/product_name"},
	{"hypervisor", "/sys/hypervisor/type"},
	{"up for, idle", "/proc/uptime"},
	{"load", "/proc/loadavg"},
	{"unprivileged BPF disabled", "/proc/sys/kernel/unprivileged_bpf_disabled"},
	{"BPF compiler", "/proc/sys/net/core/bpf_jit_enable"},
	{"receive buffer, default", "/proc/sys/net/core/rmem_default"},
	{"receive buffer, maximum", "/proc/sys/net/core/rmem_max"},
}

func (b *bundle) machine() {
	b.head("machine")
	for line := range strings.Lines(b.read("/etc/os-release")) {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			b.say("system: %s", strings.Trim(strings.TrimSpace(v), `"`))
		}
	}
	for _, f := range known {
		if v := strings.TrimSpace(b.read(f.path)); v != "" {
			b.say("%s: %s", f.name, v)
		}
	}
	b.say("processors: %d", runtime.NumCPU())
	for line := range strings.Lines(b.read("/proc/meminfo")) {
		if strings.HasPrefix(line, "MemTotal:") || strings.HasPrefix(line, "MemAvailable:") {
			b.say("%s", strings.Join(strings.Fields(line), " "))
		}
	}
	for _, m := range udpstamp.Probe().Missing() {
		b.say("%v: %s", m, m.Cost)
	}
}

// read returns a file, nothing if it cannot be read.
func (b *bundle) read(path string) string {
	content, err := b.c.Read(path)
	if err != nil {
		return ""
	}
	return string(content)
}

// leapStates are the kernel's words for its state (TIME_OK and so on).
var leapStates = [...]string{"ok", "insert", "delete", "in progress", "wait", "error"}

func (b *bundle) kernelClock() {
	b.head("kernel clock")
	s, err := sysclock.NewDisabled().State()
	if err != nil {
		b.missing(err)
		return
	}
	b.say("status 0x%04x, synchronised %v, state %s", s.Bits, s.Status.Synchronized, leapStates[min(max(s.LeapState, 0), 5)])
	b.say("frequency %+.6f ppm, tick %d us, maximum error %.6f s, estimated error %.6f s", s.Frequency.PPM(), s.Kernel.Tick,
		float64(s.Status.MaxError), float64(s.Status.EstError))
	b.say("offset of the kernel's loop %+.9f s, constant %d, TAI-UTC %d s, precision %.9f s", float64(s.Offset), s.Constant,
		s.Status.TAI, float64(s.Precision))
}

// patience is how long the kernel may take to describe its interfaces. With its lock
// for them held by somebody who has died it never answers.
const patience = 5 * time.Second

func (b *bundle) interfaces() {
	b.head("interfaces")
	lines, ok := within(patience, interfaces)
	if !ok {
		b.say("(the kernel does not answer within %v)", patience)
	}
	for _, l := range lines {
		b.say("%s", l)
	}
}

// within runs f, but waits no longer than limit for it.
func within(limit time.Duration, f func() []string) (lines []string, ok bool) {
	done := make(chan []string, 1)
	go func() { done <- f() }()
	select {
	case lines = <-done:
		return lines, true
	case <-time.After(limit):
		return nil, false
	}
}

// interfaces describes each interface in a line.
func interfaces() (lines []string) {
	all, err := net.Interfaces()
	if err != nil {
		return []string{fmt.Sprintf("(none: %v)", err)}
	}
	for _, i := range all {
		driver := "no driver"
		if link, err := os.Readlink("/sys/class/net/" + i.Name + "/device/driver"); err == nil {
			driver = filepath.Base(link)
		}
		lines = append(lines, fmt.Sprintf("%s: %s, MTU %d, %s, %s", i.Name, i.Flags, i.MTU, driver, stamping(i.Name)))
	}
	return lines
}

func stamping(iface string) string {
	h, err := udpstamp.Hardware(iface)
	switch {
	case err != nil:
		return err.Error()
	case !h.Tx && !h.Rx:
		return "no hardware timestamps"
	}
	return fmt.Sprintf("hardware timestamps: tx %v, rx %v (all %v, ntp %v), clock /dev/ptp%d", h.Tx, h.Rx,
		h.Stamps(udpstamp.RxAll), h.Stamps(udpstamp.RxNTP), h.PHC)
}

// facts are the lines of /proc/PID/status that are shown.
var facts = [...]string{"Name:", "State:", "Uid:", "Gid:", "Threads:", "VmRSS:", "VmHWM:", "VmLck:", "Seccomp:", "NoNewPrivs:"}

// daemonProcess shows the daemon as the kernel sees it.
func (b *bundle) daemonProcess(d *state.Document) {
	b.head("process of the daemon")
	if d == nil || d.PID == 0 {
		b.say("(not known)")
		return
	}
	text := b.read(fmt.Sprintf("/proc/%d/status", d.PID))
	if !strings.HasPrefix(text, "Name:\tfoliotd") && !strings.HasPrefix(text, "Name:\tchronyd") {
		b.say("(process %d is not seen from here)", d.PID)
		return
	}
	for line := range strings.Lines(text) {
		for _, f := range facts {
			if strings.HasPrefix(line, f) {
				b.say("%s", strings.Join(strings.Fields(line), " "))
			}
		}
		if set, ok := strings.CutPrefix(line, "Cap"); ok {
			name, hex, _ := strings.Cut(set, ":")
			if n, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64); err == nil && name != "Inh" {
				b.say("Cap%s: %s", name, capabilities(n))
			}
		}
	}
	for line := range strings.Lines(b.read(fmt.Sprintf("/proc/%d/limits", d.PID))) {
		if strings.HasPrefix(line, "Max open files") || strings.HasPrefix(line, "Max locked memory") {
			b.say("%s", strings.Join(strings.Fields(line), " "))
		}
	}
}

// capabilities names a set. All of them are not listed one by one.
func capabilities(n uint64) string {
	const many = 20
	ones := 0
	for v := n; v != 0; v &= v - 1 {
		ones++
	}
	if ones > many {
		return fmt.Sprintf("%#x (%d of them)", n, ones)
	}
	return process.Caps(n).String()
}
