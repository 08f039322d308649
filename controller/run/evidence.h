// Was the fault in force, on every node, to the packet, and nowhere else? Pure: what the agents
// measured in, findings out. A run with a finding that makes it invalid says nothing about the
// cluster.
#pragma once

#include <string>
#include <vector>

#include "agent.pb.h"
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

// The gates' own counters against the plan: evidence of every segment on every node; nothing passed
// inside a window; on every node last passed < T <= first dropped for the windows that open at T;
// and for every border, direction and segment
// - drops and rejects of everything: at least one (inconclusive where no probe of `paths` was sent
//   into a window either), and where they flap, something passed as well;
// - drops and rejects of a part: at least one, else inconclusive, as nothing matched;
// - impairments: at least one packet, else inconclusive.
[[nodiscard]] Findings assess_gates(const Plan& plan, const Cluster& cluster, MonoTime fault_at,
                                    const std::vector<FaultEvidenceRecord>& evidence,
                                    const std::vector<PathRecord>& paths);

// Packets that should have been held and were not.
[[nodiscard]] Findings assess_counters(const std::string& node,
                                       const zonequake::EvidenceReply& reply);
// Packets that a queue lost although nobody asked for that.
[[nodiscard]] Findings assess_queues(const std::vector<QueueRecord>& queues);
// Steps that agents took not at all, too late, or in vain.
[[nodiscard]] Findings assess_steps(const std::vector<ProcessRecord>& steps);

}  // namespace zq
