// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"foliot/configs"
	"foliot/internal/auth"
	"foliot/internal/chronyconf"
	"foliot/internal/config"
	"foliot/internal/drifts"
	"foliot/internal/engine"
	"foliot/internal/leap"
	"foliot/internal/logfile"
	"foliot/internal/ntpconf"
	"foliot/internal/process"
	"foliot/internal/resolve"
	"foliot/internal/setup"
)

// Loaded is a configuration with everything that it names.
type Loaded struct {
	Config   *config.Config
	Files    setup.Files
	Warnings []string
	ReadAt   time.Time

	ntp         bool            // the file is an ntp.conf
	refused     []config.Source // of sourcedir, not added: another has the address
	keyTrouble  error           // why keys of the key file could not be read
	leapTrouble error           // why there is no leap second table
}

// Load reads the configuration and the files that it names. Files that only
// help (drift, leap seconds, keys that no source uses) give warnings when they
// cannot be read; a configuration that contradicts itself is an error.
func Load(o *Options) (*Loaded, error) {
	c, warnings, ntp, err := parse(o)
	if err != nil {
		return nil, err
	}
	l := &Loaded{Config: c, ReadAt: time.Now(), ntp: ntp}
	for _, w := range warnings {
		l.warn("%s", w)
	}
	o.override(c)
	o.anchor(c)
	if err := l.readAccess(lookup); err != nil {
		return nil, err
	}
	if err := l.readFiles(); err != nil {
		return nil, err
	}
	return l, nil
}

// anchor makes the paths in c absolute.
func (o *Options) anchor(c *config.Config) {
	for _, p := range []*string{
		&c.Clock.DriftFile, &c.Clock.TempComp.File, &c.Clock.TempComp.Points, &c.Leap.List,
		&c.Log.Dir, &c.Log.File, &c.Process.DumpDir, &c.Process.KeyFile, &c.Process.PIDFile,
	} {
		*p = under(o.Dir, *p)
	}
	if p := &c.Log.NTP.Prefix; o.Dir != "" && !filepath.IsAbs(*p) {
		*p = o.Dir + "/" + *p // the end of it is part of names of files
	}
}

func (l *Loaded) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// stay makes a daemon that is not root, but started as uid by its service manager,
// remain what it is: the user directive is for those who can change.
func (l *Loaded) stay(uid int) {
	name := l.Config.Process.User
	if uid == 0 || name == "" {
		return
	}
	if id, err := process.LookupUser(name); err != nil || id.UID != uid {
		l.warn("Not root: staying user %d, not becoming %s", uid, name)
	}
	l.Config.Process.User = ""
}

// parse reads the configuration, and tells whether it is an ntp.conf.
func parse(o *Options) (c *config.Config, warnings []chronyconf.Warning, ntp bool, err error) {
	if len(o.Directives) > 0 {
		c, warnings, err = chronyconf.ParseLines(builtIn{o.Dir}, o.Directives)
		return c, warnings, false, err
	}
	return ntpconf.Read(builtIn{o.Dir}, o.File, o.NTPConf)
}

// builtIn is the file system as seen from the directory dir, with the built-in
// configuration as a file.
type builtIn struct{ dir string }

// Open implements chronyconf.Files.
func (b builtIn) Open(name string) (io.ReadCloser, error) {
	if name == BuiltIn {
		return io.NopCloser(bytes.NewReader(configs.Default)), nil
	}
	return chronyconf.OS{}.Open(under(b.dir, name))
}

// Glob implements chronyconf.Files.
func (b builtIn) Glob(pattern string) ([]string, error) {
	return chronyconf.OS{}.Glob(under(b.dir, pattern))
}

// List implements chronyconf.Files.
func (b builtIn) List(dir string) ([]string, error) { return chronyconf.OS{}.List(under(b.dir, dir)) }

