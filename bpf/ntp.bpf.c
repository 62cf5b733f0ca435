// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// NTP at the edge of the kernel. On the way in (XDP) every packet from or to UDP
// port 123 is counted and stamped, and plain requests are answered on the spot;
// on the way out (tcx) it is counted, and replies of ours are given the time at
// which they really leave. Whatever is in doubt goes on as if nothing was here:
// the sockets of user space are the whole server, this is its short cut.

#include "answer.h"
#include "clients.h"
#include "counters.h"
#include "hardware.h"
#include "kernel.h"
#include "packet.h"
#include "policy.h"
#include "stamps.h"
#include "state.h"

// Is there CLOCK_TAI for programs? Without it they only observe.
const volatile u8 has_tai;

// Rewrite transmit timestamps?
u32 onestep;

// The traffic class of answers: a DSCP, twice shifted.
u32 traffic_class;

enum { HOPS = 64 };

#define SECOND (1ULL << 32) // in units of NTP timestamps

inlined u64 now_ns(void) { return has_tai ? ktime_tai_ns() : ktime_ns(); }

// form_of tells what keeps p from being a plain request, ANSWERED if nothing does.
inlined u32 form_of(const struct packet *p)
{
	u32 version = p->lvm >> 3 & 7;
	if (unlikely(p->odd || !p->from_port))
		return UP_FORM;
	if (p->len != NTP_HEADER)
		return UP_LENGTH;
	if (version != 3 && version != 4)
		return UP_VERSION;
	return ANSWERED;
}

// asks tells whether p is a request to the responder, which keeps no records of who
// sends anything else either.
inlined int asks(const struct packet *p)
{
	u32 version = p->lvm >> 3 & 7, mode = p->lvm & 7;
	if (p->to_port != NTP_PORT || p->len < NTP_HEADER || p->len > NTP_LONGEST || p->len & 3)
		return 0;
	if (!version || version > NTP_VERSIONS)
		return 0;
	return mode == NTP_CLIENT || mode == NTP_ACTIVE || (mode == NTP_RESERVED && version == 1 && p->from_port != NTP_PORT);
}

// interleaved is the responder's view of it, which looks at version 4 only.
inlined int interleaved(const struct ntp *n)
{
	return (n->lvm >> 3 & 7) == 4 && n->origin[1] & be32(1) &&
	       (n->receive[0] != n->transmit[0] || n->receive[1] != n->transmit[1]);
}

// What follows the Ethernet header, which is 14 octets: a struct of all would have
// a gap.
struct answer4 {
	struct ipv4 ip;
	struct udp udp;
	struct ntp ntp;
};

struct answer6 {
	struct ipv6 ip;
	struct udp udp;
	struct ntp ntp;
};

// question is what is known of a request until it is answered.
struct question {
	const volatile struct state *state;
	const volatile struct policy *policy;
	u64 arrived; // here, ns
	u64 early;   // how long before that the card saw it, ns; 0: not known
	u64 age;     // of the state then, ns
	u64 mac, mac_mask; // whom frames to this interface are for
	u32 ifindex, policy_index;
	u32 form; // what keeps it from being answered here, ANSWERED if nothing does
	u32 noted; // its client has been
};

// foreign tells whether the frame is for another host, or for several: a switch that
// floods and an interface that hears all bring those too, and the stack drops them.
inlined int foreign(const struct packet *p, const struct question *q) { return ((p->mac ^ q->mac) & q->mac_mask) != 0; }

// What admit is told of a request, in one word: its form, and the bits of these.
enum { ABOUT_V6 = 1 << 8, ABOUT_POLICY = 1 << 9, ABOUT_VERSION = 10, ABOUT_NOTHING = 1 << 13, ABOUT_LEN = 16 };

