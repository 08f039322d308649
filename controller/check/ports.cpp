#include "controller/check/ports.h"

#include <array>
#include <charconv>
#include <set>
#include <string_view>

namespace zq {
namespace {

struct KindPort {
  std::string_view kind, role;  // role empty: every node of the system
  std::uint16_t port;
};

constexpr std::array kPorts{KindPort{"mesos", "master", 5050}, KindPort{"mesos", "agent", 5051},
                            KindPort{"zookeeper", "", 2888},   KindPort{"zookeeper", "", 3888},
                            KindPort{"etcd", "", 2380},        KindPort{"swarm", "master", 2377},
                            KindPort{"swarm", "", 7946}};

// Of "{ip}:2181" or "http://{ip}:8080/path": what other nodes use too. 0: none.
std::uint16_t endpoint_port(std::string_view endpoint) {
  const auto host = endpoint.find("{ip}");
  if (host == std::string_view::npos) return 0;
  endpoint.remove_prefix(host + 4);
  if (!endpoint.starts_with(':')) return 0;
  endpoint.remove_prefix(1);
  std::uint16_t port = 0;
  std::from_chars(endpoint.data(), endpoint.data() + endpoint.size(), port);
  return port;
}

bool leads(const Node& node) {
  return node.has_role("master") || node.has_role("scheduler") || node.has_role("coordinator");
}

std::map<NodeId, std::set<std::uint16_t>> ports_by_node(const Cluster& cluster) {
  std::map<NodeId, std::set<std::uint16_t>> ports;
  for (const SystemSpec& system : cluster.systems) {
    const auto nodes = system.nodes.resolve(cluster, {}, nullptr);
    if (!nodes) continue;
    for (const NodeId id : *nodes) {
      const Node& node = cluster.nodes[id];
      const bool mesos = system.kind == "mesos";  // its endpoint is of the masters
      if (const auto port = endpoint_port(system.endpoint); port != 0 && !mesos) {
        ports[id].insert(port);
      }
      for (const KindPort& one : kPorts) {
        if (one.kind == system.kind && (one.role.empty() || node.has_role(std::string(one.role)))) {
          ports[id].insert(one.port);
        }
      }
    }
  }
  return ports;
}

}  // namespace

std::vector<PortToTry> ports_to_try(const Cluster& cluster) {
  std::vector<PortToTry> list;
  const auto ports = ports_by_node(cluster);
  for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
    const Node& from = cluster.nodes[i];
    if (!from.has_agent()) continue;
    for (const auto& [to, open] : ports) {
      if (to == i || (!leads(from) && !leads(cluster.nodes[to]))) continue;
      for (const std::uint16_t port : open) {
        list.push_back({.from = static_cast<NodeId>(i), .to = to, .port = port});
      }
    }
  }
  return list;
}

}  // namespace zq
