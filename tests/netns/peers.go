// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Peer returns the path of a program that tests/peers.sh has unpacked.
func Peer(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	path := filepath.Join(cache, "foliot-peers", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s has not been unpacked by tests/peers.sh: %w", name, err)
	}
	return path, nil
}

// Chrony is an edition of chrony: what its two programs are called.
type Chrony struct{ Daemon, Control string }

// Stock is the chrony that is installed.
var Stock = Chrony{"chronyd", "chronyc"}

// Newer is the chrony of a later release than Debian 12.
func Newer() (c Chrony, err error) {
	if c.Daemon, err = Peer("chronyd"); err != nil {
		return c, err
	}
	c.Control, err = Peer("chronyc")
	return c, err
}

// Run runs a command in the namespace to its end and returns what it printed.
func (s *Space) Run(args ...string) (string, error) {
	p, err := s.lab.Start(filepath.Base(args[0]), s.Command(args...))
	if err != nil {
		return "", err
	}
	code, err := p.Wait(30 * time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: exit code %d", p.Name, code)
	}
	return p.Log(), err
}

// Ntpd starts the ntpd of NTPsec. It selects and combines servers as ever, but
// does not discipline: neither in the kernel nor by itself.
func (s *Space) Ntpd(name, config string) (*Process, error) {
	program, err := Peer("ntpd")
	if err != nil {
		return nil, err
	}
	dir := s.lab.Path(name)
	path, err := s.lab.Write("disable ntp kernel\nstatsdir "+dir+"\nrestrict 127.0.0.1\nrestrict ::1\n"+config, name, "ntp.conf")
	if err != nil {
		return nil, err
	}
	return s.lab.Start(name, s.Command(program, "-n", "-c", path, "-p", filepath.Join(dir, "pid")))
}

// timesyncd runs in directories of its own, where neither its configuration nor
// its bus nor its memory of the last time is the machine's, and as nobody,
// because it would want its own user otherwise. "ip netns exec" has given it a
// mount namespace; the program may lie where nobody may look.
const timesyncd = `set -e
mount -t tmpfs none /var/lib
mount -t tmpfs none /run
mkdir -p /var/lib/systemd/timesync /run/systemd/timesync /run/systemd/netif /run/systemd/timesyncd.conf.d /run/peers
chown nobody /var/lib/systemd/timesync /run/systemd/timesync
printf '[Time]\nNTP=%s\nFallbackNTP=\nPollIntervalMinSec=16\n' "$2" >/run/systemd/timesyncd.conf.d/server.conf
mount --bind "$1" /run/peers
exec setpriv --reuid=nobody --regid=nogroup --clear-groups /run/peers/bin/timesyncd`

// Timesyncd starts systemd-timesyncd, as a client that says all it does.
func (s *Space) Timesyncd(name string, server netip.Addr) (*Process, error) {
	program, err := Peer("timesyncd")
	if err != nil {
		return nil, err
	}
	root := filepath.Dir(filepath.Dir(program))
	cmd := s.Command("sh", "-c", timesyncd, "sh", root, server.String())
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console")
	return s.lab.Start(name, cmd)
}
