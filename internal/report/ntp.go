// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"

	"foliot/internal/cmdmon"
	"foliot/internal/ntp"
)

const ntpDataText = `Remote address  : % (%)
Remote port     : %
Local address   : % (%)
Leap status     : %
Version         : %
Mode            : %
Stratum         : %
Poll interval   : % (% seconds)
Precision       : % (% seconds)
Root delay      : % seconds
Root dispersion : % seconds
Reference ID    : % (%)
Reference time  : %
Offset          : % seconds
Peer delay      : % seconds
Peer dispersion : % seconds
Response time   : % seconds
Jitter asymmetry: %
NTP tests       : % % %
Interleaved     : %
Authenticated   : %
TX timestamping : %
RX timestamping : %
Total TX        : %
Total RX        : %
Total valid RX  : %
Total good RX   : %
`

// stampText is what chronyd from 4.6 on counts in addition.
const stampText = `Total kernel TX : %
Total kernel RX : %
Total HW TX     : %
Total HW RX     : %
`

var packetModes = map[uint8]string{1: "Symmetric active", 2: "Symmetric passive", 4: "Server"}

var stampNames = map[byte]string{'D': "Daemon", 'K': "Kernel", 'H': "Hardware"}

// Names are what the addresses and identifiers in [NTPData] are called.
type Names struct{ Remote, Local, Reference string }

// NTPData is the report ntpdata about one source. Without stamped it leaves out
// the counters of stamps, which old daemons do not send.
func NTPData(p *Printer, m *cmdmon.NTPDataReply, names Names, stamped bool) {
	cells := slices.Concat(ntpHeader(m, names), ntpMeasurement(m))
	text := ntpDataText
	if stamped {
		text += stampText
		cells = append(cells, count("kernel_tx", m.KernelTx, 0), count("kernel_rx", m.KernelRx, 0),
			count("hardware_tx", m.HardwareTx, 0), count("hardware_rx", m.HardwareRx, 0))
	}
	p.print(text, cells...)
}

func ntpHeader(m *cmdmon.NTPDataReply, names Names) []cell {
	return []cell{
		word("remote_address", names.Remote), refID("remote_id", addrID(m.Remote)), count("remote_port", m.RemotePort, 0),
		word("local_address", names.Local), refID("local_id", addrID(m.Local)),
		leap("leap_status", uint16(m.Leap)), count("version", m.Version, 0), named("mode", m.Mode, packetModes),
		count("stratum", m.Stratum, 0),
		count("poll_log2_seconds", m.Poll, 0), hidden(number("", power(m.Poll), 0)),
		count("precision_log2_seconds", m.Precision, 0), hidden(number("", power(m.Precision), 9)),
		number("root_delay_seconds", m.RootDelay, 6), number("root_dispersion_seconds", m.RootDispersion, 6),
		refID("reference_id", m.RefID), word("reference_name", names.Reference),
		instant("reference_time", m.RefTime),
	}
}

func ntpMeasurement(m *cmdmon.NTPDataReply) []cell {
	return []cell{
		signed("offset_seconds", m.Offset, 9), number("peer_delay_seconds", m.PeerDelay, 9),
		number("peer_dispersion_seconds", m.PeerDispersion, 9), number("response_time_seconds", m.ResponseTime, 9),
		signed("jitter_asymmetry", m.JitterAsymmetry, 2),
		bits("tests_123", m.Flags>>7, 3), bits("tests_567", m.Flags>>4, 3), bits("tests_abcd", m.Flags, 4),
		yes("interleaved", m.Flags&cmdmon.FlagInterleaved != 0), yes("authenticated", m.Flags&cmdmon.FlagAuthenticated != 0),
		named("tx_timestamping", m.TxStamp, stampNames), named("rx_timestamping", m.RxStamp, stampNames),
		count("tx", m.Tx, 0), count("rx", m.Rx, 0), count("valid_rx", m.Valid, 0), count("good_rx", m.Good, 0),
	}
}

// hidden leaves a cell out of JSON: it says again what another one said.
func hidden(c cell) cell {
	c.key = ""
	return c
}

func power(log2 int8) float64 { return math.Ldexp(1, int(log2)) }

// addrID is the reference identifier that a client of this address has.
func addrID(a cmdmon.IPAddr) uint32 {
	if !a.Addr.IsValid() {
		return 0
	}
	return uint32(ntp.RefIDOf(a.Addr))
}
