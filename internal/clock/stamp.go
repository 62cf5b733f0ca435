// SPDX-License-Identifier: Apache-2.0

package clock

// StampKind says who took a timestamp; later kinds are closer to the wire.
type StampKind uint8

// Kinds of timestamp, from farthest to nearest to the wire.
const (
	StampNone     StampKind = iota
	StampDaemon             // the daemon read the clock
	StampKernel             // the network stack did (SOF_TIMESTAMPING_*_SOFTWARE)
	StampBPF                // an eBPF program at the driver did
	StampHardware           // the network card did

	StampKinds = int(StampHardware) + 1
)

// Letter returns the letter by which chronyc names the kind: D, K, B or H.
func (k StampKind) Letter() byte { return "-DKBH"[k] }

func (k StampKind) String() string {
	return [...]string{"none", "daemon", "kernel", "bpf", "hardware"}[k]
}

// Stamp is the wall time at which a packet left or arrived.
type Stamp struct {
	Time Wall
	Err  Dispersion // bound on the error of Time, seconds
	Kind StampKind
}

// Now is one reading of the wall clock and the monotonic clock, taken together.
type Now struct {
	Wall Wall
	Mono Mono
}
