// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// exchange is one valid packet on its way to become a sample.
type exchange struct {
	packet            *ntp.Packet
	rx                moment
	local             netip.Addr // where it arrived
	interleaved       bool
	interleavedBefore bool
	mono              monoRoot
	haveMono          bool
	sample            stats.Sample
	localInterval     float64 // between our two timestamps, seconds
	remoteInterval    float64
	response          float64 // time the other side took, seconds
	txKind, rxKind    clock.StampKind
	precision         float64
}

// syncTests are tests 6 and 7: the source itself is synchronised, within reason.
func syncTests(p *ntp.Packet, ex *exchange) (t Tests) {
	if p.Leap != ntp.LeapUnsync && p.Stratum > 0 && p.Stratum < ntp.MaxStratum {
		t |= TestSynced
	}
	delay, disp := p.RootDelay.Seconds(), p.RootDisp.Seconds()
	if ex.haveMono {
		delay, disp = ex.mono.rootDelay, ex.mono.rootDisp
	}
	if delay/2+disp < 16 {
		t |= TestDistance
	}
	return t
}

// measure computes offset and delay from the four timestamps of an exchange.
//
// In basic mode they are our transmission, the server's reception and
// transmission, and our reception of this packet. In interleaved mode this
// packet tells when the packet before it really left, which completes the
// exchange before; or, between peers that send at their own pace, the pair
// (their transmission, our reception) of before goes with (our transmission,
// their reception) of now, whichever spans the shorter time.
func (a *Association) measure(ex *exchange, env *Env) bool {
	p := ex.packet
	var l1, l2 moment        // ours: transmission, reception
	var r1, r2 ntp.Timestamp // theirs: reception, transmission
	switch {
	case !ex.interleaved:
		l1, l2, r1, r2 = a.local.tx, ex.rx, p.Receive, p.Transmit
	case a.usePrevious():
		l1, l2, r1, r2 = a.local.prevTx, a.local.rx, a.remote.rx, p.Transmit
	default:
		l1, l2, r1, r2 = a.local.tx, a.local.rx, p.Receive, p.Transmit
	}
	if l1.kind == clock.StampNone || l2.kind == clock.StampNone || r1 == 0 || r2 == 0 {
		return false
	}
	ex.txKind, ex.rxKind = l1.kind, l2.kind
	a.compute(ex, l1, l2, r1.Served(), r2.Served(), env)
	return true
}

// usePrevious tells whether the exchange before was much shorter than the span
// from our last reception to our last transmission.
func (a *Association) usePrevious() bool {
	l := &a.local
	if l.prevTx.kind == clock.StampNone || l.rx.kind == clock.StampNone || a.remote.rx == 0 {
		return false
	}
	before := math.Abs(l.rx.at.Sub(l.prevTx.at).Seconds())
	now := math.Abs(l.tx.at.Sub(l.rx.at).Seconds())
	return !a.cfg.Symmetric || now > 10*before
}

func (a *Association) compute(ex *exchange, tx, rx moment, remoteRx, remoteTx clock.Served, env *Env) {
	p, s := ex.packet, &ex.sample
	half := func(from, to clock.Served) clock.Served { return from.Add(to.Sub(from) >> 1) }
	localMid, remoteMid := half(tx.at, rx.at), half(remoteRx, remoteTx)
	ex.localInterval = rx.at.Sub(tx.at).Seconds()
	ex.remoteInterval = remoteTx.Sub(remoteRx).Seconds()
	ex.response = math.Abs(ex.remoteInterval)
	ex.precision = env.Quantum + clock.Pow2(max(-32, min(p.Precision, 0)))

	s.Time = localMid
	// The two halves are rounded down to the nanosecond; the rest is the odd one.
	odd := float64((remoteTx.Sub(remoteRx)&1)-(rx.at.Sub(tx.at)&1)) * 0.5e-9
	s.Offset = clock.Offset(remoteMid.Sub(localMid).Seconds()+odd) + a.cfg.Correction
	s.Measured = s.Offset
	delay := max(math.Abs(ex.localInterval-ex.remoteInterval), ex.precision)
	if least := float64(a.cfg.Limits.MinDelay); least > 0 && delay < least {
		delay = 2*least - delay // closer than it can be: the stamps err by as much
	}
	s.Delay = clock.Delay(delay)
	skew := min(float64(a.register.Line().Skew), 2000e-6)
	s.Disp = max(clock.Dispersion(ex.precision), tx.err, rx.err) +
		clock.Dispersion(skew*math.Abs(ex.localInterval))
	rootDelay, rootDisp := p.RootDelay.Seconds(), p.RootDisp.Seconds()
	if ex.haveMono {
		rootDelay, rootDisp = ex.mono.rootDelay, ex.mono.rootDisp
	}
	s.RootDelay = clock.Delay(rootDelay) + s.Delay
	s.RootDisp = clock.Dispersion(rootDisp) + s.Disp
}

// acceptTests are tests A to D: would the sample help?
func (a *Association) acceptTests(ex *exchange, env *Env) (t Tests) {
	if a.testA(ex) {
		t |= TestA
	}
	if a.testB(ex) {
		t |= TestB
	}
	if a.testC(ex) {
		t |= TestC
	}
	if a.testD(ex, env) {
		t |= TestD
	}
	return t
}

