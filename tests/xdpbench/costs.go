// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"foliot/internal/clientlog"
	"foliot/internal/fastpath"
)

// costs prints what the ingress program takes for a request by itself: runs
// without a network, from which the restoring of the frame is taken off.
func (b *bench) costs() error {
	fmt.Printf("\n%-34s %10s\n", "the program alone", "ns")
	bare, err := b.least(nil, 1)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %10.0f\n", "restoring the frame", bare)
	for _, n := range []uint32{1, 4000, 40_000, 1_000_000} {
		ns, err := b.cost(n)
		if err != nil {
			return err
		}
		fmt.Printf("%-34s %10.0f\n", fmt.Sprintf("an answer, %d clients", n), ns-bare)
	}
	return nil
}

// cost returns what an answer takes, restoring included.
func (b *bench) cost(clients uint32) (ns float64, err error) {
	f, err := b.load(clients, clientlog.NewLimit(-29, 255, 4, 0))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	// Runs seem to come by the loopback interface of the namespace.
	err = b.far.Inside(func() error {
		if _, err := f.Attach("lo", fastpath.Generic); err != nil {
			return err
		}
		p, err := attachedProgram(f)
		if err != nil {
			return err
		}
		defer p.Close()
		ns, err = b.least(p, clients)
		return err
	})
	return ns, err
}

// attachedProgram returns the program that answers.
func attachedProgram(f *fastpath.Fastpath) (*ebpf.Program, error) {
	list, err := f.Counters()
	if err != nil {
		return nil, err
	}
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil {
			continue
		}
		if x := info.XDP(); x != nil && int(x.Ifindex) == list[0].Index {
			if p, err := ebpf.NewProgramFromID(info.Program); err == nil {
				if i, err := p.Info(); err == nil && i.Name == "ntp_ingress" {
					return p, nil
				}
				p.Close()
			}
		}
	}
	return nil, errors.Join(errors.New("the program is not attached"), it.Err())
}

// least returns the nanoseconds of a run, the least of several.
func (b *bench) least(p *ebpf.Program, clients uint32) (float64, error) {
	if err := b.population(clients); err != nil {
		return 0, err
	}
	if p != nil {
		if err := b.objs.Subject.Put(uint32(0), p); err != nil {
			return 0, fmt.Errorf("tail call: %w", err)
		}
	}
	var all []float64
	for range 2*b.rounds + 1 {
		n := max(int(clients), int(100*time.Millisecond/time.Microsecond))
		_, d, err := b.objs.Renew.Benchmark(make([]byte, 90), n, nil)
		if err != nil {
			return 0, err
		}
		all = append(all, float64(d.Nanoseconds()))
	}
	return slices.Min(all), nil
}
