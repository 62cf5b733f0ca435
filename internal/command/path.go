// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Owner is who a directory must belong to: the user that the daemon runs as.
type Owner struct{ UID, GID int }

// PrepareDir makes the directory of the socket at path, for its owner and nobody
// else. What is there already is left as it is: see [Server.OpenUnix].
func PrepareDir(path string, o Owner) error {
	dir := filepath.Dir(path)
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	// Until it is given away it is ours alone; the mode does not change after.
	if err := os.Mkdir(dir, 0o770); err != nil {
		return err
	}
	return os.Lchown(dir, o.UID, o.GID)
}

// OpenUnix binds a unix socket at path. Its directory must be closed to everybody
// but the owner and the owner's group: who can enter it may do everything. A socket
// that a dead daemon left is replaced. Nothing is given other permissions after
// its creation, since the name could be somebody else's file by then. Call it as
// the owner, and before threads that create files are started: it changes the
// umask for a moment.
func (s *Server) OpenUnix(path string, o Owner) error {
	if err := checkDir(filepath.Dir(path), o); err != nil {
		return err
	}
	if err := removeStale(path); err != nil {
		return err
	}
	old := syscall.Umask(0o077)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	syscall.Umask(old)
	if err != nil {
		return fmt.Errorf("open command socket: %w", err)
	}
	own, err := os.Lstat(path)
	if err != nil {
		conn.Close()
		return err
	}
	s.add(&socket{unix: conn, path: path, own: own})
	return nil
}

// checkDir holds a directory to what chronyd asks of it.
func checkDir(dir string, o Owner) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir() || !ok:
		return fmt.Errorf("%s is no directory", dir)
	case info.Mode().Perm()&0o007 != 0:
		return fmt.Errorf("directory %s is open to everybody (mode %04o)", dir, info.Mode().Perm())
	case int(st.Uid) != o.UID:
		return fmt.Errorf("directory %s belongs to user %d, not %d", dir, st.Uid, o.UID)
	case int(st.Gid) != o.GID:
		return fmt.Errorf("directory %s belongs to group %d, not %d", dir, st.Gid, o.GID)
	}
	return nil
}

// errInUse is about a socket on which another daemon listens.
var errInUse = errors.New("another daemon listens there")

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
		return fmt.Errorf("%s is not a socket", path)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		conn.Close()
		return errInUse
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
