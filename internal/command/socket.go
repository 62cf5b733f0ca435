// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"foliot/internal/clock"
	"foliot/internal/cmdmon"
)

// socket is one of the server's. Either udp or unix is set.
type socket struct {
	udp   *net.UDPConn
	unix  *net.UnixConn
	path  string
	own   os.FileInfo // what was bound at path
	ended chan struct{}
}

// datagramLen is enough to see that a datagram is too long.
const datagramLen = cmdmon.MaxRequest + 1

// sendTime is how long an answer may wait for room in the socket of who asked.
const sendTime = 100 * time.Millisecond

// ipv6FreeBind is IPV6_FREEBIND (linux/in6.h).
const ipv6FreeBind = 78

// OpenUDP opens a socket at an address, on an interface if one is named. It needs
// rights for a low port.
func (s *Server) OpenUDP(at netip.AddrPort, device string) error {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return prepare(raw, at.Addr().Is6(), device) }}
	conn, err := lc.ListenPacket(context.Background(), network, at.String())
	if err != nil {
		return fmt.Errorf("open command socket on %s: %w", at, err)
	}
	s.add(&socket{udp: conn.(*net.UDPConn)})
	return nil
}

// prepare sets the options of a UDP socket: to be told the address that a request
// came to, for that is where the answer must come from, and to bind to an address
// that the machine has not got yet.
func prepare(raw syscall.RawConn, v6 bool, device string) error {
	var err error
	set := func(fd uintptr) {
		level, info, free := syscall.IPPROTO_IP, syscall.IP_PKTINFO, syscall.IP_FREEBIND
		if v6 {
			level, info, free = syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, ipv6FreeBind
		}
		err = errors.Join(
			os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), level, info, 1)),
			os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), level, free, 1)),
		)
		if device != "" {
			err = errors.Join(err, os.NewSyscallError("bind to "+device, syscall.BindToDevice(int(fd), device)))
		}
	}
	return errors.Join(raw.Control(set), err)
}

func (s *Server) add(c *socket) {
	c.ended = make(chan struct{})
	s.mu.Lock()
	s.sockets = append(s.sockets, c)
	s.mu.Unlock()
}

// Run begins to answer on all sockets, until Close.
func (s *Server) Run(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = true
	for _, c := range s.sockets {
		go func() {
			defer close(c.ended)
			if c.udp != nil {
				s.serveUDP(ctx, c.udp)
			} else {
				s.serveUnix(ctx, c.unix)
			}
		}()
	}
}

// Close ends what Run began, waits for the command under way, whose sender shall
// hear of it, and removes what was bound in the file system.
func (s *Server) Close() {
	s.closing.Store(true)
	s.mu.Lock()
	sockets, running := s.sockets, s.running
	s.sockets = nil
	s.mu.Unlock()
	for _, c := range sockets {
		conn := c.conn()
		conn.SetReadDeadline(time.Unix(1, 0))
		if running {
			<-c.ended
		}
		conn.Close()
		if c.path != "" {
			removeOwn(c.path, c.own)
		}
	}
}

// conn returns whichever there is.
func (c *socket) conn() net.PacketConn {
	if c.udp != nil {
		return c.udp
	}
	return c.unix
}

// serveUDP answers until Close. An error is about one datagram.
func (s *Server) serveUDP(ctx context.Context, conn *net.UDPConn) {
	var b [datagramLen]byte
	var oob [64]byte
	out := make([]byte, 0, cmdmon.MaxReply)
	for {
		n, o, _, from, err := conn.ReadMsgUDPAddrPort(b[:], oob[:])
		switch {
		case s.closing.Load():
			return
		case err != nil:
			continue
		}
		reply, v := s.Answer(ctx, b[:n], from.Addr(), now(), out)
		if v == Answered {
			conn.SetWriteDeadline(time.Now().Add(sendTime))
			if _, _, err := conn.WriteMsgUDPAddrPort(reply, answerFrom(oob[:o], from.Addr()), from); err != nil {
				v = Unsent
			}
		}
		s.counters[v].Add(1)
	}
}

// answerFrom turns what the kernel told about the way of a request (struct
// in_pktinfo, in6_pktinfo) into the way of its answer: from the address that the
// request came to. By which interface is the routes' business, but for addresses
// that mean something on one link only.
func answerFrom(oob []byte, to netip.Addr) []byte {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil
	}
	switch m := messages[0]; {
	case m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_PKTINFO && len(m.Data) >= syscall.SizeofInet4Pktinfo:
		binary.NativeEndian.PutUint32(m.Data, 0)
		copy(m.Data[4:8], m.Data[8:12]) // ipi_spec_dst is the source, ipi_addr was the destination
	case m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO && len(m.Data) >= syscall.SizeofInet6Pktinfo:
		if !to.IsLinkLocalUnicast() {
			binary.NativeEndian.PutUint32(m.Data[16:], 0)
		}
	default:
		return nil
	}
	return oob
}

// serveUnix is serveUDP for a unix socket. Who did not bind an address cannot be
// answered, and is not listened to.
func (s *Server) serveUnix(ctx context.Context, conn *net.UnixConn) {
	var b [datagramLen]byte
	out := make([]byte, 0, cmdmon.MaxReply)
	for {
		n, from, err := conn.ReadFromUnix(b[:])
		switch {
		case s.closing.Load():
			return
		case err != nil:
			continue
		}
		reply, v := s.Answer(ctx, b[:n], netip.Addr{}, now(), out)
		if v == Answered {
			v = s.sendUnix(conn, reply, from)
		}
		s.counters[v].Add(1)
	}
}

func (s *Server) sendUnix(conn *net.UnixConn, reply []byte, to *net.UnixAddr) Verdict {
	if to == nil || to.Name == "" {
		return Unsent
	}
	conn.SetWriteDeadline(time.Now().Add(sendTime))
	if _, err := conn.WriteToUnix(reply, to); err != nil {
		return Unsent
	}
	return Answered
}

func now() clock.Wall { return clock.At[clock.Realtime](time.Now().UnixNano()) }
