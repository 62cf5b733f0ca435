// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// When a packet arrived by the clock of the card, and what time that was by ours:
// user space compares the two clocks and draws a line from one to the other.
#pragma once

#include "counters.h"

struct hardware_line {
	u64 clock; // of the card, ns, from which on the line holds
	u64 tai;   // CLOCK_TAI at that instant, ns
	u64 lease; // ns for which it does, below 2^32; 0: nothing is known
	s64 rate;  // of CLOCK_TAI beyond the card's, 2^-32
};

enum { LINES = 4, LATEST = 1000000 };

struct hardware {
	struct hardware_line lines[LINES];
	u32 index; // of the one in force
	u32 unused;
};

struct hardware hardwares[INTERFACES]; // by place

// The kernel's, for programs that are bound to an interface. Linux 6.3.
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, u64 *timestamp) __attribute__((section(".ksyms"), weak));

// earlier returns how long before now the card stamped the packet, 0 if that is not
// known. A stamp of the future or from long ago is none.
inlined u64 earlier(const struct xdp_md *ctx, u32 place, u64 now)
{
	u64 stamp = 0;
	if (bpf_xdp_metadata_rx_timestamp(ctx, &stamp) || !stamp)
		return 0;
	u32 key = place - 1;
	struct counters *c = map_lookup(&counts, &key);
	if (c)
		c->hardware++;
	const volatile struct hardware *h = &hardwares[(place - 1) & (INTERFACES - 1)];
	const volatile struct hardware_line *l = &h->lines[READ_ONCE(h->index) & (LINES - 1)];
	u64 d = stamp - l->clock;
	if (d >= l->lease)
		return 0;
	u64 before = now - (l->tai + d + ((s64)d * l->rate >> 32));
	return before < LATEST ? before : 0;
}
