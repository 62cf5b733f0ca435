// SPDX-License-Identifier: Apache-2.0

package conformance

import "foliot/internal/ntp"

// limited are servers with a rate limit. Clients of rows ask once, those of limit
// rows as fast as they can.
func limited() []State {
	usual, kissing := local(5), local(5)
	usual.MinPoll, kissing.MinPoll = 3, 10
	rows := []Row{
		{Name: "poll below the interval", Steps: one(client4(poll(-6)), answer)},
		{Name: "poll 2", Steps: one(client4(poll(2)), answer)},
		{Name: "poll 4", Steps: one(client4(poll(4)), answer)},
		{Name: "poll 17", Steps: one(client4(poll(17)), answer)},
		{Name: "version 1", Steps: one(ask(1, 0, poll(0)), answer)},
		{Name: "symmetric", Steps: one(ask(4, ntp.ModeActive, poll(0)), answer)},
	}
	return []State{
		{
			Name: "ratelimit", Config: "local stratum 5\nratelimit\n", Says: usual, Rows: rows,
			Limits: []LimitRow{
				{Name: "burst of 8, then one in 4", Clients: 1, Burst: 8, Requests: 400, Answers: [2]int{50, 150}, Ask: client4(), Want: answer},
			},
		},
		{
			Name: "ratelimit leak 4", Config: "local stratum 5\nratelimit interval 3 burst 5 leak 4\n", Says: usual,
			Limits: []LimitRow{
				{Name: "the burst and no more", Clients: 24, Burst: 5, Requests: 1, Answers: [2]int{0, 10}, Ask: client4(), Want: answer},
			},
		},
		{
			Name: "ratelimit leak 1 burst 1", Config: "local stratum 5\nratelimit interval 3 burst 1 leak 1\n", Says: usual,
			Limits: []LimitRow{
				{Name: "one, then one in 2", Clients: 1, Burst: 1, Requests: 200, Answers: [2]int{60, 140}, Ask: client4(), Want: answer},
			},
		},
		{
			Name: "ratelimit kod 1", Config: "local stratum 5\nratelimit interval 10 burst 4 leak 4 kod 1\n", Says: kissing,
			Since: 406, // ratelimit has no kod before
			Limits: []LimitRow{
				{Name: "kisses", Clients: 1, Burst: 4, Requests: 200, Answers: [2]int{60, 150}, Kisses: [2]int{50, 140}, Ask: client4(), Want: answer},
				{Name: "kisses with field and MAC", Clients: 1, Burst: 4, Requests: 100, Answers: [2]int{25, 85}, Kisses: [2]int{20, 80},
					Ask: client4(monoRoot, mac(2, 0)), Want: answer.field().mac(2, 20)},
				{Name: "kisses for version 3", Clients: 1, Burst: 4, Requests: 100, Answers: [2]int{25, 85}, Kisses: [2]int{20, 80},
					Ask: ask(3, ntp.ModeClient), Want: answer},
				{Name: "no kisses without a valid MAC", Clients: 1, Requests: 50, Ask: client4(forged(1)), Want: none},
			},
		},
	}
}
