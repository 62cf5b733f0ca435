// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxEvents is how many events one Wait returns at most.
const maxEvents = 64

// wakeToken marks the poller's own descriptor.
const wakeToken = ^uint64(0)

// Event says what a descriptor waits with. An event may concern a socket that
// was closed after the event: use tokens once.
type Event struct {
	Token    uint64 // as given to Add
	Readable bool   // Recv has something, perhaps an error
	// Errors says that the error queue holds stamps (RecvTx), or that the other
	// end of a pipe is gone.
	Errors bool
}

// Poller waits for sockets and other descriptors (epoll(7), level triggered).
// One goroutine owns it; Wake is for all others.
type Poller struct {
	fd       int
	nanowait bool
	raw      [maxEvents]unix.EpollEvent
	events   [maxEvents]Event

	waking atomic.Bool // a wake-up is on its way
	mu     sync.Mutex  // guards wake against use after Close
	wake   int
}

// NewPoller returns a poller that watches nothing.
func NewPoller() (*Poller, error) { return newPoller(Probe().Nanowait) }

func newPoller(nanowait bool) (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &Poller{fd: fd, nanowait: nanowait, wake: -1}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		p.Close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := p.Add(p.wake, wakeToken); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Add watches fd for reading and errors. All values of token but the largest
// are free.
func (p *Poller) Add(fd int, token uint64) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	return os.NewSyscallError("epoll_ctl add", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev))
}

// Remove ends watching fd. Closing a socket does it too.
func (p *Poller) Remove(fd int) error {
	var ev unix.EpollEvent
	return os.NewSyscallError("epoll_ctl del", unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, &ev))
}

// Wait waits until something happens, Wake is called, timeout has passed or a
// signal came. A negative timeout waits for ever, 0 not at all. The kernel
// measures it with CLOCK_MONOTONIC, which our own slewing stretches by up to 10 %. The
// events are valid until the next Wait. woken says that Wake was called; what
// was done before that call is visible now.
func (p *Poller) Wait(timeout time.Duration) (events []Event, woken bool, err error) {
	n, err := p.wait(timeout)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil, false, nil
		}
		return nil, false, os.NewSyscallError("epoll_wait", err)
	}
	events = p.events[:0]
	for i := range n {
		raw := &p.raw[i]
		token := uint64(uint32(raw.Fd)) | uint64(uint32(raw.Pad))<<32
		if token == wakeToken {
			p.clearWake()
			woken = true
			continue
		}
		events = append(events, Event{
			Token:    token,
			Readable: raw.Events&(unix.EPOLLIN|unix.EPOLLHUP) != 0,
			Errors:   raw.Events&unix.EPOLLERR != 0,
		})
	}
	return events, woken, nil
}

func (p *Poller) wait(timeout time.Duration) (int, error) {
	if !p.nanowait {
		return unix.EpollWait(p.fd, p.raw[:], milliseconds(timeout))
	}
	var ts unix.Timespec
	var limit *unix.Timespec
	if timeout >= 0 {
		ts = unix.NsecToTimespec(int64(timeout))
		limit = &ts
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.raw)),
		maxEvents, uintptr(unsafe.Pointer(limit)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// milliseconds rounds a timeout up, so that a deadline has passed after it.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	const largest = 1<<31 - 1
	return int(min((int64(d)+999_999)/1_000_000, largest))
}

// Wake ends the current or the next Wait. It may be called by any goroutine,
// also after Close, and costs a system call only once per Wait.
func (p *Poller) Wake() {
	if p.waking.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake >= 0 {
		one := [8]byte{7: 1} // not 0 in either byte order
		unix.Write(p.wake, one[:])
	}
}

// clearWake makes the next Wake count. It comes before the caller looks at what
// it was woken for, so nothing is missed.
func (p *Poller) clearWake() {
	var b [8]byte
	unix.Read(p.wake, b[:])
	p.waking.Store(false)
}

// Close closes the poller, not what it watches.
func (p *Poller) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake >= 0 {
		unix.Close(p.wake)
		p.wake = -1
	}
	fd := p.fd
	p.fd = -1
	if fd < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(fd))
}
