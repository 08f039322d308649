// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The gate: decides about every packet of an uplink, in both directions (DESIGN 4.1 to 4.3).
// Nothing newer than Linux 6.1 is used, and no kernel types, so that one object fits all kernels.
// libbpf's headers need linux/bpf.h first.
// clang-format off
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "bpf/gate_shared.h"

#define NO_GROUP 0xffffffffU
#define NO_WINDOW 0xffffffffU
#define MAX_VLAN_TAGS 2
#define MAX_EXTENSION_HEADERS 6
#define PULLED_BYTES 256U
#define ND_FIRST 133 /* router solicitation */
#define ND_LAST 137  /* redirect */

char zq_license[] SEC("license") = "Dual BSD/GPL";

// Set before loading; the verifier then sees constants and drops what is switched off.
const volatile __u32 own_group = 0;
const volatile __u32 transit_zones = 0;
const volatile __u8 has_prefixes4 = 0;
const volatile __u8 has_prefixes6 = 0;
const volatile __u32 exemptions = 0;
const volatile struct zq_exemption exemption[ZQ_MAX_EXEMPTIONS] = {};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} zq_hosts4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, struct zq_address);
  __type(value, __u32);
} zq_hosts6 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __type(key, struct zq_prefix4);
  __type(value, __u32);
} zq_prefixes4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __type(key, struct zq_prefix6);
  __type(value, __u32);
} zq_prefixes6 SEC(".maps");

// Index: source zone * transit_zones + destination zone.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} zq_transit SEC(".maps");

// The programme is swapped by replacing the inner map. How many entries inner maps have is the
// loader's choice. (Sizes, not types: clang 14 leaves inner types undefined in the BTF.)
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 1);
  __type(key, __u32);
  __array(
      values, struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __uint(key_size, sizeof(struct zq_programme_key));
        __uint(value_size, sizeof(struct zq_programme_entry));
      });
} zq_programme SEC(".maps");

// Two slots, so that a new programme's evidence is in place before the programme is, and a packet
// that still runs under the old one writes to the old evidence.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 2);
  __type(key, __u32);
  __array(
      values, struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
        __uint(max_entries, 1);
        __uint(key_size, sizeof(__u32));
        __uint(value_size, sizeof(struct zq_evidence));
      });
} zq_evidences SEC(".maps");

// Index: group * ZQ_DIRECTIONS + direction.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct zq_counter);
} zq_counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct zq_lease);
} zq_lease SEC(".maps");

struct packet {
  struct zq_address source;
  struct zq_address destination;
  __u32 start;    // BPF_HDR_START_*, what the offsets count from
  __u32 payload;  // offset of what follows the IP header
  __u8 protocol;
  bool v4;
  bool later_fragment;
};

static __always_inline bool read_bytes(struct __sk_buff* skb, __u32 start, __u32 offset, void* to,
                                       const __u32 size) {
  if (bpf_skb_load_bytes_relative(skb, offset, to, size, start) == 0) return true;
  // Headers are in the linear part as a rule; some drivers leave them in page fragments.
  if (bpf_skb_pull_data(skb, skb->len < PULLED_BYTES ? skb->len : PULLED_BYTES) != 0) return false;
  return bpf_skb_load_bytes_relative(skb, offset, to, size, start) == 0;
}

