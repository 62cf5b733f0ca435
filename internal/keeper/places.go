// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"foliot/internal/config"
	"foliot/internal/fastpath"
)

// place is an interface and what became of it.
type place struct {
	index    int           // 0: nothing is attached
	mode     fastpath.Mode // attached
	asked    bool          // to serve there
	serves   bool
	trouble  string // why less is attached than was asked for
	reported string // the trouble that was told
}

// look makes what is attached agree with the interfaces there are, and the
// addresses to serve at with theirs.
func (k *Keeper) look(path *fastpath.Fastpath, w *wanted) error {
	ifaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for i := range ifaces {
		f := &ifaces[i]
		if mode, ok := modeAt(f, w); ok {
			seen[f.Name] = true
			k.place(path, f, mode)
		}
	}
	for name, p := range k.places {
		if !seen[name] {
			k.drop(path, name, p)
			if obstacle(name, w, seen) == "" || !asked(name, w) {
				delete(k.places, name)
			}
		}
	}
	k.missing(w, seen)
	k.show()
	_, err = path.SetAddrs(own(ifaces, w))
	return err
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

// modeAt says how to attach to an interface, false for not at all: one that is
// down, or that has no address nor is asked for.
func modeAt(f *net.Interface, w *wanted) (fastpath.Mode, bool) {
	loopback := f.Flags&net.FlagLoopback != 0
	if f.Flags&net.FlagUp == 0 || len(f.HardwareAddr) != 6 && !loopback {
		return 0, false
	}
	if w.port == ntpPort && (w.device == "" || w.device == f.Name) {
		for i := range w.kernel.Serve {
			x := &w.kernel.Serve[i]
			switch {
			case x.Interface == f.Name:
				return map[config.XDPMode]fastpath.Mode{
					config.XDPAny: fastpath.Auto, config.XDPNative: fastpath.Native, config.XDPGeneric: fastpath.Generic,
				}[x.Mode], true
			case x.Interface == config.XDPAuto && !loopback && hasAddress(f):
				return map[config.XDPMode]fastpath.Mode{
					config.XDPAny: fastpath.Native, config.XDPNative: fastpath.Native, config.XDPGeneric: fastpath.Generic,
				}[x.Mode], true
			}
		}
	}
	return fastpath.Watch, hasAddress(f)
}

func hasAddress(f *net.Interface) bool {
	addrs, err := f.Addrs()
	return err == nil && len(addrs) > 0
}

// place attaches to an interface as mode says, unless that was done.
func (k *Keeper) place(path *fastpath.Fastpath, f *net.Interface, mode fastpath.Mode) {
	p := k.places[f.Name]
	if p == nil {
		p = &place{}
		k.places[f.Name] = p
	}
	p.asked = mode != fastpath.Watch
	if !p.asked && p.index != 0 {
		p.trouble = ""
	}
	switch {
	case p.index == f.Index && suits(p, mode):
		if p.mode != fastpath.Watch && p.serves != p.asked {
			k.serveAt(path, f.Name, p)
		}
		return
	case p.index == f.Index && p.mode == fastpath.Watch:
		k.upgrade(path, f, p, mode)
	default:
		k.drop(path, f.Name, p)
		k.attach(path, f, p, mode)
	}
	k.report(f.Name, p)
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
func (k *Keeper) attach(path *fastpath.Fastpath, f *net.Interface, p *place, mode fastpath.Mode) {
	got, err := path.Attach(f.Name, mode)
	p.trouble = ""
	if err != nil {
		p.trouble = err.Error()
		if mode == fastpath.Watch {
			return
		}
		if got, err = path.Attach(f.Name, fastpath.Watch); err != nil {
			return
		}
	}
	p.index, p.mode, p.serves = f.Index, got, got != fastpath.Watch
}

// upgrade has requests answered at an interface that is only watched so far.
func (k *Keeper) upgrade(path *fastpath.Fastpath, f *net.Interface, p *place, mode fastpath.Mode) {
	got, err := path.Upgrade(f.Name, mode)
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
func (k *Keeper) missing(w *wanted, seen map[string]bool) {
	for i := range w.kernel.Serve {
		name := w.kernel.Serve[i].Interface
		trouble := obstacle(name, w, seen)
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
func obstacle(name string, w *wanted, seen map[string]bool) string {
	switch {
	case w.port == 0:
		return "the server port is closed (port 0)"
	case w.port != ntpPort:
		return fmt.Sprintf("the programs know port %d only", ntpPort)
	case w.device != "" && w.device != name:
		return "binddevice names another interface"
	case !seen[name]:
		return "there is no such interface, or it is down or no Ethernet"
	}
	return ""
}

// own lists the addresses that requests are answered at: those of the interfaces,
// as far as there are sockets for them. Those of the loopback interface that are
// not loopback's are anybody's.
func own(ifaces []net.Interface, w *wanted) (list []fastpath.Own) {
	if w.port != ntpPort {
		return nil
	}
	for i := range ifaces {
		addrs, err := ifaces[i].Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || !bound(w.addrs, p.Addr().Unmap()) {
				continue
			}
			o := fastpath.Own{Addr: p.Addr().Unmap(), Interface: ifaces[i].Index}
			if ifaces[i].Flags&net.FlagLoopback != 0 && !o.Addr.IsLoopback() {
				o.Interface = 0
			}
			list = append(list, o)
		}
	}
	return list
}

// bound tells whether one of the sockets' addresses is a, or all of its family.
func bound(sockets []netip.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(sockets, func(s netip.Addr) bool {
		return s.WithZone("") == a || s.IsUnspecified() && s.Is4() == a.Is4()
	})
}
