// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminal tells whether f is a terminal.
func Terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// TerminalSize returns how many columns and rows a terminal has.
func TerminalSize(f *os.File) (columns, rows int, err error) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, os.NewSyscallError("ioctl TIOCGWINSZ", err)
	}
	return int(size.Col), int(size.Row), nil
}

// ReadKeys makes a terminal hand over each key as it is pressed, unseen; Ctrl-C is
// a key like others then, and Ctrl-Z cannot stop the program in the middle of a
// picture. restore puts things back.
func ReadKeys(f *os.File) (restore func() error, err error) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, os.NewSyscallError("ioctl TCGETS", err)
	}
	keys := *before
	keys.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG | unix.IEXTEN
	keys.Iflag &^= unix.IXON | unix.ICRNL
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &keys); err != nil {
		return nil, os.NewSyscallError("ioctl TCSETS", err)
	}
	return func() error {
		return os.NewSyscallError("ioctl TCSETS", unix.IoctlSetTermios(fd, unix.TCSETS, before))
	}, nil
}
