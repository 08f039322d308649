// The faults of a plan in words.
#pragma once

#include <string>

#include "controller/plan/plan.h"

namespace zq {

// "T", "T-10s", "T+1m30s".
[[nodiscard]] std::string describe_instant(Nanos at);

// Per border of groups what happens to which packets when. A line for each segment, one for the
// steps of a ramp together, and one border for both directions where they are alike.
[[nodiscard]] std::string describe_borders(const Plan& plan);

// A line for each step.
[[nodiscard]] std::string describe_processes(const Plan& plan, const Cluster& cluster);

}  // namespace zq