// admit keeps the client's record, if there is to be one, and decides by who asks if the form is not
// SEEN. Requests that go up take tokens out of the same bucket, but user space is
// to decide about those beyond the limit, with its own bucket: if both did, of
// those that leak through here again only some would there. It is no part of its
// caller for the verifier, or each way there would be multiplied by each way
// through it.
__attribute__((noinline)) u32 admit(u64 hi, u64 lo, u64 now, u32 about)
{
	u32 form = about & 0xff, v6 = about & ABOUT_V6, index = !!(about & ABOUT_POLICY);
	const volatile struct policy *l = &policies[index];
	struct seat seat;
	find_client(&seat, hi, lo, v6, now);
	struct client *c = seat.client;
	// The record of an IPv4 client remembers that it was allowed. That of an IPv6
	// client is about a network, and rules may be about less.
	int known = c && !v6 && c->admitted && c->admitted == l->generation;
	if (!known && !allowed(hi, lo, index))
		return form == SEEN ? SEEN : DENIED;
	if (about & ABOUT_NOTHING)
		return form;
	if (!c)
		c = new_client(&seat);
	if (!c)
		return form;
	note(c, about >> ABOUT_VERSION & 7, about >> ABOUT_LEN, now);
	if (form == SEEN)
		return SEEN;
	c->admitted = l->generation;
	if (form != ANSWERED) {
		if (l->period && !charge(l, c, now))
			c->fate = UNTOLD;
		return form;
	}
	u32 d = judge(l, c, now);
	return d == DROP ? LIMITED : d == KISS ? KISSED : ANSWERED;
}

inlined u32 ask(const struct packet *p, struct question *q)
{
	u32 about = q->form | (p->v6 ? ABOUT_V6 : 0) | (q->policy_index ? ABOUT_POLICY : 0);
	if (q->form != ANSWERED && !asks(p))
		about |= ABOUT_NOTHING;
	q->noted = 1;
	return admit(p->peer_hi, p->peer_lo, q->arrived, about | (p->lvm >> 3 & 7) << ABOUT_VERSION | p->len << ABOUT_LEN);
}

inlined u32 answer_ipv4(struct ethernet *eth, void *end, const struct packet *p, struct question *q)
{
	struct answer4 *a = (void *)(eth + 1);
	if ((void *)(a + 1) > end)
		return UP_FORM;
	struct ipv4 *ip = &a->ip;
	u8 first = ip->from;
	if (!first || first == 127 || first >= 224 || !is_own(0, p->to_lo, q->ifindex))
		return UP_ADDRESS;
	u64 addrs = pseudo(sum2(&ip->from));
	if (q->form == ANSWERED) {
		if (ip->length != be16(sizeof(*ip) + sizeof(a->udp) + NTP_HEADER))
			return UP_FORM;
		if (fold(sum5((const u32 *)ip)) != 0xffff || !intact(&a->udp, addrs, 0))
			return UP_CHECKSUM;
		if (interleaved(&a->ntp))
			q->form = UP_INTERLEAVED;
	}
	u32 v = ask(p, q);
	if (v != ANSWERED && v != KISSED)
		return v;
	swap_ethernet(eth);
	u32 from = ip->from;
	ip->from = ip->to;
	ip->to = from;
	ip->tos = READ_ONCE(traffic_class);
	ip->id = 0;
	ip->fragment = be16(IP_DONT_FRAGMENT);
	ip->ttl = HOPS;
	ip->checksum = 0;
	ip->checksum = ~fold(sum5((const u32 *)ip));
	turn_udp(&a->udp);
	write_reply(&a->ntp, q->state, q->policy, q->age, q->early, since(q->arrived), v == KISSED);
	finish_udp(&a->udp, addrs);
	return v;
}

// impossible tells whether no client can have the address: none, loopback,
// IPv4 in IPv6, multicast.
inlined int impossible(const u32 *addr)
{
	return (u8)addr[0] == 0xff || (!addr[0] && !addr[1] && (!addr[2] || addr[2] == be32(0xffff)));
}

