// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"foliot/internal/traffic"
	"golang.org/x/sys/unix"
)

// filters lists the filters of ours at the server's end.
func (l *lab) filters() (list []filter) {
	l.Helper()
	l.must(l.server.Inside(func() error {
		kernel, err := converse()
		if err != nil {
			return err
		}
		for i := range 100 { // there are few interfaces
			for _, parent := range [...]uint32{clsactIngress, clsactEgress} {
				list = append(list, kernel.filters(i+1, parent)...)
			}
		}
		return kernel.close()
	}))
	return list
}

// TestClsact: without tcx, and without CLOCK_TAI, what comes and leaves is counted by
// filters. Those of others stay, ours go.
func TestClsact(t *testing.T) {
	l := newLab(t, TCX, TAI)
	if m := l.attach(Watch); m != Watch {
		t.Errorf("attached in mode %v", m)
	}
	if list := l.filters(); len(list) != 2 {
		t.Fatalf("filters %+v, want one at each side", list)
	}
	l.serve(l.link.B4)
	conn := l.dial(false)
	const requests = 20
	for i := range uint64(requests) {
		if l.ask(conn, plainRequest(i+1)) == nil {
			t.Fatal("no answer")
		}
	}
	if f := l.traffic(); f.In.Verdict(traffic.Seen) != requests || f.Out.Verdict(traffic.Seen) != requests {
		t.Errorf("counted are %d and %d packets, want %d each", f.In.Packets(), f.Out.Packets(), requests)
	}
	l.must(l.server.Inside(func() error {
		kernel, err := converse()
		if err != nil {
			return err
		}
		iface, err := net.InterfaceByName(l.link.BDev)
		if err != nil {
			return err
		}
		other := filter{kernel, iface.Index, clsactEgress, 1} // a process that lives for certain
		return errors.Join(other.add(l.objs.NtpEgress), kernel.close())
	}))
	l.must(l.Close())
	l.must(l.server.Inside(sweep))
	if list := l.filters(); len(list) != 1 || list[0].handle != 1 {
		t.Errorf("filters after the end: %+v, want that of another process", list)
	}
}

// TestLeftFilters: what a killed process leaves is removed by the next start, and
// what one that lives has is not.
func TestLeftFilters(t *testing.T) {
	l := newLab(t)
	p := l.stay("yes")
	if list := l.filters(); len(list) != 1 || int(list[0].handle) != p.PID() {
		t.Fatalf("filters %+v, want one of process %d", list, p.PID())
	}
	l.must(l.server.Inside(sweep))
	if list := l.filters(); len(list) != 1 {
		t.Fatalf("filters %+v, want that of a process that lives", list)
	}
	p.Kill()
	if list := l.filters(); len(list) != 1 {
		t.Fatalf("filters %+v after a kill, want the one that was there", list)
	}
	l.must(l.server.Inside(sweep))
	if list := l.filters(); len(list) != 0 {
		t.Errorf("filters %+v after the next start", list)
	}
}

// TestNetlink: what is no message of netlink is an error, and no panic.
func TestNetlink(t *testing.T) {
	for _, b := range [][]byte{
		bytes.Repeat([]byte{0xff}, unix.NLMSG_HDRLEN),
		{3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{18, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2},
	} {
		var replies [][]byte
		if done, err := split(b, &replies); !done || err == nil || len(replies) > 0 {
			t.Errorf("% x: done %v, %v", b, done, err)
		}
	}
	m := attribute(attribute(nil, 5, []byte("abc")), 6, word(7))
	if got := find(m, 6); !bytes.Equal(got, word(7)) || find(m, 7) != nil || find([]byte{2, 0, 6, 0}, 6) != nil || find([]byte{9, 0, 6, 0}, 6) != nil {
		t.Errorf("attributes % x: %x", m, got)
	}
}
