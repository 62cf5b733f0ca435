// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"foliot/internal/chronyconf"
	"foliot/internal/config"
)

func suggest(name string, known map[string]option) string {
	return chronyconf.Suggest(name, keys(known))
}

var sourceKinds = map[string]config.SourceKind{
	"server": config.KindServer, "pool": config.KindPool, "peer": config.KindPeer,
}

// source handles server, pool and peer: [-4|-6] NAME [OPTION...].
func (p *parser) source(s *statement) error {
	family, words := addressFamily(s.args)
	if len(words) == 0 {
		return &problem{what: "Missing arguments for " + s.name + " directive", at: s.at}
	}
	if addr := clockAddress(words[0]); addr.IsValid() {
		return p.clockSource(s, addr, words[1:])
	}
	if !isHost(words[0]) {
		return s.bad("%s is no address or host name", printable(words[0]))
	}
	src := config.DefaultSource(sourceKinds[s.name], words[0])
	src.Origin, src.Family = s.at, family
	if err := s.options(words[1:], p.sourceOptions(s, &src)); err != nil {
		return err
	}
	if src.MaxPoll < src.MinPoll {
		p.warn(s, "maxpoll option in "+s.name+" directive", "is below minpoll and is raised to "+strconv.Itoa(int(src.MinPoll)))
		src.MaxPoll = src.MinPoll
	}
	if src.Kind == config.KindPeer && (src.IBurst || src.Burst) {
		p.inert(s, "burst", "a peer is not asked in bursts")
		src.IBurst, src.Burst = false, false
	}
	p.cfg.Sources = append(p.cfg.Sources, src)
	return nil
}

// addressFamily takes -4 or -6 from the front.
func addressFamily(words []string) (config.Family, []string) {
	switch words[0] {
	case "-4":
		return config.FamilyIPv4, words[1:]
	case "-6":
		return config.FamilyIPv6, words[1:]
	}
	return config.FamilyAny, words
}

