// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"foliot/internal/cmdmon"
)

// ServerStats is the report serverstats. Without stamped it leaves out the
// counters of stamps, which old daemons do not send.
func ServerStats(p *Printer, m *cmdmon.ServerStatsReply, stamped bool) {
	lines := []struct {
		words, key string
		n          uint64
	}{
		{"NTP packets received", "ntp_received", m.NTPHits},
		{"NTP packets dropped", "ntp_dropped", m.NTPDrops},
		{"Command packets received", "command_received", m.CmdHits},
		{"Command packets dropped", "command_dropped", m.CmdDrops},
		{"Client log records dropped", "client_log_dropped", m.LogDrops},
		{"NTS-KE connections accepted", "nts_ke_accepted", m.NKEHits},
		{"NTS-KE connections dropped", "nts_ke_dropped", m.NKEDrops},
		{"Authenticated NTP packets", "ntp_authenticated", m.AuthHits},
		{"Interleaved NTP packets", "ntp_interleaved", m.InterleavedHits},
		{"NTP timestamps held", "ntp_timestamps", m.Timestamps},
		{"NTP timestamp span", "ntp_timestamp_span_seconds", m.Span},
		{"NTP daemon RX timestamps", "daemon_rx_timestamps", m.DaemonRx},
		{"NTP daemon TX timestamps", "daemon_tx_timestamps", m.DaemonTx},
		{"NTP kernel RX timestamps", "kernel_rx_timestamps", m.KernelRx},
		{"NTP kernel TX timestamps", "kernel_tx_timestamps", m.KernelTx},
		{"NTP hardware RX timestamps", "hardware_rx_timestamps", m.HardwareRx},
		{"NTP hardware TX timestamps", "hardware_tx_timestamps", m.HardwareTx},
	}
	if !stamped {
		lines = lines[:11]
	}
	template := ""
	var cells []cell
	for _, l := range lines {
		template += fmt.Sprintf("%-27s: %%\n", l.words)
		cells = append(cells, count(l.key, l.n, 0))
	}
	p.print(template, cells...)
}

// Clients begins the report clients. With nke its last columns are about NTS key
// exchanges instead of commands.
func Clients(p *Printer, nke bool) {
	what := "Cmd"
	if nke {
		what = "NTS-KE"
	}
	head := fmt.Sprintf("Hostname                      NTP   Drop Int IntL Last  %6s   Drop Int  Last", what)
	p.Begin(captions(false, "", head, 79)...)
}

// Client is a row of the report clients.
func Client(p *Printer, m *cmdmon.Client, name string, nke bool) {
	second := []cell{
		count("command_packets", m.CmdHits, 6), count("command_dropped", m.CmdDrops, 5),
		interval("command_interval_log2_seconds", m.CmdInterval), age("command_last_seconds", m.CmdLast),
	}
	if nke {
		second = []cell{
			count("nts_ke_connections", m.NKEHits, 6), count("nts_ke_dropped", m.NKEDrops, 5),
			interval("nts_ke_interval_log2_seconds", m.NKEInterval), age("nts_ke_last_seconds", m.NKELast),
		}
	}
	p.print("%  %  %  %  %  %  %  %  %  %\n", append([]cell{
		column("name", name, 25), count("ntp_packets", m.NTPHits, 6), count("ntp_dropped", m.NTPDrops, 5),
		interval("ntp_interval_log2_seconds", m.NTPInterval), interval("ntp_limited_interval_log2_seconds", m.TimeoutInterval),
		age("ntp_last_seconds", m.NTPLast),
	}, second...)...)
}
