// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// impostor is a server that answers truly, and before and after each answer sends
// whatever somebody may send in its name who has not seen the request.
type impostor struct {
	conn   *net.UDPConn
	server *responder.Server
	policy responder.Policy
	snap   responder.Snapshot
	rng    *rand.Rand
	last   []byte // the last answer

	mu       sync.Mutex
	requests []request
	forged   int
	kiss     ntp.RefID // of the answers from now on, 0 for none
}

// request is one that came.
type request struct {
	at   time.Time
	port uint16
	data []byte
}

// impostor starts one at the server's end of the link.
func (b *bench) impostor() *impostor {
	b.Helper()
	m := &impostor{
		rng:    rand.New(rand.NewPCG(1, 2)),
		policy: responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})},
		snap: responder.Snapshot{Stratum: 1, RefID: 0x47505300, Precision: -20,
			RefTime: clock.At[clock.Corrected](time.Now().Add(-time.Second).UnixNano())},
	}
	m.server = responder.NewServer(responder.Config{Stamps: 64, Random: m.rng.Uint64})
	b.must(b.b.Inside(func() (err error) {
		m.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: b.link.B4.AsSlice(), Port: 123})
		return err
	}))
	done := make(chan struct{})
	b.Cleanup(func() {
		m.conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		m.serve()
	}()
	return m
}

func wallNow() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }

func (m *impostor) serve() {
	var b [1500]byte
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return
		}
		rx := clock.Stamp{Time: wallNow(), Kind: clock.StampKernel}
		m.mu.Lock()
		m.requests = append(m.requests, request{time.Now(), from.Port(), bytes.Clone(b[:n])})
		kiss := m.kiss
		m.mu.Unlock()
		m.forge(b[:n], from)
		m.answer(b[:n], from, rx, kiss)
		m.conn.WriteToUDPAddrPort(m.last, from) // once more
		m.forge(b[:n], from)
	}
}

// answer gives the true answer to the request b, or a kiss in its place.
func (m *impostor) answer(b []byte, from netip.AddrPort, rx clock.Stamp, kiss ntp.RefID) {
	var out responder.Reply
	in := responder.Arrival{From: from, Stamp: rx}
	if m.server.Receive(b, &in, &m.policy, &m.snap, &out) != responder.Answer {
		return
	}
	b = b[:out.Len]
	tag := m.server.Seal(&out, b, wallNow(), &m.snap)
	if kiss != 0 {
		kissed(b, kiss)
	}
	m.conn.WriteToUDPAddrPort(b, from)
	m.server.Transmitted(tag, clock.Stamp{Time: wallNow(), Kind: clock.StampKernel}, &m.snap)
	m.last = bytes.Clone(b)
}

func kissed(b []byte, code ntp.RefID) {
	b[0], b[1] = b[0]|3<<6, 0
	binary.BigEndian.PutUint32(b[12:], uint32(code))
}

// forge sends packets that say that it is an hour later. Their origin is nothing,
// the origin of the last answer, another of its timestamps, or a guess.
func (m *impostor) forge(req []byte, to netip.AddrPort) {
	if m.last == nil {
		return
	}
	origins := [][]byte{make([]byte, 8), m.last[24:32], m.last[32:40], m.last[40:48], nil}
	for i := range 100 {
		b := bytes.Clone(m.last)
		b[0] = byte(ntp.Version<<3) | byte(ntp.ModeServer)
		later := uint64(ntp.FromInstant(wallNow().Add(clock.Hour)))
		binary.BigEndian.PutUint64(b[32:], later)
		binary.BigEndian.PutUint64(b[40:], later+1000)
		if o := origins[i%len(origins)]; o != nil {
			copy(b[24:], o)
		} else {
			binary.BigEndian.PutUint64(b[24:], m.rng.Uint64())
		}
		switch i / len(origins) % 5 {
		case 0:
			kissed(b, []ntp.RefID{ntp.KissRate, ntp.KissDeny, ntp.KissRstr}[i%3])
		case 1:
			b[0] = b[0]&^7 | byte(i%8)
			copy(b[24:], req[40:48]) // even who knows the request is heard in mode 4 only
			if b[0]&7 == byte(ntp.ModeServer) {
				b[0]++
			}
		case 2:
			copy(b[32:], make([]byte, 16))
		}
		if _, err := m.conn.WriteToUDPAddrPort(b, to); err == nil {
			m.mu.Lock()
			m.forged++
			m.mu.Unlock()
		}
	}
}

