// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Binaries are the programs under test.
type Binaries struct{ Foliotd, Foliotctl string }

// Build builds the programs from the module at root into dir, as they ship.
func Build(root, dir string) (*Binaries, error) {
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "./cmd/foliotd", "./cmd/foliotctl")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	return &Binaries{Foliotd: filepath.Join(dir, "foliotd"), Foliotctl: filepath.Join(dir, "foliotctl")}, nil
}

// Daemon is a foliotd or chronyd, and where its files are.
type Daemon struct {
	*Process
	Space  *Space
	Dir    string // its own
	Config string // path of the configuration
	Socket string // of foliotctl
	// Commands is the socket of chronyc.
	Commands string
	bins     *Binaries
	chrony   Chrony
}

// LogFile returns the content of a statistics log, empty if there is none yet.
func (d *Daemon) LogFile(name string) string {
	b, err := os.ReadFile(filepath.Join(d.Dir, "log", name+".log"))
	if err != nil {
		return ""
	}
	return string(b)
}

// common are directives that every daemon here gets.
const common = "log measurements statistics tracking\nlogdir %[1]s/log\npidfile %[1]s/pid\ncmdport 0\n"

// Foliotd starts foliotd with a configuration in the foreground.
func (s *Space) Foliotd(bins *Binaries, name, config string, args ...string) (*Daemon, error) {
	d, err := s.Prepare(bins, name, config)
	if err != nil {
		return nil, err
	}
	return d, d.Start(append([]string{"-d"}, args...)...)
}

// Prepare writes the configuration of a foliotd and names its files, but does
// not start it.
func (s *Space) Prepare(bins *Binaries, name, config string) (*Daemon, error) {
	l := s.lab
	d := &Daemon{Space: s, Dir: l.Path(name), Socket: l.Path(name, "run", "ctl.sock"), bins: bins}
	d.chrony = Stock
	d.Commands = l.Path(name, "run", "chronyd.sock")
	path, err := l.Write(d.text(config), name, "foliot.conf")
	d.Config = path
	return d, err
}

// text is a whole configuration of a foliotd. What is not everybody's comes at the
// end, so that messages name the same lines for all.
func (d *Daemon) text(config string) string {
	return fmt.Sprintf(common, d.Dir) + strings.TrimRight(config, "\n") + "\nbindcmdaddress " + d.Commands + "\n"
}

// Start starts a prepared foliotd, again if it ended.
func (d *Daemon) Start(args ...string) error {
	cmd := d.Command(args...)
	p, err := d.Space.lab.Start(filepath.Base(d.Dir), cmd)
	d.Process = p
	return err
}

// Command is the command that starts foliotd, without clock control.
func (d *Daemon) Command(args ...string) *exec.Cmd {
	cmd := d.Space.Command(append([]string{d.bins.Foliotd, "-x", "-f", d.Config}, args...)...)
	cmd.Env = append(os.Environ(), "FOLIOT_SOCKET="+d.Socket)
	return cmd
}

// Ctl gives a command to the daemon and returns its answer.
func (d *Daemon) Ctl(args ...string) (string, error) {
	out, err := exec.Command(d.bins.Foliotctl, append([]string{"-s", d.Socket, "-t", "5s"}, args...)...).CombinedOutput()
	return string(out), err
}

// Rewrite replaces the configuration, for the next reload.
func (d *Daemon) Rewrite(config string) error {
	return os.WriteFile(d.Config, []byte(d.text(config)), 0o644)
}

// Chronyd starts stock chronyd with a configuration. It keeps running as root,
// without the right to set the clock.
func (s *Space) Chronyd(name, config string) (*Daemon, error) {
	return s.ChronydOf(Stock, name, config)
}

// ChronydOf is Chronyd of another edition.
func (s *Space) ChronydOf(c Chrony, name, config string) (*Daemon, error) {
	l := s.lab
	d := &Daemon{Space: s, Dir: l.Path(name), chrony: c}
	d.Commands = filepath.Join(d.Dir, "run", "chronyd.sock")
	if err := os.MkdirAll(filepath.Join(d.Dir, "run"), 0o750); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(common, d.Dir) + "user root\nbindcmdaddress " + d.Commands + "\n" + config
	path, err := l.Write(text, name, "chrony.conf")
	if err != nil {
		return nil, err
	}
	d.Config = path
	d.Process, err = l.Start(name, s.Command(c.Daemon, "-x", "-d", "-F", "0", "-f", path))
	return d, err
}

// Chronyc gives a command to the daemon by the chronyc of its edition of chrony, the
// stock one for foliotd, and returns its answer.
func (d *Daemon) Chronyc(args ...string) (string, error) { return d.ChronycOf(d.chrony, args...) }

// ChronycOf is Chronyc of another edition.
func (d *Daemon) ChronycOf(c Chrony, args ...string) (string, error) {
	out, err := exec.Command(c.Control, append([]string{"-n", "-h", d.Commands}, args...)...).CombinedOutput()
	return string(out), err
}

// Row returns the line of `foliotctl status` about a source.
func Row(status, addr string) string {
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		if len(f) > 2 && f[1] == addr && len(f[0]) == 1 {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
