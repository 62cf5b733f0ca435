// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"

	"foliot/internal/clock"
)

// Tracker estimates with a bank of Kalman filters.
//
// The model: the offset x of the local clock grows by its frequency error f,
// and f does a random walk with intensity q (variance per second):
//
//	x' = f,  f' = noise of intensity q,  z = x + noise of variance R
//
// A filter for this model is optimal if q and R are right, and neither is
// known: q belongs to the oscillator and the room it stands in, R to the
// network. So filters for a grid of hypotheses run side by side:
//
//   - q from that of an oven oscillator to that of a laptop in a draught;
//   - how much a sample is worth when its round trip was longer than the
//     shortest one: R = V + (k*excess)^2. A queue of length excess on one way
//     puts half of it into the offset (k = 1/2), queues of exponential length
//     on both ways 1/sqrt(12) of it; k = 0 is jitter of which the delay tells
//     nothing.
//
// V is learned by each filter from its own residuals. How well each filter
// predicted the samples so far (likelihood, with exponential forgetting) is its
// weight in the mean that is the estimate. No filter's weight falls below a
// floor, so that a change of the world is believed within a few samples; one
// that is at the floor and has gone astray restarts from the mean.
//
// Innovations are judged by a Student t density and down-weighted by it, so an
// outlier moves little. Several outliers that agree with one another are a step
// of the source: the phase restarts there, and the frequency is kept.
type Tracker struct {
	started bool
	stepped bool         // the source stepped; older samples do not count
	time    clock.Served // of the newest sample
	bank    [bankSize]filter
	mean    moment  // of the bank
	least   float64 // shortest round trip of the recent past, seconds
	typical float64 // mean excess of the first samples, seconds, 0 = unknown
	noise   float64 // standard deviation of a typical sample by its worth, seconds
	wander  float64 // sqrt(q) of the bank
	astray  outliers
	prior   Prior
}

// Prior is what is known before the first sample.
type Prior struct {
	FreqSD    float64 // standard deviation of the frequency error, ratio
	Precision float64 // resolution of the clock, seconds
}

var _ Estimator = (*Tracker)(nil)

const (
	wanderSteps = 11
	wanderLeast = 1e-23 // q of the steadiest hypothesis, 1/s
	wanderRatio = 10.0
	// Before there is evidence, crystals are taken to wander by 1e-10 to 1e-9
	// per sqrt(second); a step of the grid is a factor of ten in q.
	wanderUsual  = 4.0
	wanderSpread = 1.5
	delaySteps   = 4
	bankSize     = wanderSteps * delaySteps

	forgetting  = 0.97 // of the evidence, per sample
	floor       = -7.0 // log weight below the best that no filter goes under
	studentDoF  = 5.0
	noiseWindow = 40.0 // samples over which V is learned
	// replaySamples is how many samples make a history that is looked at anew
	// with each sample.
	replaySamples = 12
	// defaultFreqSD is how far a crystal is off when nothing is known.
	defaultFreqSD = 100e-6
)

// delayShare are the hypotheses k of how much of the excess delay is error.
var delayShare = [delaySteps]float64{0, 0.1, 0.29, 0.5}

// pathMemory is how long the shortest round trip is remembered, seconds: longer
// than queues last, shorter than routes do.
const pathMemory = 3600

// moment is a Gaussian belief about offset and frequency.
type moment struct {
	x, f          float64
	pxx, pxf, pff float64
}

// filter is one hypothesis.
type filter struct {
	moment
	q, k float64 // the hypothesis
	v    float64 // learned variance of a sample without excess delay
	n    float64 // samples that v rests on
	info float64 // mean of 1/R: what a sample is worth
	logw float64 // log of the weight, 0 for the best
}

// outliers counts successive samples far from the prediction on one side.
type outliers struct {
	n     int
	first float64      // innovation of the first
	since clock.Served // when the first came
	quiet float64      // seconds between the last good sample and the first
}

