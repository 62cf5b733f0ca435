// SPDX-License-Identifier: Apache-2.0
//
// When packets passed: the arrival of each packet that goes up to a socket, and
// the departure that one-step wrote, kept for a while in one of many places
// chosen by a hash of what names the exchange. Who comes too late finds the
// packet of somebody else there, and sees that by the tag.
#pragma once

#include "counters.h"

struct stamp {
	u64 tag;     // hash of the exchange: client, its port, its transmit timestamp
	u64 arrived; // ns of the programs' clock, CLOCK_TAI where there is one
	u64 left;    // 0: not yet
};

enum { STAMPS = 16384 };

struct {
	MAP_UINT(type, ARRAY);
	MAP_UINT(map_flags, MMAPABLE);
	MAP_UINT(max_entries, STAMPS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct stamp);
} stamps SEC(".maps");

// exchange_tag names an exchange; all in network order but the port.
inlined u64 exchange_tag(u64 hi, u64 lo, u16 port, u64 transmit)
{
	u64 h = (hi ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
	h = (h ^ h >> 32 ^ lo) * 0xc4ceb9fe1a85ec53;
	h = (h ^ h >> 29 ^ transmit) * 0xff51afd7ed558ccd;
	h = (h ^ h >> 32 ^ port) * 0xc4ceb9fe1a85ec53;
	return h ^ h >> 32;
}

inlined struct stamp *stamp_of(u64 tag)
{
	u32 index = tag & (STAMPS - 1);
	return map_lookup(&stamps, &index);
}

inlined void put_arrival(u64 tag, u64 now)
{
	struct stamp *s = stamp_of(tag);
	if (!s)
		return;
	s->left = 0;
	s->arrived = now;
	s->tag = tag;
}
