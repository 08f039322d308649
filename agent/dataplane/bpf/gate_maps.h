/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the gate's programs keep, and what the loader tells them. */
#pragma once

#include "bpf/gate_shared.h"

// Set before loading; the verifier then sees constants and drops what is switched off.
const volatile __u32 own_group = 0;
const volatile __u32 transit_zones = 0;
const volatile __u8 has_prefixes4 = 0;
const volatile __u8 has_prefixes6 = 0;
const volatile __u32 exemptions = 0;
const volatile struct zq_exemption exemption[ZQ_MAX_EXEMPTIONS] = {};
const volatile __u32 uplink_slot[ZQ_MAX_UPLINKS] = {};  // device index by the delay line's slot

volatile __u32 egress_lane = ZQ_LANE_IFB;  // set while running
// Rejected packets of which no event could be made.
volatile __u64 rejects_unheard = 0;

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

// Two halves, used in turn like the evidence. Not per CPU: a chain has one state.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2 * ZQ_MAX_CHANCES);
  __type(key, __u32);
  __type(value, struct zq_chance);
} zq_chances SEC(".maps");

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

// Until when the delay line is known to be alive, CLOCK_MONOTONIC ns.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} zq_line SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} zq_rejects SEC(".maps");
