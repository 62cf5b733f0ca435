// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// maxKernelError is the error bound, in microseconds, at which the kernel
// itself declares the clock unsynchronised (NTP_PHASE_LIMIT, linux/timex.h).
const maxKernelError = 16_000_000

// maxTAI is the largest TAI-UTC offset that the kernel takes, in seconds
// (MAX_TAI_OFFSET, kernel/time/ntp.c).
const maxTAI = 100_000

// steeringBits are the status bits that nobody but us may change while we
// steer. STA_UNSYNC is not one of them: the kernel sets it by itself when the
// error bound has grown to 16 s, and at every step.
const steeringBits = unix.STA_PLL | unix.STA_FLL | unix.STA_PPSFREQ | unix.STA_PPSTIME |
	unix.STA_FREQHOLD | unix.STA_INS | unix.STA_DEL

// Done is what became of a change of the clock.
type Done struct {
	// At is the instant at which it took effect, read right after the system
	// call. For a step it is read on the stepped clock.
	At clock.Now
	// Frequency is the total rate that the kernel has now, as it rounded it.
	Frequency clock.Frequency
	// OK is false when nothing changed.
	OK bool
}

// Status is what the kernel tells other programs about the clock.
type Status struct {
	Synchronized bool             // clears STA_UNSYNC, if MaxError is below 16 s
	Leap         ntp.Leap         // LeapInsert and LeapDelete set STA_INS and STA_DEL
	MaxError     clock.Dispersion // bound on the error, rounded up to 1 us, at most 16 s
	EstError     clock.Dispersion // standard deviation, likewise
	TAI          int              // TAI-UTC in seconds, 0 = do not touch
}

// State is what the kernel says about its clock, read without changing it.
type State struct {
	Frequency clock.Frequency       // total rate
	Kernel    clock.KernelFrequency // the same as the kernel encodes it
	Status    Status
	// LeapState is the kernel's leap second state machine, TIME_OK (0) to
	// TIME_WAIT (4), or TIME_ERROR (5) while the clock is unsynchronised.
	LeapState int
	// Steered says that a kernel loop (PLL, FLL or PPS) is on.
	Steered bool
	// The rest is for whoever shows it.
	Bits      int              // STA_ bits
	Offset    clock.Offset     // that the kernel's loop still has to slew out
	Constant  int              // time constant of that loop, log2 seconds
	Precision clock.Dispersion // of the clock, seconds
	Tolerance clock.Frequency  // largest rate of the kernel's loop
}

// Fine is the part of the rate that the kernel's field freq holds, without the tick.
func (s *State) Fine() clock.Frequency {
	return clock.FromPPM(float64(s.Kernel.Freq) / (1 << 16))
}

// Foreign is what somebody else did to the clock that we steer.
type Foreign struct {
	Frequency bool // tick or freq is not what was set last
	Mode      bool // a kernel loop or an announced leap second was turned on or off
	Adjtime   bool // an adjtime(3) correction is under way
	Now       State
}

// Found tells whether there was any interference.
func (f Foreign) Found() bool { return f.Frequency || f.Mode || f.Adjtime }

// Clock steers CLOCK_REALTIME. It is not safe for concurrent use. Make one
// with [New].
type Clock struct {
	adjtimex func(*unix.Timex) (state int, err error)
	rate     clock.KernelFrequency // as the kernel confirmed it last
	status   int32                 // as set last
	known    bool                  // rate and status hold
}

// New returns the machine's clock. It does not touch it; see [Clock.Init].
func New() *Clock { return &Clock{adjtimex: unix.Adjtimex} }

