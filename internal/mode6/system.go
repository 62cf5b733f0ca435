// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"math"
	"strings"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/state"
)

type systemVariable = variable[*view]

// systemVariables are those of the system. Names, units and order are NTPsec's
// (ntp_control.c): times in ms, frequencies in ppm, and ntpd's sign is ours: a
// positive offset means that the local clock is behind, a positive frequency that
// it is slow uncorrected.
var systemVariables = table[*view]{"sys_var_list", concat(clockState, monitored, served, kernelState, transfers, notOurs)}

func concat[T any](lists ...[]variable[T]) (all []variable[T]) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// clockState is what "ntpq -c rv" prints, and what "sysinfo" asks for beyond it.
var clockState = []systemVariable{
	{"leap", true, func(t *text, n string, v *view) { t.uint(n, uint64(v.leap())) }},
	{"stratum", true, func(t *text, n string, v *view) { t.uint(n, uint64(v.stratum())) }},
	{"precision", true, putPrecision},
	{"rootdelay", true, func(t *text, n string, v *view) { t.ms(n, v.Tracking.RootDelay, 3) }},
	{"rootdisp", true, func(t *text, n string, v *view) { t.ms(n, v.Tracking.RootDisp, 3) }},
	{"rootdist", true, func(t *text, n string, v *view) { t.ms(n, v.Tracking.RootDelay/2+v.Tracking.RootDisp, 3) }},
	{"refid", true, putReference},
	{"reftime", true, func(t *text, n string, v *view) { t.stamp(n, stampOf(v.Tracking.RefTime)) }},
	{"tc", true, ofSelected(func(t *text, n string, p *peer) { t.int(n, int64(p.Poll)) })},
	{"peer", true, func(t *text, n string, v *view) { t.uint(n, uint64(v.peer())) }},
	{"offset", true, func(t *text, n string, v *view) { t.ms(n, float64(v.Tracking.LastOffset), 6) }},
	{"frequency", true, func(t *text, n string, v *view) { t.fixed(n, v.Tracking.Frequency.PPM(), 3) }},
	{"sys_jitter", true, putJitter},
	{"clk_jitter", true, func(t *text, n string, v *view) { t.ms(n, v.Tracking.RMSOffset, 6) }},
	{"clock", true, func(t *text, n string, v *view) { t.stamp(n, ntp.FromInstant(v.served())) }},
	{"processor", true, func(t *text, n string, v *view) { t.quoted(n, v.machine.Processor) }},
	{"system", true, func(t *text, n string, v *view) { t.quoted(n, v.machine.System) }},
	{"release", true, func(t *text, n string, v *view) { t.quoted(n, v.machine.Release) }},
	{"version", true, func(t *text, n string, v *view) { t.quoted(n, "foliotd "+v.Version) }},
	{"clk_wander", true, func(t *text, n string, v *view) { t.fixed(n, v.Tracking.Skew.PPM(), 6) }},
	{"tai", true, func(t *text, n string, v *view) { t.int(n, int64(v.Config.TAI)) }},
	{"mintc", true, ofSelected(func(t *text, n string, p *peer) { t.int(n, int64(p.MinPoll)) })},
	{"peeradr", false, putPeerAddress},
	{"peermode", false, func(t *text, n string, v *view) { t.uint(n, v.peerMode()) }},
}

// peer is the number of the selected association, 0 for none.
func (v *view) peer() uint16 {
	if v.selected == nil {
		return 0
	}
	return v.selected.id
}

func (v *view) peerMode() uint64 {
	if v.selected == nil {
		return 0
	}
	return v.selected.hostMode()
}

// ofSelected writes a variable of the selected association, if there is one.
func ofSelected(put func(*text, string, *peer)) func(*text, string, *view) {
	return func(t *text, name string, v *view) {
		if v.selected != nil {
			put(t, name, v.selected)
		}
	}
}

// putPrecision writes log2 seconds.
func putPrecision(t *text, name string, v *view) {
	if p := v.Clock.Precision; p > 0 {
		t.int(name, int64(math.Round(math.Log2(p))))
	}
}

func putReference(t *text, name string, v *view) {
	if v.stratum() == ntp.MaxStratum {
		t.letters(name, initial)
		return
	}
	t.refID(name, v.Tracking.RefID, v.stratum())
}

