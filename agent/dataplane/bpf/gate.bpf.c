// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The gate: decides about every packet of an uplink, in both directions (DESIGN 4.1 to 4.5).
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

#include "bpf/gate_book.h"
#include "bpf/gate_chance.h"
#include "bpf/gate_lane.h"
#include "bpf/gate_maps.h"
#include "bpf/gate_packet.h"
#include "bpf/gate_segment.h"
#include "bpf/gate_shared.h"

#define FIRST_PASS 0xffffffffU

char zq_license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void count_passed(struct zq_counter* counter, const struct __sk_buff* skb) {
  counter->passed_packets += 1;
  counter->passed_bytes += skb->len;
}

enum lease_state { LEASE_HELD, LEASE_NONE_YET, LEASE_LAPSED };

static __always_inline enum lease_state read_lease(__u64 now) {
  __u32 zero = 0;
  volatile struct zq_lease* lease = bpf_map_lookup_elem(&zq_lease, &zero);
  if (!lease) return LEASE_NONE_YET;
  const __u64 until = lease->until_ns;
  if (until == 0) return LEASE_NONE_YET;
  // A packet that saw the lease run out says so for good: a renewal that was half way then finds
  // the mark after its write.
  if (now >= until) lease->lapsed = 1;
  return lease->lapsed ? LEASE_LAPSED : LEASE_HELD;
}

// Tells the agent, which answers.
__attribute__((noinline)) int tell_rejected(struct __sk_buff* skb, struct packet* packet,
                                            __u32 direction) {
  if (!packet) return 0;
  struct zq_rejected* event = bpf_ringbuf_reserve(&zq_rejects, sizeof *event, 0);
  if (!event) {
    __sync_fetch_and_add(&rejects_unheard, 1);
    return 0;
  }
  // Short packets are told up to the last size that fits, which is enough for an answer.
  __u32 length = 0;
  const __u32 start = packet->start;
  const __u32 at = packet->header;
  if (read_bytes(skb, start, at, event->bytes, ZQ_REJECTED_BYTES)) {
    length = ZQ_REJECTED_BYTES;
  } else if (read_bytes(skb, start, at, event->bytes, 80)) {
    length = 80;
  } else if (read_bytes(skb, start, at, event->bytes, 60)) {
    length = 60;
  } else if (read_bytes(skb, start, at, event->bytes, 48)) {
    length = 48;
  } else if (read_bytes(skb, start, at, event->bytes, 40)) {
    length = 40;
  } else if (read_bytes(skb, start, at, event->bytes, 28)) {
    length = 28;
  }
  event->direction = direction;
  event->ifindex = skb->ifindex;
  event->length = length;
  event->reserved = 0;
  bpf_ringbuf_submit(event, 0);
  return 0;
}

static __always_inline void note_dropped(struct zq_evidence* evidence, struct zq_counter* counter,
                                         const struct __sk_buff* skb, __u64 now) {
  evidence->dropped_packets += 1;
  evidence->dropped_bytes += skb->len;
  if (evidence->first_dropped_ns == 0) evidence->first_dropped_ns = now;
  evidence->last_dropped_ns = now;
  counter->dropped_packets += 1;
  counter->dropped_bytes += skb->len;
}

// The copy comes through the gate again; its stamp says that it has been decided about.
static __always_inline bool send_copy(struct __sk_buff* skb, __u32 direction, __u32 class_id) {
  const __u16 before = (__u16)skb->tc_index;
  skb->tc_index = (__u16)(ZQ_STAMP_COPY | class_id);
  const long failed =
      bpf_clone_redirect(skb, skb->ifindex, direction == ZQ_INGRESS ? BPF_F_INGRESS : 0);
  skb->tc_index = before;
  return failed == 0;
}

static __always_inline int impair(struct __sk_buff* skb, const struct zq_programme_entry* entry,
                                  const struct zq_segment* segment, struct zq_evidence* evidence,
                                  struct zq_counter* counter, __u64 transport, __u64 now,
                                  const __u32 direction) {
  const __u32 wire_packets = skb->gso_segs;
  evidence->impaired_packets += 1;
  evidence->impaired_bytes += skb->len;
  evidence->impaired_segments += wire_packets ? wire_packets : 1;
  if (evidence->first_impaired_ns == 0) evidence->first_impaired_ns = now;
  evidence->last_impaired_ns = now;

  __u32 class_id = segment->class_id & ZQ_CLASS_MASK;
  const bool unserved = class_id != 0 && !lane_alive(direction, now);
  if (unserved) class_id = 0;
  if (segment->chance != 0) {
    __u32 key = segment->chance - 1;
    volatile struct zq_chance* chance = bpf_map_lookup_elem(&zq_chances, &key);
    if (!chance) return TC_ACT_UNSPEC;
    const bool twice = happens(chance->duplicate);
    const bool lost = loses(chance);
    if (lost) {
      evidence->lost_packets += 1;
      if (!twice) {
        counter->lost_packets += 1;
        return TC_ACT_STOLEN;
      }
    }
    // Lost and doubled is one that goes through, as in netem.
    if (twice && (lost || send_copy(skb, direction, class_id))) {
      evidence->duplicated_packets += 1;
      if (!lost) counter->duplicated_packets += 1;
    }
  }
  if (entry->noted) note_passage(entry, transport, now);
  count_passed(counter, skb);
  if (unserved) counter->unqueued_packets += 1;
  if (class_id != 0) {
    counter->queued_packets += 1;
    skb->tc_index = (__u16)(ZQ_STAMP_QUEUE | class_id);
  }
  return TC_ACT_UNSPEC;
}

