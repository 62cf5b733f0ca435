// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/udpstamp"
)

// Sizes and paces of a worker.
const (
	batchSize  = 64                     // requests received at once
	burstSize  = 8                      // answers sealed and sent at once
	datagram   = ntp.MaxLen + 4         // octets, enough to see that a request is too long
	sampleTime = 10 * clock.Millisecond // between two looks at how long sending takes
)

// worker is one thread. Its fields are its own while it runs, but for tasks and
// ending.
type worker struct {
	pool   *Pool
	sock   *udpstamp.Socket
	batch  *udpstamp.Batch
	waiter *udpstamp.Waiter
	pacer  pacer
	server *responder.Server

	replies   [burstSize]responder.Reply
	places    [burstSize]int // of the requests in the batch
	queued    int
	txs       [batchSize]udpstamp.Tx
	pending   int // transmit stamps that were asked for and not read
	lead      responder.Lead
	probe     probe
	departure Departure // scratch

	unsent    uint64 // answers that the kernel did not take
	residence responder.Residence

	tasks  chan task
	ending atomic.Bool
	ended  chan struct{}
}

// task is something for the worker's thread to do.
type task struct {
	f    func()
	done chan struct{}
}

// probe is an answer whose departure is watched, to learn how long sending takes.
type probe struct {
	id    uint32 // TxID, 0 = none is under way
	to    netip.AddrPort
	asked ntp.Timestamp // the transmit timestamp of the request
	place int           // in its burst
	told  clock.Wall    // the departure that was foretold
	next  clock.Wall    // when the next one is due
	count uint32
}

// probeTx marks the TxID of a probe; those of answers in interleaved mode are
// their tags plus one, at most 2^30.
const probeTx = 1 << 31

func newWorker(p *Pool, sock *udpstamp.Socket) (*worker, error) {
	waiter, err := udpstamp.NewWaiter(sock)
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	p.random.Read(seed[:])
	random := rand.NewChaCha8(seed)
	key := clientlog.HashKey{random.Uint64(), random.Uint64()}
	return &worker{
		pool: p, sock: sock, waiter: waiter, batch: udpstamp.NewBatch(sock, batchSize, datagram),
		server: responder.NewServer(responder.Config{
			Stamps: p.cfg.Stamps, Log: p.cfg.Log, Key: key, Random: random.Uint64,
		}),
		tasks: make(chan task, 1), ended: make(chan struct{}),
	}, nil
}

// run is the thread.
func (w *worker) run() {
	runtime.LockOSThread()
	defer close(w.ended)
	for {
		n := w.serve()
		if w.pending > 0 {
			w.readStamps()
		}
		w.wait(n)
		select {
		case t := <-w.tasks:
			t.f()
			close(t.done)
		default:
		}
		if w.ending.Load() {
			return
		}
	}
}

// glance is how long a worker under load waits for the next request.
const glance = time.Millisecond

// wait lets requests come together after a batch of n: not at all after a full
// one, for a moment under load, else until there is one.
func (w *worker) wait(n int) {
	if n > 0 && w.pacer.crowded() {
		w.pool.room.need()
	}
	if n == batchSize {
		return
	}
	if d := w.pacer.pause(); d > 0 {
		udpstamp.Pause(d)
		return
	}
	something, stamps := false, false
	if w.pool.room.wide.Load() {
		something, stamps = w.waiter.Glance(glance)
	}
	if !something {
		stamps = w.waiter.Wait()
	}
	if stamps {
		w.readStamps()
	}
}

// serve answers what is waiting, up to a batch, and returns how many that were. An
// error of the socket is about one datagram, which is gone with it.
func (w *worker) serve() int {
	msgs, _ := w.batch.Recv()
	w.pacer.took(msgs)
	if len(msgs) == 0 {
		return 0
	}
	snap, policy := w.pool.snapshot.Load(), w.pool.policy.Load()
	for i := range msgs {
		m := &msgs[i]
		in := responder.Arrival{From: m.From, Stamp: m.Stamp}
		if !w.control(m) && w.server.Receive(m.Data, &in, policy, snap, &w.replies[w.queued]).Answered() {
			w.places[w.queued] = i
			w.queued++
		}
		if w.queued == burstSize || w.queued > 0 && i == len(msgs)-1 {
			w.send(msgs, snap)
		}
	}
	return len(msgs)
}

