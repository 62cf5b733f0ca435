// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"foliot/internal/responder"
	"foliot/internal/state"
)

// depths are the places where requests are answered.
var depths = []struct {
	name string
	of   func(*state.Server) *responder.Counters
}{
	{"xdp", func(s *state.Server) *responder.Counters { return &s.XDP }},
	{"worker", func(s *state.Server) *responder.Counters { return &s.Workers }},
	{"engine", func(s *state.Server) *responder.Counters { return &s.Engine }},
}

// perDepth returns a counter for each depth.
func perDepth(name, help string, value func(*responder.Counters) uint64) family {
	return family{name: name, help: help, kind: counter, labels: []string{"depth"},
		each: func(s *state.State, put func(sample)) {
			for _, d := range depths {
				put(sample{float64(value(d.of(&s.Server))), []string{d.name}})
			}
		}}
}

func aboutServer() []family {
	type S = state.State
	type C = responder.Counters
	return []family{
		one(gauge, "foliot_server_open", "Whether the server port is open.",
			func(s *S) float64 { return truth(s.Server.Open) }),
		one(gauge, "foliot_server_threads", "Threads that answer.",
			func(s *S) float64 { return float64(s.Server.Threads) }),
		{name: "foliot_server_requests_total", help: "Datagrams at the server port by where they were judged, family and verdict.",
			kind: counter, labels: []string{"depth", "family", "verdict"}, each: verdicts},
		{name: "foliot_server_answers_total", help: "Answers by where they were written and version of NTP.",
			kind: counter, labels: []string{"depth", "version"}, each: versions},
		perDepth("foliot_server_authenticated_answers_total", "Answers with a message authentication code.",
			func(c *C) uint64 { return c.Authenticated }),
		perDepth("foliot_server_interleaved_answers_total", "Answers in interleaved mode.",
			func(c *C) uint64 { return c.Interleaved }),
		perDepth("foliot_server_interleaved_stamped_answers_total", "Answers in interleaved mode with a transmit timestamp of the kernel or the network card.",
			func(c *C) uint64 { return c.TrueTx }),
		perDepth("foliot_server_unstamped_requests_total", "Requests answered that neither the kernel nor the network card had stamped.",
			func(c *C) uint64 { return c.DaemonRx }),
		{name: "foliot_server_residence_seconds", help: "Time from the stamp of a request to the departure of the answer, in the threads.",
			kind: histogram, spread: func(s *S) spread { return stays(&s.Server.Residence) }},
		one(counter, "foliot_server_unsent_answers_total", "Answers that the kernel did not take.",
			func(s *S) float64 { return float64(s.Server.Unsent) }),
		one(counter, "foliot_server_receive_overflows_total", "Requests that found the receive buffer full.",
			func(s *S) float64 { return float64(s.Server.Overflow) }),
		one(gauge, "foliot_server_rate_limit_enabled", "Whether clients are limited (ratelimit).",
			func(s *S) float64 { return truth(s.Config.RateLimit) }),
		one(gauge, "foliot_server_client_log_enabled", "Whether clients are remembered (not noclientlog).",
			func(s *S) float64 { return truth(!s.Config.NoLog) }),
		one(gauge, "foliot_server_client_records", "Clients that are remembered.",
			func(s *S) float64 { return float64(s.Server.Records) }),
		one(counter, "foliot_server_client_records_evicted_total", "Clients that were forgotten for new ones.",
			func(s *S) float64 { return float64(s.Server.Evicted) }),
		one(gauge, "foliot_server_timestamps_held", "Transmit timestamps held for clients in interleaved mode.",
			func(s *S) float64 { return float64(s.Server.Stamps) }),
		one(gauge, "foliot_server_timestamps_span_seconds", "Time from the oldest to the newest transmit timestamp that is held.",
			func(s *S) float64 { return s.Server.Span.Seconds() }),
		one(counter, "foliot_command_requests_total", "Requests of the monitoring protocol.",
			func(s *S) float64 { return float64(s.Server.CmdHits) }),
		one(counter, "foliot_command_dropped_requests_total", "Requests of the monitoring protocol that were not answered.",
			func(s *S) float64 { return float64(s.Server.CmdDrops) }),
		counted("foliot_command_datagrams_total", "Datagrams at the sockets of the monitoring protocol by verdict.",
			func(s *state.Server) []state.Count { return s.Cmd }),
		counted("foliot_control_messages_total", "Messages of NTP mode 6, as ntpq sends them, by verdict.",
			func(s *state.Server) []state.Count { return s.Control }),
	}
}

// counted returns a counter for each verdict.
func counted(name, help string, all func(*state.Server) []state.Count) family {
	return family{name: name, help: help, kind: counter, labels: []string{"verdict"},
		each: func(s *state.State, put func(sample)) {
			for _, c := range all(&s.Server) {
				put(sample{float64(c.N), []string{c.Name}})
			}
		}}
}

func verdicts(s *state.State, put func(sample)) {
	for _, d := range depths {
		c := d.of(&s.Server)
		for v := range c.Verdicts {
			name := responder.Verdict(v).String()
			put(sample{float64(c.Verdicts[v] - c.V6[v]), []string{d.name, "ipv4", name}})
			put(sample{float64(c.V6[v]), []string{d.name, "ipv6", name}})
		}
	}
}

func versions(s *state.State, put func(sample)) {
	for _, d := range depths {
		for i, n := range d.of(&s.Server).Versions {
			put(sample{float64(n), []string{d.name, decimal(i + 1)}})
		}
	}
}
