// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"net/netip"
	"slices"

	"foliot/internal/config"
	"foliot/internal/fastpath"
	"foliot/internal/links"
)

// place is an interface and what became of it.
type place struct {
	index    int           // 0: nothing is attached
	tried    int           // the index when that was tried last
	mode     fastpath.Mode // attached
	asked    bool          // to serve there
	serves   bool
	trouble  string // why less is attached than was asked for
	reported string // the trouble that was told
}

// look makes what is attached agree with the interfaces there are, and the
// addresses to serve at with theirs.
func (k *Keeper) look(path *fastpath.Fastpath, w *wanted) error {
	list, err := links.Read()
	if err != nil {
		return err
	}
	named := make(map[string]*links.Link, len(list))
	for i := range list {
		named[list[i].Name] = &list[i]
	}
	k.forget(path, w, named)
	addrs := own(list, w)
	// Where requests are to be answered comes first: there may not be room for all.
	for _, watching := range [...]bool{false, true} {
		for i := range list {
			l := &list[i]
			p := k.places[l.Name]
			mode, ok := modeAt(l, w)
			// What is attached stays when the interface is down or loses its addresses
			// for a while: to attach again may disturb the driver, or not be allowed.
			if (ok || p != nil && p.index != 0) && (mode == fastpath.Watch) == watching {
				k.place(path, l, mode)
			}
		}
	}
	k.missing(w, named)
	k.idle(addrs)
	k.full()
	k.show()
	left, err := path.SetAddrs(addrs)
	if left > 0 {
		err = fmt.Errorf("%d addresses found no place: requests to them go to the threads", left)
	}
	return err
}

// forget drops interfaces that are gone, or are others under an old name.
func (k *Keeper) forget(path *fastpath.Fastpath, w *wanted, named map[string]*links.Link) {
	for name, p := range k.places {
		l := named[name]
		if l != nil && (p.index == 0 || p.index == l.Index) {
			continue
		}
		k.drop(path, name, p)
		if !asked(name, w) {
			delete(k.places, name)
		}
	}
}

// show lets others see what is attached.
func (k *Keeper) show() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serving, k.native, k.shown = false, false, make(map[string]place)
	for name, p := range k.places {
		k.shown[name] = *p
		k.serving = k.serving || p.serves
		k.native = k.native || p.index != 0 && p.mode == fastpath.Native
	}
}

// modeAt says how to attach to an interface, and whether: not to one that is down, or
// that has no address nor is asked for.
func modeAt(l *links.Link, w *wanted) (mode fastpath.Mode, ok bool) {
	up := l.Up && (len(l.MAC) == 6 || l.Loopback)
	if w.port == ntpPort && !w.restrict && (w.device == "" || w.device == l.Name) {
		for i := range w.kernel.Serve {
			x := &w.kernel.Serve[i]
			switch {
			case x.Interface == l.Name:
				return map[config.XDPMode]fastpath.Mode{
					config.XDPAny: fastpath.Auto, config.XDPNative: fastpath.Native, config.XDPGeneric: fastpath.Generic,
				}[x.Mode], up
			case x.Interface == config.XDPAuto && !l.Loopback && len(l.Addrs) > 0:
				return map[config.XDPMode]fastpath.Mode{
					config.XDPAny: fastpath.Native, config.XDPNative: fastpath.Native, config.XDPGeneric: fastpath.Generic,
				}[x.Mode], up
			}
		}
	}
	return fastpath.Watch, up && len(l.Addrs) > 0
}

// place attaches to an interface as mode says, unless that was done.
func (k *Keeper) place(path *fastpath.Fastpath, l *links.Link, mode fastpath.Mode) {
	p := k.places[l.Name]
	if p == nil {
		p = &place{}
		k.places[l.Name] = p
	}
	p.asked = mode != fastpath.Watch
	if !p.asked && p.index != 0 {
		p.trouble = ""
	}
	switch {
	case p.index == l.Index && suits(p, mode):
		if p.mode != fastpath.Watch && p.serves != p.asked {
			k.serveAt(path, l.Name, p)
		}
		return
	case p.index == l.Index && p.mode == fastpath.Watch:
		k.upgrade(path, l, p, mode)
	case p.index == 0 && !p.asked && (p.tried == l.Index || k.attached() == fastpath.Places):
		return // that it is not counted was told, or is told of all
	default:
		k.drop(path, l.Name, p)
		k.makeRoom(path, p)
		k.attach(path, l, p, mode)
	}
	k.report(l.Name, p)
}

// attached counts the interfaces that programs are attached to.
func (k *Keeper) attached() (n int) {
	for _, p := range k.places {
		if p.index != 0 {
			n++
		}
	}
	return n
}

// makeRoom gives up watching some interface if p needs its place to serve.
func (k *Keeper) makeRoom(path *fastpath.Fastpath, p *place) {
	if !p.asked || k.attached() < fastpath.Places {
		return
	}
	for name, q := range k.places {
		if q.index != 0 && q.mode == fastpath.Watch && !q.asked {
			k.drop(path, name, q)
			return
		}
	}
}

// full tells once that there are more interfaces than can be counted at.
func (k *Keeper) full() {
	if n := len(k.places) - k.attached(); k.attached() == fastpath.Places && n > 0 && !k.toldFull {
		k.toldFull = true
		k.log.Info(fmt.Sprintf("What passes %d interfaces is not counted: programs can be attached to %d", n, fastpath.Places))
	}
}

