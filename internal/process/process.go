// SPDX-License-Identifier: Apache-2.0

// Package process is what makes a program a Unix daemon: detaching from the
// terminal, the pid file, the service manager's notifications and inherited
// sockets, signals, and giving up the rights that are no longer needed. It
// knows nothing about time or configuration, and starts no goroutines that
// outlive a call.
//
// The one concept: Linux keeps credentials and capabilities per thread, and a
// Go program has many threads that it does not choose among. Whatever changes
// rights here changes them for all threads or reports an error, which is why
// [Drop] refuses to work in a binary that uses cgo.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// ErrUnsupported is wrapped by errors about something that this binary or this
// kernel cannot do.
var ErrUnsupported = errors.New("not supported")

// Signals are the requests that reach the daemon from kill(1).
type Signals struct {
	// Stop delivers SIGTERM, SIGINT and SIGQUIT: leave cleanly.
	Stop <-chan os.Signal
	// Reload delivers SIGHUP: read the configuration and re-open the logs.
	// Several that arrive before one is read count as one.
	Reload <-chan os.Signal

	stop, reload chan os.Signal
}

// NotifySignals begins catching signals. Each kind has a channel of its own,
// so that a burst of reloads cannot displace a stop.
func NotifySignals() *Signals {
	s := &Signals{stop: make(chan os.Signal, 1), reload: make(chan os.Signal, 1)}
	s.Stop, s.Reload = s.stop, s.reload
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	signal.Notify(s.reload, syscall.SIGHUP)
	return s
}

// Close restores the default effect of the signals.
func (s *Signals) Close() {
	signal.Stop(s.stop)
	signal.Stop(s.reload)
}

// Identity is the user that a process acts as, in numbers.
type Identity struct {
	UID    int
	GID    int
	Groups []int // supplementary groups, GID included
}

// LookupUser finds the user name, or the decimal user number, in /etc/passwd
// and its groups in /etc/group. It asks no directory service, as only the C
// library could.
func LookupUser(name string) (Identity, error) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return Identity{}, fmt.Errorf("look up user %s: %w", name, err)
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Identity{}, fmt.Errorf("look up user %s: %w", name, err)
	}
	return findUser(name, string(passwd), string(group))
}

// findUser is LookupUser on the contents of the two files (passwd(5), group(5)).
func findUser(name, passwd, group string) (Identity, error) {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 7 || f[0] != name && f[2] != name {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 31)
		gid, err2 := strconv.ParseUint(f[3], 10, 31)
		if err := errors.Join(err1, err2); err != nil {
			return Identity{}, fmt.Errorf("look up user %s: %w", name, err)
		}
		id := Identity{UID: int(uid), GID: int(gid)}
		id.Groups = append([]int{id.GID}, memberships(f[0], id.GID, group)...)
		return id, nil
	}
	return Identity{}, fmt.Errorf("look up user %s: no such user in /etc/passwd", name)
}

// memberships lists the groups that name user as a member, primary excluded.
func memberships(user string, primary int, group string) []int {
	var gids []int
	for line := range strings.Lines(group) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 4 {
			continue
		}
		gid, err := strconv.ParseUint(f[2], 10, 31)
		if err != nil || int(gid) == primary {
			continue
		}
		for member := range strings.SplitSeq(f[3], ",") {
			if member == user {
				gids = append(gids, int(gid))
				break
			}
		}
	}
	return gids
}
