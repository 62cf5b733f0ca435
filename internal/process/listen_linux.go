// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sockets that the service manager opened, sd_listen_fds(3).
const (
	firstListenFD = 3  // SD_LISTEN_FDS_START
	maxListenFDs  = 64 // more than any unit of ours passes
)

// ListenFiles returns the sockets that the service manager passed, named as in
// LISTEN_FDNAMES, and removes the variables that announced them so that no
// program started later takes them for its own. They are marked close-on-exec.
func ListenFiles() []*os.File {
	n := listenCount()
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(v)
	}
	files := make([]*os.File, 0, n)
	for i := range n {
		fd := firstListenFD + i
		unix.CloseOnExec(fd)
		name := "LISTEN_FD_" + strconv.Itoa(fd)
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	return files
}

// listenCount returns how many sockets were passed to this process. LISTEN_PID
// may be absent: [Detach] has checked it then.
func listenCount() int {
	pid, ok := os.LookupEnv("LISTEN_PID")
	if ok && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseUint(os.Getenv("LISTEN_FDS"), 10, 16)
	if err != nil || n > maxListenFDs {
		return 0
	}
	for fd := firstListenFD; fd < firstListenFD+int(n); fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return 0
		}
	}
	return int(n)
}
