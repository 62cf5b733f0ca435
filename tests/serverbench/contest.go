// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"foliot/internal/ntp"
	"foliot/tests/netns"
)

// server is one of the servers under test, alone in its namespace behind a link
// of its own. All run all the time, and those that are not asked sleep.
type server struct {
	name   string
	proc   *netns.Process
	space  *netns.Space
	link   *netns.Link
	addr   netip.Addr
	load   *generator
	target target
	start  func(*server) (*netns.Process, error)
	dev    string // its end of the link
	client string // the other end
}

// field is the network: one namespace of clients, and one for each server.
type field struct {
	lab     *netns.Lab
	bins    *netns.Binaries
	clients *netns.Space
	servers []*server

	unsettle func()
}

// newField builds the network and starts the servers.
func newField(lab *netns.Lab, o *options) (*field, error) {
	bins, err := netns.Build(o.root, lab.Path("bin"))
	if err != nil {
		return nil, err
	}
	f := &field{lab: lab, bins: bins}
	if f.unsettle, err = settle(o.nice); err != nil {
		return nil, err
	}
	if f.clients, err = lab.Space(); err != nil {
		return nil, err
	}
	add := func(name string, start func(*server) (*netns.Process, error)) {
		if err == nil {
			err = f.add(name, start)
		}
	}
	add("foliotd", f.foliotd)
	add("chronyd", f.chronyd)
	if o.other != "" {
		add(otherName(o.other), func(s *server) (*netns.Process, error) { return f.other(s, o.other) })
	}
	if err != nil {
		f.close()
	}
	return f, err
}

// otherName is the name of a command without its directory.
func otherName(command string) string {
	name := strings.Fields(command)[0]
	return name[strings.LastIndexByte(name, '/')+1:]
}

// add makes the namespace and the link of a server and starts it.
func (f *field) add(name string, start func(*server) (*netns.Process, error)) error {
	s := &server{name: name, start: start}
	var err error
	if s.space, err = f.lab.Space(); err != nil {
		return err
	}
	if s.link, err = f.lab.Link(f.clients, s.space); err != nil {
		return err
	}
	s.addr = s.link.B4
	s.client, s.dev = s.link.ADev, s.link.BDev
	if err := f.route(s); err != nil {
		return err
	}
	if err := f.restart(s); err != nil {
		return err
	}
	f.servers = append(f.servers, s)
	return nil
}

// sink is the router that replies to clients that do not exist are sent to. It
// does not exist either: the kernel at the other end of the link sees a frame for
// a stranger and drops it before it looks inside, which is the cheapest end that
// a packet can have on a veth pair. The end of a packet is paid by who sends it.
const sink = "02:00:00:00:00:fe"

// route sends replies for the clients to the sink, and opens the generator.
func (f *field) route(s *server) error {
	b := s.addr.As4()
	b[3] = 254
	router := netip.AddrFrom4(b).String()
	if err := s.space.IP("neigh", "add", router, "lladdr", sink, "nud", "permanent", "dev", s.dev); err != nil {
		return err
	}
	if err := s.space.IP("route", "add", "10.0.0.0/8", "via", router); err != nil {
		return err
	}
	s.target.addr = s.addr
	err := s.space.Inside(func() error {
		i, err := net.InterfaceByName(s.dev)
		if err == nil {
			s.target.dst = i.HardwareAddr
		}
		return err
	})
	if err != nil {
		return err
	}
	return f.clients.Inside(func() error {
		i, err := net.InterfaceByName(s.client)
		if err != nil {
			return err
		}
		s.target.src = i.HardwareAddr
		s.load, err = newGenerator(i.Index, s.target)
		return err
	})
}

// restart starts the server, again if it runs, and waits until it answers.
func (f *field) restart(s *server) error {
	if s.proc != nil {
		s.proc.Kill()
	}
	err := netns.OnCPU(serverCPU, func() (err error) {
		s.proc, err = s.start(s)
		return err
	})
	if err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if !s.proc.Running() {
			return fmt.Errorf("%s ended: %s", s.name, s.proc.Log())
		}
		if err = f.ask(s); err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not answer: %w: %s", s.name, err, s.proc.Log())
		}
	}
}

// ask asks the server once and checks that the answer is one of a server that
// is synchronised.
func (f *field) ask(s *server) error {
	return f.clients.Inside(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.addr, ntpPort)))
		if err != nil {
			return err
		}
		defer conn.Close()
		request := ntp.Packet{Version: ntp.Version, Mode: ntp.ModeClient, Transmit: 0x0123456789abcdef}
		conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := conn.Write(request.AppendTo(nil)); err != nil {
			return err
		}
		var b [ntp.MaxLen]byte
		n, err := conn.Read(b[:])
		if err != nil {
			return err
		}
		var reply ntp.Packet
		if !reply.Decode(b[:n]) || reply.Mode != ntp.ModeServer || reply.Origin != request.Transmit {
			return fmt.Errorf("answer of %d octets is not an answer: %+v", n, reply)
		}
		if reply.Stratum == 0 || reply.Leap == ntp.LeapUnsync {
			return fmt.Errorf("answer is not synchronised: %+v", reply)
		}
		return nil
	})
}

// serving is the configuration of both daemons.
const serving = "allow all\nlocal stratum 5\n"

func (f *field) foliotd(s *server) (*netns.Process, error) {
	d, err := s.space.Foliotd(f.bins, s.name, serving)
	if err != nil {
		return nil, err
	}
	return d.Process, nil
}

func (f *field) chronyd(s *server) (*netns.Process, error) {
	d, err := s.space.Chronyd(s.name, serving)
	if err != nil {
		return nil, err
	}
	return d.Process, nil
}

// other starts a command in whose words {ip} and {dev} stand for the server's
// address and interface.
func (f *field) other(s *server, command string) (*netns.Process, error) {
	words := strings.Fields(strings.NewReplacer("{ip}", s.addr.String(), "{dev}", s.dev).Replace(command))
	return f.lab.Start(s.name, s.space.Command(words...))
}

func (f *field) close() {
	f.unsettle()
	for _, s := range f.servers {
		s.load.close()
	}
}
