// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"testing"

	"github.com/cilium/ebpf"
)

// BenchmarkPassing measures what the ingress program takes for a packet that it
// does not change; tests/xdpbench measures answers. A test run has a cost of its
// own, which bare shows.
func BenchmarkPassing(b *testing.B) {
	f := newBench(b, Config{Clients: 64 << 20})
	passes, err := pass(ebpf.XDP, ebpf.AttachXDP, 0)
	f.must(err)
	defer passes.Close()
	tcp, dns, mac := plain(false), plain(false), plain(false)
	tcp.protocol = 6
	dns.to = address("198.51.100.1:53")
	mac.payload = append(mac.payload, make([]byte, 20)...)
	for _, tt := range []struct {
		name string
		p    *ebpf.Program
		f    frame
	}{
		{"bare", passes, dns}, {"tcp", f.objs.NtpIngress, tcp}, {"dns", f.objs.NtpIngress, dns}, {"request with a MAC", f.objs.NtpIngress, mac},
	} {
		b.Run(tt.name, func(b *testing.B) {
			f.publish()
			const n = 10_000
			var total float64
			for b.Loop() {
				_, d, err := tt.p.Benchmark(tt.f.bytes(), n, nil)
				f.must(err)
				total += float64(d.Nanoseconds())
			}
			b.ReportMetric(total/float64(b.N), "ns/packet")
		})
	}
}
