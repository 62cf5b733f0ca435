// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// capabilityVersion3 is _LINUX_CAPABILITY_VERSION_3, the layout with two words.
const capabilityVersion3 = unix.LINUX_CAPABILITY_VERSION_3

// Disabled is a clock that is read and never set, for running without clock
// control (-x). It has the methods of [Clock]. Make one with [NewDisabled].
type Disabled struct{ clock *Clock }

// NewDisabled returns the machine's clock, out of reach.
func NewDisabled() *Disabled { return &Disabled{clock: New()} }

// Init returns the state found and leaves it so.
func (d *Disabled) Init() (State, error) { return d.clock.State() }

// SetFrequency does nothing and says so.
func (d *Disabled) SetFrequency(clock.Frequency) (Done, error) { return d.refuse(), nil }

// Step does nothing and says so.
func (d *Disabled) Step(clock.Offset) (Done, error) { return d.refuse(), nil }

// SetStatus does nothing.
func (d *Disabled) SetStatus(Status) error { return nil }

// State reads the kernel's state.
func (d *Disabled) State() (State, error) { return d.clock.State() }

// Interference finds nothing: the clock is somebody else's.
func (d *Disabled) Interference() (Foreign, error) { return Foreign{}, nil }

func (d *Disabled) refuse() Done {
	return Done{At: Read(), Frequency: d.clock.frequency()}
}

// Settable tells whether the process has CAP_SYS_TIME in its effective set.
// In a user namespace other than the first the kernel refuses all the same.
func Settable() (bool, error) {
	hdr := unix.CapUserHeader{Version: capabilityVersion3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", os.NewSyscallError("capget", err))
	}
	return data[unix.CAP_SYS_TIME/32].Effective&(1<<(unix.CAP_SYS_TIME%32)) != 0, nil
}
