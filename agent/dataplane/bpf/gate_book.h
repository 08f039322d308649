/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whose a packet is, and whether it is exempt. */
#pragma once

#include "bpf/gate_maps.h"
#include "bpf/gate_packet.h"

#define NO_GROUP 0xffffffffU

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

static __always_inline bool in_prefix(const struct zq_address* address,
                                      const volatile struct zq_exemption* rule) {
  __u32 difference = 0;
  for (int i = 0; i < 4; ++i)
    difference |= (address->word[i] & rule->mask.word[i]) ^ rule->address.word[i];
  return difference == 0;
}

// Bounded by kMaxExemptions; only packets that would be treated come here.
__attribute__((noinline)) int is_exempt(struct __sk_buff* skb, struct packet* packet) {
  if (!packet) return false;
  read_transport(skb, packet);
  if (packet->truncated) return false;
  if (packet->neighbour_discovery) return true;
  for (__u32 i = 0; i < ZQ_MAX_EXEMPTIONS; ++i) {
    if (i >= exemptions) break;
    const volatile struct zq_exemption* rule = &exemption[i];
    if (rule->protocol != 0 && rule->protocol != packet->protocol) continue;
    if (rule->port != 0 && rule->port != packet->port[0] && rule->port != packet->port[1]) continue;
    if (rule->any_address) return true;
    if (rule->v4 != packet->v4) continue;
    if (in_prefix(&packet->source, rule) || in_prefix(&packet->destination, rule)) return true;
  }
  return false;
}
