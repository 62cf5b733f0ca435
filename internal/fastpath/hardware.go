// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// boundOnly is BPF_F_XDP_DEV_BOUND_ONLY of linux/bpf.h: the program may ask the
// driver of its interface, and runs at no other.
const boundOnly = 1 << 6

// Hardware makes the program at an interface that is attached in Native mode look
// for the stamp of the card, which is some microseconds earlier. Until it is told by
// [Fastpath.SetHardware] what the card's clock is about, and for packets that the card
// did not stamp, all stays as it was. The error matches errors.ErrUnsupported if the
// kernel or the driver has no such thing; nothing has changed then. It takes
// the privileges that loading takes.
//
// It is not for daily use yet: Linux 6.18 was seen to read freed memory, and to
// stop with the lock of the network configuration held, when the namespace of a veth
// interface went whose program was bound to it (bpf_dev_bound_netdev_unregister).
func (f *Fastpath) Hardware(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, a := f.find(name)
	if a == nil || a.mode != Native {
		return fmt.Errorf("hardware timestamps of %s: no program in its driver", name)
	}
	xdp, ok := a.links[0].(link.Link)
	if !ok {
		return fmt.Errorf("hardware timestamps of %s: its program cannot be replaced", name)
	}
	p, err := f.bound(a.iface.Index)
	if err != nil {
		return refusal("hardware timestamps of "+name, unsupported(err))
	}
	defer p.Close() // the link holds it
	if err := xdp.Update(p); err != nil {
		return refusal("hardware timestamps of "+name, unsupported(err))
	}
	return nil
}

// unsupported marks what kernels and drivers without metadata say.
func unsupported(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, ebpf.ErrNotSupported) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// bound loads the program for one interface. It shares all maps with the others.
func (f *Fastpath) bound(ifindex int) (*ebpf.Program, error) {
	spec := f.spec.Copy()
	p := f.hardware.Copy()
	p.Ifindex, p.Flags = uint32(ifindex), p.Flags|boundOnly
	if !f.features.Has(Frags) {
		p.Flags &^= xdpHasFrags
	}
	spec.Programs = map[string]*ebpf.ProgramSpec{p.Name: p}
	o := &f.objs
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{
		"access0": o.Access0, "access1": o.Access1, "clients": o.Clients, "counts": o.Counts, "histograms": o.Histograms,
		"own": o.Own, "sockets": o.Sockets, "stamps": o.Stamps, "turns": o.Turns, ".bss": f.bss,
	}})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.DetachProgram(p.Name), nil
}

// find returns an interface that is attached, and its place.
func (f *Fastpath) find(name string) (int, *attached) {
	for i, a := range f.ifaces {
		if a != nil && a.iface.Name == name {
			return i, a
		}
	}
	return 0, nil
}

// HardwareLine says what the clock of a network card is about: at one instant it read
// Clock, ns, and the wall clock Wall, which runs faster by Rate. It holds for a lease
// of up to four seconds from that instant.
type HardwareLine struct {
	Clock uint64
	Wall  clock.Wall
	Rate  clock.Frequency
	Lease clock.Interval
}

// hardwareLines is LINES of bpf/hardware.h.
const hardwareLines = len(ntpHardware{}.Lines)

// SetHardware tells the program at an interface about the card's clock; it must do so
// again before the lease ends.
func (f *Fastpath) SetHardware(name string, h HardwareLine) error {
	now, err := f.tai()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	place, a := f.find(name)
	if a == nil {
		return fmt.Errorf("hardware clock of %s: not attached", name)
	}
	a.line = (a.line + 1) % uint32(hardwareLines)
	base := int64(f.spec.Variables["hardwares"].Offset) + int64(place)*hardwareSize
	return errors.Join(
		f.write(base+int64(a.line)*hardwareLineSize, [...]uint64{
			h.Clock, uint64(now.tai + int64(h.Wall.Sub(now.wall))), uint64(min(max(h.Lease, 0), maxLease)),
			uint64(int64(math.Round(float64(h.Rate) * (1 << 32)))),
		}),
		f.write(base+int64(hardwareLines)*hardwareLineSize, a.line))
}

// Sizes of bpf/hardware.h, octets.
const (
	hardwareLineSize = 32
	hardwareSize     = int64(hardwareLines)*hardwareLineSize + 8
)
