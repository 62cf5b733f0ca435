// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"foliot/internal/clock"
	"foliot/internal/control"
	"foliot/internal/engine"
	"foliot/internal/process"
	"foliot/internal/resolve"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
)

// Sizes and paces of the loop.
const (
	batch      = 16               // datagrams read at once
	batches    = 4                // read from one socket before others have their turn
	longest    = 30 * time.Second // between two looks at the clock
	meddleTime = 16 * clock.Second
	shortest   = 100 * time.Microsecond // a sleep that is not worth dividing
)

// news is what other goroutines tell the loop.
type news struct {
	resolved *engine.Resolved
	run      func()
	stop     bool
	reload   bool
	verb     string
	out      io.Writer
	done     chan error
}

// inbox is a queue that wakes the loop.
type inbox struct {
	mu   sync.Mutex
	list []news
	wake func()
}

func (q *inbox) put(n news) {
	q.mu.Lock()
	q.list = append(q.list, n)
	q.mu.Unlock()
	q.wake()
}

func (q *inbox) take() []news {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.list
	q.list = nil
	return l
}

// loop runs the engine.
type loop struct {
	d        *daemon
	w        *world
	e        *engine.Engine
	acts     engine.Actions
	inbox    inbox
	msgs     []udpstamp.Message
	txs      []udpstamp.Tx
	notifier *process.Notifier
	meddle   clock.Mono
	meddled  meddling
	fed      clock.Mono // when the watchdog was fed last
	warmth   clock.Mono // when the temperature is to be read next
	sensor   failing
	end      clock.Mono // of -t, zero = none
	stopping bool
	view     *viewer // of this loop, for everybody who shows something
	desk     *desk
	pages    *pages          // nil: nobody listens
	ctx      context.Context // of what runs beside the loop, until the daemon ends
	began    clock.Mono
	ended    chan struct{} // closed when the loop does nothing more
}

func newLoop(d *daemon, w *world, e *engine.Engine, n *process.Notifier) *loop {
	l := &loop{
		d: d, w: w, e: e, notifier: n,
		began: w.Now().Mono, ended: make(chan struct{}),
		msgs: udpstamp.NewMessages(batch, 1500), txs: make([]udpstamp.Tx, batch),
	}
	l.inbox.wake = w.poller.Wake
	w.notifier = n
	w.answers = func(r engine.Resolved) { l.inbox.put(news{resolved: &r}) }
	w.resolver = resolve.New(func(r resolve.Result) {
		l.inbox.put(news{resolved: &engine.Resolved{Name: r.Name, Addrs: r.Addrs}})
	})
	for _, m := range udpstamp.Probe().Missing() {
		d.log.Info(m.Error() + ": " + m.Cost)
	}
	return l
}

// listenSignals forwards signals to the loop until ctx ends.
func (l *loop) listenSignals(ctx context.Context, s *process.Signals) {
	for {
		select {
		case <-s.Stop:
			l.inbox.put(news{stop: true})
		case <-s.Reload:
			l.inbox.put(news{reload: true})
		case <-ctx.Done():
			return
		}
	}
}

// keepTogether gives all goroutines one processor, since the loop is all the work
// there is until workers start and make room for themselves. With more the
// runtime's monitor looks for work to move at each wait: half of the time that a
// client takes.
func keepTogether() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// run runs until something ends the daemon.
func (l *loop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.ended)
	for !l.stopping && l.w.exit == 0 {
		events, woken, err := l.w.poller.Wait(l.timeout())
		if err != nil {
			return err
		}
		l.readAll(events)
		if woken {
			l.hear()
		}
		l.tick()
	}
	return nil
}

// timeout is how long the loop may sleep.
func (l *loop) timeout() time.Duration {
	now := sysclock.Read().Mono
	least := longest
	if w := l.notifier.WatchdogInterval(); w > 0 {
		least = min(least, w/2)
	}
	for _, t := range [...]clock.Mono{l.e.Deadline(), l.end, l.warmth, l.w.srv.retry} {
		if !t.IsZero() {
			least = min(least, max(0, t.Sub(now).Duration()))
		}
	}
	return nap(least, l.w.slewing)
}

// nap shortens a sleep of length d during a slew. Deadlines count on
// CLOCK_MONOTONIC_RAW, but the kernel sleeps by CLOCK_MONOTONIC, which a slew
// makes up to 10 % slower: a slew ends on time only if the loop wakes early and
// sleeps again, down to a rest whose tenth does no harm.
func nap(d time.Duration, slewing bool) time.Duration {
	if !slewing || d <= shortest {
		return d
	}
	return d / 10 * 9
}

// tick does what is due.
func (l *loop) tick() {
	now := l.w.Now()
	if t := l.e.Deadline(); !t.IsZero() && !now.Mono.Before(t) {
		l.e.Tick(now, &l.acts)
		l.perform()
	}
	if w := l.notifier.WatchdogInterval(); w > 0 && now.Mono.Sub(l.fed).Duration() >= w/2 {
		l.fed = now.Mono
		l.notifier.Watchdog()
	}
	if !l.end.IsZero() && !now.Mono.Before(l.end) {
		l.stopping = true
	}
	if !l.warmth.IsZero() && !now.Mono.Before(l.warmth) {
		l.readTemperature(now)
	}
	if t := l.w.srv.retry; !t.IsZero() && !now.Mono.Before(t) {
		l.w.listenAgain()
	}
	if now.Mono.Sub(l.meddle) >= meddleTime {
		l.meddle = now.Mono
		l.lookForMeddlers(now)
	}
}

