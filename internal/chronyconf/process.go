// SPDX-License-Identifier: Apache-2.0

package chronyconf

func (p *parser) processDirectives() map[string]directive {
	c, log := &p.cfg.Process, &p.cfg.Log
	return map[string]directive{
		"dumpdir":        one(fileName(&c.DumpDir)),
		"keyfile":        one(keyFile(c, false)),
		"lock_all":       on(&c.LockAll),
		"log":            {0, -1, p.log},
		"logbanner":      one(integer(&log.Banner, 0, maxInt32)),
		"logchange":      one(number(&log.Change, 0, inf)),
		"logdir":         one(fileName(&log.Dir)),
		"pidfile":        one(fileName(&c.PIDFile)),
		"sched_priority": one(integer(&c.SchedPriority, 0, 100)),
		"user":           one(text(&c.User)),
	}
}

// notYetLogged are the logs of what the daemon does not have.
var notYetLogged = map[string]bool{"refclocks": true, "rtc": true}

// log names the files to write. Its words alone are in lower case only, as
// chronyd wants them.
func (p *parser) log(s *statement) error {
	l := &p.cfg.Log
	known := map[string]*bool{
		"measurements": &l.Measurements, "rawmeasurements": &l.RawMeasurements,
		"refclocks": &l.Refclocks, "rtc": &l.RTC, "selection": &l.Selection,
		"statistics": &l.Statistics, "tempcomp": &l.TempComp, "tracking": &l.Tracking,
	}
	for _, word := range s.args {
		on, ok := known[word]
		if !ok {
			return &problem{
				what:   "Invalid log parameter " + word,
				detail: didYouMean(word, keys(known)),
				at:     s.origin,
			}
		}
		*on = true
		if notYetLogged[word] {
			p.warn(s.origin, "log "+word, "is not supported yet and is ignored")
		}
	}
	return nil
}
