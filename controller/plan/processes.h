// What is done to processes, and which nodes are dead because of it.
#pragma once

#include <string>
#include <vector>

#include "controller/plan/faults.h"
#include "controller/plan/plan.h"

namespace zq {

// Fills the plan's `processes`, and its phases' `down` and `kill_after`. A node that is killed
// again in the phase in which it would be started stays dead in between. kInput: two faults would
// act on the processes of a node at the same time, or something is left dead at the end.
Status plan_processes(const PlanInput& input, const std::vector<ResolvedFault>& faults, Plan& plan);

// Nodes of whose system no process serves at the instant: killed, stopped, paused, without power or
// switched off by a hook. What is started again may take until the end of that phase to serve.
[[nodiscard]] NodeSet dead_nodes(const Plan& plan, const SystemSpec& system, Nanos at);

}  // namespace zq
