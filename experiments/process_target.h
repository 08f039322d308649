// Which nodes a fault of processes acts on.
#pragma once

#include "agent/base/error.h"
#include "experiments/cluster.h"
#include "experiments/experiment.h"

namespace zq {

// Those of `nodes` that run the fault's system (all of them, if it names none). kInput without a
// position: the cluster has no such system or hook, none of the nodes runs the system, or, outside
// a testbed, which knows its own processes, nobody could act on a node: it has no agent, or a
// system on it says neither its unit nor its cgroup. What is killed or stopped is started again,
// which takes a unit.
Result<NodeSet> process_nodes(const Cluster& cluster, const Fault& fault, const NodeSet& nodes);

}  // namespace zq
