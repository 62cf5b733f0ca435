// SPDX-License-Identifier: Apache-2.0

// Package chronyc holds foliotctl against stock chronyc: both get the same
// arguments and talk to the same invented daemon, and what they send, print and
// return must be equal. The daemon here is for that: its replies are random, so
// that formats are compared over their whole range, but the same for both.
package chronyc

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"foliot/internal/cmdmon"
)

// Daemon is a daemon that invents what it says.
type Daemon struct {
	Seed uint64
	// Old daemons send the reports that chrony before 4.6 had.
	Old bool
	// Status is what is answered instead of reports, if it is not success.
	Status cmdmon.Status
	// Refused is a command that this daemon carries out for nobody, if there is one.
	Refused cmdmon.Command
	// Mangle changes a reply before it is sent, or keeps it back by returning nil.
	Mangle func(attempt uint16, reply []byte) [][]byte

	conn net.PacketConn
	mu   sync.Mutex
	got  []Request
	done chan struct{}
}

// Request is what a client sent, without what differs every time.
type Request struct {
	Command cmdmon.Command
	Attempt uint16
	Data    string // without the zeros at the end
}

// Listen starts a daemon on a port of the loopback.
func Listen() (*Daemon, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Daemon{conn: conn, done: make(chan struct{})}
	go d.serve()
	return d, nil
}

// Close ends the daemon.
func (d *Daemon) Close() {
	d.conn.Close()
	<-d.done
}

// Port is where it listens.
func (d *Daemon) Port() int { return d.conn.LocalAddr().(*net.UDPAddr).Port }

// Set changes the daemon between two runs of clients.
func (d *Daemon) Set(f func(d *Daemon)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

// Requests returns what came in since the last call.
func (d *Daemon) Requests() []Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := d.got
	d.got = nil
	return got
}

func (d *Daemon) serve() {
	defer close(d.done)
	buf := make([]byte, 2000)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, reply := range d.answer(buf[:n]) {
			d.conn.WriteTo(reply, from)
		}
	}
}

func (d *Daemon) answer(b []byte) [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	var h cmdmon.RequestHeader
	if !h.Decode(b) {
		return nil
	}
	data := b[cmdmon.RequestHeaderLen:]
	end := len(data)
	for end > 0 && data[end-1] == 0 {
		end--
	}
	d.got = append(d.got, Request{h.Command, h.Attempt, string(data[:end])})
	reply := d.reply(h, data[:end])
	if d.Mangle != nil {
		return d.Mangle(h.Attempt, reply)
	}
	return [][]byte{reply}
}

// reply is random, but equal requests get equal replies.
func (d *Daemon) reply(h cmdmon.RequestHeader, data []byte) []byte {
	head := cmdmon.ReplyHeader{Command: h.Command, Status: d.Status, Sequence: h.Sequence}
	if d.Old && h.Command == cmdmon.Local3 {
		head.Status = cmdmon.Invalid
	}
	if d.Refused != 0 && h.Command == d.Refused {
		head.Status = cmdmon.Unauthorised
	}
	hash := fnv.New64a()
	hash.Write(binary.BigEndian.AppendUint16(nil, uint16(h.Command)))
	if h.Command != cmdmon.SetTime { // which differs, because time passes
		hash.Write(data)
	}
	g := generator{rand.New(rand.NewPCG(d.Seed, hash.Sum64()))}
	if head.Status != cmdmon.Success {
		return cmdmon.AppendReply(nil, head, nil)
	}
	switch m := g.report(h.Command, data).(type) {
	case *cmdmon.ServerStatsReply:
		if d.Old {
			return cmdmon.AppendReply(nil, head, &cmdmon.ServerStats3Reply{ServerStatsReply: *m})
		}
		return cmdmon.AppendReply(nil, head, m)
	case *cmdmon.NTPDataReply:
		if d.Old {
			return cmdmon.AppendReply(nil, head, &cmdmon.NTPData1Reply{NTPDataReply: *m})
		}
		return cmdmon.AppendReply(nil, head, m)
	default:
		return cmdmon.AppendReply(nil, head, m)
	}
}

// sourceCount is how many sources the daemon has.
const sourceCount = 6

// generator makes values up. They are often at a limit of a format.
type generator struct{ *rand.Rand }

