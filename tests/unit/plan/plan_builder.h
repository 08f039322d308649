// Clusters and experiments by hand, for the tests of the plan.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "controller/plan/plan.h"

namespace zq::test {

inline Selector selector(std::string_view text) {
  auto parsed = Selector::parse(text, {"experiment.toml", 7, 3});
  if (!parsed) ADD_FAILURE() << parsed.error().message;
  return parsed.value_or(Selector{});
}

inline Expression seconds(std::string_view text) {
  auto parsed = Expression::parse_number(text, {"experiment.toml", 9, 10});
  if (!parsed) ADD_FAILURE() << parsed.error().message;
  return parsed.value_or(Expression{});
}

// A selector for exactly these nodes.
inline std::string nodes_text(const Cluster& cluster, const NodeSet& nodes) {
  std::string text;
  for (const NodeId node : nodes) {
    text += (text.empty() ? "node:" : " | node:") + cluster.nodes[node].name;
  }
  return text;
}

inline void add_zone(Cluster& cluster, const std::string& name, const std::string& region = "r1") {
  cluster.zones.push_back({.name = name, .region = region, .position = {}});
  if (cluster.regions.empty() || cluster.regions.back() != region) {
    cluster.regions.push_back(region);
  }
}

inline void add_node(Cluster& cluster, const std::string& name, const std::string& zone,
                     const std::vector<std::string>& roles,
                     const std::vector<std::string>& addresses) {
  zq::Node node;
  node.name = name;
  node.zone = zone;
  for (const Zone& known : cluster.zones) {
    if (known.name == zone) node.region = known.region;
  }
  node.roles = roles;
  for (const std::string& address : addresses) {
    auto prefix = IpPrefix::parse(address);
    if (!prefix) ADD_FAILURE() << prefix.error().message;
    node.addresses.push_back(prefix.value_or(IpPrefix{}));
  }
  node.position = {"cluster.toml", static_cast<std::uint32_t>(10 + cluster.nodes.size()), 1};
  cluster.nodes.push_back(std::move(node));
}

// A cluster on this machine, whose processes anybody can kill.
inline Cluster empty_testbed(const std::string& name) {
  Cluster cluster;
  cluster.name = name;
  cluster.path = "cluster.toml";
  cluster.testbed = TestbedSpec{};
  return cluster;
}

// Zones a, b, c with two nodes each: a1 a2 b1 b2 c1 c2. The first of each is a master.
inline Cluster three_zones() {
  Cluster cluster = empty_testbed("three");
  unsigned zone_number = 0;
  for (const char* zone : {"a", "b", "c"}) {
    add_zone(cluster, zone);
    ++zone_number;
    for (unsigned i = 1; i <= 2; ++i) {
      add_node(cluster, fmt::format("{}{}", zone, i), zone, {i == 1 ? "master" : "agent"},
               {fmt::format("10.66.{}.{}", zone_number, i)});
    }
  }
  return cluster;
}

inline void add_system(Cluster& cluster, const std::string& name, std::string_view nodes) {
  SystemSpec system;
  system.name = name;
  system.kind = "zookeeper";
  system.nodes = selector(nodes);
  cluster.systems.push_back(std::move(system));
}

inline Fault fault(FaultKind kind, std::string_view a, std::string_view b = {}, Nanos after = {}) {
  Fault result;
  result.kind = kind;
  result.a = selector(a);
  if (!b.empty()) result.b = selector(b);
  result.after = after;
  result.position = {"experiment.toml", 20, 1};
  return result;
}

inline Phase phase(const std::string& name, std::string_view lasts,
                   std::vector<Fault> faults = {}) {
  Phase result;
  result.name = name;
  result.lasts = seconds(lasts);
  result.faults = std::move(faults);
  return result;
}

// Baseline of 10 s, the phases, recovery of 20 s.
inline Experiment experiment(std::vector<Phase> phases) {
  Experiment result;
  result.title = "A zone is cut";
  result.caveat = "T1-C2";
  result.path = "experiment.toml";
  result.limits.quorum_loss = true;
  result.phases.push_back(phase("baseline", "10s"));
  for (Phase& each : phases) result.phases.push_back(std::move(each));
  result.phases.push_back(phase("recovery", "20s"));
  return result;
}

inline Result<Plan> plan_of(const Cluster& cluster, const Experiment& experiment,
                            std::map<std::string, double> variables = {}) {
  return make_plan({cluster, experiment, std::move(variables), nullptr});
}

inline const ProgrammeEntry* find_entry(const NodeProgramme& programme, Direction direction,
                                        GroupId peer) {
  for (const ProgrammeEntry& entry : programme.entries) {
    if (entry.direction == direction && entry.peer == peer) return &entry;
  }
  return nullptr;
}

inline constexpr Nanos operator""_sec(unsigned long long count) {
  return std::chrono::seconds(count);
}

}  // namespace zq::test
