// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"math"

	"foliot/internal/config"
)

func (p *parser) selectDirectives() map[string]directive {
	c := &p.cfg.Select
	return map[string]directive{
		"authselectmode": one(choice(&c.AuthMode, map[string]config.AuthMode{
			"require": config.AuthRequire, "prefer": config.AuthPrefer,
			"mix": config.AuthMix, "ignore": config.AuthIgnore,
		})),
		"combinelimit":  one(number(&c.CombineLimit, 0, inf)),
		"maxdistance":   one(number(&c.MaxDistance, 0, inf)),
		"maxjitter":     one(number(&c.MaxJitter, 0, inf)),
		"maxstratum":    one(integer(&c.MaxStratum, 0, 15)),
		"minsources":    one(integer(&c.MinSources, 1, maxInt32)),
		"minstratum":    one(integer(&c.MinStratum, 0, 15)),
		"reselectdist":  one(number(&c.ReselectDistance, 0, inf)),
		"stratumweight": one(number(&c.StratumWeight, 0, inf)),
	}
}

func (p *parser) clockDirectives() map[string]directive {
	c, leap := &p.cfg.Clock, &p.cfg.Leap
	return map[string]directive{
		"clockprecision": one(number(&c.Precision, 1e-9, 1)),
		"corrtimeratio":  one(number(&c.CorrTimeRatio, 0, inf)),
		"driftfile":      {1, 4, p.driftFile},
		"fallbackdrift":  all(integer(&c.FallbackDrift.Min, 0, 31), integer(&c.FallbackDrift.Max, 0, 31)),
		"leapseclist":    one(text(&leap.List)),
		"leapsecmode": one(choice(&leap.Mode, map[string]config.LeapMode{
			"system": config.LeapSystem, "step": config.LeapStep,
			"slew": config.LeapSlew, "ignore": config.LeapIgnore,
		})),
		"leapsectz":     one(text(&leap.TimeZone)),
		"local":         {0, -1, p.local},
		"makestep":      all(number(&c.StepThreshold, -inf, inf), integer(&c.StepLimit, math.MinInt32, maxInt32)),
		"manual":        on(&c.Manual),
		"maxchange":     {3, 3, p.maxChange},
		"maxclockerror": one(number(&c.MaxClockError, 0, inf)),
		"maxdrift":      one(maxDrift(&c.MaxDrift)),
		"maxslewrate":   one(number(&c.MaxSlewRate, 0, inf)),
		"maxupdateskew": one(number(&c.MaxUpdateSkew, 0, inf)),
		"rtcsync":       on(&c.RTCSync),
		"smoothtime":    {2, 3, p.smoothTime},
		"tempcomp":      {3, 6, p.tempComp},
	}
}

// maxDrift takes any size as chronyd does; older versions of it had a larger
// limit, which their configuration may name.
func maxDrift(to *float64) setter {
	return func(word string) *valueError {
		e := number(to, 0, inf)(word)
		*to = min(*to, config.MaxDrift)
		return e
	}
}

func (p *parser) driftFile(s *statement) error {
	interval, ntpd := config.Default().Clock.DriftInterval, false
	_, err := s.options(s.args[1:], map[string]option{
		"interval": value(number(&interval, 0, maxInt32)),
		"ntpd":     flag(&ntpd),
	})
	if err != nil {
		return err
	}
	c := &p.cfg.Clock
	c.DriftFile, c.DriftInterval, c.NTPDrift = s.args[0], interval, ntpd
	return nil
}

func (p *parser) maxChange(s *statement) error {
	c := &p.cfg.Clock.MaxChange
	err := all(
		number(&c.Offset, 0, inf),
		integer(&c.Start, 0, maxInt32),
		integer(&c.Ignore, math.MinInt32, maxInt32),
	).apply(s)
	c.Set = err == nil
	return err
}

// local starts from the defaults each time: the last line counts, alone.
func (p *parser) local(s *statement) error {
	l := config.Default().Local
	seen, err := s.options(s.args, map[string]option{
		"stratum":      value(integer(&l.Stratum, 1, 15)),
		"distance":     value(number(&l.Distance, 0, inf)),
		"activate":     value(number(&l.Activate, 0, inf)),
		"orphan":       flag(&l.Orphan),
		"waitsynced":   value(number(&l.WaitSynced, 0, inf)),
		"waitunsynced": value(number(&l.WaitUnsynced, 0, inf)),
		"unit":         value(marked(integer(&l.Unit, 0, 3), &l.NTPClock)),
	})
	if err != nil {
		return err
	}
	if l.Orphan && !seen["waitunsynced"] {
		l.WaitUnsynced = 300
	}
	l.Enabled = true
	p.cfg.Local = l
	return nil
}

func (p *parser) smoothTime(s *statement) error {
	c := config.Smooth{Enabled: true}
	for i, set := range []setter{number(&c.MaxFreq, 0, inf), number(&c.MaxWander, 0, inf)} {
		if e := set(s.args[i]); e != nil {
			return s.badValue(e)
		}
	}
	if _, err := s.options(s.args[2:], map[string]option{"leaponly": flag(&c.LeapOnly)}); err != nil {
		return err
	}
	p.cfg.Server.Smooth = c
	return nil
}

// tempComp has two forms, with a table in a file or with a polynomial.
func (p *parser) tempComp(s *statement) error {
	c := config.TempComp{File: s.args[0]}
	sets := []setter{number(&c.Interval, 0, inf), text(&c.Points)}
	switch len(s.args) {
	case 3:
	case 6:
		sets = []setter{
			sets[0], number(&c.T0, -inf, inf), number(&c.K0, -inf, inf),
			number(&c.K1, -inf, inf), number(&c.K2, -inf, inf),
		}
	default:
		return &problem{what: "Missing arguments for tempcomp directive", at: s.origin}
	}
	for i, set := range sets {
		if e := set(s.args[i+1]); e != nil {
			return s.badValue(e)
		}
	}
	p.cfg.Clock.TempComp = c
	return nil
}
