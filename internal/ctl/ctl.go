// SPDX-License-Identifier: Apache-2.0

// Package ctl is the foliotctl command without its main function: options, the
// commands that only foliotd has, exit codes and the voice in which it speaks to
// people. For those commands it asks the daemon through package control; what
// chronyc understands is package chronyc's.
//
// The one concept is that foliotctl is chronyc with a few commands more. What is its
// own speaks as "foliotctl: error: ..." and "foliotctl: hint: ..." lines, without
// capital initials and periods; a hint says what to try. Called chronyc, it has
// nothing of its own.
package ctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"foliot/internal/adopt"
	"foliot/internal/chronyc"
	"foliot/internal/cmdclient"
	"foliot/internal/convert"
	"foliot/internal/process"
)

// Exit codes. chronyc has only the first two.
const (
	ExitOK          = chronyc.ExitOK
	ExitRefused     = chronyc.ExitRefused
	ExitUsage       = 2 // the command line makes no sense
	ExitUnreachable = 3 // no daemon, or no answer
)

// Version is set when the program is linked.
var Version = "development"

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal says that In is one: there is somebody to prompt.
	Terminal bool
}

// Main runs foliotctl with the given arguments, the name of the program first,
// and returns its exit code.
func Main(args []string, std Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a reader that left is an error of writing, and our socket is removed
	o := new(options)
	o.Program, o.Hosts, o.Port = args[0], cmdclient.DefaultHosts, cmdclient.DefaultPort
	o.plain = filepath.Base(args[0]) == "chronyc"
	rest, err := o.parse(args[1:])
	switch {
	case o.version:
		fmt.Fprintf(std.Out, "%s (foliot) version %s (-READLINE +SECHASH +IPV6 -DEBUG)\n", filepath.Base(o.Program), Version)
		return ExitOK
	case o.help:
		fmt.Fprint(std.Out, o.usage())
		return ExitOK
	case err != nil:
		fmt.Fprintf(std.Err, "%s: %v\n", o.Program, err)
		fmt.Fprint(std.Out, o.usage())
		return ExitRefused
	}
	if err := o.become(); err != nil {
		fmt.Fprintln(std.Err, err)
		return ExitRefused
	}
	if len(rest) > 0 && !o.plain && tools[rest[0]] != nil {
		return tools[rest[0]](rest[1:], std)
	}
	return o.run(ctx, rest, std)
}

// tools are commands that ask no daemon and are programs of their own: with options
// after their name, and exit codes.
var tools = map[string]func(args []string, std Streams) int{
	"adopt":   func(args []string, std Streams) int { return adopt.Command(args, std.Out, std.Err) },
	"convert": func(args []string, std Streams) int { return convert.Command(args, std.Out, std.Err) },
	"racks":   racks,
}

// run carries out what the command line asks for.
func (o *options) run(ctx context.Context, args []string, std Streams) int {
	s := newSession(ctx, o, std)
	defer s.Close()
	lines := args
	if !o.multi && len(args) > 0 {
		lines = []string{strings.Join(args, " ")}
	}
	if !s.local(lines) && !s.Open() {
		s.Complain("Could not open connection to daemon")
		return ExitRefused
	}
	if len(args) == 0 && !o.multi {
		return s.Converse(std.In, std.Terminal)
	}
	for _, line := range lines {
		if ctx.Err() != nil || !s.Command(line) {
			return max(s.Code, ExitRefused)
		}
		if s.Quit {
			break
		}
	}
	return ExitOK
}

// become changes to the user that -u names.
func (o *options) become() error {
	if o.user == "" || o.user == "root" || os.Geteuid() != 0 {
		return nil
	}
	id, err := process.LookupUser(o.user)
	if err != nil {
		return err
	}
	_, err = process.Drop(id, 0)
	return err
}

// errOption is a command line that getopt would refuse.
type errOption string

func (e errOption) Error() string { return string(e) }
