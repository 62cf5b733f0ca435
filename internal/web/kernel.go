// SPDX-License-Identifier: Apache-2.0

package web

import (
	"foliot/internal/fastpath"
	"foliot/internal/figures"
	"foliot/internal/state"
)

// kernelView is what the eBPF programs do.
type kernelView struct {
	State string
	Good  bool // as it was asked for
	Rows  []kernelRow
}

// kernelRow is an interface.
type kernelRow struct{ Name, Mode, In, Answered, Refused, Out, Trouble string }

func kernelOf(p *state.Programs) kernelView {
	v := kernelView{Good: true}
	switch {
	case !p.Wanted:
		v.State = "No programs are wanted (ebpf off)."
	case !p.Loaded:
		v.State, v.Good = "No programs: "+p.Trouble, false
	case p.Serving:
		v.State = "Requests are answered in the kernel."
	default:
		v.State = "Packets are counted."
	}
	switch {
	case p.OneStep:
		v.State += " Transmit timestamps of other replies are corrected as they leave."
	case p.OneStepWanted && p.Loaded:
		v.State += " Transmit timestamps are not corrected, since that is no better here than what threads foretell."
	}
	for i := range p.Interfaces {
		f := &p.Interfaces[i]
		v.Good = v.Good && f.Asked == f.Serves
		v.Rows = append(v.Rows, kernelRow{
			f.Name, f.Mode, figures.Grouped(f.In.Packets()), figures.Grouped(f.In.Verdict(fastpath.Answered) + f.In.Verdict(fastpath.Kissed)),
			figures.Grouped(f.In.Verdict(fastpath.Denied) + f.In.Verdict(fastpath.Limited)), figures.Grouped(f.Out.Packets()), f.Trouble,
		})
	}
	return v
}
