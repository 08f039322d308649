// What cluster and experiment files have to know about the kinds of systems: their names and what
// they can be asked to do. All else is the adapters' business.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zq {

[[nodiscard]] const std::vector<std::string>& system_kinds();
// A scheduler: it runs apps, so that an [[app]] may name it.
[[nodiscard]] bool runs_apps(std::string_view kind);
// It has masters of a cluster: master.* signals. A kind may be this and a scheduler.
[[nodiscard]] bool has_masters(std::string_view kind);
// It keeps state for others under one leader: coordinator.* signals.
[[nodiscard]] bool coordinates(std::string_view kind);
// There is a write workload for it.
[[nodiscard]] bool takes_writes(std::string_view kind);

// Whose majority the system needs to go on.
enum class Voters { kAll, kMasters, kNobody };
[[nodiscard]] Voters voters_of_kind(std::string_view kind);

// Does a system of this kind answer the need: a kind, or "scheduler", "master", "coordinator".
[[nodiscard]] bool answers_need(std::string_view kind, std::string_view need);

}  // namespace zq
