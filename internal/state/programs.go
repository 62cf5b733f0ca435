// SPDX-License-Identifier: Apache-2.0

package state

import (
	"foliot/internal/clock"
	"foliot/internal/fastpath"
)

// Programs are the eBPF programs that count, stamp and answer in the kernel.
type Programs struct {
	Wanted        bool   // not ebpf off
	Loaded        bool   // they are there
	Trouble       string // why they are not, or cannot be asked
	Features      []Feature
	Interfaces    []ProgramAt        // by name
	Serving       bool               // requests are answered in the kernel now: there is something to serve, and a lease
	OneStepWanted bool               // onestep on
	OneStep       bool               // transmit timestamps are corrected on the way out: it is wanted, and helps
	Lead          clock.Interval     // from the egress program to the wire
	Residence     fastpath.Histogram // from the arrival of a request to the departure of its reply
	Correction    fastpath.Histogram // by how much corrected timestamps became later
}

// Feature is something that the programs want of the kernel.
type Feature struct {
	Name, Since string // Since is the first kernel with it
	There       bool
}

// ProgramAt is an interface with programs, or that should have some.
type ProgramAt struct {
	Name    string
	Mode    string // native, generic, watch or none
	Asked   bool   // to answer there
	Serves  bool   // it does
	Trouble string // why less is attached than was asked for
	In, Out fastpath.Traffic
}
