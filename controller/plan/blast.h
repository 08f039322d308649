// How much of the cluster the experiment touches, and whether its [limits] allow that.
#pragma once

#include "controller/plan/asks.h"
#include "controller/plan/faults.h"
#include "controller/plan/plan.h"

namespace zq {

// Needs the plan's groups, phases and processes.
Result<BlastRadius> measure_blast(const PlanInput& input, const Plan& plan,
                                  const std::vector<ResolvedFault>& faults, const Asks& asks,
                                  const std::vector<GroupId>& group_of);

// kRefused, with what exceeds what and how to allow it.
Status check_limits(const PlanInput& input, const BlastRadius& blast);

}  // namespace zq
