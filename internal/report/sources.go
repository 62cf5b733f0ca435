// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"

	"foliot/internal/cmdmon"
)

// NameWidth is how many characters of a name the tables have room for.
const NameWidth = 25

// captions are the explanations above a table, and its head.
func captions(explained bool, explanation, head string, width int) []string {
	var lines []string
	if explained {
		lines = strings.Split(explanation, "\n")
	}
	return append(lines, head, strings.Repeat("=", width))
}

const sourcesLegend = `
  .-- Source mode  '^' = server, '=' = peer, '#' = local clock.
 / .- Source state '*' = current best, '+' = combined, '-' = not combined,
| /             'x' = may be in error, '~' = too variable, '?' = unusable.
||                                                 .- xxxx [ yyyy ] +/- zzzz
||      Reachability register (octal) -.           |  xxxx = adjusted offset,
||      Log2(Polling interval) --.      |          |  yyyy = measured offset,
||                                \     |          |  zzzz = estimated error.
||                                 |    |           \`

// Sources begins the report sources.
func Sources(p *Printer, explained bool) {
	p.Begin(captions(explained, sourcesLegend,
		"MS Name/IP address         Stratum Poll Reach LastRx Last sample               ", 79)...)
}

var modeNames = map[cmdmon.SourceMode]string{
	cmdmon.ModeClient: "server", cmdmon.ModePeer: "peer", cmdmon.ModeRefclock: "refclock",
}

var stateNames = map[cmdmon.SourceState]string{
	cmdmon.StateSelected: "selected", cmdmon.StateNonselectable: "nonselectable", cmdmon.StateFalseticker: "falseticker",
	cmdmon.StateJittery: "jittery", cmdmon.StateUnselected: "combined", cmdmon.StateSelectable: "selectable",
}

// mark is an enumeration with a character for each value, a blank for others, and a
// name in JSON.
func mark[T ~uint16](key string, v T, marks string, names map[T]string) cell {
	s := " "
	if int(v) < len(marks) {
		s = marks[v : v+1]
	}
	return cell{key, s, s, names[v]}
}

// Source is a row of the report sources.
func Source(p *Printer, m *cmdmon.SourceDataReply, name string) {
	p.print("%% %  %  %   %  %  %[%] +/- %\n",
		mark("mode", m.Mode, "^=#", modeNames), mark("state", m.State, "*?x~+-", stateNames),
		column("name", name, 27), count("stratum", m.Stratum, 2), count("poll_log2_seconds", m.Poll, 2),
		octal("reach", m.Reach, 3), age("last_sample_seconds", m.SinceSample),
		offset("offset_seconds", m.Offset), offset("measured_offset_seconds", m.OrigOffset), spread("error_seconds", m.OffsetErr))
}

const statsLegend = `                             .- Number of sample points in measurement set.
                            /    .- Number of residual runs with same sign.
                           |    /    .- Length of measurement set (time).
                           |   |    /      .- Est. clock freq error (ppm).
                           |   |   |      /           .- Est. error in freq.
                           |   |   |     |           /         .- Est. offset.
                           |   |   |     |          |          |   On the -.
                           |   |   |     |          |          |   samples. \
                           |   |   |     |          |          |             |`

// SourceStats begins the report sourcestats.
func SourceStats(p *Printer, explained bool) {
	p.Begin(captions(explained, statsLegend,
		"Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev", 78)...)
}

// SourceStat is a row of the report sourcestats.
func SourceStat(p *Printer, m *cmdmon.SourceStatsReply, name string) {
	p.print("% % %  % % %  %  %\n",
		column("name", name, 25), count("samples", m.Samples, 3), count("runs", m.Runs, 3), age("span_seconds", m.Span),
		ppm("frequency_ppm", m.Frequency, true), ppm("skew_ppm", m.Skew, false),
		offset("offset_seconds", m.Offset), spread("deviation_seconds", m.SD))
}

const selectLegend = `  . State: N - noselect, s - unsynchronised, M - missing samples,
 /         d/D - large distance, ~ - jittery, w/W - waits for others,
