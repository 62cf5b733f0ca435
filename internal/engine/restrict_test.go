// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/config"
	"foliot/internal/engine"
)

func entry(prefix string, f acl.Flags) config.Restriction {
	return config.Restriction{Restriction: acl.OfPrefix(netip.MustParsePrefix(prefix), f)}
}

// What restrict takes away from a server is its answers too.
func TestRestrictOwnServers(t *testing.T) {
	for _, tc := range []struct {
		list  []config.Restriction
		heard bool
	}{
		{nil, true},
		{[]config.Restriction{entry("10.0.0.1/32", acl.Ignore)}, false},
		{[]config.Restriction{entry("10.0.0.0/8", acl.NoServe)}, false},
		{[]config.Restriction{entry("10.0.0.0/8", acl.NoTrust)}, false},
		{[]config.Restriction{entry("10.0.0.0/8", acl.Version|acl.NoQuery|acl.KoD|acl.Limited)}, true},
		{[]config.Restriction{entry("0.0.0.0/0", acl.Ignore), entry("10.0.0.1/32", 0)}, true},
		{[]config.Restriction{entry("0.0.0.0/0", acl.Ignore), {Restriction: acl.Restriction{Flags: acl.NoQuery}}}, true}, // source
	} {
		w, _ := world(1)
		l := newLab(t, w, options{config: func(c *config.Config) {
			servers("10.0.0.1")(c)
			c.Server.Restrict = tc.list
		}})
		w.Run(300)
		if heard := l.count(engine.EvMeasurement) > 0; heard != tc.heard {
			t.Errorf("%+v: heard %v, want %v", tc.list, heard, tc.heard)
		}
	}
}

// The entry "source" comes and goes with the sources, for who asks as well.
func TestRestrictSources(t *testing.T) {
	w, _ := world(2)
	list := []config.Restriction{entry("0.0.0.0/0", acl.NoQuery), {Restriction: acl.Restriction{Flags: acl.Limited}}}
	restrict := func(c *config.Config) { c.Server.Restrict = list }
	l := newLab(t, w, options{})
	var now *acl.Restrictions
	l.policy = func(a *engine.Action) { now = a.Policy.Restrict }
	l.reload(all(servers("10.0.0.1"), restrict))
	w.Run(60)
	check := func(first, second acl.Flags) {
		t.Helper()
		for addr, want := range map[string]acl.Flags{"10.0.0.1:4000": first, "10.0.0.2:4000": second} {
			if got := now.Of(netip.MustParseAddrPort(addr)); got != want {
				t.Errorf("%s has %q, want %q", addr, got, want)
			}
		}
	}
	check(acl.Limited, acl.NoQuery)
	l.reload(all(servers("10.0.0.2"), restrict))
	w.Run(120)
	check(acl.NoQuery, acl.Limited)
	l.reload(func(c *config.Config) { c.Server.Restrict = []config.Restriction{entry("10.0.0.1/32", acl.NoServe)} })
	if e := l.node.Engine; e.Allowed(addrOf(1)) || !e.Allowed(addrOf(2)) {
		t.Error("accheck does not know what restrict says")
	}
}

// A local clock that counts as a reference, as ntpd's does, is one to programs that
// ask the kernel; chrony's directive local is none.
func TestLocalClockAndKernel(t *testing.T) {
	for _, counts := range []bool{true, false} {
		w, _ := world(0)
		l := newLab(t, w, options{config: func(c *config.Config) {
			c.Local = config.Local{Enabled: true, Stratum: 4, Distance: 1, NTPClock: counts, Unit: 2}
		}})
		w.Run(60)
		k := &l.node.Status
		if k.Synchronized != counts || counts && k.MaxError != 10e-3 {
			t.Errorf("counts %v: the kernel is told synchronised %v, error %v", counts, k.Synchronized, k.MaxError)
		}
		tr := l.node.Engine.Tracking(l.node.Now())
		if want := map[bool]uint32{true: 0x7f7f0102, false: 0x7f7f0101}[counts]; tr.RefID != want || tr.Stratum != 4 || !tr.Local {
			t.Errorf("counts %v: tracking %+v, want reference ID %08x", counts, tr, want)
		}
	}
}
