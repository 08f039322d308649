// Bulk workloads resolved over a cluster: who sends to whom.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "experiments/cluster.h"
#include "experiments/experiment.h"

namespace zq {

struct BulkFlow {
  NodeId from = 0;
  NodeId to = 0;
  IpAddress from_address, to_address;  // of one family, IPv4 where both nodes have it
  unsigned streams = 1;
  std::uint64_t rate_bps = 0;  // of all streams together; 0 = as much as goes through
};

// Every node of `from` to every other node of `to`. kInput, without a position: a selector that
// depends on who leads, nodes without an agent or a common address family, more pairs or more
// streams to one node than agents take.
Result<std::vector<BulkFlow>> bulk_flows(const Cluster& cluster, const Experiment& experiment,
                                         const Workload& workload);
// Of all bulk workloads of the experiment.
Result<std::vector<BulkFlow>> bulk_flows(const Cluster& cluster, const Experiment& experiment);

[[nodiscard]] bool has_bulk(const Experiment& experiment);

}  // namespace zq