// Init takes the clock over: it cancels what an adjtime(3) call left to be
// slewed, turns the kernel's loops off with nothing left in them, withdraws an
// announced leap second, and returns the state found, whose rate it keeps.
func (c *Clock) Init() (State, error) {
	before, err := c.State()
	if err != nil {
		return before, err
	}
	unsync := int32(unix.STA_UNSYNC)
	if before.Status.Synchronized {
		unsync = 0
	}
	// The PLL forgets its remaining phase only when a new one is given to it
	// while it is on. Turning it off clears STA_NANO, hence ADJ_NANO each time.
	steps := [...]unix.Timex{
		{Modes: unix.ADJ_OFFSET_SINGLESHOT},
		{Modes: unix.ADJ_STATUS | unix.ADJ_OFFSET | unix.ADJ_NANO, Status: unix.STA_PLL | unsync},
		{Modes: unix.ADJ_STATUS | unix.ADJ_NANO, Status: unsync},
	}
	for i := range steps {
		if _, err := c.call(&steps[i]); err != nil {
			return before, fmt.Errorf("take over the system clock: %w", err)
		}
	}
	c.remember(&steps[len(steps)-1], unsync)
	return before, nil
}

// SetFrequency sets the total rate of the clock to f, clamped to +-10 %.
func (c *Clock) SetFrequency(f clock.Frequency) (Done, error) {
	k := clock.ToKernel(f)
	tx := unix.Timex{Modes: unix.ADJ_TICK | unix.ADJ_FREQUENCY}
	setLong(&tx.Tick, k.Tick)
	setLong(&tx.Freq, k.Freq)
	_, err := c.call(&tx)
	at := Read()
	if err != nil {
		return Done{At: at, Frequency: c.frequency()}, fmt.Errorf("set clock rate to %.3f ppm: %w", f.PPM(), err)
	}
	c.remember(&tx, c.status)
	return Done{At: at, Frequency: c.frequency(), OK: true}, nil
}

// Step adds o to the clock at once. The kernel then takes the clock for
// unsynchronised and forgets a leap second that is due, until [Clock.SetStatus].
func (c *Clock) Step(o clock.Offset) (Done, error) {
	ns := int64(clock.Seconds(float64(o)))
	sec, nsec := ns/1e9, ns%1e9
	if nsec < 0 { // the kernel wants the fraction positive
		sec, nsec = sec-1, nsec+1e9
	}
	tx := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
	setLong(&tx.Time.Sec, sec)
	setLong(&tx.Time.Usec, nsec) // nanoseconds with ADJ_NANO
	_, err := c.call(&tx)
	at := Read()
	if err != nil {
		return Done{At: at, Frequency: c.frequency()}, fmt.Errorf("step clock by %.9f s: %w", float64(o), err)
	}
	c.remember(&tx, c.status)
	return Done{At: at, Frequency: c.frequency(), OK: true}, nil
}

// SetStatus makes s the kernel's opinion of the clock.
func (c *Clock) SetStatus(s Status) error {
	maxErr := microseconds(s.MaxError)
	var status int32
	if !s.Synchronized || maxErr >= maxKernelError {
		status |= unix.STA_UNSYNC
	}
	switch s.Leap {
	case ntp.LeapInsert:
		status |= unix.STA_INS
	case ntp.LeapDelete:
		status |= unix.STA_DEL
	}
	tx := unix.Timex{
		Modes:  unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR | unix.ADJ_NANO,
		Status: status,
	}
	setLong(&tx.Maxerror, maxErr)
	setLong(&tx.Esterror, microseconds(s.EstError))
	if s.TAI > 0 && s.TAI <= maxTAI {
		tx.Modes |= unix.ADJ_TAI
		setLong(&tx.Constant, int64(s.TAI)) // the field that ADJ_TAI reads
	}
	if _, err := c.call(&tx); err != nil {
		return fmt.Errorf("set clock status: %w", err)
	}
	// Not remember: a foreign rate stays to be found by Interference.
	c.status = status
	return nil
}

// State reads the kernel's state. It needs no privilege.
func (c *Clock) State() (State, error) {
	var tx unix.Timex
	state, err := c.call(&tx)
	if err != nil {
		return State{}, fmt.Errorf("read clock state: %w", err)
	}
	return stateOf(&tx, state), nil
}

