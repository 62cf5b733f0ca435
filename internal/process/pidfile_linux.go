// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// RunningError says that the pid file belongs to a process that is alive.
type RunningError struct {
	Path string
	PID  int
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("create pidfile %s: process %d is still running", e.Path, e.PID)
}

// Pidfile is a file that holds the number of this process, and the proof that
// we wrote it.
type Pidfile struct {
	path string
	dir  int // descriptor of the directory
	file int // descriptor of the file, kept to empty it when it cannot be removed
	ino  uint64
	dev  uint64
}

// CreatePidfile writes the number of this process to path. A file left by a
// process that lives no more is replaced, and so is a symbolic link or anything
// else at that name but a directory; nothing is ever followed, so whoever may
// write to the directory cannot make us overwrite a file elsewhere. It returns
// a [*RunningError] if another instance is alive.
func CreatePidfile(path string) (*Pidfile, error) {
	p, err := createPidfile(path)
	var running *RunningError
	if err != nil && !errors.As(err, &running) {
		err = fmt.Errorf("create pidfile %s: %w", path, err)
	}
	return p, err
}

func createPidfile(path string) (*Pidfile, error) {
	dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	// Instances that start together take turns, or each could take the
	// other's new file for a stale one.
	if err := lock(dir); err != nil {
		unix.Close(dir)
		return nil, err
	}
	defer unix.Flock(dir, unix.LOCK_UN)

	p := &Pidfile{path: path, dir: dir, file: -1}
	if err := p.create(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// lock waits a second for the lock on a directory, no longer: whoever may open
// the directory could hold it for ever.
func lock(dir int) error {
	const pause, tries = 20 * time.Millisecond, 50
	for range tries {
		err := unix.Flock(dir, unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK {
			return os.NewSyscallError("flock", err)
		}
		time.Sleep(pause)
	}
	return errors.New("another process holds the lock of the directory")
}

// create makes the file, with the directory locked.
func (p *Pidfile) create() error {
	name := filepath.Base(p.path)
	if pid := readPID(p.dir, name); pid > 0 && pid != os.Getpid() && alive(pid) {
		return &RunningError{Path: p.path, PID: pid}
	}
	if err := unix.Unlinkat(p.dir, name, 0); err != nil && err != unix.ENOENT {
		return os.NewSyscallError("unlink", err)
	}
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(p.dir, name, flags, 0o644)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	p.file = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	p.dev, p.ino = st.Dev, st.Ino
	if _, err := unix.Write(fd, []byte(strconv.Itoa(os.Getpid())+"\n")); err != nil {
		unix.Unlinkat(p.dir, name, 0)
		return os.NewSyscallError("write", err)
	}
	return nil
}

// Remove deletes the file if it is still the one that CreatePidfile made. A
// process that has lost the right to delete it empties it, which the next
// instance takes for stale. Remove is called once, on the way out.
func (p *Pidfile) Remove() error {
	defer p.close()
	name := filepath.Base(p.path)
	var st unix.Stat_t
	err := unix.Fstatat(p.dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil || st.Dev != p.dev || st.Ino != p.ino {
		return fmt.Errorf("remove pidfile %s: it is not ours any more", p.path)
	}
	err = unix.Unlinkat(p.dir, name, 0)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
		err = unix.Ftruncate(p.file, 0)
	}
	if err != nil {
		return fmt.Errorf("remove pidfile %s: %w", p.path, err)
	}
	return nil
}

func (p *Pidfile) close() {
	unix.Close(p.dir)
	if p.file >= 0 {
		unix.Close(p.file)
	}
}

// readPID returns the process number in a file, 0 if the file is missing, not
// a plain file, or does not hold one.
func readPID(dir int, name string) int {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	var b [32]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0
	}
	return parsePID(string(b[:n]))
}

// parsePID reads the text of a pid file. Process numbers are at most 2^22
// (PID_MAX_LIMIT, linux/threads.h); anything else is 0.
func parsePID(s string) int {
	pid, err := strconv.ParseUint(strings.TrimSpace(s), 10, 22)
	if err != nil {
		return 0
	}
	return int(pid)
}

// alive tells whether a process runs the program that this one runs, whoever
// owns it: the number may have come to another program since. The programs are
// compared by the names of their files, which an upgrade keeps. What may not be
// looked at counts as running.
func alive(pid int) bool {
	if err := unix.Kill(pid, 0); err != nil && err != unix.EPERM {
		return false
	}
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return true // there is no /proc
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if errors.Is(err, os.ErrNotExist) {
		return false // a zombie, or a thread of the kernel
	}
	return err != nil || program(exe) == program(own)
}

// program returns the name of a file from /proc/PID/exe.
func program(exe string) string { return filepath.Base(strings.TrimSuffix(exe, " (deleted)")) }
