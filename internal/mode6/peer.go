// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"fmt"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/state"
)

type peerVariable = variable[*peer]

// peerVariables are those of an association. The order is NTPsec's, with reftime
// before rec and rootdisp before dispersion: ntpq counts from the last of two.
// Not among them is the time of our last request (xmt, org): who knows it can
// forge an answer to it (CVE-2016-4954).
var peerVariables = table[*peer]{"peer_var_list", []peerVariable{
	{"config", false, func(t *text, n string, p *peer) { t.uint(n, bit(!p.Pool)) }},
	{"authenable", false, func(t *text, n string, p *peer) { t.uint(n, bit(p.Auth.Symmetric)) }},
	{"authentic", false, func(t *text, n string, p *peer) { t.uint(n, bit(p.Auth.Symmetric && p.HasReport)) }},
	{"srcadr", true, func(t *text, n string, p *peer) { t.addr(n, p.sourceAddr()) }},
	{"srcport", true, func(t *text, n string, p *peer) { t.uint(n, uint64(p.Addr.Port())) }},
	{"dstadr", true, func(t *text, n string, p *peer) { t.addr(n, p.localAddr()) }},
	{"leap", true, func(t *text, n string, p *peer) { t.uint(n, uint64(p.leap())) }},
	{"hmode", true, func(t *text, n string, p *peer) { t.uint(n, p.hostMode()) }},
	{"stratum", true, func(t *text, n string, p *peer) { t.uint(n, uint64(p.stratum())) }},
	{"ppoll", true, func(t *text, n string, p *peer) { t.int(n, int64(p.peerPoll())) }},
	{"hpoll", true, func(t *text, n string, p *peer) { t.int(n, int64(p.Poll)) }},
	{"precision", true, ofPacket(func(t *text, n string, q *ntp.Packet) { t.int(n, int64(q.Precision)) })},
	{"rootdelay", true, ofPacket(func(t *text, n string, q *ntp.Packet) { t.ms(n, q.RootDelay.Seconds(), 3) })},
	{"rootdisp", true, ofPacket(func(t *text, n string, q *ntp.Packet) { t.ms(n, q.RootDisp.Seconds(), 3) })},
	{"refid", true, putPeerReference},
	{"reftime", true, func(t *text, n string, p *peer) { t.stamp(n, p.packet().Reference) }},
	{"rec", true, func(t *text, n string, p *peer) { t.stamp(n, p.heard()) }},
	{"reach", true, func(t *text, n string, p *peer) { t.hex(n, uint64(p.Reach)) }},
	{"unreach", true, func(t *text, n string, p *peer) { t.int(n, int64(p.Unanswered)) }},
	{"delay", true, func(t *text, n string, p *peer) { t.ms(n, float64(p.Samples.Delay), 6) }},
	{"offset", true, func(t *text, n string, p *peer) { t.ms(n, p.offset(), 6) }},
	{"jitter", true, func(t *text, n string, p *peer) { t.ms(n, p.Samples.Jitter, 6) }},
	{"dispersion", true, func(t *text, n string, p *peer) { t.ms(n, float64(p.Samples.Dispersion), 6) }},
	{"keyid", true, func(t *text, n string, p *peer) { t.uint(n, uint64(p.Auth.KeyID)) }},
	{"pmode", true, func(t *text, n string, p *peer) { t.uint(n, uint64(p.packet().Mode)) }},
	{"received", false, func(t *text, n string, p *peer) { t.uint(n, p.Counts.Received) }},
	{"sent", false, func(t *text, n string, p *peer) { t.uint(n, p.Counts.Sent) }},
	{"flash", true, func(t *text, n string, p *peer) { t.hex(n, p.flash()) }},
	{"headway", true, func(t *text, n string, _ *peer) { t.uint(n, 0) }},
	{"srchost", true, putHost},
	{"timerec", false, putSinceHeard},
	{"badauth", false, counted(source.BadAuth)},
	{"bogusorg", false, counted(source.BadOrigin, source.Unexpected)},
	{"oldpkt", false, counted(source.Duplicate)},
	{"seldisp", false, counted(source.Unsynced)},
	{"selbroken", false, counted(source.BadStamps)},
	{"candidate", false, func(t *text, n string, p *peer) { t.uint(n, uint64(p.choice())) }},
	{"ntscookies", false, func(t *text, n string, _ *peer) { t.int(n, -1) }}, // -1: no NTS
	{"dstport", false, nil}, {"timer", false, nil}, {"timereach", false, nil}, {"bias", false, nil}, {"mode", false, nil},
	{"filtdelay", false, nil}, {"filtoffset", false, nil}, {"filtdisp", false, nil}, {"org", false, nil}, {"xmt", false, nil},
	{"ttl", false, nil}, {"xleave", false, nil}, {"in", false, nil}, {"out", false, nil},
}}

// clockVariables are those of a reference clock.
var clockVariables = table[*peer]{"clock_var_list", []peerVariable{
	{"name", true, func(t *text, n string, p *peer) { t.quoted(n, p.clockName()) }},
	{"poll", true, func(t *text, n string, p *peer) { t.uint(n, p.Counts.Received) }},
	{"stratum", true, func(t *text, n string, p *peer) { t.uint(n, uint64(p.stratum())) }},
	{"refid", true, putPeerReference},
	{"timecode", false, nil}, {"noreply", false, nil}, {"badformat", false, nil}, {"baddata", false, nil},
	{"fudgetime1", false, nil}, {"fudgetime2", false, nil}, {"flags", false, nil}, {"device", false, nil},
}}

