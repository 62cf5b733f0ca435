// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"os"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/metrics"
	"foliot/internal/state"
	"foliot/internal/web"
)

// A view may be this old when it is shown to a browser or a monitoring system, and
// takes this long at the most.
const (
	viewAge  = 200 * time.Millisecond
	viewTime = 5 * time.Second
)

// pages are the metrics and the status page.
type pages struct {
	metrics *metrics.Metrics
	server  *web.Server
}

// openPages opens their listener, while low ports are still allowed. A daemon keeps
// time without it too, so trouble is only told.
func (d *daemon) openPages(lp *loop) *pages {
	c := &lp.w.cfg.Metrics
	if !c.Listen.IsValid() || d.opts.OneShot() {
		return nil
	}
	look := func() *state.State {
		ctx, cancel := context.WithTimeout(context.Background(), viewTime)
		defer cancel()
		s, err := lp.view.State(ctx, viewAge)
		if err != nil {
			return nil
		}
		return s
	}
	p := &pages{metrics: metrics.New(metrics.Config{State: look, CompatChrony: c.CompatChrony})}
	wc := web.Config{Listen: c.Listen, State: look, Metrics: p.metrics, Log: d.log}
	wc.Host, _ = os.Hostname() // without a name the page has none
	if !lp.w.cfg.Server.NoClientLog {
		wc.Clients = lp.clientRecords
	}
	var err error
	if p.server, err = web.New(wc); err != nil {
		d.log.Warn("Disabled metrics and status page: " + err.Error())
		return nil
	}
	lp.w.measured = p.measured
	return p
}

// run serves until ctx ends.
func (p *pages) run(ctx context.Context) {
	if p != nil {
		go p.server.Run(ctx) // it tells of its own troubles
	}
}

func (p *pages) close() {
	if p != nil {
		p.server.Close()
	}
}

// measured takes a new sample of a source in.
func (p *pages) measured(ev *engine.Event) {
	if r, ok := ev.Assoc.Report(); ok {
		p.metrics.Measured(ev.Assoc.Config().Rack, clock.Offset(r.Offset), r.Delay)
	}
}

// shownClients bounds how many clients a view is given.
const shownClients = 10_000

// clientRecords returns copies of the records of the busiest clients.
func (l *loop) clientRecords() []clientlog.Record {
	if pool := l.view.Pool(); pool != nil {
		list, _ := pool.Clients(shownClients)
		return list
	}
	return nil
}
