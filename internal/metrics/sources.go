// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math/bits"

	"foliot/internal/clock"
	"foliot/internal/state"
)

// perSource returns a family with a sample for each source.
func perSource(k kind, name, help string, value func(*state.Source) float64) family {
	return family{name: name, help: help, kind: k, scheme: native, source: value}
}

// unless returns the family without samples of those sources that none is true for.
func (f family) unless(none func(*state.Source) bool) family {
	f.none = none
	return f
}

func noSamples(s *state.Source) bool { return s.Samples.N == 0 }

func statusNames() []string {
	names := make([]string, len(state.Selections))
	for i := range names {
		names[i] = state.Selections[i].Name
	}
	return names
}

func aboutSources() []family {
	list := []family{
		{name: "foliot_sources", help: "Sources by whether they are asked.", kind: gauge, labels: []string{"activity"}, each: activities},
		one(gauge, "foliot_sources_unresolved", "Names of sources that have not resolved.",
			func(s *state.State) float64 { return float64(len(s.Unsolved)) }),
		{name: "foliot_source_info", help: "What a source is; always 1.", kind: gauge,
			labels: []string{"mode", "pool", "authentication"}, scheme: native, source: always, more: info},
		{name: "foliot_source_selection_state", help: "What selection makes of a source, as a set of states.", kind: gauge,
			scheme: native, states: statusNames(), in: (*state.Source).SelectedIndex},
	}
	list = append(list, aboutAsking()...)
	return append(list, aboutSamples()...)
}

func activities(s *state.State, put func(sample)) {
	var n [state.BurstOffline + 1]int
	for i := range s.Sources {
		n[s.Sources[i].State]++
	}
	for a, count := range n {
		put(sample{float64(count), []string{state.Activity(a).String()}})
	}
}

func always(*state.Source) float64 { return 1 }

func info(s *state.Source) []string {
	pool, auth := "no", "none"
	if s.Pool {
		pool = "yes"
	}
	if s.Auth.Symmetric {
		auth = "symmetric"
	}
	return []string{s.Mode.String(), pool, auth}
}

// aboutAsking is the exchange of packets with each source.
func aboutAsking() []family {
	type S = *state.Source
	return []family{
		perSource(gauge, "foliot_source_stratum", "Stratum of the source, 0 if it is not known.",
			func(s S) float64 { return float64(s.Stratum) }),
		perSource(gauge, "foliot_source_poll_interval_seconds", "Time between two requests.",
			func(s S) float64 { return clock.Pow2(s.Poll) }),
		perSource(gauge, "foliot_source_reachability_ratio", "Share of the last polls, at most 8, that were answered.",
			func(s S) float64 { return float64(bits.OnesCount8(s.Reach)) / float64(max(s.Reached, 1)) }),
		perSource(gauge, "foliot_source_unanswered_polls", "Polls in a row without a valid answer.",
			func(s S) float64 { return float64(s.Unanswered) }),
		perSource(counter, "foliot_source_requests_total", "Packets sent to the source.",
			func(s S) float64 { return float64(s.Counts.Sent) }),
		perSource(counter, "foliot_source_packets_received_total", "Packets received from the source.",
			func(s S) float64 { return float64(s.Counts.Received) }),
		perSource(counter, "foliot_source_valid_packets_total", "Packets received that passed the tests of packets.",
			func(s S) float64 { return float64(s.Counts.Valid) }),
		perSource(counter, "foliot_source_good_packets_total", "Packets received that passed all tests.",
			func(s S) float64 { return float64(s.Counts.Good) }),
		perSource(counter, "foliot_source_authentication_failures_total", "Packets received that were not authentic.",
			func(s S) float64 { return float64(s.Auth.Failures) }),
	}
}

// aboutSamples is what is known of the time of each source.
func aboutSamples() []family {
	type S = *state.Source
	list := []family{
		perSource(gauge, "foliot_source_last_sample_age_seconds", "Age of the newest sample.",
			func(s S) float64 { return s.Samples.LastAge }),
		perSource(gauge, "foliot_source_last_sample_offset_seconds", "Offset of the newest sample; positive if the clock is behind.",
			func(s S) float64 { return float64(s.Samples.Last) }),
		perSource(gauge, "foliot_source_last_sample_error_seconds", "Bound of the error of the newest sample.",
			func(s S) float64 { return s.Samples.LastErr }),
		perSource(gauge, "foliot_source_offset_seconds", "Estimated offset; positive if the clock is behind the source.",
			func(s S) float64 { return float64(s.Samples.Offset) }),
		perSource(gauge, "foliot_source_offset_stddev_seconds", "Standard deviation of the estimated offset.",
			func(s S) float64 { return s.Samples.OffsetSD }),
		perSource(gauge, "foliot_source_frequency_ratio", "Rate by which the clock is slow against the source.",
			func(s S) float64 { return float64(s.Samples.Frequency) }),
		perSource(gauge, "foliot_source_skew_ratio", "Bound of the error of the frequency against the source.",
			func(s S) float64 { return float64(s.Samples.Skew) }),
		perSource(gauge, "foliot_source_delay_seconds", "Round trip of the newest sample.",
			func(s S) float64 { return float64(s.Samples.Delay) }),
		perSource(gauge, "foliot_source_dispersion_seconds", "Dispersion of the newest sample.",
			func(s S) float64 { return float64(s.Samples.Dispersion) }),
		perSource(gauge, "foliot_source_jitter_seconds", "Root mean square of the differences between samples.",
			func(s S) float64 { return s.Samples.Jitter }),
		perSource(gauge, "foliot_source_root_distance_seconds", "Root distance: bound of the error of the source.",
			func(s S) float64 { return s.Distance }),
	}
	for i := range list {
		list[i] = list[i].unless(noSamples)
	}
	return append(list, perSource(gauge, "foliot_source_samples", "Samples that are kept.",
		func(s S) float64 { return float64(s.Samples.N) }))
}
