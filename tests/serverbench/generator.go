// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batch is how many frames one sendmmsg(2) takes at most.
	batch = 64
	// slot is the pace of the generator below saturation: what is due is sent,
	// then it sleeps, so that the rest of the bench gets the processor too.
	slot = 100 * time.Microsecond
	// patience bounds the burst after the generator lost its processor. Frames
	// that were due earlier are given up and do not count as offered.
	patience = time.Millisecond
)

// kind is what the requests of the generator look like.
type kind int

const (
	basic  kind = iota
	costly      // half of them interleaved with stamps nobody gave, which cost a server memory
)

// generator sends requests from many addresses into one end of a link. It
// writes frames to a packet socket, past the queueing discipline, so what it
// costs is little more than the way of a packet through the kernel.
type generator struct {
	fd      int
	kind    kind
	random  *rand.Rand
	clients uint32 // how many addresses
	client  uint32 // the next one
	step    uint32
	frames  [batch][]byte
	vectors [batch]unix.Iovec
	msgs    [batch]mmsghdr
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// newGenerator opens a generator on an interface; call it inside the namespace.
func newGenerator(ifindex int, to target) (*generator, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket AF_PACKET", err)
	}
	g := &generator{fd: fd, random: rand.New(rand.NewPCG(1, 2))}
	err = errors.Join(
		os.NewSyscallError("setsockopt PACKET_QDISC_BYPASS", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)),
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex})))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	for i := range g.frames {
		g.frames[i] = newFrame(to)
		g.vectors[i].Base = &g.frames[i][0]
		g.vectors[i].SetLen(frameLen)
		g.msgs[i].header.Iov = &g.vectors[i]
		g.msgs[i].header.SetIovlen(1)
	}
	g.population(1, basic)
	return g, nil
}

func (g *generator) close() { unix.Close(g.fd) }

// population sets how many clients take part, and how they ask. Each asks once
// before any asks again, in an order that scatters them.
func (g *generator) population(n uint32, k kind) {
	g.clients, g.client, g.kind = n, 0, k
	g.step = scatter(n)
}

// scatter returns a step that visits all of n numbers, far from each other.
func scatter(n uint32) uint32 {
	step := uint32(float64(n) * 0.6180339887)
	for gcd(max(step, 1), n) != 1 {
		step++
	}
	return max(step, 1)
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// send sends n requests, at most batch, and returns how many left.
func (g *generator) send(n int) (int, error) {
	for i := range n {
		f := g.frames[i]
		setClient(f, g.client)
		setTransmit(f, g.random.Uint64())
		if g.kind == costly && i%2 == 0 {
			setInterleaved(f, g.random.Uint64()|1, g.random.Uint64())
		} else {
			setInterleaved(f, 0, 0)
		}
		g.client = uint32((uint64(g.client) + uint64(g.step)) % uint64(g.clients))
	}
	return sendmmsg(g.fd, g.msgs[:n])
}

func sendmmsg(fd int, msgs []mmsghdr) (int, error) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), 0, 0, 0)
	switch errno {
	case 0:
		return int(sent), nil
	case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
		return 0, nil // the interface's queue is full: as good as lost on the way
	}
	return 0, os.NewSyscallError("sendmmsg", errno)
}

// load sends rate requests a second until limit have left or stop says so, and
// returns how many left. A rate of 0 is as many as it can.
func (g *generator) load(rate float64, limit int, stop func(elapsed time.Duration) bool) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // sleep as exactly as the kernel can
	begin := time.Now()
	sent, due := 0, 0.0
	for last := time.Duration(0); sent < limit; {
		now := time.Since(begin)
		if stop(now) {
			break
		}
		due += rate * min(now-last, patience).Seconds()
		last = now
		if rate == 0 {
			due = batch
		}
		for due >= 1 && sent < limit {
			n, err := g.send(min(int(due), batch, limit-sent))
			if err != nil {
				return sent, err
			}
			sent += n
			due -= max(float64(n), 1)
			if time.Since(begin)-last > patience {
				break
			}
		}
		if rest := slot - (time.Since(begin) - last); rest > 0 && due < 1 {
			nap(rest)
		}
	}
	return sent, nil
}

// during stops a load after d.
func during(d time.Duration) func(time.Duration) bool {
	return func(elapsed time.Duration) bool { return elapsed >= d }
}

func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil) // cut short by a signal, it is only a little early
}
