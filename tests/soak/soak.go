// SPDX-License-Identifier: Apache-2.0

// Command soak sends octets that mean nothing, and some that nearly mean something,
// to every socket of a foliotd for a while. The daemon must go on, answer no
// datagram with more octets than it had, need no more memory, and count everything
// that it did not answer. See "make soak".
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"foliot/internal/cmdmon"
	"foliot/internal/control"
	"foliot/internal/document"
	"foliot/tests/netns"
)

// Soak is a daemon that is soaked.
type Soak struct {
	lab    *netns.Lab
	space  *netns.Space
	daemon *netns.Daemon
	seed   uint64
	Report []string // what was sent, for people
}

const config = `local stratum 3
allow all
cmdallow all
cmdport 323
ratelimit interval 1 burst 4
`

// New starts the daemon in a namespace of its own.
func New(seed uint64) (s *Soak, err error) {
	s = &Soak{seed: seed}
	if s.lab, err = netns.NewLab(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.lab.Close()
		}
	}()
	bins, err := netns.Build("../..", s.lab.Dir)
	if err != nil {
		return nil, err
	}
	if s.space, err = s.lab.Space(); err != nil {
		return nil, err
	}
	if s.daemon, err = s.space.Foliotd(bins, "daemon", config); err != nil {
		return nil, err
	}
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		if _, err = s.state(); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", err, s.daemon.Log())
}

// Close ends everything.
func (s *Soak) Close() error { return s.lab.Close() }

func (s *Soak) state() (*document.Document, error) {
	out, err := s.daemon.Ctl(control.VerbState)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	d := new(document.Document)
	return d, json.Unmarshal([]byte(out), d)
}

// memory is the resident memory of the daemon, kilobytes.
func (s *Soak) memory() (int, error) {
	text, err := netns.Status(s.daemon.PID(), "VmRSS")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(text), " kB"))
}

// target is a socket, and how to soak it.
type target struct {
	name string
	soak func(r *rand.Rand, until time.Time) (sent uint64, err error)
}

// inverse of the part of the time after which memory is looked at first.
const warmth = 4

// Run soaks the daemon for a time and says what is wrong.
func (s *Soak) Run(d time.Duration) error {
	before, err := s.state()
	if err != nil {
		return err
	}
	end := time.Now().Add(d)
	all := s.targets()
	sent, errs := make([]uint64, len(all)), make([]error, len(all))
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			r := rand.New(rand.NewPCG(s.seed, uint64(i)))
			sent[i], errs[i] = all[i].soak(r, end)
		})
	}
	time.Sleep(d / warmth)
	warm, err := s.memory()
	if err != nil {
		return fmt.Errorf("the daemon is gone: %w: %s", err, s.last())
	}
	running.Wait()
	return s.judge(all, sent, errs, before, warm)
}

// growth is what memory may grow by after the daemon is warm, kilobytes: a
// garbage collector leaves some.
const growth = 8 << 10

func (s *Soak) judge(all []target, sent []uint64, errs []error, before *document.Document, warm int) error {
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w; the daemon said at last %s", all[i].name, err, s.last())
		}
	}
	time.Sleep(settled)
	after, err := s.state()
	if err != nil {
		return err
	}
	last, err := s.memory()
	if err != nil {
		return err
	}
	s.Report = append(s.Report, fmt.Sprintf("memory %d kB after a quarter of the time, %d kB at the end", warm, last))
	for i, t := range all {
		s.Report = append(s.Report, fmt.Sprintf("%s: %d sent", t.name, sent[i]))
	}
	for _, c := range []struct {
		name          string
		sent, counted uint64
	}{
		{"NTP port", sent[0], countedNTP(after) - countedNTP(before)},
		{"sockets of chronyc", sent[1] + sent[2], total(after.Server.Cmd) - total(before.Server.Cmd) + s.dropped("0143")},
	} {
		s.Report = append(s.Report, fmt.Sprintf("%s: %d sent, %d counted", c.name, c.sent, c.counted))
		if c.sent != c.counted {
			return fmt.Errorf("%s: %d datagrams were sent and %d counted", c.name, c.sent, c.counted)
		}
	}
	switch {
	case last > warm+growth:
		return fmt.Errorf("memory grew from %d to %d kB", warm, last)
	case strings.Contains(s.daemon.Log(), "panic"):
		return fmt.Errorf("the daemon said %s", s.daemon.Log())
	}
	return nil
}

