/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which segment of a programme entry decides about a packet, and the evidence of segments. */
#pragma once

#include "bpf/gate_maps.h"
#include "bpf/gate_packet.h"

#define NO_SEGMENT 0xffffffffU

// In assembler, so that the compiler cannot test one copy of the index and use another.
static __always_inline const struct zq_segment* segment_at(const struct zq_programme_entry* entry,
                                                           __u32 index) {
  _Static_assert((ZQ_MAX_SEGMENTS & (ZQ_MAX_SEGMENTS - 1)) == 0, "the mask");
  __u64 place = index;
  asm volatile("%0 &= %1" : "+r"(place) : "i"(ZQ_MAX_SEGMENTS - 1));
  return &entry->segment[place];
}

// What scopes look at, in one word: source port, destination port, protocol, whether there are
// ports. 0 = nothing that a scope could match. Ports are as the host has them.
static __always_inline __u64 transport_word(const struct packet* packet) {
  if (packet->truncated || packet->neighbour_discovery) return 0;
  __u64 protocol = packet->protocol;
  if (!packet->v4 && protocol == IPPROTO_ICMPV6) protocol = IPPROTO_ICMP;
  __u64 word = 1ULL << 63 | protocol << 32;
  if (packet->has_ports) {
    word |= 1ULL << 40 | (__u64)bpf_ntohs(packet->port[0]) << 16 | bpf_ntohs(packet->port[1]);
  }
  return word;
}

__attribute__((noinline)) int zq_matches(const struct zq_segment* segment, __u64 transport) {
  if (!segment || transport == 0) return 0;
  const __u32 protocol = (__u32)(transport >> 32) & 0xff;
  const __u32 source = (__u32)(transport >> 16) & 0xffff;
  const __u32 destination = (__u32)transport & 0xffff;
  if (segment->protocol != 0 && segment->protocol != protocol) return 0;
  if (segment->sides == 0) return 1;
  if ((transport & 1ULL << 40) == 0) return 0;
  __u32 met = 0;
  for (__u32 i = 0; i < ZQ_MAX_RANGES; ++i) {
    if (i >= segment->ranges) break;
    const struct zq_ports* range = &segment->port[i];
    const bool of_source = source >= range->first && source <= range->last;
    const bool of_destination = destination >= range->first && destination <= range->last;
    if (range->side == ZQ_SOURCE) {
      if (of_source) met |= ZQ_SOURCE;
    } else if (range->side == ZQ_DESTINATION) {
      if (of_destination) met |= ZQ_DESTINATION;
    } else if (of_source || of_destination) {
      met |= ZQ_EITHER;
    }
  }
  return met == segment->sides;
}

static __always_inline bool in_force(const struct zq_segment* segment, __u64 now) {
  if (now < segment->from || now >= segment->until) return false;
  return segment->period == 0 || (now - segment->from) % segment->period < segment->on;
}

// Segments are gone through by bpf_loop(), of which the verifier looks at one turn instead of all.
struct search {
  const struct zq_programme_entry* entry;
  __u64 transport;
  __u64 now;
  __u64 newest;
  __u32 class_id;
  __u32 found;
};

static long look_for_match(__u32 index, struct search* search) {
  const struct zq_segment* segment = segment_at(search->entry, index);
  if (!in_force(segment, search->now)) return 0;
  if (segment->scoped && !zq_matches(segment, search->transport)) return 0;
  search->found = index;
  return 1;
}

// The first segment that is in force and matches, or NO_SEGMENT.
static __noinline __u32 find_segment(const struct zq_programme_entry* entry, __u64 transport,
                                     __u64 now) {
  struct search search = {.entry = entry, .transport = transport, .now = now, .found = NO_SEGMENT};
  bpf_loop(entry->segments, look_for_match, &search, 0);
  return search.found;
}

static long look_for_end(__u32 index, struct search* search) {
  const struct zq_segment* segment = segment_at(search->entry, index);
  if (segment->class_id != search->class_id || search->now < segment->from) return 0;
  if (search->now < segment->until) {
    search->found = NO_SEGMENT;
    return 1;
  }
  if (segment->until >= search->newest) {
    search->newest = segment->until;
    search->found = index;
  }
  return 0;
}

// The segment that put a packet into the queue of a class, if it is over; else NO_SEGMENT.
static __noinline __u32 find_ended(const struct zq_programme_entry* entry, __u32 class_id,
                                   __u64 now) {
  struct search search = {.entry = entry, .now = now, .class_id = class_id, .found = NO_SEGMENT};
  bpf_loop(entry->segments, look_for_end, &search, 0);
  return search.found;
}

static __always_inline struct zq_evidence* find_evidence(const struct zq_programme_entry* entry,
                                                         const struct zq_segment* segment) {
  __u32 slot = entry->evidence_slot;
  void* map = bpf_map_lookup_elem(&zq_evidences, &slot);
  if (!map) return NULL;
  __u32 key = segment->evidence;
  return bpf_map_lookup_elem(map, &key);
}

static long note_at(__u32 index, struct search* search) {
  const struct zq_segment* segment = segment_at(search->entry, index);
  const __u64 now = search->now;
  const bool before = now < segment->from && now >= segment->note_from;
  const bool after = now >= segment->until && now < segment->note_until;
  if (!before && !after) return 0;
  if (segment->scoped && !zq_matches(segment, search->transport)) return 0;
  struct zq_evidence* evidence = find_evidence(search->entry, segment);
  if (!evidence) return 0;
  if (before) {
    evidence->last_passed_ns = now;
  } else if (evidence->first_passed_ns == 0) {
    evidence->first_passed_ns = now;
  }
  return 0;
}

// Evidence of a packet that goes through, at the segments before and after which it does.
static __noinline int note_passage(const struct zq_programme_entry* entry, __u64 transport,
                                   __u64 now) {
  struct search search = {.entry = entry, .transport = transport, .now = now};
  bpf_loop(entry->segments, note_at, &search, 0);
  return 0;
}
