// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"foliot/internal/fastpath"
	"foliot/internal/state"
)

// aboutPrograms are metrics of the eBPF programs. Of packets only what occurred has
// samples: most packets are of a few kinds.
func aboutPrograms() []family {
	type S = state.State
	loaded := func(s *S) bool { return s.Programs.Loaded }
	return []family{
		one(gauge, "foliot_ebpf_wanted", "Whether eBPF programs are to be loaded (not ebpf off).",
			func(s *S) float64 { return truth(s.Programs.Wanted) }),
		one(gauge, "foliot_ebpf_loaded", "Whether they are.",
			func(s *S) float64 { return truth(s.Programs.Loaded) }),
		{name: "foliot_ebpf_feature", help: "Whether the kernel has what the programs want.", kind: gauge, labels: []string{"feature", "since"},
			each: func(s *S, put func(sample)) {
				for _, f := range s.Programs.Features {
					put(sample{truth(f.There), []string{f.Name, f.Since}})
				}
			}},
		{name: "foliot_ebpf_attached", help: "Whether programs are attached to an interface, and in which mode.", kind: gauge, labels: []string{"interface", "mode"},
			each: func(s *S, put func(sample)) {
				for i := range s.Programs.Interfaces {
					f := &s.Programs.Interfaces[i]
					put(sample{truth(f.Mode != "none"), []string{f.Name, f.Mode}})
				}
			}},
		perInterface("foliot_ebpf_serve_wanted", "Whether requests at an interface are to be answered in the kernel (xdp serve).",
			func(f *state.ProgramAt) bool { return f.Asked }),
		perInterface("foliot_ebpf_serve", "Whether there is a program that answers requests at an interface.",
			func(f *state.ProgramAt) bool { return f.Serves }),
		one(gauge, "foliot_ebpf_serving", "Whether programs have something to serve, and a lease.",
			func(s *S) float64 { return truth(s.Programs.Serving) }).onlyWhen(loaded),
		one(gauge, "foliot_ebpf_onestep_wanted", "Whether transmit timestamps are to be corrected on the way out (onestep).",
			func(s *S) float64 { return truth(s.Programs.OneStepWanted) }).onlyWhen(loaded),
		one(gauge, "foliot_ebpf_onestep", "Whether transmit timestamps are corrected on the way out: it is wanted, and helps.",
			func(s *S) float64 { return truth(s.Programs.OneStep) }).onlyWhen(loaded),
		one(gauge, "foliot_ebpf_onestep_lead_seconds", "Time from the correction of a transmit timestamp to the departure, as learned.",
			func(s *S) float64 { return s.Programs.Lead.Seconds() }).onlyWhen(loaded),
		{name: "foliot_ebpf_packets_total", help: "Packets from or to UDP port 123 by what became of them.", kind: counter,
			labels: []string{"interface", "direction", "family", "verdict"}, each: traffic(packetVerdicts)},
		{name: "foliot_ebpf_kinds_total", help: "Packets from or to UDP port 123 by version and mode of NTP.", kind: counter,
			labels: []string{"interface", "direction", "version", "mode"}, each: traffic(packetKinds)},
		{name: "foliot_ebpf_sizes_total", help: "Packets from or to UDP port 123 by octets of NTP.", kind: counter,
			labels: []string{"interface", "direction", "size"}, each: traffic(packetSizes)},
		{name: "foliot_ebpf_octets_total", help: "Octets of NTP in packets from or to UDP port 123.", kind: counter,
			labels: []string{"interface", "direction"}, each: traffic(func(t *fastpath.Traffic, labels []string, put func(sample)) {
				put(sample{float64(t.Octets), labels})
			})},
		{name: "foliot_ebpf_residence_seconds", help: "Time from the arrival of a request at the interface to the departure of the reply, whoever answers.",
			kind: histogram, spread: func(s *S) spread { return measured(&s.Programs.Residence) }, when: loaded},
		{name: "foliot_ebpf_correction_seconds", help: "By how much corrected transmit timestamps became later.",
			kind: histogram, spread: func(s *S) spread { return measured(&s.Programs.Correction) }, when: loaded},
	}
}

// perInterface returns a gauge for each interface.
func perInterface(name, help string, is func(*state.ProgramAt) bool) family {
	return family{name: name, help: help, kind: gauge, labels: []string{"interface"},
		each: func(s *state.State, put func(sample)) {
			for i := range s.Programs.Interfaces {
				f := &s.Programs.Interfaces[i]
				put(sample{truth(is(f)), []string{f.Name}})
			}
		}}
}

// traffic returns what puts the samples of both directions of each interface.
func traffic(of func(t *fastpath.Traffic, labels []string, put func(sample))) func(*state.State, func(sample)) {
	return func(s *state.State, put func(sample)) {
		for i := range s.Programs.Interfaces {
			f := &s.Programs.Interfaces[i]
			if f.Mode == "none" {
				continue
			}
			of(&f.In, []string{f.Name, "in"}, put)
			of(&f.Out, []string{f.Name, "out"}, put)
		}
	}
}

func packetVerdicts(t *fastpath.Traffic, labels []string, put func(sample)) {
	for family, name := range [...]string{"ipv4", "ipv6"} {
		for v, n := range t.Verdicts[family] {
			if n > 0 || fastpath.Verdict(v) == fastpath.Seen {
				put(sample{float64(n), append(labels[:len(labels):len(labels)], name, fastpath.Verdict(v).String())})
			}
		}
	}
}

func packetKinds(t *fastpath.Traffic, labels []string, put func(sample)) {
	for version := range t.Kinds {
		for mode, n := range t.Kinds[version] {
			if n > 0 {
				put(sample{float64(n), append(labels[:len(labels):len(labels)], decimal(version), decimal(mode))})
			}
		}
	}
}

func packetSizes(t *fastpath.Traffic, labels []string, put func(sample)) {
	for i, n := range t.Sizes {
		if n > 0 {
			put(sample{float64(n), append(labels[:len(labels):len(labels)], fastpath.SizeNames[i])})
		}
	}
}
