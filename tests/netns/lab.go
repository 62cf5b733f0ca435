// SPDX-License-Identifier: Apache-2.0

// Package netns runs daemons against each other on the real kernel: it makes
// network namespaces joined by veth pairs, starts foliotd and time daemons of
// other makes in them, and reads what they say and write. Its tests are the
// interoperability tests of foliot; the comparison in tests/sidebyside uses it too.
//
// The one concept is that nothing here can touch the clock: every child runs
// with clock control off and without CAP_SYS_TIME, so all daemons share the one
// undisturbed clock of the machine and the true offset between any two is zero.
package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// prefix begins the name of every namespace of ours; the number of the process
// that owns it follows.
const prefix = "foliot"

var labs atomic.Int32 // made by this process

// Lab is a set of namespaces and the daemons in them. Close removes all of it.
type Lab struct {
	Dir string // for files of the daemons, removed at the end

	tag    string
	mu     sync.Mutex
	spaces []*Space
	procs  []*Process
	links  int
}

// Space is a network namespace.
type Space struct {
	lab  *Lab
	Name string
}

// Link is a veth pair; A and B are the addresses and names of its two ends.
type Link struct {
	A4, B4, A6, B6 netip.Addr
	ADev, BDev     string
	a              *Space
}

// Ready says why the tests of this package cannot run here, or nil.
func Ready() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	for _, program := range []string{"ip", "setpriv", "chronyd", "chronyc"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed", program)
		}
	}
	return nil
}

// NewLab makes an empty lab, and removes what a killed run left behind.
func NewLab() (*Lab, error) {
	sweep()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // children that drop rights go through it
		return nil, err
	}
	return &Lab{Dir: dir, tag: fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), labs.Add(1))}, nil
}

// sweep removes namespaces whose process lives no more.
func sweep() {
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			pid, ok := owner(e.Name())
			if !ok || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				continue
			}
			if dir == "/run/netns" {
				run("ip", "netns", "del", e.Name()) // another run may have been faster
			} else {
				os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// owner returns the process in the name of a namespace of ours.
func owner(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix+"-")
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return pid, err == nil && pid > 1
}

// Close stops the daemons and removes the namespaces and files.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, p := range l.procs {
		p.Kill()
	}
	for _, s := range l.spaces {
		errs = append(errs, run("ip", "netns", "del", s.Name), os.RemoveAll("/etc/netns/"+s.Name))
	}
	l.procs, l.spaces = nil, nil
	return errors.Join(append(errs, os.RemoveAll(l.Dir))...)
}

// Space makes a namespace with its loopback interface up.
func (l *Lab) Space() (*Space, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &Space{lab: l, Name: fmt.Sprintf("%s-%c", l.tag, 'a'+len(l.spaces))}
	if err := run("ip", "netns", "add", s.Name); err != nil {
		return nil, err
	}
	l.spaces = append(l.spaces, s)
	return s, run("ip", "-n", s.Name, "link", "set", "lo", "up")
}

// Link joins two namespaces by a veth pair with an IPv4 and an IPv6 address at
// each end.
func (l *Lab) Link(a, b *Space) (*Link, error) {
	l.mu.Lock()
	l.links++
	n := l.links
	l.mu.Unlock()
	addr := func(format string, end int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf(format, n, end)) }
	k := &Link{
		A4: addr("10.77.%d.%d", 1), B4: addr("10.77.%d.%d", 2),
		A6: addr("fd77:%d::%d", 1), B6: addr("fd77:%d::%d", 2),
		ADev: fmt.Sprintf("v%da", n), BDev: fmt.Sprintf("v%db", n), a: a,
	}
	err := run("ip", "-n", a.Name, "link", "add", k.ADev, "type", "veth", "peer", "name", k.BDev, "netns", b.Name)
	if err != nil {
		return nil, err
	}
	return k, errors.Join(a.configure(k.ADev, k.A4, k.A6), b.configure(k.BDev, k.B4, k.B6))
}

// configure gives an interface its addresses and brings it up.
func (s *Space) configure(dev string, a4, a6 netip.Addr) error {
	return errors.Join(s.AddAddr(dev, a4), s.AddAddr(dev, a6), run("ip", "-n", s.Name, "link", "set", dev, "up"))
}

// AddAddr gives an interface one more address.
func (s *Space) AddAddr(dev string, a netip.Addr) error {
	if a.Is4() {
		return run("ip", "-n", s.Name, "addr", "add", a.String()+"/24", "dev", dev)
	}
	return run("ip", "-n", s.Name, "addr", "add", a.String()+"/64", "dev", dev, "nodad")
}

// Down cuts the link; Up joins it again.
func (k *Link) Down() error { return run("ip", "-n", k.a.Name, "link", "set", k.ADev, "down") }

// Up restores a link after Down. The kernel forgot the IPv6 address of the end
// that was down.
func (k *Link) Up() error {
	return errors.Join(
		run("ip", "-n", k.a.Name, "link", "set", k.ADev, "up"),
		run("ip", "-n", k.a.Name, "addr", "replace", k.A6.String()+"/64", "dev", k.ADev, "nodad"))
}

// Hosts sets the hosts file of the namespace, for daemons started later.
func (s *Space) Hosts(lines ...string) error {
	dir := "/etc/netns/" + s.Name
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := "127.0.0.1 localhost\n" + strings.Join(lines, "\n") + "\n"
	resolv := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644)
	return errors.Join(resolv, os.WriteFile(filepath.Join(dir, "hosts"), []byte(text), 0o644))
}

// Path returns the path of a file of the lab, in a directory of its own for
// each daemon.
func (l *Lab) Path(elem ...string) string { return filepath.Join(append([]string{l.Dir}, elem...)...) }

// Write writes a file of the lab and returns its path.
func (l *Lab) Write(text string, elem ...string) (string, error) {
	path := l.Path(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// run runs a command to its end.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
