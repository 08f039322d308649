// Whether the addresses of a cluster's nodes can be told apart.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/ip.h"
#include "experiments/cluster.h"
#include "experiments/toml_reader.h"

namespace zq {

struct PlacedAddress {
  IpPrefix prefix;
  NodeId node = 0;
  Position position;
};

// Reports addresses that are listed twice, or overlap those of another node. O(n log n).
void check_addresses_apart(std::vector<PlacedAddress> addresses, const Cluster& cluster,
                           TomlReport& report);

// Reports an address that no packet between two nodes can carry.
void check_address_usable(const IpPrefix& prefix, const Position& position, TomlReport& report);

}  // namespace zq
