// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"
	"math/rand/v2"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

const (
	// firstDelay is the pause before the first request.
	firstDelay = 0.2
	// maxServerInterval is the longest time that a server may take to answer.
	maxServerInterval = 4.0
	// maxInterleavedMissed is how many requests may be unanswered before the
	// next one is basic again: the server has forgotten our timestamps.
	maxInterleavedMissed = 4
	burstGood            = 4
	burstTotal           = 8
	presendWait          = 2.0
)

// Request is a packet that the association wants sent.
type Request struct {
	Packet ntp.Packet
	// Timed asks for the transmit timestamp to be set at the last moment.
	// Otherwise it is set already, to random bits.
	Timed bool
	// Fresh asks for a new socket: each request of a client comes from
	// another random port.
	Fresh    bool
	MonoRoot bool // append an empty F323 field
}

// Online starts polling, with a burst if so configured.
func (a *Association) Online(now clock.Now, env *Env) {
	switch a.state {
	case Offline:
		a.state = Online
		a.schedule(now, firstDelay, env)
		if a.cfg.IBurst && !a.cfg.Symmetric {
			a.StartBurst(burstGood, burstTotal, now, env)
		}
	case BurstOffline:
		a.state = BurstOnline
	}
}

// Offline stops polling. The statistics stay.
func (a *Association) Offline() {
	switch a.state {
	case Online:
		a.takeOffline()
	case BurstOnline:
		a.state = BurstOffline
	}
}

func (a *Association) takeOffline() {
	a.state, a.deadline, a.awaiting = Offline, clock.Mono{}, false
	a.reach, a.reaches = 0, 0
	a.poll.restart(&a.cfg)
}

// StartBurst makes up to total requests in quick succession until good of them
// gave samples. Without effect during a burst.
func (a *Association) StartBurst(good, total int, now clock.Now, env *Env) {
	switch a.state {
	case Online:
		a.state = BurstOnline
	case Offline:
		a.state = BurstOffline
	default:
		return
	}
	a.burst = burst{good: good, total: total}
	if a.lastTx.IsZero() {
		a.schedule(now, firstDelay, env)
		return
	}
	a.schedule(now, max(0.02, a.burstInterval()-now.Mono.Sub(a.lastTx).Seconds()), env)
}

// Delay postpones the next request by at least d seconds, to keep requests of
// different sources apart.
func (a *Association) Delay(now clock.Now, d float64) {
	if t := now.Mono.Add(clock.Seconds(d)); a.deadline.Before(t) && a.deadline != (clock.Mono{}) {
		a.deadline = t
	}
}

// Hurry asks for the next request soon: what was known is void.
func (a *Association) Hurry(now clock.Now) {
	soon := now.Mono.Add(clock.Seconds(firstDelay))
	if a.state != Offline && soon.Before(a.deadline) {
		a.deadline = soon
	}
}

// Deadline returns when [Association.OnDeadline] must be called, zero for never.
func (a *Association) Deadline() clock.Mono {
	if a.deadline.IsZero() || !a.hangup.IsZero() && a.hangup.Before(a.deadline) {
		return a.hangup
	}
	return a.deadline
}

// Outcome says what a deadline brought.
type Outcome uint8

// Outcomes of a deadline.
const (
	Nothing  Outcome = iota
	Transmit         // send the request
	Hangup           // close the socket: no answer is awaited any more
)

// OnDeadline does what is due. On Transmit, req is filled in.
func (a *Association) OnDeadline(now clock.Now, env *Env, req *Request) Outcome {
	if !a.hangup.IsZero() && !now.Mono.Before(a.hangup) {
		a.hangup, a.awaiting = clock.Mono{}, false
		return Hangup
	}
	if a.deadline.IsZero() || now.Mono.Before(a.deadline) {
		return Nothing
	}
	if a.state == BurstOffline && a.burst.total <= 0 {
		a.takeOffline()
		return Nothing
	}
	a.filter(now, env)
	a.nextPacket()
	a.build(env, req)
	a.afterTransmit(now, env)
	return Transmit
}