// override applies what the command line says to c.
func (o *Options) override(c *config.Config) {
	if o.User != "" {
		c.Process.User = o.User
	}
	if o.LockAll {
		c.Process.LockAll = true
	}
	if o.Priority > 0 {
		c.Process.SchedPriority = o.Priority
	}
	if o.Restarted && c.Clock.StepLimit > 0 {
		c.Clock.StepLimit = 0
	}
	if o.OneShot() {
		c.Command.Port, c.Command.Sockets = 0, nil
	}
	if o.Query {
		c.Server.Port = 0
		c.Process.PIDFile, c.Log.Dir = "", ""
		c.Clock.DriftFile = ""
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		if o.Family != config.FamilyAny && s.Family == config.FamilyAny {
			s.Family = o.Family
		}
		if o.OneShot() && s.Kind != config.KindPeer {
			s.IBurst = true
		}
	}
}

// readFiles reads what the configuration names.
func (l *Loaded) readFiles() error {
	c := l.Config
	if c.Process.KeyFile != "" {
		l.readKeys(c.Process.KeyFile)
	}
	l.Warnings = append(l.Warnings, setup.MissingKeys(c, l.Files.Keys)...)
	if c.Clock.DriftFile != "" {
		l.readDrift(c.Clock.DriftFile)
	}
	if l.leapTrouble = l.readLeap(); l.leapTrouble != nil {
		l.warn("%s", l.leapTrouble)
	}
	return l.readTempComp()
}

func (l *Loaded) readKeys(path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		l.keyTrouble = fmt.Errorf("read key file: %w", err)
		l.warn("Could not read key file: %s", err)
		return
	}
	l.checkMode(path)
	read := auth.ParseKeys
	if l.Config.Process.NTPKeys {
		read = auth.ParseNTPKeys
	}
	ring, problems := read(b)
	for _, p := range problems {
		l.warn("%s in key file %s", p, path)
		if !p.Kept {
			l.keyTrouble = fmt.Errorf("%s in key file %s", p, path)
		}
	}
	l.Files.Keys = setup.Trusted(ring, l.Config.Server.TrustedKeys)
}

// checkMode tells when everybody may read or change the secrets in a file, as
// newer versions of chronyd do. They are used nevertheless.
func (l *Loaded) checkMode(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o004 != 0:
		l.warn("World-readable permissions on key file %s (mode %04o)", path, mode)
	case mode&0o002 != 0:
		l.warn("World-writable permissions on key file %s (mode %04o)", path, mode)
	}
}

func (l *Loaded) readDrift(path string) {
	d, err := logfile.NewDriftFile(path, nil).Read()
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		l.warn("%s", err)
	default:
		l.Files.Drift = &engine.Drift{Frequency: d.Frequency, Skew: d.Skew}
	}
}

// zoneDirs are where time zones with leap seconds are looked for.
var zoneDirs = [...]string{"/usr/share/zoneinfo/", "/usr/lib/zoneinfo/", "/usr/share/lib/zoneinfo/", "/etc/zoneinfo/"}

func (l *Loaded) readLeap() error {
	c := &l.Config.Leap
	if c.List != "" {
		b, err := os.ReadFile(c.List)
		if err != nil {
			return fmt.Errorf("read leap second list: %w", err)
		}
		t, err := leap.ParseList(b)
		if err != nil {
			return fmt.Errorf("read leap second list %s: %w", c.List, err)
		}
		return l.useLeap(t, c.List)
	}
	if c.TimeZone == "" {
		return nil
	}
	for _, dir := range zoneDirs {
		b, err := os.ReadFile(dir + c.TimeZone)
		if err != nil {
			continue
		}
		t, err := leap.ParseTZif(b)
		if err != nil {
			return fmt.Errorf("read leap seconds of time zone %s: %w", c.TimeZone, err)
		}
		return l.useLeap(t, c.TimeZone)
	}
	return fmt.Errorf("time zone %s with leap seconds is not installed", c.TimeZone)
}

