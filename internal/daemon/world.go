// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"math"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/guard"
	"foliot/internal/keeper"
	"foliot/internal/logfile"
	"foliot/internal/narrate"
	"foliot/internal/ntp"
	"foliot/internal/process"
	"foliot/internal/resolve"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
)

// systemClock is the clock that is steered, or with -x only looked at.
type systemClock interface {
	Init() (sysclock.State, error)
	SetFrequency(clock.Frequency) (sysclock.Done, error)
	Step(clock.Offset) (sysclock.Done, error)
	SetStatus(sysclock.Status) error
	State() (sysclock.State, error)
	Interference() (sysclock.Foreign, error)
}

// world is the Linux world: what the engine wants done becomes system calls.
// Only the loop uses it.
type world struct {
	log      *slog.Logger
	narrator *narrate.Narrator
	cfg      *config.Config
	clock    systemClock
	guard    *guard.Guard // nil without clock control
	drift    *logfile.DriftFile
	stamping *udpstamp.Socket // keeps the kernel's receive stamps on
	kernel   *keeper.Keeper   // nil without eBPF
	poller   *udpstamp.Poller
	resolver *resolve.Resolver
	notifier *process.Notifier      // nil is valid
	added    func(engine.SourceRef) // hears of new sources, may be nil
	measured func(*engine.Event)    // hears of new samples, may be nil
	answers  func(engine.Resolved)  // queues an answer that is known at once

	clients  map[engine.SourceID]*udpstamp.Socket
	watched  map[engine.SourceID]bool // client sockets that the poller knows
	refused  map[engine.SourceID]bool // sources whose client socket could not be opened
	srv      server
	view     *viewer    // for those who ask by ntpq
	monitors *acl.Table // who they may be
	acqPort  uint16
	options  udpstamp.Options

	exit       engine.ExitReason
	slewing    bool // the clock runs so far off its base that sleeps get longer
	clockFail  failing
	statusFail bool
}

var _ engine.World = (*world)(nil)

// Now implements engine.World.
func (w *world) Now() clock.Now { return sysclock.Read() }

// slewRate is the rate from which a slew must end on time. A slower one that is
// noticed late by the same ratio goes too far by less than a microsecond.
const slewRate = 100e-6

// SetClock implements engine.World.
func (w *world) SetClock(a *engine.Action) engine.ClockDone {
	var done sysclock.Done
	var err error
	if a.Kind == engine.ActStep {
		done, err = w.clock.Step(a.Offset)
	} else {
		if w.guard != nil {
			w.guard.SetBase(a.Base)
		}
		done, err = w.clock.SetFrequency(a.Frequency)
	}
	if err != nil {
		level := slog.LevelDebug
		if w.clockFail.began() {
			level = slog.LevelWarn
		}
		w.log.Log(context.Background(), level, err.Error())
		return engine.ClockDone(done)
	}
	w.clockFail.ended()
	if a.Kind == engine.ActFrequency {
		w.slewing = math.Abs(float64(a.Frequency-a.Base)) > slewRate
	}
	return engine.ClockDone(done)
}

// Send implements engine.World. A request that cannot be sent is as good as
// lost: its source notices.
func (w *world) Send(e *engine.Engine, s *engine.Send, b []byte) bool {
	sock := w.socketFor(s)
	if sock == nil {
		return false
	}
	e.Seal(s, b, wallNow())
	d := udpstamp.Datagram{To: s.To, Local: s.Local, Iface: s.Iface, Data: b, TxID: uint32(s.TxID)}
	if err := sock.Send(&d); err != nil {
		w.log.Debug(err.Error())
		return false
	}
	switch {
	case s.Source != 0:
		return w.await(s.Source, sock, 0)
	case s.Peer != 0:
		return w.await(s.Peer, sock, peerToken)
	}
	return true
}

// peerToken marks events of the sockets of symmetric associations.
const peerToken = 1 << 32

// await lets the loop hear of an association's socket. It comes after sending: the
// kernel queues the transmit stamp between taking it and passing the packet on,
// and a socket that is watched makes the packet late by what telling takes, so
// that the way there would seem longer than the way back.
func (w *world) await(id engine.SourceID, sock *udpstamp.Socket, mark uint64) bool {
	if w.watched[id] {
		return true
	}
	if err := w.poller.Add(sock.FD(), mark|uint64(id)); err != nil {
		w.log.Error(err.Error())
		w.hangup(id)
		return false
	}
	w.watched[id] = true
	return true
}

