// SPDX-License-Identifier: Apache-2.0

// Package probe measures the clocks of many hosts against ours: it decides whom to
// ask when, takes the answers in, and says how far each clock is off and within
// what bound. It owns no socket and reads no clock. How a request looks, which
// answers are believed and how samples become a line is not its business either:
// each host is a [source.Association], the same as the daemon's, which nobody
// follows.
//
// The one concept is the fleet: hosts in a heap by what is due next. Their first
// requests are spread over one interval, so that neither the network nor the
// sender sees a burst, however many there are. In steady state nothing allocates.
//
// Signs are those of [foliot/internal/clock]: a positive offset means that the
// local clock is behind, so the host is ahead of us.
package probe

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// Config says how a fleet is asked.
type Config struct {
	Poll      int8             // log2 seconds between two requests to a host, 0..17 (more often is for the near, see source)
	Count     int              // requests to each host, 0 for no limit
	Series    int              // points kept of each host, at least 16
	Basic     bool             // no interleaved exchanges
	Asymmetry float64          // how much of the shortest round trip the ways may differ by: 0..1, 1 bounds everything
	Precision clock.Dispersion // of our clock
	Seed      uint64
}

// Spec is a host to be asked.
type Spec struct {
	Addr netip.AddrPort
	Key  auth.Key // zero for none
}

// grace is how long the last answer is waited for, seconds.
const grace = 1.0

// begin is when the first request leaves, seconds: an association waits for
// about as long by itself, all of them equally.
const begin = 0.21

// never is later than every deadline.
const never = math.MaxInt64

// Fleet is the hosts that are measured. Not safe for concurrent use.
type Fleet struct {
	cfg     Config
	rng     *rand.Rand
	targets []target
	heap    []int32 // indices of targets, the earliest first
	place   []int32 // where in the heap each target is
	due     []int64 // its deadline, nanoseconds of Mono
	env     source.Env
	req     source.Request
	last    clock.Now // of the last look at the clocks
	end     int64     // when hosts that were slow to answer are given up, never without a count
	Jumps   int       // how often somebody stepped our clock
	Late    Lateness  // of sending, by our own doing
}

// target is one host.
type target struct {
	assoc       *source.Association
	txID        uint32
	finish      int64 // when the last answer is not waited for any longer, never until then
	series      series
	fault       Fault
	faults      int
	kisses      int
	denied      ntp.RefID // kiss code that ends asking, 0 for none
	interleaved uint64
	unsynced    stats.Sample // with the shortest round trip from a host without time, zero for none
}

// NewFleet returns a fleet whose first requests are due within an interval from now.
func NewFleet(cfg Config, specs []Spec, now clock.Now) *Fleet {
	f := &Fleet{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x7261636b)), last: now,
		targets: make([]target, len(specs)), heap: make([]int32, len(specs)),
		place: make([]int32, len(specs)), due: make([]int64, len(specs)),
	}
	f.env = source.Env{Precision: -30, Quantum: float64(cfg.Precision), Rand: f.rng}
	step := clock.Pow2(cfg.Poll)
	f.end = never
	if cfg.Count > 0 {
		f.end = now.Mono.Add(clock.Seconds(begin + 1.05*step*float64(cfg.Count+1) + grace)).Nanos()
	}
	for i := range specs {
		t := &f.targets[i]
		t.assoc = source.New(f.association(&specs[i]), new(stats.Line))
		t.finish = never
		t.series.init(cfg.Series)
		t.assoc.Online(now, &f.env)
		t.assoc.Delay(now, begin+step*phase(i))
		f.heap[i], f.place[i] = int32(i), int32(i)
		f.due[i] = t.assoc.Deadline().Nanos()
	}
	for i := len(specs)/2 - 1; i >= 0; i-- {
		f.down(i)
	}
	return f
}

// phase spreads hosts over an interval such that any of them in a row are far
// apart: multiples of the golden ratio (Weyl).
func phase(i int) float64 {
	_, frac := math.Modf(float64(i) * 0.6180339887498949)
	return frac
}

