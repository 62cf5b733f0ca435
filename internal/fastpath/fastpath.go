// SPDX-License-Identifier: Apache-2.0

// Package fastpath loads the programs of bpf/ and talks to them: they count and
// stamp every packet from or to UDP port 123, answer plain requests before the
// network stack sees them, and give replies the time at which they really leave.
// What is answered, whom and how often is decided elsewhere and only handed on.
//
// The one concept is that the programs are a short cut. Each packet that they do
// not understand, or for which they have no fresh state, goes on to the sockets as
// if they were not there. What they serve is a line that [Fastpath.Publish] draws
// and that holds for a lease: if nobody draws the next one, they stop.
//
// Privileges are needed to load and attach. Everything else works on file
// descriptors and goes on working when they are dropped. Nothing is pinned: when
// the process ends, however it does, the programs are gone, but for filters of old
// kernels (clsact.go).
package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"

	"foliot/internal/clientlog"
)

// Config is what the programs are loaded with.
type Config struct {
	Clients int64             // memory for records of clients, octets; at least one set is kept
	Key     clientlog.HashKey // random and secret
	// Without asks to do as if the kernel lacked a feature.
	Without []Feature
}

// setSize is the memory of a set of clients' records, octets.
const setSize = int64(unsafe.Sizeof(ntpSet{}))

// Fastpath is the loaded programs. Any goroutine may call its methods.
type Fastpath struct {
	mu         sync.Mutex
	objs       ntpObjects
	spec       *ebpf.CollectionSpec
	features   Features
	hardware   *ebpf.ProgramSpec // what is loaded for one interface at a time
	bss        *ebpf.Map
	globals    *ebpf.Memory // of bss
	clients    *ebpf.Memory
	stamps     *ebpf.Memory
	sets       uint32
	ifaces     [places]*attached
	state      uint32 // index of the state in force
	policy     uint32 // likewise
	generation uint32 // of policies
	tai        func() (taiReading, error)
}

// places is how many interfaces there may be, INTERFACES of bpf/counters.h.
const places = 32

// Load loads the programs. The error is a [*RefusedError] if the system does not
// let us, which says what is missing.
func Load(c Config) (*Fastpath, error) {
	f := &Fastpath{features: probe().without(c.Without), tai: readTAI}
	if err := f.features.refused(); err != nil {
		return nil, err
	}
	spec, err := loadNtp()
	if err != nil {
		return nil, fmt.Errorf("read the eBPF object: %w", err)
	}
	f.spec = spec
	if err := f.prepare(c); err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	if !f.features.Has(TCX) {
		if err := sweep(); err != nil {
			return nil, errors.Join(fmt.Errorf("remove filters of a process that ended: %w", err), f.Close())
		}
	}
	for _, m := range []struct {
		to  **ebpf.Memory
		mem *ebpf.Map
	}{{&f.clients, f.objs.Clients}, {&f.stamps, f.objs.Stamps}} {
		if *m.to, err = m.mem.Memory(); err != nil {
			return nil, errors.Join(fmt.Errorf("map %v: %w", m.mem, err), f.Close())
		}
	}
	return f, nil
}

// prepare sets the constants of the programs, and sizes the maps.
func (f *Fastpath) prepare(c Config) error {
	f.sets = uint32(min(max(c.Clients/setSize, 1), 1<<22))
	f.spec.Maps["clients"].MaxEntries = f.sets
	v := f.spec.Variables
	return errors.Join(
		v["client_sets"].Set(f.sets),
		v["hash_key"].Set([2]uint64(c.Key)),
		v["has_tai"].Set(flag[uint8](f.features.Has(TAI))),
	)
}

func flag[T uint8 | uint32](on bool) T {
	if on {
		return 1
	}
	return 0
}

// load loads what the kernel has a place for.
func (f *Fastpath) load() error {
	if !f.features.Has(Frags) {
		f.spec.Programs["ntp_ingress"].Flags &^= xdpHasFrags
	}
	if !f.features.Has(TCX) {
		for _, name := range []string{"ntp_egress", "ntp_watch"} {
			f.spec.Programs[name].AttachType = ebpf.AttachNone
		}
	}
	f.hardware = f.spec.Programs["ntp_hardware"]
	delete(f.spec.Programs, f.hardware.Name)
	coll, err := ebpf.NewCollection(f.spec)
	if err != nil {
		return refusal("load eBPF programs", err)
	}
	defer coll.Close() // what is taken out of it stays
	f.objs = take(coll)
	f.bss = coll.DetachMap(".bss")
	if f.globals, err = f.bss.Memory(); err != nil {
		return errors.Join(fmt.Errorf("map .bss: %w", err), f.Close())
	}
	return nil
}

// xdpHasFrags is BPF_F_XDP_HAS_FRAGS of linux/bpf.h.
const xdpHasFrags = 1 << 5

// take takes the maps and programs out of a collection.
func take(c *ebpf.Collection) (o ntpObjects) {
	for name, m := range map[string]**ebpf.Map{
		"access0": &o.Access0, "access1": &o.Access1, "clients": &o.Clients, "counts": &o.Counts,
		"histograms": &o.Histograms, "own": &o.Own, "sockets": &o.Sockets, "stamps": &o.Stamps, "turns": &o.Turns,
	} {
		*m = c.DetachMap(name)
	}
	for name, p := range map[string]**ebpf.Program{
		"ntp_ingress": &o.NtpIngress, "ntp_egress": &o.NtpEgress, "ntp_watch": &o.NtpWatch,
	} {
		*p = c.DetachProgram(name)
	}
	return o
}

// Features returns what the kernel lets the programs do.
func (f *Fastpath) Features() Features { return f.features }

// Close detaches and unloads the programs. Closing again does nothing.
func (f *Fastpath) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for i, a := range f.ifaces {
		if a != nil {
			// What cannot be removed shall at least do nothing.
			errs = append(errs, f.erase(i), a.close())
			f.ifaces[i] = nil
		}
	}
	for _, p := range []*ebpf.Program{f.objs.NtpIngress, f.objs.NtpEgress, f.objs.NtpWatch} {
		errs = append(errs, p.Close())
	}
	o := &f.objs
	for _, m := range []*ebpf.Map{o.Access0, o.Access1, o.Clients, o.Counts, o.Histograms, o.Own, o.Sockets, o.Stamps, o.Turns, f.bss} {
		errs = append(errs, m.Close())
	}
	f.objs = ntpObjects{}
	return errors.Join(errs...)
}

// ErrClosed says that the programs are unloaded.
var ErrClosed = errors.New("fastpath: closed")

// set writes v into a variable of the programs, or into the element i of one that
// is an array. The programs read numbers whole, and more than a number only
// after an index was turned to it.
func (f *Fastpath) set(name string, i int, v any) error {
	if err := f.write(int64(f.spec.Variables[name].Offset)+int64(i*binary.Size(v)), v); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// write writes v into the memory of the programs.
func (f *Fastpath) write(at int64, v any) error {
	if f.objs.NtpIngress == nil {
		return ErrClosed
	}
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err == nil {
		_, err = f.globals.WriteAt(b, at)
	}
	return err
}
