// What the checks of recommendations need of a swarm: members with labels and resources, services
// with constraints and reservations, and where their tasks are.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controller/check/facts.h"

namespace zq {

// Answers of one manager, as they came.
struct SwarmBodies {
  std::string nodes, services, tasks;  // empty: not heard
};

// Adds members, apps, and, for managers that are in the cluster file, voters and schedulers.
// `node_of` finds the cluster's node by host name or any of its addresses.
using FindSwarmNode = std::function<std::optional<NodeId>(const std::string& hostname,
                                                          const std::vector<IpAddress>& addresses)>;
void add_swarm_facts(const std::string& system, const SwarmBodies& bodies,
                     const FindSwarmNode& node_of, Facts& facts);

}  // namespace zq
