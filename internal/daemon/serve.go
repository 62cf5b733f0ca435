// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/process"
)

// serve opens the world, drops rights and runs the loop.
func (d *daemon) serve(l *Loaded, cfg engine.Config) error {
	runtime.LockOSThread() // the thread that gets the real-time priority runs the loop
	defer runtime.UnlockOSThread()
	keepTogether()
	if err := d.giveFiles(l.Config); err != nil {
		return err
	}
	w, err := d.openWorld(l.Config)
	if err != nil {
		return err
	}
	w.kernel = d.openKernel(l.Config)
	state, err := w.clock.Init()
	if err != nil {
		return err
	}
	d.distrust(state.Frequency, &cfg)
	if d.opts.SetClock && d.control {
		d.setFromFile(l.Config, w)
	}
	notifier, err := process.NewNotifier()
	if err != nil {
		return err
	}
	defer notifier.Close()
	e := engine.New(cfg)
	lp := newLoop(d, w, e, notifier)
	defer w.close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desk := d.openDesk(lp)
	defer desk.s.Close()
	lp.ctx, lp.pages = ctx, d.openPages(lp)
	defer func() { lp.pages.close() }()
	go lp.listenSignals(ctx, d.signals)
	w.enact(cfg.Policy)
	if cfg.Policy.Access.Any() {
		w.bind() // low ports and large buffers need rights
	}
	stopControl, early := d.openControl(ctx, lp)
	if l.Config.Process.User != "" {
		w.kernel.Wait()
	}
	if err := d.dropRights(l.Config, early == nil); err != nil {
		stopControl()
		return err
	}
	if early != nil { // the directory may be the user's
		if stopControl, err = d.openControl(ctx, lp); err != nil {
			d.log.Warn("Disabled control socket: " + err.Error())
		}
	}
	defer stopControl()
	desk.openUnix(l.Config)
	d.checkDrift(l.Config)
	now := w.Now()
	d.restore(l.Config, e, w)
	e.Start(now, state.Frequency, &lp.acts)
	lp.perform()
	if w.deaf() {
		return errDeaf
	}
	lp.warmth = now.Mono
	if d.opts.Timeout > 0 {
		lp.end = now.Mono.Add(clock.Seconds(d.opts.Timeout))
	}
	desk.s.Run(ctx)
	lp.pages.run(ctx)
	go w.kernel.Run(ctx)
	if err := d.ready(notifier); err != nil {
		return err
	}
	if err := lp.run(); err != nil {
		return err
	}
	return d.leave(lp, l.Config)
}

// leave ends the run in good order.
func (d *daemon) leave(lp *loop, c *config.Config) error {
	lp.notifier.Stopping()
	lp.e.Stop(lp.w.Now(), &lp.acts)
	lp.perform()
	// Only now the clock has a rate that may stay: on every other way out the
	// guard is to see to it.
	lp.w.closeGuard(d.log)
	d.removeDumps(lp.w.cfg)
	d.dump(lp.w.cfg, lp.e)
	synced := lp.e.Tracking(lp.w.Now()).Synchronized
	switch {
	case lp.w.exit == engine.ExitMaxChange, lp.w.exit == engine.ExitNoSource:
		if lp.w.exit == engine.ExitNoSource {
			d.log.Warn("No suitable source for synchronisation")
		}
		return &endError{exitFatal}
	case !lp.end.IsZero() && !synced:
		return &endError{exitFatal}
	}
	return nil
}

// ready tells parent, service manager and -N that the daemon runs.
func (d *daemon) ready(n *process.Notifier) error {
	if err := n.Ready(); err != nil {
		return err
	}
	if d.opts.ReadyFD >= 0 {
		if err := process.ReadyFD(d.opts.ReadyFD); err != nil {
			return err
		}
	}
	if d.launch != nil {
		return d.launch.Ready()
	}
	return nil
}

// dropRights gives up what is no longer needed; bound tells that the control
// socket is there and is to be the user's.
func (d *daemon) dropRights(c *config.Config, bound bool) error {
	p, want := &c.Process, process.Caps(0)
	if p.LockAll {
		keep, err := process.LockMemory()
		if err != nil {
			d.log.Warn("Could not " + err.Error())
		}
		want |= keep
	}
	if p.SchedPriority > 0 {
		// chronyd takes 100, for which the kernel has no use.
		if err := process.SetRealtime(min(p.SchedPriority, 99)); err != nil {
			d.log.Warn("Could not set real-time priority: " + err.Error())
		}
	}
	if p.User == "" {
		return nil
	}
	id, err := process.LookupUser(p.User)
	if err != nil {
		return err
	}
	if bound && !d.opts.OneShot() {
		if err := os.Lchown(d.socketPath(), id.UID, id.GID); err != nil {
			d.log.Warn(err.Error())
		}
	}
	if d.control {
		want |= process.CapSysTime
	}
	if c.Server.Port > 0 && c.Server.Port < 1024 {
		want |= process.CapNetBindService
	}
	kept, err := process.Drop(id, want)
	if err != nil {
		return err
	}
	if missing := want &^ kept; missing != 0 {
		d.log.Warn(fmt.Sprintf("running as %s without %s", p.User, missing))
	}
	return nil
}
