// Whether a system keeps a majority of its voters alive and connected.
#pragma once

#include <vector>

#include "controller/plan/cuts.h"
#include "controller/plan/plan.h"

namespace zq {

// Whether at some instant no set of voters that are alive and reach each other in both directions
// holds a majority. Without voters there is nothing to lose.
[[nodiscard]] bool loses_quorum(const std::vector<NodeId>& voters, const Plan& plan,
                                const Cuts& cuts, const std::vector<GroupId>& group_of);

}  // namespace zq
