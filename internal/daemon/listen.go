// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"syscall"

	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/responder"
	"foliot/internal/setup"
	"foliot/internal/udpstamp"
	"foliot/internal/worker"
)

// retryTime is how often a server socket that could not be opened is tried.
const retryTime = 60 * clock.Second

// serverBuffer is the size of a receive buffer, octets: as many requests as a
// worker answers in 20 ms. What does not fit is dropped by the kernel, at no cost
// to the answers.
const serverBuffer = 4 << 20

// errDeaf ends a server that cannot be asked.
var errDeaf = errors.New("could not open any NTP server socket")

// server is what the world has of the server port: the workers that answer
// clients, and the sockets from which the engine itself sends.
type server struct {
	pool      *worker.Pool // nil while the port is closed
	policy    responder.Policy
	snapshot  responder.Snapshot
	published bool          // there is a snapshot
	closed    []netip.Addr  // where no socket could be opened
	retry     clock.Mono    // when those are tried again, zero = never
	past      worker.Report // of pools that are no more
	ntpq      *ntpq         // answers control messages; lives as long as the pool
	// peers are sockets of symmetric associations, connected to the peer: the
	// kernel gives them what it sends, however busy the workers are.
	peers map[engine.SourceID]*udpstamp.Socket
	// talkers are second sockets beside those of the workers, for sending.
	talkers map[netip.Addr]*udpstamp.Socket
}

// listen opens or closes the server port.
func (w *world) listen(want bool) {
	w.closeServer()
	if want {
		w.bind()
		w.startServer()
	}
}

// startServer lets the workers answer.
func (w *world) startServer() {
	if w.srv.pool != nil {
		w.srv.pool.Start()
	}
}

// bind opens the sockets of the server port.
func (w *world) bind() {
	if w.cfg.Server.Port == 0 {
		return
	}
	c := w.poolConfig()
	if w.view != nil {
		w.srv.ntpq = newNTPQ(controlPolicy(w.monitors), w.view, &w.view.control)
		c.Control = w.srv.ntpq
	}
	w.srv.pool = worker.NewPool(c)
	if w.srv.ntpq != nil {
		w.srv.ntpq.pool = w.srv.pool
		go w.srv.ntpq.run()
	}
	if w.srv.published {
		w.srv.pool.Publish(w.srv.snapshot)
	}
	w.srv.pool.Enact(w.srv.policy)
	for _, a := range serverAddrs(w.cfg.Server.BindAddresses) {
		err := w.srv.pool.Open(a)
		switch {
		case err == nil:
		case len(w.cfg.Server.BindAddresses) == 0 && errors.Is(err, syscall.EAFNOSUPPORT):
			// Nobody asked for this family by name.
			w.log.Debug(err.Error())
		default:
			w.log.Warn("Could not open NTP server socket, trying again: " + err.Error())
			w.srv.closed = append(w.srv.closed, a)
		}
	}
	if err := w.srv.pool.Refused(); err != nil {
		w.log.Warn("One thread serves at each address, since clients cannot be spread over more: " + err.Error())
	}
	w.tellKernel()
	w.schedule()
}

// serverAddrs are the addresses to open sockets at: all of both families without
// bindaddress, and none twice: an unspecified address is all of its family.
func serverAddrs(bind []netip.Addr) []netip.Addr {
	all := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	if len(bind) == 0 {
		return all
	}
	var list []netip.Addr
	for _, a := range bind {
		whole := all[1]
		if a.Is4() {
			whole = all[0]
		}
		if a == whole || !slices.Contains(bind, whole) {
			list = append(list, a)
		}
	}
	return list
}

// poolConfig says how to serve.
func (w *world) poolConfig() worker.Config {
	c := worker.Config{Socket: w.options, Threads: w.cfg.Server.Workers}
	c.Socket.Port, c.Socket.Device = w.cfg.Server.Port, w.cfg.Server.BindDevice
	c.Socket.FreeBind, c.Socket.Broadcast, c.Socket.RecvBuffer = true, true, serverBuffer
	if c.Threads == 0 {
		c.Threads = runtime.NumCPU()
	}
	if w.kernel != nil {
		c.Departed = w.kernel.Departed
	}
	c.Stamps, c.Log = setup.WorkerMemory(w.cfg, c.Threads*len(serverAddrs(w.cfg.Server.BindAddresses)))
	rand.Read(c.Seed[:]) // never fails: crypto/rand ends the process instead
	return c
}

// closeServer closes everything at the server port.
func (w *world) closeServer() {
	w.clearPort()
	for _, s := range w.srv.talkers {
		s.Close()
	}
	if w.srv.ntpq != nil {
		w.srv.ntpq.close()
	}
	if w.srv.pool != nil {
		r := w.srv.pool.Report()
		r.Stamps, r.Span, r.Records = 0, 0, 0 // which go with it
		w.srv.past.Merge(&r)
		w.srv.pool.Close()
		w.kernel.At(nil, "", nil)
	}
	w.srv.ntpq, w.srv.pool, w.srv.talkers, w.srv.closed, w.srv.retry = nil, nil, nil, nil, clock.Mono{}
}

