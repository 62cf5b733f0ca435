// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// What the programs need of the kernel: the contexts, the helpers and the
// headers of packets. Numbers and layouts are linux/bpf.h's and the RFCs'. No
// header of the system is included, so that the same source and compiler give
// the same object everywhere.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define inlined static inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))

// Only little-endian targets are generated.
#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)
#define be64(x) __builtin_bswap64(x)

// Definitions of maps in BTF.
#define MAP_UINT(name, value) int(*name)[value]
#define MAP_TYPE(name, type) typeof(type) *name

enum map_type { ARRAY = 2, PERCPU_ARRAY = 6, LRU_HASH = 9, LPM_TRIE = 11 };
enum map_flag { NO_PREALLOC = 1, MMAPABLE = 1 << 10 };

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static u64 (*const ktime_ns)(void) = (void *)5;
static u32 (*const random_u32)(void) = (void *)7;
static long (*const skb_store_bytes)(void *skb, u32 offset, const void *from, u32 len, u64 flags) = (void *)9;
static long (*const l4_csum_replace)(void *skb, u32 offset, u64 from, u64 to, u64 flags) = (void *)11;
static s64 (*const csum_diff)(void *from, u32 from_size, void *to, u32 to_size, u32 seed) = (void *)28;
static long (*const skb_pull_data)(void *skb, u32 len) = (void *)39;
static u64 (*const socket_cookie)(void *ctx) = (void *)46;
static u64 (*const ktime_tai_ns)(void) = (void *)208; // Linux 6.1

enum { MARK_MANGLED_0 = 1 << 5 }; // of l4_csum_replace: 0 means no checksum

enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum tc_action { TC_NEXT = -1 }; // of tcx: the next program decides

struct xdp_md {
	u32 data, data_end, data_meta;
	u32 ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
	// Longer in the kernel; nothing beyond is used.
};

// Ethernet and IEEE 802.1Q.
enum { ETH_IP = 0x0800, ETH_IPV6 = 0x86dd, ETH_VLAN = 0x8100, ETH_QINQ = 0x88a8 };

struct ethernet {
	u16 to[3], from[3];
	u16 type;
};

struct vlan {
	u16 tci, type;
};

enum { IP_UDP = 17, IP_DONT_FRAGMENT = 0x4000, IP_MORE = 0x2000, IP_OFFSET = 0x1fff };

// RFC 791. Members are no wider than 32 bits, which is how they are aligned
// behind an Ethernet header.
struct ipv4 {
	u8 version_ihl, tos;
	u16 length, id, fragment;
	u8 ttl, protocol;
	u16 checksum;
	u32 from, to;
};

// RFC 8200, and its extension headers that may stand before UDP.
enum { V6_HOP = 0, V6_ROUTING = 43, V6_FRAGMENT = 44, V6_DESTINATION = 60 };

struct ipv6 {
	u32 version_class_flow;
	u16 length;
	u8 next, hops;
	u32 from[4], to[4];
};

struct v6_extension {
	u8 next, length; // length in units of 8 octets beyond the first
	u16 fragment;    // of a fragment header: offset << 3 | more
};

struct udp {
	u16 from, to, length, checksum;
};

// RFC 5905 figure 8, in words of 32 bits.
struct ntp {
	u8 lvm; // leap, version, mode
	u8 stratum;
	s8 poll, precision;
	u32 root_delay, root_disp, ref_id;
	u32 reference[2], origin[2], receive[2], transmit[2];
};

enum { NTP_PORT = 123, NTP_RESERVED = 0, NTP_ACTIVE = 1, NTP_CLIENT = 3, NTP_SERVER = 4 };
enum { NTP_HEADER = 48, NTP_LONGEST = 1140, NTP_VERSIONS = 4 };
