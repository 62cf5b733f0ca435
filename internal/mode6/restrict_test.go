// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"net/netip"
	"testing"

	"foliot/internal/acl"
)

func policyOf(f acl.Flags) Policy {
	return Policy{
		Access:   acl.New([]acl.Rule{{Allow: true, Everything: true}}),
		Restrict: acl.NewRestrictions([]acl.Restriction{acl.OfPrefix(netip.MustParsePrefix("192.0.2.1/32"), f)}),
	}
}

func TestRestrict(t *testing.T) {
	q := encode(2, opReadVariables, 0, "")
	for flags, want := range map[acl.Flags]bool{
		0: true, acl.NoQuery: false, acl.Ignore: false, acl.NoServe: true, acl.NoModify | acl.NoTrap | acl.NoPeer: true,
	} {
		p := policyOf(flags)
		if got := p.Worth(q, netip.MustParseAddrPort("192.0.2.1:4000")); got != want {
			t.Errorf("%q: answered %v, want %v", flags, got, want)
		}
		if !p.Worth(q, netip.MustParseAddrPort("192.0.2.2:4000")) {
			t.Errorf("%q of one address keeps another out", flags)
		}
	}
}

// nomrulist keeps the list of clients from who may ask for the rest.
func TestRestrictClients(t *testing.T) {
	l := newLab(t)
	l.r.SetPolicy(Policy{
		Access:   acl.New([]acl.Rule{{Allow: true, Everything: true}}),
		Restrict: acl.NewRestrictions([]acl.Restriction{acl.OfPrefix(netip.MustParsePrefix("0.0.0.0/0"), acl.NoMRU), acl.OfPrefix(netip.MustParsePrefix("::/0"), acl.NoMRU)}),
	})
	if m := l.ask(opReadMRU, 0, "nonce=x"); m.code != noPermission {
		t.Errorf("the list of clients: %v, want an error", m)
	}
	if m := l.ask(opReadVariables, 0, ""); m.code != noError {
		t.Errorf("variables: %v", m)
	}
}

// The local clock of an ntp.conf is an association as ntpq knows it.
func TestLocalClock(t *testing.T) {
	l := newLab(t)
	c := &l.state.Config
	c.NTPClock, c.Unit, c.Stratum = true, 0, 4
	l.state.Tracking.Local, l.state.Tracking.Synchronized = true, false
	l.state.Sources, l.state.Unsolved = nil, nil
	v := l.ask(opReadVariables, 0x7f01, "").variables()
	for name, want := range map[string]string{
		"srcadr": "127.127.1.0", "srchost": "LOCAL(0)", "refid": "LOCL", "stratum": "3", "reach": "0xff", "hmode": "3",
	} {
		if v[name] != want {
			t.Errorf("%s = %s, want %s", name, v[name], want)
		}
	}
	if m := l.ask(opReadStatus, 0x7f01, ""); m.status>>8&7 != uint16(systemPeer) {
		t.Errorf("status %04x, want a system peer", m.status)
	}
	l.state.Tracking.Local = false
	if m := l.ask(opReadStatus, 0x7f01, ""); m.status>>8&7 != uint16(outlier) {
		t.Errorf("status %04x beside a better source, want an outlier", m.status)
	}
}