func bit(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

func (p *peer) refClock() bool { return p.Mode == state.RefClock }

// packet is the last one, as it came. There may be none.
func (p *peer) packet() *ntp.Packet { return &p.Report.Packet }

// ofPacket writes a variable of the last packet, if there was one.
func ofPacket(put func(*text, string, *ntp.Packet)) func(*text, string, *peer) {
	return func(t *text, name string, p *peer) {
		if p.HasReport {
			put(t, name, p.packet())
		}
	}
}

// sourceAddr is an address of the form that ntpd has: 127.127.0.x for reference
// clocks, 0.0.0.0 for a name without address. ntpq shows the name instead of either.
func (p *peer) sourceAddr() netip.Addr {
	switch {
	case p.Addr.IsValid():
		return p.Addr.Addr()
	case p.refClock():
		return netip.AddrFrom4([4]byte{127, 127, 0, byte(p.unit)})
	}
	return netip.IPv4Unspecified()
}

func (p *peer) localAddr() netip.Addr {
	switch {
	case p.Local.IsValid():
		return p.Local
	case p.Addr.Addr().Is6():
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// clockName is what a reference clock is called; the parenthesis tells ntpq that
// it is one.
func (p *peer) clockName() string { return fmt.Sprintf("%s(%d)", p.Name, p.unit) }

// putHost writes the name that a person gave.
func putHost(t *text, name string, p *peer) {
	switch {
	case p.refClock():
		t.quoted(name, p.clockName())
	case p.unsolved != "":
		t.quoted(name, p.unsolved)
	case p.Name != "" && p.Name != p.Addr.Addr().String():
		t.quoted(name, p.Name)
	}
}

// known tells whether the source ever said what it is.
func (p *peer) known() bool { return p.HasReport || p.refClock() && p.Samples.N > 0 }

func (p *peer) leap() ntp.Leap {
	if !p.known() {
		return ntp.LeapUnsync
	}
	return p.Leap & 3
}

// stratum is 16 for a source that is not synchronised.
func (p *peer) stratum() uint8 {
	if !p.known() || p.Stratum == 0 && !p.refClock() {
		return ntp.MaxStratum
	}
	return p.Stratum
}

// putPeerReference writes what the source follows. What ntpd has to say of those
// that never answered is INIT, and of those without address DNS.
func putPeerReference(t *text, name string, p *peer) {
	switch id := p.RefID; {
	case p.unsolved != "":
		t.letters(name, [4]byte{'D', 'N', 'S'})
	case p.refClock():
		t.letters(name, [4]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
	case !p.HasReport:
		t.letters(name, initial)
	default:
		t.refID(name, p.packet().RefID, p.packet().Stratum)
	}
}

// hostMode is our mode towards the source.
func (p *peer) hostMode() uint64 {
	if p.Mode == state.Peer {
		return uint64(ntp.ModeActive)
	}
	return uint64(ntp.ModeClient)
}

// peerPoll is what the source says of its polling interval, as ntpd takes it: not
// less than we may use.
func (p *peer) peerPoll() int8 {
	if !p.HasReport {
		return p.Poll
	}
	return min(max(p.packet().Poll, p.MinPoll), 17)
}

// heard is when the source was last heard of.
func (p *peer) heard() ntp.Timestamp {
	switch {
	case p.HasReport:
		return stampOf(p.Report.Time)
	case p.Samples.N > 0 && p.Samples.LastAge >= 0:
		return ntp.FromInstant(p.v.Served.Add(clock.Seconds(-p.Samples.LastAge)))
	}
	return 0
}

func putSinceHeard(t *text, name string, p *peer) {
	if at := p.heard(); at != 0 {
		t.uint(name, uint64(max(0, p.v.served().Sub(at.Served()).Seconds())))
	}
}

// offset is the estimate, which is what ntpd's clock filter makes; the newest
// sample as long as there is none.
func (p *peer) offset() float64 {
	if p.Samples.OffsetSD > 0 {
		return float64(p.Samples.Offset)
	}
	return float64(p.Samples.Last)
}

// flash tells which of ntpd's tests failed (ntp.h, BOGON1 to BOGON13).
func (p *peer) flash() (bits uint64) {
	failed := func(test source.Tests) bool { return p.HasReport && p.Report.Tests&test == 0 }
	for _, f := range []struct {
		bit uint64
		set bool
	}{
		{0x1, failed(source.TestDuplicate)},
		{0x2, failed(source.TestOrigin)},
		{0x4, failed(source.TestStamps)},
		{0x10, failed(source.TestAuth)},
		{0x20, failed(source.TestSynced)},
		{0x40, failed(source.TestDistance)},
		{0x200, p.Status == selection.Unsync || p.Status == selection.BadStratum},
		{0x400, p.Status == selection.TooFar},
		{0x800, failed(source.TestD)},
		{0x1000, p.Reach == 0},
	} {
		if f.set {
			bits |= f.bit
		}
	}
	return bits
}

// counted writes how many packets met one of these verdicts.
func counted(all ...source.Verdict) func(*text, string, *peer) {
	return func(t *text, name string, p *peer) {
		var n uint64
		for _, v := range all {
			n += p.Counts.Verdicts[v]
		}
		t.uint(name, n)
	}
}
