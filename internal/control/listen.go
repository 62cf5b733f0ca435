// SPDX-License-Identifier: Apache-2.0

package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrInUse is wrapped by errors about a socket on which another daemon answers.
var ErrInUse = errors.New("another daemon answers there")

// listen binds the socket at path. Its directory is made, with mode 0750, if
// it is missing. Nothing is ever given other permissions after its creation:
// the name could be someone else's file by then.
func listen(path string) (*net.UnixListener, error) {
	if err := prepareDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// The umask is the process's: files that other goroutines create at this
	// moment are private too.
	old := syscall.Umask(0o077)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // the name may be another daemon's by then
	return ln, nil
}

// prepareDir makes the directory of the socket, or checks that nobody but root,
// this user and their groups can replace what is in it.
func prepareDir(dir string) error {
	err := os.Mkdir(dir, 0o750)
	if err == nil || !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok {
		return fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("directory %s is writable for everybody", dir)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("directory %s belongs to user %d", dir, st.Uid)
	}
	return nil
}

// removeStale removes a socket that nobody listens on, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("the file there is not a socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return ErrInUse
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// removeOwn removes the socket at path if it is still the file own. The number of a
// file may be that of one which is gone, hence its time.
func removeOwn(path string, own os.FileInfo) error {
	info, err := os.Lstat(path)
	if err != nil || !os.SameFile(info, own) || !info.ModTime().Equal(own.ModTime()) {
		return err
	}
	return os.Remove(path)
}

// peer returns the user at the other end, as the kernel recorded it when the
// connection was made.
func peer(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		cred, sockErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, os.NewSyscallError("getsockopt", sockErr)); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