// NewTracker returns a tracker without samples.
func NewTracker(p Prior) *Tracker {
	if p.FreqSD <= 0 {
		p.FreqSD = defaultFreqSD
	}
	if p.Precision <= 0 {
		p.Precision = 1e-9
	}
	t := &Tracker{prior: p}
	t.Reset()
	return t
}

// Reset forgets all samples.
func (t *Tracker) Reset() {
	t.started, t.stepped = false, false
	t.astray = outliers{}
	q := wanderLeast
	for i := range wanderSteps {
		unlikely := (float64(i) - wanderUsual) / wanderSpread
		for j, k := range delayShare {
			t.bank[i*delaySteps+j] = filter{q: q, k: k, logw: -0.5 * unlikely * unlikely}
		}
		q *= wanderRatio
	}
}

// Estimate returns the weighted mean of the bank.
func (t *Tracker) Estimate() (Estimate, bool) {
	return Estimate{
		Time:     t.time,
		Offset:   clock.Offset(t.mean.x),
		OffsetSD: math.Sqrt(t.mean.pxx),
		Freq:     clock.Frequency(t.mean.f),
		FreqSD:   math.Sqrt(t.mean.pff),
		Noise:    t.noise,
		Wander:   t.wander,
	}, t.started
}

// Adjust follows a change of the served clock.
func (t *Tracker) Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	moved := float64(doffset) + t.time.Sub(at).Seconds()*float64(dfreq)
	t.time = t.time.Shift(clock.Offset(moved))
	since := t.astray.since.Sub(at).Seconds()
	t.astray.since = t.astray.since.Shift(doffset + clock.Offset(since*float64(dfreq)))
	for i := range t.bank {
		t.bank[i].adjust(moved, float64(dfreq))
	}
	t.mean.adjust(moved, float64(dfreq))
}

func (m *moment) adjust(moved, dfreq float64) {
	m.x -= moved
	m.f = (m.f - dfreq) / (1 + dfreq)
}

// Shift adds a correction to the source's offset.
func (t *Tracker) Shift(doffset clock.Offset) {
	for i := range t.bank {
		t.bank[i].x += float64(doffset)
	}
	t.mean.x += float64(doffset)
}

// Add takes in the newest sample of r.
func (t *Tracker) Add(r *Register) {
	if t.started && r.Held() == 1 {
		t.Reset() // the register began anew: no belief can be carried back
	}
	if !t.started || r.Held() <= replaySamples && !t.stepped {
		t.replay(r)
		return
	}
	s := r.Last()
	dt := s.Time.Sub(t.time).Seconds()
	t.follow(r, dt)
	t.take(s, max(0, float64(s.Delay)-t.least), r.Asymmetry(), dt)
}

// replay runs the bank over all samples of the register. The first samples are
// worth more in retrospect, when it is known which of them had the shortest
// round trip.
func (t *Tracker) replay(r *Register) {
	stepped := t.stepped
	t.Reset()
	t.stepped, t.least = stepped, float64(r.MinDelay())
	t.typical = r.meanExcess()
	for i := range r.Held() {
		s := &r.samples[i]
		t.take(s, max(0, float64(s.Delay)-t.least), r.Asymmetry(), s.Time.Sub(t.time).Seconds())
	}
}

// take runs the bank over one sample.
func (t *Tracker) take(s *Sample, excess, asymmetry, dt float64) {
	z := float64(s.Offset) - asymmetry*excess
	if !t.started {
		t.start(s, z)
		return
	}
	t.time = s.Time
	t.predict(dt)
	if t.restart(s, z, excess, dt) {
		return
	}
	for i := range t.bank {
		t.bank[i].update(z, excess, t.leastVariance())
	}
	t.weigh()
}