// putJitter writes the jitter of what is followed; ntpd combines that of all.
func putJitter(t *text, name string, v *view) {
	j := v.Tracking.OffsetSD
	if v.selected != nil {
		j = v.selected.Samples.Jitter
	}
	t.ms(name, j, 6)
}

func putPeerAddress(t *text, name string, v *view) {
	addr := "0.0.0.0:0"
	if p := v.selected; p != nil {
		addr = p.sourceAddr().String() + ":123"
		if p.Addr.IsValid() {
			addr = p.Addr.String()
		}
	}
	t.quoted(name, addr)
}

// stampOf is 0 for never.
func stampOf(at clock.Served) ntp.Timestamp {
	if at.IsZero() {
		return 0
	}
	return ntp.FromInstant(at)
}

// number is a variable that is a whole number.
func number(name string, of func(*view) uint64) systemVariable {
	return systemVariable{name, false, func(t *text, n string, v *view) { t.uint(n, of(v)) }}
}

// pair is a counter of ntpd's "sysstats" and its twin, which counts since the
// statistics were last logged; ours are never set back.
func pair(name string, of func(*view) uint64) []systemVariable {
	return []systemVariable{number(name, of), number(name+"_r", of)}
}

// verdicts counts requests of clients by what became of them.
func verdicts(all ...responder.Verdict) func(*view) uint64 {
	return func(v *view) (n uint64) {
		for _, w := range all {
			n += v.Server.Total.Verdicts[w]
		}
		return n
	}
}

func received(v *view) uint64 { return v.Server.Total.Answered() + v.Server.Total.Refused() }

// monitored is what "monstats" asks for.
var monitored = []systemVariable{
	number("mru_enabled", func(v *view) uint64 {
		if v.Config.NoLog {
			return 0
		}
		return 1
	}),
	number("mru_depth", func(v *view) uint64 { return uint64(v.Server.Records) }),
	number("mru_mem", func(v *view) uint64 { return uint64(v.Server.Records*clientlog.RecordSize+512) / 1024 }),
	number("mru_recyclefull", func(v *view) uint64 { return v.Server.Evicted }),
}

// served is what "sysstats" asks for: requests of clients, without answers of our
// own servers, which ntpd counts too.
var served = concat(
	[]systemVariable{number("ss_uptime", (*view).uptime)},
	pair("ss_reset", (*view).uptime),
	pair("ss_received", received),
	pair("ss_thisver", func(v *view) uint64 { return v.Server.Total.Versions[ntp.Version-1] }),
	pair("ss_oldver", func(v *view) (n uint64) {
		for _, c := range v.Server.Total.Versions[:ntp.Version-1] {
			n += c
		}
		return n
	}),
	pair("ss_ver1", func(v *view) uint64 { return v.Server.Total.Versions[0] }),
	pair("ss_badformat", verdicts(responder.BadLength, responder.BadVersion, responder.BadTrailer)),
	pair("ss_badauth", verdicts(responder.BadAuth)),
	pair("ss_declined", verdicts(responder.BadMode)),
	pair("ss_restricted", verdicts(responder.Denied)),
	pair("ss_limited", verdicts(responder.Limited, responder.Kissed)),
	pair("ss_kodsent", verdicts(responder.Kissed)),
	pair("ss_processed", verdicts(responder.Answer)),
	[]systemVariable{number("ss_numctlreq", func(v *view) uint64 { return v.counters.Received })},
)

// ofKernel is a variable that only the kernel can tell.
func ofKernel(name string, put func(*text, string, *state.Kernel)) systemVariable {
	return systemVariable{name, false, func(t *text, n string, v *view) {
		if v.Kernel.Valid {
			put(t, n, &v.Kernel)
		}
	}}
}

// kernelState is what "kerninfo" asks for.
var kernelState = []systemVariable{
	ofKernel("koffset", func(t *text, n string, k *state.Kernel) { t.ms(n, float64(k.Offset), 6) }),
	ofKernel("kfreq", func(t *text, n string, k *state.Kernel) { t.fixed(n, k.Frequency.PPM(), 6) }),
	ofKernel("kmaxerr", func(t *text, n string, k *state.Kernel) { t.ms(n, float64(k.MaxError), 3) }),
	ofKernel("kesterr", func(t *text, n string, k *state.Kernel) { t.ms(n, float64(k.EstError), 3) }),
	ofKernel("kstflags", func(t *text, n string, k *state.Kernel) { t.quoted(n, kernelFlags(k.Status)) }),
	ofKernel("ktimeconst", func(t *text, n string, k *state.Kernel) { t.int(n, int64(k.Constant)) }),
	ofKernel("kprecis", func(t *text, n string, k *state.Kernel) { t.ms(n, k.Precision, 3) }),
	ofKernel("kfreqtol", func(t *text, n string, k *state.Kernel) { t.fixed(n, k.Tolerance.PPM(), 3) }),
}

