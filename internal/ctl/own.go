// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"foliot/internal/chronyc"
	"foliot/internal/control"
	"foliot/internal/manual"
	"foliot/internal/report"
)

// session is one run of commands, chronyc's and our own.
type session struct {
	*chronyc.Session
	o   *options
	std Streams
}

func newSession(ctx context.Context, o *options, std Streams) *session {
	s := &session{o: o, std: std}
	o.Own, o.Version = s.own, Version
	o.Help = func() string { return manual.CommandHelp(!o.plain) }
	s.Session = chronyc.New(ctx, &o.Options, std.Out, std.Err)
	return s
}

// ownCommands are foliotctl's commands beside chronyc's. They go over the control
// socket.
var ownCommands map[string]func(s *session, line string) bool

// The table is filled here because its commands look into it.
func init() {
	ownCommands = map[string]func(s *session, line string) bool{
		"diag":  (*session).diag,
		"top":   (*session).top,
		"watch": (*session).top,
	}
	for _, verb := range []string{control.VerbEBPF, control.VerbLog, control.VerbReload, control.VerbState, control.VerbStatus, control.VerbVersion} {
		ownCommands[verb] = func(s *session, line string) bool {
			if line != "" {
				return s.fail(ExitUsage, fmt.Errorf("unexpected argument %q", line), "options go before the command")
			}
			if s.o.Format == report.JSON {
				return s.document(verb)
			}
			return s.control(verb, s.Out)
		}
	}
}

// own returns what carries out a command of foliotctl's own. "reload sources" is
// chronyc's.
func (s *session) own(word, rest string) (run func() bool, ok bool) {
	command, ok := ownCommands[word]
	if !ok || s.o.plain || word == control.VerbReload && rest != "" {
		return nil, false
	}
	return func() bool { return command(s, rest) }, true
}

// local tells whether the command line, one command, needs no daemon that
// understands chrony's protocol.
func (s *session) local(lines []string) bool {
	if s.o.plain || len(lines) != 1 {
		return false
	}
	word, rest := chronyc.Split(lines[0])
	_, own := s.own(word, rest)
	return own || word == "help" || word == "keygen"
}

// control asks the daemon over the control socket and prints the answer.
func (s *session) control(verb string, out io.Writer) bool {
	ctx, cancel := context.WithTimeout(s.Ctx, s.o.wait)
	defer cancel()
	return s.reached(control.Do(ctx, s.o.socket, verb, out))
}

// document prints the answer to a verb as a line of JSON. A status is words about
// the state; the log and a version are nothing but words.
func (s *session) document(verb string) bool {
	switch verb {
	case control.VerbEBPF:
		return s.control(verb+control.JSON, s.Out)
	case control.VerbStatus:
		return s.control(control.VerbState, s.Out)
	case control.VerbLog, control.VerbVersion:
		var text strings.Builder
		return s.control(verb, &text) && s.words(verb, text.String())
	}
	return s.control(verb, s.Out)
}

// words prints lines as JSON: a list, or the only one by its name.
func (s *session) words(name, text string) bool {
	lines := slices.Collect(strings.Lines(text))
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\n")
	}
	var value any = append([]string{}, lines...)
	if name == control.VerbVersion {
		value = map[string]string{name: strings.Join(lines, " ")}
	}
	if err := json.NewEncoder(s.Out).Encode(value); err != nil {
		return s.fail(ExitRefused, err, "")
	}
	return true
}

// reached tells what went wrong with a command of our own.
func (s *session) reached(err error) bool {
	var refused *control.RemoteError
	switch {
	case err == nil:
		return true
	case errors.As(err, &refused):
		return s.fail(ExitRefused, err, "")
	}
	return s.fail(ExitUnreachable, err, hint(err))
}

// hint says what to try after the daemon could not be reached.
func hint(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return "is foliotd running? another socket is chosen with -s"
	case errors.Is(err, os.ErrPermission):
		return "root and the user that foliotd runs as may talk to it, try sudo"
	case errors.Is(err, context.DeadlineExceeded):
		return "the daemon is busy or stopped, a longer wait is chosen with -t"
	case errors.Is(err, control.ErrMalformed):
		return "is it foliotd that listens there?"
	}
	return ""
}

// fail prints an error of a command of our own, and a hint if there is one, and
// sets the exit code.
func (s *session) fail(code int, err error, hint string) bool {
	s.Code = code
	s.Complain("foliotctl: error: %v", err)
	if hint != "" {
		s.Complain("foliotctl: hint: %s", hint)
	}
	return false
}
