// SPDX-License-Identifier: Apache-2.0

// Package chronyc is chronyc: it takes its commands, asks the daemon in chrony's
// protocol through package cmdclient, and answers in its words. How reports look is
// package report's; options and other commands are package ctl's.
//
// The one concept is the octet: scripts read what chronyc prints and how it
// complains, so both are the same as the stock program's, and so is what it makes
// of a line that is not quite right.
package chronyc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"foliot/internal/cmdclient"
	"foliot/internal/cmdmon"
	"foliot/internal/report"
)

// Options are what is decided before the commands.
type Options struct {
	Program     string // as it was called
	Version     string
	Hosts       []string // where the daemon may be
	Port        uint16
	Family      string // of addresses that are looked up: "ip4", "ip6", otherwise ""
	NoNames     bool   // addresses instead of names
	SourceNames bool   // names of sources as configured
	Format      report.Format
	Dots        bool          // a line with a dot ends each answer
	Help        func() string // the answer to the command help
	// Own returns what carries out a command that chronyc does not have; nil: there
	// is none.
	Own func(word, rest string) (run func() bool, ok bool)
}

// Exit codes.
const (
	ExitOK      = 0 // done
	ExitRefused = 1 // the daemon said no, or could not be asked
)

// Session is one run of commands.
type Session struct {
	Ctx   context.Context
	Out   *bufio.Writer
	Typed bool // commands are read from standard input
	Quit  bool // the last command was to leave
	Code  int  // exit code of a command of somebody's own that failed

	o      *Options
	client *cmdclient.Client
	err    io.Writer
	print  *report.Printer
	names  map[netip.Addr]string // of addresses that were looked up
}

// New returns a session that writes answers and complaints. It may change o.
func New(ctx context.Context, o *Options, out, complaints io.Writer) *Session {
	w := bufio.NewWriter(out)
	return &Session{
		Ctx: ctx, Out: w, o: o, err: complaints, names: make(map[netip.Addr]string),
		print: &report.Printer{W: w, Format: o.Format},
	}
}

// Open makes a socket to the daemon.
func (s *Session) Open() bool {
	client, err := cmdclient.Open(s.Ctx, s.o.Hosts, s.o.Port, s.addresses)
	s.client = client
	return err == nil
}

// Close ends the session.
func (s *Session) Close() {
	s.Out.Flush()
	if s.client != nil {
		s.client.Close()
	}
}

// Complain tells people, and not programs, what is wrong.
func (s *Session) Complain(format string, args ...any) bool {
	fmt.Fprintf(s.err, format+"\n", args...)
	return false
}

// Command runs one line and reports whether that went well.
func (s *Session) Command(line string) bool {
	line = normalize(line)
	if line == "" {
		return true
	}
	s.Code = ExitOK
	ok := s.dispatch(line)
	if s.o.Dots {
		fmt.Fprintln(s.Out, ".")
	}
	if err := s.Out.Flush(); err != nil {
		return s.Complain("Could not write to stdout")
	}
	return ok
}

func (s *Session) dispatch(line string) bool {
	word, rest := cut(line)
	if s.o.Own != nil {
		if run, ok := s.o.Own(word, rest); ok {
			return run()
		}
	}
	run, ok := commands[word]
	if !ok {
		return s.Complain("Unrecognized command")
	}
	return run(s, rest)
}