// dropped is what the kernel counts as dropped at a full buffer of a UDP port, four
// hexadecimal digits, in the namespace of the daemon (proc_net_udp(5)).
func (s *Soak) dropped(port string) (n uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", s.daemon.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 13 || !strings.HasSuffix(f[1], ":"+port) {
			continue
		}
		if v, err := strconv.ParseUint(f[len(f)-1], 10, 64); err == nil {
			n += v
		}
	}
	return n
}

// last is the end of what the daemon said.
func (s *Soak) last() string {
	const much = 2000
	log := s.daemon.Log()
	return log[max(0, len(log)-much):]
}

// settled is longer than the daemon shows an old state.
const settled = 500 * time.Millisecond

func total(m map[string]uint64) (n uint64) {
	for _, c := range m {
		n += c
	}
	return n
}

func (s *Soak) targets() []target {
	const host = "127.0.0.1"
	return []target{
		{"NTP port", func(r *rand.Rand, until time.Time) (uint64, error) {
			return s.udp(r, until, netip.MustParseAddrPort(host+":123"), &timeProtocol)
		}},
		{"command port", func(r *rand.Rand, until time.Time) (uint64, error) {
			return s.udp(r, until, netip.MustParseAddrPort(host+":323"), &commands)
		}},
		{"command socket", s.unixgram},
		{"control socket", func(r *rand.Rand, until time.Time) (uint64, error) {
			return s.stream(r, until, "unix", s.daemon.Socket, nearlyVerb)
		}},
		{"metrics listener", func(r *rand.Rand, until time.Time) (uint64, error) {
			return s.stream(r, until, "tcp", host+":9923", nearlyHTTP)
		}},
	}
}

// countedNTP is what the daemon counted at its server port.
func countedNTP(d *document.Document) (n uint64) {
	for i := range d.Server.Depths {
		n += d.Server.Depths[i].Answered + d.Server.Depths[i].Refused
	}
	n += total(d.Server.Control)
	return n + d.Server.Overflow
}

// longest is the longest datagram that is sent.
const longest = 1500

// noise returns random octets, some of them in the form of something.
func noise(r *rand.Rand, nearly func(r *rand.Rand, b []byte)) []byte {
	b := make([]byte, r.IntN(longest+1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if r.IntN(2) == 0 && len(b) >= 64 {
		nearly(r, b)
	}
	return b[:len(b):len(b)]
}

// nearlyNTP makes a header of a version and mode that there are.
func nearlyNTP(r *rand.Rand, b []byte) {
	b[0] = byte(r.IntN(4))<<6 | byte(1+r.IntN(4))<<3 | byte(1+r.IntN(7))
	if b[0]&7 == 6 { // a request of mode 6 with an opcode of few bits
		b[1] = byte(r.IntN(32))
		binary.BigEndian.PutUint16(b[10:], uint16(r.IntN(len(b))))
	}
}

// nearlyCommand makes a request of chrony's protocol with a command that there is.
func nearlyCommand(r *rand.Rand, b []byte) {
	b[0], b[1], b[2], b[3] = 6, 1, 0, 0
	binary.BigEndian.PutUint16(b[4:], uint16(r.IntN(80)))
	binary.BigEndian.PutUint16(b[6:], 0)
}

func nearlyVerb(r *rand.Rand, b []byte) {
	copy(b, []string{"status\n", "state\n", "version\n", "log\n", "nothing\n"}[r.IntN(5)])
}

func nearlyHTTP(r *rand.Rand, b []byte) {
	copy(b, []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\n\r\n"}[r.IntN(4)])
}

// rest is the pause after a few datagrams, so that no buffer of a socket without a
// counter runs over.
const (
	rest  = time.Millisecond
	burst = 8
)

func (s *Soak) udp(r *rand.Rand, until time.Time, to netip.AddrPort, p *protocol) (sent uint64, err error) {
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + r.IntN(200))}), 0)
	conn, err := s.space.Dial(from, to)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return p.soak(r, conn, until)
}

