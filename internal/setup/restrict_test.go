// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/ntp"
)

func TestRestrictions(t *testing.T) {
	e := engineOf(t, "restrict 10.0.0.0/8 noserve\nrestrict host.example limited ntpport\nrestrict unknown.example ignore\nratelimit interval 2", &Files{
		Lookup: func(host string) (netip.Addr, bool) { return netip.MustParseAddr("192.0.2.1"), host == "host.example" },
	})
	for from, want := range map[string]acl.Flags{
		"10.1.2.3:5": acl.NoServe, "192.0.2.1:123": acl.Limited, "192.0.2.1:124": 0, "198.51.100.1:123": 0,
	} {
		if got := e.Policy.Restrict.Of(netip.MustParseAddrPort(from)); got != want {
			t.Errorf("%s has %q, want %q", from, got, want)
		}
	}
	if !e.Policy.Some || e.Policy.Limit == nil || e.Policy.Limit.Interval != 2 {
		t.Errorf("limit %+v, for some %v", e.Policy.Limit, e.Policy.Some)
	}
	// Without the flag the limit is for all, and without a limit the flag is enough.
	if p := engineOf(t, "restrict default kod\nratelimit", nil).Policy; p.Some || p.Limit == nil {
		t.Errorf("limit %+v, for some %v; want one for all", p.Limit, p.Some)
	}
	if p := engineOf(t, "restrict default limited", nil).Policy; !p.Some || p.Limit == nil || p.Limit.Interval != 3 {
		t.Errorf("limit %+v, for some %v; want the default for some", p.Limit, p.Some)
	}
	if p := engineOf(t, "allow", nil).Policy; p.Restrict != nil || p.Limit != nil {
		t.Errorf("policy %+v without a directive", p)
	}
}

func TestTrusted(t *testing.T) {
	ring := keys(t)
	if got := Trusted(ring, nil); len(got) != len(ring) {
		t.Errorf("%d keys of %d without trustedkey", len(got), len(ring))
	}
	if got := Trusted(ring, []uint32{2, 77}); len(got) != 1 || got[2].ID() != 2 {
		t.Errorf("trusted keys %v, want 2 alone", got)
	}
}

func TestLocalClock(t *testing.T) {
	if l := engineOf(t, "local stratum 4 unit 2", nil).Local; l.Clock != ntp.RefIDLocal+1 || l.Stratum != 4 {
		t.Errorf("local %+v, want 127.127.1.2", l)
	}
	if l := engineOf(t, "local stratum 4", nil).Local; l.Clock != 0 {
		t.Errorf("local %+v, want none of ntpd's", l)
	}
}