static __always_inline bool is_vlan(__u16 protocol) {
  return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

static __always_inline void map_v4(struct zq_address* to, __u32 address) {
  to->word[0] = 0;
  to->word[1] = 0;
  to->word[2] = bpf_htonl(0xffff);
  to->word[3] = address;
}

static __always_inline bool parse_v4(struct __sk_buff* skb, struct packet* packet, __u32 offset) {
  struct iphdr header;
  if (!read_bytes(skb, packet->start, offset, &header, sizeof header)) return false;
  if (header.version != 4) return false;
  map_v4(&packet->source, header.saddr);
  map_v4(&packet->destination, header.daddr);
  packet->v4 = true;
  packet->protocol = header.protocol;
  packet->payload = offset + header.ihl * 4U;
  packet->later_fragment = (header.frag_off & bpf_htons(0x1fff)) != 0;
  return true;
}

static __always_inline bool parse_v6(struct __sk_buff* skb, struct packet* packet, __u32 offset) {
  struct ipv6hdr header;
  if (!read_bytes(skb, packet->start, offset, &header, sizeof header)) return false;
  if (header.version != 6) return false;
  __builtin_memcpy(&packet->source, &header.saddr, sizeof packet->source);
  __builtin_memcpy(&packet->destination, &header.daddr, sizeof packet->destination);
  packet->v4 = false;
  packet->protocol = header.nexthdr;
  packet->payload = offset + sizeof header;
  packet->later_fragment = false;
  return true;
}

static __always_inline bool parse(struct __sk_buff* skb, struct packet* packet) {
  __u16 protocol = (__u16)skb->protocol;
  __u32 offset = 0;
  packet->start = BPF_HDR_START_NET;
  if (is_vlan(protocol)) {
    // A tag in the payload: where the network header then points differs between the ways a packet
    // came, but only Ethernet carries such tags, and its header is where it always is.
    packet->start = BPF_HDR_START_MAC;
    offset = ETH_HLEN;
    for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(protocol); ++i) {
      if (!read_bytes(skb, packet->start, offset + 2, &protocol, sizeof protocol)) return false;
      offset += 4;
    }
  }
  if (protocol == bpf_htons(ETH_P_IP)) return parse_v4(skb, packet, offset);
  if (protocol == bpf_htons(ETH_P_IPV6)) return parse_v6(skb, packet, offset);
  return false;
}

// Hosts are more specific than any prefix, so they come first.
static __always_inline __u32 find_group(const struct zq_address* address, bool v4) {
  __u32* group = NULL;
  if (v4) {
    group = bpf_map_lookup_elem(&zq_hosts4, &address->word[3]);
    if (!group && has_prefixes4) {
      struct zq_prefix4 key = {.length = 32, .address = address->word[3]};
      group = bpf_map_lookup_elem(&zq_prefixes4, &key);
    }
  } else {
    group = bpf_map_lookup_elem(&zq_hosts6, address);
    if (!group && has_prefixes6) {
      struct zq_prefix6 key = {.length = 128, .address = *address};
      group = bpf_map_lookup_elem(&zq_prefixes6, &key);
    }
  }
  return group ? *group : NO_GROUP;
}

// On a router: the group of a pair of zones.
static __always_inline __u32 find_transit(__u32 source, __u32 destination) {
  if (source >= transit_zones || destination >= transit_zones) return NO_GROUP;
  const __u32 pair = source * transit_zones + destination;
  const __u32* group = bpf_map_lookup_elem(&zq_transit, &pair);
  return group ? *group : NO_GROUP;
}

// Walks IPv6 extension headers up to the transport header.
static __always_inline bool skip_extensions(struct __sk_buff* skb, struct packet* packet) {
  for (int i = 0; i < MAX_EXTENSION_HEADERS; ++i) {
    const __u8 kind = packet->protocol;
    if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS &&
        kind != IPPROTO_FRAGMENT && kind != IPPROTO_AH)
      return true;
    __u8 header[4];
    if (!read_bytes(skb, packet->start, packet->payload, header, sizeof header)) return false;
    packet->protocol = header[0];
    if (kind == IPPROTO_FRAGMENT) {
      packet->payload += 8;
      packet->later_fragment = ((header[2] << 8 | header[3]) & 0xfff8) != 0;
      if (packet->later_fragment) return true;
    } else if (kind == IPPROTO_AH) {
      packet->payload += (header[1] + 2U) * 4;
    } else {
      packet->payload += (header[1] + 1U) * 8;
    }
  }
  return false;
}