|          S - stale, O - orphan, T - not trusted, P - not preferred,
|          U - waits for update,, x - falseticker, + - combined, * - best.
|   Effective options   ---------.  (N - noselect, P - prefer
|   Configured options  ----.     \  T - trust, R - require)
|   Auth. enabled (Y/N) -.   \     \     Offset interval --.
|                        |    |     |                       |`

// SelectData begins the report selectdata.
func SelectData(p *Printer, explained bool) {
	p.Begin(captions(explained, selectLegend, "S Name/IP Address        Auth COpts EOpts Last Score     Interval  Leap", 71)...)
}

// SelectDatum is a row of the report selectdata.
func SelectDatum(p *Printer, m *cmdmon.SelectDataReply, name string) {
	auth := word("authenticated", "N")
	if m.Authenticated {
		auth = word("authenticated", "Y")
	}
	auth.json = m.Authenticated
	state := m.State
	if state < ' ' || state > '~' {
		state = '?' // nothing that moves the cursor
	}
	cells := []cell{word("state", string(rune(state))), column("name", name, 25), auth}
	cells = append(cells, options("configured", m.Configured)...)
	cells = append(cells, options("effective", m.Effective)...)
	p.print("% % % %%%%% %%%%% % % % %  %\n", append(cells,
		age("last_sample_seconds", m.LastSample), wide(number("score", m.Score, 1), 5),
		offset("low_seconds", m.Lo), offset("high_seconds", m.Hi), leapLetter("leap_status", m.Leap))...)
}

// options are the five places for options of selection; the last one is free.
func options(key string, set cmdmon.SelectFlags) []cell {
	var cells []cell
	names := []string{}
	for _, o := range []struct {
		flag         cmdmon.SelectFlags
		letter, name string
	}{
		{cmdmon.FlagNoSelect, "N", "noselect"}, {cmdmon.FlagPrefer, "P", "prefer"},
		{cmdmon.FlagTrust, "T", "trust"}, {cmdmon.FlagRequire, "R", "require"}, {0, "-", ""},
	} {
		c := word("", "-")
		if set&o.flag != 0 {
			c = word("", o.letter)
			names = append(names, o.name)
		}
		cells = append(cells, c)
	}
	cells[0].key, cells[0].json = key, names
	return cells
}

const authLegend = `                             .- Auth. mechanism (NTS, SK - symmetric key)
                            |   Key length -.  Cookie length (bytes) -.
                            |       (bits)  |  Num. of cookies --.    |
                            |               |  Key est. attempts  |   |
                            |               |           |         |   |`

// AuthData begins the report authdata.
func AuthData(p *Printer, explained bool) {
	p.Begin(captions(explained, authLegend, "Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen", 73)...)
}

var authNames = map[cmdmon.AuthMode]string{cmdmon.AuthNone: "-", cmdmon.AuthSymmetric: "SK", cmdmon.AuthNTS: "NTS"}

// AuthDatum is a row of the report authdata.
func AuthDatum(p *Printer, m *cmdmon.AuthDataReply, name string) {
	mode := word("mode", "?")
	if s, ok := authNames[m.Mode]; ok {
		mode = word("mode", s)
	}
	p.print("% % % % % % % % % %\n",
		column("name", name, 27), wide(mode, 4), count("key_id", m.KeyID, 5), count("key_type", m.KeyType, 4),
		count("key_bits", m.KeyBits, 4), age("last_key_exchange_seconds", m.LastKE), count("key_exchange_attempts", m.KEAttempts, 4),
		count("nak", m.NAK, 4), count("cookies", m.Cookies, 4), count("cookie_octets", m.CookieLen, 4))
}

// Activity is the report activity.
func Activity(p *Printer, m *cmdmon.ActivityReply) {
	p.print("200 OK\n% sources online\n% sources offline\n% sources doing burst (return to online)\n"+
		"% sources doing burst (return to offline)\n% sources with unknown address\n",
		count("online", m.Online, 0), count("offline", m.Offline, 0), count("burst_online", m.BurstOnline, 0),
		count("burst_offline", m.BurstOffline, 0), count("unresolved", m.Unresolved, 0))
}