// idle finds interfaces whose requests are never for an address that is there: a port
// of a bridge or a bond receives for the one above it.
func (k *Keeper) idle(addrs []fastpath.Own) {
	const text = "none of the addresses that are served is there, so all requests go to the threads (a port of a bridge or bond?)"
	for name, p := range k.places {
		busy := slices.ContainsFunc(addrs, func(o fastpath.Own) bool { return o.Interface == 0 || o.Interface == p.index })
		switch {
		case p.index == 0 || !p.serves:
		case !busy:
			p.trouble = text
			k.report(name, p)
		case p.trouble == text:
			p.trouble = ""
			k.report(name, p)
		}
	}
}

// suits tells whether what is attached does what mode asks for.
func suits(p *place, mode fastpath.Mode) bool {
	switch mode {
	case fastpath.Watch:
		return true // a program that answers can watch too
	case fastpath.Auto:
		return p.mode != fastpath.Watch
	}
	return p.mode == mode
}

// attach attaches to an interface, if only to watch it.
func (k *Keeper) attach(path *fastpath.Fastpath, l *links.Link, p *place, mode fastpath.Mode) {
	got, err := path.Attach(l.Name, mode)
	p.trouble, p.tried = "", l.Index
	if err != nil {
		p.trouble = err.Error()
		if mode == fastpath.Watch {
			return
		}
		if got, err = path.Attach(l.Name, fastpath.Watch); err != nil {
			return
		}
	}
	p.index, p.mode, p.serves = l.Index, got, got != fastpath.Watch
}

// upgrade has requests answered at an interface that is only watched so far.
func (k *Keeper) upgrade(path *fastpath.Fastpath, l *links.Link, p *place, mode fastpath.Mode) {
	got, err := path.Upgrade(l.Name, mode)
	p.trouble = ""
	if err != nil {
		p.trouble = err.Error()
	}
	p.mode, p.serves = got, got != fastpath.Watch
}

// drop detaches from an interface, and remembers what was counted there.
func (k *Keeper) drop(path *fastpath.Fastpath, name string, p *place) {
	if p.index == 0 {
		return
	}
	if list, err := path.Counters(); err == nil {
		for i := range list {
			if list[i].Name == name {
				k.mu.Lock()
				served(&k.past, &list[i])
				k.mu.Unlock()
			}
		}
	}
	if err := path.Detach(name); err != nil {
		k.log.Debug("eBPF: " + err.Error())
	}
	p.index, p.serves = 0, false
}

func (k *Keeper) serveAt(path *fastpath.Fastpath, name string, p *place) {
	if err := path.Serve(name, p.asked); err != nil {
		k.log.Warn("eBPF: " + err.Error())
		return
	}
	p.serves = p.asked
	k.report(name, p)
}

// report tells what became of an interface, once.
func (k *Keeper) report(name string, p *place) {
	now := p.trouble
	if now == "" && p.serves {
		now = fmt.Sprintf("Requests at %s are answered in the kernel (XDP, %s mode)", name, p.mode)
	}
	if now == p.reported {
		return
	}
	was := p.reported
	p.reported = now
	switch {
	case p.trouble != "" && p.asked:
		k.log.Warn("Requests at " + name + " are answered by threads: " + p.trouble)
	case p.trouble != "":
		k.log.Info("What passes " + name + " is not counted: " + p.trouble)
	case p.serves:
		k.log.Info(now)
	case was != "":
		k.log.Info("Requests at " + name + " are answered by threads from now on")
	}
}

// missing tells of interfaces that are asked for and cannot be had, once.
func (k *Keeper) missing(w *wanted, named map[string]*links.Link) {
	for i := range w.kernel.Serve {
		name := w.kernel.Serve[i].Interface
		trouble := obstacle(name, w, named)
		if name == config.XDPAuto || trouble == "" {
			continue
		}
		p := k.places[name]
		if p == nil {
			p = &place{}
			k.places[name] = p
		}
		p.asked, p.trouble = true, trouble
		k.report(name, p)
	}
}

// asked tells whether xdp serve names an interface.
func asked(name string, w *wanted) bool {
	return slices.ContainsFunc(w.kernel.Serve, func(x config.XDPServe) bool { return x.Interface == name })
}

// obstacle says why requests at an interface cannot be answered in the kernel, "" if
// that is to be tried.
func obstacle(name string, w *wanted, named map[string]*links.Link) string {
	switch {
	case w.port == 0:
		return "the server port is closed (port 0)"
	case w.port != ntpPort:
		return fmt.Sprintf("the programs know port %d only", ntpPort)
	case w.restrict:
		return "restrict says more than the programs know"
	case w.device != "" && w.device != name:
		return "binddevice names another interface"
	case named[name] == nil || !named[name].Up || len(named[name].MAC) != 6 && !named[name].Loopback:
		return "there is no such interface, or it is down or no Ethernet"
	}
	return ""
}

// own lists the addresses that requests are answered at: those of the interfaces,
// as far as there are sockets for them. Those of the loopback interface that are
// not loopback's are anybody's.
func own(list []links.Link, w *wanted) (addrs []fastpath.Own) {
	if w.port != ntpPort || w.restrict {
		return nil
	}
	for i := range list {
		for _, a := range list[i].Addrs {
			if !bound(w.addrs, a) {
				continue
			}
			o := fastpath.Own{Addr: a, Interface: list[i].Index}
			if list[i].Loopback && !a.IsLoopback() {
				o.Interface = 0
			}
			addrs = append(addrs, o)
		}
	}
	return addrs
}

// bound tells whether one of the sockets' addresses is a, or all of its family.
func bound(sockets []netip.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(sockets, func(s netip.Addr) bool {
		return s.WithZone("") == a || s.IsUnspecified() && s.Is4() == a.Is4()
	})
}
