// Planning without asking the live cluster, for `plan` and for what `run` refuses in advance.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "controller/plan/plan.h"

namespace zq {

// What is said in place of the live cluster.
struct PlanAssumptions {
  std::map<std::string, double> timers;        // seconds
  std::map<std::string, std::string> leaders;  // system -> node
};

struct OfflinePlan {
  Plan plan;
  std::vector<std::string> assumed_timers;  // needed, not given, taken to be kAssumedTimer
};

// Seconds, for a timer that only the live cluster knows and nobody has given.
inline constexpr double kAssumedTimer = 30;

// kInput names the --leader that is missing, and a leader that is no node; else make_plan()'s.
Result<OfflinePlan> plan_offline(const Experiment& experiment, const Cluster& cluster,
                                 const PlanAssumptions& given);

// The first that can be made whichever of its voters leads a system, in file order; else why not
// with the first of them.
Result<OfflinePlan> plan_for_any_leader(const Experiment& experiment, const Cluster& cluster,
                                        const std::map<std::string, double>& timers);

// Refuses (kRefused, kInput) what no plan can be made for, whichever of its voters leads a system.
// What holds only for some of them is left to the run, which asks who leads.
Status check_plannable(const Experiment& experiment, const Cluster& cluster);

}  // namespace zq
