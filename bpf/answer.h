// SPDX-License-Identifier: Apache-2.0
//
// Answering a plain request where it came in: what internal/responder makes of
// the same request and state, octet for octet. A plain request is one whose
// answer needs nothing but the two: 48 octets, version 3 or 4, mode 3, and not in
// interleaved mode, which the lowest bit of the origin tells: it is 1 in our
// receive timestamps and 0 in our transmit timestamps.
#pragma once

#include "clients.h"
#include "policy.h"
#include "state.h"

// pace of one processor, so that one look at the clock does for both timestamps
// while it is busy.
struct turn {
	u64 last;  // arrival of the request before, ns
	u64 count; // of answers
	u64 mean;  // from the arrival to the answer, ns times 16
};

struct {
	MAP_UINT(type, PERCPU_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct turn);
} turns SEC(".maps");

enum {
	BUSY = 10000,    // ns between requests, below which a processor is busy
	LONGEST = 4000,  // ns that an answer takes at most, unless it was interrupted
	EVERY = 64,      // answers between two looks at how long one takes
};

// since returns how long after its arrival the answer to a request leaves the
// program, ns: measured when there is time, else the mean of what was.
inlined u32 since(u64 arrived)
{
	u32 zero = 0;
	struct turn *t = map_lookup(&turns, &zero);
	if (!t)
		return 0;
	u64 idle = arrived - t->last;
	t->last = arrived;
	if (idle < BUSY && t->count++ & (EVERY - 1))
		return t->mean >> 4;
	u64 took = ktime_tai_ns() - arrived;
	if (idle < BUSY && took < LONGEST)
		t->mean = t->mean ? t->mean - (t->mean >> 4) + took : took << 4;
	return took < LONGEST ? took : LONGEST;
}

// Sums of words for the Internet checksum, RFC 1071. clang leaves loops of
// inlined functions as they are, so these are written out.
inlined u64 sum2(const u32 *w) { return (u64)w[0] + w[1]; }
inlined u64 sum4(const u32 *w) { return sum2(w) + sum2(w + 2); }
inlined u64 sum5(const u32 *w) { return sum4(w) + w[4]; }
inlined u64 sum8(const u32 *w) { return sum4(w) + sum4(w + 4); }
inlined u64 sum14(const u32 *w) { return sum8(w) + sum4(w + 8) + sum2(w + 12); }

// sum_udp sums the header of UDP and what is behind.
inlined u64 sum_udp(const struct udp *u)
{
	_Static_assert(sizeof(*u) + NTP_HEADER == 14 * 4, "14 words");
	return sum14((const u32 *)u);
}

inlined u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

// pseudo completes the sum of the addresses by the length and the protocol: what
// is in the checksum of a packet that its sender leaves to others to complete.
inlined u64 pseudo(u64 addrs) { return addrs + be16(NTP_HEADER + sizeof(struct udp)) + be16(IP_UDP); }

// intact tells whether the checksum of UDP is right, or left to be completed.
inlined int intact(const struct udp *u, u64 addrs, int v6)
{
	u16 partial = fold(addrs);
	if (!u->checksum)
		return !v6;
	if (u->checksum == partial)
		return 1;
	return fold(addrs + sum_udp(u)) == 0xffff;
}

// write_reply turns the request n into the answer: its timestamps d ns after the
// base of s, and d + took.
inlined void write_reply(struct ntp *n, const volatile struct state *s, const volatile struct policy *l, u64 d, u32 took, int kiss)
{
	u32 random = random_u32(), fuzz = s->fuzz, more = random;
	u32 version = n->lvm & 0x38;
	u64 origin = (u64)n->transmit[1] << 32 | n->transmit[0];
	if (fuzz > 0xffff)
		more = random_u32();
	else
		more >>= 16;
	u64 receive = (timestamp(s, d) & ~(u64)fuzz) | (random & fuzz) | 1;
	u64 transmit = ((timestamp(s, d + took + s->lead) & ~(u64)fuzz) | (more & fuzz)) & ~1ULL;
	u64 asked = be64(origin);
	if (transmit == asked || !transmit)
		transmit += 2; // unlike every other timestamp in the answer
	s8 poll = n->poll, least = l->interval;
	if (l->period && poll < least)
		poll = least;
	n->poll = poll;
	n->precision = s->precision;
	n->origin[0] = origin;
	n->origin[1] = origin >> 32;
	receive = be64(receive);
	n->receive[0] = receive;
	n->receive[1] = receive >> 32;
	transmit = be64(transmit);
	n->transmit[0] = transmit;
	n->transmit[1] = transmit >> 32;
	if (kiss) {
		n->lvm = 0xc0 | version | NTP_SERVER;
		n->stratum = 0;
		n->root_delay = n->root_disp = n->reference[0] = n->reference[1] = 0;
		n->ref_id = be32(0x52415445); // RATE
		return;
	}
	u64 reference = be64(s->reference + ((s64)d * s->reference_rate >> 31));
	n->lvm = s->leap << 6 | version | NTP_SERVER;
	n->stratum = s->stratum;
	n->root_delay = s->root_delay;
	n->root_disp = be32(dispersion(s, d));
	n->ref_id = s->ref_id;
	n->reference[0] = reference;
	n->reference[1] = reference >> 32;
}

inlined void swap_ethernet(struct ethernet *e)
{
	for (int i = 0; i < 3; i++) {
		u16 x = e->to[i];
		e->to[i] = e->from[i];
		e->from[i] = x;
	}
}

inlined void turn_udp(struct udp *u)
{
	u16 x = u->from;
	u->from = u->to;
	u->to = x;
	u->checksum = 0;
}

inlined void finish_udp(struct udp *u, u64 addrs)
{
	u16 sum = ~fold(addrs + sum_udp(u));
	u->checksum = sum ? sum : 0xffff;
}