static __always_inline bool in_prefix(const struct zq_address* address,
                                      const volatile struct zq_exemption* rule) {
  __u32 difference = 0;
  for (int i = 0; i < 4; ++i)
    difference |= (address->word[i] & rule->mask.word[i]) ^ rule->address.word[i];
  return difference == 0;
}

// Bounded by kMaxExemptions; only packets that would be dropped come here. Later fragments carry
// no ports, so that only exemptions without a port can match them.
static __noinline int is_exempt(struct __sk_buff* skb, struct packet* packet) {
  __u16 ports[2] = {0, 0};
  if (!packet->v4 && !skip_extensions(skb, packet)) return false;
  if (!packet->later_fragment) {
    if (!packet->v4 && packet->protocol == IPPROTO_ICMPV6) {
      __u8 type = 0;
      if (read_bytes(skb, packet->start, packet->payload, &type, sizeof type) && type >= ND_FIRST &&
          type <= ND_LAST)
        return true;
    }
    const __u8 kind = packet->protocol;
    if (kind == IPPROTO_TCP || kind == IPPROTO_UDP || kind == IPPROTO_SCTP ||
        kind == IPPROTO_UDPLITE || kind == IPPROTO_DCCP) {
      if (!read_bytes(skb, packet->start, packet->payload, ports, sizeof ports)) {
        ports[0] = 0;
        ports[1] = 0;
      }
    }
  }
  for (__u32 i = 0; i < ZQ_MAX_EXEMPTIONS; ++i) {
    if (i >= exemptions) break;
    const volatile struct zq_exemption* rule = &exemption[i];
    if (rule->protocol != 0 && rule->protocol != packet->protocol) continue;
    if (rule->port != 0 && rule->port != ports[0] && rule->port != ports[1]) continue;
    if (rule->any_address) return true;
    if (rule->v4 != packet->v4) continue;
    if (in_prefix(&packet->source, rule) || in_prefix(&packet->destination, rule)) return true;
  }
  return false;
}

static __always_inline struct zq_evidence* find_evidence(const struct zq_programme_entry* entry,
                                                         __u32 window) {
  __u32 slot = entry->evidence_slot;
  void* map = bpf_map_lookup_elem(&zq_evidences, &slot);
  if (!map) return NULL;
  __u32 key = entry->evidence_first + window;
  return bpf_map_lookup_elem(map, &key);
}

// Evidence of a packet that goes through between windows.
static __always_inline void note_passage(const struct zq_programme_entry* entry, __u32 previous,
                                         __u32 next, __u64 now) {
  if (next != NO_WINDOW) {
    struct zq_evidence* evidence = find_evidence(entry, next);
    if (evidence) evidence->last_passed_ns = now;
  }
  if (previous != NO_WINDOW) {
    struct zq_evidence* evidence = find_evidence(entry, previous);
    if (evidence && evidence->first_passed_ns == 0) evidence->first_passed_ns = now;
  }
}

static __always_inline void count_passed(struct zq_counter* counter, const struct __sk_buff* skb) {
  counter->passed_packets += 1;
  counter->passed_bytes += skb->len;
}

static __always_inline int inside_window(struct __sk_buff* skb, struct packet* packet,
                                         const struct zq_programme_entry* entry, __u32 window,
                                         struct zq_counter* counter, __u64 now) {
  struct zq_evidence* evidence = find_evidence(entry, window);
  __u32 zero = 0;
  volatile struct zq_lease* lease = bpf_map_lookup_elem(&zq_lease, &zero);
  if (!evidence || !lease) return TC_ACT_UNSPEC;
  const __u64 until = lease->until_ns;
  // A packet that saw the lease run out says so for good: a renewal that was half way then finds
  // the mark after its write.
  if (until != 0 && now >= until) lease->lapsed = 1;
  const bool held = until != 0 && !lease->lapsed;
  if (is_exempt(skb, packet)) {
    evidence->exempt_packets += 1;
    counter->exempt_packets += 1;
    return TC_ACT_UNSPEC;
  }
  if (!held) {
    evidence->passed_packets += 1;
    if (until != 0 && evidence->first_passed_ns == 0) evidence->first_passed_ns = now;
    count_passed(counter, skb);
    return TC_ACT_UNSPEC;
  }
  evidence->dropped_packets += 1;
  evidence->dropped_bytes += skb->len;
  if (evidence->first_dropped_ns == 0) evidence->first_dropped_ns = now;
  evidence->last_dropped_ns = now;
  counter->dropped_packets += 1;
  counter->dropped_bytes += skb->len;
  // Not SHOT: that would tell the local sender, and a real partition tells nobody.
  return TC_ACT_STOLEN;
}