// Interference tells whether somebody else steered the clock since it was set
// last. The same finding is reported again until the next change of ours. It
// needs no privilege; before Init or SetFrequency it finds nothing.
func (c *Clock) Interference() (Foreign, error) {
	if !c.known {
		return Foreign{}, nil
	}
	var tx unix.Timex
	state, err := c.call(&tx)
	if err != nil {
		return Foreign{}, fmt.Errorf("read clock state: %w", err)
	}
	rest := unix.Timex{Modes: unix.ADJ_OFFSET_SS_READ}
	if _, err := c.call(&rest); err != nil {
		return Foreign{}, fmt.Errorf("read adjtime remainder: %w", err)
	}
	freqChange := int64(tx.Freq) - c.rate.Freq
	return Foreign{
		// The kernel's conversion to its own unit and back may cost one unit.
		Frequency: int64(tx.Tick) != c.rate.Tick || freqChange > 1 || freqChange < -1,
		Mode:      (tx.Status^c.status)&steeringBits != 0,
		Adjtime:   rest.Offset != 0,
		Now:       stateOf(&tx, state),
	}, nil
}

// call performs adjtimex(2). Its result TIME_ERROR says that the clock is
// unsynchronised, which is a state of the clock and not of the call.
func (c *Clock) call(tx *unix.Timex) (int, error) {
	state, err := c.adjtimex(tx)
	return state, os.NewSyscallError("adjtimex", err)
}

// remember notes what the kernel confirmed after a change of ours.
func (c *Clock) remember(tx *unix.Timex, status int32) {
	c.rate = clock.KernelFrequency{Tick: int64(tx.Tick), Freq: int64(tx.Freq)}
	c.status, c.known = status, true
}

// frequency returns the rate that the kernel confirmed last, or asks it.
func (c *Clock) frequency() clock.Frequency {
	if c.known {
		return clock.FromKernel(c.rate)
	}
	s, err := c.State()
	if err != nil {
		return 0
	}
	return s.Frequency
}

func stateOf(tx *unix.Timex, state int) State {
	k := clock.KernelFrequency{Tick: int64(tx.Tick), Freq: int64(tx.Freq)}
	s := State{
		Frequency: clock.FromKernel(k),
		Kernel:    k,
		Status: Status{
			Synchronized: tx.Status&unix.STA_UNSYNC == 0,
			MaxError:     clock.Dispersion(tx.Maxerror) / 1e6,
			EstError:     clock.Dispersion(tx.Esterror) / 1e6,
			TAI:          int(tx.Tai),
		},
		LeapState: state,
		Steered:   tx.Status&(unix.STA_PLL|unix.STA_FLL|unix.STA_PPSFREQ|unix.STA_PPSTIME) != 0,
		Bits:      int(tx.Status), Constant: int(tx.Constant),
		Offset: clock.Offset(tx.Offset) / 1e6, Precision: clock.Dispersion(tx.Precision) / 1e6,
		Tolerance: clock.FromPPM(float64(tx.Tolerance) / (1 << 16)),
	}
	if tx.Status&unix.STA_NANO != 0 {
		s.Offset /= 1000 // nanoseconds; the precision stays in microseconds
	}
	switch {
	case tx.Status&unix.STA_INS != 0:
		s.Status.Leap = ntp.LeapInsert
	case tx.Status&unix.STA_DEL != 0:
		s.Status.Leap = ntp.LeapDelete
	}
	return s
}

// microseconds encodes an error bound for the kernel, rounded up so that it
// stays a bound. NaN and everything beyond the limit give the limit.
func microseconds(d clock.Dispersion) int64 {
	us := math.Ceil(float64(d) * 1e6)
	switch {
	case us <= 0:
		return 0
	case us < maxKernelError:
		return int64(us)
	}
	return maxKernelError
}

// setLong stores v in a C long of the kernel's, whatever its size here.
func setLong[T int32 | int64](p *T, v int64) { *p = T(v) }
