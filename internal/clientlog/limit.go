// SPDX-License-Identifier: Apache-2.0

package clientlog

import "math"

// Decision is what the rate limit makes of a request.
type Decision uint8

// Decisions.
const (
	Pass Decision = iota // answer it
	Drop                 // do not
	Kiss                 // answer with a kiss of death: slow down
)

// Limit is chrony's directive ratelimit, in numbers that need no arithmetic per
// request. It is a bucket of tokens for each client: an answer takes one out, and
// one comes in every period. Immutable.
type Limit struct {
	Interval int8   // log2 seconds between answers, at least
	period   int64  // nanoseconds for one token
	size     int64  // nanoseconds for a whole bucket
	leak     uint64 // mask: an empty bucket answers if these bits of a random number are 0
	kiss     uint64 // mask: likewise a kiss of death in place of silence
	kisses   bool
}

// NewLimit returns the limit of one answer in 2^interval seconds with bursts of
// up to burst answers. Of the requests beyond, one in 2^leak is answered
// nevertheless, so that somebody who asks in the name of a client cannot silence
// us towards it, and one in 2^kod of the rest gets a kiss of death (0: none).
// The ranges are chrony's: interval -19 to 12, burst 1 to 255, leak 1 to 4, kod
// 0 to 4.
func NewLimit(interval, burst, leak, kod int) *Limit {
	period := int64(math.Ldexp(1e9, interval))
	return &Limit{
		Interval: int8(interval),
		period:   period, size: int64(burst) * period,
		leak: 1<<leak - 1, kiss: 1<<kod - 1, kisses: kod > 0,
	}
}

// Terms are the numbers of a limit, for those who apply it elsewhere.
type Terms struct {
	Period, Size int64 // nanoseconds
	Leak, Kiss   uint64
	Kisses       bool
}

// Terms returns the numbers of l, as they stand in it.
func (l *Limit) Terms() Terms { return Terms{l.period, l.size, l.leak, l.kiss, l.kisses} }

// judge takes a token out of the bucket of r at now, if there is one.
//
// The bucket is held as the instant at which it is full again, so that filling it
// needs no work (GCRA, ITU-T I.371): it holds a token as long as one period more
// does not reach beyond its size.
func (l *Limit) judge(r *Record, now int64, random func() uint64) Decision {
	full := max(r.full, now)
	if full-now > l.size { // the clock was set back, or the limit changed
		full = now
	}
	if full-now+l.period <= l.size {
		r.full = full + l.period
		return Pass
	}
	bits := random()
	silent := bits&l.leak != 0
	if r.impatient() {
		// It asks more often when it is not answered: silence would be worse.
		silent = !silent
	}
	switch {
	case !silent:
		r.full = now + l.size
		return Pass
	case l.kisses && bits>>32&l.kiss == 0:
		return Kiss
	}
	return Drop
}
