// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"encoding/binary"
	"math"
	"net"
	"path/filepath"
	"sort"
	"strconv"
	"testing"

	"foliot/internal/ntp"
)

// server is a small clknetsim server for one node: an oscillator with a constant
// error, a clock that adjtimex steers, and behind a link a host that answers NTP
// requests from true time. It reads records by the offsets in the protocol's
// description and shares no code with the package.
type server struct {
	t    *testing.T
	path string
	done chan struct{}

	end    float64                     // true time of the end of the simulation
	rate   float64                     // error of the oscillator, ratio
	delay  func(n int) (float64, bool) // of message n on the link; false: lost
	stale  float64                     // every timeout is cut short by this ratio
	behind int                         // messages sent so far

	now, real, mono, raw float64
	tick, freq           int64
	queue                []parcel

	modes        []uint32 // of all adjtimex calls
	status       int32
	maxError     int64
	tai          int64
	sent         []parcel // what the node sent to anyone but the NTP server
	requests     []parcel // what it sent to the NTP server
	selects      int
	register     []byte
	deregistered bool
	refuse       bool // adjtimex fails
}

// parcel is a message on its way.
type parcel struct {
	at, shown          float64 // arrival; what the node's clock showed when it was sent
	kind, subnet, host uint32
	srcPort, dstPort   uint32
	data               []byte
	broadcast          bool
}

const (
	ourNode = 2 // as people count
	ntpHost = 0
)

// newServer makes a server whose node's clock is offset seconds ahead, and sets
// the environment for the node.
func newServer(t *testing.T, offset, rate, end float64) *server {
	t.Helper()
	s := &server{
		t: t, path: filepath.Join(t.TempDir(), "sock"), done: make(chan struct{}),
		end: end, rate: rate, real: offset, tick: 10000,
		delay: func(n int) (float64, bool) { return 100e-6 + 1e-6*math.Mod(float64(n)*0.618034, 1), true },
	}
	t.Setenv(envSocket, s.path)
	t.Setenv(envNode, strconv.Itoa(ourNode))
	for _, name := range []string{envStart, envStamping, envMultiply, envFamily, envSeed, envTimeout} {
		t.Setenv(name, "")
	}
	return s
}

// start accepts the node in the background; wait waits until it is gone.
func (s *server) start() {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: s.path, Net: "unixpacket"})
	if err != nil {
		s.t.Fatalf("listen: %v", err)
	}
	go func() {
		defer close(s.done)
		defer l.Close()
		c, err := l.AcceptUnix()
		if err != nil {
			s.t.Errorf("accept: %v", err)
			return
		}
		defer c.Close()
		s.serve(c)
	}()
}

func (s *server) wait() { <-s.done }

func (s *server) serve(c *net.UnixConn) {
	b := make([]byte, 8192)
	for {
		n, err := c.Read(b)
		if err != nil || n == 0 {
			return
		}
		if n < 8 {
			s.t.Errorf("record of %d octets", n)
			return
		}
		id, body := binary.NativeEndian.Uint32(b), b[8:n]
		if (s.register == nil) != (id == 1) {
			s.t.Errorf("request %d out of order", id)
			return
		}
		reply, ok := s.answer(id, body)
		if !ok {
			s.t.Errorf("request %d with %d octets is not valid", id, len(body))
			return
		}
		if reply != nil {
			c.Write(reply)
		}
		if s.deregistered {
			return
		}
	}
}

// answer handles one request; nil is no reply.
func (s *server) answer(id uint32, b []byte) (reply []byte, ok bool) {
	e := binary.NativeEndian
	switch {
	case id == 1 && len(b) == 4:
		s.register = append([]byte(nil), b...)
		return e.AppendUint32(e.AppendUint32(nil, 2), 1), true
	case id == 2 && len(b) == 4:
		return s.times(nil), true
	case id == 4 && len(b) == 216:
		return s.adjtimex(b), true
	case id == 6 && len(b) == 16:
		return s.wakeUp(math.Float64frombits(e.Uint64(b)), e.Uint32(b[8:]) != 0), true
	case id == 7 && len(b) >= 24 && len(b) == 24+int(e.Uint32(b[20:])):
		s.take(b)
		return nil, true
	case id == 8 && len(b) == 0:
		return s.pop(), true
	case id == 11 && len(b) == 0:
		s.deregistered = true
		return nil, true
	}
	return nil, false
}

