// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"net/netip"
	"slices"
	"strings"

	"foliot/internal/acl"
	"foliot/internal/config"
)

func (w *writer) server() {
	c, d := &w.c.Server, &w.d.Server
	changed(w, "port", c.Port, d.Port)
	for _, a := range c.BindAddresses {
		w.line("bindaddress", a.String())
	}
	changed(w, "binddevice", c.BindDevice, d.BindDevice)
	w.access("", c.Access)
	changed(w, "workers", c.Workers, d.Workers)
	w.kernel(&c.Kernel)
	changed(w, "clientloglimit", c.ClientLogLimit, d.ClientLogLimit)
	w.flag("noclientlog", c.NoClientLog)
	w.rateLimit("ratelimit", &c.RateLimit, &d.RateLimit)
	for _, b := range c.Broadcasts {
		port := ""
		if b.Dest.Port() != 123 {
			port = show(b.Dest.Port())
		}
		w.line("broadcast", show(b.Interval), b.Dest.Addr().String(), port)
	}
}

// kernel writes what is wanted of the programs in the kernel.
func (w *writer) kernel(k *config.Kernel) {
	switch k.Load {
	case config.LoadOn:
		w.line("ebpf", "on")
	case config.LoadOff:
		w.line("ebpf", "off")
	}
	for _, x := range k.Serve {
		mode := map[config.XDPMode][]string{config.XDPNative: {"mode", "native"}, config.XDPGeneric: {"mode", "generic"}}[x.Mode]
		w.line(append([]string{"xdp", "serve", x.Interface}, mode...)...)
	}
	if k.OneStep {
		w.line("onestep", "on")
	}
}

// access writes an access list: allow and deny, or with a prefix their twins.
func (w *writer) access(prefix string, rules []config.AccessRule) {
	for _, r := range rules {
		name, all, whom := "deny", "", r.Host
		if r.Allow {
			name = "allow"
		}
		if r.All {
			all = "all"
		}
		if r.Prefix.IsValid() && r.Host == "" {
			whom = r.Prefix.String()
		}
		w.line(prefix+name, all, whom)
	}
}

func (w *writer) rateLimit(name string, r, d *config.RateLimit) {
	var o words
	option(&o, "interval", r.Interval, d.Interval)
	option(&o, "burst", r.Burst, d.Burst)
	option(&o, "leak", r.Leak, d.Leak)
	option(&o, "kod", r.KoD, d.KoD)
	if r.Enabled {
		w.line(append([]string{name}, o...)...)
	}
}

// restrictions writes the entries of restrict. That for everybody is written once
// for each family, as auditors look for it.
func (w *writer) restrictions() {
	for i := range w.c.Server.Restrict {
		r := &w.c.Server.Restrict[i]
		port := ""
		if r.NTPPort {
			port = "ntpport"
		}
		w.line(slices.Concat([]string{"restrict"}, whom(r), []string{port}, strings.Fields(r.Flags.String()))...)
	}
}

func whom(r *config.Restriction) []string {
	if r.Host != "" {
		return []string{r.Host}
	}
	if !r.Net.IsValid() {
		return []string{"source"}
	}
	bits, whole := acl.PrefixBits(r.Mask)
	switch {
	case !whole:
		return []string{r.Net.String(), "mask", r.Mask.String()}
	case bits == 0 && r.Net.Is4():
		return []string{"-4", "default"}
	case bits == 0:
		return []string{"-6", "default"}
	case bits == r.Net.BitLen():
		return []string{r.Net.String()}
	}
	return []string{netip.PrefixFrom(r.Net, bits).String()}
}

func (w *writer) client() {
	c, d := &w.c.Client, &w.d.Client
	changed(w, "acquisitionport", c.AcquisitionPort, d.AcquisitionPort)
	for _, a := range []netip.Addr{c.BindAddr4, c.BindAddr6} {
		if a.IsValid() {
			w.line("bindacqaddress", a.String())
		}
	}
	changed(w, "bindacqdevice", c.BindDevice, d.BindDevice)
	changed(w, "dscp", c.DSCP, d.DSCP)
	changed(w, "minsamples", c.MinSamples, d.MinSamples)
	changed(w, "maxsamples", c.MaxSamples, d.MaxSamples)
	changed(w, "refresh", c.Refresh, d.Refresh)
	changed(w, "hwtstimeout", c.HWTimeout, d.HWTimeout)
	changed(w, "maxtxbuffers", c.MaxTxBuffers, d.MaxTxBuffers)
	for i := range c.HWTimestamps {
		h := &c.HWTimestamps[i]
		w.line(append([]string{"hwtimestamp", h.Interface}, stampOptions(h)...)...)
	}
}

func stampOptions(h *config.HWTimestamp) words {
	var o words
	d := config.DefaultHWTimestamp(h.Interface)
	option(&o, "minpoll", h.MinPoll, d.MinPoll)
	if h.MaxPoll != min(h.MinPoll+1, 20) {
		o = append(o, "maxpoll", show(h.MaxPoll))
	}
	option(&o, "minsamples", h.MinSamples, d.MinSamples)
	option(&o, "maxsamples", h.MaxSamples, d.MaxSamples)
	option(&o, "precision", h.Precision, d.Precision)
	option(&o, "txcomp", h.TxComp, d.TxComp)
	option(&o, "rxcomp", h.RxComp, d.RxComp)
	o.flag("nocrossts", h.NoCrossTS)
	filters := map[config.RxFilter]string{
		config.RxAll: "all", config.RxNTP: "ntp", config.RxPTP: "ptp", config.RxNone: "none",
	}
	option(&o, "rxfilter", filters[h.RxFilter], "")
	return o
}

func (w *writer) command() {
	c, d := &w.c.Command, &w.d.Command
	if !slices.Equal(c.Sockets, d.Sockets) {
		for _, path := range c.Sockets {
			w.line("bindcmdaddress", path)
		}
		if len(c.Sockets) == 0 {
			w.line("bindcmdaddress", "/")
		}
	}
	changed(w, "bindcmdaddress", c.BindAddr4, d.BindAddr4)
	changed(w, "bindcmdaddress", c.BindAddr6, d.BindAddr6)
	changed(w, "bindcmddevice", c.BindDevice, d.BindDevice)
	changed(w, "cmdport", c.Port, d.Port)
	w.access("cmd", c.Access)
	w.rateLimit("cmdratelimit", &c.RateLimit, &d.RateLimit)
	if !slices.Equal(c.Open, d.Open) {
		w.line(append([]string{"opencommands"}, c.Open...)...)
	}
	if m := w.c.Metrics; m != w.d.Metrics {
		listen := "off"
		if m.Listen.IsValid() {
			listen = m.Listen.String()
		}
		w.line("metrics", "listen", listen)
		if m.CompatChrony {
			w.line("metrics", "compat", "chrony")
		}
	}
}