// control hands a control message over. It tells whether m was one that is taken.
func (w *worker) control(m *udpstamp.Message) bool {
	c := w.pool.cfg.Control
	return c != nil && len(m.Data) > 0 && ntp.Mode(m.Data[0]&7) == ntp.ModeControl && c.Control(m)
}

// send seals the queued answers with the time at which each will leave, and
// sends them.
func (w *worker) send(msgs []udpstamp.Message, snap *responder.Snapshot) {
	links := w.pool.links.Load()
	now := wallNow()
	for i := range w.queued {
		r, place := &w.replies[i], w.places[i]
		m := &msgs[place]
		m.Local, m.Iface = links.from(m.From.Addr(), m.Local, m.Iface)
		at := now.Add(w.lead.At(i))
		if m.Stamp.Kind != clock.StampDaemon {
			w.residence.Add(at.Sub(m.Stamp.Time))
		}
		tag := w.server.Seal(r, m.Data[:r.Len], at, snap)
		id := w.watch(tag, i, at)
		if id == w.probe.id && id != 0 {
			w.probe.to, w.probe.asked = m.From, ntp.OriginOf(m.Data)
		}
		w.batch.Answer(place, r.Len, id)
	}
	if sent, _ := w.batch.Flush(); sent < w.queued {
		w.unsent += uint64(w.queued - sent)
	}
	w.queued = 0
}

// watch returns the TxID of the answer at place i of its burst, which shall leave
// at the time at: a tag's, or now and then that of a probe.
func (w *worker) watch(tag, i int, at clock.Wall) uint32 {
	p := &w.probe
	switch {
	case tag >= 0:
		w.pending++
		return uint32(tag) + 1
	case at.Before(p.next) && p.next.Sub(at) <= sampleTime || i > 0 && i < w.queued-1:
		// Watched are the first and, where there are several, the last.
		return 0
	case i == 0 && w.queued > 1 && p.count&1 == 1:
		return 0
	}
	p.count++
	p.next = at.Add(sampleTime)
	p.id, p.place, p.told = probeTx|p.count&0xffffff, i, at
	w.pending++
	return p.id
}

// readStamps takes in when answers left.
func (w *worker) readStamps() {
	snap := w.pool.snapshot.Load()
	for {
		n, err := w.batch.RecvTx(w.txs[:])
		for i := range n {
			w.left(&w.txs[i], snap)
		}
		if n < len(w.txs) || err != nil {
			w.pending = 0 // what is still to come wakes the poller
			return
		}
	}
}

func (w *worker) left(tx *udpstamp.Tx, snap *responder.Snapshot) {
	switch {
	case tx.Stamp.Kind == clock.StampNone:
	case tx.ID == w.probe.id:
		p := &w.probe
		w.lead.Learn(p.place, tx.Stamp.Time.Sub(p.told))
		if f := w.pool.cfg.Departed; f != nil {
			w.departure = Departure{To: p.to, Request: p.asked, Told: p.told, Left: tx.Stamp.Time}
			f(&w.departure)
		}
		p.id = 0
	case tx.ID < probeTx:
		w.server.Transmitted(int(tx.ID)-1, tx.Stamp, snap)
	}
}

// do runs f on the worker's thread and waits for it.
func (w *worker) do(f func()) { w.await(w.ask(f)) }

// ask has the worker's thread run f between two batches. The result is for await.
func (w *worker) ask(f func()) (done <-chan struct{}) {
	t := task{f, make(chan struct{})}
	select {
	case w.tasks <- t:
		w.waiter.Wake()
	case <-w.ended:
	}
	return t.done
}

// await waits until what was asked for is done, or will never be.
func (w *worker) await(done <-chan struct{}) {
	select {
	case <-done:
	case <-w.ended:
	}
}

// stop ends the thread, if it runs, and closes its socket.
func (w *worker) stop(runs bool) {
	if runs {
		w.ending.Store(true)
		w.waiter.Wake()
		<-w.ended
	}
	w.waiter.Close()
	w.sock.Close()
}

// wallNow reads the wall clock.
func wallNow() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }
