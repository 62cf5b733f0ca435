// SPDX-License-Identifier: Apache-2.0

package conformance

import "foliot/internal/ntp"

// interleavedRows are requests that name an answer before (RFC 9769 section 2).
// The third answer is the first that can be interleaved: the second request is
// the first that shows what the client wants.
var interleavedRows = []Row{
	{Name: "interleaved", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
		{Ask: client4(repeats(2)), Want: answer.interleaved()},
		{Ask: client4(repeats(3)), Want: answer.interleaved()},
	}},
	{Name: "interleaved with field and MAC", Steps: []Step{
		{Ask: client4(monoRoot, mac(2, 0)), Want: answer.field().mac(2, 20)},
		{Ask: client4(repeats(0), monoRoot, mac(2, 0)), Want: answer.field().mac(2, 20)},
		{Ask: client4(repeats(1), monoRoot, mac(2, 0)), Want: answer.field().mac(2, 20).interleaved()},
	}},
	{Name: "a timestamp answers one request", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
		{Ask: client4(repeats(1)), Want: answer},
		{Ask: client4(repeats(1)), Want: answer},
	}},
	{Name: "an older answer", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
		{Ask: client4(repeats(2)), Want: answer.interleaved()},
	}},
	{Name: "basic between interleaved", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
	}},
	{Name: "basic, as ntpd asks", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(follows(0)), Want: answer},
		{Ask: client4(follows(1)), Want: answer},
		{Ask: client4(repeats(2)), Want: answer},
	}},
	{Name: "receive equals transmit", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1), same), Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
	}},
	{Name: "receive is zero", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1), unreceived), Want: answer},
	}, But: but(Chronyd, "the origin of an interleaved answer would be zero, which says for no request that it is answered",
		answer, answer, answer.interleaved())},
	{Name: "version 3", Steps: []Step{
		{Ask: ask(3, ntp.ModeClient), Want: answer},
		{Ask: ask(3, ntp.ModeClient, repeats(0)), Want: answer},
		{Ask: ask(3, ntp.ModeClient, repeats(1)), Want: answer},
	}},
	{Name: "symmetric", Steps: []Step{
		{Ask: ask(4, ntp.ModeActive), Want: answer},
		{Ask: ask(4, ntp.ModeActive, repeats(0)), Want: answer},
		{Ask: ask(4, ntp.ModeActive, repeats(1)), Want: answer},
	}, But: but(Chronyd, "a peer in interleaved mode needs an association, which also knows what it sent; "+
		"one that we do not know is answered in basic mode", answer, answer, answer.interleaved())},
	{Name: "from another port", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1)), From: From{Port: 40124}, Want: answer.interleaved()},
	}},
	{Name: "from another address", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1)), From: From{Another: true}, Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
	}, But: but(Chronyd, "a timestamp is for the client alone that got it: nobody else learns it or uses it up",
		answer, answer, answer.interleaved(), answer)},
	{Name: "guessed origins", Steps: []Step{
		{Ask: client4(), Want: answer},
		{Ask: client4(repeats(0)), Want: answer},
		{Ask: client4(repeats(1), near(2)), Want: answer},
		{Ask: client4(repeats(1), near(-2)), Want: answer},
		{Ask: client4(repeats(1), near(1)), Want: answer},
		{Ask: client4(repeats(1)), Want: answer.interleaved()},
	}},
	{Name: "forged MAC", Steps: []Step{
		{Ask: client4(mac(1, 0)), Want: answer.mac(1, 16)},
		{Ask: client4(repeats(0), mac(1, 0)), Want: answer.mac(1, 16)},
		{Ask: client4(repeats(1), forged(1)), Want: none},
		{Ask: client4(repeats(1), mac(1, 0)), Want: answer.mac(1, 16).interleaved()},
	}},
}

// same makes receive and transmit timestamp equal.
func same(d *draft) { d.p.Receive = d.p.Transmit }

func unreceived(d *draft) { d.p.Receive = 0 }

// near moves the origin by so many units.
func near(n int64) option { return func(d *draft) { d.p.Origin += ntp.Timestamp(n) } }
