// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Who asks, and how often that is answered: the table and the limit of
// internal/clientlog, here for all processors together. Sets of eight records
// are chosen by a keyed hash, and whoever was silent for longest gives way. The
// heads of a set are one cache line, so a search touches two. Races between
// processors cost a count now and then, nothing else.
#pragma once

#include "counters.h"

enum { WAYS = 8, PACE_UNIT = 256, PACE_FLOOD = 25 * PACE_UNIT + 220 };

// What became of a request: user space may have answered one that was left to it
// over the limit, or not.
enum fate { HEARD, SILENT, UNTOLD };

struct head {
	u32 tag;  // of the hash; 0: free
	u32 last; // request, 2^20 ns; wraps
};

struct client {
	u64 hi, lo; // the prefix: ::ffff:a.b.c.d, or the first half of IPv6 and 1
	u64 full;   // when the bucket is full, ns
	u64 last;   // request, ns
	u64 octets;
	u32 hits, drops;
	s16 calm, hasty; // mean intervals, see clientlog.pace
	u8 seen, version;
	u8 fate; // of the last request
	u8 unused;
	u32 admitted; // generation of the policy that allowed it
	u32 unused2;
};

struct set {
	struct head heads[WAYS];
	struct client clients[WAYS];
};

struct {
	MAP_UINT(type, ARRAY);
	MAP_UINT(map_flags, MMAPABLE);
	MAP_UINT(max_entries, 64); // another when loaded
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct set);
} clients SEC(".maps");

const volatile u32 client_sets; // entries of clients
const volatile u64 hash_key[2];

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

#define SIP_ROUND(a, b, c, d)                                              \
	do {                                                               \
		a += b; c += d;                                            \
		b = ROTATE(b, 13) ^ a; d = ROTATE(d, 16) ^ c;              \
		a = ROTATE(a, 32);                                         \
		c += b; a += d;                                            \
		b = ROTATE(b, 17) ^ c; d = ROTATE(d, 21) ^ a;              \
		c = ROTATE(c, 32);                                         \
	} while (0)

// siphash is SipHash-1-3 of two words, clientlog.HashKey.Hash.
inlined u64 siphash(u64 m0, u64 m1)
{
	u64 a = hash_key[0] ^ 0x736f6d6570736575, b = hash_key[1] ^ 0x646f72616e646f6d;
	u64 c = hash_key[0] ^ 0x6c7967656e657261, d = hash_key[1] ^ 0x7465646279746573;
	d ^= m0;
	SIP_ROUND(a, b, c, d);
	a ^= m0;
	d ^= m1;
	SIP_ROUND(a, b, c, d);
	a ^= m1;
	d ^= 16ULL << 56;
	SIP_ROUND(a, b, c, d);
	a ^= 16ULL << 56;
	c ^= 0xff;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

// way_of returns the way with the tag plus one, 0 if there is none, and the way
// to give up otherwise. Neither branches: the verifier would follow all ways.
inlined u32 way_of(const struct set *s, u32 tag)
{
	u64 found = 0;
	for (u64 i = 0; i < WAYS; i++) {
		u64 same = ((u64)(s->heads[i].tag ^ tag) - 1) >> 63;
		found |= same * (i + 1);
	}
	return found & 15;
}

inlined u32 oldest_way(const struct set *s, u32 at)
{
	u64 most = 0;
	for (u64 i = 0; i < WAYS; i++) {
		u64 free = ((u64)s->heads[i].tag - 1) >> 63;
		u64 age = (u64)(at - s->heads[i].last) << 3 | free << 36 | i;
		u64 d = age - most;
		most += d & ~((s64)d >> 63);
	}
	return most & (WAYS - 1);
}

// seat is where the record of a client is, or would be.
struct seat {
	u64 hi, lo; // the prefix, clientlog.PrefixOf's
	u32 tag, at;
	struct set *set;
	struct client *client; // 0: there is none
};

// find_client finds the seat of an address in network order.
inlined void find_client(struct seat *s, u64 hi, u64 lo, int v6, u64 now)
{
	s->hi = be64(hi);
	s->lo = v6 ? 1 : be64(lo);
	u64 hash = siphash(s->hi, s->lo);
	u32 index = (hash >> 32) * client_sets >> 32;
	s->tag = (u32)hash | 1;
	s->at = now >> 20;
	s->client = 0;
	s->set = map_lookup(&clients, &index);
	if (!s->set)
		return;
	u32 way = way_of(s->set, s->tag);
	struct client *c = &s->set->clients[(way - 1) & (WAYS - 1)];
	if (likely(way && c->hi == s->hi && c->lo == s->lo)) {
		s->set->heads[(way - 1) & (WAYS - 1)].last = s->at;
		s->client = c;
	}
}

// new_client gives the seat to the client; whoever had it gives way.
inlined struct client *new_client(const struct seat *s)
{
	if (!s->set)
		return 0;
	u32 way = oldest_way(s->set, s->at);
	struct client *c = &s->set->clients[way];
	__builtin_memset(c, 0, sizeof(*c));
	c->hi = s->hi;
	c->lo = s->lo;
	s->set->heads[way].last = s->at;
	s->set->heads[way].tag = s->tag;
	return c;
}

// pace_of is clientlog.paceOf of n above 0: log2 times 256.
inlined s16 pace_of(u64 n)
{
	u32 whole = log2_of(n);
	u32 pace = whole * PACE_UNIT + ((n << (63 - whole) << 1) >> 56);
	return pace ? pace : 1;
}

inlined s16 paced(s16 mean, u64 n)
{
	s32 v = pace_of(n);
	if (!mean)
		return v;
	s32 d = v - mean;
	return mean + (d < 0 ? -(-d >> 2) : d >> 2);
}

// note counts a request, before it is known what becomes of it.
inlined void note(struct client *c, u32 version, u32 len, u64 now)
{
	if (c->hits && now > c->last) {
		if (c->fate == SILENT)
			c->hasty = paced(c->hasty, now - c->last);
		else if (c->fate == HEARD)
			c->calm = paced(c->calm, now - c->last);
	}
	c->last = now;
	c->octets += len;
	if (c->hits != ~0U)
		c->hits++;
	if (version)
		c->seen |= 1 << (version - 1);
	c->version = version;
	c->fate = HEARD;
}
