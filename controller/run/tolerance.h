// How far what is measured may be from what was asked before that proves something. Pure.
#pragma once

#include <cstdint>

#include "agent/base/impairment.h"
#include "agent/base/time.h"

namespace zq {

struct Range {
  double low = 0;
  double high = 0;
  [[nodiscard]] bool contains(double value) const { return low <= value && value <= high; }
  // Grows so that it holds the other one too.
  void include(const Range& other);
};

// Of a comparison that is right: how often it may be called wrong all the same. 99.99 %.
inline constexpr double kErrorRate = 1e-4;

// Two-sided: the distance in standard deviations that a normal value passes with `error_rate`.
[[nodiscard]] double normal_distance(double error_rate);

// The share of `trials` in which something of that probability is seen, but for `error_rate`:
// exact for few trials. `variance` > 1: trials that depend on each other count for less.
[[nodiscard]] Range share_range(double probability, std::uint64_t trials, double variance,
                                double error_rate);

// By how much the losses of a model vary more than independent ones of the same share would, over
// many packets: 1 for independent ones, more for bursts.
[[nodiscard]] double loss_variance(const LossModel& loss);

// Of the distribution of delays around the delay, in units of the jitter: value below which the
// share `rank` lies.
[[nodiscard]] double jitter_quantile(const Impairment& impairment, double rank);
// The farthest that a packet may be delayed beyond delay + jitter, in units of the jitter.
[[nodiscard]] double jitter_reach(const Impairment& impairment);
// Longest stay of a packet in a queue that holds no more than it is asked to.
[[nodiscard]] Nanos drain_bound(const Impairment& impairment);

// Share of packets that arrive after one that was sent later, when the share `reorder` skips a
// delay that is `ahead` packets long.
[[nodiscard]] double overtaken_share(double reorder, double ahead);

}  // namespace zq
