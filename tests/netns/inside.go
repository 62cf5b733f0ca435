// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Inside calls f in the network namespace: sockets that it makes belong there.
// The thread that visits comes back.
func (s *Space) Inside(f func() error) error {
	there, err := unix.Open("/run/netns/"+s.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(there)
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(home)
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return os.NewSyscallError("setns", err)
	}
	err = f()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and is used for nothing else
	}
	runtime.UnlockOSThread()
	return err
}

// OnCPU calls f on one processor: children that it starts stay there.
func OnCPU(cpu int, f func() error) error {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("run on processor %d: %w", cpu, os.NewSyscallError("sched_setaffinity", err))
	}
	err := f()
	if back := unix.SchedSetaffinity(0, &before); back != nil {
		return errors.Join(err, back) // the thread stays locked, as above
	}
	runtime.UnlockOSThread()
	return err
}

// IP configures the network of the namespace with ip(8).
func (s *Space) IP(args ...string) error {
	return run("ip", append([]string{"-n", s.Name}, args...)...)
}
