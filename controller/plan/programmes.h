// What every node's kernel is told.
#pragma once

#include <vector>

#include "controller/plan/asks.h"
#include "controller/plan/plan.h"

namespace zq {

// Fills `programmes` and `impairments`; needs the plan's groups. Drops and rejects are entered at
// both ends of a border, impairments at the sender's egress, or at the receiver's ingress where the
// sender has no agent. kInput: faults that cannot be combined. kRefused: more segments or queues
// than a node can hold.
Status make_programmes(const PlanInput& input, const Asks& asks,
                       const std::vector<GroupId>& group_of, Plan& plan);

}  // namespace zq
