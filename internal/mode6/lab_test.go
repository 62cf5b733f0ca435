// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	here  = netip.MustParseAddrPort("127.0.0.1:40000")
	here6 = netip.MustParseAddrPort("[::1]:40000")
	there = netip.MustParseAddrPort("198.51.100.7:40000")
)

// noon is the time in the lab, a day after the daemon started.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 250e6, time.UTC)

func labNow(at time.Time) clock.Now {
	return clock.Now{Wall: clock.At[clock.Realtime](at.UnixNano()), Mono: clock.At[clock.Raw](at.Sub(noon).Nanoseconds() + 90000e9)}
}

// labState is a daemon that follows a server of stratum 1 among sources of every
// kind.
func labState(at time.Time) *state.State {
	now := labNow(at)
	served := clock.ServedAt(now.Wall, 0.000012)
	ago := func(s float64) clock.Served { return served.Add(clock.Seconds(-s)) }
	selected := labSource(1, "ntp1.example.net", "192.0.2.1", selection.Selected, ago(17))
	selected.Samples.Offset, selected.Samples.OffsetSD = 0.000123456, 1e-6
	combined := labSource(2, "ntp2.example.net", "2001:db8::123", selection.Combined, ago(40))
	combined.Report.Packet.Stratum, combined.Stratum = 2, 2
	combined.Report.Packet.RefID = ntp.RefID(203<<24 | 113<<8 | 9)
	combined.Local = netip.MustParseAddr("2001:db8::99")
	combined.Pool, combined.Reach = true, 0o357
	combined.Samples.Last = -0.00234
	liar := labSource(3, "192.0.2.3", "192.0.2.3", selection.Falseticker, ago(3))
	liar.Samples.Last = -1.5
	liar.Auth = state.Auth{Symmetric: true, KeyID: 42, KeyType: "SHA256", KeyBits: 256}
	far := labSource(4, "192.0.2.4", "192.0.2.4", selection.Outlier, ago(1000))
	far.Mode, far.Report.Packet.Mode = state.Peer, ntp.ModeActive
	silent := state.Source{
		ID: 5, Name: "192.0.2.5", Addr: netip.MustParseAddrPort("192.0.2.5:123"), Status: selection.Missing,
		Poll: 6, MinPoll: 6, MaxPoll: 10, Unanswered: 9, Reached: 8,
	}
	gps := state.Source{
		ID: 6, Name: "GPS", Mode: state.RefClock, Status: selection.NotSelectable, Poll: 4, MinPoll: 4, MaxPoll: 4, Reach: 0o377,
		RefID:   ntp.RefID('G'<<24 | 'P'<<16 | 'S'<<8),
		Samples: state.Samples{N: 8, LastAge: 5, Last: 0.0001, LastRaw: 0.0001, Jitter: 2e-6},
	}
	return &state.State{
		Now: now, Served: served, Started: now.Mono.Add(-86400 * clock.Second), Version: "1.2",
		Tracking: state.Tracking{
			Synchronized: true, Source: "ntp1.example.net", Addr: netip.MustParseAddr("192.0.2.1"), Stratum: 2,
			RefID: ntp.RefID(192<<24 | 0<<16 | 2<<8 | 1), RefTime: ago(17), LastOffset: 0.000012345, RMSOffset: 0.00002,
			Frequency: clock.FromPPM(-12.345), Skew: clock.FromPPM(0.012), RootDelay: 0.0105, RootDisp: 0.0021, OffsetSD: 3e-6,
		},
		Clock: state.Clock{Precision: 25e-9},
		Kernel: state.Kernel{
			Valid: true, Synchronized: true, Status: 0x2001, Offset: 0.0000015, Frequency: clock.FromPPM(-12.345),
			MaxError: 0.0123, EstError: 0.0001, Constant: 7, Precision: 1e-6, Tolerance: clock.FromPPM(500), Tick: 10000,
		},
		Sources:  []state.Source{selected, combined, liar, far, silent, gps},
		Unsolved: []string{"ntp.example.invalid"},
		Server: state.Server{
			Open: true, Records: 3, Evicted: 7, Unsent: 2, Overflow: 5,
			Total: responder.Counters{Verdicts: [responder.Verdicts]uint64{1000, 11, 3, 4, 20, 1, 6, 70, 500}, Versions: [4]uint64{2, 0, 9, 1000}},
		},
		Config: state.Configuration{TAI: 37},
	}
}

func labSource(id uint32, name, addr string, status selection.Status, heard clock.Served) state.Source {
	s := state.Source{
		ID: id, Name: name, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 123), Local: netip.MustParseAddr("192.0.2.99"),
		Status: status, Poll: 6, MinPoll: 6, MaxPoll: 10, Reach: 0o377, Reached: 8, Stratum: 1, HasReport: true,
		Samples: state.Samples{N: 8, LastAge: 17, Last: 0.0001, Delay: 0.0105, Dispersion: 0.0004, Jitter: 0.000015},
		Report: source.Report{Time: heard, Tests: ^source.Tests(0), Packet: ntp.Packet{
			Version: 4, Mode: ntp.ModeServer, Stratum: 1, Poll: 6, Precision: -25, RootDelay: 66, RootDisp: 131,
			RefID: ntp.RefID('P'<<24 | 'P'<<16 | 'S'<<8), Reference: ntp.FromInstant(heard.Add(-5 * clock.Second)),
		}},
	}
	s.Counts.Sent, s.Counts.Received, s.Counts.Valid = 100, 98, 97
	s.Counts.Verdicts[source.Duplicate] = 1
	return s
}

