// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"io"
	"math"
	"strings"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// busiest is how many clients are listed.
const busiest = 1000

// clients lists the busiest of total clients.
func clients(list []clientlog.Record, total int, evicted uint64, now clock.Wall, out io.Writer) {
	fmt.Fprintf(out, "%d clients remembered, %d forgotten", total, evicted)
	if total > len(list) {
		fmt.Fprintf(out, ", the %d busiest are", len(list))
	}
	fmt.Fprintf(out, "\n\n%-40s %10s %10s %4s %5s %-7s %6s\n", "client", "requests", "dropped", "int", "intL", "version", "last")
	for i := range list {
		r := &list[i]
		fmt.Fprintf(out, "%-40s %10d %10d %4s %5s %-7s %6.0f\n", clientName(r), r.Hits, r.Drops,
			log2(r.Interval()), log2(r.HastyInterval()), versions(r), max(now.Sub(r.Last).Seconds(), 0))
	}
}

// clientName is the address of an IPv4 client, else the network.
func clientName(r *clientlog.Record) string {
	p := r.Prefix.Netip()
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// log2 writes a power of two as chronyc does: the nearest whole exponent.
func log2(v float64, known bool) string {
	if !known {
		return "-"
	}
	return fmt.Sprintf("%.0f", math.Round(v))
}

// versions lists the NTP versions that a client used.
func versions(r *clientlog.Record) string {
	var list []string
	for v := uint8(ntp.MinVersion); v <= ntp.Version; v++ {
		if r.Versions(v) {
			list = append(list, fmt.Sprint(v))
		}
	}
	return strings.Join(list, ",")
}
