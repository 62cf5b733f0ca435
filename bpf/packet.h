// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Finding NTP in a frame. Whatever is not UDP from or to port 123 is left
// after a look at the headers before it.
#pragma once

#include "kernel.h"

// What keeps a packet from being answered here: oddity, none of it an error.
enum oddity { ODD_VLAN = 1, ODD_OPTIONS = 2, ODD_FRAGMENT = 4, ODD_SHORT = 8 };

// packet is what is known of one. There is no pointer in it: the verifier would
// follow each way through the headers to the end of the program.
struct packet {
	u8 v6, odd;
	u8 out;     // it leaves: the peer is whom it goes to, else from whom it came
	u8 lvm;     // first octet of NTP, 0 if there is none
	u8 whole;   // the header of NTP is there, and so are the next three:
	u64 origin, receive, transmit; // network order
	u16 from_port, to_port; // host order
	u16 len;    // octets of NTP, as the UDP header says
	u16 offset; // of NTP in the frame
	u64 peer_hi, peer_lo; // network order; IPv4 is ::ffff:a.b.c.d
	u64 to_hi, to_lo; // likewise whom it is for
	u64 mac;    // and of Ethernet, the first octet lowest
};

enum { MAX_TAGS = 2, MAX_EXTENSIONS = 6 };

// V4_MAPPED is ::ffff:0:0/96, in network order.
#define V4_MAPPED(addr) ((u64)(addr) << 32 | 0xffff0000)

inlined u64 two_words(const u32 *w) { return (u64)w[1] << 32 | w[0]; }

// behind looks at UDP: false if it is not NTP.
inlined int behind(struct packet *p, void *at, void *start, void *end)
{
	struct udp *u = at;
	if ((void *)(u + 1) > end)
		return 0;
	if (likely(u->from != be16(NTP_PORT) && u->to != be16(NTP_PORT)))
		return 0;
	struct ntp *n = (void *)(u + 1);
	p->from_port = be16(u->from);
	p->to_port = be16(u->to);
	u16 len = be16(u->length);
	p->len = len < sizeof(*u) ? 0 : len - sizeof(*u);
	p->offset = (void *)n - start;
	if ((void *)(n + 1) <= end) {
		p->whole = 1;
		p->lvm = n->lvm;
		p->origin = two_words(n->origin);
		p->receive = two_words(n->receive);
		p->transmit = two_words(n->transmit);
	} else if ((void *)n + 1 <= end) {
		p->lvm = n->lvm;
	}
	return 1;
}

inlined int behind_ipv4(struct packet *p, void *at, void *start, void *end)
{
	struct ipv4 *ip = at;
	if ((void *)(ip + 1) > end || ip->protocol != IP_UDP)
		return 0;
	if (ip->fragment & be16(IP_OFFSET))
		return 0;
	if (ip->fragment & be16(IP_MORE))
		p->odd |= ODD_FRAGMENT;
	p->peer_lo = V4_MAPPED(p->out ? ip->to : ip->from);
	p->to_lo = V4_MAPPED(ip->to);
	u32 words = ip->version_ihl & 15;
	if (likely(ip->version_ihl == 0x45))
		return behind(p, ip + 1, start, end);
	if (words < 5 || ip->version_ihl >> 4 != 4)
		return 0;
	p->odd |= ODD_OPTIONS;
	return behind(p, at + 4 * words, start, end);
}

// skip_extensions returns where UDP begins behind the extension headers, 0 if
// it does not.
inlined void *skip_extensions(struct packet *p, u8 next, void *at, void *end)
{
	p->odd |= ODD_OPTIONS;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct v6_extension *x = at;
		if (next == IP_UDP)
			return at;
		if (next != V6_HOP && next != V6_ROUTING && next != V6_DESTINATION && next != V6_FRAGMENT)
			return 0;
		if ((void *)(x + 1) > end)
			return 0;
		if (next == V6_FRAGMENT) {
			p->odd |= ODD_FRAGMENT;
			if (x->fragment & be16(0xfff8))
				return 0;
			at += 8;
		} else {
			at += 8 + 8 * x->length;
		}
		next = x->next;
	}
	return next == IP_UDP ? at : 0;
}

inlined int behind_ipv6(struct packet *p, void *at, void *start, void *end)
{
	struct ipv6 *ip = at;
	if ((void *)(ip + 1) > end)
		return 0;
	if (likely(ip->next == IP_UDP)) {
		if (!behind(p, ip + 1, start, end))
			return 0;
	} else {
		u8 next = ip->next;
		if (next != V6_HOP && next != V6_ROUTING && next != V6_DESTINATION && next != V6_FRAGMENT)
			return 0;
		at = skip_extensions(p, next, ip + 1, end);
		if (!at || !behind(p, at, start, end))
			return 0;
	}
	p->v6 = 1;
	p->to_hi = two_words(ip->to);
	p->to_lo = two_words(ip->to + 2);
	if (p->out) {
		p->peer_hi = p->to_hi;
		p->peer_lo = p->to_lo;
	} else {
		p->peer_hi = two_words(ip->from);
		p->peer_lo = two_words(ip->from + 2);
	}
	return 1;
}

// find_ntp fills p, or returns false if the frame is not NTP.
inlined int find_ntp(struct packet *p, void *start, void *end)
{
	struct ethernet *eth = start;
	void *at = eth + 1;
	if ((void *)(eth + 1) > end)
		return 0;
	u16 type = eth->type;
	p->mac = (u64)eth->to[2] << 32 | (u32)eth->to[1] << 16 | eth->to[0];
	for (int i = 0; i < MAX_TAGS; i++) {
		struct vlan *tag = at;
		if (likely(type != be16(ETH_VLAN) && type != be16(ETH_QINQ)))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		p->odd |= ODD_VLAN;
		type = tag->type;
		at = tag + 1;
	}
	if (type == be16(ETH_IP))
		return behind_ipv4(p, at, start, end);
	if (type == be16(ETH_IPV6))
		return behind_ipv6(p, at, start, end);
	return 0;
}
