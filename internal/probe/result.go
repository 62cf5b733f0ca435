// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/source"
	"foliot/internal/stats"
)

// Fault is why a request did not reach its host.
type Fault uint8

// Faults.
const (
	NoFault     Fault = iota
	Refused           // ICMP: nobody listens there
	Unreachable       // no route, or ICMP says so
	Forbidden         // a packet filter here
	NoSocket          // no more sockets
)

// Reason says what became of a host. Its text is for people and reports.
type Reason string

// Reasons. Only the first two come with an offset.
const (
	Measured       Reason = "ok"
	Unsynchronised Reason = "not synchronised"
	NoAnswer       Reason = "no answer: down, filtered, or no NTP server (systemd-timesyncd is none)"
	WasRefused     Reason = "refused: no NTP server listens there (systemd-timesyncd is none)"
	NoRoute        Reason = "no route to the host"
	WasForbidden   Reason = "a packet filter on this machine forbids it"
	OutOfSockets   Reason = "no more sockets: raise the limit of open files (ulimit -n)"
	RateLimited    Reason = "rate limited: answers with RATE only, ask less often"
	Denied         Reason = "denied: the server answers, and refuses to give us time"
	BadKey         Reason = "authentication failed: another key, or none"
	Useless        Reason = "answers are not valid NTP"
	NotAsked       Reason = "not asked yet"
)

// Result is what is known of a host as of an instant.
type Result struct {
	Reason      Reason
	Sent        uint64
	Answered    uint64 // valid answers, kisses included
	Loss        float64
	Kisses      int // RATE; each slowed us down
	Interleaved uint64
	Stratum     uint8
	Leap        ntp.Leap
	RefID       ntp.RefID
	Samples     int
	TxStamp     clock.StampKind
	RxStamp     clock.StampKind

	Offset    clock.Offset // positive: the host is ahead of us
	Bound     float64      // of the measurement's error, seconds: half delay, asymmetry, stamps, line
	RootError float64      // what the host claims of its own error, seconds
	SD        float64      // of the samples about the line, seconds
	Drift     clock.Frequency
	Skew      clock.Frequency // bound of Drift's error (99.95 %); 0 if there is no line
	Jitter    float64         // root mean square of the differences of samples, seconds
	Delay     float64         // shortest, seconds
	Series    []Point         // valid until the next call of Next or Received
}

// Result returns what is known of host i, its offset as of at.
func (f *Fleet) Result(i int, at clock.Served) Result {
	t := &f.targets[i]
	c := &t.assoc.Counters
	r := Result{
		Sent: c.Sent, Answered: c.Valid + c.Verdicts[source.KissOfDeath], Kisses: t.kisses,
		Interleaved: t.interleaved, Series: t.series.points, Leap: ntp.LeapUnsync,
	}
	asked := r.Sent
	if t.finish != 0 && asked > r.Answered && t.assoc.Unanswered() == 1 {
		asked-- // its answer may be on the way
	}
	if asked > 0 {
		r.Loss = max(0, 1-float64(r.Answered)/float64(asked))
	}
	if rep, ok := t.assoc.Report(); ok {
		r.Stratum, r.Leap, r.RefID = rep.Packet.Stratum, rep.Packet.Leap, rep.Packet.RefID
		r.TxStamp, r.RxStamp = rep.TxStamp, rep.RxStamp
	}
	r.Reason = f.reason(t, &r)
	switch r.Reason {
	case Measured:
		f.estimate(t.assoc.Register(), at, &r)
	case Unsynchronised:
		s := &t.unsynced
		r.Samples, r.Offset, r.Delay = 1, s.Offset, float64(s.Delay)
		r.Bound = float64(s.Delay)/2 + float64(s.Disp)
	}
	return r
}

func (f *Fleet) reason(t *target, r *Result) Reason {
	c := &t.assoc.Counters
	switch {
	case t.denied != 0:
		return Denied
	case t.assoc.Register().Held() > 0:
		return Measured
	case !t.unsynced.Time.IsZero():
		return Unsynchronised
	case t.kisses > 0:
		return RateLimited
	case c.Verdicts[source.BadAuth] > 0:
		return BadKey
	case c.Received > 0:
		return Useless
	}
	switch t.fault {
	case Refused:
		return WasRefused
	case Unreachable:
		return NoRoute
	case Forbidden:
		return WasForbidden
	case NoSocket:
		return OutOfSockets
	}
	if c.Sent == 0 {
		return NotAsked
	}
	return NoAnswer
}

// freeRate bounds how fast two clocks part while there is no line, ratio: two
// crystals that nobody steers.
const freeRate = 100e-6

// estimate fills in what the register tells. The offset is that of the line,
// whose samples count the less the longer their round trips are. The bound is
// that of the one sample that binds most, plus how far the line is from it.
func (f *Fleet) estimate(g *stats.Register, at clock.Served, r *Result) {
	line := g.Line()
	last := g.Last()
	r.Samples, r.Delay = g.Held(), float64(g.MinDelay())
	r.RootError = (float64(last.RootDelay)-float64(last.Delay))/2 + float64(last.RootDisp) - float64(last.Disp)
	rate := freeRate
	if line.OK {
		r.Offset, r.SD, r.Drift, r.Skew = line.At(at), line.SD, line.Freq, line.Skew
		rate, r.Jitter = min(float64(line.Skew), freeRate), g.Jitter()
	}
	best, least := -1, math.Inf(1)
	for i := range g.Held() {
		s := g.Sample(i)
		if b := f.sampleBound(&s, r.Delay) + rate*math.Abs(at.Sub(s.Time).Seconds()); b <= least {
			best, least = i, b
		}
	}
	s := g.Sample(best)
	carried := s.Offset + clock.Offset(float64(r.Drift)*at.Sub(s.Time).Seconds())
	if !line.OK {
		r.Offset = carried
	}
	r.Bound = least + math.Abs(float64(r.Offset-carried))
}

// sampleBound is how far a sample's offset may be off, seconds. The two ways of
// the shortest round trip may differ by the share that the configuration says, and
// what a round trip is longer than that may all be on one way.
func (f *Fleet) sampleBound(s *stats.Sample, shortest float64) float64 {
	excess := max(0, float64(s.Delay)-shortest)
	return (f.cfg.Asymmetry*min(shortest, float64(s.Delay))+excess)/2 + float64(s.Disp)
}
