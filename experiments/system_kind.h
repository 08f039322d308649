// What cluster and experiment files have to know about the kinds of systems: their names and what
// they can be asked to do. All else is the adapters' business.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zq {

[[nodiscard]] const std::vector<std::string>& system_kinds();
// A scheduler; the others are coordinators.
[[nodiscard]] bool runs_apps(std::string_view kind);
// There is a write workload for it.
[[nodiscard]] bool takes_writes(std::string_view kind);

}  // namespace zq