// isHost tells whether a word can be an address or the name of a host.
func isHost(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	letters := false
	for _, c := range word {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters = true
		case '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return letters && len(word) <= 255 && word[0] != '-'
}

// Polling intervals that ntpd knows, log2 seconds. NTPsec goes down to 1 s.
const (
	leastPoll = 0
	mostPoll  = 17
)

// sourceOptions is the table of options of a source.
func (p *parser) sourceOptions(s *statement, src *config.Source) map[string]option {
	refuse := func(what string) option {
		return option{flag: true, set: func(string) error {
			return s.unknown(what, fmt.Sprintf("which is not supported, and without it %s would be "+
				"trusted unauthenticated; remove the option if that is acceptable", src.Name))
		}}
	}
	version := option{set: func(word string) error {
		n, err := s.integer("version", word, 1, 4)
		src.Version = uint8(n)
		return err
	}}
	key := option{set: func(word string) error {
		n, err := s.integer("key", word, 1, 65535)
		src.Key = uint32(n)
		return err
	}}
	ignored := func(name, why string) option {
		return option{flag: true, set: func(string) error {
			p.inert(s, name+" option", why)
			return nil
		}}
	}
	return map[string]option{
		"autokey": refuse("autokey"), "nts": refuse("nts"), "noval": refuse("nts"),
		"bias":   s.float("bias", &src.Offset, -inf, inf),
		"burst":  yes(&src.Burst),
		"iburst": yes(&src.IBurst), "key": key,
		"maxpoll": p.poll(s, "maxpoll", &src.MaxPoll), "minpoll": p.poll(s, "minpoll", &src.MinPoll),
		"mode": p.idle(s, "mode", "it is for reference clocks"), "noselect": yes(&src.NoSelect),
		"preempt": {flag: true}, // sources come and go as the pool needs them
		"prefer":  yes(&src.Prefer), "true": yes(&src.Trust),
		"ttl":     p.idle(s, "ttl", "it is for manycast"),
		"version": version, "xleave": yes(&src.XLeave),
		"ident": {set: func(string) error { return nil }}, // of autokey, which is refused
		"skew":  ignored("skew", "polls are spread anyway"),
	}
}

// poll is an option with an interval, log2 seconds. ntpd takes any and uses the
// nearest that it knows.
func (p *parser) poll(s *statement, name string, to *int8) option {
	return option{set: func(word string) error {
		n, err := s.integer(name, word, math.MinInt32, math.MaxInt32)
		if err != nil {
			return s.outside(name, word, leastPoll, mostPoll)
		}
		if used := min(max(n, leastPoll), mostPoll); used != n {
			p.warn(s, name+" option in "+s.name+" directive", fmt.Sprintf("is out of range: %d is used (min %d, max %d)", used, leastPoll, mostPoll))
			n = used
		}
		*to = int8(n)
		return nil
	}}
}

// localClock is the local clock, 127.127.1.x.
type localClock struct {
	at   config.Origin
	unit int
}

// fudge is what a fudge directive says of a clock.
type fudge struct {
	s       *statement
	stratum int // -1 = nothing
}

// Addresses of reference clocks are 127.127.TYPE.UNIT.
const typeLocal = 1

// clockTypes names the commoner ones.
var clockTypes = map[byte]string{
	4: "Spectracom", 8: "generic", 18: "modem", 20: "NMEA", 22: "PPS", 28: "shared memory", 46: "gpsd JSON",
}

// clockAddress returns the address of a reference clock, invalid for any other word.
func clockAddress(word string) netip.Addr {
	a, err := netip.ParseAddr(word)
	if err != nil || !a.Is4() || a.As4()[0] != 127 || a.As4()[1] != 127 {
		return netip.Addr{}
	}
	return a
}

// clockSource is a server line for a reference clock.
func (p *parser) clockSource(s *statement, addr netip.Addr, words []string) error {
	src := config.DefaultSource(config.KindServer, addr.String())
	if err := s.options(words, p.sourceOptions(s, &src)); err != nil {
		return err
	}
	b := addr.As4()
	if b[2] == typeLocal {
		return p.useClock(s, int(b[3]))
	}
	kind := clockTypes[b[2]]
	if kind == "" {
		kind = "type " + strconv.Itoa(int(b[2]))
	}
	p.notYetClock(s, addr.String()+" ("+kind+")", kind, int(b[3]))
	return nil
}

// useClock makes the machine's own clock the reference.
func (p *parser) useClock(s *statement, unit int) error {
	const units = 4 // ntpd's
	if unit >= units {
		return s.bad("unit %d of the local clock (min 0, max %d)", unit, units-1)
	}
	if p.clock != nil && p.clock.unit != unit {
		p.inert(s, fmt.Sprintf("local clock 127.127.1.%d", unit), fmt.Sprintf("127.127.1.%d is used", p.clock.unit))
		return nil
	}
	p.clock = &localClock{at: s.at, unit: unit}
	return nil
}

// notYetClock keeps a clock, in chrony's words, if chrony has such a one.
func (p *parser) notYetClock(s *statement, name, kind string, unit int) {
	switch strings.ToLower(kind) {
	case "shared memory", "shm":
		p.keepClock(s, "SHM", strconv.Itoa(unit))
	case "pps":
		p.keepClock(s, "PPS", "/dev/pps"+strconv.Itoa(unit))
	}
	p.warn(s, "reference clock "+name, "is not supported yet and is ignored")
}

func (p *parser) keepClock(s *statement, words ...string) {
	p.cfg.Refclocks = append(p.cfg.Refclocks, config.Raw{Origin: s.at, Words: append([]string{"refclock"}, words...)})
}

// refclock is NTPsec's way to name a clock: TYPE [unit N] [OPTION...].
func (p *parser) refclock(s *statement) error {
	kind := strings.ToLower(s.args[0])
	unit := 0
	if kind != "local" {
		if i := slices.Index(s.args, "unit"); i > 0 && i+1 < len(s.args) {
			var err error
			if unit, err = s.integer("unit", s.args[i+1], 0, 255); err != nil {
				return err
			}
		}
		p.notYetClock(s, printable(kind), kind, unit)
		return nil
	}
	f := fudge{s: s, stratum: -1}
	known := p.fudgeOptions(s, &f)
	known["unit"] = s.whole("unit", &unit, 0, 255)
	for _, name := range []string{"prefer", "noselect", "true"} {
		known[name] = option{flag: true}
	}
	var poll int8
	known["minpoll"], known["maxpoll"] = p.poll(s, "minpoll", &poll), p.poll(s, "maxpoll", &poll)
	if err := s.options(s.args[1:], known); err != nil {
		return err
	}
	p.fudges[fmt.Sprintf("127.127.1.%d", unit)] = f
	return p.useClock(s, unit)
}

// fudge says more of a reference clock: ADDRESS OPTION...
func (p *parser) fudge(s *statement) error {
	addr := clockAddress(s.args[0])
	if !addr.IsValid() {
		return s.bad("%s is not the address of a reference clock (127.127.TYPE.UNIT)", printable(s.args[0]))
	}
	f := fudge{s: s, stratum: -1}
	if old, ok := p.fudges[addr.String()]; ok {
		f.stratum = old.stratum
	}
	if err := s.options(s.args[1:], p.fudgeOptions(s, &f)); err != nil {
		return err
	}
	p.fudges[addr.String()] = f
	return nil
}

// fudgeOptions is the table of options of fudge. For the local clock only the
// stratum matters.
func (p *parser) fudgeOptions(s *statement, f *fudge) map[string]option {
	known := map[string]option{"stratum": s.whole("stratum", &f.stratum, 0, 16)}
	number := option{set: func(word string) error {
		_, err := s.number("", word, -inf, inf)
		return err
	}}
	for _, name := range []string{"time1", "time2", "flag1", "flag2", "flag3", "flag4", "minjitter", "mode"} {
		known[name] = number
	}
	for _, name := range []string{"refid", "abbrev", "path", "ppspath", "baud", "subtype"} {
		known[name] = option{}
	}
	return known
}

// unpeer takes a source away again.
func (p *parser) unpeer(s *statement) error {
	for _, word := range s.args {
		if addr := clockAddress(word); addr.IsValid() && p.clock != nil && addr.As4()[2] == typeLocal {
			p.clock = nil
			continue
		}
		n := len(p.cfg.Sources)
		p.cfg.Sources = slices.DeleteFunc(p.cfg.Sources, func(x config.Source) bool { return x.Name == word })
		if len(p.cfg.Sources) == n {
			p.inert(s, printable(word), "there is no such source")
		}
	}
	return nil
}

// broadcast sends to a network: [-4|-6] ADDRESS [OPTION...].
func (p *parser) broadcast(s *statement) error {
	_, words := addressFamily(s.args)
	if len(words) == 0 {
		return &problem{what: "Missing arguments for broadcast directive", at: s.at}
	}
	addr, err := netip.ParseAddr(words[0])
	if err != nil {
		return s.bad("%s is no address", printable(words[0]))
	}
	src := config.DefaultSource(config.KindServer, "broadcast")
	known := p.sourceOptions(s, &src)
	known["novolley"] = option{flag: true}
	if err := s.options(words[1:], known); err != nil {
		return err
	}
	if src.Key != 0 {
		p.inert(s, "key option", "broadcasts carry no MAC, and clients that want one do not take them")
	}
	p.cfg.Server.Broadcasts = append(p.cfg.Server.Broadcasts, config.Broadcast{
		Origin: s.at, Interval: 1 << max(src.MinPoll, 0), Dest: netip.AddrPortFrom(addr.Unmap(), 123),
	})
	return nil
}
