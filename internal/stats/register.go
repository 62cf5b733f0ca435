// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"

	"foliot/internal/clock"
)

const (
	// MaxSamples is the longest history that a line is fitted to.
	MaxSamples = 64
	// historyRatio times the fitted samples are looked at by the runs test,
	// so that a bend is seen even where the fit is still good.
	historyRatio = 2
	capacity     = MaxSamples * historyRatio
)

// Skew bounds (ratio): what is claimed before a line can be fitted, and the
// range of what a fit may claim.
const (
	worstSkew = 2000e-6
	minSkew   = 1e-12
	maxSkew   = 1.0
	worstSD   = 4.0 // seconds
)

// Limits configures a Register. The zero value is chrony's default.
type Limits struct {
	MinSamples int              // keep at least so many (0 = 6)
	MaxSamples int              // fit at most so many (0 = 64)
	Precision  float64          // resolution of the clock, seconds (0 = 1 ns)
	MinDelay   clock.Delay      // known minimum delay, 0 = unknown
	Asymmetry  float64          // fixed share of excess delay in the offset, -0.5..0.5
	FixedAsym  bool             // Asymmetry is given and not estimated
	ClockError clock.Dispersion // growth of a free clock's error, seconds per second (maxclockerror)
}

func (l Limits) withDefaults() Limits {
	if l.MinSamples <= 0 {
		l.MinSamples = 6
	}
	if l.MaxSamples <= 0 || l.MaxSamples > MaxSamples {
		l.MaxSamples = MaxSamples
	}
	l.MinSamples = min(l.MinSamples, l.MaxSamples)
	if l.Precision <= 0 {
		l.Precision = 1e-9
	}
	return l
}

// Register keeps the newest samples of a source, oldest first, and the line
// fitted through the newest of them. Not safe for concurrent use.
type Register struct {
	limits  Limits
	n       int // samples held
	fitted  int // how many of them, the newest, the line goes through
	samples [capacity]Sample
	line    Fit
	asymRun int
	asym    float64
}

// NewRegister returns an empty register.
func NewRegister(l Limits) *Register {
	r := &Register{limits: l.withDefaults()}
	r.Reset()
	return r
}

// Reset forgets all samples.
func (r *Register) Reset() {
	r.n, r.fitted, r.asymRun, r.asym = 0, 0, 0, 0
	r.line = Fit{Skew: worstSkew, SD: worstSD}
	if r.limits.FixedAsym {
		r.asym = r.limits.Asymmetry
	}
}

// SetLimits changes the limits; the history stays.
func (r *Register) SetLimits(l Limits) {
	r.limits = l.withDefaults()
	if r.limits.FixedAsym {
		r.asym = r.limits.Asymmetry
	}
}

// Add appends a sample, which must be later than the last one; a history that
// lies in the future (the clock was set back) is dropped first.
func (r *Register) Add(s Sample) {
	if r.n > 0 && !s.Time.After(r.Last().Time) {
		r.Reset()
	}
	if r.n == capacity {
		copy(r.samples[:], r.samples[1:])
		r.n--
	}
	r.samples[r.n] = s
	r.n++
	r.fitted = min(r.fitted+1, r.limits.MaxSamples, r.n)
	r.fit()
}

// Adjust follows a change of the served clock.
func (r *Register) Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	for i := range r.n {
		r.samples[i].adjust(at, dfreq, doffset)
	}
	r.line.adjust(at, dfreq, doffset)
}

// Shift adds doffset to all offsets: the source's time moved, not ours.
func (r *Register) Shift(doffset clock.Offset) {
	for i := range r.n {
		r.samples[i].Offset += doffset
	}
	r.line.Offset += doffset
}

// Len returns how many samples the line goes through.
func (r *Register) Len() int { return r.fitted }

// Held returns how many samples are kept, for saving them.
func (r *Register) Held() int { return r.n }

// Sample returns sample i of those held, 0 the oldest.
func (r *Register) Sample(i int) Sample { return r.samples[i] }

// Last returns the newest sample; there must be one.
func (r *Register) Last() *Sample { return &r.samples[r.n-1] }

// Line returns the fitted line.
func (r *Register) Line() Fit { return r.line }

// Asymmetry returns the share of excess delay that goes into the offset.
func (r *Register) Asymmetry() float64 { return r.asym }

// AsymmetryRun returns how long the sign of the asymmetry has lasted.
func (r *Register) AsymmetryRun() int { return r.asymRun }

// Span returns the time between the oldest and newest fitted sample.
func (r *Register) Span() clock.Interval {
	if r.fitted == 0 {
		return 0
	}
	return r.Last().Time.Sub(r.used()[0].Time)
}

// Oldest returns the time of the oldest fitted sample; there must be one.
func (r *Register) Oldest() clock.Served { return r.used()[0].Time }

func (r *Register) used() []Sample { return r.samples[r.n-r.fitted : r.n] }

// MinDelay returns the shortest round trip among the samples held, or the
// configured one.
func (r *Register) MinDelay() clock.Delay {
	if r.limits.MinDelay > 0 {
		return r.limits.MinDelay
	}
	least := clock.Delay(math.Inf(1))
	for i := range r.n {
		least = min(least, r.samples[i].Delay)
	}
	return least
}

// meanExcess returns the mean of the round trips beyond the shortest, in seconds.
func (r *Register) meanExcess() float64 {
	least, sum := r.MinDelay(), 0.0
	for i := range r.n {
		sum += max(0, float64(r.samples[i].Delay-least))
	}
	return sum / float64(r.n)
}

// Jitter returns the root mean square of the differences between the offsets of
// successive fitted samples, in seconds (RFC 5905 section 10, peer jitter).
func (r *Register) Jitter() float64 {
	used, sum := r.used(), 0.0
	for i := 1; i < len(used); i++ {
		d := float64(used[i].Offset - used[i-1].Offset)
		sum += d * d
	}
	return math.Sqrt(sum / float64(max(len(used)-1, 1)))
}

// Best returns the sample with the least root distance as of now, growing with
// age at the rate skew.
func (r *Register) Best(now clock.Served, skew clock.Frequency) *Sample {
	best, least := r.Last(), math.Inf(1)
	used := r.used()
	for i := range used {
		s := &used[i]
		d := float64(s.RootDisp) + 0.5*float64(s.RootDelay) + math.Abs(now.Sub(s.Time).Seconds())*float64(skew)
		if d <= least {
			best, least = s, d
		}
	}
	return best
}

// DelayBound returns the largest half round trip above the minimum, in seconds,
// that a sample at the time t may have when the spread of the samples is
// taken times ratio (maxdelaydevratio). It reports false with under 6 samples.
func (r *Register) DelayBound(t clock.Served, ratio float64) (float64, bool) {
	if r.fitted < 6 {
		return 0, false
	}
	age := math.Abs(t.Sub(r.Last().Time).Seconds())
	return r.line.SD*ratio + age*(float64(r.line.Skew)+float64(r.limits.ClockError)), true
}

// DelayLimit returns the largest round trip allowed by maxdelayratio. It
// reports false with under 6 samples.
func (r *Register) DelayLimit(t clock.Served, ratio float64) (clock.Delay, bool) {
	if r.fitted < 6 {
		return 0, false
	}
	age := math.Abs(t.Sub(r.Last().Time).Seconds())
	return clock.Delay(float64(r.MinDelay())*ratio + age*(float64(r.line.Skew)+float64(r.limits.ClockError))), true
}
