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
