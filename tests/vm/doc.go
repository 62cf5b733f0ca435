// SPDX-License-Identifier: Apache-2.0

// Package vm runs the packages on virtual machines, whose clocks a test may set
// and whose kernels are steered: `make test-vm`. Its tests have the build tag vm
// and no part in `make test`. It is not for what namespaces or the simulator show.
//
// The one concept: the tests run outside, where the time is true. They talk to an
// agent in each machine over a serial line that works without its network, and
// read all clocks against the one clock out here.
package vm
