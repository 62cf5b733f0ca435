// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"math/bits"
	"strings"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/state"
)

// This file is the view that chrony_exporter gives of chronyd, name for name, so
// that dashboards made for it go on working. Its units and signs are those of
// chrony's protocol: parts per million, and offsets and frequencies of sources
// that are positive if our clock is ahead or fast, except tracking's system
// time and ntpdata's offset, which have our sign.

// exporter is chrony_exporter's scheme. It looks names up in the DNS; we have
// what was configured.
var exporter = &scheme{
	[]string{"source_address", "source_name"},
	func(s *state.Source) []string {
		if s.Mode == state.RefClock {
			return []string{refName(s.RefID), refName(s.RefID)}
		}
		return []string{s.Addr.Addr().String(), s.Name}
	},
}

// refName is what is printable of a reference ID.
func refName(id ntp.RefID) string {
	var b strings.Builder
	for shift := 24; shift >= 0; shift -= 8 {
		if c := byte(id >> shift); c >= ' ' && c < 0x7f {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// likeExporter returns what chrony_exporter collects.
func likeExporter() []family {
	list := []family{one(gauge, "chrony_up", "Whether the chrony server is up.", func(*state.State) float64 { return 1 })}
	list = append(list, exporterTracking()...)
	list = append(list, exporterSources()...)
	list = append(list, exporterSourceStats()...)
	return append(list, exporterServerStats()...)
}

func exporterTracking() []family {
	type T = *state.Tracking
	row := func(name, help string, value func(T) float64) family {
		return one(gauge, "chrony_tracking_"+name, help, func(s *state.State) float64 { return value(&s.Tracking) })
	}
	return []family{
		{name: "chrony_tracking_info", help: "Chrony tracking info", kind: gauge,
			labels: []string{"tracking_address", "tracking_name", "tracking_refid"}, each: exporterInfo},
		row("last_offset_seconds", "Chrony tracking last offset in seconds",
			func(t T) float64 { return -float64(t.LastOffset) }),
		row("reference_timestamp_seconds", "Chrony tracking Reference timestamp", func(t T) float64 { return unix(t.RefTime) }),
		row("system_time_seconds", "Chrony tracking System time", func(t T) float64 { return float64(t.Remaining) }),
		row("remote_reference", "Chrony tracking is connected to a remote source",
			func(t T) float64 { return truth(t.Synchronized) }),
		row("rms_offset_seconds", "Chrony tracking long-term average of the offset", func(t T) float64 { return t.RMSOffset }),
		row("root_delay_seconds",
			"This is the total of the network path delays to the stratum-1 computer from which the computer is ultimately synchronised",
			func(t T) float64 { return t.RootDelay }),
		row("root_dispersion_seconds", "Chrony tracking total of all measurement errors to the NTP root",
			func(t T) float64 { return t.RootDisp }),
		row("frequency_ppms", "Rate by which the system's clock would be wrong if chronyd was not correcting it, in PPMs",
			func(t T) float64 { return -t.Frequency.PPM() }),
		row("residual_frequency_ppms",
			"For the currently selected reference source, the difference between the frequency it suggests and the one currently in use, in PPMs",
			func(t T) float64 { return -t.Residual.PPM() }),
		row("skew_ppms", "The estimated error bound on the frequency, in PPMs", func(t T) float64 { return t.Skew.PPM() }),
		row("update_interval_seconds",
			"The time elapsed since the last measurement from the reference source was processed, in seconds",
			func(t T) float64 { return t.Interval }),
		row("stratum", "Chrony tracking client stratum", func(t T) float64 { return float64(t.Stratum) }),
	}
}

func exporterInfo(s *state.State, put func(sample)) {
	t := &s.Tracking
	addr, name := refName(t.RefID), refName(t.RefID)
	if t.Addr.IsValid() {
		addr, name = t.Addr.String(), t.Source
	}
	put(sample{1, []string{addr, name, fmt.Sprintf("%08X", uint32(t.RefID))}})
}

// exporterStates are the words for the states of sources in chrony's protocol.
var exporterStates = [...]string{"sync", "unreach", "falseticker", "jittery", "candidate", "outlier"}

// exporterState is the state of a source in chrony's protocol, which has six.
func exporterState(s *state.Source) string {
	const selected, unusable, falseticker, jittery, combined, selectable = 0, 1, 2, 3, 4, 5
	n := unusable
	switch s.Status {
	case selection.Selected:
		n = selected
	case selection.Falseticker:
		n = falseticker
	case selection.Jittery:
		n = jittery
	case selection.Combined:
		n = combined
	case selection.Outlier, selection.NotPreferred, selection.WaitUpdate, selection.Untrusted, selection.WaitSources:
		n = selectable
	}
	return exporterStates[n]
}

var exporterModes = [...]string{state.Client: "client", state.Peer: "peer", state.RefClock: "reference clock"}

func exporterSources() []family {
	type S = *state.Source
	row := func(name, help string, value func(S) float64) family {
		return family{name: "chrony_sources_" + name, help: help, kind: gauge, scheme: exporter, source: value}
	}
	list := []family{
		row("peer_offset_seconds", "Chrony sources peer offset", func(s S) float64 { return float64(s.Report.Offset) }),
		row("peer_delay_seconds", "Chrony sources peer delay", func(s S) float64 { return float64(s.Report.Delay) }),
		row("peer_dispersion_seconds", "Chrony sources peer dispersion", func(s S) float64 { return float64(s.Report.Disp) }),
		row("peer_response_time_seconds", "Chrony sources peer response time", func(s S) float64 { return s.Report.ResponseTime }),
		row("peer_jitter_asymmetry_seconds", "Chrony sources peer jitter asymmetry", func(s S) float64 { return s.Samples.Asymmetry }),
	}
	for i := range list {
		list[i] = list[i].unless(func(s S) bool { return s.Mode == state.RefClock })
	}
	const never = 1<<32 - 1 // of since_sample in chrony's protocol
	return append(list,
		row("last_sample_age_seconds", "Chrony sources last good sample age in seconds", func(s S) float64 {
			if s.Samples.LastAge < 0 {
				return never
			}
			return s.Samples.LastAge
		}),
		row("reachability_ratio", "Chrony sources ratio of packet reachability",
			func(s S) float64 { return float64(bits.OnesCount8(s.Reach)) / 8 }),
		row("reachability_success", "Chrony sources last poll reachability success",
			func(s S) float64 { return float64(s.Reach & 1) }),
		row("last_sample_offset_seconds", "Chrony sources last sample offset in seconds",
			func(s S) float64 { return -float64(s.Samples.Last) }),
		row("last_sample_error_margin_seconds", "Chrony sources last sample margin of error in seconds",
			func(s S) float64 { return s.Samples.LastErr }),
		row("polling_interval_seconds", "Chrony sources polling interval in seconds",
			func(s S) float64 { return clock.Pow2(s.Poll) }),
		row("stratum", "Chrony sources stratum", func(s S) float64 { return float64(s.Stratum) }),
		family{name: "chrony_sources_state_info", help: "Chrony sources state info", kind: gauge,
			labels: []string{"source_state", "source_mode"}, scheme: exporter, source: always,
			more: func(s S) []string { return []string{exporterState(s), exporterModes[s.Mode]} }},
	)
}

func exporterSourceStats() []family {
	type S = *state.Source
	row := func(name, help string, value func(S) float64) family {
		return family{name: "chrony_sourcestats_" + name, help: help, kind: gauge, scheme: exporter, source: value}
	}
	return []family{
		row("samples", "The number of sample points currently being retained for the server. (NP)",
			func(s S) float64 { return float64(s.Samples.N) }),
		row("runs", "The number of runs of residuals having the same sign following the last regression. (NR)",
			func(s S) float64 { return float64(s.Samples.Runs) }),
		row("span_seconds", "The interval between the oldest and newest samples in seconds",
			func(s S) float64 { return s.Samples.Span }),
		row("stddev", "The estimated sample standard deviation.", func(s S) float64 { return s.Samples.SD }),
		row("frequency_ppms", "The estimated residual frequency for the server, in parts per million.",
			func(s S) float64 { return -s.Samples.Frequency.PPM() }),
		row("frequency_skew_ppms", "The estimated error bounds on Freq (again in parts per million).",
			func(s S) float64 { return s.Samples.Skew.PPM() }),
		row("offset", "The estimated offset of the source.", func(s S) float64 { return -float64(s.Samples.Offset) }),
	}
}

func exporterServerStats() []family {
	type S = *state.Server
	row := func(k kind, name, help string, value func(S) uint64) family {
		return one(k, "chrony_serverstats_"+name, help, func(s *state.State) float64 { return float64(value(&s.Server)) })
	}
	none := func(S) uint64 { return 0 } // what the daemon does not have
	const responses = "The number of NTP responses which included a %s timestamp captured by the %s."
	const interleaved = "The number of NTP responses (in the interleaved mode) which included a transmit timestamp captured by the %s."
	return []family{
		row(counter, "ntp_packets_received_total", "The number of valid NTP requests received by the server.", exporterHits),
		row(counter, "ntp_packets_dropped_total", "The number of NTP requests dropped by the server due to rate limiting.",
			func(s S) uint64 { return s.Total.Verdicts[responder.Limited] }),
		row(counter, "nts_ke_connections_accepted_total", "The number of NTS-KE connections accepted by the server.", none),
		row(counter, "nts_ke_connections_dropped_total", "The number of NTS-KE connections dropped by the server due to rate limiting.", none),
		row(counter, "command_packets_received_total", "The number of command requests received by the server.",
			func(s S) uint64 { return s.CmdHits }),
		row(counter, "command_packets_dropped_total", "The number of command requests dropped by the server due to rate limiting.",
			func(s S) uint64 { return s.CmdDrops }),
		row(counter, "client_log_records_dropped_total", "The number of client log records dropped by the server to limit the memory use.",
			func(s S) uint64 { return s.Evicted }),
		row(counter, "authenticated_ntp_packets_total", "The number of received NTP requests that were authenticated (with a symmetric key or NTS).",
			func(s S) uint64 { return s.Total.Authenticated }),
		row(counter, "interleaved_ntp_packets_total", "The number of received NTP requests that were detected to be in the interleaved mode.",
			func(s S) uint64 { return s.Total.Interleaved }),
		row(gauge, "ntp_timestamps_held", "The number of pairs of receive and transmit timestamps that the server is currently holding in memory for clients using the interleaved mode.",
			func(s S) uint64 { return uint64(s.Stamps) }),
		row(gauge, "ntp_timestamp_span_seconds", "The interval (in seconds) covered by the currently held NTP timestamps.",
			func(s S) uint64 { return uint64(s.Span / clock.Second) }),
		row(counter, "ntp_daemon_rx_timestamps_total", fmt.Sprintf(responses, "receive", "daemon"),
			func(s S) uint64 { return s.Total.DaemonRx }),
		row(counter, "ntp_daemon_tx_timestamps_total", fmt.Sprintf(responses, "transmit", "daemon"),
			func(s S) uint64 { return s.Total.Answered() - s.Total.TrueTx }),
		row(counter, "ntp_kernel_rx_timestamps_total", fmt.Sprintf(responses, "receive", "kernel"),
			func(s S) uint64 { return s.Total.Answered() - s.Total.DaemonRx }),
		row(counter, "ntp_kernel_tx_timestamps_total", fmt.Sprintf(interleaved, "kernel"),
			func(s S) uint64 { return s.Total.TrueTx }),
		row(counter, "ntp_hw_rx_timestamps_total", fmt.Sprintf(responses, "receive", "NIC"), none),
		row(counter, "ntp_hw_tx_timestamps_total", fmt.Sprintf(interleaved, "NIC"), none),
	}
}

// exporterHits counts as chronyd does: whoever has access, also those who are
// then limited or not authentic.
func exporterHits(s *state.Server) uint64 {
	c := &s.Total
	return c.Answered() + c.Verdicts[responder.Limited] + c.Verdicts[responder.BadAuth]
}