// association is how a host is asked: at a fixed pace, believing all answers
// that are valid. What a long round trip is worth the line through them decides.
func (f *Fleet) association(s *Spec) source.Config {
	const anything = 3 // seconds of round trip, chrony's maxdelay
	return source.Config{
		Addr: s.Addr, MinPoll: f.cfg.Poll, MaxPoll: f.cfg.Poll, PollTarget: 8, Version: ntp.Version,
		XLeave: !f.cfg.Basic, Presend: math.MaxInt8, MaxUnreach: math.MaxInt32, Select: source.NoSelect,
		Key: s.Key, KeyID: s.Key.ID(), Authenticated: s.Key.ID() != 0, MaxDelay: anything,
		Limits: stats.Limits{Precision: float64(f.cfg.Precision), FixedAsym: true},
	}
}

// Len returns how many hosts there are.
func (f *Fleet) Len() int { return len(f.targets) }

// Deadline returns when Next has something, zero if it never will.
func (f *Fleet) Deadline() clock.Mono {
	if len(f.heap) == 0 || f.due[f.heap[0]] == never {
		return clock.Mono{}
	}
	return clock.At[clock.Raw](f.due[f.heap[0]])
}

// Done tells whether nobody is asked any more.
func (f *Fleet) Done() bool { return f.Deadline().IsZero() }

// Stop ends asking. Answers are still waited for.
func (f *Fleet) Stop(now clock.Now) {
	for i := range f.targets {
		if t := &f.targets[i]; t.finish == never {
			t.finish = now.Mono.Add(clock.Seconds(grace)).Nanos()
			if t.assoc.Counters.Sent == t.assoc.Counters.Valid || t.denied != 0 {
				t.finish = 0
			}
			f.schedule(i)
		}
	}
}

// Next does what is due. If that is a request, it is appended to b, and the index
// of its host and the ID of its transmit stamp are returned; otherwise i is
// negative and nothing is due.
func (f *Fleet) Next(now clock.Now, b []byte) (i int, out []byte, txID uint32) {
	f.watch(now)
	for len(f.heap) > 0 {
		i = int(f.heap[0])
		if f.due[i] > now.Mono.Nanos() {
			break
		}
		t, due := &f.targets[i], f.due[i]
		if t.finish <= now.Mono.Nanos() {
			t.finish = 0
			f.schedule(i)
			continue
		}
		outcome := t.assoc.OnDeadline(now, &f.env, &f.req)
		if outcome == source.Transmit && f.cfg.Count > 0 && t.assoc.Counters.Sent >= uint64(f.cfg.Count) {
			t.finish = now.Mono.Add(clock.Seconds(grace)).Nanos()
		}
		f.schedule(i)
		if outcome == source.Transmit {
			f.Late.add(now.Mono.Nanos() - due)
			t.txID = t.txID&0x7fffffff + 1
			return i, f.seal(t, b, now), t.txID
		}
	}
	return -1, b, 0
}

// seal encodes the request that was built, with its MAC.
func (f *Fleet) seal(t *target, b []byte, now clock.Now) []byte {
	start := len(b)
	b = f.req.Packet.AppendTo(b)
	if cfg := t.assoc.Config(); cfg.Authenticated {
		var mac [auth.MaxMACLen]byte
		body := b[start:]
		b = binary.BigEndian.AppendUint32(b, cfg.KeyID)
		n := min(cfg.Key.MACLen(), auth.ShortMACLen)
		b = append(b, cfg.Key.AppendMAC(mac[:0], body)[:n]...)
	}
	t.assoc.Transmitted(clock.Stamp{Time: now.Wall, Kind: clock.StampDaemon, Err: f.cfg.Precision}, &f.env)
	return b
}

// Transmitted tells the stamp of a request.
func (f *Fleet) Transmitted(i int, txID uint32, s clock.Stamp) {
	if t := &f.targets[i]; t.txID == txID {
		t.assoc.Transmitted(s, &f.env)
	}
}

