// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"

	"foliot/internal/clock"
)

// Fit is a straight line through samples: offset at Time, and slope.
type Fit struct {
	Time     clock.Served
	Offset   clock.Offset    // offset of the line at Time
	OffsetSD float64         // standard deviation of Offset, seconds
	Freq     clock.Frequency // slope
	Skew     clock.Frequency // bound of the slope's error (99.95 %)
	SD       float64         // standard deviation of the samples about the line
	Runs     int             // runs of residuals with the same sign
	OK       bool            // false: too few samples for a line
}

func (f *Fit) adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	moved := doffset + clock.Offset(f.Time.Sub(at).Seconds()*float64(dfreq))
	f.Time = f.Time.Shift(moved)
	f.Offset -= moved
	f.Freq = (f.Freq - dfreq) / (1 + dfreq)
}

// At returns the offset of the line at t.
func (f *Fit) At(t clock.Served) clock.Offset {
	return f.Offset + clock.Offset(float64(f.Freq)*t.Sub(f.Time).Seconds())
}

// points is the regression's workspace: times relative to the newest sample,
// offsets corrected for asymmetry, and 1/variance weights.
type points struct {
	n       int
	t, y, w [capacity]float64
}

// fit draws the line through as many of the newest samples as lie on one.
// Samples are weighted by their distance: those with a long round trip say
// less. A line through fewer samples is tried as long as the residuals come in
// too few runs, which means that the frequency changed within the history.
func (r *Register) fit() {
	last := r.Last()
	if r.fitted < 3 {
		r.line = Fit{Time: last.Time, Offset: last.Offset, OffsetSD: worstSD, Freq: r.line.Freq, Skew: worstSkew, SD: worstSD}
		return
	}
	var p points
	r.load(&p)
	least := max(3, r.limits.MinSamples)
	for {
		line, runs, enough := p.regress(p.n - r.fitted)
		line.Runs = runs
		if enough || r.fitted <= least {
			r.accept(&p, line)
			return
		}
		r.fitted--
	}
}

// accept stores the line and learns the asymmetry from what is left.
func (r *Register) accept(p *points, l Fit) {
	l.Time, l.OK = r.Last().Time, true
	l.SD = max(l.SD, 1e-9)
	l.Skew = min(max(l.Skew, minSkew), maxSkew)
	r.line = l
	r.learnAsymmetry(p)
}

// load fills p with all samples held. The weight of a sample falls with the
// square of its distance beyond the best one, in units of the typical spread.
func (r *Register) load(p *points) {
	used := r.used()
	var dist [capacity]float64
	sorted := dist[:0]
	for i := range used {
		sorted = append(sorted, used[i].distance())
	}
	median, least := medianAndMin(sorted)
	sd := min(max((median-least)/0.7, r.limits.Precision), least)
	sd = max(sd, r.limits.Precision)
	least += r.limits.Precision
	last, minDelay := r.Last().Time, float64(r.MinDelay())
	p.n = r.n
	for i := range r.n {
		s := &r.samples[i]
		p.t[i] = s.Time.Sub(last).Seconds()
		p.y[i] = float64(s.Offset) - r.asym*(float64(s.Delay)-minDelay)
		root := 1 + max(0, s.distance()-least)/sd
		p.w[i] = 1 / (root * root)
	}
}

// regress fits the points from start on. It reports whether the residuals,
// older points included, come in enough runs for one line.
func (p *points) regress(start int) (l Fit, runs int, enough bool) {
	m := p.moments(start)
	n := float64(p.n - start)
	slope := m.ty / m.tt
	s2 := 0.0
	intercept := m.meanY - slope*m.meanT
	for i := start; i < p.n; i++ {
		d := p.y[i] - intercept - slope*p.t[i]
		s2 += p.w[i] * d * d
	}
	s2 /= n - 2
	slopeSD := math.Sqrt(s2 / m.tt)
	l = Fit{
		Offset:   clock.Offset(intercept),
		OffsetSD: math.Sqrt(s2/m.w + m.meanT*m.meanT*slopeSD*slopeSD),
		Freq:     clock.Frequency(slope),
		Skew:     clock.Frequency(slopeSD * studentT(int(n)-2)),
		SD:       math.Sqrt(s2 * n / m.w),
	}
	first := max(0, p.n-historyRatio*(p.n-start))
	runs = p.runs(first, intercept, slope)
	return l, runs, runs > criticalRuns(p.n-first)
}

// moments are weighted sums about the weighted mean.
type moments struct{ w, meanT, meanY, tt, ty float64 }

func (p *points) moments(start int) (m moments) {
	for i := start; i < p.n; i++ {
		m.w += p.w[i]
		m.meanT += p.w[i] * p.t[i]
		m.meanY += p.w[i] * p.y[i]
	}
	m.meanT /= m.w
	m.meanY /= m.w
	for i := start; i < p.n; i++ {
		dt := p.t[i] - m.meanT
		m.tt += p.w[i] * dt * dt
		m.ty += p.w[i] * dt * (p.y[i] - m.meanY)
	}
	return m
}

// runs counts runs of residuals with the same sign.
func (p *points) runs(start int, intercept, slope float64) int {
	n, above := 0, false
	for i := start; i < p.n; i++ {
		sign := p.y[i]-intercept-slope*p.t[i] > 0
		if i == start || sign != above {
			n++
		}
		above = sign
	}
	return n
}

// learnAsymmetry regresses the offset on time and excess delay together. Where
// jitter is on one way only, half of each excess is in the offset; that is
// taken out once it has shown the same sign in ten fits running.
func (r *Register) learnAsymmetry(p *points) {
	if r.limits.FixedAsym {
		return
	}
	a, ok := r.delaySlope(p)
	if !ok || math.Abs(a) < 0.45 || a*float64(r.asymRun) < 0 {
		r.asymRun, r.asym = 0, 0
		return
	}
	r.asymRun += int(math.Copysign(1, a))
	if r.asymRun > -10 && r.asymRun < 10 {
		return
	}
	r.asym = min(max(a, -0.5), 0.5)
}

// delaySlope solves the two-variable least squares for the slope on delay.
func (r *Register) delaySlope(p *points) (float64, bool) {
	var mt, my, md float64
	for i := range r.n {
		mt += p.t[i]
		my += float64(r.samples[i].Offset)
		md += float64(r.samples[i].Delay)
	}
	n := float64(r.n)
	mt, my, md = mt/n, my/n, md/n
	var tt, td, dd, ty, dy float64
	for i := range r.n {
		t, d, y := p.t[i]-mt, float64(r.samples[i].Delay)-md, float64(r.samples[i].Offset)-my
		tt, td, dd = tt+t*t, td+t*d, dd+d*d
		ty, dy = ty+t*y, dy+d*y
	}
	det := tt*dd - td*td
	if !(det > 1e-12*tt*dd) {
		return 0, false
	}
	return (tt*dy - td*ty) / det, true
}

// medianAndMin returns the median and the least of v, which it reorders.
func medianAndMin(v []float64) (median, least float64) {
	// Insertion sort: v has at most 64 elements, nearly in order or not.
	for i := 1; i < len(v); i++ {
		x, j := v[i], i
		for ; j > 0 && v[j-1] > x; j-- {
			v[j] = v[j-1]
		}
		v[j] = x
	}
	n := len(v)
	if n%2 == 1 {
		return v[n/2], v[0]
	}
	return 0.5 * (v[n/2-1] + v[n/2]), v[0]
}