// nextPacket decides whether the next packet is a warm-up (option presend: one
// that fills the ARP caches on the way, two in interleaved mode), and accounts
// for the request before if it was never answered.
func (a *Association) nextPacket() {
	if a.warm > 0 {
		a.warm--
		return
	}
	if a.missed > 0 {
		a.markReach(false)
		a.poll.lost(&a.cfg, a.missed)
	}
	if a.cfg.Presend <= a.poll.poll && !a.cfg.Symmetric {
		a.warm = 1
		if a.cfg.XLeave {
			a.warm = 2
		}
	}
}

func (a *Association) markReach(ok bool) {
	a.reach <<= 1
	if ok {
		a.reach |= 1
	}
	a.reaches = min(a.reaches+1, 8)
}

// build fills in the request and remembers what it needs to know its answer.
func (a *Association) build(env *Env, req *Request) {
	interleaved := a.wantInterleaved()
	*req = Request{Fresh: !a.cfg.Symmetric, MonoRoot: a.cfg.MonoRoot && a.auto == ntp.Version}
	p := &req.Packet
	p.Version, p.Poll = a.auto, a.Poll()
	if a.cfg.Symmetric || a.local.answered {
		// A server tells about the last exchange that was whole.
		a.local.prevTx = a.local.tx
	}
	a.local.answered = false
	a.local.interleavedRequest = interleaved
	if a.cfg.Symmetric {
		a.buildSymmetric(env, req, interleaved)
	} else {
		a.buildClient(env, req, interleaved)
	}
	a.local.tx = moment{}
	a.local.txNTP = p.Transmit
	a.awaiting = true
	a.Counters.Sent++
}

// wantInterleaved tells whether the next request can be interleaved.
func (a *Association) wantInterleaved() bool {
	if !a.cfg.XLeave || a.remote.rx == 0 || a.local.rx.kind == clock.StampNone {
		return false
	}
	if a.cfg.Symmetric {
		return a.missedOld < maxInterleavedMissed
	}
	return a.missed < maxInterleavedMissed
}

// buildClient tells the server nothing but what it needs: our transmit
// timestamp is random, so that nobody can forge an answer to it, and does not
// disclose our clock. An interleaved request repeats the server's receive
// timestamp, by which the server finds when its last answer really left.
func (a *Association) buildClient(env *Env, req *Request, interleaved bool) {
	p := &req.Packet
	p.Mode, p.Precision = ntp.ModeClient, 32
	p.Transmit = randomStamp(env.Rand)
	if interleaved {
		p.Origin = a.remote.rx
		a.local.rxNTP = randomStamp(env.Rand)
		p.Receive = a.local.rxNTP
	} else {
		a.local.rxNTP = 0
	}
}

// randomStamp returns 64 random bits that are not zero, since zero means
// "no timestamp".
func randomStamp(r *rand.Rand) ntp.Timestamp {
	for {
		if v := r.Uint64(); v != 0 {
			return ntp.Timestamp(v)
		}
	}
}

// buildSymmetric says what we serve, since the peer may follow us.
func (a *Association) buildSymmetric(env *Env, req *Request, interleaved bool) {
	p := &req.Packet
	p.Mode, p.Precision = ntp.ModeActive, env.Precision
	env.Local.Describe(p)
	p.Receive = a.local.rxNTP
	if a.local.rx.kind != clock.StampNone && a.local.rxNTP == 0 {
		a.local.rxNTP = ntp.FromInstant(a.local.rx.at).Fuzz(env.Precision, env.Rand.Uint64())
		p.Receive = a.local.rxNTP
	}
	if interleaved {
		p.Origin = a.remote.rx
		p.Transmit = ntp.FromInstant(a.local.prevTx.at).Fuzz(env.Precision, env.Rand.Uint64())
		return
	}
	p.Origin = a.remote.tx
	req.Timed = true
}

