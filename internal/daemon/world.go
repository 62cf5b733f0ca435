// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/guard"
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
	poller   *udpstamp.Poller
	resolver *resolve.Resolver
	notifier *process.Notifier     // nil is valid
	answers  func(engine.Resolved) // queues an answer that is known at once

	clients map[engine.SourceID]*udpstamp.Socket
	watched map[engine.SourceID]bool // client sockets that the poller knows
	servers []*udpstamp.Socket
	acqPort uint16
	options udpstamp.Options

	exit       engine.ExitReason
	statusFail bool
}

var _ engine.World = (*world)(nil)

// Now implements engine.World.
func (w *world) Now() clock.Now { return sysclock.Read() }

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
		w.log.Debug(err.Error())
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
	return s.Source == 0 || w.await(s.Source, sock)
}

// await lets the loop hear of the client socket. It comes after sending: the
// kernel queues the transmit stamp between taking it and passing the packet on,
// and a socket that is watched makes the packet late by what telling takes, so
// that the way there would seem longer than the way back.
func (w *world) await(id engine.SourceID, sock *udpstamp.Socket) bool {
	if w.watched[id] {
		return true
	}
	if err := w.poller.Add(sock.FD(), uint64(id)); err != nil {
		w.log.Error(err.Error())
		w.hangup(id)
		return false
	}
	w.watched[id] = true
	return true
}

// socketFor returns the socket to send s from, opened if need be.
func (w *world) socketFor(s *engine.Send) *udpstamp.Socket {
	if s.Source == 0 {
		return w.serverFor(s.To.Addr(), s.Local)
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
		w.log.Debug(err.Error())
		return nil
	}
	w.clients[s.Source] = sock
	return sock
}

// serverFor returns the server socket that can reach to, best one bound to local.
func (w *world) serverFor(to, local netip.Addr) *udpstamp.Socket {
	var fit *udpstamp.Socket
	for _, s := range w.servers {
		at, err := s.LocalAddr()
		if err != nil || at.Addr().Is4() != to.Is4() {
			continue
		}
		if at.Addr() == local {
			return s
		}
		if fit == nil || at.Addr().IsUnspecified() {
			fit = s
		}
	}
	return fit
}

func (w *world) hangup(id engine.SourceID) {
	if s := w.clients[id]; s != nil {
		if w.watched[id] {
			w.poller.Remove(s.FD())
		}
		s.Close()
		delete(w.clients, id)
		delete(w.watched, id)
	}
}

// Do implements engine.World.
func (w *world) Do(a *engine.Action) {
	switch a.Kind {
	case engine.ActHangup:
		w.hangup(a.Source)
	case engine.ActResolve:
		w.resolve(a)
	case engine.ActStatus:
		w.setStatus(&a.Status)
	case engine.ActPublish:
		// The engine itself answers requests, from the snapshot it keeps.
	case engine.ActDrift:
		w.saveDrift(a.Drift)
	case engine.ActEvent:
		w.narrator.Event(&a.Event)
		if a.Event.Kind == engine.EvSelected {
			w.notifier.Status("synchronised to " + a.Event.Source.Name)
		}
	case engine.ActListen:
		w.listen(a.Listen)
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

func (w *world) saveDrift(d engine.Drift) {
	if w.drift != nil {
		// The file tells of its troubles itself, once.
		w.drift.Write(logfile.Drift{Frequency: d.Frequency, Skew: d.Skew})
	}
}

// listen opens or closes the server port.
func (w *world) listen(want bool) {
	for _, s := range w.servers {
		w.poller.Remove(s.FD())
		s.Close()
	}
	w.servers = nil
	if !want || w.cfg.Server.Port == 0 {
		return
	}
	addrs := w.cfg.Server.BindAddresses
	if len(addrs) == 0 {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, a := range addrs {
		w.open(a)
	}
}

// serverToken marks events of server sockets; the rest is their index.
const serverToken = 1 << 32

func (w *world) open(a netip.Addr) {
	o := w.options
	o.Local, o.Port, o.Device, o.FreeBind = a, w.cfg.Server.Port, w.cfg.Server.BindDevice, true
	o.RecvBuffer = 1 << 20
	s, err := udpstamp.OpenServer(o)
	if err != nil {
		w.log.Error("Could not open NTP server socket: " + err.Error())
		return
	}
	if err := w.poller.Add(s.FD(), serverToken+uint64(len(w.servers))); err != nil {
		w.log.Error(err.Error())
		s.Close()
		return
	}
	w.servers = append(w.servers, s)
}

func (w *world) close() {
	for id := range w.clients {
		w.hangup(id)
	}
	w.listen(false)
	w.resolver.Close()
	if w.stamping != nil {
		w.stamping.Close()
	}
	w.narrator.Stats.Close()
}
