// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/tests/netns"
)

// UpstreamAddr is the server that daemons follow. Links of a lab are numbered from
// 1, and the second one leads there.
var UpstreamAddr = netip.MustParseAddr("10.77.2.2")

// Daemon is a foliotd or chronyd behind a veth pair.
type Daemon struct {
	name             string
	lab              *netns.Lab
	here, there, far *netns.Space // clients, server, upstream server
	link             *netns.Link
	peer             io.Closer // program at the clients' end, nil without
	start            func(config string) (*netns.Daemon, error)
	upstream, daemon *netns.Daemon
	config           string
	stratum          uint8
	version          int // of chronyd, 100 times the major number and the minor
	wire
}

// NewFoliotd returns foliotd as a target, with more directives in every state.
func NewFoliotd(bins *netns.Binaries, more string) (*Daemon, error) {
	d, err := newDaemon(Foliotd)
	if err != nil {
		return nil, err
	}
	d.start = func(config string) (*netns.Daemon, error) {
		return d.there.Foliotd(bins, d.name, config+more)
	}
	return d, nil
}

// NewFoliotdXDP returns foliotd that answers plain requests in the kernel. The
// other end of its link gets a program, so that what it sends arrives.
func NewFoliotdXDP(bins *netns.Binaries) (*Daemon, error) {
	d, err := newDaemon(Foliotd)
	if err != nil {
		return nil, err
	}
	if d.peer, err = d.here.PassXDP(d.link.ADev); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.start = func(config string) (*netns.Daemon, error) {
		return d.there.Foliotd(bins, d.name, config+"xdp serve "+d.link.BDev+" mode native\n")
	}
	return d, nil
}

// Programs is what foliotd says of its programs in the kernel.
func (d *Daemon) Programs() (string, error) { return d.daemon.Ctl("ebpf") }

// NewChronyd returns an edition of chronyd as a target.
func NewChronyd(c netns.Chrony) (*Daemon, error) {
	version, err := chronyVersion(c)
	if err != nil {
		return nil, err
	}
	d, err := newDaemon(Chronyd)
	if err != nil {
		return nil, err
	}
	d.version = version
	d.start = func(config string) (*netns.Daemon, error) { return d.there.ChronydOf(c, d.name, config) }
	return d, nil
}