func (s *Soak) unixgram(r *rand.Rand, until time.Time) (sent uint64, err error) {
	path := filepath.Join(filepath.Dir(s.daemon.Commands), "soak.sock")
	conn, err := net.DialUnix("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}, &net.UnixAddr{Name: s.daemon.Commands, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	defer conn.Close()
	p := commands
	p.nearly = harmless
	return p.soak(r, conn, until)
}

// protocol is a form of datagrams, and by what an answer is known to be one to a
// request.
type protocol struct {
	nearly        func(r *rand.Rand, b []byte)
	least         int // octets that have an identity
	asked, answer func(b []byte) uint64
}

var timeProtocol = protocol{nearlyNTP, 48,
	func(b []byte) uint64 {
		if b[0]&7 == 6 {
			return uint64(binary.BigEndian.Uint16(b[2:]))
		}
		return binary.BigEndian.Uint64(b[40:]) // the transmit timestamp
	},
	func(b []byte) uint64 {
		if b[0]&7 == 6 {
			return uint64(binary.BigEndian.Uint16(b[2:]))
		}
		return binary.BigEndian.Uint64(b[24:]) // the origin timestamp
	}}

// commands are known by their sequence number.
var commands = protocol{nearlyCommand, 20,
	func(b []byte) uint64 { return uint64(binary.BigEndian.Uint32(b[8:])) },
	func(b []byte) uint64 { return uint64(binary.BigEndian.Uint32(append(b, make([]byte, 20)...)[16:])) }}

// soak sends noise, and reads what comes back at the same time: a daemon that waits
// until somebody takes its answers would not hear what is sent.
func (p *protocol) soak(r *rand.Rand, conn net.Conn, until time.Time) (sent uint64, err error) {
	asked := &asked{lengths: make(map[uint64]int)}
	heard := make(chan error, 1)
	go func() { heard <- p.listen(conn, asked) }()
	for ; time.Now().Before(until) && err == nil; sent++ {
		b := noise(r, p.nearly)
		if len(b) >= p.least {
			asked.note(p.asked(b), len(b))
		}
		if err = send(conn, b); err != nil {
			break
		}
		if sent%burst == burst-1 {
			time.Sleep(rest)
		}
	}
	time.Sleep(2 * settled)
	conn.SetReadDeadline(time.Unix(1, 0))
	return sent, errors.Join(err, <-heard)
}

// send waits for room at the other end, also where the kernel does not.
func send(conn net.Conn, b []byte) error {
	late := time.Now().Add(10 * time.Second)
	conn.SetWriteDeadline(late)
	for {
		_, err := conn.Write(b)
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(late) {
			return err
		}
		time.Sleep(rest)
	}
}

// asked is how long requests were, the longest of the same identity. Those of long
// ago are forgotten.
type asked struct {
	mu              sync.Mutex
	lengths, before map[uint64]int
}

func (a *asked) note(id uint64, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lengths) > 1<<16 {
		a.before, a.lengths = a.lengths, make(map[uint64]int)
	}
	a.lengths[id] = max(a.lengths[id], n)
}

func (a *asked) most(id uint64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.lengths[id], a.before[id])
}

// listen reads answers until the deadline. None may be longer than its request.
func (p *protocol) listen(conn net.Conn, a *asked) error {
	var b [64 << 10]byte
	for {
		n, err := conn.Read(b[:])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case n < 12:
			return fmt.Errorf("an answer of %d octets", n)
		}
		if most := a.most(p.answer(b[:n])); n > most {
			return fmt.Errorf("an answer of %d octets to a request of %d: % x", n, most, b[:min(n, 48)])
		}
	}
}

// harmless is nearlyCommand without those that a unix socket may give and that end
// the test: shutdown, allow, deny and their like.
func harmless(r *rand.Rand, b []byte) {
	nearlyCommand(r, b)
	switch c := cmdmon.Command(binary.BigEndian.Uint16(b[4:])); {
	case c == cmdmon.Shutdown, c >= cmdmon.Allow && c <= cmdmon.CmdDenyAll:
		binary.BigEndian.PutUint16(b[4:], uint16(cmdmon.Tracking))
	}
}

// stream sends octets over connections.
func (s *Soak) stream(r *rand.Rand, until time.Time, network, at string, nearly func(*rand.Rand, []byte)) (sent uint64, err error) {
	for ; time.Now().Before(until); sent++ {
		if err := s.one(network, at, noise(r, nearly)); err != nil {
			return sent, err
		}
		time.Sleep(rest)
	}
	return sent, nil
}

func (s *Soak) one(network, at string, b []byte) error {
	var conn net.Conn
	err := s.space.Inside(func() (err error) {
		conn, err = net.DialTimeout(network, at, 10*time.Second)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	conn.Write(b) // it may have hung up already
	var answer [64 << 10]byte
	for {
		if _, err := conn.Read(answer[:]); err != nil {
			return nil
		}
	}
}