// outcomes are chronyc's number and words for what the daemon says.
var outcomes = map[cmdmon.Status]struct {
	code int
	text string
}{
	cmdmon.Success:          {200, "OK"},
	cmdmon.Failed:           {500, "Failure"},
	cmdmon.Unauthorised:     {501, "Not authorised"},
	cmdmon.Invalid:          {502, "Invalid command"},
	cmdmon.NoSuchSource:     {503, "No such source"},
	cmdmon.InvalidTime:      {504, "Duplicate or stale logon detected"},
	cmdmon.NotEnabled:       {505, "Facility not enabled in daemon"},
	cmdmon.BadSubnet:        {507, "Bad subnet"},
	cmdmon.AccessAllowed:    {208, "Access allowed"},
	cmdmon.AccessDenied:     {209, "Access denied"},
	cmdmon.NoHostAccess:     {510, "No command access from this host"},
	cmdmon.SourceKnown:      {511, "Source already present"},
	cmdmon.TooManySources:   {512, "Too many sources present"},
	cmdmon.NoRTC:            {513, "RTC driver not running"},
	cmdmon.BadRTCFile:       {514, "Can't write RTC parameters"},
	cmdmon.Inactive:         {519, "Client logging is not active in the daemon"},
	cmdmon.BadSample:        {516, "Sample index out of range"},
	cmdmon.InvalidFamily:    {515, "Invalid address family"},
	cmdmon.BadPacketVersion: {517, "Protocol version mismatch"},
	cmdmon.BadPacketLength:  {518, "Packet length mismatch"},
	cmdmon.InvalidName:      {521, "Invalid name"},
}

// outcome prints how a command went.
func (s *Session) outcome(status cmdmon.Status) {
	o, ok := outcomes[status]
	if !ok {
		o.code, o.text = 520, "Got unexpected error from daemon"
	}
	s.print.Status(o.code, o.text)
}

// order gives a command that has no report.
func (s *Session) order(c cmdmon.Command, m cmdmon.Request) bool {
	h, _, ok := s.exchange(c, m)
	return ok && s.done(h)
}

// done prints how a command without report went.
func (s *Session) done(h cmdmon.ReplyHeader) bool {
	s.outcome(h.Status)
	if !good(h.Status) {
		return false
	}
	return s.expected(h.Type == cmdmon.ReplyNull)
}

// ask gives a command and reads its report, one of want. It prints only what went
// wrong.
func (s *Session) ask(c cmdmon.Command, m cmdmon.Request, want ...cmdmon.Reply) (cmdmon.Reply, bool) {
	h, reply, ok := s.exchange(c, m)
	if !ok {
		return nil, false
	}
	if h.Status != cmdmon.Success {
		s.outcome(h.Status)
	}
	if !good(h.Status) {
		return nil, false
	}
	for _, w := range want {
		if cmdmon.DecodeReply(reply, w) {
			return w, true
		}
	}
	return nil, s.expected(false)
}

func good(status cmdmon.Status) bool {
	return status == cmdmon.Success || status == cmdmon.AccessAllowed || status == cmdmon.AccessDenied
}

func (s *Session) expected(ok bool) bool {
	if !ok {
		s.print.Status(508, "Bad reply from daemon")
	}
	return ok
}

// exchange sends a request and returns its reply.
func (s *Session) exchange(c cmdmon.Command, m cmdmon.Request) (cmdmon.ReplyHeader, []byte, bool) {
	if s.client == nil && !s.Open() {
		return cmdmon.ReplyHeader{}, nil, s.Complain("Could not open connection to daemon")
	}
	h, reply, err := s.client.Ask(s.Ctx, c, m)
	if err != nil {
		s.print.Status(506, "Cannot talk to daemon")
	}
	return h, reply, err == nil
}

// addresses looks a host up, or reads its address.
func (s *Session) addresses(ctx context.Context, host string) []netip.Addr {
	network := s.o.Family
	if network == "" {
		network = "ip"
	}
	if host == "" || strings.Contains(host, " ") {
		return nil
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil
	}
	for i := range all {
		all[i] = all[i].Unmap()
	}
	return all
}

// Report gives a command and writes its report as text, with addresses and not
// names, to w; complaints too.
func (s *Session) Report(command string, w io.Writer) bool {
	o := *s.o
	o.NoNames, o.SourceNames, o.Format = true, false, report.Text
	out := bufio.NewWriter(w)
	defer out.Flush()
	aside := *s
	aside.o, aside.Out, aside.err = &o, out, out
	aside.print = &report.Printer{W: out, Format: o.Format}
	ok := aside.dispatch(command)
	s.client = aside.client
	return ok
}
