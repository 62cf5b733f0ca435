// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"

	"foliot/internal/ntp"
)

// basics are rows for every state: what answers say is checked in each.
var basics = []Row{
	{Name: "version 4", Steps: one(client4(), answer)},
	{Name: "version 3", Steps: one(ask(3, ntp.ModeClient), answer)},
	{Name: "version 1 without mode", Steps: one(ask(1, 0), answer)},
	{Name: "field", Steps: one(client4(monoRoot), answer.field())},
	{Name: "MAC", Steps: one(client4(mac(2, 0)), answer.mac(2, 20))},
	{Name: "field and MAC", Steps: one(client4(monoRoot, mac(5, 0)), answer.field().mac(5, 16))},
}

// local is what servers say that have only their own clock.
func local(stratum uint8) Says {
	return Says{Stratum: stratum, RefID: ntp.RefIDLocal, Reference: true, MinPoll: -128}
}

// following is what servers say that follow one of a stratum.
func following(upstream uint8) Says {
	return Says{
		Stratum: upstream + 1, RefID: ntp.RefIDOf(UpstreamAddr), Reference: true, MinPoll: -128,
		Delay: [2]float64{1e-6, 0.05}, Disp: [2]float64{1e-6, 16},
	}
}

// unsynchronised is what servers say that do not know the time.
var unsynchronised = Says{Leap: ntp.LeapUnsync, MinPoll: -128, Delay: [2]float64{1, 1}, Disp: [2]float64{1, 1}}

// States is the table.
func States() []State {
	all := []State{
		{Name: "following", Upstream: 3, Says: following(3), Rows: everything()},
		{Name: "unsynchronised", Says: unsynchronised, Rows: basics},
		{Name: "orphan", Config: "local stratum 6 orphan waitunsynced 0\n", Says: local(6), Rows: basics,
			Since: 407, Before: "local stratum 6 orphan\n"},
		smoothed(), announcing(ntp.LeapInsert), announcing(ntp.LeapDelete), clocked, forgetful,
	}
	for n := uint8(1); n <= 14; n++ {
		if n != 3 {
			all = append(all, State{Name: fmt.Sprint("following stratum ", n), Upstream: n, Says: following(n), Rows: basics[:1]})
		}
	}
	for _, n := range []uint8{1, 10, 15} {
		all = append(all, State{Name: fmt.Sprint("local stratum ", n), Config: fmt.Sprintf("local stratum %d\n", n), Says: local(n), Rows: basics})
	}
	return append(all, limited()...)
}

// smoothed is smoothtime at work.
func smoothed() State {
	says := following(2)
	says.RefID = ntp.RefIDSmooth
	rows := append([]Row{{Name: "symmetric", Steps: one(ask(4, ntp.ModeActive), answer)}}, basics...)
	return State{
		Name: "smoothed", Upstream: 2, Config: "smoothtime 400 0.001\n", Says: says, Rows: rows,
		NoChrony: "time is said to be smoothed only while that moves it by more than the clock's resolution",
	}
}

// announcing is a server that knows of a leap second at the end of the month.
func announcing(leap ntp.Leap) State {
	says := following(2)
	says.Leap = leap
	return State{
		Name: fmt.Sprint("leap ", leap), Says: says, Rows: basics,
		OnlyCore: "leap seconds are announced on two days of the year",
	}
}

// clocked is a server with a reference clock.
var clocked = State{
	Name: "reference clock", Rows: basics, OnlyCore: "there is no reference clock here",
	Says: Says{
		Stratum: 1, RefID: 'P'<<24 | 'P'<<16 | 'S'<<8, Reference: true, MinPoll: -128,
		Delay: [2]float64{0, 1e-4}, Disp: [2]float64{1e-6, 1e-3},
	},
}

// forgetful is a server without memory of clients, which leaves out the
// interleaved mode.
var forgetful = State{
	Name: "noclientlog", Config: "local stratum 4\nnoclientlog\n", Says: local(4),
	Rows: []Row{{Name: "interleaved", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1)), Want: answer},
	}}},
}

