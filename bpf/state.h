// SPDX-License-Identifier: Apache-2.0
//
// What is served: the snapshot of the engine as a line through CLOCK_TAI, and
// for how long it may be. User space writes the next slot and then turns the
// index. There are so many that none is written again while a program that was
// held up still reads it.
#pragma once

#include "kernel.h"

struct state {
	u64 base;      // CLOCK_TAI, ns, from which on the rest holds
	u64 lease;     // ns for which it does, below 2^32; 0: nothing is served
	u64 served;    // NTP timestamp at base
	s64 rate;      // of served beyond 4 units per ns, 2^-31 units per ns
	u64 reference; // reference timestamp at base
	s64 reference_rate; // 2^-31 units per ns
	u64 disp;      // root dispersion at base, 2^-48 s
	s64 disp_rate; // 2^-48 s per ns, times 2^16
	u32 root_delay, ref_id; // in network order
	u32 fuzz;      // bits of a timestamp that tell nothing
	u8 leap, stratum;
	s8 precision;
	u8 unused;
	u32 lead;      // ns from the last look at the clock to the wire, of XDP_TX
	u32 late;      // likewise behind tcx
};

enum { STATES = 16 };

struct state states[STATES];
u32 state_index;

// current returns the state in force.
inlined const volatile struct state *current_state(void) { return &states[READ_ONCE(state_index) & (STATES - 1)]; }

// timestamp returns the served time d ns after the base; d is below 2^32.
inlined u64 timestamp(const volatile struct state *s, u64 d)
{
	return s->served + (d << 2) + ((s64)d * s->rate >> 31);
}

// dispersion returns the root dispersion then, rounded up to the short format.
inlined u32 dispersion(const volatile struct state *s, u64 d)
{
	u64 v = s->disp + ((s64)d * s->disp_rate >> 16);
	return (v + 0xffffffff) >> 32;
}
