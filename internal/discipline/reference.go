// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// Config is what a person decides about the discipline; the comments give
// chrony's directive and default.
type Config struct {
	StepThreshold float64         // makestep, seconds
	StepLimit     int             // makestep: in so many first updates, 0 = never, < 0 = in all
	MaxChange     float64         // maxchange, seconds; 0 = no limit
	ChangeStart   int             // maxchange: from this update on
	ChangeIgnore  int             // maxchange: stop after ignoring so many, < 0 = never
	MaxUpdateSkew clock.Frequency // maxupdateskew, ratio (1000 ppm)
	CorrTimeRatio float64         // corrtimeratio (3)
	ClockError    clock.Frequency // maxclockerror, ratio (1 ppm)
	LogChange     float64         // logchange, seconds (1)
}

// Update is a combined estimate that the clock shall follow.
type Update struct {
	Estimate  stats.Estimate // at Time, in served time
	Stratum   uint8          // of the selected source
	Leap      ntp.Leap
	RefID     ntp.RefID
	Combined  int
	RootDelay float64
	RootDisp  float64
	Interval  float64 // seconds between updates, as the source is polled
}

// Plan is what the discipline wants done about an update.
type Plan struct {
	DFreq   clock.Frequency
	DOffset clock.Offset
	Step    bool // by a step, not a slew
	// FollowsFrequency tells whether DFreq is what the estimate says, and not 0
	// because that is too uncertain.
	FollowsFrequency bool
	Duration         float64 // of the slew, seconds
	Verdict          PlanVerdict
}

// PlanVerdict says whether an update may be followed.
type PlanVerdict uint8

// Verdicts on an update.
const (
	Follow PlanVerdict = iota
	Ignore             // maxchange exceeded: not followed
	GiveUp             // maxchange exceeded too often
)

// Reference is the state of the synchronisation: what we claim about our clock.
// The zero value is "not synchronised".
type Reference struct {
	cfg     Config
	stepsIn int // updates in which a step is still allowed
	updates int // seen so far
	ignored int // for maxchange

	Synchronized bool
	Leap         ntp.Leap
	Stratum      uint8
	RefID        ntp.RefID
	Time         clock.Served // of the last update
	RootDelay    float64
	RootDisp     float64 // at Time
	Skew         float64 // 1 standard deviation of the frequency, ratio
	Residual     float64 // frequency that an update did not correct, ratio
	OffsetSD     float64
	LastOffset   clock.Offset
	Interval     float64 // between the last two updates, seconds
	rms2         float64
	settled      bool // rms2 is a mean
}

// NewReference returns a reference that is not synchronised.
func NewReference(cfg Config) *Reference {
	return &Reference{cfg: cfg, stepsIn: cfg.StepLimit, Leap: ntp.LeapUnsync, Skew: 1e-3}
}

// Configure changes the configuration. A new makestep limit counts from now.
func (r *Reference) Configure(cfg Config) {
	if cfg.StepLimit != r.cfg.StepLimit {
		r.stepsIn = cfg.StepLimit
	}
	r.cfg = cfg
}

// SetMakeStep changes makestep: the next limit updates may step (0 = none, < 0 =
// all) what is beyond threshold seconds.
func (r *Reference) SetMakeStep(threshold float64, limit int) {
	r.cfg.StepThreshold, r.cfg.StepLimit, r.stepsIn = threshold, limit, limit
}

// RMSOffset returns the long-term mean square root of the offsets, seconds.
func (r *Reference) RMSOffset() float64 { return math.Sqrt(r.rms2) }

// Plan decides what to do about u, given the offset still being slewed out
// (positive: the wall clock is behind served time).
func (r *Reference) Plan(u *Update, remaining clock.Offset) Plan {
	p := Plan{DOffset: u.Estimate.Offset, DFreq: u.Estimate.Freq, FollowsFrequency: true}
	if u.Estimate.FreqSD > float64(r.cfg.MaxUpdateSkew) {
		p.DFreq, p.FollowsFrequency = 0, false
	}
	if v := r.checkChange(float64(p.DOffset)); v != Follow {
		p.Verdict = v
		return p
	}
	total := math.Abs(float64(p.DOffset + remaining))
	if r.stepsIn != 0 {
		p.Step = total > r.cfg.StepThreshold
		r.stepsIn = max(r.stepsIn-1, min(r.stepsIn, -1))
	}
	p.Duration = r.slewTime(u, total)
	return p
}

