// Which subnets, gateways and addresses the namespaces of a cluster get. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "experiments/cluster.h"

namespace zq::testbed {

inline constexpr unsigned kSubnetLengthV4 = 24;
inline constexpr unsigned kSubnetLengthV6 = 64;

struct NodeAddresses {
  std::string node;
  std::vector<IpAddress> addresses;  // the cluster file's order
};

struct ZoneAddresses {
  std::string zone;
  std::optional<IpAddress> gateway_v4;  // none if no node of the zone has the family
  std::optional<IpAddress> gateway_v6;
  std::vector<NodeAddresses> nodes;
};

// One entry per zone that has nodes, in the cluster's order. kInput: a node without a host address,
// a zone that spans several subnets, two zones in one, one address twice.
Result<std::vector<ZoneAddresses>> plan_addresses(const Cluster& cluster);

}  // namespace zq::testbed
