// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stampCmsg builds what the kernel sends with a stamp.
func stampCmsg(b []byte, swSec, swNsec, hwSec, hwNsec int64) []byte {
	b, data := appendCmsg(b, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, 48)
	for i, v := range []int64{swSec, swNsec, 0, 0, hwSec, hwNsec} {
		binary.NativeEndian.PutUint64(data[8*i:], uint64(v))
	}
	return b
}

func errorCmsg(b []byte, errno uint32, origin byte, info, id uint32) []byte {
	b, data := appendCmsg(b, unix.SOL_IP, unix.IP_RECVERR, 16)
	binary.NativeEndian.PutUint32(data, errno)
	data[4] = origin
	binary.NativeEndian.PutUint32(data[8:], info)
	binary.NativeEndian.PutUint32(data[12:], id)
	return b
}

func TestParseControl(t *testing.T) {
	room := func() []byte { return make([]byte, 0, 512) }
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	pktinfo4 := appendPktinfo(room(), false, v4, 3)
	copy(pktinfo4[cmsgHeader+8:], pktinfo4[cmsgHeader+4:cmsgHeader+8]) // header address
	tests := []struct {
		name string
		in   []byte
		want control
	}{
		{"nothing", nil, control{}},
		{"software", stampCmsg(room(), 1700000000, 5, 0, 0), control{software: 1700000000_000000005}},
		{"both", stampCmsg(room(), 1, 2, 3, 4), control{software: 1_000000002, hardware: 3_000000004}},
		{"zero is none", stampCmsg(room(), 0, 0, 0, 0), control{}},
		{"negative seconds", stampCmsg(room(), -1, 0, 0, 0), control{}},
		{"too many nanoseconds", stampCmsg(room(), 1, 1e9, 0, 0), control{}},
		{"seconds beyond 292 years", stampCmsg(room(), 1<<62, 0, 0, 0), control{}},
		{"IPv4 packet info", pktinfo4, control{local: v4, iface: 3}},
		{"IPv6 packet info", appendPktinfo(room(), true, v6, 9), control{local: v6, iface: 9}},
		{"transmit", errorCmsg(stampCmsg(room(), 1, 0, 0, 0), uint32(unix.ENOMSG), unix.SO_EE_ORIGIN_TIMESTAMPING, unix.SCM_TSTAMP_SND, 77),
			control{software: 1e9, tx: true, txKey: 77}},
		{"scheduler stamp", errorCmsg(room(), uint32(unix.ENOMSG), unix.SO_EE_ORIGIN_TIMESTAMPING, unix.SCM_TSTAMP_SCHED, 77), control{}},
		{"ICMP error", errorCmsg(room(), uint32(unix.ECONNREFUSED), unix.SO_EE_ORIGIN_ICMP, 0, 77), control{}},
		{"unknown before known", stampCmsg(appendUint32(room(), 4711, 1, 2), 1, 0, 0, 0), control{software: 1e9}},
		{"cut short", stampCmsg(room(), 1, 2, 3, 4)[:40], control{}},
		{"length too small", []byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 65, 0, 0, 0}, control{}},
		{"length too large", slices.Repeat([]byte{255}, 32), control{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := control{software: 99, tx: true, local: v4} // parse forgets it
			got.parse(tt.in)
			if got != tt.want {
				t.Errorf("parse(%x) = %+v, want %+v", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzControl(f *testing.F) {
	room := make([]byte, 0, 512)
	f.Add(stampCmsg(room, 1, 2, 3, 4))
	f.Add(errorCmsg(stampCmsg(room, 1, 2, 3, 4), uint32(unix.ENOMSG), 4, 0, 1))
	f.Add(appendPktinfo(room, true, loopback6, 1))
	f.Add(appendPktinfo(room, false, loopback4, 1))
	f.Add([]byte{16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 65, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again control
		c.parse(b)
		if c.software < 0 || c.hardware < 0 {
			t.Errorf("parse(%x): negative stamp %+v", b, c)
		}
		if c.txKey != 0 && !c.tx {
			t.Errorf("parse(%x): id without a stamp %+v", b, c)
		}
		if c.local.Zone() != "" || c.local.Is4In6() {
			t.Errorf("parse(%x): local address %v", b, c.local)
		}
		if again.parse(b); again != c {
			t.Errorf("parse(%x) = %+v, then %+v", b, c, again)
		}
	})
}

func TestCounter(t *testing.T) {
	var c counter
	if got := c.lookup(0); got != 0 {
		t.Errorf("lookup(0) in an empty counter = %d, want 0", got)
	}
	for id := range uint32(pendingStamps + 10) {
		c.sent(1000 + id)
	}
	tests := []struct{ key, want uint32 }{
		{0, 0}, {9, 0}, {10, 1010}, {pendingStamps, 1000 + pendingStamps},
		{pendingStamps + 9, 1000 + pendingStamps + 9}, {pendingStamps + 10, 0},
	}
	for _, tt := range tests {
		if got := c.lookup(tt.key); got != tt.want {
			t.Errorf("lookup(%d) = %d, want %d", tt.key, got, tt.want)
		}
	}
}

func TestFeatures(t *testing.T) {
	if n := len(Features{}.Missing()); n != 4 {
		t.Errorf("Missing() of nothing lists %d features, want 4", n)
	}
	err := error(Features{Stamps: true, RxFilter: true, Nanowait: true}.Missing()[0])
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "6.13") {
		t.Errorf("missing OwnIDs = %q, want an unsupported error naming 6.13", err)
	}
	// A feature that this kernel must have by its version is not skipped away.
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	for i, field := range strings.SplitN(unix.ByteSliceToString(uts.Release[:]), ".", 3) {
		n := 0
		for _, c := range field {
			if c < '0' || c > '9' {
				break
			}
			n = n*10 + int(c-'0')
		}
		switch i {
		case 0:
			major = n
		case 1:
			minor = n
		}
	}
	newer := func(a, b int) bool { return major > a || major == a && minor >= b }
	f := Probe()
	if newer(5, 1) && !f.Stamps || newer(6, 13) && !f.OwnIDs || newer(6, 12) && !f.RxFilter || newer(5, 11) && !f.Nanowait {
		t.Errorf("Probe() = %+v on Linux %d.%d", f, major, minor)
	}
}
