// SPDX-License-Identifier: Apache-2.0

package cmdclient

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// dialUnix makes a socket to the daemon's at path. A datagram is answered to the
// path that it came from, so ours is bound beside the daemon's, in directories of
// its own: DIR/chronyc.PID/RANDOM/sock.
//
// The daemon may run as another user and must reach the socket. Its mode is not
// changed afterwards, because whoever owns the directory could have put another
// file there: the umask gives it from the start.
func (c *Client) dialUnix(path string) {
	outer := filepath.Join(filepath.Dir(path), fmt.Sprintf("chronyc.%d", os.Getpid()))
	inner := filepath.Join(outer, rand.Text()[:16])
	ours := filepath.Join(inner, "sock")
	remove := func() {
		os.Remove(ours)
		os.Remove(inner)
		os.Remove(outer)
	}
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	err := os.Mkdir(outer, 0o711)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = os.Mkdir(inner, 0o711)
	}
	if err != nil {
		remove()
		return
	}
	syscall.Umask(0o111)
	conn, err := net.DialUnix("unixgram", &net.UnixAddr{Name: ours, Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		remove()
		return
	}
	c.conn, c.remove = conn, remove
}