// useLeap takes a table over if it is one of leap seconds. One that is out of
// date still tells the truth about the past.
func (l *Loaded) useLeap(t *leap.Table, name string) error {
	if err := t.Check(); err != nil {
		return fmt.Errorf("leap seconds in %s: %w", name, err)
	}
	if now := time.Now().Unix(); t.Expires != 0 && now >= t.Expires {
		l.warn("leap seconds in %s are out of date since %s", name, time.Unix(t.Expires, 0).UTC().Format(time.DateOnly))
	}
	l.Files.Leap = t
	return nil
}

func (l *Loaded) readTempComp() error {
	t := l.Config.Clock.TempComp
	if t.File == "" {
		return nil
	}
	if t.Points == "" {
		l.Files.TempComp = drifts.NewPolynomial(drifts.Polynomial{T0: t.T0, K0: t.K0, K1: t.K1, K2: t.K2})
		return nil
	}
	b, err := os.ReadFile(t.Points)
	if err != nil {
		return fmt.Errorf("read points of tempcomp: %w", err)
	}
	p, err := drifts.ParsePoints(b)
	if err != nil {
		return fmt.Errorf("points of tempcomp in %s: %w", t.Points, err)
	}
	l.Files.TempComp = p
	return nil
}

// readAccess resolves the hosts in the access rules, each once. One that may ask
// and is not found is kept out, which a warning says; one that may not ask would
// be let in, which is an error.
func (l *Loaded) readAccess(lookup func(string) (netip.Addr, bool)) error {
	known := make(map[string]netip.Addr)
	for _, r := range slices.Concat(l.Config.Server.Access, l.Config.Command.Access) {
		if r.Host == "" || known[r.Host].IsValid() {
			continue
		}
		addr, ok := lookup(r.Host)
		switch {
		case ok:
			known[r.Host] = addr
		case r.Allow:
			l.warn("Could not resolve %s in allow directive at %s: it is not let in", r.Host, r.Origin)
		default:
			return fmt.Errorf("could not resolve %s in deny directive at %s: it would be let in (name its address instead)", r.Host, r.Origin)
		}
	}
	if err := l.readRestrict(known, lookup); err != nil {
		return err
	}
	l.Files.Lookup = func(host string) (netip.Addr, bool) {
		addr, ok := known[host]
		return addr, ok
	}
	return nil
}

// readRestrict resolves the hosts in restrict directives. One that is not found has
// no entry; if that would have taken something away, it is an error.
func (l *Loaded) readRestrict(known map[string]netip.Addr, lookup func(string) (netip.Addr, bool)) error {
	for _, r := range l.Config.Server.Restrict {
		if r.Host == "" || known[r.Host].IsValid() {
			continue
		}
		addr, ok := lookup(r.Host)
		switch {
		case ok:
			known[r.Host] = addr
		case r.Flags == 0:
			l.warn("Could not resolve %s in restrict directive at %s: its entry is left out", r.Host, r.Origin)
		default:
			return fmt.Errorf("could not resolve %s in restrict directive at %s: it would not be restricted (name its address instead)", r.Host, r.Origin)
		}
	}
	return nil
}

// usable tells whether l may replace the configuration in force: what gave a
// warning at the start must not take away what works.
func (l *Loaded) usable(inForce *Loaded) error {
	if l.leapTrouble != nil && (inForce.Files.Leap != nil || l.Config.Leap.List != "") {
		return l.leapTrouble
	}
	if l.keyTrouble != nil && l.lacksKeys(inForce.Files.Keys) {
		return l.keyTrouble
	}
	return nil
}

// lacksKeys tells whether a key that is in force, or that a source uses, is not
// there. A bad line that was there before, or that nobody misses, must not keep
// good keys out.
func (l *Loaded) lacksKeys(before auth.Ring) bool {
	for id := range before {
		if _, ok := l.Files.Keys[id]; !ok {
			return true
		}
	}
	return len(setup.MissingKeys(l.Config, l.Files.Keys)) > 0
}

// lookup resolves a host in an access rule, at start, as chrony does.
func lookup(host string) (netip.Addr, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), resolve.Timeout)
	defer cancel()
	addrs, err := (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return netip.Addr{}, false
	}
	return addrs[0].Unmap(), true
}
