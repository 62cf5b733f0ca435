// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// launchVar tells the program started by [Detach] which descriptor leads back
// to the process that started it.
const launchVar = "FOLIOT_LAUNCH_FD"

// Octets with which the daemon's verdict begins on the pipe.
const (
	verdictReady = 'R'
	verdictFail  = 'F'
)

// maxVerdict bounds the error text that travels to the launching process.
const maxVerdict = 64 << 10

// Launch is the daemon's side of a [Detach]: the obligation to tell the
// waiting process how the start went. Exactly one of Ready and Fail must be
// called; dying without either counts as a failure.
type Launch struct {
	pipe *os.File
}

// Detach turns the program into a background process. Go cannot fork, so it
// starts the same executable again with the same arguments, in a session of
// its own, and waits for that one's verdict.
//
// A nil Launch means that the caller is the waiting process: it must exit at
// once with the returned code, 0 only if the daemon reported Ready. Otherwise
// the caller is the daemon. Until Ready it keeps the working directory and the
// standard error of the command line, so that relative paths mean what the
// user meant and a crash is seen.
func Detach(stderr io.Writer) (*Launch, int) {
	if l := inherited(); l != nil {
		return l, 0
	}
	if err := launch(); err != nil {
		fmt.Fprintln(stderr, err)
		return nil, 1
	}
	return nil, 0
}

// inherited returns the Launch that a waiting process handed to this one, nil
// if there is none. A variable that leads to anything but a pipe is a leftover
// in the environment.
func inherited() *Launch {
	v := os.Getenv(launchVar)
	os.Unsetenv(launchVar)
	fd, err := strconv.ParseUint(v, 10, 16)
	if err != nil || fd < firstListenFD {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(int(fd), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil
	}
	unix.CloseOnExec(int(fd))
	return &Launch{pipe: os.NewFile(uintptr(fd), "launch pipe")}
}

// launch starts the daemon and waits for its verdict.
func launch() error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	defer r.Close()

	files, env := launchFiles([]*os.File{null, null, os.Stderr}, w)
	p, err := os.StartProcess(exe, os.Args, &os.ProcAttr{
		Files: files,
		Env:   env,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	w.Close()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	return await(p, r)
}

// launchFiles returns the descriptors and environment of the daemon. Sockets
// that a service manager passed keep their numbers; the pipe comes after them.
// LISTEN_PID names this process, so it is checked here and left out.
func launchFiles(std []*os.File, pipe *os.File) ([]*os.File, []string) {
	n := listenCount()
	files := std
	for i := range n {
		files = append(files, os.NewFile(uintptr(firstListenFD+i), "listen"))
	}
	files = append(files, pipe)
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name == "LISTEN_PID" || n == 0 && strings.HasPrefix(name, "LISTEN_FD") {
			continue
		}
		env = append(env, kv)
	}
	return files, append(env, fmt.Sprintf("%s=%d", launchVar, len(files)-1))
}

// await reads the verdict of p. Interrupting the waiting process stops the
// daemon that is starting.
func await(p *os.Process, r io.Reader) error {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(sig)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case s := <-sig:
			p.Signal(s)
		case <-done:
		}
	}()
	verdict, err := io.ReadAll(io.LimitReader(r, maxVerdict))
	switch {
	case err != nil:
		return fmt.Errorf("start daemon: %w", err)
	case len(verdict) == 0:
		state, err := p.Wait()
		if err != nil {
			return fmt.Errorf("start daemon: %w", err)
		}
		return fmt.Errorf("start daemon: ended before it was ready (%v)", state)
	case verdict[0] == verdictReady:
		return nil
	}
	p.Wait()
	return errors.New(string(verdict[1:]))
}

// Ready reports a successful start: the launching process exits with 0. The
// daemon's working directory becomes / and its standard streams /dev/null, so
// every path that is used later must be absolute by now.
func (l *Launch) Ready() error {
	if err := os.Chdir("/"); err != nil {
		return err
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open "+os.DevNull, err)
	}
	defer unix.Close(null)
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	return l.tell(verdictReady, "")
}

// Fail reports why the daemon could not start: the launching process prints
// the text of err on its standard error and exits with 1.
func (l *Launch) Fail(err error) error { return l.tell(verdictFail, err.Error()) }

func (l *Launch) tell(verdict byte, text string) error {
	_, err := l.pipe.Write(append([]byte{verdict}, text...))
	return errors.Join(err, l.pipe.Close())
}
