// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The two processors: servers have one for themselves, all else shares the other.
const (
	benchCPU  = 0
	serverCPU = 1
)

// eager is the nice value of the bench and the servers: other work on the machine
// gets a few hundredths of a processor (sched(7)), so it adds little to what is
// measured, and is not starved.
const eager = -15

// settle keeps all threads of this process, and those to come, on the bench's
// processor, and gives them and their children a nice value. The function that it
// returns undoes what outlives the process.
func settle(nice int) (undo func(), err error) {
	var one unix.CPUSet
	one.Set(benchCPU)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return nil, err
		}
		err = errors.Join(
			os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(id, &one)),
			os.NewSyscallError("setpriority", unix.Setpriority(unix.PRIO_PROCESS, id, nice)))
		if err != nil && !errors.Is(err, unix.ESRCH) { // a thread may have ended
			return nil, err
		}
	}
	return favour(nice), nil
}

// alone waits until no other bench runs on this machine, and keeps others waiting
// until this process ends.
func alone(say io.Writer) error {
	file := filepath.Join(os.TempDir(), "foliot-serverbench.lock")
	fd, err := unix.Open(file, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		fmt.Fprintln(say, "serverbench: waiting for another bench to end")
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	return os.NewSyscallError("flock", err)
}

// favour sets the nice value of the session, which comes before that of a process
// where the kernel groups processes by session (sched(7), autogroup). The
// function that it returns sets it back.
func favour(nice int) (undo func()) {
	const file = "/proc/self/autogroup"
	b, err := os.ReadFile(file) // "/autogroup-25 nice 0"
	if err != nil {
		return func() {}
	}
	_, before, ok := strings.Cut(strings.TrimSpace(string(b)), " nice ")
	if !ok || os.WriteFile(file, []byte(strconv.Itoa(nice)), 0) != nil {
		return func() {}
	}
	return func() { os.WriteFile(file, []byte(before), 0) }
}
