// SPDX-License-Identifier: Apache-2.0

// Package adopt takes the configuration of chronyd or ntpd over: foliotctl adopt.
// It copies the file, the drift and the keys to where foliotd's unit may read and
// write them, and says what is left to do. It does not translate anything, since
// foliotd reads both kinds of file, and neither stops nor disables the other
// daemon.
//
// The one concept: a plan is made first, of files with their whole content and of
// notes. It is shown, and only then carried out.
package adopt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where foliot keeps its own.
const (
	confPath  = "/etc/foliot/foliot.conf"
	keysPath  = "/etc/foliot/foliot.keys"
	driftPath = "/var/lib/foliot/drift"
	stateDir  = "/var/lib/foliot"
	logDir    = "/var/log/foliot"
)

// places are where the configurations of other daemons are, and their units.
var places = []struct {
	path  string
	ntp   bool // in ntpd's language
	units string
}{
	{"/etc/chrony/chrony.conf", false, "chrony"},
	{"/etc/chrony.conf", false, "chronyd"},
	{"/etc/ntpsec/ntp.conf", true, "ntpsec"},
	{"/etc/ntp.conf", true, "ntp ntpd"},
}

// file is one that the plan writes.
type file struct {
	path   string
	text   []byte
	secret bool // for root and foliot's group only
	state  bool // the daemon's own: it writes it again
}

// Plan is what is to be done. Make one with [Make].
type Plan struct {
	From  string // the file taken over
	root  string
	files []file
	notes []string
	units string
}

// Make reads the configuration at from, or with "" the first that is found, and
// what it names. All paths are below root, "" for the machine itself.
func Make(root, from string) (*Plan, error) {
	p := &Plan{root: root}
	ntp, err := p.find(from)
	if err != nil {
		return nil, err
	}
	text, err := p.read(p.From)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	r := &rewriter{plan: p, ntp: ntp}
	p.files = append(p.files, file{path: confPath, text: r.rewrite(string(text))})
	p.takeDrift(r.drift)
	p.takeKeys(r.keys)
	return p, nil
}

// find chooses the configuration and tells whether it is ntpd's.
func (p *Plan) find(from string) (ntp bool, err error) {
	for _, c := range places {
		switch _, err := os.Stat(p.root + c.path); {
		case c.path == from || err == nil && from == "" && p.From == "":
			p.From, p.units, ntp = c.path, c.units, c.ntp
		case err == nil:
			p.note("%s is there too and is left alone", c.path)
		}
	}
	switch {
	case p.From != "":
		return ntp, nil
	case from == "":
		return false, errors.New("find configuration: there is none in /etc/chrony/chrony.conf, /etc/chrony.conf, /etc/ntpsec/ntp.conf and /etc/ntp.conf: name it")
	}
	p.From = from
	return strings.Contains(filepath.Base(from), "ntp"), nil
}

func (p *Plan) read(path string) ([]byte, error) { return os.ReadFile(p.root + path) }

func (p *Plan) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// takeDrift copies the drift file as it is: foliotd knows both formats.
func (p *Plan) takeDrift(path string) {
	if path == "" {
		p.note("no drift file is configured: foliotd learns the frequency anew")
		return
	}
	b, err := p.read(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		p.note("there is no drift in %s yet", path)
	case err != nil:
		p.note("the drift is not taken over: %v", err)
	default:
		p.files = append(p.files, file{path: driftPath, text: b, state: true})
	}
}

// takeKeys copies the key file as it is: keyfile and keys name one of either kind.
func (p *Plan) takeKeys(path string) {
	if path == "" {
		return
	}
	b, err := p.read(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		p.note("there are no keys in %s", path)
		return
	case err != nil:
		p.note("the keys are not taken over: %v", err)
		return
	}
	p.files = append(p.files, file{path: keysPath, text: b, secret: true})
}