// Describe fills the fields of p that tell about the clock.
func (r *Reference) Describe(p *ntp.Packet) {
	p.Leap, p.Stratum, p.RefID = r.Leap, r.Stratum, r.RefID
	p.RootDelay, p.RootDisp = ntp.ToShort(r.RootDelay), ntp.ToShort(r.RootDisp)
	if !r.Time.IsZero() {
		p.Reference = ntp.FromInstant(r.Time)
	}
}

// Sealed tells the transmit timestamp that a Timed request got, and when the
// request was handed to the kernel.
func (a *Association) Sealed(t ntp.Timestamp, at clock.Served) {
	a.local.txNTP = t
	a.Counters.TxStamps.moved(a.local.tx.kind, clock.StampDaemon)
	a.local.tx = moment{at: at, kind: clock.StampDaemon}
}

// Transmitted tells when the last request left. A stamp from nearer to the wire
// replaces one from farther away, unless they differ by more than 1 s.
func (a *Association) Transmitted(s clock.Stamp, env *Env) {
	at := env.Correction.Served(s.Time)
	old := &a.local.tx
	if old.kind != clock.StampNone {
		if s.Kind < old.kind || math.Abs(at.Sub(old.at).Seconds()) > 1 {
			return
		}
	}
	a.Counters.TxStamps.moved(old.kind, s.Kind)
	*old = moment{at: at, err: s.Err, kind: s.Kind}
}

// afterTransmit counts, and sets the next deadlines.
func (a *Association) afterTransmit(now clock.Now, env *Env) {
	a.lastTx = now.Mono
	if !a.cfg.Symmetric {
		a.hangup = now.Mono.Add(clock.Seconds(min(a.cfg.MaxDelay, 1000) + maxServerInterval))
	}
	if a.warm > 0 {
		a.schedule(now, presendWait, env)
		return
	}
	a.missed++
	if a.median != nil {
		a.median.Poll()
	}
	a.insist()
	if a.state == BurstOnline || a.state == BurstOffline {
		a.burst.total--
	}
	if a.state == BurstOnline {
		a.endBurst() // offline, the last request still awaits its answer
	}
	if a.state == Offline {
		return
	}
	a.schedule(now, a.interval(env), env)
}

// insist begins a short burst at a regular poll (option burst), which ends with
// the first good sample: where most answers are of no use, one poll gets a few
// tries, but no more packets are sent than at the shortest interval.
func (a *Association) insist() {
	if !a.cfg.Burst || a.state != Online || a.cfg.Symmetric {
		return
	}
	if extra := min(int(a.Poll())-int(a.cfg.MinPoll), 2); extra > 0 {
		a.state, a.burst = BurstOnline, burst{good: 1, total: 1 << extra}
	}
}

// endBurst leaves the burst once it has its samples or made its requests.
func (a *Association) endBurst() {
	if a.burst.good > 0 && a.burst.total > 0 {
		return
	}
	switch a.state {
	case BurstOnline:
		a.state = Online
	case BurstOffline:
		a.takeOffline()
	}
}

func (a *Association) burstInterval() float64 {
	return min(2, clock.Pow2(a.Poll())/4)
}

// interval returns the seconds between this request and the next.
func (a *Association) interval(env *Env) float64 {
	if a.state == BurstOnline || a.state == BurstOffline {
		return a.burstInterval()
	}
	d := clock.Pow2(a.Poll())
	if a.cfg.Symmetric {
		// Both sides poll at the shorter interval of the two.
		if a.valid && a.remote.poll >= a.cfg.MinPoll {
			d = min(d, clock.Pow2(a.remote.poll))
		}
		if a.cfg.XLeave && a.missed > 0 {
			d *= 1.1 // so that packets of the two sides alternate
		}
	}
	if a.kod {
		a.kod, d = false, d*5
	}
	return d
}

// schedule sets the next transmission, up to 2 % later than asked for so that
// clients of a server do not stay in step.
func (a *Association) schedule(now clock.Now, after float64, env *Env) {
	after *= 1 + 0.02*env.Rand.Float64()
	a.deadline = now.Mono.Add(clock.Seconds(after))
}
