// SPDX-License-Identifier: Apache-2.0

package clock

import "math"

// The kernel holds the clock's rate in two parts (linux/timex.h): tick, the
// microseconds added per 1/USER_HZ second (nominally 10000 at USER_HZ 100), and
// freq, a fine correction in ppm with a 16-bit fraction, limited to 500 ppm.
const (
	userHz      = 100
	nominalTick = 1000000 / userHz
	minTick     = nominalTick * 9 / 10
	maxTick     = nominalTick * 11 / 10
	tickPPM     = userHz // one tick unit is 1 us per 10 ms

	// MaxKernelFrequency is the largest rate change that tick and freq can
	// express together and that every kernel takes: 10 %.
	MaxKernelFrequency Frequency = 0.1
)

// KernelFrequency is a clock rate as adjtimex(2) encodes it. The zero value is
// not valid; nominal rate is {Tick: 10000}.
type KernelFrequency struct {
	Tick int64 // microseconds per 10 ms, 9000..11000
	Freq int64 // ppm * 2^16, -500*65536..500*65536
}

// ToKernel encodes f, clamped to what the kernel can do. The quantum is
// 2^-16 ppm (15 parts in 10^12); use [FromKernel] to learn what was set.
func ToKernel(f Frequency) KernelFrequency {
	ppm := f.PPM()
	dtick := math.Round(ppm / tickPPM)
	dtick = min(max(dtick, minTick-nominalTick), maxTick-nominalTick)
	fine := math.Round((ppm - dtick*tickPPM) * 65536)
	fine = min(max(fine, -500*65536), 500*65536)
	return KernelFrequency{Tick: nominalTick + int64(dtick), Freq: int64(fine)}
}

// FromKernel decodes a kernel rate.
func FromKernel(k KernelFrequency) Frequency {
	return FromPPM(float64((k.Tick-nominalTick)*tickPPM) + float64(k.Freq)/65536)
}
