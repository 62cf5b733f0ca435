// SPDX-License-Identifier: Apache-2.0
//
// The other ends of the benchmark: a generator of requests, a sink, and two
// servers that are the limit of what any can reach.

#include "kernel.h"

enum { MAP_PROG_ARRAY = 3 };

static long (*const tail_call)(void *ctx, void *map, u32 index) = (void *)12;

struct frame {
	u32 words[22]; // Ethernet, IPv4, UDP, NTP: 90 octets, the last two apart
	u16 last;
};

// The request that all are made from, and the sums of what its checksums are of,
// without what changes.
struct frame template;
u32 ip_sum, udp_sum;
u32 clients = 1, step = 1, client;
u32 serial;

u64 received, dropped, reflected;

inlined u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

// write_request writes the request of the next client.
inlined int write_request(struct xdp_md *ctx)
{
	u32 *w = (void *)(long)ctx->data;
	if ((void *)w + 90 > (void *)(long)ctx->data_end)
		return 0;
	for (int i = 0; i < 22; i++)
		w[i] = template.words[i];
	*(u16 *)(w + 22) = template.last;
	client += step;
	if (client >= clients)
		client -= clients;
	u32 from = be32(0x0a000000 + client), n = ++serial;
	struct ipv4 *ip = (void *)w + sizeof(struct ethernet);
	struct udp *u = (void *)(ip + 1);
	struct ntp *q = (void *)(u + 1);
	ip->from = from;
	ip->checksum = ~fold((u64)ip_sum + from);
	q->transmit[1] = n;
	u->checksum = ~fold((u64)udp_sum + from + n);
	return 1;
}

SEC("xdp")
int generate(struct xdp_md *ctx) { return write_request(ctx) ? XDP_TX : XDP_ABORTED; }

// absorb counts answers and lets nothing else but ARP and the like pass.
SEC("xdp")
int absorb(struct xdp_md *ctx)
{
	u8 *b = (void *)(long)ctx->data;
	if ((void *)(b + 90) > (void *)(long)ctx->data_end || b[12] != 8 || b[13] || b[23] != IP_UDP)
		return XDP_PASS;
	received++;
	return XDP_DROP;
}

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	(void)ctx;
	dropped++;
	return XDP_DROP;
}

SEC("xdp")
int reflect(struct xdp_md *ctx)
{
	u16 *w = (void *)(long)ctx->data;
	if ((void *)(w + 7) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	for (int i = 0; i < 3; i++) {
		u16 x = w[i];
		w[i] = w[i + 3];
		w[i + 3] = x;
	}
	reflected++;
	return XDP_TX;
}

struct {
	MAP_UINT(type, MAP_PROG_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_UINT(key_size, 4);
	MAP_UINT(value_size, 4);
} subject SEC(".maps");

// renew restores the request and goes on with the program under test, for runs
// without a network.
SEC("xdp.frags")
int renew(struct xdp_md *ctx)
{
	if (write_request(ctx))
		tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

char licence[] SEC("license") = "Apache-2.0";
