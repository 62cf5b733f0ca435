// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
	"foliot/internal/sysclock"
)

// Main is the life of the guard process. It returns the exit status: 0 if there
// was nothing to do or it is done, 1 if the clock could not be set, 2 if the
// process was not started by [Start].
func Main() int {
	return run(func(f clock.Frequency) error {
		_, err := sysclock.New().SetFrequency(f)
		return err
	})
}

func run(setFrequency func(clock.Frequency) error) int {
	// What ends the daemon in order is often sent to its whole group. The guard
	// waits for the daemon's end, which then comes.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	debug.SetGCPercent(-1)
	p, err := mapPage(memoryFD, unix.PROT_READ)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 2
	}
	if _, err := unix.Write(connFD, []byte{1}); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", os.NewSyscallError("write", err))
		return 2
	}
	debug.FreeOSMemory() // it will not be needed again
	awaitEnd()
	if p.bye.Load() != 0 {
		return 0
	}
	base, ok := unpack(p.base.Load())
	if !ok {
		return 0
	}
	f := clock.FromKernel(base)
	if err := setFrequency(f); err != nil {
		fmt.Fprintf(os.Stderr, "guard: the daemon died: %v\n", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "guard: the daemon died: set clock rate to %.3f ppm\n", f.PPM())
	return 0
}

// awaitEnd returns when the daemon's end of the connection is closed, by it or
// by the kernel after its death.
func awaitEnd() {
	var b [16]byte
	for {
		n, err := unix.Read(connFD, b[:])
		if n > 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		return
	}
}
