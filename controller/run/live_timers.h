// What a run would read from the live systems before it plans, without a run.
#pragma once

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "controller/run/runner.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"
#include "experiments/experiment.h"

namespace zq {

struct LiveReading {
  std::map<std::string, double> variables;          // replicas, timers (seconds)
  std::map<std::string, std::string> derivations;   // of the timers
  std::map<std::string, std::string> versions;      // of the systems
  std::map<std::string, NodeId> leaders;            // of those that have one
  std::vector<std::set<std::string>> capabilities;  // by node, as PlanInput wants them
};

// Asks the agents and the systems as run_experiment() does, arms nothing and stores nothing. The
// agents are held meanwhile, so that it is refused where a run goes on.
Result<LiveReading> read_live(const Experiment& experiment, const Cluster& cluster,
                              Testbed* testbed, RunListener& listener, const std::stop_token& stop);

}  // namespace zq