func (l *loop) perform() { l.e.Perform(l.w, &l.acts) }

func (l *loop) readAll(events []udpstamp.Event) {
	for i := range events {
		l.readable(events[i].Token)
	}
}

// readable reads from the socket behind token: transmit stamps first, since the
// answer to a request must find its stamp there. What exceeds a few batches is
// left for the next wake, so that a flood of packets cannot hold up the timers.
func (l *loop) readable(token uint64) {
	id := engine.SourceID(token)
	sock := l.w.clients[id]
	if token&peerToken != 0 {
		// The engine knows a peer by its address.
		id, sock = 0, l.w.srv.peers[id]
	}
	if sock == nil {
		return
	}
	l.readStamps(sock)
	for range batches {
		n, err := sock.Recv(l.msgs)
		for i := range n {
			l.receive(id, sock, &l.msgs[i])
		}
		if n < len(l.msgs) || err != nil {
			return
		}
	}
}

func (l *loop) readStamps(sock *udpstamp.Socket) {
	for range batches {
		n, err := sock.RecvTx(l.txs)
		for i := range n {
			tx := engine.Transmitted{ID: engine.TxID(l.txs[i].ID), Stamp: l.txs[i].Stamp}
			if tx.Stamp.Kind != clock.StampNone {
				l.e.Transmitted(l.w.Now(), &tx, &l.acts)
			}
		}
		l.perform()
		if n < len(l.txs) || err != nil {
			return
		}
	}
}

func (l *loop) receive(id engine.SourceID, sock *udpstamp.Socket, m *udpstamp.Message) {
	if m.Truncated {
		return
	}
	in := engine.Received{Source: id, From: m.From, Local: m.Local, Iface: m.Iface, Stamp: m.Stamp, Data: m.Data}
	l.w.nearer(&in, sock)
	l.e.Receive(l.w.Now(), &in, &l.acts)
	l.perform()
}

// hear takes the news of other goroutines in.
func (l *loop) hear() {
	for _, n := range l.inbox.take() {
		switch {
		case n.resolved != nil:
			l.e.Resolved(l.w.Now(), n.resolved, &l.acts)
			l.perform()
		case n.run != nil:
			n.run()
			n.done <- nil
		case n.stop:
			l.stopping = true
		case n.reload:
			if err := l.reload(); err != nil {
				l.d.log.Error("Could not reload the configuration, the old one stays: " + err.Error())
			}
		case n.verb == control.VerbEBPF, n.verb == control.VerbEBPF+control.JSON:
			go l.describeKernel(n)
		case n.done != nil:
			n.done <- l.command(n.verb, n.out)
		}
	}
}

// command answers a verb of foliotctl.
func (l *loop) command(verb string, out io.Writer) error {
	switch verb {
	case control.VerbReload:
		return l.reload()
	case control.VerbStatus:
		return l.status(out)
	case control.VerbVersion:
		_, err := fmt.Fprintf(out, "foliotd (foliot) version %s\n", Version)
		return err
	}
	return errUnknownVerb(verb)
}

// ask hands a verb to the loop and waits for its answer. An answer that comes too
// late finds nobody, and out is not written to.
func (l *loop) ask(ctx context.Context, verb string, out io.Writer) error {
	switch verb {
	case control.VerbState:
		return l.describe(ctx, out)
	case control.VerbLog:
		_, err := l.d.recent.WriteTo(out)
		return err
	}
	var text bytes.Buffer
	n := news{verb: verb, out: &text, done: make(chan error, 1)}
	l.inbox.put(n)
	select {
	case err := <-n.done:
		if _, werr := text.WriteTo(out); err == nil {
			err = werr
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload reads the configuration again and changes to it. A bad one changes
// nothing.
func (l *loop) reload() error {
	l.notifier.Reloading()
	defer l.notifier.Ready()
	fresh, err := l.d.load()
	if err != nil {
		return err
	}
	cfg := l.d.engineConfig(fresh)
	for _, w := range fresh.Warnings {
		l.d.log.Warn(w)
	}
	l.d.applyLogs(fresh.Config, l.w)
	old := l.w.cfg
	l.w.cfg = fresh.Config
	for _, name := range needRestart(old, fresh.Config) {
		l.d.log.Warn("Change of " + name + " takes effect at the next start only")
	}
	l.w.options.DSCP = fresh.Config.Client.DSCP
	if f := fresh.Config.Clock.DriftFile; f != old.Clock.DriftFile {
		l.w.setDriftFile(f)
	}
	l.warmth = l.w.Now().Mono
	l.w.enact(cfg.Policy)
	l.w.kernel.Configure(fresh.Config.Server.Kernel, fresh.Config.Server.Port, fresh.Config.Client.DSCP)
	l.desk.s.Enact(commandPolicy(fresh))
	l.w.monitor(monitors(fresh))
	l.movePages(old.Metrics)
	l.e.Configure(l.w.Now(), cfg, &l.acts)
	l.perform()
	if !sameServer(old, fresh.Config) {
		l.w.listen(l.e.Listening())
	}
	l.d.log.Info("Configuration reloaded")
	return nil
}

// wallNow reads the wall clock as late as possible before sending.
func wallNow() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }
