// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"os"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/config"
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

// movePages opens, moves or closes the listener as the configuration says now.
func (l *loop) movePages(before config.Metrics) {
	now := &l.w.cfg.Metrics
	switch p := l.pages; {
	case p == nil && now.Listen.IsValid() && now.Listen != before.Listen:
		l.pages = l.d.openPages(l)
		l.pages.run(l.ctx)
	case p == nil:
	case !now.Listen.IsValid():
		l.pages, l.w.measured = nil, nil
		go p.close() // answers that are under way have a moment
	default:
		p.metrics.CompatChrony(now.CompatChrony)
		if now.Listen != p.server.Addr() {
			if err := p.server.Move(now.Listen); err != nil {
				l.d.log.Warn("Could not move metrics and status page: " + err.Error())
			}
		}
	}
}

// measured takes a new sample of a source in.
func (p *pages) measured(ev *engine.Event) {
	if r, ok := ev.Assoc.Report(); ok {
		p.metrics.Measured("", clock.Offset(r.Offset), r.Delay)
	}
}

// shownClients bounds how many clients a view is given.
const shownClients = 10_000

// clientRecords returns copies of the records of the busiest clients.
func (l *loop) clientRecords() []clientlog.Record {
	list, _ := l.view.clients(shownClients)
	return list
}
