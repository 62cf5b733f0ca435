// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/state"
)

// Report writes for people what the programs do.
func Report(p *state.Programs, out io.Writer) {
	fmt.Fprintf(out, "eBPF programs   : %s\n", loaded(p))
	if !p.Loaded {
		return
	}
	fmt.Fprintf(out, "One-step        : %s\n", oneStep(p))
	for _, f := range p.Features {
		if !f.There {
			fmt.Fprintf(out, "Kernel lacks    : %s (Linux %s has it)\n", f.Name, f.Since)
		}
	}
	fmt.Fprintf(out, "Residence       : %s\nCorrection      : %s\n", spread(&p.Residence), spread(&p.Correction))
	fmt.Fprintf(out, "\n%-15s %-8s %-7s %12s %12s %12s %12s\n", "Interface", "Mode", "Answers", "Packets in", "answered", "refused", "Packets out")
	for i := range p.Interfaces {
		f := &p.Interfaces[i]
		refused := f.In.Verdict(fastpath.Denied) + f.In.Verdict(fastpath.Limited)
		fmt.Fprintf(out, "%-15s %-8s %-7s %12d %12d %12d %12d\n", f.Name, f.Mode, yes(f), f.In.Packets(),
			f.In.Verdict(fastpath.Answered)+f.In.Verdict(fastpath.Kissed), refused, f.Out.Packets())
	}
	for i := range p.Interfaces {
		if f := &p.Interfaces[i]; f.Trouble != "" {
			fmt.Fprintf(out, "\n%s: %s\n", f.Name, f.Trouble)
		}
	}
	for i := range p.Interfaces {
		details(&p.Interfaces[i], out)
	}
}

func loaded(p *state.Programs) string {
	switch {
	case !p.Loaded:
		return "none: " + p.Trouble
	case p.Serving:
		return "loaded, requests are answered in the kernel"
	case slices.ContainsFunc(p.Interfaces, func(f state.ProgramAt) bool { return f.Serves }):
		return "loaded, waiting for time to serve"
	case p.Trouble != "":
		return "loaded, but: " + p.Trouble
	}
	return "loaded, packets are counted"
}

func oneStep(p *state.Programs) string {
	switch {
	case p.OneStep:
		return fmt.Sprintf("on, replies leave %v after the correction", p.Lead.Duration())
	case p.OneStepWanted:
		return "off, since it is no better here than what threads foretell"
	}
	return "off"
}

func yes(f *state.ProgramAt) string {
	switch {
	case f.Serves:
		return "yes"
	case f.Asked:
		return "failed"
	}
	return "no"
}

// spread describes a histogram by the bounds that half and most of it are below.
func spread(h *fastpath.Histogram) string {
	n := uint64(0)
	for _, c := range h.Buckets {
		n += c
	}
	if n == 0 {
		return "none measured"
	}
	mean := time.Duration(h.Sum/clock.Interval(n)) * time.Nanosecond
	return fmt.Sprintf("%d measured, mean %v, half below %v, 99 %% below %v", n, mean, below(h, n, 0.5), below(h, n, 0.99))
}

// below returns the end of the bucket that a part of all n is below.
func below(h *fastpath.Histogram, n uint64, part float64) time.Duration {
	sum := uint64(0)
	for i, c := range h.Buckets {
		if sum += c; float64(sum) >= part*float64(n) {
			return time.Duration(1) << i
		}
	}
	return time.Duration(1) << len(h.Buckets)
}

// details lists what passed an interface, kind by kind.
func details(f *state.ProgramAt, out io.Writer) {
	for _, way := range []struct {
		name string
		t    *fastpath.Traffic
	}{{"in", &f.In}, {"out", &f.Out}} {
		t := way.t
		if t.Packets() == 0 {
			continue
		}
		var verdicts, kinds, sizes []string
		for v := range fastpath.Verdicts {
			verdicts = named(verdicts, fastpath.Verdict(v).String(), t.Verdict(fastpath.Verdict(v)))
		}
		for version := range t.Kinds {
			for mode, n := range t.Kinds[version] {
				kinds = named(kinds, fmt.Sprintf("v%d/%s", version, modes[mode]), n)
			}
		}
		for i, n := range t.Sizes {
			sizes = named(sizes, fastpath.SizeNames[i], n)
		}
		fmt.Fprintf(out, "\n%s %s:\n  verdicts  %s\n  kinds     %s\n  octets    %s\n", f.Name, way.name,
			strings.Join(verdicts, ", "), strings.Join(kinds, ", "), strings.Join(sizes, ", "))
	}
}

// modes are the names of the modes of NTP (RFC 5905, figure 10).
var modes = [8]string{"reserved", "active", "passive", "client", "server", "broadcast", "control", "private"}

// named appends a count that is not 0.
func named(list []string, name string, n uint64) []string {
	if n > 0 {
		list = append(list, fmt.Sprintf("%s %d", name, n))
	}
	return list
}

// JSON writes the same for programs, on one line.
func JSON(p *state.Programs, out io.Writer) error {
	list := make([]any, 0, len(p.Interfaces))
	for i := range p.Interfaces {
		f := &p.Interfaces[i]
		list = append(list, map[string]any{
			"name": f.Name, "mode": f.Mode, "asked": f.Asked, "answers": f.Serves, "trouble": f.Trouble,
			"in": document(&f.In), "out": document(&f.Out),
		})
	}
	features := make(map[string]any)
	for _, f := range p.Features {
		features[f.Name] = map[string]any{"since": f.Since, "there": f.There}
	}
	return json.NewEncoder(out).Encode(map[string]any{
		"wanted": p.Wanted, "loaded": p.Loaded, "trouble": p.Trouble, "serving": p.Serving, "features": features, "interfaces": list,
		"onestep":         map[string]any{"wanted": p.OneStepWanted, "on": p.OneStep, "lead_seconds": p.Lead.Seconds()},
		"residence_ns":    p.Residence,
		"correction_ns":   p.Correction,
		"histogram_scale": "bucket i has durations below 2^i ns that are in none before, the last one the rest",
	})
}

// document is the traffic in one direction, what occurred of it.
func document(t *fastpath.Traffic) map[string]any {
	verdicts, kinds, sizes := make(map[string][2]uint64), make(map[string]uint64), make(map[string]uint64)
	for v := range fastpath.Verdicts {
		if t.Verdict(fastpath.Verdict(v)) > 0 {
			verdicts[fastpath.Verdict(v).String()] = [2]uint64{t.Verdicts[0][v], t.Verdicts[1][v]}
		}
	}
	for version := range t.Kinds {
		for mode, n := range t.Kinds[version] {
			if n > 0 {
				kinds[fmt.Sprintf("v%d/%s", version, modes[mode])] = n
			}
		}
	}
	for i, n := range t.Sizes {
		if n > 0 {
			sizes[fastpath.SizeNames[i]] = n
		}
	}
	return map[string]any{"packets": t.Packets(), "octets": t.Octets, "verdicts_ipv4_ipv6": verdicts, "kinds": kinds, "sizes": sizes}
}
