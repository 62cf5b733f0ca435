// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net/netip"
	"syscall"

	"foliot/internal/clock"
	"foliot/internal/udpstamp"
)

// serverToken marks events of server sockets; the rest is their index.
const serverToken = 1 << 32

// retryTime is how often a server socket that could not be opened is tried.
const retryTime = 60 * clock.Second

// errDeaf ends a server that cannot be asked.
var errDeaf = errors.New("could not open any NTP server socket")

// listen opens or closes the server port.
func (w *world) listen(want bool) {
	for _, s := range w.servers {
		w.poller.Remove(s.FD())
		s.Close()
	}
	w.servers, w.closed, w.retry = nil, nil, clock.Mono{}
	if !want || w.cfg.Server.Port == 0 {
		return
	}
	addrs := w.cfg.Server.BindAddresses
	if len(addrs) == 0 {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, a := range addrs {
		err := w.open(a)
		switch {
		case err == nil:
		case len(w.cfg.Server.BindAddresses) == 0 && errors.Is(err, syscall.EAFNOSUPPORT):
			// Nobody asked for this family by name.
			w.log.Debug(err.Error())
		default:
			w.log.Warn("Could not open NTP server socket, trying again: " + err.Error())
			w.closed = append(w.closed, a)
		}
	}
	w.schedule()
}

// deaf tells whether there should be server sockets but none could be opened.
func (w *world) deaf() bool { return len(w.closed) > 0 && len(w.servers) == 0 }

// listenAgain tries once more where no socket could be opened.
func (w *world) listenAgain() {
	var left []netip.Addr
	for _, a := range w.closed {
		if err := w.open(a); err != nil {
			w.log.Debug(err.Error())
			left = append(left, a)
			continue
		}
		w.log.Info("Opened NTP server socket at " + netip.AddrPortFrom(a, w.cfg.Server.Port).String())
	}
	w.closed = left
	w.schedule()
}

// schedule sets the time of the next listenAgain.
func (w *world) schedule() {
	w.retry = clock.Mono{}
	if len(w.closed) > 0 {
		w.retry = w.Now().Mono.Add(retryTime)
	}
}

func (w *world) open(a netip.Addr) error {
	o := w.options
	o.Local, o.Port, o.Device, o.FreeBind = a, w.cfg.Server.Port, w.cfg.Server.BindDevice, true
	o.RecvBuffer = 1 << 20
	s, err := udpstamp.OpenServer(o)
	if err != nil {
		return err
	}
	if err := w.poller.Add(s.FD(), serverToken+uint64(len(w.servers))); err != nil {
		s.Close()
		return err
	}
	w.servers = append(w.servers, s)
	return nil
}
