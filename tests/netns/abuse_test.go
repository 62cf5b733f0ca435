// SPDX-License-Identifier: Apache-2.0

// What has been done to time daemons before, and which tests show that it cannot
// be done to this one. Where a package is named, its tests do it without a
// network and for far more cases; the tests here do it over the real kernel.
//
//	S1  amplification                    responder.TestEveryRequest, FuzzServe; tests/conformance
//	S2  mode 6 and 7 parsers             there are none: responder.TestEveryRequest wants silence
//	S3  configuration over the network   there is none, as S2
//	S4  origins: none, old, another's    source.TestForgersChangeNothing, TestForgeries, TestReplays,
//	                                     TestRandomStampsDiffer, TestPeerReplays, TestPeerForgeries;
//	                                     scenario.TestForgeries; udpstamp.TestRandomPorts;
//	                                     here TestForgedAnswers
//	S5  kisses of death                  source.TestKissAbuse, TestKissRate, TestKissRateInBurst;
//	                                     scenario.TestKissOfDeath; engine.TestKissesAreNoAnswers;
//	                                     here TestForgedAnswers
//	S6  keys of others                   auth.TestVerify; source.TestAcceptanceTests;
//	                                     responder.TestKeys; here TestWrongKey
//	S7  interleaved mode by force        source.TestForgersChangeNothing, TestInterleavedNotAsked;
//	                                     responder.TestStampIsTheClients, TestAgainstModel;
//	                                     here TestForgedAnswers with xleave
//	S8  crypto-NAK                       source.TestAcceptanceTests: it is no authentication
//	S9  NTS                              there is none
//	S10 loops                            responder.TestNoPingPong, FuzzSequence; here TestNoBounce
//	S11 floods of messages               here TestBadPackets, TestFlood, TestForgedAnswers
//	S12 memory for clients               clientlog.TestSpoofedSources; here TestSpoofedClients

package netns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// spoofer sends datagrams in the name of others.
type spoofer struct {
	fd int
	to netip.AddrPort
	b  []byte
}

func (b *bench) spoofer(s *Space, to netip.AddrPort) *spoofer {
	b.Helper()
	p := &spoofer{to: to}
	b.must(s.Inside(func() (err error) {
		p.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	}))
	b.Cleanup(func() { unix.Close(p.fd) })
	return p
}

// send sends an IPv4 datagram without UDP checksum, which RFC 768 permits.
func (p *spoofer) send(from netip.AddrPort, data []byte) error {
	be := binary.BigEndian
	src, dst := from.Addr().As4(), p.to.Addr().As4()
	h := append(p.b[:0], 0x45, 0)
	h = be.AppendUint16(h, uint16(28+len(data)))
	h = append(h, 0, 0, 0x40, 0, 64, unix.IPPROTO_UDP, 0, 0) // the kernel fills in the checksum
	h = append(append(h, src[:]...), dst[:]...)
	h = be.AppendUint16(be.AppendUint16(h, from.Port()), p.to.Port())
	h = append(be.AppendUint16(h, uint16(8+len(data))), 0, 0)
	p.b = append(h, data...)
	for {
		err := unix.Sendto(p.fd, p.b, 0, &unix.SockaddrInet4{Addr: dst})
		if err != unix.ENOBUFS && err != unix.EAGAIN {
			return err
		}
		time.Sleep(time.Millisecond) // buffers are full
	}
}

// datagrams returns how many UDP datagrams came in and went out over IPv4 in the
// namespace of a daemon.
func (b *bench) datagrams(d *Daemon) (in, out int) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp", d.PID()))
	b.must(err)
	var names []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names {
			n, _ := strconv.Atoi(f[i])
			switch name {
			case "InDatagrams":
				in = n
			case "OutDatagrams":
				out = n
			}
		}
	}
	return in, out
}

// rss returns the resident memory of a daemon, octets.
func (b *bench) rss(d *Daemon) int {
	b.Helper()
	text, err := Status(d.PID(), "VmRSS")
	b.must(err)
	kB, err := strconv.Atoi(strings.TrimSuffix(text, " kB"))
	b.must(err)
	return kB << 10
}

// TestNoBounce (S10): packets of all kinds that one server seems to have sent to
// the other, from its own port, get at most one answer each, which gets none.
func TestNoBounce(t *testing.T) {
	foliotd, chronyd := (*bench).foliotdPlain, (*bench).chronyd
	for _, tt := range []struct {
		name         string
		victim, echo func(*bench, *Space, string, string) *Daemon
		peers        bool
	}{
		{"foliotd and foliotd", foliotd, foliotd, false},
		{"foliotd and foliotd, peers", foliotd, foliotd, true},
		{"foliotd in the name of chronyd", chronyd, foliotd, false},
		{"chronyd in the name of foliotd", foliotd, chronyd, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			config := func(other netip.Addr) string {
				if tt.peers {
					return serving + fmt.Sprintf("peer %s\n", other)
				}
				return serving
			}
			victim := tt.victim(b, b.a, "victim", config(b.link.B4))
			echo := tt.echo(b, b.b, "echo", config(b.link.A4))
			port := netip.AddrPortFrom(b.link.A4, 123)
			p := b.spoofer(b.a, netip.AddrPortFrom(b.link.B4, 123))
			request := make([]byte, 48)
			request[0] = 4<<3 | 3
			b.until(10*time.Second, "both servers answer", func() bool {
				b.must(p.send(port, request))
				_, out := b.datagrams(echo)
				in, _ := b.datagrams(victim)
				return out > 0 && in > 0 && listens(victim)
			})

			_, quiet := b.datagrams(victim)
			_, before := b.datagrams(echo)
			sent := 0
			for first := range 256 {
				for _, n := range []int{12, 48, 68, 96, 200} {
					data := make([]byte, n)
					data[0] = byte(first)
					b.must(p.send(port, data))
					sent++
				}
				time.Sleep(time.Millisecond) // let buffers empty
			}
			time.Sleep(2 * time.Second)
			_, back := b.datagrams(victim)
			_, out := b.datagrams(echo)
			answers, again := out-before, back-quiet
			// Peers poll each other in the meantime.
			polls := 0
			if tt.peers {
				polls = 6
			}
			if again > polls {
				t.Errorf("%d answers to answers", again)
			}
			if answers > sent/8+polls || answers < 8 && !tt.peers {
				t.Errorf("%d answers to %d packets of all modes", answers, sent)
			}
			time.Sleep(time.Second)
			_, later := b.datagrams(victim)
			if _, after := b.datagrams(echo); after+later-out-back > polls {
				t.Errorf("%d packets a second later: it goes on", after+later-out-back)
			}
			t.Logf("%d packets, %d answers, %d answers to those", sent, answers, again)
		})
	}
}