// socketFor returns the socket to send s from, opened if need be.
func (w *world) socketFor(s *engine.Send) *udpstamp.Socket {
	switch {
	case s.Peer != 0:
		return w.peer(s)
	case s.Source == 0:
		return w.talker(s)
	}
	if sock := w.clients[s.Source]; sock != nil {
		if !s.Fresh {
			return sock
		}
		w.hangup(s.Source)
	}
	o := w.options
	o.Port = w.acqPort
	o.Local = w.cfg.Client.BindAddr4
	if s.To.Addr().Is6() {
		o.Local = w.cfg.Client.BindAddr6
	}
	o.Device = w.cfg.Client.BindDevice
	sock, err := udpstamp.OpenClient(s.To, o)
	if err != nil {
		w.refuse(s.Source, err)
		return nil
	}
	delete(w.refused, s.Source)
	w.clients[s.Source] = sock
	return sock
}

// refuse tells that a source's socket could not be opened, once until it could.
func (w *world) refuse(id engine.SourceID, err error) {
	if w.refused[id] {
		return
	}
	if w.refused == nil {
		w.refused = make(map[engine.SourceID]bool)
	}
	w.refused[id] = true
	w.log.Warn(err.Error())
}

// hangup closes the socket of an association.
func (w *world) hangup(id engine.SourceID) {
	for _, sockets := range [...]map[engine.SourceID]*udpstamp.Socket{w.clients, w.srv.peers} {
		if s := sockets[id]; s != nil {
			if w.watched[id] {
				w.poller.Remove(s.FD())
			}
			s.Close()
			delete(sockets, id)
			delete(w.watched, id)
		}
	}
}

// Do implements engine.World.
func (w *world) Do(a *engine.Action) {
	switch a.Kind {
	case engine.ActHangup:
		w.hangup(a.Source)
		delete(w.refused, a.Source)
	case engine.ActResolve:
		w.resolve(a)
	case engine.ActStatus:
		w.setStatus(&a.Status)
	case engine.ActPublish:
		w.publish(&a.Snapshot)
	case engine.ActPolicy:
		w.enact(a.Policy)
	case engine.ActDrift:
		w.saveDrift(a.Drift)
	case engine.ActEvent:
		w.narrator.Event(&a.Event)
		switch a.Event.Kind {
		case engine.EvSelected:
			w.notifier.Status("synchronised to " + a.Event.Source.Name)
		case engine.EvStatistics:
			if w.measured != nil {
				w.measured(&a.Event)
			}
		case engine.EvUnselected:
			w.notifier.Status("not synchronised")
		case engine.EvAdded:
			if w.added != nil {
				w.added(a.Event.Source)
			}
		}
	case engine.ActListen:
		if a.Listen && w.srv.pool != nil {
			w.startServer() // the sockets were opened before the rights were dropped
		} else {
			w.listen(a.Listen)
		}
	case engine.ActExit:
		w.exit = a.Exit
	}
}

func (w *world) resolve(a *engine.Action) {
	if err := w.resolver.Resolve(a.Name, resolve.Family(a.Family)); err != nil {
		w.log.Warn("resolve " + a.Name + ": " + err.Error())
		w.answers(engine.Resolved{Name: a.Name})
	}
}

func (w *world) setStatus(s *engine.KernelStatus) {
	err := w.clock.SetStatus(sysclock.Status{
		Synchronized: s.Synchronized, Leap: ntp.Leap(s.Leap), MaxError: s.MaxError, EstError: s.EstError, TAI: s.TAI,
	})
	if failing := err != nil; failing != w.statusFail {
		w.statusFail = failing
		if failing {
			w.log.Error(err.Error())
		}
	}
}

func (w *world) setDriftFile(path string) {
	w.drift = nil
	if path != "" {
		w.drift = logfile.NewDriftFile(path, w.log)
	}
}

func (w *world) saveDrift(d engine.Drift) {
	if w.drift != nil {
		// The file tells of its troubles itself, once.
		w.drift.Write(logfile.Drift{Frequency: d.Frequency, Skew: d.Skew})
	}
}

func (w *world) close() {
	for id := range w.clients {
		w.hangup(id)
	}
	w.kernel.Close() // first, so that nothing is answered when nobody is there
	w.listen(false)
	w.resolver.Close()
	if w.stamping != nil {
		w.stamping.Close()
	}
	w.narrator.Stats.Close()
}
