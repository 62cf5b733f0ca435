// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/tests/netns"
)

var somewhere = target{
	src: net.HardwareAddr{2, 0, 0, 0, 0, 1}, dst: net.HardwareAddr{2, 0, 0, 0, 0, 2}, addr: netip.MustParseAddr("10.77.1.2"),
}

func TestFrame(t *testing.T) {
	for _, n := range []int{1, burstLimit} {
		f := newFrame(somewhere, n)
		setClient(f, address(9_999_999))
		for i := range n {
			setTransmit(f, i, uint64(1000+i))
		}
		setInterleaved(f, 5, 6)
		if got := sum16(f[ipAt:udpAt]); got != 0xffff {
			t.Errorf("%d requests: sum over the IPv4 header is %#x, want 0xffff", n, got)
		}
		if got := netip.AddrFrom4([4]byte(f[ipAt+12:])).String(); got != "10.232.150.127" {
			t.Errorf("%d requests: the last client is %s", n, got)
		}
		if destination(f) != binary.BigEndian.Uint32(somewhere.addr.AsSlice()) {
			t.Errorf("%d requests: destination is %#x", n, destination(f))
		}
		for i := range n {
			var p ntp.Packet
			if !p.Decode(f[ntpAt+48*i:ntpAt+48*i+48]) || p.Mode != ntp.ModeClient || p.Transmit != ntp.Timestamp(1000+i) {
				t.Errorf("request %d of %d is %+v", i, n, p)
			}
			if i == 0 && (p.Origin != 5 || p.Receive != 6) {
				t.Errorf("interleaved request is %+v", p)
			}
		}
	}
}

// TestBurstChecksum finishes the checksum of a burst as the kernel does, and
// checks it as a receiver does.
func TestBurstChecksum(t *testing.T) {
	f := newFrame(somewhere, burstLimit)
	setClient(f, address(77))
	binary.BigEndian.PutUint16(f[udpAt+6:], ^sum16(f[udpAt:]))
	pseudo := append(bytes.Clone(f[ipAt+12:ipAt+20]), 0, udpProtocol, f[udpAt+4], f[udpAt+5])
	if got := sum16(append(pseudo, f[udpAt:]...)); got != 0xffff {
		t.Errorf("sum over pseudo header and datagram is %#x, want 0xffff", got)
	}
}

func TestScatter(t *testing.T) {
	for _, n := range []uint32{1, 2, 1000, 10_000, 100_000, 1_000_000} {
		seen := make([]bool, n)
		step, at := scatter(n), uint32(0)
		for range n {
			if seen[at] {
				t.Fatalf("of %d clients %d asks twice before all have asked", n, at)
			}
			seen[at] = true
			at = (at + step) % n
		}
	}
}

func TestPacer(t *testing.T) {
	const rate, d = 20_000.0, 200 * time.Millisecond
	p := newPacer(rate)
	defer p.close()
	sent := 0.0
	for p.elapsed() < d {
		if due := math.Floor(p.due()); due > rate*patience.Seconds() {
			t.Fatalf("%.0f are due at once", due)
		} else {
			sent += due
			p.spend(due)
		}
		p.rest()
	}
	if want := rate * d.Seconds(); sent > want*1.05 { // it may lose its processor, but never sends too much
		t.Errorf("sent %.0f, want up to %.0f", sent, want)
	}
}

func TestCounters(t *testing.T) {
	octets, packets, err := deviceSent("Inter-|   Receive\n face |bytes\n    lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n"+
		"   v1b: 5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0\n", "v1b")
	if octets != 7 || packets != 8 || err != nil {
		t.Errorf("device sent %d octets, %d packets, %v", octets, packets, err)
	}
	received, dropped, err := datagrams("Ip: a\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\n" +
		"Udp: 10 11 12 13 14\nUdpLite: x\nUdpLite: 1\n")
	if received != 10 || dropped != 14 || err != nil {
		t.Errorf("received %d, dropped %d, %v", received, dropped, err)
	}
	user, system, err := ticks("1 (a) b) S 1 1 1 0 -1 1 1 0 0 0 21 22 0 0 20 0 8 0\n")
	if user != 21 || system != 22 || err != nil {
		t.Errorf("user %d, system %d, %v", user, system, err)
	}
	n, err := busy("cpu 9 9 9 9 9 9 9 9 9 9\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 1 2 3 100 100 4 5 6 0 0\n", 1)
	if n != 21 || err != nil {
		t.Errorf("busy for %d, %v", n, err)
	}
	if _, err := busy("cpu0 0 0 0 0 0 0 0 0 0 0\n", 1); err == nil {
		t.Error("a processor that is not there has a time")
	}
}