func everything() []Row {
	var all []Row
	for _, rows := range [][]Row{basics, modes(), headers, stampRows, interleavedRows, macs(), fields, lengths, senders} {
		all = append(all, rows...)
	}
	return all
}

// modes are all modes and versions, from the NTP port and from others.
func modes() []Row {
	var all []Row
	for version := range uint8(8) {
		for mode := range ntp.Mode(8) {
			for _, port := range []uint16{123, 124, 20123} {
				want := none
				known := version >= 1 && version <= 4
				switch {
				case known && (mode == ntp.ModeClient || mode == ntp.ModeActive):
					want = answer
				case version == 1 && mode == ntp.ModeReserved && port != 123:
					want = answer
				}
				all = append(all, Row{
					Name:  fmt.Sprintf("version %d mode %d from port %d", version, mode, port),
					Steps: from(From{Port: port}, ask(version, mode), want),
				})
			}
		}
	}
	return all
}

const lowestPoll = "without a rate limit there is nothing to say about the interval, and the request's is repeated " +
	"(RFC 5905 section A.5.3.1, fast_xmit)"

// headers are what a server takes over from the header, and what it does not.
var headers = []Row{
	{Name: "poll 0", Steps: one(client4(poll(0)), answer)},
	{Name: "poll -1", Steps: one(client4(poll(-1)), answer)},
	{Name: "poll -19", Steps: one(client4(poll(-19)), answer)},
	{Name: "poll -20", Steps: one(client4(poll(-20)), answer), But: but(Chronyd, lowestPoll, answer.polls(-19))},
	{Name: "poll -128", Steps: one(client4(poll(-128)), answer), But: but(Chronyd, lowestPoll, answer.polls(-19))},
	{Name: "poll 17", Steps: one(client4(poll(17)), answer)},
	{Name: "poll 127", Steps: one(client4(poll(127)), answer)},
	{Name: "fields of the header all ones", Steps: one(client4(garbage(0xff)), answer)},
	{Name: "unsynchronised client", Steps: one(client4(garbage(0xc0)), answer)},
	{Name: "stratum 16", Steps: one(client4(garbage(0x10)), answer)},
	{Name: "symmetric, header all ones", Steps: one(ask(4, ntp.ModeActive, garbage(0xff)), answer)},
}

const even, odd ntp.Timestamp = 0xe1234567_89abcdee, 0xe1234567_89abcdef

// stampRows are timestamps of requests that name no answer.
var stampRows = []Row{
	{Name: "all timestamps zero", Steps: one(client4(transmit(0)), answer)},
	{Name: "even origin", Steps: one(client4(stamps(even, 0)), answer)},
	{Name: "odd origin", Steps: one(client4(stamps(odd, 0)), answer)},
	{Name: "odd origin, receive", Steps: one(client4(stamps(odd, even)), answer)},
	{Name: "odd origin, receive equals transmit", Steps: one(client4(stamps(odd, odd), transmit(odd)), answer)},
	{Name: "all timestamps equal and even", Steps: one(client4(stamps(even, even), transmit(even)), answer)},
	{Name: "odd transmit", Steps: one(client4(transmit(odd)), answer)},
	{Name: "even transmit", Steps: one(client4(transmit(even)), answer)},
	{Name: "symmetric, odd origin", Steps: one(ask(4, ntp.ModeActive, stamps(odd, even)), answer)},
}

// senders are who asks.
var senders = []Row{
	{Name: "denied", Steps: from(From{Denied: true}, client4(), none)},
	{Name: "denied over IPv6", Steps: from(From{Denied: true, V6: true}, client4(), none)},
	{Name: "denied with a MAC", Steps: from(From{Denied: true}, client4(mac(1, 0)), none)},
	{Name: "IPv6", Steps: from(From{V6: true}, client4(), answer)},
	{Name: "IPv6, field and MAC", Steps: from(From{V6: true}, client4(monoRoot, mac(2, 0)), answer.field().mac(2, 20))},
	{Name: "port 1", Steps: from(From{Port: 1}, client4(), answer)},
	{Name: "port 123", Steps: from(From{Port: 123}, client4(), answer)},
}
