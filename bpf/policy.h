// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Whom to answer, and how often: what acl.Table and clientlog.Limit say. User
// space waits until no program uses the other trie any more, fills it, writes the
// slot that belongs to it and turns the index.
#pragma once

#include "clients.h"

struct policy {
	u64 period; // ns for a token of the limit, 0 for no limit
	u64 size;   // ns for a bucket
	u32 leak, kiss; // masks of random bits, see clientlog.Limit
	u8 kisses;
	s8 interval; // log2 s between answers, at least
	u8 unused[2];
	u32 generation; // from 1 on, of each policy another; 0: none was set, nothing is served
};

struct policy policies[2];
u32 policy_index; // of policies, and of the tries

struct prefix {
	u32 bits; // of 128; those of IPv4 are 96 more
	u8 addr[16];
};

enum { MAX_PREFIXES = 262144 }; // memory is taken for those that are there only

#define TRIE                                        \
	struct {                                    \
		MAP_UINT(type, LPM_TRIE);           \
		MAP_UINT(max_entries, MAX_PREFIXES); \
		MAP_UINT(map_flags, NO_PREALLOC);   \
		MAP_TYPE(key, struct prefix);       \
		MAP_TYPE(value, u32);               \
	}

TRIE access0 SEC(".maps");
TRIE access1 SEC(".maps");

// allowed tells whether an address may ask.
inlined int allowed(u64 hi, u64 lo, u32 index)
{
	struct { u32 unused, bits; u64 addr[2]; } whole = {0, 128, {hi, lo}};
	void *key = &whole.bits; // they stand right before the address
	u32 *yes = index ? map_lookup(&access1, key) : map_lookup(&access0, key);
	return yes && *yes;
}

enum decision { PASS, DROP, KISS };

// impatient is clientlog.Record.impatient.
inlined int impatient(const struct client *c)
{
	s32 hasty = c->hasty, calm = c->calm;
	if (!hasty || !calm)
		return 0;
	hasty = hasty > PACE_FLOOD ? hasty : PACE_FLOOD;
	calm = calm > PACE_FLOOD ? calm : PACE_FLOOD;
	return hasty < calm - PACE_UNIT;
}

// charge takes a token out of the bucket of c, or returns false if there is none.
inlined int charge(const volatile struct policy *l, struct client *c, u64 now)
{
	u64 period = l->period, size = l->size;
	u64 ahead = c->full > now ? c->full - now : 0; // of now, when the bucket is full
	if (ahead > size)
		ahead = 0;
	if (unlikely(ahead + period > size))
		return 0;
	c->full = now + ahead + period;
	return 1;
}

// judge is clientlog.Limit.judge: what becomes of a request.
inlined u32 judge(const volatile struct policy *l, struct client *c, u64 now)
{
	if (!l->period || likely(charge(l, c, now)))
		return PASS;
	u32 bits = random_u32();
	int silent = (bits & l->leak) != 0;
	if (impatient(c))
		silent = !silent;
	if (!silent) {
		c->full = now + l->size;
		return PASS;
	}
	if (l->kisses && !(bits >> 16 & l->kiss))
		return KISS;
	c->fate = SILENT;
	if (c->drops != ~0U)
		c->drops++;
	return DROP;
}

// Addresses of ours, in sets of four chosen by user space's seed.
enum { OWN_SETS = 256, OWN_WAYS = 4 };

struct own {
	u64 hi, lo;  // network order; IPv4 is ::ffff:a.b.c.d
	u32 ifindex; // 0: reached by whatever interface
	u32 used;
};

struct own_set {
	struct own at[OWN_WAYS];
};

struct {
	MAP_UINT(type, ARRAY);
	MAP_UINT(max_entries, OWN_SETS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct own_set);
} own SEC(".maps");

inlined int is_own(u64 hi, u64 lo, u32 ifindex)
{
	u64 h = (hi ^ lo ^ (lo >> 32)) * 0x9e3779b97f4a7c15;
	u32 index = h >> 56;
	struct own_set *s = map_lookup(&own, &index);
	if (!s)
		return 0;
	for (int i = 0; i < OWN_WAYS; i++) {
		struct own *o = &s->at[i];
		if (o->lo == lo && o->hi == hi && o->used && (!o->ifindex || o->ifindex == ifindex))
			return 1;
	}
	return 0;
}
