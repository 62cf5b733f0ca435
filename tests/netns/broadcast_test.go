// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Ports of the listener, and that of the chronyd beside foliotd.
const (
	networkPort, groupPort, zonePort = 9123, 9124, 9125
	chronyPort                       = 1123
)

// TestBroadcast lets foliotd and chronyd broadcast side by side, to a network and
// to a multicast group, and compares their packets field by field.
func TestBroadcast(t *testing.T) {
	for _, tt := range []struct{ name, config string }{
		{"not synchronised", ""},
		{"local", "local stratum 7\n"},
		{"synchronised", "server %s " + fast + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.chronyd(b.b, "server", serving)
			config := fmt.Sprintf("broadcast 1 10.77.1.255 %d\nbroadcast 1 ff02::101 %d\n", networkPort, groupPort)
			if tt.config != "" {
				config += tt.config
			}
			synced := tt.name == "synchronised"
			if synced {
				config = fmt.Sprintf(config, b.link.B4)
			}
			zone := fmt.Sprintf("broadcast 1 ff02::101%%%s %d\n", b.link.ADev, zonePort)
			f := b.foliotd(b.a, "foliotd", config+zone)
			c := b.chronyd(b.a, "chronyd", config+fmt.Sprintf("port %d\n", chronyPort))
			if synced {
				b.selected(f, b.link.B4, 15*time.Second)
				b.chronySelected(c, b.link.B4, 15*time.Second)
			}
			for _, port := range []uint16{networkPort, groupPort} {
				all := b.listen(port, 6, 123, chronyPort)
				b.compare(all[123], all[chronyPort], synced)
			}
			b.timely(b.listen(zonePort, 3, 123)[123])
		})
	}
}

// packet is a broadcast as the listener gets it.
type packet struct {
	ntp.Packet
	from netip.AddrPort
	at   time.Time // when it was read
}

// listen waits in the second namespace for n packets at port from each of the
// source ports and returns them by those.
func (b *bench) listen(port uint16, n int, sources ...uint16) map[uint16][]packet {
	b.Helper()
	var conn *net.UDPConn
	b.must(b.b.Inside(func() (err error) {
		if port == networkPort {
			conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
			return err
		}
		ifi, err := net.InterfaceByName(b.link.ADev[:len(b.link.ADev)-1] + "b")
		if err == nil {
			conn, err = net.ListenMulticastUDP("udp6", ifi, &net.UDPAddr{IP: net.ParseIP("ff02::101"), Port: int(port)})
		}
		return err
	}))
	defer conn.Close()
	b.must(conn.SetReadDeadline(time.Now().Add(20 * time.Second)))
	all := make(map[uint16][]packet)
	var buf [1500]byte
	for missing := true; missing; {
		size, from, err := conn.ReadFromUDPAddrPort(buf[:])
		p := packet{from: from, at: time.Now()}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			b.Fatalf("port %d: want %d packets from each of ports %v within 20 s, have %+v", port, n, sources, all)
		}
		b.must(err)
		if size != ntp.HeaderLen || !p.Decode(buf[:size]) {
			b.Fatalf("%d octets from %v are no broadcast", size, from)
		}
		all[from.Port()] = append(all[from.Port()], p)
		missing = false
		for _, s := range sources {
			missing = missing || len(all[s]) < n
		}
	}
	return all
}

// compare holds foliotd's packets against those of chronyd in the same state.
func (b *bench) compare(ours, theirs []packet, synced bool) {
	b.Helper()
	b.timely(ours)
	b.timely(theirs)
	for i := range ours {
		f, c := ours[i], theirs[min(i, len(theirs)-1)]
		if f.from.Addr() != c.from.Addr() {
			b.Errorf("foliotd sends from %v, chronyd from %v", f.from, c.from)
		}
		same := f.Leap == c.Leap && f.Version == c.Version && f.Mode == c.Mode && f.Stratum == c.Stratum &&
			f.Poll == c.Poll && f.RefID == c.RefID && f.Origin == c.Origin && f.Receive == c.Receive &&
			(f.Reference == 0) == (c.Reference == 0)
		if synced {
			// Two clients do not measure the same.
			same = same && f.RootDelay.Seconds() < 0.01 && f.RootDisp.Seconds() < 0.1
		} else {
			same = same && f.RootDelay == c.RootDelay && f.RootDisp == c.RootDisp
		}
		if !same || f.Mode != ntp.ModeBroadcast {
			b.Errorf("foliotd broadcasts\n%+v, chronyd\n%+v", f, c)
		}
		if f.Precision > -10 || f.Precision < -32 {
			b.Errorf("precision %d, want something like chronyd's %d", f.Precision, c.Precision)
		}
		if age := f.Transmit.Served().Sub(f.Reference.Served()).Seconds(); f.Reference != 0 && !(age >= 0 && age < 20) {
			b.Errorf("the reference time is %v s before the transmit time, want up to 20", age)
		}
	}
}

// timely checks that packets were stamped just before they arrived, and leave
// each second and 2 % more at most. There is one clock.
func (b *bench) timely(all []packet) {
	b.Helper()
	var delays, gaps []float64
	for i, p := range all {
		delays = append(delays, clock.At[clock.Corrected](p.at.UnixNano()).Sub(p.Transmit.Served()).Seconds())
		if i > 0 {
			gaps = append(gaps, p.Transmit.Served().Sub(all[i-1].Transmit.Served()).Seconds())
		}
	}
	// Who is measured may be a little ahead; a reader on a busy machine is late.
	if least, mid := Quantile(delays, 0), Quantile(delays, 0.5); least < -1e-3 || mid > 20e-3 {
		b.Errorf("packets from %v arrive %v s after they were stamped, want 0 to 20 ms", all[0].from, delays)
	}
	if least, mid := Quantile(gaps, 0), Quantile(gaps, 0.5); least < 0.9 || mid > 1.1 {
		b.Errorf("packets from %v are %v s apart, want 1 to 1.02", all[0].from, gaps)
	}
}
