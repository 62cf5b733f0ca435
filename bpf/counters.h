// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// What is counted: every packet once in each table of its interface and
// direction. Per processor, so nothing is locked and nothing is lost.
#pragma once

#include "packet.h"

// What became of a packet. The order is that of internal/fastpath's names.
enum verdict {
	SEEN,      // a packet that is nobody's request, or nothing is served here
	ANSWERED,
	KISSED,    // answered with a request to slow down
	DENIED,    // dropped: not allowed
	LIMITED,   // dropped: over the rate limit
	UP_FORM,   // left to user space: a VLAN, options, a fragment, a broken frame
	UP_LENGTH, // likewise: not 48 octets
	UP_VERSION,
	UP_INTERLEAVED,
	UP_ADDRESS, // not to one of our addresses, or from an impossible one
	UP_CHECKSUM,
	UP_LEASE, // nothing to serve, or not any more
	REWRITTEN, // egress: with a new transmit timestamp
	UNTIMELY,  // egress: a reply of ours whose timestamp was left alone
	VERDICTS = 16 // places, a power of two
};

enum { INTERFACES = 32, SIZES = 8, LOG2 = 32 };

struct counters {
	u64 verdicts[2][VERDICTS]; // by family
	u64 kinds[8][8];           // by version and mode
	u64 sizes[SIZES];          // by octets of NTP: see size_class
	u64 octets;                // of NTP
	u64 answers[8];            // of those answered here, by version; not another table of all
	u64 hardware;              // of those that came in, with a stamp of the card
};

struct {
	MAP_UINT(type, PERCPU_ARRAY);
	MAP_UINT(max_entries, 2 * INTERFACES); // ingress, egress
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct counters);
} counts SEC(".maps");

// Histograms of durations: bucket i has those below 2^i ns.
struct durations {
	u64 residence[LOG2];  // from a request's arrival to the reply's departure
	u64 correction[LOG2]; // by how much one-step was later than the reply's own timestamp
	u64 residence_sum;    // of all of them, ns
	u64 correction_sum;
};

struct {
	MAP_UINT(type, PERCPU_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct durations);
} histograms SEC(".maps");

// Interfaces, each with its place in counts plus one and whether requests are
// answered there. The place is data and not the number of a round, or the
// verifier would see as many programs.
struct interface {
	u32 ifindex;
	u32 place; // 0: none
	u32 serve;
	u32 unused;
	u64 mac;  // octets of a frame to this interface, as packet.mac has them
	u64 mask; // of those that count: the group's bit where there is no address
};

struct interface interfaces[INTERFACES];

// interface_of returns what is known of an interface, 0 for nothing.
inlined const struct interface *interface_of(u32 ifindex)
{
	for (u32 i = 0; i < INTERFACES; i++)
		if (READ_ONCE(interfaces[i].ifindex) == ifindex)
			return &interfaces[i];
	return 0;
}

inlined u32 size_class(u32 n)
{
	if (likely(n == NTP_HEADER))
		return 1;
	return n < NTP_HEADER ? 0 : n <= 72 ? 2 : n <= 128 ? 3 : n <= 256 ? 4 : n <= 512 ? 5 : n <= 1140 ? 6 : 7;
}

// count counts p as having become v. It is called once for each packet.
inlined void count(const struct packet *p, u32 slot, u32 v)
{
	struct counters *c = map_lookup(&counts, &slot);
	if (!c)
		return;
	c->verdicts[p->v6 & 1][v & (VERDICTS - 1)]++;
	c->kinds[p->lvm >> 3 & 7][p->lvm & 7]++;
	c->sizes[size_class(p->len) & (SIZES - 1)]++;
	c->octets += p->len;
	if (v == ANSWERED || v == KISSED)
		c->answers[p->lvm >> 3 & 7]++;
}

// log2_step moves n down by so many bits if it has more, without a branch.
inlined u32 log2_step(u64 *n, u32 bits)
{
	u64 above = *n >> bits;
	u32 shift = ((above | -above) >> 63) * bits;
	*n >>= shift;
	return shift;
}

// log2_of returns the whole part of the logarithm of n, 0 for 0.
inlined u32 log2_of(u64 n)
{
	u32 b = log2_step(&n, 32);
	b += log2_step(&n, 16);
	b += log2_step(&n, 8);
	b += log2_step(&n, 4);
	b += log2_step(&n, 2);
	return b + (n >> 1);
}

// bucket_of returns the bucket of a duration: one that is below 2^i ns.
inlined u32 bucket_of(u64 ns)
{
	u32 b = log2_of(ns << 1);
	return b < LOG2 ? b : LOG2 - 1;
}
