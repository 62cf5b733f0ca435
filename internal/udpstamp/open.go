// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// portTries is how many random ports are tried before the kernel has to choose.
const portTries = 32

// Options are the properties of a socket. The zero value is useful for a client.
type Options struct {
	// Local is the address to bind to. A client may leave it invalid, for the
	// route's. A server gives an unspecified address to serve the whole family.
	Local netip.Addr
	// Port is the local port. For a client 0 means a random one; a fixed one it
	// shares with other sockets of ours.
	Port uint16
	// Device is the name of the interface to bind to, "" for any.
	Device string
	// DSCP is the differentiated services code point of what is sent, 0..63.
	DSCP uint8
	// Exclusive makes a server refuse a port that any other socket has, also if
	// that would share it.
	Exclusive bool
	// FreeBind lets a server bind to an address that the machine does not have
	// yet (IP_FREEBIND).
	FreeBind bool
	// Broadcast permits sending to broadcast addresses.
	Broadcast bool
	// Hardware asks for the network card's stamps too; see EnableHardware.
	Hardware bool
	// RecvBuffer is the size of the receive buffer in octets, 0 for the
	// system's default.
	RecvBuffer int
	// Precision is the error that every stamp of the system clock gets.
	Precision clock.Dispersion
}

// OpenClient opens a socket that exchanges datagrams with remote alone.
func OpenClient(remote netip.AddrPort, o Options) (*Socket, error) {
	return openClient(remote, o, Probe())
}

func openClient(remote netip.AddrPort, o Options, f Features) (*Socket, error) {
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	s, err := open(remote.Addr(), o, f)
	if err != nil {
		return nil, fmt.Errorf("open client socket to %s: %w", remote, err)
	}
	if err := s.connect(remote, o); err != nil {
		s.Close()
		return nil, fmt.Errorf("open client socket to %s: %w", remote, err)
	}
	return s, nil
}

// OpenServer opens a socket that receives from anyone at o.Local and o.Port.
// Sockets of one user that bind to the same address and port share the load.
func OpenServer(o Options) (*Socket, error) { return openServer(o, Probe()) }

func openServer(o Options, f Features) (*Socket, error) {
	at := netip.AddrPortFrom(o.Local, o.Port)
	s, err := open(o.Local, o, f)
	if err != nil {
		return nil, fmt.Errorf("open server socket at %s: %w", at, err)
	}
	if err := s.listen(o); err != nil {
		s.Close()
		return nil, fmt.Errorf("open server socket at %s: %w", at, err)
	}
	return s, nil
}

// Talker returns a second Socket of the same server socket that only sends: it
// may be owned by another goroutine than s is. Nothing that it sends is stamped: s
// would get the stamps, and a kernel that counts would count them as its own.
func (s *Socket) Talker() (*Socket, error) {
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	t := &Socket{fd: fd, v6: s.v6, precision: s.precision}
	t.prepare()
	return t, nil
}

// KeepStamping returns a socket to be left alone. The kernel stamps arriving
// packets while any socket wants stamps, and begins some milliseconds after the
// first asked: opened early, this one gets the first answers stamped too.
func KeepStamping() (*Socket, error) {
	s, err := open(netip.IPv4Unspecified(), Options{}, Probe())
	if err != nil {
		return nil, fmt.Errorf("open timestamping socket: %w", err)
	}
	return s, nil
}

// open makes an unbound socket of addr's family with all options set.
func open(addr netip.Addr, o Options, f Features) (*Socket, error) {
	if !addr.IsValid() {
		return nil, fmt.Errorf("no address")
	}
	family := unix.AF_INET
	if !addr.Unmap().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &Socket{fd: fd, v6: family == unix.AF_INET6, hardware: o.Hardware, features: f, precision: o.Precision}
	s.prepare()
	if err := s.setOptions(o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Socket) setOptions(o Options) error {
	type option struct {
		name             string
		level, opt, want int
	}
	list := make([]option, 0, 6)
	if s.v6 {
		list = append(list,
			option{"IPV6_V6ONLY", unix.SOL_IPV6, unix.IPV6_V6ONLY, 1},
			option{"IPV6_RECVPKTINFO", unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1},
			option{"IPV6_TCLASS", unix.SOL_IPV6, unix.IPV6_TCLASS, int(o.DSCP&63) << 2})
	} else {
		list = append(list,
			option{"IP_PKTINFO", unix.SOL_IP, unix.IP_PKTINFO, 1},
			option{"IP_TOS", unix.SOL_IP, unix.IP_TOS, int(o.DSCP&63) << 2})
	}
	if o.Broadcast {
		list = append(list, option{"SO_BROADCAST", unix.SOL_SOCKET, unix.SO_BROADCAST, 1})
	}
	if o.RecvBuffer > 0 && unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, o.RecvBuffer) != nil {
		// Without CAP_NET_ADMIN only up to net.core.rmem_max.
		list = append(list, option{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, o.RecvBuffer})
	}
	for _, l := range list {
		if err := unix.SetsockoptInt(s.fd, l.level, l.opt, l.want); err != nil {
			return os.NewSyscallError("setsockopt "+l.name, err)
		}
	}
	if o.Device != "" {
		if err := unix.BindToDevice(s.fd, o.Device); err != nil {
			return fmt.Errorf("bind to device %s: %w", o.Device, os.NewSyscallError("setsockopt SO_BINDTODEVICE", err))
		}
	}
	return enableStamps(s.fd, s.features, s.hardware)
}