func (g generator) report(c cmdmon.Command, data []byte) cmdmon.Reply {
	switch c {
	case cmdmon.NSources:
		return &cmdmon.NSourcesReply{N: sourceCount}
	case cmdmon.SourceData:
		return g.source()
	case cmdmon.SourceStats:
		return &cmdmon.SourceStatsReply{
			RefID: g.id(), Addr: g.addr(), Samples: g.small(), Runs: g.small(), Span: g.age(), SD: math.Abs(g.float()),
			Frequency: g.float() * 1e6, Skew: math.Abs(g.float() * 1e6), Offset: g.float(), OffsetErr: g.float(),
		}
	case cmdmon.SelectData:
		return &cmdmon.SelectDataReply{
			RefID: g.id(), Addr: g.addr(), State: "NsMd~wSOTxWPUD+*"[g.IntN(16)], Authenticated: g.IntN(2) == 1,
			Leap: uint8(g.IntN(6)), Configured: cmdmon.SelectFlags(g.IntN(16)), Effective: cmdmon.SelectFlags(g.IntN(16)),
			LastSample: g.age(), Score: g.Float64() * 20, Lo: g.float(), Hi: g.float(),
		}
	case cmdmon.AuthData:
		return &cmdmon.AuthDataReply{
			Mode: cmdmon.AuthMode(g.IntN(3)), KeyType: uint16(g.IntN(40)), KeyID: g.id(), KeyBits: uint16(g.small()),
			KEAttempts: uint16(g.small()), LastKE: g.age(), Cookies: uint16(g.IntN(9)), CookieLen: uint16(g.small()), NAK: uint16(g.IntN(2)),
		}
	case cmdmon.SourceName:
		return &cmdmon.SourceNameReply{Name: g.name()}
	case cmdmon.Clients:
		return g.clients(data)
	case cmdmon.NTPData:
		return g.ntpData()
	}
	return g.clock(c)
}

func (g generator) clock(c cmdmon.Command) cmdmon.Reply {
	switch c {
	case cmdmon.Tracking:
		return &cmdmon.TrackingReply{
			RefID: g.id(), Addr: g.addr(), Stratum: uint16(g.IntN(17)), Leap: uint16(g.IntN(5)), RefTime: g.time(),
			Correction: g.float(), LastOffset: g.float(), RMSOffset: math.Abs(g.float()), Frequency: g.float() * 1e6,
			Residual: g.float(), Skew: math.Abs(g.float()), RootDelay: g.float(), RootDispersion: math.Abs(g.float()), Interval: g.float(),
		}
	case cmdmon.Smoothing:
		return &cmdmon.SmoothingReply{
			Flags: uint32(g.IntN(4)), Offset: g.float(), Frequency: g.float(), Wander: g.float(), LastUpdate: g.float(), Remaining: g.float(),
		}
	case cmdmon.RTCReport:
		return &cmdmon.RTCReply{RefTime: g.time(), Samples: uint16(g.small()), Runs: uint16(g.small()), Span: g.age(), Fast: g.float(), Gain: g.float()}
	case cmdmon.SetTime:
		return &cmdmon.ManualTimestampReply{Offset: g.float(), FrequencyShift: g.float(), Frequency: g.float()}
	case cmdmon.ManualList:
		m := &cmdmon.ManualListReply{N: uint32(g.IntN(cmdmon.MaxManualSamples + 1))}
		for i := range m.Samples {
			m.Samples[i] = cmdmon.ManualSample{When: g.time(), Slewed: g.float(), Original: g.float(), Residual: g.float()}
		}
		return m
	case cmdmon.Activity:
		return &cmdmon.ActivityReply{Online: g.small(), Offline: g.id(), BurstOnline: g.small(), BurstOffline: g.small(), Unresolved: g.small()}
	case cmdmon.ServerStats:
		return &cmdmon.ServerStatsReply{
			NTPHits: g.wide(), NKEHits: g.wide(), CmdHits: g.wide(), NTPDrops: g.wide(), NKEDrops: g.wide(), CmdDrops: g.wide(),
			LogDrops: g.wide(), AuthHits: g.wide(), InterleavedHits: g.wide(), Timestamps: g.wide(), Span: g.wide(),
			DaemonRx: g.wide(), DaemonTx: g.wide(), KernelRx: g.wide(), KernelTx: g.wide(), HardwareRx: g.wide(), HardwareTx: g.wide(),
		}
	}
	return nil
}

func (g generator) source() cmdmon.Reply {
	m := &cmdmon.SourceDataReply{
		Addr: g.addr(), Poll: int16(g.IntN(32) - 8), Stratum: uint16(g.IntN(17)), State: cmdmon.SourceState(g.IntN(6)),
		Mode: cmdmon.SourceMode(g.IntN(3)), Reach: uint16(g.IntN(256)), SinceSample: g.age(),
		OrigOffset: g.float(), Offset: g.float(), OffsetErr: math.Abs(g.float()),
	}
	if m.Mode == cmdmon.ModeRefclock {
		m.Addr = cmdmon.IPAddr{Addr: netip.AddrFrom4([4]byte{'P', 'P', byte('0' + g.IntN(10)), 0})}
	}
	return m
}

