// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// Arrival is a packet that came for the association.
type Arrival struct {
	Data  []byte
	Local netip.Addr
	Stamp clock.Stamp
}

// Receive judges a packet and, if it is good, makes a sample of it.
func (a *Association) Receive(in *Arrival, now clock.Now, env *Env) Verdict {
	a.Counters.Received++
	a.Counters.RxStamps[in.Stamp.Kind]++
	v := a.receive(in, now, env)
	a.Counters.Verdicts[v]++
	return v
}

func (a *Association) receive(in *Arrival, now clock.Now, env *Env) Verdict {
	var p ntp.Packet
	if !p.Decode(in.Data) {
		return BadVersion
	}
	if v := a.expected(&p); v != Accepted {
		return v
	}
	trailer, ok := ntp.SplitTrailer(in.Data, p.Version)
	if !ok {
		return BadAuth
	}
	rx := moment{at: env.Correction.Served(in.Stamp.Time), err: in.Stamp.Err, kind: in.Stamp.Kind}
	tests, interleaved := a.test(&p, in.Data, &trailer)
	if v := firstFailure(tests); v != Accepted {
		if a.cfg.Symmetric && tests&(TestOrigin|TestAuth) == TestAuth && tests&TestDuplicate != 0 && a.news(&p) {
			a.noteRemote(&p, rx, false)
		}
		return v
	}
	if isKissRate(&p) {
		return a.obeyRate(now, env)
	}
	ex := exchange{packet: &p, rx: rx, local: in.Local, interleaved: interleaved, interleavedBefore: a.remote.interleaved}
	ex.mono, ex.haveMono = readMonoRoot(trailer.Fields)
	return a.answered(&ex, tests, in, now, env)
}

// expected tells whether a packet of this version and mode can be for us now.
func (a *Association) expected(p *ntp.Packet) Verdict {
	if a.cfg.Symmetric {
		if p.Mode != ntp.ModeActive && p.Mode != ntp.ModePassive {
			return BadMode
		}
		return Accepted
	}
	switch {
	case p.Mode != ntp.ModeServer:
		return BadMode
	case p.Version != a.auto:
		return BadVersion
	case !a.awaiting:
		return Unexpected
	}
	return Accepted
}

// test runs the tests of validity: 1, 2, 3 and 5 (chrony's numbers).
func (a *Association) test(p *ntp.Packet, data []byte, tr *ntp.Trailer) (t Tests, interleaved bool) {
	last := &a.remote
	if !a.valid || p.Receive != last.rx || p.Transmit != last.tx {
		t |= TestDuplicate
	}
	switch {
	case p.Origin == 0:
	case a.cfg.XLeave && a.local.rxNTP != 0 && p.Origin == a.local.rxNTP && a.local.interleavedRequest,
		a.cfg.XLeave && a.cfg.Symmetric && a.local.rxNTP != 0 && p.Origin == a.local.rxNTP:
		interleaved = true
		t |= TestOrigin
	case p.Origin == a.local.txNTP:
		t |= TestOrigin
	}
	if p.Origin != 0 && p.Receive != 0 && p.Transmit != 0 {
		t |= TestStamps
	}
	if !a.cfg.Authenticated || a.authentic(p, data, tr) {
		t |= TestAuth
	}
	return t, interleaved
}

// authentic tells whether the packet bears a code made with the key of this
// source. No other key will do, however trusted: whoever shares one with us for
// another source could speak for this one (CVE-2015-7974, CVE-2016-1567). A code
// cut short is for version 4 alone, where fields may leave no room for more.
func (a *Association) authentic(p *ntp.Packet, data []byte, tr *ntp.Trailer) bool {
	k := &a.cfg.Key
	if tr.KeyID != k.ID() || p.Version != ntp.Version && len(tr.MAC) != k.MACLen() {
		return false
	}
	return k.Verify(data[:tr.MACOffset], tr.MAC)
}

// firstFailure returns the verdict of the first failed test of validity.
func firstFailure(t Tests) Verdict {
	switch {
	case t&TestDuplicate == 0:
		return Duplicate
	case t&TestOrigin == 0:
		return BadOrigin
	case t&TestStamps == 0:
		return BadStamps
	case t&TestAuth == 0:
		return BadAuth
	}
	return Accepted
}

