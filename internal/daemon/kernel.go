// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"sync"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/config"
	"foliot/internal/control"
	"foliot/internal/engine"
	"foliot/internal/keeper"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/setup"
	"foliot/internal/state"
	"foliot/internal/udpstamp"
)

// openKernel loads the eBPF programs, as long as that is allowed.
func (d *daemon) openKernel(c *config.Config) *keeper.Keeper {
	if d.opts.OneShot() {
		return nil
	}
	_, records := setup.WorkerMemory(c, 1)
	return keeper.New(keeper.Config{Kernel: c.Server.Kernel, Port: c.Server.Port, DSCP: c.Client.DSCP, Clients: records, Log: d.log})
}

// tellKernel says where the server's sockets are.
func (w *world) tellKernel() {
	if w.srv.pool == nil {
		w.kernel.At(nil, "", nil)
		return
	}
	w.kernel.At(w.srv.pool.Addrs(), w.cfg.Server.BindDevice, w.srv.pool.Cookies())
}

// answeredInKernel counts the requests that went no further than the programs.
func (w *world) answeredInKernel() *responder.Counters {
	var p state.Programs
	var c responder.Counters
	w.kernel.Look(&p, &c)
	return &c
}

// describeKernel answers the verb ebpf, beside the loop.
func (l *loop) describeKernel(ctx context.Context, verb string, out io.Writer) error {
	s, err := l.view.look(ctx, 0, false)
	switch {
	case err != nil:
		return err
	case verb == control.VerbEBPF:
		keeper.Report(&s.Programs, out)
		return nil
	}
	return keeper.JSON(&s.Programs, out)
}

// nearer replaces the stamp of an answer to a request of ours by that of a program in
// the driver, where there is one.
func (w *world) nearer(in *engine.Received, sock *udpstamp.Socket) {
	if !w.kernel.InDriver() || len(in.Data) < ntp.HeaderLen {
		return
	}
	if local, err := sock.LocalAddr(); err == nil {
		in.Stamp = w.kernel.Arrived(in.From.Addr(), local.Port(), ntp.OriginOf(in.Data), in.Stamp)
	}
}

// roll is the clients as the programs know them, all requests of theirs whoever
// answers; it is asked while requests are answered in the kernel. Any goroutine may
// call its methods.
type roll struct {
	keeper *keeper.Keeper
	mu     sync.Mutex // guards what follows
	list   []clientlog.Record
	index  map[clientlog.Prefix]int
	taken  time.Time
}

// Of the roll.
const (
	rollAge   = time.Second
	rollLimit = 1 << 17 // clients, the busiest
)

// walk is [worker.Pool.Walk]: the clients are in the order of a list that is made
// anew for each walk that begins.
func (r *roll) walk(slot int, f func(*clientlog.Record) bool) (next, slots int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh(slot == 0)
	for slot < len(r.list) {
		c := r.list[slot]
		if !f(&c) {
			break
		}
		slot++
	}
	return slot, len(r.list)
}

// client returns the record of one client.
func (r *roll) client(p clientlog.Prefix) (clientlog.Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh(true)
	if i, ok := r.index[p]; ok {
		return r.list[i], true
	}
	return clientlog.Record{}, false
}

func (r *roll) refresh(again bool) {
	if r.index != nil && (!again || time.Since(r.taken) < rollAge) {
		return
	}
	r.list, _ = r.keeper.Clients(rollLimit)
	r.index = make(map[clientlog.Prefix]int, len(r.list))
	for i := range r.list {
		r.index[r.list[i].Prefix] = i
	}
	r.taken = time.Now()
}

// clients returns copies of the records of the n clients that ask most, the busiest
// first, and how many clients there are.
func (v *viewer) clients(n int) ([]clientlog.Record, int) {
	if v.roll.keeper.Serving() {
		return v.roll.keeper.Clients(n)
	}
	if pool := v.Pool(); pool != nil {
		return pool.Clients(n)
	}
	return nil, 0
}
