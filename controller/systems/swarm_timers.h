// What swarmkit's timers promise, as bounds.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "controller/systems/swarm_answers.h"

namespace zq {

// Those of the cluster alone, and with `services` (of the watched apps) those that need them.
[[nodiscard]] std::map<std::string, Adapter::Timer> swarm_timers(
    const std::optional<SwarmInfo::Spec>& spec,
    const std::optional<std::vector<SwarmService>>& services);

}  // namespace zq