// foliotdPlain is foliotd with the same parameters as chronyd.
func (b *bench) foliotdPlain(s *Space, name, config string) *Daemon {
	b.Helper()
	return b.foliotd(s, name, config)
}

// listens tells whether a daemon's namespace has a socket at the NTP port.
func listens(d *Daemon) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", d.PID()))
	return strings.Contains(string(text), ":007B ")
}

// TestBadPackets (S11): a million packets of nonsense, forged MACs among them, are
// worth no more than a handful of messages, and no memory.
func TestBadPackets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	b := newBench(t)
	path, err := b.lab.Write(keys, "keys")
	b.must(err)
	server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nkeyfile "+path+"\n")
	b.until(10*time.Second, "the server listens", func() bool { return listens(server) })
	conn, err := b.a.dial(netip.AddrPortFrom(b.link.B4, 123))
	b.must(err)
	defer conn.Close()
	flood(conn, 10_000)
	in, _ := b.datagrams(server)
	lines, memory := strings.Count(server.Log(), "\n"), b.rss(server)

	const packets = 1_000_000
	forged := make([]byte, 68) // key 1, which the server has
	forged[0], forged[51] = 4<<3|3, 1
	sent := 0
	for sent < packets && server.Running() {
		sent += flood(conn, 10_000)
		for range 1000 {
			if _, err := conn.Write(forged); err == nil {
				sent++
			}
		}
	}
	after, _ := b.datagrams(server)
	if extra := strings.Count(server.Log(), "\n") - lines; extra > 3 {
		t.Errorf("%d messages about %d bad packets, want at most 3", extra, sent)
	}
	if grown := b.rss(server) - memory; grown > 4<<20 {
		t.Errorf("%d kB more memory after %d bad packets", grown>>10, sent)
	}
	if !server.Running() || after-in < packets/20 {
		t.Errorf("the server runs: %v, and has read %d of %d packets", server.Running(), after-in, sent)
	}
	t.Logf("%d packets sent, %d read, VmRSS %d kB, before %d kB", sent, after-in, b.rss(server)>>10, memory>>10)
}

// TestSpoofedClients (S12): requests from very many addresses, none of which
// exists, leave the memory as it was, and true clients are served meanwhile.
func TestSpoofedClients(t *testing.T) {
	b := newBench(t)
	server := b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nratelimit interval -4 burst 16\n")
	b.must(run("ip", "-n", b.b.Name, "route", "add", "default", "via", b.link.A4.String()))
	client := b.chronyd(b.a, "client", fmt.Sprintf("server %s %s\n", b.link.B4, fast))
	b.chronySelected(client, b.link.B4, 12*time.Second)
	p := b.spoofer(b.a, netip.AddrPortFrom(b.link.B4, 123))
	request := make([]byte, 48)
	request[0] = 4<<3 | 3
	flood := func(first, n uint32) {
		for i := first; i < first+n; i++ {
			a := [4]byte{100, 64 | byte(i>>16)&63, byte(i >> 8), byte(i)}
			b.must(p.send(netip.AddrPortFrom(netip.AddrFrom4(a), 40000), request))
		}
	}
	const warm, clients = 30_000, 400_000
	flood(0, warm) // more than there are records
	in, out := b.datagrams(server)
	lines, memory := strings.Count(server.Log(), "\n"), b.rss(server)
	before := len(b.measured(client, b.link.B4, 1, time.Second))
	flood(warm, clients)
	after, answered := b.datagrams(server)
	if grown := b.rss(server) - memory; grown > 2<<20 {
		t.Errorf("%d kB more memory after %d clients", grown>>10, clients)
	}
	if extra := strings.Count(server.Log(), "\n") - lines; extra > 3 {
		t.Errorf("%d messages about %d clients, want at most 3", extra, clients)
	}
	if after-in < clients/20 || answered-out < (after-in)*9/10 {
		t.Errorf("of %d requests %d were read and %d answered", clients, after-in, answered-out)
	}
	b.accurate(b.measured(client, b.link.B4, before+5, 10*time.Second)[before:])
	t.Logf("%d requests, %d read, %d answered, VmRSS %d kB, before %d kB",
		clients, after-in, answered-out, b.rss(server)>>10, memory>>10)
}