inlined u32 answer_ipv6(struct ethernet *eth, void *end, const struct packet *p, struct question *q)
{
	struct answer6 *a = (void *)(eth + 1);
	if ((void *)(a + 1) > end)
		return UP_FORM;
	struct ipv6 *ip = &a->ip;
	if (impossible(ip->from) || !is_own(p->to_hi, p->to_lo, q->ifindex))
		return UP_ADDRESS;
	u64 addrs = pseudo(sum8(ip->from));
	if (q->form == ANSWERED) {
		if (ip->length != be16(sizeof(a->udp) + NTP_HEADER) || (ip->version_class_flow & 0xf0) != 0x60)
			return UP_FORM;
		if (!intact(&a->udp, addrs, 1))
			return UP_CHECKSUM;
		if (interleaved(&a->ntp))
			q->form = UP_INTERLEAVED;
	}
	u32 v = ask(p, q);
	if (v != ANSWERED && v != KISSED)
		return v;
	swap_ethernet(eth);
	for (int i = 0; i < 4; i++) {
		u32 x = ip->from[i];
		ip->from[i] = ip->to[i];
		ip->to[i] = x;
	}
	u32 class = READ_ONCE(traffic_class) & 0xff;
	ip->version_class_flow = 0x60 | class >> 4 | (class & 0xf) << 12;
	ip->hops = HOPS;
	turn_udp(&a->udp);
	write_reply(&a->ntp, q->state, q->policy, q->age, q->early, since(q->arrived), v == KISSED);
	finish_udp(&a->udp, addrs);
	return v;
}

// answer answers p in place, or says why not.
inlined u32 answer(struct xdp_md *ctx, const struct packet *p, struct question *q)
{
	q->state = current_state();
	q->policy = &policies[q->policy_index];
	if (p->to_port != NTP_PORT || (p->lvm & 7) != NTP_CLIENT)
		return SEEN;
	q->form = form_of(p);
	q->age = q->arrived - q->state->base;
	if (q->form == UP_FORM || p->len < NTP_HEADER)
		return q->form;
	if (q->age >= q->state->lease || !q->policy->generation)
		return UP_LEASE;
	if (foreign(p, q))
		return UP_ADDRESS;
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	return p->v6 ? answer_ipv6(at, end, p, q) : answer_ipv4(at, end, p, q);
}

// exchange_of names the exchange that p is in. Of a request its own timestamp
// does, of a reply the one that it repeats.
inlined u64 exchange_of(const struct packet *p)
{
	int request = p->to_port == NTP_PORT && !p->out;
	u64 transmit = request ? p->transmit : p->origin;
	return exchange_tag(p->peer_hi, p->peer_lo, p->out || !request ? p->to_port : p->from_port, transmit);
}

// go_up does for a packet that goes up, having become v, what is done for all: its
// client is noted if the packet will reach the responder, and its arrival.
inlined void go_up(const struct packet *p, struct question *q, u32 v)
{
	int lost = v == UP_ADDRESS || v == UP_CHECKSUM || foreign(p, q);
	if (!q->noted && !lost && p->to_port == NTP_PORT && is_own(p->to_hi, p->to_lo, q->ifindex)) {
		q->form = SEEN;
		ask(p, q);
	}
	if (p->whole)
		put_arrival(exchange_of(p), q->arrived - q->early);
}

// ingress is the program of the way in; hardware if it is bound to an interface
// whose card may have stamped the packet.
inlined int ingress(struct xdp_md *ctx, int hardware)
{
	struct packet p = {.out = 0};
	if (likely(!find_ntp(&p, (void *)(long)ctx->data, (void *)(long)ctx->data_end)))
		return XDP_PASS;
	struct question q = {.arrived = now_ns(), .ifindex = ctx->ingress_ifindex};
	const struct interface *i = interface_of(ctx->ingress_ifindex);
	if (!i)
		return XDP_PASS;
	u32 place = READ_ONCE(i->place);
	q.mac = READ_ONCE(i->mac);
	q.mac_mask = READ_ONCE(i->mask);
	if (hardware)
		q.early = earlier(ctx, place, q.arrived);
	q.policy_index = READ_ONCE(policy_index) & 1;
	u32 v = has_tai && READ_ONCE(i->serve) ? answer(ctx, &p, &q) : SEEN;
	count(&p, place - 1, v);
	if (v == ANSWERED || v == KISSED)
		return XDP_TX;
	if (v == DENIED || v == LIMITED)
		return XDP_DROP;
	go_up(&p, &q, v);
	return XDP_PASS;
}

SEC("xdp.frags")
int ntp_ingress(struct xdp_md *ctx) { return ingress(ctx, 0); }

SEC("xdp.frags")
int ntp_hardware(struct xdp_md *ctx) { return ingress(ctx, 1); }

