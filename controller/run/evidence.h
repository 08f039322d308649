// Was the fault in force, on every node, to the packet, and nowhere else? Pure: what the agents
// measured in, findings out. A run with a finding that makes it invalid says nothing about the
// cluster.
#pragma once

#include <string>
#include <vector>

#include "agent/base/time.h"
#include "controller/plan/plan.h"
#include "experiments/cluster.h"
#include "results/store.h"

namespace zq {

struct Findings {
  std::vector<std::string> invalid;
  std::vector<std::string> inconclusive;  // directions in which nothing was attempted

  void merge(Findings other);
};

// Before and after: every path passes. During: cut paths receive nothing, the others pass. A path
// passes when at least 90 % arrives (or all but two packets, when there are few).
[[nodiscard]] Findings assess_paths(const std::vector<PathRecord>& records);

// The gates' own counters against the plan: evidence of every window on every node; on every border
// and direction at least one drop (inconclusive where no probe of `paths` was sent into a window
// either); nothing passed inside a window; and on every node last passed < T <= first dropped for
// the windows that open at T.
[[nodiscard]] Findings assess_gates(const Plan& plan, const Cluster& cluster, MonoTime fault_at,
                                    const std::vector<FaultEvidenceRecord>& evidence,
                                    const std::vector<PathRecord>& paths);

}  // namespace zq
