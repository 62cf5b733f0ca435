// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// LockMemory keeps the process in memory, what it allocates later included, so
// that a page fault never delays a timestamp. Pages are locked when they are
// first touched where the kernel can (Linux 4.4): the Go runtime reserves far
// more address space than it uses. Call it as root, before [Drop]. What it returns
// must not be dropped: where the limit on locked memory cannot be raised, which
// takes CAP_SYS_RESOURCE, a later allocation would fail.
func LockMemory() (keep Caps, err error) {
	inf := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &inf); err != nil {
		if have, _ := Permitted(); have&CapIPCLock == 0 {
			return 0, fmt.Errorf("lock memory: %w", os.NewSyscallError("setrlimit", err))
		}
		keep = CapIPCLock
	}
	return keep, lockAll()
}

// lockAll is LockMemory with the limit as it is.
func lockAll() error {
	const all = unix.MCL_CURRENT | unix.MCL_FUTURE
	err := unix.Mlockall(all | unix.MCL_ONFAULT)
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mlockall(all)
	}
	if err != nil {
		return fmt.Errorf("lock memory: %w", os.NewSyscallError("mlockall", err))
	}
	return nil
}

// SetRealtime gives the calling thread the SCHED_FIFO priority prio, 1..99; 0
// changes nothing. The goroutine must have locked itself to its thread
// (runtime.LockOSThread). Threads that this one starts do not inherit it.
func SetRealtime(prio int) error {
	if prio == 0 {
		return nil
	}
	if prio < 1 || prio > 99 {
		return fmt.Errorf("set priority %d: %w (want 1..99)", prio, os.ErrInvalid)
	}
	attr := unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   unix.SCHED_FIFO,
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Priority: uint32(prio),
	}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("set priority %d: %w", prio, os.NewSyscallError("sched_setattr", err))
	}
	return nil
}
