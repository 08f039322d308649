// Whether a system keeps a majority of its voters alive and connected.
#pragma once

#include <vector>

#include "controller/plan/asks.h"
#include "controller/plan/plan.h"

namespace zq {

// Whether at some instant no set of voters that are alive and reach each other in both directions
// holds a majority. Without voters there is nothing to lose. Which ports a system uses is not known
// here, so that a border with any of TCP's or UDP's cut counts as cut.
[[nodiscard]] bool loses_quorum(const SystemSpec& system, const std::vector<NodeId>& voters,
                                const Plan& plan, const Asks& asks,
                                const std::vector<GroupId>& group_of);

}  // namespace zq
