// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math/rand/v2"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// Env is what an association needs to know of the rest of the daemon. The
// caller fills it in for each call.
type Env struct {
	Correction clock.Correction
	Precision  int8 // of the local clock, log2 seconds
	Quantum    float64
	ClockError clock.Dispersion // maxclockerror, seconds per second
	Rand       *rand.Rand
	Local      Reference // what we serve; symmetric packets and the loop test need it
	Serving    bool      // a server socket is open, so a loop is possible
	Selected   bool      // the clock follows this source
	NearLeap   bool      // a leap second is within 5 s
}

// Reference describes the served clock as packets do.
type Reference struct {
	Leap      ntp.Leap
	Stratum   uint8
	RefID     ntp.RefID
	Time      clock.Served
	RootDelay float64
	RootDisp  float64
}

// Association is one server or peer. Not safe for concurrent use.
type Association struct {
	cfg   Config
	state State

	deadline  clock.Mono // next transmission, 0 = none
	hangup    clock.Mono // when to close the socket, 0 = it is closed
	lastTx    clock.Mono
	burst     burst
	warm      int  // warm-up packets still to follow; 0: the last one was the real one
	kod       bool // the next interval is stretched
	kodAgain  bool // it was stretched already
	poll      pollControl
	missed    int  // requests since the last valid answer
	missedOld int  // the same for the answer before
	awaiting  bool // an answer to the last request is still acceptable

	local   local
	remote  remote
	auto    uint8 // version in use
	reach   uint8 // reachability register, newest bit lowest
	reaches int   // bits of reach that mean something, up to 8

	register  *stats.Register
	estimator stats.Estimator
	median    *stats.Median
	quantile  *stats.Quantile
	report    Report
	valid     bool       // report holds something
	confirmed clock.Mono // when a surprise was looked into last
	near      bool       // the last round trip was that of a local network
	fresh     bool       // there is a new sample since Fresh was asked
	mono      monoState
	Counters  Counters
}

// local holds our timestamps of the last exchanges.
type local struct {
	tx, prevTx         moment        // our transmissions
	rx                 moment        // arrival of the last valid packet
	txNTP, rxNTP       ntp.Timestamp // transmit and receive timestamps as sent
	interleavedRequest bool
	answered           bool // rx answers tx
}

// remote holds the other side's timestamps of the last valid packet.
type remote struct {
	rx, tx      ntp.Timestamp
	packet      ntp.Packet
	poll        int8
	interleaved bool
}

// moment is a local timestamp in served time.
type moment struct {
	at   clock.Served
	err  clock.Dispersion
	kind clock.StampKind
}

func (m *moment) adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	if m.kind != clock.StampNone {
		m.at = m.at.Shift(doffset + clock.Offset(m.at.Sub(at).Seconds()*float64(dfreq)))
	}
}

type burst struct{ good, total int }

// New returns an association that does nothing until it is online. The
// estimator is the caller's choice.
func New(cfg Config, est stats.Estimator) *Association {
	a := &Association{cfg: cfg, estimator: est, register: stats.NewRegister(cfg.Limits)}
	a.auto = cfg.Version
	if cfg.Filter > 0 {
		a.median = stats.NewMedian(cfg.Filter)
	}
	if cfg.MaxDelayQuantile > 0 {
		a.quantile = stats.NewQuantile(cfg.MaxDelayQuantile, cfg.Limits.Precision)
	}
	a.poll = pollControl{poll: cfg.MinPoll}
	a.estimator.Reset()
	return a
}

// Config returns the configuration in force.
func (a *Association) Config() *Config { return &a.cfg }

// Configure changes what can change while the history stays: everything but
// address, kind and estimator. Another correction (option offset) counts for the
// samples of the past too.
func (a *Association) Configure(cfg Config) {
	cfg.Addr, cfg.Symmetric = a.cfg.Addr, a.cfg.Symmetric
	if by := cfg.Correction - a.cfg.Correction; by != 0 {
		a.Shift(by)
	}
	a.cfg = cfg
	a.auto = cfg.Version
	a.register.SetLimits(cfg.Limits)
	a.poll.clamp(&a.cfg)
	if q := cfg.MaxDelayQuantile; q <= 0 {
		a.quantile = nil
	} else if a.quantile == nil || q != a.quantile.P() {
		a.quantile = stats.NewQuantile(q, cfg.Limits.Precision)
	}
	switch {
	case cfg.Filter <= 0:
		a.median = nil
	case a.median == nil || a.median.Len() != cfg.Filter:
		a.median = stats.NewMedian(cfg.Filter)
	}
}

