// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sofOptRxFilter is SOF_TIMESTAMPING_OPT_RX_FILTER (Linux 6.12): report only
// the receive stamps that this socket asked for.
const sofOptRxFilter = 0x20000

// Flags of SO_TIMESTAMPING that every socket sets. None of them requests
// transmit stamps: messages do.
const (
	stampFlags = unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE |
		unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY | unix.SOF_TIMESTAMPING_OPT_CMSG
	hardwareFlags = unix.SOF_TIMESTAMPING_RAW_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE |
		unix.SOF_TIMESTAMPING_OPT_TX_SWHW
)

// Features says what the running kernel offers.
type Features struct {
	Stamps   bool // SO_TIMESTAMPING_NEW with stamps requested per message
	OwnIDs   bool // SCM_TS_OPT_ID: a datagram carries the id of its stamp
	RxFilter bool // stamps that others turned on stay away
	Nanowait bool // epoll_pwait2: timeouts below a millisecond
}

// Missing lists what the kernel lacks, for telling it once.
func (f Features) Missing() []*UnsupportedError {
	var list []*UnsupportedError
	for _, m := range [...]struct {
		has bool
		err UnsupportedError
	}{
		{f.Stamps, UnsupportedError{
			"kernel timestamping of packets (SO_TIMESTAMPING_NEW)", "5.1",
			"packets are stamped by the daemon, tens of microseconds worse",
		}},
		{f.OwnIDs, UnsupportedError{
			"naming transmit timestamps (SCM_TS_OPT_ID)", "6.13",
			"they are matched by counting packets, and one that the system drops unseen can cost some",
		}},
		{f.RxFilter, UnsupportedError{
			"filtering receive timestamps (SOF_TIMESTAMPING_OPT_RX_FILTER)", "6.12",
			"stamps that other programs turned on arrive too and cost a little time",
		}},
		{f.Nanowait, UnsupportedError{
			"waiting with nanosecond timeouts (epoll_pwait2)", "5.11",
			"timers are up to a millisecond late",
		}},
	} {
		if !m.has {
			list = append(list, &m.err)
		}
	}
	return list
}

// Probe returns the features of the running kernel. The first call finds them
// out, by asking the kernel and not by its version number.
var Probe = sync.OnceValue(probe)

func probe() Features {
	f := Features{Nanowait: probeNanowait()}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return f
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampFlags) != nil {
		return f
	}
	f.RxFilter = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampFlags|sofOptRxFilter) == nil
	// A datagram from a socket to itself: the kernel refuses a control message
	// that it does not know with EINVAL, before it looks for a route.
	addr := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if unix.Bind(fd, addr) != nil {
		return f
	}
	self, err := unix.Getsockname(fd)
	if err != nil {
		return f
	}
	cmsg := appendUint32(make([]byte, 0, 64), unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, unix.SOF_TIMESTAMPING_TX_SOFTWARE)
	if unix.Sendmsg(fd, []byte{0}, cmsg, self, 0) == unix.EINVAL {
		return f
	}
	f.Stamps = true
	cmsg = appendUint32(cmsg, unix.SOL_SOCKET, unix.SCM_TS_OPT_ID, 1)
	f.OwnIDs = unix.Sendmsg(fd, []byte{0}, cmsg, self, 0) != unix.EINVAL
	return f
}

// probeNanowait calls epoll_pwait2 with a descriptor that cannot be: a kernel
// that has the call says EBADF, another ENOSYS, a sandbox perhaps EPERM.
func probeNanowait() bool {
	var ev unix.EpollEvent
	var ts unix.Timespec
	_, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, ^uintptr(0),
		uintptr(unsafe.Pointer(&ev)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0)
	// The call takes 64-bit times on every machine, which Timespec matches
	// only where a long has 64 bits.
	return errno == unix.EBADF && unsafe.Sizeof(ts) == 16
}

// enableStamps turns receive stamps on and transmit stamps possible.
func enableStamps(fd int, f Features, hardware bool) error {
	if !f.Stamps {
		return nil
	}
	flags := stampFlags
	if hardware {
		flags |= hardwareFlags
	}
	if f.RxFilter {
		flags |= sofOptRxFilter
	}
	return os.NewSyscallError("setsockopt SO_TIMESTAMPING",
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags))
}
