// SPDX-License-Identifier: Apache-2.0

package ctl

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

// session is one run of commands.
type session struct {
	ctx    context.Context
	o      *options
	client *cmdclient.Client
	std    Streams
	out    *bufio.Writer
	err    io.Writer
	print  *report.Printer
	names  map[netip.Addr]string // of addresses that were looked up
	quit   bool                  // the last command was to leave
	typed  bool                  // commands are read from standard input
	code   int                   // exit code of a failed command of our own
}

func newSession(ctx context.Context, o *options, std Streams) *session {
	out := bufio.NewWriter(std.Out)
	return &session{
		ctx: ctx, o: o, std: std, out: out, err: std.Err, names: make(map[netip.Addr]string),
		print: &report.Printer{W: out, Format: o.format},
	}
}

// open makes a socket to the daemon.
func (s *session) open() bool {
	client, err := cmdclient.Open(s.ctx, s.o.hosts, s.o.port, s.addresses)
	s.client = client
	return err == nil
}

func (s *session) close() {
	s.out.Flush()
	if s.client != nil {
		s.client.Close()
	}
}

// complain tells people, and not programs, what is wrong.
func (s *session) complain(format string, args ...any) bool {
	fmt.Fprintf(s.err, format+"\n", args...)
	return false
}

// command runs one line and reports whether that went well.
func (s *session) command(line string) bool {
	line = normalize(line)
	if line == "" {
		return true
	}
	s.code = ExitOK
	ok := s.dispatch(line)
	if s.o.dots {
		fmt.Fprintln(s.out, ".")
	}
	if err := s.out.Flush(); err != nil {
		return s.complain("Could not write to stdout")
	}
	return ok
}

func (s *session) dispatch(line string) bool {
	word, rest := cut(line)
	if run, ok := s.own(word, rest); ok {
		return run()
	}
	run, ok := commands[word]
	if !ok {
		return s.complain("Unrecognized command")
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
func (s *session) outcome(status cmdmon.Status) {
	o, ok := outcomes[status]
	if !ok {
		o.code, o.text = 520, "Got unexpected error from daemon"
	}
	s.print.Status(o.code, o.text)
}

// order gives a command that has no report.
func (s *session) order(c cmdmon.Command, m cmdmon.Request) bool {
	h, _, ok := s.exchange(c, m)
	return ok && s.done(h)
}

// done prints how a command without report went.
func (s *session) done(h cmdmon.ReplyHeader) bool {
	s.outcome(h.Status)
	if !good(h.Status) {
		return false
	}
	return s.expected(h.Type == cmdmon.ReplyNull)
}

// ask gives a command and reads its report, one of want. It prints only what went
// wrong.
func (s *session) ask(c cmdmon.Command, m cmdmon.Request, want ...cmdmon.Reply) (cmdmon.Reply, bool) {
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

func (s *session) expected(ok bool) bool {
	if !ok {
		s.print.Status(508, "Bad reply from daemon")
	}
	return ok
}

// exchange sends a request and returns its reply.
func (s *session) exchange(c cmdmon.Command, m cmdmon.Request) (cmdmon.ReplyHeader, []byte, bool) {
	if s.client == nil && !s.open() {
		return cmdmon.ReplyHeader{}, nil, s.complain("Could not open connection to daemon")
	}
	h, reply, err := s.client.Ask(s.ctx, c, m)
	if err != nil {
		s.print.Status(506, "Cannot talk to daemon")
	}
	return h, reply, err == nil
}

// addresses looks a host up, or reads its address.
func (s *session) addresses(ctx context.Context, host string) []netip.Addr {
	network := s.o.family
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