// ntp_watch is all of the above that observes, for interfaces where nothing is
// answered: to attach it does not disturb the driver, as XDP may.
SEC("tcx/ingress")
int ntp_watch(struct __sk_buff *skb)
{
	struct packet p = {.out = 0};
	if (likely(!find_ntp(&p, (void *)(long)skb->data, (void *)(long)skb->data_end)))
		return TC_NEXT;
	struct question q = {.arrived = now_ns(), .ifindex = skb->ifindex};
	const struct interface *i = interface_of(skb->ifindex);
	if (!i)
		return TC_NEXT;
	q.mac = READ_ONCE(i->mac);
	q.mac_mask = READ_ONCE(i->mask);
	q.policy_index = READ_ONCE(policy_index) & 1;
	count(&p, READ_ONCE(i->place) - 1, SEEN);
	go_up(&p, &q, SEEN);
	return TC_NEXT;
}

// Sockets whose replies may be given a new timestamp, by their cookies. Only they
// are known to be ours: what this host forwards or another daemon on it sends has
// a clock of its own in it. Sockets that were closed give way.
struct {
	MAP_UINT(type, LRU_HASH);
	MAP_UINT(max_entries, 4096);
	MAP_TYPE(key, u64);
	MAP_TYPE(value, u32);
} sockets SEC(".maps");

// rewrite gives the reply p the time at which it leaves. A reply in interleaved
// mode says when the one before left, so its transmit timestamp is before its
// receive timestamp: that tells the two kinds apart. Nothing else is a reply
// without a MAC, of which there are 48 octets.
inlined u32 rewrite(struct __sk_buff *skb, const struct packet *p, u64 now)
{
	const volatile struct state *s = current_state();
	u64 age = now - s->base, cookie = socket_cookie(skb);
	if ((p->lvm & 7) != NTP_SERVER || p->from_port != NTP_PORT || !map_lookup(&sockets, &cookie))
		return SEEN;
	if (p->len != NTP_HEADER || p->odd || !p->whole || age >= s->lease)
		return UNTIMELY;
	u64 receive = be64(p->receive), told = be64(p->transmit), old[1] = {p->transmit}, new[1];
	u64 left = (timestamp(s, age + s->late) & ~(u64)s->fuzz) | (random_u32() & s->fuzz & ~1U);
	left &= ~1ULL;
	if (told - receive - 1 >= SECOND || left - receive - 1 >= SECOND)
		return UNTIMELY;
	new[0] = be64(left);
	if (new[0] == p->origin)
		new[0] = be64(left + 2);
	u32 zero = 0;
	struct durations *h = map_lookup(&histograms, &zero);
	if (h) {
		u64 later = left > told ? (left - told) * 1000000000 >> 32 : 0;
		h->correction[bucket_of(later) & (LOG2 - 1)]++;
		h->correction_sum += later;
	}
	s64 diff = csum_diff(old, sizeof(old), new, sizeof(new), 0);
	l4_csum_replace(skb, p->offset - 2, 0, diff, MARK_MANGLED_0);
	skb_store_bytes(skb, p->offset + __builtin_offsetof(struct ntp, transmit), new, sizeof(new), 0);
	return REWRITTEN;
}

// depart closes the exchange of a reply.
inlined void depart(const struct packet *p, u64 now)
{
	u32 zero = 0;
	u64 tag = exchange_of(p);
	struct stamp *s = stamp_of(tag);
	if (!s || s->tag != tag || s->left)
		return;
	s->left = now;
	struct durations *h = map_lookup(&histograms, &zero);
	if (h) {
		h->residence[bucket_of(now - s->arrived) & (LOG2 - 1)]++;
		h->residence_sum += now - s->arrived;
	}
}

SEC("tcx/egress")
int ntp_egress(struct __sk_buff *skb)
{
	struct packet p = {.out = 1};
	if (likely(!find_ntp(&p, (void *)(long)skb->data, (void *)(long)skb->data_end)))
		return TC_NEXT;
	u64 now = now_ns();
	const struct interface *i = interface_of(skb->ifindex);
	if (!i)
		return TC_NEXT;
	u32 place = READ_ONCE(i->place), v = SEEN;
	if (p.from_port == NTP_PORT && p.whole)
		depart(&p, now);
	if (has_tai && READ_ONCE(onestep))
		v = rewrite(skb, &p, now);
	count(&p, INTERFACES + place - 1, v);
	return TC_NEXT;
}

char licence[] SEC("license") = "Dual BSD/GPL";
