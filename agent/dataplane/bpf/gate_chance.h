/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Loss and duplication, drawn as sch_netem draws them. */
#pragma once

#include "bpf/gate_maps.h"

static __always_inline bool happens(__u32 threshold) {
  return threshold != 0 && bpf_get_prandom_u32() <= threshold;
}

// netem's get_crandom(): a random number that leans towards the one before.
static __always_inline bool random_loss(volatile struct zq_chance* chance) {
  const __u32 threshold = chance->parameter[0];
  const __u32 correlation = chance->parameter[1];
  if (threshold == 0) return false;
  if (correlation == 0) return happens(threshold);
  const __u64 value = bpf_get_prandom_u32();
  const __u64 weight = (__u64)correlation + 1;
  const __u64 last = chance->last;
  const __u32 answer = (__u32)((value * ((1ULL << 32) - weight) + last * weight) >> 32);
  chance->last = answer;
  return answer <= threshold;
}

enum { GOOD = 0, BAD = 1 };

static __always_inline bool gilbert_elliott_loss(volatile struct zq_chance* chance) {
  if (chance->state == GOOD) {
    if (happens(chance->parameter[0])) chance->state = BAD;
    return happens(chance->parameter[3]);
  }
  if (happens(chance->parameter[1])) chance->state = GOOD;
  return happens(chance->parameter[2]);
}

enum { IN_GAP = 0, IN_BURST = 1, LOST_IN_BURST = 2, LOST_IN_GAP = 3 };

// Parameters: p13, p31, p32, p23, p14.
static __always_inline bool four_state_loss(volatile struct zq_chance* chance) {
  const __u64 number = bpf_get_prandom_u32();
  const __u64 p13 = chance->parameter[0];
  const __u64 p31 = chance->parameter[1];
  const __u64 p32 = chance->parameter[2];
  const __u64 p23 = chance->parameter[3];
  const __u64 p14 = chance->parameter[4];
  switch (chance->state) {
    case IN_GAP:
      if (number < p14) {
        chance->state = LOST_IN_GAP;
        return true;
      }
      if (number < p14 + p13) {
        chance->state = LOST_IN_BURST;
        return true;
      }
      return false;
    case IN_BURST:
      if (number >= p23) return false;
      chance->state = LOST_IN_BURST;
      return true;
    case LOST_IN_BURST:
      if (number < p32) {
        chance->state = IN_BURST;
        return false;
      }
      if (number < p32 + p31) {
        chance->state = IN_GAP;
        return false;
      }
      return true;
    default:
      chance->state = IN_GAP;
      return false;
  }
}

static __always_inline bool loses(volatile struct zq_chance* chance) {
  if (chance->loss == ZQ_RANDOM) return random_loss(chance);
  if (chance->loss == ZQ_GILBERT_ELLIOTT) return gilbert_elliott_loss(chance);
  if (chance->loss == ZQ_FOUR_STATE) return four_state_loss(chance);
  return false;
}
