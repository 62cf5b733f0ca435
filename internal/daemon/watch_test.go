// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/logfile"
	"foliot/internal/narrate"
	"foliot/internal/responder"
	"foliot/internal/setup"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
)

func TestNap(t *testing.T) {
	tests := []struct {
		name    string
		d       time.Duration
		slewing bool
		want    time.Duration
	}{
		{"no slew", 10 * time.Second, false, 10 * time.Second},
		{"slew", 10 * time.Second, true, 9 * time.Second},
		{"end of a slew", 100 * time.Microsecond, true, 100 * time.Microsecond},
		{"due", 0, true, 0},
	}
	for _, tt := range tests {
		if got := nap(tt.d, tt.slewing); got != tt.want {
			t.Errorf("%s: nap(%v, %v) = %v, want %v", tt.name, tt.d, tt.slewing, got, tt.want)
		}
	}
}

func TestMeddlingFresh(t *testing.T) {
	at := func(s float64) clock.Mono { return clock.At[clock.Raw](int64(clock.Seconds(1000 + s))) }
	var m meddling
	for _, tt := range []struct {
		at   float64
		freq clock.Frequency
		want bool
	}{{0, 1e-6, true}, {16, 1e-6, false}, {32, 2e-6, true}, {48, 2e-6, false}, {91, 2e-6, false}, {92, 2e-6, true}} {
		if got := m.fresh(at(tt.at), tt.freq); got != tt.want {
			t.Errorf("finding %v at %v s: fresh = %v, want %v", tt.freq, tt.at, got, tt.want)
		}
	}
}

func TestNeedRestart(t *testing.T) {
	a, b := &config.Config{}, &config.Config{}
	if got := needRestart(a, b); got != nil {
		t.Errorf("needRestart of equal configurations = %v, want none", got)
	}
	b.Client.AcquisitionPort, b.Process.User, b.Process.SchedPriority = 123, "ntp", 5
	b.Process.PIDFile, b.Process.LockAll = "/run/x.pid", true
	b.Command.Sockets, b.Command.BindDevice, b.Command.Port = []string{"/run/x.sock"}, "lo", 4
	want := []string{"acquisitionport", "bindcmdaddress", "bindcmddevice", "cmdport", "user", "pidfile", "lock_all", "sched_priority"}
	if got := needRestart(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("needRestart = %v, want %v", got, want)
	}
}

// brokenClock refuses to be set, while it is told to.
type brokenClock struct {
	systemClock
	err error
}

func (c *brokenClock) SetFrequency(f clock.Frequency) (sysclock.Done, error) {
	return sysclock.Done{Frequency: f, OK: c.err == nil}, c.err
}

func testWorld(t *testing.T) (*world, *bytes.Buffer) {
	t.Helper()
	p, err := udpstamp.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := &world{cfg: &config.Config{}, poller: p, log: slog.New(slog.NewTextHandler(&log, nil))}
	t.Cleanup(func() {
		w.listen(false)
		p.Close()
	})
	return w, &log
}

func TestSetClockTellsFailuresOnce(t *testing.T) {
	w, log := testWorld(t)
	c := &brokenClock{err: errors.New("no right")}
	w.clock = c
	a := &engine.Action{Kind: engine.ActFrequency, Frequency: 0.08, Base: 1e-6}
	for i, tt := range []struct {
		err      error
		warnings int
		slewing  bool
	}{{c.err, 1, false}, {c.err, 1, false}, {nil, 1, true}, {c.err, 2, true}} {
		c.err = tt.err
		w.SetClock(a)
		if got := strings.Count(log.String(), "no right"); got != tt.warnings || w.slewing != tt.slewing {
			t.Errorf("call %d: %d warnings, slewing %v, want %d, %v", i, got, w.slewing, tt.warnings, tt.slewing)
		}
	}
	c.err, a.Frequency = nil, a.Base
	if w.SetClock(a); w.slewing {
		t.Error("slewing after the rate went back to its base")
	}
}

// A policy that a command changed is the one by which requests are answered.
func TestEnact(t *testing.T) {
	w := &world{}
	p := responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
	w.Do(&engine.Action{Kind: engine.ActPolicy, Policy: p})
	if w.srv.policy.Access != p.Access {
		t.Error("the policy of an action is not in force")
	}
}

