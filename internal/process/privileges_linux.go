// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Caps is a set of capabilities, bit n for capability n (linux/capability.h).
type Caps uint64

// Capabilities that a time daemon can have a use for.
const (
	CapNetBindService Caps = 1 << unix.CAP_NET_BIND_SERVICE // ports below 1024
	CapIPCLock        Caps = 1 << unix.CAP_IPC_LOCK         // lock memory without limit
	CapNetAdmin       Caps = 1 << unix.CAP_NET_ADMIN        // hardware timestamps, tc, XDP
	CapNetRaw         Caps = 1 << unix.CAP_NET_RAW          // bind to a device before Linux 5.7
	CapSysTime        Caps = 1 << unix.CAP_SYS_TIME         // steer the clock
	CapPerfmon        Caps = 1 << unix.CAP_PERFMON          // eBPF programs that read memory
	CapBPF            Caps = 1 << unix.CAP_BPF              // load eBPF programs
)

var capNames = []struct {
	cap  Caps
	name string
}{
	{CapNetBindService, "CAP_NET_BIND_SERVICE"},
	{CapIPCLock, "CAP_IPC_LOCK"},
	{CapNetAdmin, "CAP_NET_ADMIN"},
	{CapNetRaw, "CAP_NET_RAW"},
	{CapSysTime, "CAP_SYS_TIME"},
	{CapPerfmon, "CAP_PERFMON"},
	{CapBPF, "CAP_BPF"},
}

func (c Caps) String() string {
	if c == 0 {
		return "none"
	}
	var names []string
	for _, n := range capNames {
		if c&n.cap != 0 {
			names = append(names, n.name)
			c &^= n.cap
		}
	}
	for i := 0; c != 0; i, c = i+1, c>>1 {
		if c&1 != 0 {
			names = append(names, "capability "+strconv.Itoa(i))
		}
	}
	return strings.Join(names, " ")
}

// Permitted returns the capabilities that the calling thread may use.
func Permitted() (Caps, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0, os.NewSyscallError("capget", err)
	}
	return Caps(data[1].Permitted)<<32 | Caps(data[0].Permitted), nil
}

// Drop makes every thread of the process run as id with no capabilities but
// those of keep that it has now, and without any way to gain others: they leave
// the bounding set, and programs it starts gain nothing from set-user-ID bits
// or file capabilities. It returns what is left of keep. A process that is not
// root can only drop to the user it already is.
//
// Drop cannot be undone, and after an error the process is in no state to
// continue. It wraps [ErrUnsupported] in a binary that uses cgo, where Go cannot
// reach every thread.
func Drop(id Identity, keep Caps) (Caps, error) {
	have, err := Permitted()
	if err == nil {
		keep &= have
		err = drop(id, keep, have)
	}
	if err != nil {
		return 0, fmt.Errorf("drop privileges to user %d: %w", id.UID, err)
	}
	return keep, nil
}

func drop(id Identity, keep, have Caps) error {
	if have&(1<<unix.CAP_SETPCAP) != 0 {
		if err := boundCaps(keep); err != nil {
			return err
		}
	}
	if err := allThreadsPrctl(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return err
	}
	if err := setIdentity(id); err != nil {
		return err
	}
	if err := setCaps(keep); err != nil {
		return err
	}
	if err := allThreadsPrctl(unix.PR_SET_KEEPCAPS, 0); err != nil {
		return err
	}
	if err := allThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return err
	}
	return confirm(id, keep)
}

// boundCaps removes everything but keep from the bounding set. The kernel
// answers EINVAL past its last capability.
func boundCaps(keep Caps) error {
	for i := range 64 {
		if keep&(1<<i) != 0 {
			continue
		}
		err := allThreadsPrctl(unix.PR_CAPBSET_DROP, uintptr(i))
		if errors.Is(err, unix.EINVAL) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setIdentity changes groups before users, since only root may.
func setIdentity(id Identity) error {
	if os.Getuid() == id.UID && os.Geteuid() == id.UID && id.UID != 0 {
		return nil
	}
	if err := syscall.Setgroups(id.Groups); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(id.GID, id.GID, id.GID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	return os.NewSyscallError("setresuid", syscall.Setresuid(id.UID, id.UID, id.UID))
}

// setCaps makes c the permitted and effective set, inheritable none.
func setCaps(c Caps) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c), Permitted: uint32(c)},
		{Effective: uint32(c >> 32), Permitted: uint32(c >> 32)},
	}
	// The kernel only reads both, so that threads may share them.
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	runtime.KeepAlive(&data)
	return threadsError("capset", errno)
}

// allThreadsPrctl calls prctl(2) with one argument on every thread.
func allThreadsPrctl(option int, arg uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, uintptr(option), arg, 0, 0, 0, 0)
	return threadsError("prctl", errno)
}

func threadsError(op string, errno syscall.Errno) error {
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return fmt.Errorf("%s on all threads: %w in a binary that uses cgo", op, ErrUnsupported)
	}
	return os.NewSyscallError(op, errno)
}

// confirm reads back what the kernel made of it.
func confirm(id Identity, keep Caps) error {
	got, err := Permitted()
	if err != nil {
		return err
	}
	ruid, euid, suid := unix.Getresuid()
	if got != keep || ruid != id.UID || euid != id.UID || suid != id.UID {
		return fmt.Errorf("the kernel reports user %d/%d/%d with capabilities %v", ruid, euid, suid, got)
	}
	return nil
}
