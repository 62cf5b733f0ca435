// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"net/netip"
	"os"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/cmdmon"
	"foliot/internal/command"
	"foliot/internal/config"
	"foliot/internal/process"
	"foliot/internal/setup"
	"foliot/internal/state"
)

// commandMemory is what the records of those who ask by chronyc's protocol may
// take, octets; with a limit for all clients a sixteenth of that.
const commandMemory = 64 << 10

// desk is the daemon as chronyc sees it. Any goroutine may call its methods.
type desk struct {
	l *loop
	v *viewer
	s *command.Server
}

var _ command.Daemon = (*desk)(nil)

// newDesk returns the daemon's side of chronyc's protocol, without sockets yet.
func newDesk(l *loop, v *viewer) *desk {
	k := &desk{l: l, v: v}
	var seed [32]byte
	rand.Read(seed[:]) // never fails: crypto/rand ends the process instead
	memory := int64(commandMemory)
	switch c := &l.w.cfg.Server; {
	case c.NoClientLog:
		memory = 0
	case c.ClientLogLimit >= 0:
		memory = c.ClientLogLimit / 16
	}
	k.s = command.New(k, commandPolicy(l.d.inForce), memory, seed)
	// Who may ask by chronyc may ask by ntpq.
	k.s.OnAccess(func(who *acl.Table) {
		l.inbox.put(news{run: func() { l.w.monitor(who) }, done: make(chan error, 1)})
	})
	v.command = k.s
	return k
}

// commandPolicy is what the configuration says about commands over the network.
func commandPolicy(l *Loaded) command.Policy {
	c := &l.Config.Command
	p := command.Policy{Access: monitors(l), Open: make(map[cmdmon.Command]bool)}
	if r := c.RateLimit; r.Enabled {
		p.Limit = clientlog.NewLimit(r.Interval, r.Burst, r.Leak, 0)
	}
	for _, word := range c.Open {
		for _, opened := range cmdmon.Opened(word) {
			p.Open[opened] = true
		}
	}
	return p
}

// monitors are those who may ask over the network how the daemon is (cmdallow).
func monitors(l *Loaded) *acl.Table { return setup.Access(l.Config.Command.Access, l.Files.Lookup) }

// openNetwork opens the UDP sockets, for which a low port needs rights.
func (k *desk) openNetwork(c *config.Config, family config.Family) {
	if c.Command.Port == 0 {
		return
	}
	for _, a := range []netip.Addr{c.Command.BindAddr4, c.Command.BindAddr6} {
		if !a.IsValid() || family == config.FamilyIPv4 && a.Is6() || family == config.FamilyIPv6 && a.Is4() {
			continue
		}
		if err := k.s.OpenUDP(netip.AddrPortFrom(a, c.Command.Port), c.Command.BindDevice); err != nil {
			k.l.d.log.Warn("Could not " + err.Error())
		}
	}
}

// prepareDirs makes the directories of the unix sockets, as long as that is allowed.
// Other files of the daemon may be there too, but these say who may enter.
func (d *daemon) prepareDirs(c *config.Config) error {
	o, err := owner(c)
	if err != nil {
		return err
	}
	for _, path := range c.Command.Sockets {
		if err := command.PrepareDir(path, o); err != nil {
			d.log.Warn(err.Error())
		}
	}
	return nil
}

// openUnix opens the unix sockets, after the rights were dropped. Of the places by
// default another daemon may have one.
func (k *desk) openUnix(c *config.Config) {
	o, err := owner(c)
	if err != nil {
		k.l.d.log.Warn(err.Error())
		return
	}
	for _, path := range c.Command.Sockets {
		if err := k.s.OpenUnix(path, o); err != nil {
			k.l.d.log.Warn("Disabled command socket " + path + ": " + err.Error())
		}
	}
}

// owner is who the daemon runs as, once its rights are dropped.
func owner(c *config.Config) (command.Owner, error) {
	if c.Process.User == "" {
		return command.Owner{UID: os.Geteuid(), GID: os.Getegid()}, nil
	}
	id, err := process.LookupUser(c.Process.User)
	return command.Owner{UID: id.UID, GID: id.GID}, err
}

// openDesk opens what chronyc needs and what takes rights.
func (d *daemon) openDesk(lp *loop) *desk {
	lp.view = &viewer{l: lp, roll: roll{keeper: lp.w.kernel}}
	lp.w.view, lp.w.monitors = lp.view, monitors(d.inForce)
	k := newDesk(lp, lp.view)
	lp.desk = k
	k.openNetwork(lp.w.cfg, d.opts.Family)
	return k
}

// State implements command.Daemon.
func (k *desk) State(ctx context.Context, age time.Duration, threads bool) (*state.State, error) {
	return k.v.look(ctx, age, threads)
}

// Clients implements command.Daemon.
func (k *desk) Clients(slot int, f func(r *clientlog.Record) bool) (next, slots int) {
	if k.v.roll.keeper.Serving() {
		return k.v.roll.walk(slot, f)
	}
	pool := k.v.Pool()
	if pool == nil {
		return slot, 0
	}
	return pool.Walk(slot, f), pool.Slots()
}

// Client implements command.Daemon.
func (k *desk) Client(p clientlog.Prefix) (clientlog.Record, bool) {
	if k.v.roll.keeper.Serving() {
		return k.v.roll.client(p)
	}
	if pool := k.v.Pool(); pool != nil {
		return pool.Client(p)
	}
	return clientlog.Record{}, false
}

// Order implements command.Daemon.
func (k *desk) Order(ctx context.Context, c cmdmon.Command, m cmdmon.Request) (reply cmdmon.Reply, status cmdmon.Status) {
	err := k.l.do(ctx, func() { reply, status = k.l.order(c, m) })
	k.v.Forget()
	if err != nil {
		return nil, cmdmon.Failed
	}
	return reply, status
}

// order carries a command out, on the loop.
func (l *loop) order(c cmdmon.Command, m cmdmon.Request) (cmdmon.Reply, cmdmon.Status) {
	if act, ok := daemonOrders[c]; ok {
		return nil, act(l, m)
	}
	f := fact{l.e, l.w.Now(), &l.acts}
	reply, status, ok := f.order(c, m)
	l.perform()
	switch {
	case !ok:
		return nil, cmdmon.Invalid
	case c == cmdmon.MakeStep && l.e.StepRefused():
		return nil, cmdmon.Failed
	}
	return reply, status
}

// daemonOrders are about the daemon and its files.
var daemonOrders = map[cmdmon.Command]func(l *loop, m cmdmon.Request) cmdmon.Status{
	cmdmon.Rekey:         (*loop).rekey,
	cmdmon.ReloadSources: (*loop).reloadSources,
	cmdmon.AddSource: func(l *loop, m cmdmon.Request) cmdmon.Status {
		return l.addSource(m.(*cmdmon.AddSourceRequest))
	},
	cmdmon.Dump: func(l *loop, _ cmdmon.Request) cmdmon.Status {
		l.d.dump(l.w.cfg, l.e)
		return cmdmon.Success
	},
	cmdmon.CycleLogs: func(l *loop, _ cmdmon.Request) cmdmon.Status {
		l.d.applyLogs(l.w.cfg, l.w)
		return cmdmon.Success
	},
	cmdmon.Shutdown: func(l *loop, _ cmdmon.Request) cmdmon.Status {
		l.d.log.Info("Received shutdown command")
		l.stopping = true
		return cmdmon.Success
	},
}
