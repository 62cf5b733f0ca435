// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Mode is how a program gets at what an interface receives.
type Mode uint8

// Modes.
const (
	Watch   Mode = iota // behind the driver (tcx): to observe, without a stir
	Auto                // Native where the driver can and is a card's, else Generic
	Native              // in the driver (XDP): to answer
	Generic             // XDP behind the driver: to answer where it cannot
)

func (m Mode) String() string { return [...]string{"watch", "auto", "native", "generic"}[m] }

// HeldError says that another XDP program has the interface. It was left alone.
type HeldError struct {
	Interface string
	Err       error
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("attach to %s: another XDP program has the interface: %v", e.Interface, e.Err)
}

func (e *HeldError) Unwrap() error { return e.Err }

// attached is an interface with programs of ours.
type attached struct {
	iface  net.Interface
	mode   Mode
	serves bool
	links  []io.Closer
	line   uint32 // of the card's clock, the one in force
}

func (a *attached) close() error {
	var errs []error
	for _, l := range a.links {
		errs = append(errs, l.Close())
	}
	a.links = nil
	return errors.Join(errs...)
}

// Attach attaches the programs to an interface. Plain requests are answered there
// unless the mode is Watch; what leaves is watched in any mode, where the kernel
// can. It returns the mode that Auto came to.
func (f *Fastpath) Attach(name string, m Mode) (Mode, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return m, fmt.Errorf("attach to %s: %w", name, err)
	}
	if len(iface.HardwareAddr) != 6 && iface.Flags&net.FlagLoopback == 0 {
		return m, fmt.Errorf("attach to %s: no Ethernet: %w", name, errors.ErrUnsupported)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	place, err := f.free(iface)
	if err != nil {
		return m, err
	}
	// The interface must be known before the first packet, or it is not counted.
	if err := f.note(place, iface, m != Watch); err != nil {
		return m, err
	}
	a := &attached{iface: *iface}
	if a.mode, err = f.join(a, m); err != nil {
		return m, errors.Join(err, a.close(), f.erase(place))
	}
	a.serves = m != Watch
	f.ifaces[place] = a
	return a.mode, nil
}

// free returns a place for an interface, its counters at zero.
func (f *Fastpath) free(iface *net.Interface) (int, error) {
	if f.objs.NtpIngress == nil {
		return 0, ErrClosed
	}
	place := -1
	for i, a := range f.ifaces {
		switch {
		case a == nil && place < 0:
			place = i
		case a != nil && a.iface.Index == iface.Index:
			return 0, fmt.Errorf("attach to %s: attached already", iface.Name)
		}
	}
	if place < 0 {
		return 0, fmt.Errorf("attach to %s: %d interfaces are attached, which is all that fits", iface.Name, places)
	}
	for _, key := range [...]uint32{uint32(place), uint32(place + places)} {
		if err := f.objs.Counts.Put(key, make([]ntpCounters, ebpf.MustPossibleCPU())); err != nil {
			return 0, fmt.Errorf("clear counters: %w", err)
		}
	}
	return place, nil
}

// note tells the programs what stands at a place.
func (f *Fastpath) note(place int, iface *net.Interface, serve bool) error {
	mac, mask := station(iface.HardwareAddr)
	return f.set("interfaces", place, &ntpInterface{
		Ifindex: uint32(iface.Index), Place: uint32(place) + 1, Serve: flag[uint32](serve), Mac: mac, Mask: mask,
	})
}

// erase tells the programs that nothing stands at a place.
func (f *Fastpath) erase(place int) error { return f.note(place, &net.Interface{}, false) }

// station is an address of Ethernet as the programs compare it. The loopback
// interface has none: there only frames to a group are foreign.
func station(a net.HardwareAddr) (mac, mask uint64) {
	if len(a) != 6 {
		return 0, 1
	}
	var b [8]byte
	copy(b[:], a)
	return binary.LittleEndian.Uint64(b[:]), 1<<48 - 1
}

