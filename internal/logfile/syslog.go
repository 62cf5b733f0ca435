// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"syscall"
)

// SyslogPath is the socket on which the system's log daemon listens.
const SyslogPath = "/dev/log"

// Syslog sends each Write as one datagram to the log daemon of the system. It
// never waits: what the log daemon does not take at once is lost, and so is
// everything while there is none. One that is started again, or later than we
// are, gets the next message, as the socket stays unconnected. Safe for
// concurrent use.
type Syslog struct {
	fd int
	to syscall.SockaddrUnix
}

// NewSyslog returns the way to the log daemon that listens at path.
func NewSyslog(path string) (*Syslog, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &Syslog{fd: fd, to: syscall.SockaddrUnix{Name: path}}, nil
}

// Write sends one message without its line end. It reports success even when
// the message is lost: there is nowhere else to tell it.
func (s *Syslog) Write(b []byte) (int, error) {
	syscall.Sendto(s.fd, bytes.TrimSuffix(b, []byte("\n")), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, &s.to)
	return len(b), nil
}

// Close closes the socket.
func (s *Syslog) Close() error { return syscall.Close(s.fd) }
