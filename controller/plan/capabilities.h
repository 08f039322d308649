// Whether the nodes can do what the plan asks of them.
#pragma once

#include "controller/plan/plan.h"

namespace zq {

// kRefused: names every node that lacks something, what that is and what for. Nothing is refused
// when capabilities are not known.
Status check_capabilities(const PlanInput& input, const Plan& plan);

}  // namespace zq