// seen returns the requests so far.
func (m *impostor) seen() []request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]request(nil), m.requests...)
}

// say sets the kiss of the answers from now on and returns how many requests came
// before.
func (m *impostor) say(kiss ntp.RefID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kiss = kiss
	return len(m.requests)
}

// TestForgedAnswers (S4, S5, S7, S11): forgeries by the hundred around each answer
// neither move the clock's offset nor change the pace or the mode of the source,
// and nothing is said about them. A true kiss of death makes one pause longer, and
// none ends the association.
func TestForgedAnswers(t *testing.T) {
	for _, opts := range []string{"", "xleave"} {
		t.Run("options "+opts, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			m := b.impostor()
			d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s %s\n", b.link.B4, fast, opts))
			b.selected(d, b.link.B4, 10*time.Second)
			lines := strings.Count(d.Log(), "\n")
			all := b.measured(d, b.link.B4, 10, 15*time.Second)
			if last := all[len(all)-1]; last.Interleaved != (opts == "xleave") {
				t.Errorf("interleaved is %v with options %q", last.Interleaved, opts)
			}
			status, err := d.Ctl("status")
			b.must(err)
			if got := reach(status, b.link.B4.String()); got != 0o377 {
				t.Errorf("reach is %o under attack, want 377:\n%s", got, status)
			}
			checkRequests(t, m.seen(), opts == "xleave")

			pause := b.kissOnce(m, ntp.KissRate)
			if pause < 4500*time.Millisecond || pause > 9*time.Second {
				t.Errorf("a pause of %s after RATE, want 5 s", pause)
			}
			if pause := b.kissOnce(m, ntp.KissDeny); pause > 4*time.Second {
				t.Errorf("a pause of %s after DENY, want 1 s", pause)
			}
			before := len(Measurements(d.LogFile("measurements")))
			for _, x := range b.measured(d, b.link.B4, before+2, 10*time.Second) {
				if x.Offset > 0.5 || x.Offset < -0.5 {
					t.Errorf("a forgery was believed: %+v", x)
				}
			}
			if extra := strings.Count(d.Log(), "\n") - lines; extra > 4 {
				t.Errorf("%d messages about forgeries, want at most 4", extra)
			}
			if m.mu.Lock(); m.forged < 1500 {
				t.Errorf("%d forgeries were sent: too few to mean something", m.forged)
			}
			m.mu.Unlock()
		})
	}
}

// kissOnce answers the next request with a kiss and returns the pause after it.
func (b *bench) kissOnce(m *impostor, code ntp.RefID) time.Duration {
	b.Helper()
	n := m.say(code)
	b.until(5*time.Second, "a request to be answered with a kiss", func() bool { return len(m.seen()) > n })
	m.say(0)
	b.until(12*time.Second, "a request after a kiss", func() bool { return len(m.seen()) > n+1 })
	all := m.seen()
	return all[n+1].at.Sub(all[n].at)
}

// checkRequests looks at what an attacker has to guess: ports and transmit
// timestamps never come again, and all 64 bits of the latter are random.
func checkRequests(t *testing.T, all []request, xleave bool) {
	t.Helper()
	ports, stamps := make(map[uint16]bool), make(map[uint64]bool)
	ones, zeros, inARow := uint64(0), ^uint64(0), 0
	for i, q := range all {
		var p ntp.Packet
		if !p.Decode(q.data) {
			t.Fatalf("request %x", q.data)
		}
		ports[q.port], stamps[uint64(p.Transmit)] = true, true
		ones, zeros = ones|uint64(p.Transmit), zeros&uint64(p.Transmit)
		if i > 0 && all[i-1].port+1 == q.port {
			inARow++
		}
		want := ntp.Packet{Version: 4, Mode: ntp.ModeClient, Poll: p.Poll, Precision: 32, Transmit: p.Transmit}
		if xleave {
			want.Origin, want.Receive = p.Origin, p.Receive
		}
		if p != want {
			t.Errorf("request %+v tells about us, want %+v", p, want)
		}
	}
	if len(ports) < len(all)-1 || inARow > 2 || ports[123] {
		t.Errorf("%d requests from %d ports, %d of them one after the other", len(all), len(ports), inARow)
	}
	if moved := bits.OnesCount64(ones &^ zeros); len(stamps) != len(all) || moved < 56 {
		t.Errorf("%d requests with %d transmit timestamps, %d of their bits change", len(all), len(stamps), moved)
	}
}