// Received takes an answer in.
func (f *Fleet) Received(i int, in *source.Arrival, now clock.Now) {
	f.watch(now)
	t := &f.targets[i]
	v := t.assoc.Receive(in, now, &f.env)
	switch v {
	case source.Accepted, source.Synced, source.Unsynced:
		f.answered(t, v)
	case source.KissOfDeath:
		// The association has stretched one pause. Here nobody depends on the
		// host, so every further pause is as long: see Config.Poll.
		t.kisses++
		t.assoc.Delay(now, 4*clock.Pow2(f.cfg.Poll)*float64(min(t.kisses, 8)))
	}
	f.schedule(i)
}

// answered keeps what an answer tells beside the association's samples.
func (f *Fleet) answered(t *target, v source.Verdict) {
	r, ok := t.assoc.Report()
	if !ok {
		return
	}
	t.fault = NoFault
	if r.Interleaved {
		t.interleaved++
	}
	if r.Packet.Stratum == 0 && (r.Packet.RefID == ntp.KissDeny || r.Packet.RefID == ntp.KissRstr) {
		t.denied, t.finish = r.Packet.RefID, 0
		return
	}
	if t.assoc.Fresh() {
		s := t.assoc.Register().Last()
		t.series.add(Point{At: s.Time, Offset: s.Offset, Delay: float32(s.Delay)})
	}
	// A server without time says so as stratum 16, which many send as 0.
	if v == source.Unsynced && r.Delay > 0 &&
		(t.unsynced.Time.IsZero() || r.Delay <= t.unsynced.Delay) {
		t.unsynced = stats.Sample{Time: r.Time, Offset: r.Offset, Delay: r.Delay, Disp: r.Disp, RootDelay: r.RootDelay, RootDisp: r.RootDisp}
	}
}

// Failed tells that a request could not be sent, or that ICMP said so.
func (f *Fleet) Failed(i int, why Fault) {
	f.targets[i].fault = why
	f.targets[i].faults++
}

// A wall clock that leaves the monotonic one by more than this was stepped:
// seconds, and ratio of the time that passed (slews reach a tenth).
const (
	jumpLeast = 1e-3
	jumpRatio = 0.12
)

// watch looks whether somebody stepped our clock, which voids all samples.
func (f *Fleet) watch(now clock.Now) {
	passed := now.Mono.Sub(f.last.Mono).Seconds()
	moved := now.Wall.Sub(f.last.Wall).Seconds() - passed
	f.last = now
	if math.Abs(moved) <= jumpLeast+jumpRatio*passed {
		return
	}
	f.Jumps++
	for i := range f.targets {
		t := &f.targets[i]
		t.assoc.Forget()
		t.series.reset()
		t.unsynced = stats.Sample{}
	}
}

// schedule puts a target where its deadline belongs.
func (f *Fleet) schedule(i int) {
	t := &f.targets[i]
	d := t.assoc.Deadline()
	if t.finish == never && d.Nanos() > f.end {
		t.finish = f.end // it made us slow down
	}
	switch {
	case t.finish == 0:
		f.due[i] = never
	case t.finish != never:
		f.due[i] = t.finish
	case d.IsZero():
		f.due[i] = never
	default:
		f.due[i] = d.Nanos()
	}
	f.down(f.up(int(f.place[i])))
}

func (f *Fleet) swap(a, b int) {
	f.heap[a], f.heap[b] = f.heap[b], f.heap[a]
	f.place[f.heap[a]], f.place[f.heap[b]] = int32(a), int32(b)
}

func (f *Fleet) less(a, b int) bool { return f.due[f.heap[a]] < f.due[f.heap[b]] }

func (f *Fleet) up(at int) int {
	for at > 0 && f.less(at, (at-1)/2) {
		f.swap(at, (at-1)/2)
		at = (at - 1) / 2
	}
	return at
}

func (f *Fleet) down(at int) {
	for {
		least := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(f.heap); child++ {
			if f.less(child, least) {
				least = child
			}
		}
		if least == at {
			return
		}
		f.swap(at, least)
		at = least
	}
}
