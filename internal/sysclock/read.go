// SPDX-License-Identifier: Apache-2.0

// Package sysclock is the system clock of a Linux machine: it reads
// CLOCK_REALTIME together with CLOCK_MONOTONIC_RAW, and steers the former
// through adjtimex(2). It decides nothing: which rate, which step and which
// status are the caller's business, and so is the size of a step.
//
// The one concept: the kernel is asked for a rate (tick and freq) and for
// nothing else. The kernel's own loops (PLL, FLL, PPS, adjtime(3)) are turned
// off by [Clock.Init] and their reappearance is foreign interference, which
// [Clock.Interference] finds. A clock that must not be touched is [Disabled].
package sysclock

import (
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

const (
	// readSpread is the time between the two wall readings of Read above which
	// the pair was torn apart by an interrupt, a preemption or a clock step.
	readSpread = 5 * int64(clock.Microsecond)
	readTries  = 4

	precisionReads = 4000
)

// Read returns the wall clock and the monotonic clock at one instant. The wall
// clock comes from the vDSO at about a tenth of the cost of the monotonic
// clock, which Go reaches only by a system call: so two readings of the former
// enclose one of the latter, and their middle belongs to it. The two agree to
// about half the time of the system call, 0.2 us. Read does not allocate.
func Read() clock.Now {
	var best clock.Now
	narrowest := int64(math.MaxInt64)
	for range readTries {
		before := time.Now().UnixNano()
		mono := monotonicRaw()
		spread := time.Now().UnixNano() - before
		if spread < 0 {
			continue // stepped back in between
		}
		if spread < narrowest {
			narrowest = spread
			best = clock.Now{
				Wall: clock.At[clock.Realtime](before + spread/2),
				Mono: clock.At[clock.Raw](mono),
			}
		}
		if spread <= readSpread {
			break
		}
	}
	if best.Wall.IsZero() {
		best = clock.Now{
			Mono: clock.At[clock.Raw](monotonicRaw()),
			Wall: clock.At[clock.Realtime](time.Now().UnixNano()),
		}
	}
	return best
}

// monotonicRaw reads CLOCK_MONOTONIC_RAW, nanoseconds since boot without the
// time spent suspended. The call never blocks, so the scheduler is not told.
func monotonicRaw() int64 {
	var ts unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC_RAW, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// Precision measures the precision of the system clock as RFC 5905 section 7.3
// means it: the larger of its resolution and the time that a reading takes, in
// seconds, from 1 ns to 1 s. It takes less than a millisecond.
func Precision() clock.Dispersion {
	least := int64(clock.Second)
	var spin int64
	for i := range precisionReads {
		a := time.Now().UnixNano()
		for j := range i % 8 { // a varying distance finds a coarse tick
			spin += int64(j)
		}
		if d := time.Now().UnixNano() - a; d > 0 {
			least = min(least, d)
		}
	}
	if spin < 0 { // never: keeps the loop alive
		return 1
	}
	return clock.Dispersion(clock.Interval(least).Seconds())
}

// Exponent returns the precision field of a packet for a precision in seconds:
// its logarithm to base 2, rounded up, from -30 to 0.
func Exponent(p clock.Dispersion) int8 {
	if !(p > 0) {
		return -30
	}
	return int8(min(max(math.Ceil(math.Log2(float64(p))), -30), 0))
}
