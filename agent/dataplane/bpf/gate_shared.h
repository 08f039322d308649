/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the gate's BPF programs and their loader agree on. Plain C for both. */
#pragma once

#include <linux/types.h>

#define ZQ_MAX_SEGMENTS 64
#define ZQ_MAX_EXEMPTIONS 32

/* What tc_index says of a packet between the gate and its queues. The kind is in the upper six
 * bits, the class id in the lower ten. Nothing of it leaves the node: the egress gate and steering
 * clear it, and the ingress gate clears what comes in. */
#define ZQ_STAMP_MASK 0xfc00U
#define ZQ_STAMP_QUEUE 0xa400U /* to be steered into a lane */
#define ZQ_STAMP_HELD 0xa800U  /* was in the egress lane: second pass */
#define ZQ_STAMP_COPY 0xac00U  /* a duplicate on its way through the gate again */
#define ZQ_CLASS_MASK 0x03ffU
/* The lanes' root qdisc. Not 1:, which others use: HTB takes a packet's priority for a class where
 * the major numbers agree. */
#define ZQ_LANE_MAJOR 0x7a710000U

/* SO_MARK of frames that the delay line sends on, and of the answers of reject mode. Both pass the
 * egress gate; it clears the mark. */
#define ZQ_LINE_MARK 0x7a716c00U
#define ZQ_REPLY_MARK 0x7a717200U

enum zq_direction { ZQ_EGRESS = 0, ZQ_INGRESS = 1, ZQ_DIRECTIONS = 2 };

/* What lease_renew returns. */
enum zq_renewal { ZQ_RENEWED = 0, ZQ_LAPSED = 1, ZQ_BAD_REQUEST = 2 };

/* lease_renew reads its request, a length in ns as __u64, behind an Ethernet header; 0 ends the
 * lease. */
#define ZQ_REQUEST_OFFSET 14

/* Words as the wire has them; IPv4 is mapped (::ffff:a.b.c.d). */
struct zq_address {
  __u32 word[4];
};

struct zq_prefix4 {
  __u32 length;
  __u32 address;
};

struct zq_prefix6 {
  __u32 length;
  struct zq_address address;
};

struct zq_programme_key {
  __u32 direction;
  __u32 group;
};

/* [from, until) in CLOCK_MONOTONIC ns. */
struct zq_window {
  __u64 from;
  __u64 until;
};

/* Windows are disjoint and ordered. The evidence of window i is kept in the evidence map of
 * `evidence_slot` under the key evidence_first + i. */
struct zq_programme_entry {
  __u32 windows;
  __u32 evidence_slot;
  __u32 evidence_first;
  __u32 reserved;
  struct zq_window window[ZQ_MAX_SEGMENTS];
};

/* Instants are 0 when the event has not happened. */
struct zq_evidence {
  __u64 dropped_packets;
  __u64 dropped_bytes;
  __u64 passed_packets;
  __u64 exempt_packets;
  __u64 last_passed_ns;
  __u64 first_dropped_ns;
  __u64 last_dropped_ns;
  __u64 first_passed_ns;
};

/* Every packet of the book is in exactly one of passed, dropped, exempt, transit. */
struct zq_counter {
  __u64 passed_packets;
  __u64 passed_bytes;
  __u64 dropped_packets;
  __u64 dropped_bytes;
  __u64 exempt_packets;
  __u64 transit_packets;
};

/* until_ns == 0: not renewed yet. lapsed is set once and never cleared. */
struct zq_lease {
  __u64 until_ns;
  __u64 lapsed;
};

/* Matches when either address and either port do; 0 = any. */
struct zq_exemption {
  struct zq_address address;
  struct zq_address mask;
  __u8 any_address;
  __u8 v4;
  __u8 protocol;
  __u8 reserved;
  __u16 port; /* as the wire has it */
  __u16 reserved2;
};
