// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clientlog"
	"foliot/internal/ntp"
)

// restricted lets everybody ask but for what f takes away from 192.0.2.1.
func restricted(f acl.Flags) *Policy {
	return &Policy{
		Access:   acl.New([]acl.Rule{{Allow: true, Everything: true}}),
		Restrict: acl.NewRestrictions([]acl.Restriction{acl.OfPrefix(netip.MustParsePrefix("192.0.2.1/32"), f)}),
		Keys:     auth.Ring{7: key}, Limit: clientlog.NewLimit(4, 1, 4, 1), Some: true,
	}
}

// always is a random number of which every bit is set: no flake, no leak.
func always() uint64 { return math.MaxUint64 }

func TestRestrict(t *testing.T) {
	plain, old, signed := packet(4, ntp.ModeClient, 48), packet(3, ntp.ModeClient, 48), withMAC(packet(4, ntp.ModeClient, 48))
	for _, tt := range []struct {
		flags acl.Flags
		b     []byte
		want  Verdict
	}{
		{0, plain, Answer}, {acl.Ignore, plain, Denied}, {acl.NoServe, plain, Denied}, {acl.NoQuery, plain, Answer},
		{acl.Version, plain, Answer}, {acl.Version, old, Denied}, {0, old, Answer},
		{acl.NoTrust, plain, Denied}, {acl.NoTrust, signed, Answer}, {acl.NoTrust, badMAC(), BadAuth},
		{acl.Flake, plain, Answer}, {acl.KoD | acl.NoModify | acl.NoTrap | acl.NoPeer | acl.MSSNTP | acl.NoMRU, plain, Answer},
	} {
		s := NewServer(Config{Log: 1 << 14, Random: always})
		if _, v := ask(s, tt.b, "192.0.2.1:4000", wall(0), restricted(tt.flags)); v != tt.want {
			t.Errorf("%q: %v, want %v", tt.flags, v, tt.want)
		}
		if _, v := ask(s, tt.b, "192.0.2.2:4000", wall(0), restricted(tt.flags)); v == Denied {
			t.Errorf("%q of one address keeps another out", tt.flags)
		}
	}
	lost := NewServer(Config{Log: 1 << 14, Random: func() uint64 { return 20 }})
	if _, v := ask(lost, plain, "192.0.2.1:4000", wall(0), restricted(acl.Flake)); v != Denied {
		t.Errorf("flake with a random number that loses: %v, want %v", v, Denied)
	}
}

// The limit is for those whose entry has the flag limited, kisses for those with kod.
func TestRestrictLimited(t *testing.T) {
	for flags, want := range map[acl.Flags]Verdict{0: Answer, acl.KoD: Answer, acl.Limited: Limited, acl.Limited | acl.KoD: Kissed} {
		s := NewServer(Config{Log: 1 << 14, Random: func() uint64 { return math.MaxUint32 }}) // no leak, a kiss
		b := packet(4, ntp.ModeClient, 48)
		ask(s, b, "192.0.2.1:4000", wall(0), restricted(flags))
		if _, v := ask(s, b, "192.0.2.1:4000", wall(0), restricted(flags)); v != want {
			t.Errorf("%q: second request at once: %v, want %v", flags, v, want)
		}
	}
}