// follow lets the shortest round trip rise slowly to the register's minimum, so
// that a queue that outlasts the register is still known as one.
func (t *Tracker) follow(r *Register, dt float64) {
	least := float64(r.MinDelay())
	if least <= t.least {
		t.least = least
		return
	}
	t.least += (least - t.least) * -math.Expm1(-dt/pathMemory)
}

// leastVariance is the floor of V: uniform quantisation of the clock.
func (t *Tracker) leastVariance() float64 { return t.prior.Precision * t.prior.Precision / 12 }

// Noise of a sample before there are residuals to learn it from: a share of the
// typical excess delay, where the filter takes jitter for something else than
// queues, or the rest where it does not; a share of the round trip when not even
// the excess is known.
const (
	plainShare  = 0.35
	queueShare  = 0.1
	onlyOneThen = 0.05
)

// start begins all filters at the first sample.
func (t *Tracker) start(s *Sample, z float64) {
	for i := range t.bank {
		h := &t.bank[i]
		guess := onlyOneThen * float64(s.Delay)
		if t.typical > 0 {
			guess = plainShare * t.typical
			if h.k > 0 {
				guess = queueShare * t.typical
			}
		}
		guess += t.prior.Precision
		h.v, h.n = guess*guess, 1
		h.info = 1 / h.v
		excess := max(0, float64(s.Delay)-t.least)
		h.moment = moment{x: z, pxx: h.v + h.k*h.k*excess*excess, pff: t.prior.FreqSD * t.prior.FreqSD}
	}
	t.started, t.time = true, s.Time
	t.average()
}

func (t *Tracker) predict(dt float64) {
	for i := range t.bank {
		t.bank[i].predict(dt, t.bank[i].q)
	}
	t.mean.predict(dt, t.wander*t.wander)
}

// predict carries the belief dt seconds forward (RFC 5905 calls the growth of
// the error wander; this is its exact discretisation).
func (m *moment) predict(dt, q float64) {
	m.x += m.f * dt
	m.pxx = max(0, m.pxx+dt*(2*m.pxf+dt*m.pff)) + q*dt*dt*dt/3
	m.pxf += dt*m.pff + q*dt*dt/2
	m.pff += q * dt
}

// update takes the sample z in and scores how well the filter foretold it.
func (h *filter) update(z, excess, least float64) {
	queue := h.k * h.k * excess * excess
	r := h.v + queue
	nu := z - h.x
	s := h.pxx + r
	u := nu * nu / s
	h.logw = forgetting*h.logw - 0.5*math.Log(s) - 0.5*(studentDoF+1)*math.Log1p(u/studentDoF)
	h.n = min(h.n+1, noiseWindow)
	h.info += (1/r - h.info) / h.n
	// The Student t density as a scale mixture: an outlier had a larger R.
	scale := max(1, (studentDoF+u)/(studentDoF+1))
	r *= scale
	s = h.pxx + r
	h.x += h.pxx / s * nu
	h.f += h.pxf / s * nu
	// Sums of what is not negative: the differences of the textbook's form may
	// round to variances below zero.
	left, det := r/s, max(0, h.pxx*h.pff-h.pxf*h.pxf)
	h.pff = h.pff*left + det/s
	h.pxf *= left
	h.pxx *= left
	h.learn(nu*left, queue, scale, least)
}

// learn improves V by what the residual res says: the expectation of the part
// of its square that is not the queue's.
func (h *filter) learn(res, queue, scale, least float64) {
	r := h.v + queue
	share := h.v / r
	e := share*share*(res*res+h.pxx)/scale + share*queue
	h.v = max(h.v+(e-h.v)/(h.n+1), least)
}

// weigh normalises the weights, restarts filters that are lost, and averages.
func (t *Tracker) weigh() {
	best := math.Inf(-1)
	for i := range t.bank {
		best = max(best, t.bank[i].logw)
	}
	for i := range t.bank {
		h := &t.bank[i]
		h.logw = max(h.logw-best, floor)
	}
	t.average()
	for i := range t.bank {
		h := &t.bank[i]
		if h.logw <= floor && h.lost(&t.mean) {
			h.moment = t.mean
		}
	}
}