// State returns the state.
func (a *Association) State() State { return a.state }

// Report returns what is known of the last valid exchange, if there was one.
func (a *Association) Report() (*Report, bool) { return &a.report, a.valid }

// Reach returns the reachability register and how many of its bits count.
func (a *Association) Reach() (uint8, int) { return a.reach, a.reaches }

// Poll returns the polling interval in force, log2 seconds. More than once a
// second only sources are asked that are near and answer.
func (a *Association) Poll() int8 {
	if a.poll.poll < 0 && (!a.near || a.reach == 0) {
		return 0
	}
	return a.poll.poll
}

// Register returns the sample register.
func (a *Association) Register() *stats.Register { return a.register }

// Fresh tells whether there is a new sample since it was asked last.
func (a *Association) Fresh() bool {
	f := a.fresh
	a.fresh = false
	return f
}

// Estimate returns the estimate carried to t, if there is one.
func (a *Association) Estimate(t clock.Served) (stats.Estimate, bool) {
	e, ok := a.estimator.Estimate()
	return e.At(t), ok
}

// Remote returns the last valid packet's header, if there was one.
func (a *Association) Remote() (*ntp.Packet, bool) { return &a.remote.packet, a.valid }

// Unanswered returns the number of requests since the last valid answer.
func (a *Association) Unanswered() int { return a.missed }

// Adjust follows a change of the served clock.
func (a *Association) Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	a.register.Adjust(at, dfreq, doffset)
	a.estimator.Adjust(at, dfreq, doffset)
	if a.median != nil {
		a.median.Adjust(at, dfreq, doffset)
	}
	for _, m := range [...]*moment{&a.local.tx, &a.local.prevTx, &a.local.rx} {
		m.adjust(at, dfreq, doffset)
	}
}

// Shift adds doffset to all measured offsets: the source's time moved.
func (a *Association) Shift(doffset clock.Offset) {
	a.register.Shift(doffset)
	a.estimator.Shift(doffset)
	if a.median != nil {
		a.median.Shift(doffset)
	}
}

// Forget drops all samples and open exchanges: the local clock was changed by
// somebody else, by an unknown amount.
func (a *Association) Forget() {
	a.register.Reset()
	a.estimator.Reset()
	if a.median != nil {
		a.median.Reset()
	}
	a.local, a.awaiting = local{}, false
	a.remote.rx, a.remote.tx, a.mono = 0, 0, monoState{}
	a.poll.restart(&a.cfg)
}

// Restart drops everything that is known of the source, whether it answers
// included.
func (a *Association) Restart() {
	a.Forget()
	a.valid, a.reach, a.reaches, a.missed, a.missedOld = false, 0, 0, 0, 0
}

// Redirect points the association at another address and starts over.
func (a *Association) Redirect(addr netip.AddrPort, now clock.Now, env *Env) {
	a.cfg.Addr = addr
	online := a.state != Offline
	a.Restart()
	a.report = Report{}
	if online {
		a.state = Offline
		a.Online(now, env)
	}
}

// Restore takes over a history that was saved before a restart, oldest sample
// first. It reports false, and takes nothing, if the history is not of the past.
func (a *Association) Restore(samples []stats.Sample, reach uint8, reaches int, stratum uint8, leap ntp.Leap, now clock.Served) bool {
	if len(samples) == 0 || samples[len(samples)-1].Time.After(now) {
		return false
	}
	for _, s := range samples {
		a.register.Add(s)
		a.estimator.Add(a.register)
	}
	a.reach, a.reaches = reach, reaches
	a.remote.packet.Stratum, a.remote.packet.Leap = stratum, leap
	a.valid = true
	return true
}
