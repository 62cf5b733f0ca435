// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"foliot/internal/ntp"
)

// TestOrphans isolates three servers, two foliotd and a chronyd, that ask each
// other over links of their own, so that each has two addresses. They agree on
// the first as their leader, and, when that one ends, on the second.
func TestOrphans(t *testing.T) {
	for i, name := range []string{"chronyd leads", "chronyd is second", "chronyd is third"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			c, err := b.lab.Space()
			b.must(err)
			ac, err := b.lab.Link(b.a, c)
			b.must(err)
			bc, err := b.lab.Link(b.b, c)
			b.must(err)
			spaces := []*Space{b.a, b.b, c}
			// Whom each asks. To the first, the second has a smaller address than
			// its own towards the third.
			sources := [][]netip.Addr{{ac.B4, b.link.B4}, {b.link.A4, bc.B4}, {ac.A4, bc.A4}}
			daemons := make([]*Daemon, 3)
			for k, s := range spaces {
				config := "allow all\nmaxclockerror 10000\n" // 0.01 s of distance each second
				for _, a := range sources[k] {
					config += fmt.Sprintf("server %s %s\n", a, fast)
				}
				config += "local stratum 10 orphan distance 0.2"
				if k == i {
					daemons[k] = b.chronyd(s, "chronyd", config+"\n")
				} else {
					daemons[k] = b.foliotd(s, fmt.Sprintf("foliotd%d", k), config+" waitunsynced 0\n")
				}
			}
			b.agree(spaces, b.leader, ntp.RefIDLocal, ntp.RefIDOf(b.link.A4), ntp.RefIDOf(ac.A4))
			b.must(daemons[0].Signal(syscall.SIGTERM))
			b.agree(spaces[1:], func(ntp.Packet) {}, ntp.RefIDLocal, ntp.RefIDOf(bc.A4))
		})
	}
}

// leader fails the test if the leader follows anybody, if only for a while.
func (b *bench) leader(p ntp.Packet) {
	if p.Leap != ntp.LeapUnsync && p.RefID != ntp.RefIDLocal {
		b.Fatalf("the leader follows %08X", uint32(p.RefID))
	}
}

// agree waits until the servers in the namespaces have these reference IDs, and
// the strata of a leader and its followers, and checks that they stay so. All that
// the first says is shown to watch.
func (b *bench) agree(spaces []*Space, watch func(ntp.Packet), want ...ntp.RefID) {
	b.Helper()
	got := make([]ntp.Packet, len(spaces))
	agreed := func() bool {
		for i, s := range spaces {
			var ok bool
			if got[i], ok = ask(s); !ok {
				return false
			}
			if i == 0 {
				watch(got[0])
			}
			if got[i].RefID != want[i] {
				return false
			}
		}
		return true
	}
	defer func() {
		if b.Failed() {
			b.Logf("want reference IDs %08X, have %+v", want, got)
		}
	}()
	b.until(60*time.Second, fmt.Sprintf("reference IDs %08X", want), agreed)
	for range 10 {
		time.Sleep(300 * time.Millisecond)
		if !agreed() {
			b.Fatal("they do not stay agreed")
		}
		for i, p := range got {
			stratum := uint8(11)
			if want[i] == ntp.RefIDLocal {
				stratum = 10
			}
			if p.Stratum != stratum || p.Leap != ntp.LeapNone {
				b.Errorf("server %d: stratum %d, leap %d; want %d, 0", i, p.Stratum, p.Leap, stratum)
			}
		}
	}
}

// ask asks the server in the namespace.
func ask(s *Space) (p ntp.Packet, ok bool) {
	conn, err := s.dial(netip.MustParseAddrPort("127.0.0.1:123"))
	if err != nil {
		return p, false
	}
	defer conn.Close()
	q := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Transmit: ntp.Timestamp(time.Now().UnixNano())}
	if _, err := conn.Write(q.AppendTo(nil)); err != nil {
		return p, false
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	var buf [ntp.HeaderLen]byte
	n, err := conn.Read(buf[:])
	return p, err == nil && p.Decode(buf[:n]) && p.Origin == q.Transmit
}