// chronyVersion is 403 for version 4.3. What calls itself something else is newer.
func chronyVersion(c netns.Chrony) (int, error) {
	out, err := exec.Command(c.Daemon, "-v").Output()
	if err != nil {
		return 0, fmt.Errorf("%s -v: %w", c.Daemon, err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "chronyd (chrony) version %d.%d", &major, &minor); err != nil {
		return math.MaxInt, nil
	}
	return 100*major + minor, nil
}

func newDaemon(name string) (*Daemon, error) {
	lab, err := netns.NewLab()
	if err != nil {
		return nil, err
	}
	d := &Daemon{name: name, lab: lab}
	if err := d.build(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// build makes the namespaces, in a row, and starts the upstream server.
func (d *Daemon) build() error {
	for _, s := range []**netns.Space{&d.here, &d.there, &d.far} {
		var err error
		if *s, err = d.lab.Space(); err != nil {
			return err
		}
	}
	var err error
	if d.link, err = d.lab.Link(d.here, d.there); err != nil {
		return err
	}
	k, err := d.lab.Link(d.there, d.far)
	if err != nil {
		return err
	}
	if k.B4 != UpstreamAddr {
		return fmt.Errorf("the upstream server is at %v, not at %v", k.B4, UpstreamAddr)
	}
	if err := d.route(); err != nil {
		return err
	}
	if d.upstream, err = d.far.Chronyd("upstream", "allow all\nlocal stratum 1\n"); err != nil {
		return err
	}
	d.stratum = 1
	d.wire = wire{space: d.here, server4: d.link.B4, server6: d.link.B6}
	return nil
}

// route gives the clients' namespace all addresses of clients.
func (d *Daemon) route() error {
	// The kernel lets an IPv6 socket have an address by route only if told so.
	_, err := d.here.Run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind")
	errs := []error{err}
	for _, p := range []netip.Prefix{Clients4, Denied4, Clients6, Denied6} {
		family, via := "-4", d.link.A4
		if p.Addr().Is6() {
			family, via = "-6", d.link.A6
		}
		errs = append(errs,
			d.here.IP(family, "route", "add", "local", p.String(), "dev", "lo"),
			d.there.IP(family, "route", "add", p.String(), "via", via.String()))
	}
	return errors.Join(errs...)
}

// Name implements Target.
func (d *Daemon) Name() string { return d.name }

// Log is what the daemon has printed.
func (d *Daemon) Log() string {
	if d.daemon == nil {
		return ""
	}
	return d.daemon.Log()
}

// Close ends the daemons and removes the namespaces.
func (d *Daemon) Close() error {
	var err error
	if d.peer != nil {
		err = d.peer.Close()
	}
	return errors.Join(err, d.lab.Close())
}

// Now implements Target.
func (d *Daemon) Now() clock.Served { return clock.At[clock.Corrected](time.Now().UnixNano()) }

// Enter implements Target.
func (d *Daemon) Enter(s *State) error {
	directives, err := d.directives(s)
	if err != nil {
		return err
	}
	if err := d.lead(s.Upstream); err != nil {
		return err
	}
	keys, err := d.lab.Write(Keys, "keys")
	if err != nil {
		return err
	}
	config := strings.Join(access(), "\n") + "\nkeyfile " + keys + "\n" + directives
	if s.Upstream > 0 {
		config += fmt.Sprintf("server %s iburst minpoll -4 maxpoll -4\n", UpstreamAddr)
	}
	if d.daemon == nil || d.config != config {
		if err := d.restart(config); err != nil {
			return err
		}
	}
	d.wire.limited = len(s.Limits) > 0
	return d.settle(s)
}

// directives are what puts the daemon into a state.
func (d *Daemon) directives(s *State) (string, error) {
	all, why := s.Config, s.OnlyCore
	if d.name == Chronyd && why == "" {
		why = s.NoChrony
		if d.version < s.Since {
			all = s.Before
		}
		if all == "" && s.Config != "" {
			why = "this version of chronyd is too old"
		}
	}
	if why != "" {
		return "", fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	}
	return all, nil
}

// lead gives the upstream server another stratum.
func (d *Daemon) lead(stratum uint8) error {
	if stratum == 0 || stratum == d.stratum {
		return nil
	}
	var out string
	err := error(nil)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if out, err = d.upstream.Chronyc("local", "stratum", fmt.Sprint(stratum)); err == nil {
			d.stratum = stratum
			return nil
		}
	}
	return fmt.Errorf("chronyc local: %w: %s", err, out)
}

func (d *Daemon) restart(config string) (err error) {
	if d.daemon != nil {
		d.daemon.Kill()
		os.RemoveAll(d.daemon.Dir)
	}
	d.config = config
	d.daemon, err = d.start(config)
	return err
}

// settle waits until the server serves the state.
func (d *Daemon) settle(s *State) error {
	says := s.says(d.name)
	var last error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		x := Exchanged{Reply: d.wire.probe(), After: d.Now()}
		if x.Reply == nil {
			last = errors.New("no answer")
			continue
		}
		a := header(x.Reply)
		if last = says.judge(&a, &x); last == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not get into the state %s: %w\n%s", d.name, s.Name, last, d.Log())
}

// plain is the request of a client of version v that asks in basic mode.
func plain(v uint8, transmit ntp.Timestamp) []byte {
	p := ntp.Packet{Version: v, Mode: ntp.ModeClient, Transmit: transmit}
	return p.AppendTo(nil)
}
