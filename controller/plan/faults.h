// The experiment's faults with their selectors resolved to nodes of the cluster.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "controller/plan/plan.h"

namespace zq {

struct ResolvedFault {
  std::size_t phase = 0;  // index into Experiment::phases
  const Fault* fault = nullptr;
  NodeSet a;
  NodeSet b;  // empty for kKill
};

// [select] entries in file order. kInput: one of them is empty or cannot be resolved.
Result<std::map<std::string, NodeSet>> resolve_selections(const PlanInput& input);

// All faults in order of phase. kInput: a side is empty, or the two sides share a node.
Result<std::vector<ResolvedFault>> resolve_faults(const PlanInput& input,
                                                  const std::map<std::string, NodeSet>& selections);

// "m1, m2, m3 and 4 more": at most `limit` names.
[[nodiscard]] std::string list_nodes(const Cluster& cluster, const std::vector<NodeId>& nodes,
                                     std::size_t limit);

}  // namespace zq
