// SPDX-License-Identifier: Apache-2.0

// Package clock holds the values that the rest of foliot counts time in:
// instants on a named clock, intervals between them, and the offsets, delays,
// dispersions and frequencies that relate one clock to another. It reads no
// clock and knows no wire format but the kernel's own encodings.
//
// # Domains
//
// An [Instant] carries the clock it was read from in its type, so a reading of
// the system clock cannot be subtracted from one of the monotonic clock:
//
//   - [Wall] instants are readings of CLOCK_REALTIME, the clock being steered.
//   - [Mono] instants are readings of CLOCK_MONOTONIC_RAW, which nobody steers:
//     the daemon measures itself with it. CLOCK_MONOTONIC would not do, because
//     it runs at the rate that we set.
//   - [Served] instants are the daemon's best estimate of true time: the wall
//     clock plus the correction that is still to be slewed out. Samples, replies
//     and reference times are in this domain (chrony calls it cooked time).
//
// # Sign
//
// There is one sign, RFC 5905's theta: a positive [Offset] means the local clock
// is behind its reference, and adding the offset to the local clock corrects it.
// A positive [Frequency] is the same per second: the local clock loses time and
// must run faster by that ratio. The kernel's frequency has this sign too.
package clock

import (
	"math"
	"time"
)

// Clock domains, used only as type arguments of [Instant].
type (
	// Realtime marks readings of CLOCK_REALTIME.
	Realtime struct{}
	// Raw marks readings of CLOCK_MONOTONIC_RAW.
	Raw struct{}
	// Corrected marks wall readings with the outstanding correction added.
	Corrected struct{}
)

// The instants of the three domains.
type (
	// Wall is a reading of the system clock, CLOCK_REALTIME.
	Wall = Instant[Realtime]
	// Mono is a reading of CLOCK_MONOTONIC_RAW.
	Mono = Instant[Raw]
	// Served is an instant of the disciplined, served time.
	Served = Instant[Corrected]
)

// Instant is a point in time on the clock C, in nanoseconds since that clock's
// epoch (Unix epoch for Realtime and Corrected, boot for Raw). It wraps like
// its int64, 292 years away from the epoch. The zero-size array makes instants
// of different clocks inconvertible, the struct makes "+" not compile. The zero
// Instant means "none".
type Instant[C any] struct {
	_  [0]C
	ns int64
}

// At returns the instant ns nanoseconds after the epoch of clock C.
func At[C any](ns int64) Instant[C] { return Instant[C]{ns: ns} }

// Nanos returns nanoseconds since the epoch of the instant's clock.
func (t Instant[C]) Nanos() int64 { return t.ns }

// IsZero tells whether t is the zero Instant, "none".
func (t Instant[C]) IsZero() bool { return t.ns == 0 }

// Sub returns t-u. It wraps when the true difference exceeds 292 years.
func (t Instant[C]) Sub(u Instant[C]) Interval { return Interval(t.ns - u.ns) }

// Add returns t+d.
func (t Instant[C]) Add(d Interval) Instant[C] { return Instant[C]{ns: t.ns + int64(d)} }

// Shift returns t moved by an offset, rounded to the nanosecond.
func (t Instant[C]) Shift(o Offset) Instant[C] { return t.Add(Seconds(float64(o))) }

// Before tells whether t is earlier than u.
func (t Instant[C]) Before(u Instant[C]) bool { return t.ns-u.ns < 0 }

// After tells whether t is later than u.
func (t Instant[C]) After(u Instant[C]) bool { return t.ns-u.ns > 0 }

// ServedAt returns the served time at wall reading w while the correction
// still to be slewed out is c.
func ServedAt(w Wall, c Offset) Served { return Served{ns: w.ns}.Shift(c) }

// WallAt is the inverse of ServedAt for the same correction c.
func WallAt(s Served, c Offset) Wall { return Wall{ns: s.ns}.Shift(-c) }

// Time converts a wall or served instant for people (logs, calendars), in UTC.
func Time[C Realtime | Corrected](t Instant[C]) time.Time { return time.Unix(0, t.ns).UTC() }

// Interval is a length of time on one clock, in nanoseconds.
type Interval int64

// Lengths for building intervals.
const (
	Nanosecond  Interval = 1
	Microsecond Interval = 1000 * Nanosecond
	Millisecond Interval = 1000 * Microsecond
	Second      Interval = 1000 * Millisecond
	Hour        Interval = 3600 * Second
	Day         Interval = 24 * Hour
)

// Seconds returns the interval of s seconds, rounded to the nanosecond and
// saturated at the ends of the range (292 years). NaN gives 0.
func Seconds(s float64) Interval {
	ns := math.Round(s * 1e9)
	switch {
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns <= math.MinInt64:
		return math.MinInt64
	case ns != ns:
		return 0
	}
	return Interval(ns)
}

// Seconds returns d in seconds.
func (d Interval) Seconds() float64 { return float64(d) * 1e-9 }

// Duration returns d for a timer.
func (d Interval) Duration() time.Duration { return time.Duration(d) }

// Offset is a difference between two clocks, in seconds. Positive: the local
// clock is behind the reference; add it to the local clock.
type Offset float64

// Delay is a round-trip time, in seconds, never negative once accepted.
type Delay float64

// Dispersion is an error bound, in seconds, never negative.
type Dispersion float64

// Frequency is a relative rate, a dimensionless ratio (1e-6 is 1 ppm).
// Positive: the local clock is slow and must be sped up by it.
type Frequency float64

// PPM returns f in parts per million.
func (f Frequency) PPM() float64 { return float64(f) * 1e6 }

// FromPPM returns the frequency of p parts per million.
func FromPPM(p float64) Frequency { return Frequency(p * 1e-6) }

// Pow2 returns 2^n seconds for a poll or precision exponent.
func Pow2(n int8) float64 { return math.Ldexp(1, int(n)) }