// testA: the round trip is within maxdelay and the timestamps are plausible.
func (a *Association) testA(ex *exchange) bool {
	s := &ex.sample
	switch {
	case float64(s.Delay)-float64(s.Disp) > a.cfg.MaxDelay, ex.precision > a.cfg.MaxDelay:
		return false
	case a.warm > 0:
		return false
	case ex.interleaved && !ex.interleavedBefore && !a.cfg.Symmetric:
		// The exchange that this packet completes was basic, and gave a
		// sample already.
		return false
	case !a.cfg.Symmetric && ex.response > maxServerInterval:
		return false
	case a.cfg.Symmetric && ex.interleaved:
		// The peer must have heard us since it sent the packet before.
		poll, heard := clock.Pow2(min(a.remote.poll, a.poll.poll)), ex.packet.Receive.Served()
		return float64(s.Delay) <= 0.5*poll && heard.After(ex.packet.Transmit.Served()) && ex.localInterval <= 1.5*poll
	}
	return s.Time.Nanos() > 0
}

// testB: the round trip is not much longer than the shortest.
func (a *Association) testB(ex *exchange) bool {
	if a.cfg.MaxDelayRatio < 1 {
		return true
	}
	limit, ok := a.register.DelayLimit(ex.sample.Time, a.cfg.MaxDelayRatio)
	return !ok || ex.sample.Delay <= limit
}

// testC: the round trip is not longer than the spread of the samples explains.
// A sample that is off by even more than its excess delay explains passes: the
// clock may have jumped.
func (a *Association) testC(ex *exchange) bool {
	s := &ex.sample
	if a.quantile != nil {
		ok := a.quantile.Allows(float64(s.Delay))
		a.quantile.Add(float64(s.Delay))
		return ok
	}
	if a.cfg.MaxDelayDevRatio <= 0 {
		return true
	}
	bound, ok := a.register.DelayBound(s.Time, a.cfg.MaxDelayDevRatio)
	excess := 0.5 * float64(s.Delay-a.register.MinDelay())
	if !ok || excess <= bound {
		return true
	}
	e, have := a.Estimate(s.Time)
	return have && math.Abs(float64(s.Offset-e.Offset))-excess > bound
}

// testD: the source does not follow us, directly or as another name of us.
func (a *Association) testD(ex *exchange, env *Env) bool {
	p := ex.packet
	if !env.Serving {
		return true
	}
	if p.Stratum > 1 && ex.local.IsValid() && ntp.RefIDOf(ex.local) == p.RefID {
		return false
	}
	var mine ntp.Packet
	env.Local.Describe(&mine)
	return !(p.Stratum == mine.Stratum && p.RefID == mine.RefID &&
		p.RootDelay == mine.RootDelay && p.Reference == mine.Reference)
}

// takeSample adds the sample to the statistics, through the median filter if
// there is one.
func (a *Association) takeSample(ex *exchange, now clock.Now, env *Env) {
	a.applyMono(ex)
	if a.median == nil {
		a.use(&ex.sample, now, env)
		return
	}
	a.median.Add(ex.sample)
	a.filter(now, env)
}

// filter uses what the median filter makes of the last polls, once they are over.
func (a *Association) filter(now clock.Now, env *Env) {
	if a.median == nil {
		return
	}
	if s, done := a.median.Take(); done {
		a.use(&s, now, env)
	}
}

// use adds a sample to the statistics and sets the polling interval.
func (a *Association) use(s *stats.Sample, now clock.Now, env *Env) {
	a.fresh = true
	before, have := a.Estimate(s.Time)
	a.register.Add(*s)
	a.estimator.Add(a.register)
	after, _ := a.estimator.Estimate()
	v := verdictOnFit{after: after, n: a.register.Len(), have: have}
	if have {
		v.miss = math.Abs(float64(s.Offset - before.Offset))
		v.queue = 0.6 * max(0, float64(s.Delay-a.register.MinDelay()))
		v.sigma = before.OffsetSD + after.Noise
	}
	old := a.Poll()
	surprised := a.poll.sampled(&a.cfg, v)
	a.near = float64(s.Delay) <= subSecondDelay
	if a.state != Online || a.cfg.Symmetric {
		return
	}
	switch {
	case surprised && a.mayConfirm(now):
		a.confirmed = now.Mono
		a.StartBurst(confirmGood, confirmTotal, now, env)
	case a.Poll() != old:
		a.schedule(now, a.interval(env)-now.Mono.Sub(a.lastTx).Seconds(), env)
	}
}

// A surprise is looked into at once, by a short burst, but not again and again:
// a source that keeps surprising is asked no more than usual.
const (
	confirmGood  = 2
	confirmTotal = 4
	confirmPause = 8 // polls
)

func (a *Association) mayConfirm(now clock.Now) bool {
	return a.confirmed.IsZero() ||
		now.Mono.Sub(a.confirmed).Seconds() > confirmPause*clock.Pow2(a.Poll())
}