// join links the programs. Watching from behind the driver takes tc; where the
// kernel has none for programs, XDP watches too.
func (f *Fastpath) join(a *attached, m Mode) (Mode, error) {
	watched := false
	if m == Watch {
		var err error
		if watched, err = f.tc(a, f.objs.NtpWatch, ebpf.AttachTCXIngress); err != nil {
			return m, err
		}
	}
	if !watched {
		var err error
		if m, err = f.xdp(a, m); err != nil {
			return m, err
		}
	}
	_, err := f.tc(a, f.objs.NtpEgress, ebpf.AttachTCXEgress)
	return m, err
}

// tc links a tc program, the last in its row: it sees what leaves as others left
// it, and decides nothing. It returns false if the kernel cannot do so.
func (f *Fastpath) tc(a *attached, p *ebpf.Program, where ebpf.AttachType) (bool, error) {
	var l io.Closer
	var err error
	if f.features.Has(TCX) {
		l, err = link.AttachTCX(link.TCXOptions{Interface: a.iface.Index, Program: p, Attach: where, Anchor: link.Tail()})
	} else if l, err = addFilter(a.iface.Index, p, where); lacks(err) {
		return false, nil
	}
	if err != nil {
		return false, refusal("attach to "+a.iface.Name, err)
	}
	a.links = append(a.links, l)
	return true, nil
}

// lacks tells whether the kernel has no clsact, no filters that are programs, or an
// ingress queueing discipline of somebody else in their place.
func lacks(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
}

func (f *Fastpath) xdp(a *attached, m Mode) (Mode, error) {
	modes := map[Mode][]Mode{Native: {Native}, Generic: {Generic}, Auto: {Native, Generic}, Watch: {Generic}}[m]
	if m == Auto && driver(a.iface.Name) == "veth" {
		modes = []Mode{Generic}
	}
	var errs []error
	for _, m := range modes {
		flags := link.XDPDriverMode
		if m == Generic {
			flags = link.XDPGenericMode
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: f.objs.NtpIngress, Interface: a.iface.Index, Flags: flags})
		if err == nil {
			a.links = append(a.links, l)
			return m, nil
		}
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
			return m, &HeldError{a.iface.Name, err}
		}
		errs = append(errs, fmt.Errorf("%v mode: %w", m, err))
	}
	return m, refusal("attach to "+a.iface.Name, errors.Join(errs...))
}

// Upgrade makes an interface that is watched one where plain requests are answered.
// Its counters go on. If it fails the interface is watched as before.
func (f *Fastpath) Upgrade(name string, m Mode) (Mode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.ifaces {
		if a == nil || a.iface.Name != name || a.mode != Watch || m == Watch {
			continue
		}
		watch := a.links
		a.links = nil
		got, err := f.xdp(a, m)
		if err != nil {
			a.links = watch
			return Watch, err
		}
		if f.objs.NtpWatch != nil { // the first one; else XDP watched, and has been replaced
			err = watch[0].Close()
			watch = watch[1:]
		}
		a.links = append(a.links, watch...)
		a.mode, a.serves = got, true
		return got, errors.Join(err, f.note(i, &a.iface, true))
	}
	return m, fmt.Errorf("serve at %s: it is not watched", name)
}

// driver returns the name of an interface's driver, "" if nobody tells. That of
// veth can run programs, but what they answer is lost unless the interface at the
// other end has a program too, or GRO.
func driver(name string) string {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(s)
	info, err := unix.IoctlGetEthtoolDrvinfo(s, name)
	if err != nil {
		return ""
	}
	return unix.ByteSliceToString(info.Driver[:])
}

// Detach takes the programs off an interface; that it is gone is no error.
func (f *Fastpath) Detach(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.ifaces {
		if a != nil && a.iface.Name == name {
			f.ifaces[i] = nil
			return errors.Join(a.close(), f.erase(i))
		}
	}
	return nil
}

// Serve turns answering on or off at an interface that is attached for it,
// without detaching anything.
func (f *Fastpath) Serve(name string, on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.ifaces {
		if a != nil && a.iface.Name == name && a.mode != Watch {
			a.serves = on
			return f.note(i, &a.iface, on)
		}
	}
	return fmt.Errorf("serve at %s: not attached for it", name)
}
