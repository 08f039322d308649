#include "controller/plan/cuts.h"

#include <algorithm>
#include <set>

namespace zq {

namespace {

std::set<GroupId> groups_of(const NodeSet& nodes, const std::vector<GroupId>& group_of) {
  std::set<GroupId> groups;
  for (const NodeId node : nodes) groups.insert(group_of[node]);
  return groups;
}

// Windows arrive in order of their phases; those of one phase are equal.
void append(std::vector<Window>& windows, const Window& window) {
  if (!windows.empty() && windows.back().until >= window.from) {
    windows.back().until = std::max(windows.back().until, window.until);
  } else {
    windows.push_back(window);
  }
}

}  // namespace

Cuts make_cuts(const std::vector<ResolvedFault>& faults, const std::vector<PlannedPhase>& phases,
               const std::vector<GroupId>& group_of) {
  Cuts cuts;
  for (const ResolvedFault& fault : faults) {
    if (fault.fault->kind == FaultKind::kKill) continue;
    const Window window{phases[fault.phase].from, phases[fault.phase].until};
    const std::set<GroupId> side_b = groups_of(fault.b, group_of);
    for (const GroupId a : groups_of(fault.a, group_of)) {
      for (const GroupId b : side_b) {
        append(cuts[{a, b}], window);
        if (fault.fault->kind == FaultKind::kPartition) append(cuts[{b, a}], window);
      }
    }
  }
  return cuts;
}

bool is_cut(const Cuts& cuts, GroupId from, GroupId to, Nanos at) {
  const auto found = cuts.find({from, to});
  if (found == cuts.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](const Window& window) { return window.from <= at && at < window.until; });
}

}  // namespace zq
