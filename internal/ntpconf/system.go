// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"math"
	"strings"

	"foliot/internal/acl"
	"foliot/internal/chronyconf"
	"foliot/internal/config"
)

// tos is what the directive of that name says.
type tos struct {
	maxClock   int
	orphan     int // stratum, 16 = not
	orphanWait float64
}

var defaultTos = tos{maxClock: 10, orphan: 16, orphanWait: 300}

// tosLine chooses among sources.
func (p *parser) tosLine(s *statement) error {
	c := &p.cfg.Select
	ceiling, floor := 16, 0
	known := map[string]option{
		"ceiling":    s.whole("ceiling", &ceiling, 1, 16),
		"floor":      s.whole("floor", &floor, 0, 15),
		"maxclock":   s.whole("maxclock", &p.tos.maxClock, 1, math.MaxInt32),
		"maxdist":    s.float("maxdist", &c.MaxDistance, 0, inf),
		"minsane":    s.whole("minsane", &c.MinSources, 0, math.MaxInt32),
		"orphan":     s.whole("orphan", &p.tos.orphan, 0, 16),
		"orphanwait": s.float("orphanwait", &p.tos.orphanWait, 0, inf),
	}
	for name, why := range map[string]string{
		"basedate": "the era is 1976 to 2112", "bcpollbstep": "broadcasts are not listened to",
		"beacon": "servers are not searched for", "cohort": "orphans always follow each other",
		"maxdisp": "maxdist counts", "mindisp": "the error of the clock is measured", "mindist": "the bound of each source is computed",
		"minclock": "as many sources are combined as agree",
	} {
		known[name] = p.idle(s, name, why)
	}
	known["basedate"] = option{} // a date
	if err := s.options(s.args, known); err != nil {
		return err
	}
	if ceiling < 16 {
		c.MaxStratum = uint8(ceiling - 1) // ntpd refuses the ceiling itself
	}
	if floor > 0 {
		c.MinStratum = uint8(floor)
	}
	c.MinSources = max(c.MinSources, 1)
	return nil
}

// steps is what tinker says of large offsets, seconds; 0 = never.
type steps struct{ step, forward, back, panic float64 }

// defaultSteps are ntpd's.
var defaultSteps = steps{step: 0.128, panic: 1000}

// tinker changes constants of ntpd.
func (p *parser) tinker(s *statement) error {
	known := map[string]option{
		"panic":    s.float("panic", &p.step.panic, 0, inf),
		"step":     s.float("step", &p.step.step, 0, inf),
		"stepback": s.float("stepback", &p.step.back, 0, inf),
		"stepfwd":  s.float("stepfwd", &p.step.forward, 0, inf),
	}
	for name, why := range map[string]string{
		"allan": "the averaging time is measured", "dispersion": "maxclockerror is 1 ppm", "freq": "the drift file has it",
		"huffpuff": "delays are weighted by what is measured of them", "stepout": "an offset is stepped as soon as it is certain",
		"tick": "the clock's rate is set in finer steps",
	} {
		known[name] = p.idle(s, name, why)
	}
	return s.options(s.args, known)
}

// enable handles enable and disable.
func (p *parser) enable(s *statement) error {
	on := s.name == "enable"
	for _, word := range s.args {
		switch strings.ToLower(word) {
		case "monitor":
			p.cfg.Server.NoClientLog = !on
		case "ntp":
			p.cfg.Clock.NoControl = !on
		case "stats":
			p.stats = on
		case "bclient":
			if on {
				p.inert(s, "bclient", "broadcasts are not listened to")
			}
		case "mode7":
			if on {
				p.inert(s, "mode7", "ntpdc is not answered, ntpq is")
			}
		case "auth", "kernel", "calibrate": // nothing to choose
		case "peer_clear_digest_early", "unpeer_crypto_early", "unpeer_crypto_nak_early", "unpeer_digest_early":
		default:
			return s.unknown(word, chronyconf.Suggest(word, []string{
				"auth", "bclient", "calibrate", "kernel", "mode7", "monitor", "ntp", "stats",
			}))
		}
	}
	return nil
}

// Limits of what ratelimit takes.
const (
	leastInterval, mostInterval = -19, 12 // log2 seconds
	mostBurst                   = 255
)

// discard is ntpd's directive about the rate that restrict limited allows.
func (p *parser) discard(s *statement) error {
	average := p.cfg.Server.RateLimit.Interval
	err := s.options(s.args, map[string]option{
		"average": s.whole("average", &average, leastInterval, mostInterval),
		"minimum": p.idle(s, "minimum", "requests may come as close as the burst allows"),
		"monitor": p.idle(s, "monitor", "the oldest record gives way"),
	})
	p.cfg.Server.RateLimit.Interval = average
	return err
}