// kernelFlagNames are the names that ntpd has for STA_ bits (linux/timex.h), from
// the lowest on.
var kernelFlagNames = [...]string{
	"pll", "ppsfreq", "ppstime", "fll", "ins", "del", "unsync", "freqhold",
	"ppssignal", "ppsjitter", "ppswander", "ppserror", "clockerr", "nano", "mode=fll", "src=B",
}

func kernelFlags(status int) string {
	var set []string
	for i, name := range kernelFlagNames {
		if status>>i&1 == 1 {
			set = append(set, name)
		}
	}
	return strings.Join(set, " ")
}

// transfers is what "iostats" asks for, of the server port.
var transfers = []systemVariable{
	number("iostats_reset", (*view).uptime),
	number("io_dropped", func(v *view) uint64 { return v.Server.Overflow }),
	number("io_ignored", func(v *view) uint64 { return v.Server.Total.Refused() }),
	number("io_received", received),
	number("io_sent", func(v *view) uint64 {
		// Unsent answers were judged worth sending.
		return v.Server.Total.Answered() - min(v.Server.Unsent, v.Server.Total.Answered())
	}),
	number("io_sendfailed", func(v *view) uint64 { return v.Server.Unsent }),
}

// notOurs are variables that ntpq asks for of which nothing is known here.
var notOurs = unknown[*view](
	"leapsec", "expire", "authdelay", "authreset", "authkeys", "authfreek", "authklookups", "authknotfound",
	"authencrypts", "authdigestencrypts", "authcmacencrypts", "authdecrypts", "authdigestdecrypts", "authdigestfails",
	"authcmacdecrypts", "authcmacfails", "authkuncached", "authkexpired",
	"mru_hashslots", "mru_deepest", "mru_mindepth", "mru_maxage", "mru_minage", "mru_maxdepth", "mru_maxmem",
	"mru_exists", "mru_new", "mru_recycleold", "mru_none", "mru_oldest_age",
	"ss_ver1client", "ss_ver1client_r", "ss_ver1zero", "ss_ver1zero_r", "ss_ver1symm", "ss_ver1symm_r",
	"kppsfreq", "kppsstab", "kppsjitter", "kppscalibdur", "kppscalibs", "kppsjitexc", "kppsstbexc", "kppscaliberrs",
	"total_rbuf", "free_rbuf", "used_rbuf", "rbuf_lowater", "io_wakeups", "io_goodwakeups", "io_pkt_reads", "io_ref_reads",
	"timerstats_reset", "timer_overruns", "timer_xmts", "leapsmearinterval", "leapsmearoffset",
	"nts_client_send", "nts_client_recv_good", "nts_client_recv_bad", "nts_server_recv_good", "nts_server_recv_bad",
	"nts_server_send", "nts_cookie_make", "nts_cookie_not_server", "nts_cookie_decode_total", "nts_cookie_decode_current",
	"nts_cookie_decode_old", "nts_cookie_decode_old2", "nts_cookie_decode_older", "nts_cookie_decode_too_old",
	"nts_cookie_decode_error", "nts_cookie_decode", "nts_ke_serves_good", "nts_ke_serves_good_wall",
	"nts_ke_serves_good_cpu", "nts_ke_serves_nossl", "nts_ke_serves_nossl_wall", "nts_ke_serves_nossl_cpu",
	"nts_ke_serves_bad", "nts_ke_serves_bad_wall", "nts_ke_serves_bad_cpu", "nts_ke_probes_good", "nts_ke_probes_bad",
	"mssntp_serves", "mssntp_serves_no", "mssntp_serves_err", "mssntp_serves_good", "mssntp_serves_good_wall",
	"mssntp_serves_good_slowest", "mssntp_serves_bad", "mssntp_serves_bad_wall", "mssntp_serves_bad_slowest",
)