// clearPort closes the sockets of clients and peers that share the server port. They
// are opened again when they are needed, after those of the workers: the kernel
// numbers the sockets of a port in the order in which they were opened, and the
// workers must be the first.
func (w *world) clearPort() {
	for id := range w.srv.peers {
		w.hangup(id)
	}
	if w.acqPort != 0 && w.acqPort == w.cfg.Server.Port {
		for id := range w.clients {
			w.hangup(id)
		}
	}
}

// deaf tells whether there should be server sockets but none could be opened.
func (w *world) deaf() bool {
	return len(w.srv.closed) > 0 && (w.srv.pool == nil || w.srv.pool.Threads() == 0)
}

// listenAgain tries once more where no socket could be opened.
func (w *world) listenAgain() {
	w.clearPort()
	var left []netip.Addr
	for _, a := range w.srv.closed {
		if err := w.srv.pool.Open(a); err != nil {
			w.log.Debug(err.Error())
			left = append(left, a)
			continue
		}
		w.log.Info("Opened NTP server socket at " + netip.AddrPortFrom(a, w.cfg.Server.Port).String())
	}
	w.srv.closed = left
	w.tellKernel()
	w.schedule()
}

// schedule sets the time of the next listenAgain.
func (w *world) schedule() {
	w.srv.retry = clock.Mono{}
	if len(w.srv.closed) > 0 {
		w.srv.retry = w.Now().Mono.Add(retryTime)
	}
}

// publish makes s what is served.
func (w *world) publish(s *responder.Snapshot) {
	w.srv.snapshot, w.srv.published = *s, true
	if w.srv.pool != nil {
		w.srv.pool.Publish(*s)
	}
	w.kernel.Publish(s)
}

// enact makes p the policy of serving.
func (w *world) enact(p responder.Policy) {
	w.srv.policy = p
	if w.srv.pool != nil {
		w.srv.pool.Enact(p)
	}
	w.kernel.Enact(p)
}

// peer returns the socket of a symmetric association, opened if need be. It has
// the server's port, as the peer expects.
func (w *world) peer(s *engine.Send) *udpstamp.Socket {
	if sock := w.srv.peers[s.Peer]; sock != nil || w.srv.pool == nil {
		return sock
	}
	o := w.options
	o.Port, o.Device = w.cfg.Server.Port, w.cfg.Server.BindDevice
	sock, err := openPeer(s.To, o, w.cfg.Server.BindAddresses)
	if err != nil {
		w.refuse(s.Peer, err)
		return nil
	}
	delete(w.refused, s.Peer)
	if w.srv.peers == nil {
		w.srv.peers = make(map[engine.SourceID]*udpstamp.Socket)
	}
	w.srv.peers[s.Peer] = sock
	return sock
}

// openPeer opens a socket to a peer from the first address of its family in bind
// that the machine has, from any if there is none of the family.
func openPeer(to netip.AddrPort, o udpstamp.Options, bind []netip.Addr) (sock *udpstamp.Socket, err error) {
	from := []netip.Addr{{}}
	if own := slices.DeleteFunc(slices.Clone(bind), func(a netip.Addr) bool { return a.Is4() != to.Addr().Is4() }); len(own) > 0 {
		from = own
	}
	for _, o.Local = range from {
		if sock, err = udpstamp.OpenClient(to, o); err == nil {
			return sock, nil
		}
	}
	return nil, err
}

// talker returns the socket to send s from that no association has: that of the
// peer who asked, or a worker's that can reach the destination, best one bound
// to the address to send from.
func (w *world) talker(s *engine.Send) *udpstamp.Socket {
	for _, sock := range w.srv.peers {
		if sock.Remote() == s.To {
			return sock
		}
	}
	if w.srv.pool == nil {
		return nil
	}
	return w.talkerAt(serving(w.srv.pool.Addrs(), s.To.Addr(), s.Local))
}

// serving returns which of the addresses that are served at can reach to, best
// local itself; an invalid one if none can.
func serving(addrs []netip.Addr, to, local netip.Addr) (fit netip.Addr) {
	for _, a := range addrs {
		switch {
		case a.Is4() != to.Is4():
		case a == local:
			return a
		case !fit.IsValid() || a.IsUnspecified():
			fit = a
		}
	}
	return fit
}

// talkerAt returns the second socket at an address that the workers serve at.
func (w *world) talkerAt(a netip.Addr) *udpstamp.Socket {
	if sock := w.srv.talkers[a]; sock != nil || !a.IsValid() {
		return sock
	}
	sock, err := w.srv.pool.Talker(a)
	if err != nil {
		w.log.Debug(err.Error())
		return nil
	}
	if w.srv.talkers == nil {
		w.srv.talkers = make(map[netip.Addr]*udpstamp.Socket)
	}
	w.srv.talkers[a] = sock
	return sock
}

// report says what the workers did since the start.
func (w *world) report() worker.Report {
	r := w.srv.past
	if w.srv.pool != nil {
		now := w.srv.pool.Report()
		r.Merge(&now)
	}
	return r
}
