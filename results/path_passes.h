// When a path between two nodes counts as open.
#pragma once

#include <algorithm>

#include "results/store.h"

namespace zq {

// Of a path of which the plan asks for no loss: single losses prove nothing.
inline constexpr double kAllowedLoss = 0.1;

// No more than the plan allows got lost, or 10 %, or two when there are few. False when none
// arrived of a path that is to lose less than all.
[[nodiscard]] inline bool path_passes(const PathRecord& path) {
  const double allowed = std::max(path.allowed_loss, kAllowedLoss);
  if (path.received == 0) return allowed >= 1;
  const auto sent = static_cast<double>(path.sent);
  return static_cast<double>(path.received) >= sent * (1 - allowed) - 1e-6 ||
         path.received + 2 >= path.sent;
}

}  // namespace zq
