/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the gate's BPF programs and their loader agree on. Plain C for both. */
#pragma once

#include <linux/types.h>

#define ZQ_MAX_SEGMENTS 64
#define ZQ_MAX_RANGES 8
#define ZQ_MAX_EXEMPTIONS 32
#define ZQ_MAX_CHANCES 1000
#define ZQ_MAX_UPLINKS 16
#define ZQ_REJECTED_BYTES 128

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

/* SO_MARK of frames that the delay line sends on, in the lower ten bits their class or 0; and of
 * the answers of reject mode. Both pass the egress gate; it clears the mark. */
#define ZQ_LINE_MARK 0x7a716c00U
#define ZQ_REPLY_MARK 0x7a717200U

/* What the egress lane is. While it changes nothing is steered into it. */
enum zq_lane { ZQ_LANE_IFB = 0, ZQ_LANE_TAP = 1, ZQ_LANE_CHANGING = 2 };

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

enum zq_treatment { ZQ_DROP = 0, ZQ_REJECT = 1, ZQ_IMPAIR = 2 };

/* Which end of a packet a list of ports is about; also the bit of zq_segment.sides. */
enum zq_side { ZQ_EITHER = 1, ZQ_SOURCE = 2, ZQ_DESTINATION = 4 };

struct zq_ports {
  __u16 first; /* as the host has it */
  __u16 last;
  __u8 side;
  __u8 reserved;
};

/* In force in [from, until), CLOCK_MONOTONIC ns, and with a period only while
 * (now - from) % period < on. Packets that pass in [note_from, from) are its last before it opens,
 * those in [until, note_until) its first after the end. */
struct zq_segment {
  __u64 from;
  __u64 until;
  __u64 period;
  __u64 on;
  __u64 note_from;
  __u64 note_until;
  __u32 evidence; /* key in the evidence map */
  __u32 chance;   /* 1 + key in zq_chances; 0 = neither loss nor duplicates */
  __u16 class_id; /* of the queue; 0 = none */
  __u8 treatment;
  __u8 scoped; /* 0 = every packet */
  __u8 protocol;
  __u8 ranges;
  __u8 sides; /* of which there is a list */
  __u8 reserved;
  struct zq_ports port[ZQ_MAX_RANGES];
};

/* The first segment that is in force and matches decides. Evidence is in the evidence map of
 * `evidence_slot`. */
struct zq_programme_entry {
  __u32 segments;
  __u32 evidence_slot;
  __u8 scoped; /* any of the segments */
  __u8 noted;  /* any of the segments has a note_from or note_until */
  __u8 reserved[6];
  struct zq_segment segment[ZQ_MAX_SEGMENTS];
};

enum zq_loss { ZQ_NO_LOSS = 0, ZQ_RANDOM = 1, ZQ_GILBERT_ELLIOTT = 2, ZQ_FOUR_STATE = 3 };

/* Loss and duplication of one impairment of one (direction, group): thresholds are fractions of
 * UINT32_MAX (0 = never), in the order of zq::LossModel. What follows `state` changes in the
 * kernel; two CPUs may step on each other there, which costs a little randomness. */
struct zq_chance {
  __u32 loss;
  __u32 duplicate;
  __u32 parameter[5];
  __u32 state;
  __u32 last; /* random number before, for the correlation */
  __u32 reserved;
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
  __u64 impaired_packets;
  __u64 impaired_bytes;
  __u64 impaired_segments;
  __u64 lost_packets;
  __u64 duplicated_packets;
  __u64 first_impaired_ns;
  __u64 last_impaired_ns;
  __u64 held_dropped_packets;
  __u64 held_passed_packets;
  __u64 last_held_ns;
};

/* Every packet of the book is in exactly one of passed, dropped, lost, exempt, transit. */
struct zq_counter {
  __u64 passed_packets;
  __u64 passed_bytes;
  __u64 dropped_packets;
  __u64 dropped_bytes;
  __u64 exempt_packets;
  __u64 transit_packets;
  __u64 rejected_packets; /* of the dropped */
  __u64 lost_packets;
  __u64 duplicated_packets;
  __u64 queued_packets;   /* of the passed */
  __u64 unqueued_packets; /* of the passed */
};

/* A rejected packet, from its IP header on. */
struct zq_rejected {
  __u32 direction;
  __u32 ifindex;
  __u32 length; /* of bytes that are valid */
  __u32 reserved;
  __u8 bytes[ZQ_REJECTED_BYTES];
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