func (s *server) times(b []byte) []byte {
	for _, v := range []float64{s.real, s.mono, s.raw, s.now, s.rate + s.kernel()} {
		b = binary.NativeEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// kernel returns the rate that was set.
func (s *server) kernel() float64 { return float64(s.tick-10000)*1e-4 + float64(s.freq)/65536*1e-6 }

func (s *server) adjtimex(b []byte) []byte {
	e, x := binary.NativeEndian, b[8:]
	modes := e.Uint32(x)
	s.modes = append(s.modes, modes)
	state := uint64(0)
	if s.refuse && modes != 0 {
		state, modes = 0xffffffff, 0
	}
	if modes&0x2 != 0 {
		s.freq = int64(e.Uint64(x[16:]))
	}
	if modes&0x4000 != 0 {
		s.tick = int64(e.Uint64(x[88:]))
	}
	if modes&0x4 != 0 {
		s.maxError = int64(e.Uint64(x[24:]))
	}
	if modes&0x10 != 0 {
		s.status = int32(e.Uint32(x[40:])) & 0xff
	}
	if modes&0x2000 != 0 {
		s.status |= 0x2000
	}
	if modes&0x100 != 0 {
		s.real += float64(int64(e.Uint64(x[72:]))) + float64(int64(e.Uint64(x[80:])))*1e-9
	}
	if modes&0x80 != 0 {
		s.tai = int64(e.Uint64(x[48:]))
	}
	r := append(e.AppendUint64(nil, state), x...)
	e.PutUint64(r[8+16:], uint64(s.freq))
	e.PutUint64(r[8+88:], uint64(s.tick))
	return r
}

// advance lets true time go on to t.
func (s *server) advance(t float64) {
	d := (t - s.now) * (1 + s.rate)
	s.now, s.raw = t, s.raw+d
	s.mono += d * (1 + s.kernel())
	s.real += d * (1 + s.kernel())
}

func (s *server) wakeUp(timeout float64, read bool) []byte {
	s.selects++
	timeout *= 1 - s.stale
	at, reason := s.now+timeout/((1+s.rate)*(1+s.kernel())), uint32(0)
	if read && len(s.queue) > 0 && s.queue[0].at < at {
		at, reason = s.queue[0].at, 1
		if s.queue[0].broadcast {
			reason = 2
		}
	}
	if at >= s.end {
		at, reason = s.end, 3
	}
	s.advance(math.Max(at, s.now))
	b := binary.NativeEndian.AppendUint32(nil, reason)
	if reason == 1 || reason == 2 {
		b = s.queue[0].envelope(b)
	} else {
		b = append(b, make([]byte, 20)...)
	}
	return s.times(b)
}

func (p *parcel) envelope(b []byte) []byte {
	for _, v := range []uint32{p.kind, p.subnet, p.host, p.srcPort, p.dstPort} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func (s *server) pop() []byte {
	if len(s.queue) == 0 || s.queue[0].at > s.now {
		return make([]byte, 24)
	}
	p := s.queue[0]
	s.queue = s.queue[1:]
	b := binary.NativeEndian.AppendUint32(p.envelope(nil), uint32(len(p.data)))
	return append(b, p.data...)
}

// put queues a message for the node.
func (s *server) put(p parcel) {
	p.kind = 1
	s.queue = append(s.queue, p)
	sort.SliceStable(s.queue, func(i, j int) bool { return s.queue[i].at < s.queue[j].at })
}

// take handles what the node sends.
func (s *server) take(b []byte) {
	e := binary.NativeEndian
	p := parcel{
		at: s.now, shown: s.real, kind: e.Uint32(b), subnet: e.Uint32(b[4:]), host: e.Uint32(b[8:]),
		srcPort: e.Uint32(b[12:]), dstPort: e.Uint32(b[16:]), data: append([]byte(nil), b[24:]...),
	}
	if p.host != ntpHost || p.dstPort != 123 {
		s.sent = append(s.sent, p)
		return
	}
	s.requests = append(s.requests, p)
	there, ok := s.link()
	back, alsoOK := s.link()
	if !ok || !alsoOK {
		return
	}
	s.put(parcel{
		at: s.now + there + back, subnet: p.subnet, host: ntpHost, srcPort: 123, dstPort: p.srcPort,
		data: respond(p.data, s.now+there),
	})
}

func (s *server) link() (float64, bool) {
	s.behind++
	return s.delay(s.behind)
}

// respond answers a request as a stratum 1 server with the right time would.
func respond(request []byte, at float64) []byte {
	whole, part := math.Modf(at)
	stamp := uint64(startOf2010+2208988800+int64(whole))<<32 | uint64(part*(1<<32))
	b := make([]byte, 48)
	b[0], b[1], b[2], b[3] = request[0]&0x38|byte(ntp.ModeServer), 1, request[2], 0xe2
	copy(b[12:], "TEST")
	binary.BigEndian.PutUint64(b[16:], stamp-1<<32)
	copy(b[24:32], request[40:48])
	binary.BigEndian.PutUint64(b[32:], stamp)
	binary.BigEndian.PutUint64(b[40:], stamp)
	return b
}
