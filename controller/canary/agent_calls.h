// Probes made once, each by its node's agent: how the controller reaches what only the node itself
// reaches, like a unix socket or a network that a testbed made.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "controller/fleet/fleet.h"
#include "controller/systems/adapter.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"

namespace zq {

class AgentCalls {
 public:
  // Asks every agent whether it is there. kUnavailable names those that are not; kRefused when a
  // run holds a node.
  static Result<AgentCalls> connect(const Cluster& cluster, const Testbed* testbed,
                                    std::stop_token stop);

  // All at once, in the order of `probes`, which have different ids per node; each is made exactly
  // once. kUnavailable where the agent did not answer, kCancelled.
  std::vector<Result<zonequake::Observation>> call(const std::vector<NodeProbe>& probes);

 private:
  AgentCalls(const Cluster& cluster, std::unique_ptr<Fleet> fleet, std::stop_token stop)
      : cluster_(&cluster), fleet_(std::move(fleet)), stop_(std::move(stop)) {}

  const Cluster* cluster_;
  std::unique_ptr<Fleet> fleet_;
  std::stop_token stop_;
};

}  // namespace zq
