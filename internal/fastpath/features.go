// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Feature is something that the programs want of the kernel.
type Feature uint8

// Features.
const (
	XDP   Feature = iota // XDP programs attached by links, and maps in shared memory
	Frags                // XDP programs for interfaces with large frames
	TAI                  // the helper bpf_ktime_get_tai_ns
	TCX                  // tc programs attached by links
	featureCount
)

// AllFeatures are all of them.
var AllFeatures = [featureCount]Feature{XDP, Frags, TAI, TCX}

// about says what a feature is called, the first kernel that has it, and what
// goes wrong without it.
var about = [featureCount]struct{ name, since, cost string }{
	XDP:   {"XDP links", "5.9", "nothing is counted, stamped or answered in the kernel"},
	Frags: {"XDP on large frames", "5.18", "nothing is answered in the kernel on interfaces with an MTU above some 3500 octets"},
	TAI:   {"CLOCK_TAI in programs (bpf_ktime_get_tai_ns)", "6.1", "nothing is answered in the kernel, and no transmit timestamp corrected"},
	TCX:   {"tc links (tcx)", "6.6", "what leaves is not counted, and no transmit timestamp corrected"},
}

func (f Feature) String() string { return about[f].name }

// Since returns the first kernel that has the feature.
func (f Feature) Since() string { return about[f].since }

// Features says what the running kernel has.
type Features struct {
	has     [featureCount]bool
	failure error // of the first probe, if the system does not let us load anything
}

// Has tells whether the kernel has a feature.
func (f Features) Has(x Feature) bool { return f.has[x] }

// Missing lists what the kernel lacks, for telling it once.
func (f Features) Missing() (list []*UnsupportedError) {
	for x := range featureCount {
		if !f.has[x] {
			list = append(list, &UnsupportedError{x})
		}
	}
	return list
}

func (f Features) without(list []Feature) Features {
	for _, x := range list {
		f.has[x] = false
	}
	return f
}

// UnsupportedError says that the kernel lacks something.
type UnsupportedError struct{ Feature Feature }

func (e *UnsupportedError) Error() string {
	a := &about[e.Feature]
	return fmt.Sprintf("%s: not supported by the kernel (needs Linux %s): %s", a.name, a.since, a.cost)
}

// Is makes every UnsupportedError match errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// probe finds out what the running kernel has, by asking it and not by its
// version number. What it says does not change, but what we may ask does: a
// refusal is asked for again.
func probe() Features {
	probed.Lock()
	defer probed.Unlock()
	if probed.done {
		return probed.features
	}
	var f Features
	for x, ask := range [featureCount]func() error{XDP: probeXDP, Frags: probeFrags, TAI: probeTAI, TCX: probeTCX} {
		err := ask()
		f.has[x] = err == nil
		if x == int(XDP) && !errors.Is(err, ebpf.ErrNotSupported) {
			f.failure = err
		}
		if f.failure != nil {
			return f
		}
	}
	probed.features, probed.done = f, true
	return f
}

var probed struct {
	sync.Mutex
	done     bool
	features Features
}

// pass is a program that does nothing.
func pass(typ ebpf.ProgramType, attach ebpf.AttachType, flags uint32) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: typ, AttachType: attach, Flags: flags, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
}

// probeXDP loads a program. Whether there are links is seen when one is made:
// kernels without them answer as others do where the interface is missing.
func probeXDP() error {
	p, err := pass(ebpf.XDP, ebpf.AttachXDP, 0)
	if err == nil {
		p.Close()
	}
	return err
}

func probeFrags() error {
	p, err := pass(ebpf.XDP, ebpf.AttachXDP, xdpHasFrags)
	if err == nil {
		p.Close()
	}
	return err
}

func probeTAI() error { return features.HaveProgramHelper(ebpf.XDP, asm.FnKtimeGetTaiNs) }

func probeTCX() error {
	p, err := pass(ebpf.SchedCLS, ebpf.AttachNone, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{Program: p, Attach: ebpf.AttachTCXEgress, Target: nowhere})
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, unix.ENODEV):
		return nil // so it looked for the interface
	case errors.Is(err, unix.EINVAL):
		return ebpf.ErrNotSupported
	}
	return err
}

// nowhere is the index of no interface.
const nowhere = math.MaxInt32

// RefusedError says why the system lets nothing be loaded.
type RefusedError struct {
	Op      string
	Missing []string // capabilities; none if those are there
	Err     error
}

func (e *RefusedError) Error() string {
	var why string
	switch {
	case len(e.Missing) > 0:
		why = ": missing " + strings.Join(e.Missing, ", ")
	case errors.Is(e.Err, unix.EPERM):
		why = ": the capabilities are there, so a container, seccomp or the kernel's lockdown forbids it"
	}
	return fmt.Sprintf("%s: %v%s", e.Op, e.Err, why)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// refusal makes err a RefusedError if it is one.
func refusal(op string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		if missing := missingCapabilities(); len(missing) > 0 || errors.Is(err, unix.EPERM) {
			return &RefusedError{op, missing, err}
		}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// refused returns why nothing can be loaded, nil if something can.
func (f Features) refused() error {
	switch {
	case f.failure != nil:
		return refusal("load eBPF programs", f.failure)
	case !f.has[XDP]:
		return &UnsupportedError{XDP}
	}
	return nil
}

// needed are the capabilities that loading and attaching take. CAP_SYS_ADMIN
// stands for all but the second.
var needed = []struct {
	name  string
	bit   int
	admin bool
}{{"CAP_BPF", unix.CAP_BPF, true}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, false}, {"CAP_PERFMON", unix.CAP_PERFMON, true}}

func missingCapabilities() (list []string) {
	have := capabilities()
	for _, c := range needed {
		if have>>c.bit&1 == 0 && (!c.admin || have>>unix.CAP_SYS_ADMIN&1 == 0) {
			list = append(list, c.name)
		}
	}
	return list
}

// capabilities returns those in effect, all if they cannot be read.
func capabilities() uint64 {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return math.MaxUint64
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
}
