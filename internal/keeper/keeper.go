// SPDX-License-Identifier: Apache-2.0

// Package keeper keeps the programs of package fastpath: it loads and attaches
// them, and hands on what is served, whom and how often, where, and with what
// correction. Where the system does not let it, the daemon goes on without, and
// the keeper knows why.
//
// The one concept is that the keeper is behind: whoever changes something only
// says so, and a goroutine of the keeper's own makes the programs agree with the
// newest of everything. What they serve they hold for a lease that the goroutine
// renews, so that they end with it.
package keeper

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/fastpath"
	"foliot/internal/links"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// Paces of the keeper.
const (
	lease     = 3 * clock.Second // that the programs serve without hearing of the daemon
	renewTime = time.Second
	lookTime  = 10 * time.Second      // between two looks at the interfaces, if nothing is heard of them
	calmTime  = 50 * time.Millisecond // for changes of interfaces to come together
)

// ntpPort is the port that the programs look for.
const ntpPort = 123

// Config is what a keeper is made with.
type Config struct {
	Kernel  config.Kernel
	Port    uint16 // of the server
	DSCP    uint8  // of answers
	Clients int64  // memory for records of clients, octets
	Log     *slog.Logger
	// Without asks to do as if the kernel lacked a feature.
	Without []fastpath.Feature
}

// Keeper keeps the programs. Any goroutine may call its methods, and all of them
// do nothing on a nil Keeper.
type Keeper struct {
	log   *slog.Logger
	path  atomic.Pointer[fastpath.Fastpath] // nil: nothing is loaded, or not yet
	lead  calibrator
	wake  chan struct{}
	moved chan struct{} // interfaces or addresses have changed
	begun chan struct{} // closed when the programs are loaded and attached, or refused
	ended chan struct{} // closed by Close

	mu      sync.Mutex // guards what follows
	refused error      // why nothing is loaded
	want    wanted
	shown   map[string]place   // places, as of the last look
	serving bool               // at some interface
	native  bool               // there is a program in some driver
	onestep bool               // timestamps are rewritten now
	lasts   time.Time          // until when what is served holds
	past    responder.Counters // of interfaces that are no more

	// Only the goroutine of the keeper uses the rest.
	places   map[string]*place // interfaces that were tried, by name
	done     wanted
	looked   time.Time
	refusal  string // of the policy by the programs, as it was told
	toldFull bool
}

// wanted is the newest of everything.
type wanted struct {
	kernel   config.Kernel
	port     uint16
	snapshot responder.Snapshot
	access   *acl.Table
	limit    *clientlog.Limit
	restrict bool         // entries of restrict take something away
	addrs    []netip.Addr // where there are sockets; none: nothing is served
	cookies  []uint64     // of those
	device   string       // the only interface to serve at, if not empty
	dscp     uint8        // of answers
}

// New begins to load the programs and to attach them, which takes the kernel a
// tenth of a second. It returns nil where none are wanted.
func New(c Config) *Keeper {
	if c.Kernel.Load == config.LoadOff {
		return nil
	}
	k := &Keeper{
		log: c.Log, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), begun: make(chan struct{}), ended: make(chan struct{}), places: make(map[string]*place),
		want: wanted{kernel: c.Kernel, port: c.Port, dscp: c.DSCP, snapshot: responder.Snapshot{Leap: ntp.LeapUnsync}},
	}
	go k.begin(c)
	return k
}

// begin loads the programs and attaches them.
func (k *Keeper) begin(c Config) {
	defer close(k.begun)
	var key [16]byte
	rand.Read(key[:]) // never fails: crypto/rand ends the process instead
	path, err := fastpath.Load(fastpath.Config{
		Clients: c.Clients, Without: c.Without,
		Key: clientlog.HashKey{binary.NativeEndian.Uint64(key[:]), binary.NativeEndian.Uint64(key[8:])},
	})
	k.mu.Lock()
	k.refused = err
	k.mu.Unlock()
	k.tell(c.Kernel, path, err)
	if err == nil {
		k.apply(path, time.Now())
		k.path.Store(path)
	}
}

// Wait waits until the programs are loaded and attached, or will never be: so long
// rights must be kept.
func (k *Keeper) Wait() {
	if k != nil {
		<-k.begun
	}
}

// tell says once what is missing, and what that costs.
func (k *Keeper) tell(c config.Kernel, path *fastpath.Fastpath, err error) {
	asked := c.Load == config.LoadOn || len(c.Serve) > 0 || c.OneStep
	say := k.log.Info
	if asked {
		say = k.log.Warn
	}
	if err != nil {
		say("No eBPF programs, requests are answered by threads and what passes the interfaces is not counted: " + err.Error())
		return
	}
	for _, m := range path.Features().Missing() {
		say("eBPF: " + m.Error())
	}
}

// Run makes the programs agree until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	if k == nil {
		return
	}
	k.Wait()
	path := k.path.Load()
	if path == nil {
		return
	}
	defer k.listen()()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-k.wake:
		case <-k.moved:
			time.Sleep(calmTime)
			k.looked = time.Time{}
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-k.ended:
			return
		}
		timer.Reset(k.apply(path, time.Now()))
	}
}