func (g generator) ntpData() cmdmon.Reply {
	return &cmdmon.NTPDataReply{
		Remote: g.addr(), Local: g.addr(), RemotePort: uint16(g.IntN(65536)), Leap: uint8(g.IntN(5)), Version: uint8(g.IntN(5)),
		Mode: uint8(g.IntN(8)), Stratum: uint8(g.IntN(17)), Poll: int8(g.IntN(40) - 8), Precision: int8(-g.IntN(33)),
		RootDelay: g.float(), RootDispersion: g.float(), RefID: g.id(), RefTime: g.time(), Offset: g.float(), PeerDelay: g.float(),
		PeerDispersion: g.float(), ResponseTime: g.float(), JitterAsymmetry: g.Float64() - 0.5, Flags: uint16(g.IntN(65536)),
		TxStamp: "DKH\x00"[g.IntN(4)], RxStamp: "DKH\x00"[g.IntN(4)], Tx: g.id(), Rx: g.small(), Valid: g.small(), Good: g.small(),
		KernelTx: g.small(), KernelRx: g.small(), HardwareTx: g.small(), HardwareRx: g.small(),
	}
}

// clientRecords is how many records of clients there are: three pages.
const clientRecords = 20

func (g generator) clients(data []byte) cmdmon.Reply {
	first := uint32(0)
	if len(data) >= 4 {
		first = binary.BigEndian.Uint32(data)
	}
	m := &cmdmon.ClientsReply{Indices: clientRecords, Next: min(first+cmdmon.MaxClients, clientRecords)}
	m.N = m.Next - min(first, m.Next)
	for i := range m.Clients {
		m.Clients[i] = cmdmon.Client{
			Addr: g.addr(), NTPHits: g.id(), NKEHits: g.small(), CmdHits: g.small(), NTPDrops: g.small(), NKEDrops: g.id(), CmdDrops: g.small(),
			NTPInterval: g.interval(), NKEInterval: g.interval(), CmdInterval: g.interval(), TimeoutInterval: g.interval(),
			NTPLast: g.age(), NKELast: g.age(), CmdLast: g.age(),
		}
	}
	return m
}

func (g generator) id() uint32    { return g.Uint32() }
func (g generator) small() uint32 { return g.Uint32N(1 << g.IntN(15)) }
func (g generator) wide() uint64  { return g.Uint64() >> g.IntN(64) }

func (g generator) interval() int8 {
	if g.IntN(3) == 0 {
		return cmdmon.NoInterval
	}
	return int8(g.IntN(40) - 10)
}

// age is near the limit of a unit, or missing.
func (g generator) age() uint32 {
	limits := []uint32{cmdmon.NoSample, 0, 999, 1024, 1199, 1200, 35999, 36000, 345599, 345600, 86400 * 999, 86400 * 1000, g.Uint32(), g.small()}
	return limits[g.IntN(len(limits))]
}

// float is of any size, and often near the limit of a unit.
func (g generator) float() float64 {
	v := math.Pow(10, g.Float64()*24-12)
	if g.IntN(3) == 0 {
		limits := []float64{0, 9999.5e-9, 9999.4e-9, 9999.5e-6, 9999.5e-3, 999.5, 99999.5, 99999.5 * 60, 99999.5 * 3600, 99999.5 * 86400}
		v = limits[g.IntN(len(limits))] * (1 + (g.Float64()-0.5)*1e-6)
	}
	if g.IntN(2) == 0 {
		return -v
	}
	return v
}

func (g generator) time() cmdmon.Timespec {
	return cmdmon.Timespec{Sec: g.Int64N(1 << (1 + g.IntN(33))), Nsec: g.Uint32N(1_000_000_000)}
}

func (g generator) addr() cmdmon.IPAddr {
	switch g.IntN(8) {
	case 0:
		return cmdmon.IPAddr{}
	case 1:
		return cmdmon.IPAddr{ID: 1 + g.Uint32N(1000)}
	case 2, 3, 4:
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], 0x2001<<48|g.Uint64()>>(16+g.IntN(48)))
		binary.BigEndian.PutUint64(b[8:], g.Uint64()>>g.IntN(64))
		return cmdmon.IPAddr{Addr: netip.AddrFrom16(b)}
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], g.Uint32())
	return cmdmon.IPAddr{Addr: netip.AddrFrom4(b)}
}

func (g generator) name() string {
	b := make([]byte, 1+g.IntN(60))
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789.-"[g.IntN(38)]
	}
	return string(b)
}
