// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
)

// maxLease is the longest that a state may hold: the programs count nanoseconds in
// 32 bits.
const maxLease = 4 * clock.Second

// Leads are how long after the last look at the clock a packet leaves. They are
// properties of a host and its interfaces.
type Leads struct {
	Answer  clock.Interval // from the XDP program
	OneStep clock.Interval // from the egress program
}

// Publish makes the programs serve what snap says, for a lease of up to four
// seconds. It must be called whenever the snapshot changes, and in time before
// the lease ends. Where snap is not synchronised they serve nothing.
func (f *Fastpath) Publish(snap *responder.Snapshot, lease clock.Interval, leads Leads) error {
	now, err := f.tai()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := line(snap, now)
	s.Lease = uint64(min(max(lease, 0), maxLease))
	if snap.Leap == ntp.LeapUnsync {
		s.Lease = 0
	}
	s.Lead, s.Late = nanos(leads.Answer), nanos(leads.OneStep)
	return f.turn(states, &f.state, &s)
}

// Withdraw makes the programs serve nothing from now on.
func (f *Fastpath) Withdraw() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.turn(states, &f.state, &ntpState{})
}

func nanos(d clock.Interval) uint32 { return uint32(min(max(d, 0), clock.Millisecond)) }

// slots is a variable of the programs of which one element is in force.
type slots struct {
	name, index string
	count       uint32
}

var (
	states   = slots{"states", "state_index", 16}
	policies = slots{"policies", "policy_index", 2}
)

// turn writes v into the next slot, and puts that in force.
func (f *Fastpath) turn(s slots, current *uint32, v any) error {
	next := (*current + 1) % s.count
	if err := f.set(s.name, int(next), v); err != nil {
		return err
	}
	// The index must not become visible before what it points to. The programs'
	// read of the slot depends on their read of the index.
	atomic.AddUint32(&fence, 1)
	if err := f.set(s.index, 0, next); err != nil {
		return err
	}
	*current = next
	return nil
}

var fence uint32

// Units of the line, see bpf/state.h.
const (
	unitsPerNano = float64(1<<32) / 1e9 // of NTP timestamps
	rateUnit     = 1 << 31
	dispUnit     = 1 << 48
)

// line is what snap says, as a line through the instant now.
func line(snap *responder.Snapshot, now taiReading) ntpState {
	served := snap.Served(now.wall)
	smooth := clock.Frequency(0)
	if !snap.Smooth.Since.IsZero() {
		smooth = snap.Smooth.Rate
	}
	rate := (1 + float64(snap.Correction.Rate)) * (1 + float64(smooth))
	s := ntpState{
		Base:      uint64(now.tai),
		Served:    uint64(ntp.FromInstant(served)),
		Rate:      int64(math.Round((unitsPerNano*rate - 4) * rateUnit)),
		RootDelay: swap32(uint32(ntp.ToShort(snap.RootDelay))), RefId: swap32(uint32(snap.RefID)),
		Fuzz: fuzz(snap.Precision), Leap: uint8(snap.Leap), Stratum: snap.Stratum, Precision: snap.Precision,
	}
	s.Disp, s.DispRate = dispersion(snap, served.Sub(snap.RefTime).Seconds())
	if !snap.RefTime.IsZero() {
		// As responder.Snapshot does: smoothed like the other timestamps.
		plain := snap.Correction.Served(now.wall)
		reference := snap.RefTime.Add(served.Sub(plain))
		s.Reference = uint64(ntp.FromInstant(reference))
		s.ReferenceRate = int64(math.Round(unitsPerNano * float64(smooth) * rateUnit))
	}
	return s
}

// dispersion is the root dispersion when the reference is age old, seconds, and
// how it goes on. It grows away from the reference time, to both sides.
func dispersion(snap *responder.Snapshot, age float64) (value uint64, rate int64) {
	const most = math.MaxUint32 << 32 // of the short format
	v := (snap.RootDisp + math.Abs(age)*snap.DispRate) * dispUnit
	if v >= most*0.999 {
		return most, 0
	}
	return uint64(math.Ceil(max(v, 0))), int64(math.Copysign(snap.DispRate*1e-9*dispUnit*(1<<16), age))
}

// fuzz is the mask of the bits that ntp.Timestamp.Fuzz replaces.
func fuzz(precision int8) uint32 { return uint32(ntp.Timestamp(0).Fuzz(precision, math.MaxUint64)) }

func swap32(v uint32) uint32 { return v>>24 | v>>8&0xff00 | v<<8&0xff0000 | v<<24 }

// taiReading is one instant on two clocks.
type taiReading struct {
	tai  int64 // CLOCK_TAI, ns
	wall clock.Wall
}

// readTAI reads both clocks. They differ by whole seconds, which is what is
// read: the second reading is the first one and that.
func readTAI() (r taiReading, err error) {
	var tai, wall unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_TAI, &tai); err != nil {
		return r, fmt.Errorf("read CLOCK_TAI: %w", os.NewSyscallError("clock_gettime", err))
	}
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
		return r, fmt.Errorf("read CLOCK_REALTIME: %w", os.NewSyscallError("clock_gettime", err))
	}
	offset := math.Round(float64(tai.Nano()-wall.Nano()) / 1e9)
	r.wall = clock.At[clock.Realtime](wall.Nano())
	r.tai = wall.Nano() + int64(offset)*1e9
	return r, nil
}