func TestListenAgain(t *testing.T) {
	w, log := testWorld(t)
	w.cfg.Server.Port = 40123
	holder, err := net.ListenPacket("udp", "127.0.0.1:40123") // shares the port with nobody
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Server.BindAddresses = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	w.listen(true)
	w.listenAgain()
	if got := strings.Count(log.String(), "WARN"); got != 1 || !w.deaf() || w.srv.retry.IsZero() {
		t.Errorf("after two failures: %d warnings, deaf %v, retry %v; want 1, true and a time", got, w.deaf(), w.srv.retry)
	}
	holder.Close()
	w.listenAgain()
	if w.deaf() || !w.srv.retry.IsZero() || w.srv.pool.Threads() == 0 || !strings.Contains(log.String(), "Opened NTP server socket at 127.0.0.1:40123") {
		t.Errorf("after success: deaf %v, retry %v, %d sockets, log %s", w.deaf(), w.srv.retry, w.srv.pool.Threads(), log)
	}
}

func TestServerAddrs(t *testing.T) {
	for bind, want := range map[string]string{
		"": "0.0.0.0 ::", "192.0.2.1": "192.0.2.1", "192.0.2.1 ::1 192.0.2.2": "192.0.2.1 ::1 192.0.2.2",
		"192.0.2.1 0.0.0.0 ::1": "0.0.0.0 ::1", ":: ::1": "::",
	} {
		var list []netip.Addr
		for _, a := range strings.Fields(bind) {
			list = append(list, netip.MustParseAddr(a))
		}
		var got []string
		for _, a := range serverAddrs(list) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("bindaddress %q: sockets at %q, want %q", bind, got, want)
		}
	}
}

// TestFloodIsBounded sends a peer's socket more than one wake may take. The
// datagrams are longer than the buffers, so that the engine does not see them.
func TestFloodIsBounded(t *testing.T) {
	w, _ := testWorld(t)
	sender, err := udpstamp.OpenServer(udpstamp.Options{Local: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	from, err := sender.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	sock, err := udpstamp.OpenClient(from, udpstamp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.srv.peers = map[engine.SourceID]*udpstamp.Socket{7: sock}
	to, err := sock.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	const extra = 5
	for range batch*batches + extra {
		if err := sender.Send(&udpstamp.Datagram{To: to, Data: []byte("xx")}); err != nil {
			t.Fatal(err)
		}
	}
	l := &loop{w: w, e: engine.New(engine.Config{}), msgs: udpstamp.NewMessages(batch, 1), txs: make([]udpstamp.Tx, batch)}
	l.readAll([]udpstamp.Event{{Token: peerToken | 7, Readable: true}})
	if n, err := sock.Recv(udpstamp.NewMessages(2*extra, 64)); n != extra || err != nil {
		t.Errorf("after one wake %d datagrams wait, %v; want %d", n, err, extra)
	}
}

// foundClock reports one finding for ever and counts how often it is taken over.
type foundClock struct {
	found sysclock.Foreign
	inits int
}

func (c *foundClock) Init() (sysclock.State, error)            { c.inits++; return c.found.Now, nil }
func (c *foundClock) State() (sysclock.State, error)           { return c.found.Now, nil }
func (c *foundClock) Interference() (sysclock.Foreign, error)  { return c.found, nil }
func (c *foundClock) SetStatus(sysclock.Status) error          { return nil }
func (c *foundClock) Step(clock.Offset) (sysclock.Done, error) { return sysclock.Done{}, nil }
func (c *foundClock) SetFrequency(f clock.Frequency) (sysclock.Done, error) {
	return sysclock.Done{At: sysclock.Read(), Frequency: f, OK: true}, nil
}

func TestLookForMeddlers(t *testing.T) {
	tests := []struct {
		name  string
		found sysclock.Foreign
		inits int
		tells int
	}{
		{"nothing", sysclock.Foreign{}, 0, 0},
		{"rate", sysclock.Foreign{Frequency: true, Now: sysclock.State{Frequency: 5e-6}}, 0, 1},
		{"adjtime", sysclock.Foreign{Adjtime: true}, 1, 1},
		{"kernel loop", sysclock.Foreign{Mode: true}, 1, 1},
	}
	for _, tt := range tests {
		w, log := testWorld(t)
		c := &foundClock{found: tt.found}
		w.clock = c
		w.narrator = &narrate.Narrator{Log: w.log, Stats: logfile.NewStats(logfile.StatsConfig{})}
		cfg := setup.Engine(config.Default(), &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: 1})
		l := &loop{w: w, e: engine.New(cfg)}
		now := w.Now()
		l.e.Start(now, 0, &l.acts)
		l.perform()
		for _, after := range []clock.Interval{16 * clock.Second, 32 * clock.Second} {
			l.lookForMeddlers(clock.Now{Wall: now.Wall.Add(after), Mono: now.Mono.Add(after)})
		}
		if got := strings.Count(log.String(), "interference"); got != tt.tells || c.inits != tt.inits {
			t.Errorf("%s: told %d times, %d inits; want %d, %d; log:\n%s", tt.name, got, c.inits, tt.tells, tt.inits, log)
		}
	}
}