static __always_inline int treat(struct __sk_buff* skb, struct packet* packet,
                                 const struct zq_programme_entry* entry,
                                 const struct zq_segment* segment, struct zq_counter* counter,
                                 __u64 transport, __u64 now, const __u32 direction) {
  struct zq_evidence* evidence = find_evidence(entry, segment);
  if (!evidence) return TC_ACT_UNSPEC;
  const enum lease_state lease = read_lease(now);
  if (is_exempt(skb, packet)) {
    evidence->exempt_packets += 1;
    counter->exempt_packets += 1;
    return TC_ACT_UNSPEC;
  }
  if (lease != LEASE_HELD) {
    evidence->passed_packets += 1;
    if (lease == LEASE_LAPSED && evidence->first_passed_ns == 0) evidence->first_passed_ns = now;
    count_passed(counter, skb);
    return TC_ACT_UNSPEC;
  }
  if (segment->treatment == ZQ_IMPAIR)
    return impair(skb, entry, segment, evidence, counter, transport, now, direction);
  if (segment->treatment == ZQ_REJECT) {
    counter->rejected_packets += 1;
    tell_rejected(skb, packet, direction);
  }
  note_dropped(evidence, counter, skb, now);
  // Not SHOT: that would tell the local sender, and a real partition tells nobody.
  return TC_ACT_STOLEN;
}

// Of a packet that was in the egress lane: its first pass has counted it.
static __always_inline int second_pass(struct __sk_buff* skb, struct packet* packet,
                                       const struct zq_programme_entry* entry, __u32 found,
                                       __u32 class_id, __u64 now) {
  if (found != NO_SEGMENT) {
    const struct zq_segment* segment = segment_at(entry, found);
    if (segment->treatment != ZQ_IMPAIR && read_lease(now) == LEASE_HELD &&
        !is_exempt(skb, packet)) {
      struct zq_evidence* evidence = find_evidence(entry, segment);
      if (evidence) {
        evidence->held_dropped_packets += 1;
        evidence->last_held_ns = now;
      }
      return TC_ACT_STOLEN;
    }
  }
  const __u32 ended = class_id != 0 ? find_ended(entry, class_id, now) : NO_SEGMENT;
  if (ended != NO_SEGMENT) {
    struct zq_evidence* evidence = find_evidence(entry, segment_at(entry, ended));
    if (evidence) {
      evidence->held_passed_packets += 1;
      evidence->last_held_ns = now;
    }
  }
  return TC_ACT_UNSPEC;
}

// A copy that send_copy() made: on to its queue, if it has one.
static __always_inline int pass_copy(struct __sk_buff* skb) {
  const __u32 class_id = skb->tc_index & ZQ_CLASS_MASK;
  skb->tc_index = class_id != 0 ? (__u16)(ZQ_STAMP_QUEUE | class_id) : 0;
  return TC_ACT_UNSPEC;
}

// `held`: FIRST_PASS, or the class of the queue that the packet comes from, 0 when not known.
static __always_inline int decide(struct __sk_buff* skb, const __u32 direction, const __u32 held) {
  struct packet packet = {};
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
    if (held == FIRST_PASS) counter->transit_packets += 1;
    return TC_ACT_UNSPEC;
  }

  __u32 zero = 0;
  struct zq_programme_key key = {.direction = direction, .group = group};
  void* programme = bpf_map_lookup_elem(&zq_programme, &zero);
  const struct zq_programme_entry* entry = programme ? bpf_map_lookup_elem(programme, &key) : NULL;
  if (!entry) {
    if (held == FIRST_PASS) count_passed(counter, skb);
    return TC_ACT_UNSPEC;
  }

  const __u64 now = bpf_ktime_get_ns();
  __u64 transport = 0;
  if (entry->scoped) {
    read_transport(skb, &packet);
    transport = transport_word(&packet);
  }
  const __u32 found = find_segment(entry, transport, now);
  if (held != FIRST_PASS) return second_pass(skb, &packet, entry, found, held, now);
  if (found != NO_SEGMENT) {
    return treat(skb, &packet, entry, segment_at(entry, found), counter, transport, now, direction);
  }
  if (entry->noted) note_passage(entry, transport, now);
  count_passed(counter, skb);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int zq_gate_egress(struct __sk_buff* skb) {
  const __u32 mark = skb->mark;
  if (mark == ZQ_REPLY_MARK) {
    skb->mark = 0;
    return TC_ACT_UNSPEC;
  }
  __u32 held = FIRST_PASS;
  if ((mark & ~ZQ_CLASS_MASK) == ZQ_LINE_MARK) {
    skb->mark = 0;
    held = mark & ZQ_CLASS_MASK;
  } else {
    const __u32 stamp = stamp_of(skb);
    if (stamp == ZQ_STAMP_COPY) return pass_copy(skb);
    if (stamp == ZQ_STAMP_HELD) held = skb->tc_index & ZQ_CLASS_MASK;
    if (stamp == ZQ_STAMP_QUEUE) skb->tc_index = 0;  // of an ingress lane, forwarded
  }
  return decide(skb, ZQ_EGRESS, held);
}

SEC("tc")
int zq_gate_ingress(struct __sk_buff* skb) {
  const __u32 stamp = stamp_of(skb);
  if (stamp == ZQ_STAMP_COPY) return pass_copy(skb);
  // Between namespaces a stamp survives; a neighbour's means nothing here.
  if (stamp == ZQ_STAMP_QUEUE || stamp == ZQ_STAMP_HELD) skb->tc_index = 0;
  return decide(skb, ZQ_INGRESS, FIRST_PASS);
}

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