// slewShare is the part of an update interval in which a slew shall end at the
// default corrtimeratio. Short keeps the time error small, long the frequency
// steady.
const slewShare = 1.0 / 3

// slewTime returns how long the slew of offset (positive, seconds) for u shall
// take, in seconds. What is within the uncertainty of the estimate may take its
// time; what is beyond it is known to be wrong and goes the faster.
func (r *Reference) slewTime(u *Update, offset float64) float64 {
	share := slewShare
	if sd := u.Estimate.OffsetSD; offset > 2*sd {
		share *= 2 * sd / offset
	}
	return u.Interval * share * r.cfg.CorrTimeRatio / 3
}

// checkChange applies maxchange.
func (r *Reference) checkChange(offset float64) PlanVerdict {
	if r.cfg.MaxChange <= 0 || r.updates < r.cfg.ChangeStart || math.Abs(offset) <= r.cfg.MaxChange {
		return Follow
	}
	if r.cfg.ChangeIgnore >= 0 && r.ignored >= r.cfg.ChangeIgnore {
		return GiveUp
	}
	r.ignored++
	return Ignore
}

// Followed notes that the clock now follows u, with the change of rate made.
func (r *Reference) Followed(u *Update, made clock.Frequency, plan *Plan) {
	at := u.Estimate.Time.Shift(plan.DOffset)
	if r.Synchronized {
		r.Interval = max(0, at.Sub(r.Time).Seconds())
	}
	r.updates++
	r.Synchronized, r.Leap = true, u.Leap
	r.Stratum, r.RefID, r.Time = u.Stratum+1, u.RefID, at
	r.RootDelay, r.RootDisp = u.RootDelay, u.RootDisp+u.Estimate.OffsetSD
	r.Residual = math.Abs(float64(u.Estimate.Freq - made))
	r.OffsetSD = u.Estimate.OffsetSD
	if plan.FollowsFrequency {
		r.Skew = u.Estimate.FreqSD
	}
	r.LastOffset = plan.DOffset
	sq := float64(plan.DOffset * plan.DOffset)
	if r.settled {
		r.rms2 += 0.1 * (sq - r.rms2)
	} else {
		// The first offsets, which the clock started with, say nothing about how
		// well it is kept: the mean begins with the first one that is larger than
		// the one before.
		r.settled = r.rms2 > 0 && r.rms2 < sq
		r.rms2 = sq
	}
}

// manualSkew is what is claimed of the frequency after a time was typed, as in
// chrony: 10 %, written with nines.
const manualSkew = 0.099999999

// Told notes that the clock follows u, which a person gave, and no source: it is
// as right as a person can be, so nothing is claimed about it.
func (r *Reference) Told(u *Update, made clock.Frequency, plan *Plan) {
	r.Followed(u, made, plan)
	r.Lose()
	r.Stratum, r.Residual, r.Skew = 0, 0, manualSkew
}

// Updates returns how many updates were followed.
func (r *Reference) Updates() int { return r.updates }

// Lose makes the reference unsynchronised. The quality numbers stay, so
// that what is still served tells how far it may have drifted.
func (r *Reference) Lose() {
	r.Synchronized, r.Leap = false, ntp.LeapUnsync
}

// Dispersion returns the root dispersion at t: what it was at the last update,
// grown at the rate at which the clock may have drifted.
func (r *Reference) Dispersion(t clock.Served) float64 {
	return r.RootDisp + math.Abs(t.Sub(r.Time).Seconds())*r.DispersionRate()
}

// DispersionRate is the growth of the root dispersion, seconds per second.
func (r *Reference) DispersionRate() float64 {
	return r.Skew + r.Residual + float64(r.cfg.ClockError)
}

// Distance returns the root distance at t, the bound of the clock's error.
func (r *Reference) Distance(t clock.Served) float64 {
	return r.RootDelay/2 + r.Dispersion(t)
}

// Adjust follows a change of the served clock that was not an update.
func (r *Reference) Adjust(at clock.Served, dfreq clock.Frequency, doffset clock.Offset) {
	if !r.Time.IsZero() {
		r.Time = r.Time.Shift(doffset + clock.Offset(r.Time.Sub(at).Seconds()*float64(dfreq)))
	}
}