func isKissRate(p *ntp.Packet) bool {
	return p.Leap == ntp.LeapUnsync && p.Stratum == 0 && p.RefID == ntp.KissRate && p.Mode == ntp.ModeServer
}

// obeyRate slows down once when the server asks for it (RFC 5905 section 7.4). It
// counts as no answer: a server that says nothing else is not reachable.
// Only an answer to our own request gets here, so nobody else can slow us; and
// the polling interval never grows beyond one stretched pause.
func (a *Association) obeyRate(now clock.Now, env *Env) Verdict {
	a.awaiting = false
	if a.state == BurstOnline || a.state == BurstOffline {
		a.burst = burst{}
		a.endBurst()
	}
	if !a.kodAgain && a.state == Online {
		a.kod, a.kodAgain = true, true
		a.schedule(now, a.interval(env), env)
	}
	return KissOfDeath
}

// answered handles a packet that is truly an answer of this source.
func (a *Association) answered(ex *exchange, tests Tests, in *Arrival, now clock.Now, env *Env) Verdict {
	p := ex.packet
	a.Counters.Valid++
	a.kodAgain = false
	tests |= syncTests(p, ex)
	synced := tests&testsSynced == testsSynced
	haveTimes := a.measure(ex, env)
	if synced && haveTimes {
		tests |= a.acceptTests(ex, env)
	}
	a.reportOn(ex, tests, in)
	a.missedOld = a.missed
	a.noteRemote(p, ex.rx, ex.interleaved)
	a.awaiting, a.missed = false, 0
	a.hangup = clock.Mono{}
	if a.warm > 0 {
		return Synced
	}
	a.markReach(synced)
	return a.conclude(ex, tests, synced, now, env)
}

// news tells whether a packet of a peer is later than the last one. Where packets
// are authenticated, one that is not may be a replay, and must not break the
// exchange that is open (CVE-2015-1799).
func (a *Association) news(p *ntp.Packet) bool {
	return !a.cfg.Authenticated || a.remote.tx == 0 || p.Transmit.Served().After(a.remote.tx.Served())
}

// noteRemote keeps what the next exchange builds on.
func (a *Association) noteRemote(p *ntp.Packet, rx moment, interleaved bool) {
	a.remote = remote{rx: p.Receive, tx: p.Transmit, packet: *p, poll: p.Poll, interleaved: interleaved}
	a.local.rx, a.local.answered = rx, true
	if a.cfg.Symmetric {
		a.local.rxNTP = 0
	}
}

// conclude takes the sample in or not, and sets the pace.
func (a *Association) conclude(ex *exchange, tests Tests, synced bool, now clock.Now, env *Env) Verdict {
	switch {
	case !synced:
		a.poll.rejected(&a.cfg, false)
		return Unsynced
	case env.NearLeap:
		return NearLeap
	case tests != testsAll:
		a.poll.rejected(&a.cfg, tests&TestD == 0)
		a.filter(now, env)
		return Synced
	}
	a.Counters.Good++
	if a.state == BurstOnline || a.state == BurstOffline {
		a.burst.good--
		a.endBurst()
		if a.state == Online {
			a.schedule(now, a.interval(env)-now.Mono.Sub(a.lastTx).Seconds(), env)
		}
	}
	a.takeSample(ex, now, env)
	return Accepted
}

func (a *Association) reportOn(ex *exchange, tests Tests, in *Arrival) {
	a.report = Report{
		Time: ex.sample.Time, Packet: *ex.packet, Tests: tests, Interleaved: ex.interleaved,
		Offset: ex.sample.Offset, Delay: ex.sample.Delay, Disp: ex.sample.Disp,
		RootDelay: ex.sample.RootDelay, RootDisp: ex.sample.RootDisp,
		ResponseTime: ex.response, Score: a.poll.score, LocalPoll: a.poll.poll,
		TxStamp: ex.txKind, RxStamp: ex.rxKind, Local: in.Local,
	}
	if ex.sample.Time.IsZero() {
		a.report.Time = ex.rx.at
	}
	a.valid = true
}