// connect binds as o says and connects to remote.
func (s *Socket) connect(remote netip.AddrPort, o Options) error {
	local := o.Local
	if !local.IsValid() {
		local = netip.IPv4Unspecified()
		if s.v6 {
			local = netip.IPv6Unspecified()
		}
	}
	if err := s.bindClient(local, o.Port); err != nil {
		return err
	}
	to, err := sockaddr(remote)
	if err != nil {
		return err
	}
	if err := unix.Connect(s.fd, to); err != nil {
		return os.NewSyscallError("connect", err)
	}
	s.remote = remote
	if o.Port != 0 {
		s.drain()
	}
	return nil
}

// drain drops what arrived between bind and connect: on a port that is shared it
// may come from anyone.
func (s *Socket) drain() {
	var b [1]byte
	for {
		if _, _, err := unix.Recvfrom(s.fd, b[:], unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// share lets others of our sockets have the same port. The kernel gives a
// datagram to the connected socket that it fits, else to the server's.
func (s *Socket) share() error {
	for _, opt := range [...]int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, opt, 1); err != nil {
			return os.NewSyscallError("setsockopt SO_REUSE", err)
		}
	}
	return nil
}

// bindClient binds to port, or to a random one if it is 0: an attacker who does
// not see our requests then has to guess it. The ports are those that the kernel
// itself would take, chosen by a generator that is known to be a good one.
func (s *Socket) bindClient(local netip.Addr, port uint16) error {
	if port != 0 {
		if err := s.share(); err != nil {
			return err
		}
		return s.bind(netip.AddrPortFrom(local, port))
	}
	for range portTries {
		err := s.bind(netip.AddrPortFrom(local, randomPort()))
		if !inUse(err) {
			return err
		}
	}
	return s.bind(netip.AddrPortFrom(local, 0))
}

func (s *Socket) listen(o Options) error {
	if o.Port != 0 && !o.Exclusive {
		if err := s.share(); err != nil {
			return err
		}
	}
	if !s.v6 {
		// Answers are small and never in fragments. That they must not be spares
		// the kernel the choice of an identification for each, a tenth of the whole
		// cost; PROBE, unlike DO, ignores what somebody claims of the path.
		if err := unix.SetsockoptInt(s.fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE); err != nil {
			return os.NewSyscallError("setsockopt IP_MTU_DISCOVER", err)
		}
	}
	if o.FreeBind {
		level, opt := unix.SOL_IP, unix.IP_FREEBIND
		if s.v6 {
			level, opt = unix.SOL_IPV6, unix.IPV6_FREEBIND
		}
		if err := unix.SetsockoptInt(s.fd, level, opt, 1); err != nil {
			return os.NewSyscallError("setsockopt FREEBIND", err)
		}
	}
	return s.bind(netip.AddrPortFrom(o.Local, o.Port))
}

func (s *Socket) bind(at netip.AddrPort) error {
	sa, err := sockaddr(at)
	if err != nil {
		return err
	}
	return os.NewSyscallError("bind", unix.Bind(s.fd, sa))
}

// sockaddr encodes an address for the calls that are made once per socket.
func sockaddr(a netip.AddrPort) (unix.Sockaddr, error) {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}, nil
	}
	scope, err := zoneIndex(a.Addr().Zone())
	if err != nil {
		return nil, err
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: scope}, nil
}

// zoneIndex returns the interface index of an IPv6 zone, a name or a number.
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index), nil
	}
	n, err := strconv.ParseUint(zone, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("no interface %q", zone)
	}
	return uint32(n), nil
}

// LocalAddr returns the address and port that the socket is bound to.
func (s *Socket) LocalAddr() (netip.AddrPort, error) {
	var raw unix.RawSockaddrInet6
	size := uint32(unsafe.Sizeof(raw))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(s.fd),
		uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", errno)
	}
	return s.addrPort(&raw), nil
}
