#include "controller/testbed/address_plan.h"

#include <map>
#include <set>

namespace zq::testbed {
namespace {

unsigned subnet_length(bool v4) { return v4 ? kSubnetLengthV4 : kSubnetLengthV6; }

// The address with `host` in its last two bytes (v4: the last byte) and zeros between those and
// the subnet.
IpAddress in_subnet(const IpAddress& any, std::uint16_t host) {
  auto bytes = any.bytes();
  if (any.is_v4()) {
    bytes[15] = static_cast<std::uint8_t>(host);
  } else {
    for (std::size_t i = kSubnetLengthV6 / 8; i < 14; ++i) bytes[i] = 0;
    bytes[14] = static_cast<std::uint8_t>(host >> 8U);
    bytes[15] = static_cast<std::uint8_t>(host & 0xffU);
  }
  return IpAddress::from_bytes(bytes);
}

class Planner {
 public:
  Status add_node(const Node& node, ZoneAddresses& zone) {
    NodeAddresses entry{node.name, {}};
    for (const IpPrefix& prefix : node.addresses) {
      if (!prefix.is_host()) {
        return fail(ErrorCode::kInput,
                    "{}: node {} has the prefix {}; a testbed can build host addresses only",
                    node.position.to_string(), node.name, prefix.to_string());
      }
      ZQ_CHECK(add_address(prefix.address(), node));
      entry.addresses.push_back(prefix.address());
    }
    if (entry.addresses.empty()) {
      return fail(ErrorCode::kInput, "{}: node {} has no address; give it one, such as 10.66.1.1",
                  node.position.to_string(), node.name);
    }
    zone.nodes.push_back(std::move(entry));
    return {};
  }

  // The highest address of the subnet that no node has; none if the zone lacks the family.
  [[nodiscard]] Result<std::optional<IpAddress>> gateway(const Zone& zone, bool v4) const {
    const auto subnet = subnets_.find({zone.name, v4});
    if (subnet == subnets_.end()) return std::optional<IpAddress>();
    for (std::uint16_t host = v4 ? 0xfe : 0xfffe; host > 0; --host) {
      const IpAddress address = in_subnet(subnet->second, host);
      if (!used_.contains(address)) return std::optional(address);
    }
    return fail(ErrorCode::kInput, "{}: zone {} has no address left for its gateway in {}/{}",
                zone.position.to_string(), zone.name, subnet->second.to_string(),
                subnet_length(v4));
  }

 private:
  Status add_address(const IpAddress& address, const Node& node) {
    const bool v4 = address.is_v4();
    if (!used_.insert(address).second) {
      return fail(ErrorCode::kInput, "{}: node {} has the address {}, which another node has too",
                  node.position.to_string(), node.name, address.to_string());
    }
    const IpAddress subnet = in_subnet(address, 0);
    if (v4 && (address == subnet || address == in_subnet(address, 0xff))) {
      return fail(ErrorCode::kInput,
                  "{}: node {} cannot have {}: it is its /24's network or broadcast address",
                  node.position.to_string(), node.name, address.to_string());
    }
    const auto [known, added] = subnets_.try_emplace({node.zone, v4}, subnet);
    if (known->second != subnet) {
      return fail(ErrorCode::kInput,
                  "{}: node {} has {}, but its zone {} is {}/{}; in a testbed all nodes of a zone "
                  "share one /{}",
                  node.position.to_string(), node.name, address.to_string(), node.zone,
                  known->second.to_string(), subnet_length(v4), subnet_length(v4));
    }
    if (!added) return {};
    const auto [owner, first] = zone_of_subnet_.try_emplace(subnet, node.zone);
    if (!first) {
      return fail(ErrorCode::kInput,
                  "{}: node {} of zone {} has {}, which is in the subnet of zone {} ({}/{}); give "
                  "each zone a subnet of its own",
                  node.position.to_string(), node.name, node.zone, address.to_string(),
                  owner->second, subnet.to_string(), subnet_length(v4));
    }
    return {};
  }

  std::map<std::pair<std::string, bool>, IpAddress> subnets_;  // (zone, v4) -> network address
  std::map<IpAddress, std::string> zone_of_subnet_;
  std::set<IpAddress> used_;
};

}  // namespace

Result<std::vector<ZoneAddresses>> plan_addresses(const Cluster& cluster) {
  std::vector<ZoneAddresses> zones;
  Planner planner;
  for (const Zone& zone : cluster.zones) {
    ZoneAddresses entry;
    entry.zone = zone.name;
    for (const Node& node : cluster.nodes) {
      if (node.zone == zone.name) ZQ_CHECK(planner.add_node(node, entry));
    }
    if (entry.nodes.empty()) continue;
    ZQ_TRY(entry.gateway_v4, planner.gateway(zone, true));
    ZQ_TRY(entry.gateway_v6, planner.gateway(zone, false));
    zones.push_back(std::move(entry));
  }
  if (zones.empty()) {
    return fail(ErrorCode::kInput, "{}: the cluster has no nodes to build", cluster.path);
  }
  return zones;
}

}  // namespace zq::testbed