// labClients are clients as a server's table holds them.
func labClients(n int, at time.Time) []clientlog.Record {
	table := clientlog.New(int64(n)*8*clientlog.RecordSize, clientlog.HashKey{1, 2})
	limit := clientlog.NewLimit(3, 8, 2, 0)
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%3 == 2 {
			a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(i >> 16), byte(i >> 8), byte(i), 15: 1})
		}
		hits := 1 + i%4*7
		for k := range hits {
			ago := time.Duration(n-i)*time.Second + time.Duration(hits-1-k)*64*time.Second
			if i%4 == 3 {
				ago = time.Duration(n-i)*time.Second + time.Duration(hits-1-k)*time.Millisecond
			}
			table.Hit(clientlog.PrefixOf(a), labNow(at.Add(-ago)).Wall, uint8(3+i%2), limit, func() uint64 { return 1 })
		}
	}
	var list []clientlog.Record
	for r := range table.All() {
		list = append(list, *r)
	}
	return list
}

// lab is a responder with its requests.
type lab struct {
	*testing.T
	r     *Responder
	from  netip.AddrPort
	at    time.Time
	state *state.State
	list  func() []clientlog.Record
}

func newLab(t *testing.T) *lab {
	return &lab{
		T: t, from: here, at: noon, state: labState(noon),
		r:    New(Config{Secret: [32]byte{1, 2, 3}, Machine: Machine{"x86_64", "Linux", "6.1.0"}}),
		list: func() []clientlog.Record { return labClients(3, noon) },
	}
}

// encode makes a request.
func encode(version uint8, op operation, assoc uint16, body string) []byte {
	b := make([]byte, headerLen, headerLen+len(body)+3)
	b[0], b[1] = version<<3|6, byte(op)
	binary.BigEndian.PutUint16(b[2:], 77)
	binary.BigEndian.PutUint16(b[6:], assoc)
	binary.BigEndian.PutUint16(b[10:], uint16(len(body)))
	b = append(b, body...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// send sends octets and returns the datagrams that answer them.
func (l *lab) send(b []byte) [][]byte {
	return l.r.Respond(&Request{Octets: b, From: l.from, Now: labNow(l.at), State: l.state, Clients: l.list})
}

// message is an answer put together.
type message struct {
	code   failure // error code
	status uint16
	data   string
	frags  int
}

// ask sends a request and puts the answer together, as ntpq does.
func (l *lab) ask(op operation, assoc uint16, body string) message {
	l.Helper()
	frags := l.send(encode(2, op, assoc, body))
	m := message{frags: len(frags)}
	for i, b := range frags {
		l.check(b, op, assoc)
		count := int(binary.BigEndian.Uint16(b[10:]))
		if int(binary.BigEndian.Uint16(b[8:])) != len(m.data) {
			l.Fatalf("fragment %d is at %d, want %d", i, binary.BigEndian.Uint16(b[8:]), len(m.data))
		}
		if more := b[1]&flagMore != 0; more != (i < len(frags)-1) {
			l.Fatalf("fragment %d of %d says more: %v", i, len(frags), more)
		}
		m.data += string(b[headerLen : headerLen+count])
		m.status = binary.BigEndian.Uint16(b[4:])
		if b[1]&flagError != 0 {
			m.code, m.status = failure(m.status>>8), 0
		}
	}
	return m
}

// check checks what every datagram of an answer must be.
func (l *lab) check(b []byte, op operation, assoc uint16) {
	l.Helper()
	count := int(binary.BigEndian.Uint16(b[10:]))
	if b[0]&7 != 6 || b[0]>>3&7 != 2 || b[1]&flagResponse == 0 || operation(b[1]&0x1f) != op ||
		binary.BigEndian.Uint16(b[2:]) != 77 || binary.BigEndian.Uint16(b[6:]) != assoc {
		l.Fatalf("header %x does not answer opcode %d", b[:headerLen], op)
	}
	if count > maxData || len(b) != headerLen+(count+3)&^3 {
		l.Fatalf("%d octets with %d of data", len(b), count)
	}
}

// variables reads the text of an answer.
func (m message) variables() map[string]string {
	vars := map[string]string{}
	rest := strings.TrimSuffix(m.data, "\r\n")
	for rest != "" {
		end, quoted := 0, false
		for end < len(rest) && (quoted || rest[end] != ',') {
			quoted = quoted != (rest[end] == '"')
			end++
		}
		name, value, _ := strings.Cut(strings.TrimSpace(rest[:end]), "=")
		vars[name] = strings.Trim(value, `"`)
		rest = rest[min(end+1, len(rest)):]
	}
	return vars
}

// golden compares with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got = strings.ReplaceAll(got, "\r\n", "\n")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func (m message) String() string {
	return fmt.Sprintf("status=%04x code=%d fragments=%d\n%s", m.status, m.code, m.frags, m.data)
}

// fuzzStates are the lab's state and some that are strange.
func fuzzStates() []*state.State {
	empty := &state.State{}
	full, many := labState(noon), labState(noon)
	for i := range 300 {
		s := full.Sources[i%len(full.Sources)]
		s.ID = uint32(i * 1000)
		s.Name = strings.Repeat("x\"\r\n", i)
		many.Sources = append(many.Sources, s)
	}
	wild := labState(noon)
	wild.Started = wild.Now.Mono.Add(clock.Second)
	wild.Tracking.LastOffset = clock.Offset(math.NaN())
	wild.Clock.Precision = -1
	for i := range wild.Sources {
		s := &wild.Sources[i]
		s.Poll, s.Stratum, s.Leap, s.Status = -128, 255, 7, selection.Status(i*50)
		s.Samples.LastAge = math.Inf(1)
		s.Report.Packet.Poll = 127
		s.Addr = netip.AddrPort{}
	}
	return []*state.State{full, empty, many, wild}
}
