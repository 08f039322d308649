// The experiment's faults with their selectors resolved to nodes of the cluster, and their times.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/plan/plan.h"

namespace zq {

struct ResolvedFault {
  std::size_t phase = 0;  // index into Experiment::phases, in which it begins
  const Fault* fault = nullptr;
  std::vector<NodeSet> sides;  // of faults of processes one, those that they act on
  Window window;               // empty for kRestart
};

// [select] entries in file order. kInput: one of them is empty or cannot be resolved.
Result<std::map<std::string, NodeSet>> resolve_selections(const PlanInput& input);

// All faults in order of phase. kInput: a side is empty, two sides share a node, nobody could act
// on a node's processes, or the fault does not fit into its phases.
Result<std::vector<ResolvedFault>> resolve_faults(const PlanInput& input,
                                                  const std::vector<PlannedPhase>& phases,
                                                  const std::map<std::string, NodeSet>& selections);

// Calls `visit` for every ordered pair of sides between which the fault treats packets; `reversed`
// when the scope's source ports are those of `to`. Not for faults of processes.
void for_each_direction(
    const ResolvedFault& fault,
    const std::function<void(const NodeSet& from, const NodeSet& to, bool reversed)>& visit);

// "m1, m2, m3 and 4 more": at most `limit` names.
[[nodiscard]] std::string list_nodes(const Cluster& cluster, const std::vector<NodeId>& nodes,
                                     std::size_t limit);

}  // namespace zq