func TestRates(t *testing.T) {
	s := &server{name: "it", proc: &netns.Process{}}
	c := counters{answers: 1000, octets: 1000 * frameLen, cpu: 4 * time.Millisecond, user: 1, system: 3, busy: 1}
	r, err := s.rates(3000, 2000, c, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	want := rates{Asked: 3000, Offered: 200_000, Answered: 100_000, CPU: 4, User: 1, Busy: 0.4, Noise: 0.6}
	if r.Noise = math.Round(r.Noise*1e9) / 1e9; r != want {
		t.Errorf("rates are %+v, want %+v", r, want)
	}
	if got := r.PerCore(); got != 250_000 {
		t.Errorf("per core %f", got)
	}
	c.octets += 28 * c.answers // a message that the port is closed repeats the request
	if _, err := s.rates(3000, 2000, c, time.Second); err == nil {
		t.Error("frames of another size passed for answers")
	}
	if _, err := s.rates(3000, 2000, counters{}, time.Second); err == nil {
		t.Error("no answers at all passed")
	}
}

// TestJudge gives the swarm answers with right and wrong departures.
func TestJudge(t *testing.T) {
	const start = 1_800_000_000_000_000_000
	stamp := func(ns int64) ntp.Timestamp { return ntp.FromInstant(clock.At[clock.Realtime](start + ns)) }
	for _, tt := range []struct {
		name        string
		origin      ntp.Timestamp
		transmit    int64
		answered    int
		interleaved int
		true        int
	}{
		{"true", stamp(3000), 2300, 1, 1, 1},
		{"by the daemon, too early", stamp(3000), -1000, 1, 1, 0},
		{"after it came", stamp(3000), 3500, 1, 1, 0},
		{"basic", 42, 2300, 1, 0, 0},
		{"to an earlier request", 41, 2300, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &swarm{counting: true}
			m := &w.members[0]
			m.ask(41)
			first := answer{at: start + 2000, packet: ntp.Packet{Origin: 41, Receive: stamp(1000) | 1}}
			m.passing = first
			first.at = start + 3000
			w.judge(m, &first)
			if w.seen.Answered != 0 {
				t.Error("the first answer counts, but cannot be interleaved")
			}
			m.ask(42)
			w.judge(m, &answer{at: start + 9000, packet: ntp.Packet{Origin: tt.origin, Receive: stamp(7000), Transmit: stamp(tt.transmit)}})
			if w.seen.Answered != tt.answered || w.seen.Interleaved != tt.interleaved || w.seen.True != tt.true {
				t.Errorf("judged %+v, want answered %d, interleaved %d, true %d", w.seen, tt.answered, tt.interleaved, tt.true)
			}
		})
	}
}

// TestProbe gives a probe in interleaved mode answers and looks at its samples.
func TestProbe(t *testing.T) {
	const start = 1_800_000_000_000_000_000
	stamp := func(ns int64) ntp.Timestamp { return ntp.FromInstant(clock.At[clock.Realtime](start + ns)) }
	first := &exchange{
		request: ntp.Packet{Transmit: 1}, left: start,
		reply: ntp.Packet{Receive: stamp(1000)}, came: start + 8000,
	}
	second := &exchange{request: ntp.Packet{Transmit: 2, Origin: stamp(1000), Receive: stamp(8000)}, before: first}
	p := &probe{xleave: true, last: first, pending: second}
	departed := map[ntp.Timestamp]int64{stamp(1000): start + 5500}
	stranger := ntp.Packet{Version: 4, Mode: ntp.ModeServer, Origin: 3}
	if p.answered(stranger.AppendTo(nil), start+9000, departed) {
		t.Error("an answer to somebody else was taken")
	}
	reply := ntp.Packet{Version: 4, Mode: ntp.ModeServer, Origin: stamp(8000), Receive: stamp(9000), Transmit: stamp(5000)}
	if !p.answered(reply.AppendTo(nil), start+12000, departed) || p.samples.Answered != 1 {
		t.Fatalf("the answer was not taken: %+v", p.samples)
	}
	if got := p.samples.Late[0]; math.Abs(got-500e-9) > 2e-9 {
		t.Errorf("late by %g s, want 500 ns", got)
	}
	if got := p.samples.Offset[0]; math.Abs(got+1000e-9) > 2e-9 { // ((1000-0) + (5000-8000)) / 2
		t.Errorf("offset %g s, want -1000 ns", got)
	}
	if p.answered(reply.AppendTo(nil), start+13000, departed) {
		t.Error("an answer was taken twice")
	}
}

func TestQuantiles(t *testing.T) {
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %f", got)
	}
	x := make([]float64, 100)
	for i := range x {
		x[i] = float64(i-98) * 1e-6
	}
	if got := high(x); got != 0 {
		t.Errorf("99th percentile %s", got)
	}
	if got := far(x); got != 97 {
		t.Errorf("99th percentile of the absolute value %s", got)
	}
	b, err := json.Marshal(high(nil))
	if got := high(nil).String(); got != "-" || string(b) != "null" || err != nil {
		t.Errorf("nothing prints as %q and %s, %v", got, b, err)
	}
}

// TestBench runs the part that is light on others, for a moment and without going
// before other work. The rest is for the command itself.
func TestBench(t *testing.T) {
	err := netns.Ready()
	switch ci := os.Getenv("CI") == "true" && os.Geteuid() == 0; {
	case err != nil && ci:
		t.Fatalf("cannot run although CI=true: %v", err)
	case err != nil:
		t.Skip(err)
	case runtime.NumCPU() < 2:
		t.Skip("needs two processors")
	}
	file := filepath.Join(t.TempDir(), "json")
	var out bytes.Buffer
	o := &options{rounds: 2, duration: time.Second, only: "interleaved", json: file, root: "../..", swarm: 5000}
	if err := run(&out, o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Logf("\n%s", out.String())
	var r results
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Interleaved) != 2 || len(r.Throughput)+len(r.Accuracy)+len(r.Memory) != 0 {
		t.Fatalf("measured what was not asked for: %s", b)
	}
	for _, l := range r.Interleaved {
		// On a busy machine answers are lost or late, and clients ask twice with the
		// same stamps, which the server answers in interleaved mode once.
		good := slices.ContainsFunc(l.Rounds, func(l loyalty) bool { return l.Answered > 0 && l.True >= l.Answered/4 })
		if !good {
			t.Errorf("%s: %+v, want at least a quarter of the answers interleaved and true in a round", l.Server, l.Rounds)
		}
	}
}
