// SPDX-License-Identifier: Apache-2.0

// Package daemon is foliotd: it reads the command line and the configuration,
// becomes a Unix daemon, and runs the engine in the Linux world.
//
// The one concept is the loop: one goroutine owns the engine, the clock and all
// sockets. Everything else (name resolution, signals, the control socket) puts
// its news into a queue and wakes the loop. So the engine needs no lock, and
// facts reach it in one order.
package daemon
