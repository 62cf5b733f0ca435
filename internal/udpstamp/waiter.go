// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Waiter waits for one socket. It does so by ppoll(2): a [Poller] stays on the
// socket's wait queue, where each datagram that leaves the machine finds it and
// looks whether it wants to know, which costs a busy server a twentieth of its
// time. One goroutine owns a Waiter; Wake is for all others.
type Waiter struct {
	fds    [2]unix.PollFd // the socket, and the descriptor of Wake
	waking atomic.Bool    // a wake-up is on its way
	mu     sync.Mutex     // guards wake against use after Close
	wake   int
}

// NewWaiter returns a waiter for s.
func NewWaiter(s *Socket) (*Waiter, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &Waiter{wake: wake, fds: [2]unix.PollFd{
		{Fd: int32(s.fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN},
	}}, nil
}

// Wait waits until a datagram or a transmit stamp is there, Wake is called or a
// signal comes. It tells whether stamps are waiting (RecvTx).
func (w *Waiter) Wait() (stamps bool) {
	_, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds)), uintptr(len(w.fds)), 0, 0, 0, 0)
	return errno == 0 && w.look()
}

// Glance is Wait for up to d, without telling Go's scheduler: so the processor it
// has lent us stays ours, and nobody is woken to take it away. The garbage
// collector interrupts it by a signal. It also tells whether anything came.
func (w *Waiter) Glance(d time.Duration) (something, stamps bool) {
	ts := unix.NsecToTimespec(int64(d))
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds)), uintptr(len(w.fds)),
		uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if errno != 0 {
		return true, false
	}
	return n > 0, n > 0 && w.look()
}

// look reads the results.
func (w *Waiter) look() (stamps bool) {
	if w.fds[1].Revents != 0 {
		var b [8]byte
		unix.Read(int(w.fds[1].Fd), b[:])
		w.waking.Store(false)
	}
	return w.fds[0].Revents&unix.POLLERR != 0
}

// Wake ends the current or the next Wait or Glance. It may be called by any
// goroutine, also after Close.
func (w *Waiter) Wake() {
	if w.waking.Swap(true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake >= 0 {
		one := [8]byte{7: 1} // not 0 in either byte order
		unix.Write(w.wake, one[:])
	}
}

// Close closes the waiter, not the socket.
func (w *Waiter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd := w.wake
	w.wake = -1
	if fd < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

// Pause sleeps for d, below a millisecond, like Glance.
func Pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}