// listen has the goroutine hear of changes of interfaces until what it returns is
// called. Without it the goroutine looks now and then.
func (k *Keeper) listen() (stop func()) {
	w, err := links.Watch()
	if err != nil {
		k.log.Debug("eBPF: " + err.Error())
		return func() {}
	}
	go func() {
		for w.Wait() == nil {
			select {
			case k.moved <- struct{}{}:
			default:
			}
		}
	}()
	return func() { w.Close() }
}

// change makes a change of what is wanted and wakes the goroutine.
func (k *Keeper) change(f func(*wanted)) {
	if k == nil {
		return
	}
	k.mu.Lock()
	f(&k.want)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Publish makes s what is served.
func (k *Keeper) Publish(s *responder.Snapshot) { k.change(func(w *wanted) { w.snapshot = *s }) }

// Enact makes p the policy of serving.
func (k *Keeper) Enact(p responder.Policy) {
	k.change(func(w *wanted) { w.access, w.limit, w.restrict = p.Access, p.Limit, p.Restrict != nil })
}

// At says at which addresses, of which interface if not all, there are sockets,
// whose cookies these are. What is not for them is not answered.
func (k *Keeper) At(addrs []netip.Addr, device string, cookies []uint64) {
	k.change(func(w *wanted) { w.addrs, w.device, w.cookies = slices.Clone(addrs), device, slices.Clone(cookies) })
}

// Configure changes what is wanted of the programs. To load or drop them takes a
// restart.
func (k *Keeper) Configure(c config.Kernel, port uint16, dscp uint8) {
	if c.Load == config.LoadOff { // they stay until the end, but do nothing
		c.Serve, c.OneStep = nil, false
	}
	k.change(func(w *wanted) { w.kernel, w.port, w.dscp = c, port, dscp })
}

// apply makes the programs agree with what is wanted, and returns when to do so
// again.
func (k *Keeper) apply(path *fastpath.Fastpath, now time.Time) time.Duration {
	k.mu.Lock()
	w := k.want
	k.mu.Unlock()
	var errs []error
	obeyed := k.enact(path, &w)
	if obeyed {
		errs = append(errs, k.publish(path, &w, now))
	}
	if now.Sub(k.looked) >= lookTime || !sameplaces(&w, &k.done) {
		k.looked = now
		errs = append(errs, k.look(path, &w))
		if obeyed {
			errs = append(errs, k.publish(path, &w, now)) // whom to serve may have been found only now
		}
	}
	if !slices.Equal(w.cookies, k.done.cookies) {
		for _, c := range w.cookies { // once more does no harm
			errs = append(errs, path.AddSocket(c))
		}
	}
	if w.dscp != k.done.dscp {
		errs = append(errs, path.Mark(w.dscp))
	}
	if !obeyed {
		w.access, w.limit = k.done.access, k.done.limit
	}
	k.done = w
	if err := errors.Join(errs...); err != nil && !errors.Is(err, fastpath.ErrClosed) {
		k.log.Warn("eBPF: " + err.Error())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.serving || w.kernel.OneStep {
		return renewTime
	}
	return lookTime
}

// enact hands the policy on, and tells whether the programs obey it. If they do not
// they serve nothing: an older policy may allow too much, or nobody.
func (k *Keeper) enact(path *fastpath.Fastpath, w *wanted) bool {
	if w.access == k.done.access && w.limit == k.done.limit && k.refusal == "" {
		return true
	}
	err := path.SetPolicy(w.access, w.limit)
	text := ""
	if err != nil {
		text = err.Error()
		path.Withdraw() // it fails as the policy did, or not at all
		k.mu.Lock()
		k.lasts = time.Time{}
		k.mu.Unlock()
	}
	if text != k.refusal {
		k.mu.Lock()
		k.refusal = text
		k.mu.Unlock()
		if err != nil {
			k.log.Warn("All requests are answered by threads: " + text)
		}
	}
	return err == nil
}

// sameplaces tells whether a and b want the same of the interfaces.
func sameplaces(a, b *wanted) bool {
	return a.port == b.port && a.restrict == b.restrict && a.device == b.device && slices.Equal(a.addrs, b.addrs) && slices.Equal(a.kernel.Serve, b.kernel.Serve)
}

// publish draws the line of served time anew, if anybody uses it.
func (k *Keeper) publish(path *fastpath.Fastpath, w *wanted, now time.Time) error {
	onestep := w.kernel.OneStep && k.lead.helps()
	k.mu.Lock()
	changed := onestep != k.onestep
	k.onestep = onestep
	used := k.serving || w.kernel.OneStep
	k.lasts = time.Time{}
	if used && w.snapshot.Leap != ntp.LeapUnsync {
		k.lasts = now.Add(lease.Duration())
	}
	k.mu.Unlock()
	var err error
	if changed {
		err = path.OneStep(onestep)
	}
	if !used {
		return err
	}
	return errors.Join(err, path.Publish(&w.snapshot, lease, fastpath.Leads{OneStep: k.lead.value()}))
}

// Close detaches and unloads the programs.
func (k *Keeper) Close() {
	if k == nil {
		return
	}
	close(k.ended)
	k.Wait()
	path := k.path.Load()
	if path == nil {
		return
	}
	if err := errors.Join(path.Withdraw(), path.Close()); err != nil {
		k.log.Warn("eBPF: " + err.Error())
	}
}
