// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"math"

	"foliot/internal/clock"
)

// Timestamp is an NTP timestamp, RFC 5905 section 6: unsigned 32.32 fixed-point
// seconds since 1900-01-01, modulo 2^32 s (one era, 136 years). Zero means
// "unknown".
type Timestamp uint64

// unixEpoch is 1970-01-01 in NTP seconds of era 0.
const unixEpoch = 2208988800

// eraStart is the earliest Unix second that a Timestamp stands for: the window
// of one era begins 50 years before 2026-01-01, as chrony's begins 50 years
// before its build. A fixed start keeps the core the same on every machine.
const eraStart = 1767225600 - 50*365*86400

// Instant is the set of instants that a Timestamp can be made of.
type instant interface {
	clock.Wall | clock.Served
	Nanos() int64
}

// FromInstant encodes t, rounding to the nearest 2^-32 s (0.23 ns).
func FromInstant[T instant](t T) Timestamp { return fromUnixNanos(t.Nanos()) }

func fromUnixNanos(ns int64) Timestamp {
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	// frac*2^32/1e9 rounded; the product stays below 2^62.
	f := (uint64(frac)<<32 + 5e8) / 1e9
	return Timestamp(uint64(sec+unixEpoch)<<32 + f)
}

// Served decodes t in the era window, rounding to the nearest nanosecond.
func (t Timestamp) Served() clock.Served { return clock.At[clock.Corrected](t.unixNanos()) }

// Wall decodes t like Served, as a wall clock instant.
func (t Timestamp) Wall() clock.Wall { return clock.At[clock.Realtime](t.unixNanos()) }

// Fuzz replaces the bits of t below 2^precision s, which tell nothing, by those of
// random, so that timestamps cannot be guessed (RFC 5905 section 6).
func (t Timestamp) Fuzz(precision int8, random uint64) Timestamp {
	bits := max(0, min(32+int(precision), 31))
	mask := Timestamp(1)<<bits - 1
	return t&^mask | Timestamp(random)&mask
}

func (t Timestamp) unixNanos() int64 {
	// Wrapping subtraction in 32 bits places the second in the window.
	since := uint32(uint64(t)>>32) - uint32((eraStart+unixEpoch)&math.MaxUint32)
	ns := (uint64(uint32(t))*1e9 + 1<<31) >> 32
	return (eraStart+int64(since))*1e9 + int64(ns)
}

// Short is the NTP short format, RFC 5905 section 6: unsigned 16.16 seconds.
type Short uint32

// ToShort encodes s seconds, rounding up (a bound must not shrink), saturating
// at 0 and just under 65536 s.
func ToShort(s float64) Short {
	v := math.Ceil(s * 65536)
	switch {
	case !(v > 0):
		return 0
	case v >= math.MaxUint32:
		return math.MaxUint32
	}
	return Short(v)
}

// Seconds decodes s.
func (s Short) Seconds() float64 { return float64(s) / 65536 }