// limit is NTPsec's, in packets per second.
func (p *parser) limit(s *statement) error {
	r := &p.cfg.Server.RateLimit
	rate, burst, kod := math.Exp2(float64(-r.Interval)), float64(r.Burst), 0.0
	err := s.options(s.args, map[string]option{
		"average": s.float("average", &rate, math.Exp2(-mostInterval), math.Exp2(-leastInterval)),
		"burst":   s.float("burst", &burst, 1, inf),
		"kod":     s.float("kod", &kod, 0, inf),
	})
	if kod != 0 {
		p.inert(s, "kod option", "one in four of the requests above the rate gets a kiss of death")
	}
	r.Interval, r.Burst = int(math.Round(-math.Log2(rate))), int(min(burst, mostBurst))
	return err
}

// mru bounds the memory for records of clients.
func (p *parser) mru(s *statement) error {
	const client = 128 // octets for each, as for clientloglimit
	depth, mem := -1, -1
	known := map[string]option{
		"maxdepth": s.whole("maxdepth", &depth, 0, math.MaxInt32),
		"maxmem":   s.whole("maxmem", &mem, 0, math.MaxInt32),
	}
	for _, name := range []string{"mindepth", "maxage", "minage", "initalloc", "initmem", "incalloc", "incmem"} {
		known[name] = option{set: func(word string) error {
			_, err := s.number(name, word, -inf, inf)
			return err
		}}
	}
	if err := s.options(s.args, known); err != nil {
		return err
	}
	for _, octets := range []int{depth * client, mem * 1024} {
		if octets >= 0 {
			p.cfg.Server.ClientLogLimit = min(int64(octets), config.MaxClientLog)
		}
	}
	return nil
}

// driftFile names the file, whose format is ntpd's. A second word is how much the
// frequency must change for the file to be written.
func (p *parser) driftFile(s *statement) error {
	if len(s.args) == 2 {
		if _, err := s.number("", s.args[1], -inf, inf); err != nil {
			return err
		}
		p.inert(s, "a tolerance", "the file is written every hour")
	}
	p.cfg.Clock.DriftFile, p.cfg.Clock.NTPDrift = s.args[0], true
	return nil
}

func (p *parser) leapFile(s *statement) error {
	if len(s.args) == 2 && s.args[1] != "checkhash" && s.args[1] != "ignorehash" {
		return s.unknown(s.args[1], "")
	}
	p.cfg.Leap.List = s.args[0]
	return nil
}

func (p *parser) logFile(s *statement) error {
	p.cfg.Log.File = s.args[0]
	return nil
}

func (p *parser) pidFile(s *statement) error {
	p.cfg.Process.PIDFile = s.args[0]
	return nil
}

func (p *parser) dscp(s *statement) error {
	n, err := s.integer("", s.args[0], 0, 63)
	p.cfg.Client.DSCP = uint8(n)
	return err
}

// leapSmear spreads a leap second over so many seconds: served time accelerates up
// to the middle and slows down from there.
func (p *parser) leapSmear(s *statement) error {
	const most = 7 * 86400
	t, err := s.number("", s.args[0], 0, most)
	if err != nil || t == 0 {
		return err
	}
	p.cfg.Leap.Mode = config.LeapSlew
	p.cfg.Server.Smooth = config.Smooth{Enabled: true, MaxFreq: 2e6 / t, MaxWander: 4e6 / (t * t), LeapOnly: true}
	p.warn(s, "leapsmearinterval directive", "begins at the leap second and has another shape than ntpd's: do not mix such servers")
	return nil
}

// trustedKey is without effect if no key is named.
func (p *parser) trustedKey(s *statement) error {
	args := s.args[:0:0]
	for _, word := range s.args { // "(1 ... 5)" is how ntpd writes a range
		if word = strings.Trim(word, "()"); word != "" {
			args = append(args, word)
		}
	}
	if len(args) == 0 {
		return &problem{what: "Missing arguments for trustedkey directive", at: s.at}
	}
	return p.shared(&statement{name: s.name, args: args, at: s.at})
}

// unrestrict takes flags away from an entry, or the entry.
func (p *parser) unrestrict(s *statement) error {
	var what config.Config
	if _, err := chronyconf.Shared(&what, append([]string{"restrict"}, s.args...), s.at); err != nil {
		return err
	}
	list := p.cfg.Server.Restrict[:0]
	for _, r := range p.cfg.Server.Restrict {
		keep := true
		for _, u := range what.Server.Restrict {
			if r.Net != u.Net || r.Mask != u.Mask || r.Host != u.Host || r.NTPPort != u.NTPPort {
				continue
			}
			keep = u.Flags != 0
			r.Flags &^= u.Flags
		}
		if keep {
			list = append(list, r)
		}
	}
	p.cfg.Server.Restrict = list
	return nil
}

// anyFlag returns the flags of all entries together.
func (p *parser) anyFlag() (f acl.Flags) {
	for i := range p.cfg.Server.Restrict {
		f |= p.cfg.Server.Restrict[i].Flags
	}
	return f
}
