// A cluster in memory, and facts in which every check passes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "controller/check/check.h"

namespace zq::test {

struct NodeLine {
  const char* name;
  const char* zone;
  const char* region;
  std::vector<std::string> roles;
};

inline Cluster make_cluster(const std::vector<NodeLine>& lines) {
  Cluster cluster;
  cluster.name = cluster.path = "test";
  unsigned host = 1;
  for (const NodeLine& line : lines) {
    Node node;
    node.name = line.name;
    node.zone = line.zone;
    node.region = line.region;
    node.roles = line.roles;
    node.addresses = {IpPrefix::parse(fmt::format("10.66.0.{}", host++)).value()};
    cluster.nodes.push_back(std::move(node));
    if (std::none_of(cluster.zones.begin(), cluster.zones.end(),
                     [&](const Zone& zone) { return zone.name == line.zone; })) {
      cluster.zones.push_back({line.zone, line.region, {}});
    }
    if (std::find(cluster.regions.begin(), cluster.regions.end(), line.region) ==
        cluster.regions.end()) {
      cluster.regions.emplace_back(line.region);
    }
  }
  SystemSpec system;
  system.name = system.kind = "swarm";
  system.nodes = Selector::parse("all", {"test", 1, 1}).value();
  system.endpoint = "unix:/x";
  cluster.systems = {system};
  return cluster;
}

inline Cluster one_zone() {  // T1
  return make_cluster({{"m1", "a", "r1", {"master", "scheduler"}},
                       {"m2", "a", "r1", {"master", "scheduler"}},
                       {"m3", "a", "r1", {"master", "scheduler"}},
                       {"a1", "a", "r1", {"agent"}},
                       {"b1", "b", "r1", {"agent"}},
                       {"c1", "c", "r1", {"agent"}}});
}

inline Cluster across_zones() {  // T2
  return make_cluster({{"m1", "a", "r1", {"master", "scheduler", "agent"}},
                       {"m2", "b", "r1", {"master", "scheduler", "agent"}},
                       {"m3", "c", "r1", {"master", "scheduler", "agent"}}});
}

inline Cluster agents_abroad() {  // T3
  return make_cluster({{"m1", "a", "r1", {"master", "scheduler", "agent"}},
                       {"m2", "b", "r1", {"master", "scheduler", "agent"}},
                       {"m3", "c", "r1", {"master", "scheduler", "agent"}},
                       {"d1", "d", "r2", {"agent"}}});
}

inline Cluster masters_abroad() {  // T4
  return make_cluster({{"m1", "a", "r1", {"master", "scheduler", "agent"}},
                       {"m2", "b", "r2", {"master", "scheduler", "agent"}},
                       {"m3", "c", "r3", {"master", "scheduler", "agent"}}});
}

// Sound: members with room, one app spread over them, quick paths, open ports.
inline Facts sound_facts(Cluster& cluster) {
  Facts facts;
  AppFacts app;
  app.system = "swarm";
  app.id = "web";
  app.each.cpus = 1;
  for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
    Node& node = cluster.nodes[i];
    const auto id = static_cast<NodeId>(i);
    node.labels["link"] = "dedicated";
    if (node.has_role("agent")) {
      MemberFacts member;
      member.system = "swarm";
      member.id = "id-" + node.name;
      member.node = id;
      member.hostname = node.name;
      member.attributes["zone"] = node.zone;
      member.total = Resources{.cpus = 8};
      member.unused = Resources{.cpus = 7};
      facts.members.push_back(member);
      app.running_on.push_back(member.id);
    }
    if (node.has_role("master")) {
      VoterFacts voter;
      voter.system = "swarm";
      voter.node = id;
      facts.voters.push_back(voter);
      SchedulerFacts scheduler;
      scheduler.system = scheduler.name = "swarm";
      scheduler.where = node.name;
      scheduler.node = id;
      facts.schedulers.push_back(scheduler);
    }
    facts.clock_offset_s[id] = 0.001;
    for (std::size_t j = 0; j < cluster.nodes.size(); ++j) {
      if (i == j) continue;
      PathFacts path;
      path.from = id;
      path.to = static_cast<NodeId>(j);
      path.address = "10.66.0.1";
      path.sent = path.received = 400;
      path.rtt_p50_ms = 0.2;
      path.rtt_p99_ms = 0.9;
      path.throughput_mbps = 4000;
      facts.paths.push_back(path);
      PortFacts port;
      port.from = id;
      port.to = path.to;
      port.port = 2377;
      port.connects = true;
      facts.ports.push_back(port);
    }
  }
  app.instances = static_cast<unsigned>(app.running_on.size());
  facts.apps = {app};
  facts.timers[{"swarm", "heartbeat_period"}] = 1;
  return facts;
}

inline CheckResult run_one(const Cluster& cluster, const Facts& facts, const std::string& id) {
  const auto topology = detect_topology(cluster);
  EXPECT_TRUE(topology);
  const auto report = run_checks({.cluster = cluster, .facts = facts, .topology = *topology}, {id});
  EXPECT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->checks.size(), 1U);
  return report->checks.front();
}

}  // namespace zq::test