// lost tells whether the filter contradicts the mean beyond its own claims.
func (h *filter) lost(m *moment) bool {
	df, dx := h.f-m.f, h.x-m.x
	return df*df > 9*(h.pff+m.pff) || dx*dx > 9*(h.pxx+m.pxx)
}

// average computes the moments of the mixture. The wander is the geometric mean:
// where the data cannot tell small values apart, large ones must not win.
func (t *Tracker) average() {
	var sum, info, lq float64
	var m moment
	for i := range t.bank {
		h := &t.bank[i]
		w := math.Exp(h.logw)
		sum += w
		m.x += w * h.x
		m.f += w * h.f
		info += w * h.info
		lq += w * float64(i/delaySteps)
	}
	m.x /= sum
	m.f /= sum
	for i := range t.bank {
		h := &t.bank[i]
		w := math.Exp(h.logw) / sum
		dx, df := h.x-m.x, h.f-m.f
		m.pxx += w * (h.pxx + dx*dx)
		m.pxf += w * (h.pxf + dx*df)
		m.pff += w * (h.pff + df*df)
	}
	t.mean, t.noise = m, math.Sqrt(sum/info)
	t.wander = math.Sqrt(wanderLeast * math.Pow(wanderRatio, lq/sum))
}

// Agreement needed to believe in a step of the source.
const (
	outlierSigmas = 8
	outlierRun    = 3
	// plausibleDrift is the largest sudden change of a crystal's frequency, ratio.
	plausibleDrift = 20e-6
)

// restart looks for a step of the source: successive samples far off the
// prediction, all on the same side, and by more than their queues explain. Two
// are enough if they are very far off and agree. It reports whether the bank was
// restarted at this sample (and needs no update).
func (t *Tracker) restart(s *Sample, z, excess, dt float64) bool {
	nu := z - t.mean.x
	limit := outlierSigmas * math.Sqrt(t.mean.pxx+t.noise*t.noise)
	if math.Abs(nu) < limit+0.6*excess {
		t.astray.n = 0
		return false
	}
	if t.astray.n > 0 && nu*t.astray.first < 0 {
		t.astray.n = 0
	}
	t.astray.n++
	if t.astray.n == 1 {
		t.astray.first, t.astray.since, t.astray.quiet = nu, s.Time, dt
		return false
	}
	agree := math.Abs(nu) > outlierSigmas/2*limit && math.Abs(nu-t.astray.first) < limit/2
	if t.astray.n < outlierRun && !agree {
		return false
	}
	t.reseed(s, z, nu)
	return true
}

// reseed begins anew at the sample z. If the outliers lie on a line with the
// frequency so far, only the phase stepped; otherwise the frequency is unknown.
// It is unknown too if a change of it that a crystal may well make would have
// moved the clock so far since the last good sample.
func (t *Tracker) reseed(s *Sample, z, nu float64) {
	span := max(s.Time.Sub(t.astray.since).Seconds(), 1e-3)
	slope := (nu - t.astray.first) / span
	slopeVar := 2*t.noise*t.noise/(span*span) + t.mean.pff
	pff, f := t.mean.pff, t.mean.f
	if slope*slope > 16*slopeVar {
		pff = max(slope*slope, slopeVar)
		f += slope
	} else if drift := t.astray.first / max(t.astray.quiet, 1e-3); math.Abs(drift) < plausibleDrift {
		pff = max(pff, drift*drift)
		f += drift
	}
	for i := range t.bank {
		h := &t.bank[i]
		h.moment = moment{x: z, f: f, pxx: h.v * 4, pff: pff}
		h.n = min(h.n, 4)
	}
	t.astray, t.stepped = outliers{}, true
	t.average()
}
