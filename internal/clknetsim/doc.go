// SPDX-License-Identifier: Apache-2.0

// Package clknetsim is the world of the clknetsim simulator: it lets an engine
// be one node of a clknetsim network, beside other daemons, on a clock and links
// that none of us wrote. Everything but this comment is behind the build tag
// clknetsim; production binaries do not contain it.
//
// The one concept: simulated time stands still except while a node waits in the
// simulator's select. So a single goroutine asks the server to wait until the
// engine's next deadline or a datagram, tells the engine what happened, carries
// out its actions and waits again. Every reading of the clock is one that came
// with the server's last answer, and is exact.
//
// [Conn] speaks the protocol; [World] is the engine's world; [Run] joins the
// network and stays until the simulation ends or the engine does. Sockets of
// other kinds than NTP's (command sockets, TCP) and reference clocks are not
// here, though Conn knows the requests that the latter need.
package clknetsim
