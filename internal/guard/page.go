// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// The file descriptors that a guard inherits.
const (
	memoryFD = 3
	connFD   = 4
)

// pageSize is the size of the shared memory, one page on most machines.
const pageSize = 4096

// page is what daemon and guard share. All that the guard needs is in one word,
// so there is no moment at which a kill would leave half of it written.
type page struct {
	base atomic.Int64 // packed rate, 0 = none yet
	bye  atomic.Int64 // 1 = the daemon ends in order
}

// pack puts a kernel rate into a word: tick in the upper half, freq in the lower.
func pack(k clock.KernelFrequency) int64 { return k.Tick<<32 | int64(uint32(int32(k.Freq))) }

// unpack is the inverse of pack. It refuses what the kernel would not take.
func unpack(w int64) (k clock.KernelFrequency, ok bool) {
	const maxFreq = 500 << 16
	k = clock.KernelFrequency{Tick: w >> 32, Freq: int64(int32(w))}
	ok = k.Tick >= 9000 && k.Tick <= 11000 && k.Freq >= -maxFreq && k.Freq <= maxFreq
	return k, ok
}

// newPage makes the shared memory and maps it for the daemon. The mapping lasts
// as long as the process.
func newPage() (*page, *os.File, error) {
	fd, err := unix.MemfdCreate("foliot-guard", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "foliot-guard")
	if err := f.Truncate(pageSize); err != nil {
		f.Close()
		return nil, nil, err
	}
	// Nobody can cut the memory off under the other's feet.
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, nil, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	p, err := mapPage(fd, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return p, f, nil
}

func mapPage(fd, prot int) (*page, error) {
	b, err := unix.Mmap(fd, 0, pageSize, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared page: %w", os.NewSyscallError("mmap", err))
	}
	return (*page)(unsafe.Pointer(unsafe.SliceData(b))), nil
}
