/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The way into the queues and back: steering classifiers for mirred, and the lane's own classes. */
#pragma once

#include "bpf/gate_maps.h"

#define NO_MATCH 0
#define MATCH (-1)

static __always_inline __u32 stamp_of(const struct __sk_buff* skb) {
  return skb->tc_index & ZQ_STAMP_MASK;
}

// The egress lane is there, and served.
static __always_inline bool lane_alive(__u32 direction, __u64 now) {
  if (direction != ZQ_EGRESS || egress_lane == ZQ_LANE_IFB) return true;
  if (egress_lane == ZQ_LANE_CHANGING) return false;
  __u32 zero = 0;
  volatile __u64* alive_until = bpf_map_lookup_elem(&zq_line, &zero);
  return alive_until && now < *alive_until;
}

// The delay line learns class and device from a tag.
static __always_inline bool tag_for_line(struct __sk_buff* skb) {
  const __u32 device = skb->ifindex;
  const __u32 class_id = skb->tc_index & ZQ_CLASS_MASK;
  for (__u32 slot = 0; slot < ZQ_MAX_UPLINKS; ++slot) {
    if (uplink_slot[slot] != device) continue;
    return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), (__u16)(slot << 10 | class_id)) == 0;
  }
  return false;
}

// What comes back out of the lane has to match too: mirred then does nothing but consume the mark
// that it is not to be redirected again, which would go on to blind the peer's ingress otherwise.
SEC("tc")
int zq_steer_egress(struct __sk_buff* skb) {
  const __u32 stamp = stamp_of(skb);
  if (stamp == ZQ_STAMP_HELD) {
    skb->tc_index = 0;
    return MATCH;
  }
  if (stamp != ZQ_STAMP_QUEUE) return NO_MATCH;
  const __u32 class_id = skb->tc_index & ZQ_CLASS_MASK;
  if (egress_lane != ZQ_LANE_IFB && !tag_for_line(skb)) {
    skb->tc_index = 0;
    return NO_MATCH;
  }
  skb->tc_index = (__u16)(ZQ_STAMP_HELD | class_id);
  return MATCH;
}

// Packets of the ingress lane do not pass the ingress hook again. They keep their stamp: should
// they be forwarded, the egress gate clears it.
SEC("tc")
int zq_steer_ingress(struct __sk_buff* skb) {
  return stamp_of(skb) == ZQ_STAMP_QUEUE ? MATCH : NO_MATCH;
}

// May run more than once for a packet, so it changes nothing.
SEC("tc")
int zq_class(struct __sk_buff* skb) {
  const __u32 stamp = stamp_of(skb);
  if (stamp != ZQ_STAMP_QUEUE && stamp != ZQ_STAMP_HELD) return NO_MATCH;
  return (int)(ZQ_LANE_MAJOR | (skb->tc_index & ZQ_CLASS_MASK));
}
