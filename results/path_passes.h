// When a path between two nodes counts as open.
#pragma once

#include "results/store.h"

namespace zq {

// At least 90 % of the probes arrived, or all but two when there are few: single losses on an open
// path prove nothing. False when none arrived.
[[nodiscard]] inline bool path_passes(const PathRecord& path) {
  return path.received > 0 &&
         (path.received * 10 >= path.sent * 9 || path.received + 2 >= path.sent);
}

}  // namespace zq
