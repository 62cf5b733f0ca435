// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Before Linux 6.6 tc programs are filters of a clsact queueing discipline. No file
// descriptor holds a filter, so what a process leaves behind when it is killed, or
// may not remove since its rights are dropped, stays. It does no harm: it counts
// where nobody reads, and changes no packet once the lease has ended. The next
// start removes it: a filter of ours bears the number of its process.

// Of linux/pkt_sched.h, linux/pkt_cls.h and linux/if_ether.h.
const (
	clsact        = 0xfffffff1 // TC_H_CLSACT
	clsactHandle  = 0xffff0000
	clsactIngress = 0xfffffff2 // of TC_H_CLSACT: TC_H_MIN_INGRESS
	clsactEgress  = 0xfffffff3 // TC_H_MIN_EGRESS
	tcaKind       = 1
	tcaOptions    = 2
	tcaBPFFD      = 6
	tcaBPFName    = 7
	tcaBPFFlags   = 8
	directAction  = 1 // TCA_BPF_FLAG_ACT_DIRECT
	allProtocols  = 3 // ETH_P_ALL
)

// filterName tells our filters from those of others, and filterPriority is where
// they stand: behind others.
const (
	filterName     = "foliot"
	filterPriority = 49_000
)

// filter is a program of ours at one side of an interface.
type filter struct {
	kernel  conversation
	ifindex int
	parent  uint32
	handle  uint32 // the number of the process that made it
}

// Close removes the filter. That the interface is gone is no error.
func (f *filter) Close() error {
	err := f.remove()
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		err = nil
	}
	return errors.Join(err, f.kernel.close())
}

// addFilter puts a program at one side of an interface.
func addFilter(ifindex int, p *ebpf.Program, where ebpf.AttachType) (*filter, error) {
	kernel, err := converse()
	if err != nil {
		return nil, err
	}
	f := &filter{kernel, ifindex, clsactIngress, uint32(os.Getpid())}
	if where == ebpf.AttachTCXEgress {
		f.parent = clsactEgress
	}
	if err := f.add(p); err != nil {
		kernel.close()
		return nil, err
	}
	return f, nil
}

func (f *filter) add(p *ebpf.Program) error {
	const new = unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK
	qdisc := attribute(tcMessage(f.ifindex, clsactHandle, clsact, 0), tcaKind, []byte("clsact\x00"))
	if _, err := f.kernel.ask(unix.RTM_NEWQDISC, new, qdisc); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact: %w", err)
	}
	options := attribute(nil, tcaBPFFD, word(uint32(p.FD())))
	options = attribute(options, tcaBPFName, []byte(filterName+"\x00"))
	options = attribute(options, tcaBPFFlags, word(directAction))
	if _, err := f.kernel.ask(unix.RTM_NEWTFILTER, new, attribute(f.message(), tcaOptions, options)); err != nil {
		return fmt.Errorf("add filter: %w", err)
	}
	return nil
}

func (f *filter) message() []byte {
	const protocol = allProtocols << 8 // network order of 16 bits, on little-endian machines
	m := tcMessage(f.ifindex, f.handle, f.parent, filterPriority<<16|protocol)
	return attribute(m, tcaKind, []byte("bpf\x00"))
}

func (f *filter) remove() error {
	if _, err := f.kernel.ask(unix.RTM_DELTFILTER, unix.NLM_F_ACK, f.message()); err != nil {
		return fmt.Errorf("remove filter, which stays until the next start: %w", err)
	}
	return nil
}

// sweep removes the filters of processes that live no more, and such of our own
// number: that one was another's, since we have none yet.
func sweep() error {
	ifaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	kernel, err := converse()
	if err != nil {
		return err
	}
	var errs []error
	for i := range ifaces {
		for _, parent := range [...]uint32{clsactIngress, clsactEgress} {
			for _, f := range kernel.filters(ifaces[i].Index, parent) {
				if int(f.handle) == os.Getpid() || errors.Is(unix.Kill(int(f.handle), 0), unix.ESRCH) {
					errs = append(errs, f.remove())
				}
			}
		}
	}
	return errors.Join(append(errs, kernel.close())...)
}

// filters lists those of ours at one side of an interface, whichever process made
// them. Where there is no clsact there are none.
func (c conversation) filters(ifindex int, parent uint32) (list []filter) {
	replies, err := c.ask(unix.RTM_GETTFILTER, unix.NLM_F_DUMP, tcMessage(ifindex, 0, parent, 0))
	if err != nil {
		return nil
	}
	for _, m := range replies {
		if len(m) < tcMessageLen {
			continue
		}
		handle := binary.NativeEndian.Uint32(m[8:])
		info := binary.NativeEndian.Uint32(m[16:])
		name := find(find(m[tcMessageLen:], tcaOptions), tcaBPFName)
		if handle != 0 && info>>16 == filterPriority && unix.ByteSliceToString(name) == filterName {
			list = append(list, filter{c, ifindex, parent, handle})
		}
	}
	return list
}
