// SPDX-License-Identifier: Apache-2.0

// Package ctl is the foliotctl command without its main function: flags,
// usage, exit codes and the voice in which it speaks to people. It asks the
// daemon through package control and knows no more about it.
//
// The rules of the voice: answers go to standard output, everything else to
// standard error, as "foliotctl: error: ..." and "foliotctl: hint: ..." lines
// without capital initials and periods. A hint says what to try.
package ctl

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"foliot/internal/control"
)

// Exit codes.
const (
	ExitOK          = 0 // done
	ExitRefused     = 1 // the daemon answered with an error
	ExitUsage       = 2 // the command line makes no sense
	ExitUnreachable = 3 // no daemon, or no answer
)

const usage = `usage: foliotctl [-s SOCKET] COMMAND

Commands:
    clients    list the clients that foliotd remembers
    reload     make foliotd read its configuration again
    status     say what foliotd is doing
    version    say which foliotd is running
    help       print this text

Options:
    -s SOCKET  talk to the daemon at SOCKET (` + control.DefaultPath + `, or $FOLIOT_SOCKET)
    -t TIME    give up after TIME (35s)

Exit status: 0 done, 1 refused by the daemon, 2 usage, 3 daemon not reached.
`

// SocketVar names the environment variable that moves the socket, of the daemon
// too; -s comes before it.
const SocketVar = "FOLIOT_SOCKET"

// answerTime is longer than the daemon lets a command take.
const answerTime = 35 * time.Second

// Main runs foliotctl with the given arguments, program name excluded, and
// returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("foliotctl", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	socket := flags.String("s", cmp.Or(os.Getenv(SocketVar), control.DefaultPath), "")
	timeout := flags.Duration("t", answerTime, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp) || err == nil && flags.Arg(0) == "help":
		fmt.Fprint(stdout, usage)
		return ExitOK
	case err != nil:
		return complain(stderr, ExitUsage, err, "run \"foliotctl help\" for the options")
	case flags.NArg() == 0:
		return complain(stderr, ExitUsage, errors.New("no command given"), "run \"foliotctl help\" for the commands")
	case flags.NArg() > 1:
		err := fmt.Errorf("unexpected argument %q", flags.Arg(1))
		return complain(stderr, ExitUsage, err, "options go before the command")
	}
	verb := flags.Arg(0)
	switch verb {
	case control.VerbClients, control.VerbReload, control.VerbStatus, control.VerbVersion:
		return ask(*socket, verb, *timeout, stdout, stderr)
	}
	return complain(stderr, ExitUsage, fmt.Errorf("unknown command %q", verb), "run \"foliotctl help\" for the commands")
}

// ask sends verb to the daemon and prints the answer.
func ask(socket, verb string, timeout time.Duration, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := control.Do(ctx, socket, verb, stdout)
	var refused *control.RemoteError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &refused):
		return complain(stderr, ExitRefused, err, "")
	}
	return complain(stderr, ExitUnreachable, err, hint(err))
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

// complain prints an error, and a hint if there is one.
func complain(stderr io.Writer, code int, err error, hint string) int {
	fmt.Fprintf(stderr, "foliotctl: error: %v\n", err)
	if hint != "" {
		fmt.Fprintf(stderr, "foliotctl: hint: %s\n", hint)
	}
	return code
}
