// SPDX-License-Identifier: Apache-2.0

// Package diag writes the bundle that goes with a bug report: one text with all
// that helps somebody who cannot look at the machine. It asks the daemon through
// its caller, and the machine itself.
//
// The one concept is that the bundle may be published: there are no keys in it, no
// comments of configuration files, no addresses of clients and no hardware
// addresses. What cannot be had is said to be missing; nothing is an error.
package diag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"foliot/internal/chronyconf"
	"foliot/internal/document"
)

// Config is where to write, and whom to ask.
type Config struct {
	Out     io.Writer
	Version string                                        // of this program
	Ask     func(verb string, w io.Writer) error          // the daemon's own commands
	Report  func(command string, w io.Writer) bool        // a command of chronyc
	Files   chronyconf.Files                              // the file system
	File    string                                        // the configuration, "" as the daemon says
	Default string                                        // where it is if the daemon says nothing
	Read    func(path string) (content []byte, err error) // of files in /proc and /sys
}

// verbs are commands of the daemon's own whose answers are shown. One that it does
// not know is said to be unknown.
var verbs = []string{"status", "ebpf"}

// reports are what chronyc is asked. None of them tells who the clients are.
var reports = []string{
	"tracking", "sources -a", "sourcestats -a", "selectdata -a", "authdata -a", "ntpdata", "activity", "serverstats",
	"smoothing", "rtcdata", "manual list",
}

// Write writes the bundle.
func Write(c Config) error {
	b := &bundle{c: &c}
	b.head("foliot diagnostics")
	b.say("time: %s", time.Now().UTC().Format(time.RFC3339))
	b.say("left out: keys, comments in configuration files, addresses of clients, hardware addresses")
	b.program()
	b.machine()
	b.kernelClock()
	b.interfaces()
	d := b.state()
	b.daemonProcess(d)
	b.configuration(d)
	b.answers(d != nil)
	b.head("log")
	b.ask("log")
	_, err := c.Out.Write(b.text.Bytes())
	return err
}

// bundle is the text so far.
type bundle struct {
	c    *Config
	text bytes.Buffer
}

func (b *bundle) head(title string) {
	if b.text.Len() > 0 {
		b.text.WriteByte('\n')
	}
	fmt.Fprintf(&b.text, "=== %s ===\n", title)
}

func (b *bundle) say(format string, args ...any) { fmt.Fprintf(&b.text, format+"\n", args...) }

// missing says why something is not there.
func (b *bundle) missing(err error) { b.say("(none: %v)", err) }

// ask shows the answer of the daemon to one of its own commands.
func (b *bundle) ask(verb string) {
	if err := b.c.Ask(verb, &b.text); err != nil {
		b.missing(err)
	}
}

func (b *bundle) program() {
	b.head("program")
	b.say("foliotctl %s, %s %s/%s", b.c.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") || strings.HasPrefix(s.Key, "GO") || s.Key == "CGO_ENABLED" {
			b.say("%s=%s", s.Key, s.Value)
		}
	}
	for _, m := range info.Deps {
		b.say("%s %s", m.Path, m.Version)
	}
}

// state shows the state of the daemon, and returns it; nil if there is none.
func (b *bundle) state() *document.Document {
	b.head("state")
	var text bytes.Buffer
	if err := b.c.Ask("state", &text); err != nil {
		b.missing(err)
		return nil
	}
	// What a newer daemon says besides is kept.
	var all map[string]any
	d := new(document.Document)
	if json.Unmarshal(text.Bytes(), d) != nil || json.Unmarshal(text.Bytes(), &all) != nil {
		b.say("(unreadable)")
		return nil
	}
	delete(all, "clients")
	indented, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		b.missing(err)
		return d
	}
	b.say("%s", indented)
	return d
}

func (b *bundle) configuration(d *document.Document) {
	b.head("configuration")
	path := b.c.File
	switch {
	case path != "":
	case d == nil:
		path = b.c.Default
	case d.File == "":
		b.say("(directives on the command line of the daemon)")
		return
	default:
		path = d.File
	}
	if err := chronyconf.Reveal(b.c.Files, path, &b.text); err != nil {
		// The text of the error may quote what must not be shown.
		b.say("(%s was not read to its end: foliotd --check -f %s says why)", path, path)
	}
}

// answers shows what the daemon says. Each question that nobody answers takes a
// while, so the first of them is the last.
func (b *bundle) answers(up bool) {
	if up {
		for _, verb := range verbs {
			b.head("foliotctl " + verb)
			b.ask(verb)
		}
	}
	for _, r := range reports {
		b.head("chronyc " + r)
		before := b.text.Len()
		if ok := b.c.Report(r, &b.text); !ok && bytes.Contains(b.text.Bytes()[before:], []byte(" to daemon")) {
			b.say("(no daemon answers: the other reports are left out)")
			return
		}
	}
}
