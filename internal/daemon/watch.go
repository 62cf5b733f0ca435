// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"foliot/internal/clock"
	"foliot/internal/config"
)

// failing remembers whether something failed the last time it was tried, so
// that only changes are told.
type failing bool

// began notes a failure and tells whether it is the first.
func (f *failing) began() bool {
	first := !bool(*f)
	*f = true
	return first
}

// ended notes a success and tells whether it is the first after failures.
func (f *failing) ended() bool {
	last := bool(*f)
	*f = false
	return last
}

// quarrel is how long a finding that comes again is taken for the same.
const quarrel = 60 * clock.Second

// meddling is the last change of the clock by somebody else.
type meddling struct {
	at        clock.Mono
	frequency clock.Frequency
}

// fresh notes a finding and tells whether it is a new one. Whoever fights with
// us for the clock is heard again after a while only.
func (m *meddling) fresh(now clock.Mono, f clock.Frequency) bool {
	if !m.at.IsZero() && f == m.frequency && now.Sub(m.at) < quarrel {
		return false
	}
	*m = meddling{at: now, frequency: f}
	return true
}

// lookForMeddlers asks the kernel whether somebody else changed the clock.
func (l *loop) lookForMeddlers(now clock.Now) {
	f, err := l.w.clock.Interference()
	if err != nil || !f.Found() || !l.meddled.fresh(now.Mono, f.Now.Frequency) {
		return
	}
	if f.Mode || f.Adjtime {
		// A rate set anew leaves these at work. The engine sets the rate, and
		// what the kernel is to say of leap seconds, after Disturbed.
		if _, err := l.w.clock.Init(); err != nil {
			l.d.log.Warn(err.Error())
		}
	}
	l.e.Disturbed(now, f.Now.Frequency, &l.acts)
	l.perform()
}

// readTemperature reads the sensor of tempcomp.
func (l *loop) readTemperature(now clock.Now) {
	c := &l.w.cfg.Clock.TempComp
	l.warmth = clock.Mono{}
	if c.File == "" {
		return
	}
	l.warmth = now.Mono.Add(clock.Seconds(max(c.Interval, 0.1)))
	v, err := temperature(c.File)
	if err != nil {
		if l.sensor.began() {
			l.d.log.Warn("Could not read temperature: " + err.Error())
		}
		return
	}
	if l.sensor.ended() {
		l.d.log.Info("Reading temperature from " + c.File + " again")
	}
	l.e.Temperature(now, v, &l.acts)
	l.perform()
}

// temperature returns the number that the file of a sensor holds.
func temperature(path string) (float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// needRestart names the directives that differ between a and b and that are
// heeded at the start only.
func needRestart(a, b *config.Config) []string {
	p, q := &a.Process, &b.Process
	var names []string
	for _, d := range [...]struct {
		name    string
		changed bool
	}{
		{"acquisitionport", a.Client.AcquisitionPort != b.Client.AcquisitionPort},
		{"bindcmdaddress", !slices.Equal(a.Command.Sockets, b.Command.Sockets) ||
			a.Command.BindAddr4 != b.Command.BindAddr4 || a.Command.BindAddr6 != b.Command.BindAddr6},
		{"bindcmddevice", a.Command.BindDevice != b.Command.BindDevice},
		{"cmdport", a.Command.Port != b.Command.Port},
		{"ebpf", (a.Server.Kernel.Load == config.LoadOff) != (b.Server.Kernel.Load == config.LoadOff)},
		{"user", p.User != q.User},
		{"pidfile", p.PIDFile != q.PIDFile},
		{"lock_all", p.LockAll != q.LockAll},
		{"sched_priority", p.SchedPriority != q.SchedPriority},
	} {
		if d.changed {
			names = append(names, d.name)
		}
	}
	return names
}
