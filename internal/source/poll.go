// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"

	"foliot/internal/clock"
	"foliot/internal/stats"
)

// pollControl chooses the polling interval.
//
// Averaging samples helps as long as the frequency stays put: up to the Allan
// time, at which the wander of the frequency has moved the clock by as much as
// one sample errs, q*t^3/3 = R. The interval is chosen so that twice as many
// samples as polltarget, less one, fit in there. A steady clock on a noisy network is asked
// rarely, a restless clock or a quiet network often, and a surprise brings the
// shortest interval back.
type pollControl struct {
	poll  int8
	score float64 // 0..1; an interval is doubled at 1 and halved below 0
}

// verdictOnFit is what the poll control hears about a new sample.
type verdictOnFit struct {
	after stats.Estimate
	n     int     // samples behind the estimate
	miss  float64 // |measured - predicted offset|, seconds
	have  bool    // there was a prediction
	queue float64 // what the sample's excess delay explains of miss, seconds
	sigma float64 // standard deviation of the prediction, seconds
}

const (
	// surprise is how many standard deviations off a prediction must be to
	// shorten the interval at once.
	surprise = 6.0
	// silent is how many requests without an answer make a source silent.
	silent = 8
	// subSecondDelay is the longest round trip at which polling more often
	// than once a second makes sense: it is for the local network only.
	subSecondDelay = 0.01
)

// sampled weighs a new sample and reports whether it is a surprise.
func (c *pollControl) sampled(cfg *Config, v verdictOnFit) (surprised bool) {
	target := float64(max(cfg.PollTarget, 1))
	if v.have && v.miss > surprise*v.sigma+v.queue {
		c.add(cfg, -math.Log2(v.miss/(surprise*v.sigma))-1)
		return true
	}
	limit := allanTime(v.after) / (2*target - 1)
	switch t := clock.Pow2(c.poll); {
	case float64(v.n) < target && c.poll > cfg.MinPoll:
		// Not enough history to know better.
	case 2*t <= limit:
		c.add(cfg, 1/target)
	case t > 1.5*limit:
		c.add(cfg, -1/target)
	}
	return false
}

// leastWander is the steadiest that a clock is trusted to stay, ratio per
// sqrt(second): a crystal in a common room, even after a calm day.
const leastWander = 1e-9

// allanTime is where wander catches up with noise, in seconds.
func allanTime(e stats.Estimate) float64 {
	w := max(e.Wander, leastWander)
	return math.Cbrt(3 * e.Noise * e.Noise / (w * w))
}

// lost notes a request without an answer, one of missed in a row. Loss does not
// lengthen the interval; only a source that has been silent for long is looked
// for ever more rarely.
func (c *pollControl) lost(cfg *Config, missed int) {
	if missed > silent {
		c.add(cfg, 0.1)
	}
}

// rejected notes a useless answer. A source that follows us is asked rarely.
func (c *pollControl) rejected(cfg *Config, loop bool) {
	if loop {
		c.add(cfg, 0.1)
	}
}

func (c *pollControl) add(cfg *Config, adj float64) {
	c.score += adj
	switch {
	case c.score >= 1:
		steps := math.Floor(c.score)
		c.poll = int8(min(float64(c.poll)+steps, 127))
		c.score -= steps
	case c.score < 0:
		steps := math.Ceil(-c.score)
		c.poll = int8(max(float64(c.poll)-steps, -127))
		c.score += steps
	}
	c.clamp(cfg)
}

func (c *pollControl) clamp(cfg *Config) {
	if c.poll < cfg.MinPoll {
		c.poll, c.score = cfg.MinPoll, 0
	}
	if c.poll > cfg.MaxPoll {
		c.poll, c.score = cfg.MaxPoll, 1
	}
}

// restart goes back to the shortest interval.
func (c *pollControl) restart(cfg *Config) { c.poll, c.score = cfg.MinPoll, 0 }