static __always_inline int decide(struct __sk_buff* skb, const __u32 direction) {
  struct packet packet;
  if (!parse(skb, &packet)) return TC_ACT_UNSPEC;
  const bool egress = direction == ZQ_EGRESS;
  __u32 group = find_group(egress ? &packet.destination : &packet.source, packet.v4);
  if (group == NO_GROUP) return TC_ACT_UNSPEC;
  const __u32 local = find_group(egress ? &packet.source : &packet.destination, packet.v4);
  if (transit_zones) {
    group = egress ? find_transit(local, group) : find_transit(group, local);
    if (group == NO_GROUP) return TC_ACT_UNSPEC;
  }
  const __u32 index = group * ZQ_DIRECTIONS + direction;
  struct zq_counter* counter = bpf_map_lookup_elem(&zq_counters, &index);
  if (!counter) return TC_ACT_UNSPEC;
  if (!transit_zones && local != NO_GROUP && local != own_group) {
    counter->transit_packets += 1;
    return TC_ACT_UNSPEC;
  }

  __u32 zero = 0;
  struct zq_programme_key key = {.direction = direction, .group = group};
  void* programme = bpf_map_lookup_elem(&zq_programme, &zero);
  const struct zq_programme_entry* entry = programme ? bpf_map_lookup_elem(programme, &key) : NULL;
  if (!entry) {
    count_passed(counter, skb);
    return TC_ACT_UNSPEC;
  }

  const __u64 now = bpf_ktime_get_ns();
  __u32 previous = NO_WINDOW;
  __u32 next = NO_WINDOW;
  for (__u32 i = 0; i < ZQ_MAX_SEGMENTS; ++i) {
    if (i >= entry->windows) break;
    if (now < entry->window[i].from) {
      next = i;
      break;
    }
    if (now < entry->window[i].until) return inside_window(skb, &packet, entry, i, counter, now);
    previous = i;
  }
  note_passage(entry, previous, next, now);
  count_passed(counter, skb);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int zq_gate_egress(struct __sk_buff* skb) { return decide(skb, ZQ_EGRESS); }

SEC("tc")
int zq_gate_ingress(struct __sk_buff* skb) { return decide(skb, ZQ_INGRESS); }

// Run by the agent through BPF_PROG_TEST_RUN, never attached. Check and write happen in one go in
// the kernel, where a signal cannot stop the process between them.
SEC("tc")
int zq_lease_renew(struct __sk_buff* skb) {
  __u64 length = 0;
  __u32 zero = 0;
  if (bpf_skb_load_bytes(skb, ZQ_REQUEST_OFFSET, &length, sizeof length) != 0)
    return ZQ_BAD_REQUEST;
  volatile struct zq_lease* lease = bpf_map_lookup_elem(&zq_lease, &zero);
  if (!lease) return ZQ_BAD_REQUEST;
  const __u64 now = bpf_ktime_get_ns();
  const __u64 until = lease->until_ns;
  if (length == 0) {
    lease->lapsed = 1;
    if (until == 0 || until > now) lease->until_ns = now;
    return ZQ_LAPSED;
  }
  if (until != 0 && now >= until) lease->lapsed = 1;
  if (lease->lapsed) return ZQ_LAPSED;
  lease->until_ns = now + length;
  return lease->lapsed ? ZQ_LAPSED : ZQ_RENEWED;
}
