// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"foliot/internal/chronyconf"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/responder"
	"foliot/internal/setup"
	"foliot/internal/udpstamp"
	"foliot/internal/worker"
	"foliot/tests/netns"
)

// Kernel is the programs in the kernel, with workers behind them for what they
// leave to user space, across a veth pair.
type Kernel struct {
	*fastpath.Fastpath
	lab         *netns.Lab
	here, there *netns.Space
	link        *netns.Link
	peer        io.Closer
	pool        *worker.Pool
	wire

	mu   sync.Mutex
	snap responder.Snapshot
	stop chan struct{}
}

// kernelLease is how long the programs serve what they were told last.
const kernelLease = 3 * clock.Second

// NewKernel returns the programs as a target.
func NewKernel() (*Kernel, error) {
	f, err := fastpath.Load(fastpath.Config{Clients: 1 << 22, Key: clientlog.HashKey{1, 2}})
	if err != nil {
		return nil, err
	}
	k := &Kernel{Fastpath: f, stop: make(chan struct{})}
	if err := k.build(); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	go k.renew()
	return k, nil
}

func (k *Kernel) build() (err error) {
	if k.lab, err = netns.NewLab(); err != nil {
		return err
	}
	d := Daemon{lab: k.lab}
	for _, s := range []**netns.Space{&d.here, &d.there} {
		if *s, err = k.lab.Space(); err != nil {
			return err
		}
	}
	k.here, k.there = d.here, d.there
	if d.link, err = k.lab.Link(d.here, d.there); err != nil {
		return err
	}
	k.link = d.link
	if err := d.route(); err != nil {
		return err
	}
	if k.peer, err = k.here.PassXDP(k.link.ADev); err != nil {
		return err
	}
	if err := k.there.Inside(func() error { _, err := k.Attach(k.link.BDev, fastpath.Native); return err }); err != nil {
		return err
	}
	if _, err := k.SetAddrs([]fastpath.Own{{Addr: k.link.B4}, {Addr: k.link.B6}}); err != nil {
		return err
	}
	k.wire = wire{space: k.here, server4: k.link.B4, server6: k.link.B6}
	return nil
}

// Name implements Target. What the programs and the workers answer together is
// what the responder answers.
func (k *Kernel) Name() string { return Core }

// Now implements Target.
func (k *Kernel) Now() clock.Served {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.snap.Served(wallNow())
}

func wallNow() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }

// Enter implements Target.
func (k *Kernel) Enter(s *State) error {
	lines := append(access(), strings.Split(strings.TrimSpace(s.Config), "\n")...)
	cfg, _, err := chronyconf.ParseLines(chronyconf.OS{}, lines)
	if err != nil {
		return err
	}
	e := setup.Engine(cfg, &setup.Files{Keys: ring}, &setup.Machine{Quantum: 1e-7})
	if k.pool != nil {
		k.pool.Close()
	}
	k.pool = worker.NewPool(worker.Config{
		Socket: udpstamp.Options{Port: 123, RecvBuffer: 1 << 22, Precision: 1e-9}, Threads: 1,
		Stamps: e.Stamps, Log: e.ClientLog, Seed: [32]byte{1},
	})
	for _, a := range []netip.Addr{k.link.B4, k.link.B6} {
		if err := k.there.Inside(func() error { return k.pool.Open(a) }); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.snap = s.snapshot(wallNow(), e.Precision)
	k.mu.Unlock()
	if err := k.SetPolicy(e.Policy.Access, e.Policy.Limit); err != nil {
		return err
	}
	k.pool.Publish(k.snap)
	k.pool.Enact(e.Policy)
	k.pool.Start()
	k.wire.limited = len(s.Limits) > 0
	return k.publish()
}

func (k *Kernel) publish() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Publish(&k.snap, kernelLease, fastpath.Leads{})
}

// renew keeps the lease.
func (k *Kernel) renew() {
	for {
		select {
		case <-k.stop:
			return
		case <-time.After(500 * time.Millisecond):
			k.publish()
		}
	}
}

// Close ends the workers, unloads the programs and removes the namespaces.
func (k *Kernel) Close() error {
	close(k.stop)
	if k.pool != nil {
		k.pool.Close()
	}
	errs := []error{k.Fastpath.Close()}
	if k.peer != nil {
		errs = append(errs, k.peer.Close())
	}
	if k.lab != nil {
		errs = append(errs, k.lab.Close())
	}
	return errors.Join(errs...)
}
