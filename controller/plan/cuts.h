// Which group's packets to which other group are dropped, and when.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "controller/plan/faults.h"
#include "controller/plan/plan.h"

namespace zq {

// (sender's group, receiver's group) -> flattened windows. Size is at most groups squared, whatever
// the number of nodes.
using Cuts = std::map<std::pair<GroupId, GroupId>, std::vector<Window>>;

// `phases` by the index that ResolvedFault::phase holds.
[[nodiscard]] Cuts make_cuts(const std::vector<ResolvedFault>& faults,
                             const std::vector<PlannedPhase>& phases,
                             const std::vector<GroupId>& group_of);

// Whether packets of the pair are dropped at the instant.
[[nodiscard]] bool is_cut(const Cuts& cuts, GroupId from, GroupId to, Nanos at);

}  // namespace zq
