// The cluster of the recordings of Mesos: three masters, three agents and three ZooKeeper servers
// in zones a, b, c, and the tasks that its frameworks ran as apps.
#pragma once

#include "tests/unit/systems/support.h"

namespace zq::test {

inline SystemSpec make_system(const std::string& name, const std::string& nodes,
                              const std::string& endpoint) {
  SystemSpec system;
  system.name = system.kind = name;
  system.nodes = Selector::parse(nodes, {"test.toml", 9, 9}).value();
  system.endpoint = endpoint;
  system.position = {"test.toml", 7, 3};
  return system;
}

// Nodes 0-2 are m1-m3, 3-5 are a1-a3, 6-8 are z1-z3. Systems: mesos, marathon, zookeeper.
inline Cluster mesos_cluster(const std::vector<std::string>& apps = {"web"}) {
  Cluster cluster;
  cluster.name = "test";
  cluster.path = "test.toml";
  cluster.regions = {"r1"};
  const std::vector<std::string> zones{"a", "b", "c"};
  for (const std::string& zone : zones) cluster.zones.push_back({zone, "r1", {}});
  const auto add = [&](const std::string& prefix, std::vector<std::string> roles, int address) {
    for (const std::string& zone : zones) {
      cluster.nodes.push_back(make_node(prefix + std::to_string(1 + zone[0] - 'a'), zone, roles,
                                        "10.77.0." + std::to_string(address + zone[0] - 'a')));
    }
  };
  add("m", {"master", "scheduler"}, 21);
  add("a", {"agent"}, 31);
  add("z", {"coordinator"}, 11);
  cluster.systems = {make_system("mesos", "role:master | role:agent", "http://{ip}:5050"),
                     make_system("marathon", "role:scheduler", "http://{ip}:8080"),
                     make_system("zookeeper", "role:coordinator", "{ip}:2181")};
  for (const std::string& name : apps) {
    AppSpec app;
    app.name = name;
    app.system = "marathon";
    cluster.apps.push_back(app);
  }
  return cluster;
}

inline constexpr NodeId kM1 = 0, kM2 = 1, kM3 = 2, kA1 = 3, kA2 = 4, kA3 = 5, kZ1 = 6;

// Timers: what masters, agents, ZooKeeper and TCP tell, as probes of `system`.
inline void tell_mesos_timers(Adapter& adapter, const std::string& system,
                              const std::string& master_flags, const std::string& agent_flags,
                              const std::string& rto_max_ms) {
  for (const NodeId node : {kM1, kM2, kM3}) {
    adapter.interpret(answer(node, system + "/master-flags", master_flags));
  }
  for (const NodeId node : {kA1, kA2, kA3}) {
    adapter.interpret(answer(node, system + "/agent-flags", agent_flags));
    adapter.interpret(answer(node, system + "/tcp", rto_max_ms, rto_max_ms.empty() ? 1 : 0));
  }
  adapter.interpret(
      answer(kZ1, system + "/zookeeper-conf", "tickTime=2000\ninitLimit=10\nsyncLimit=5\n", 0));
}

inline const NodeProbe* find_probe(const std::vector<NodeProbe>& probes, NodeId node,
                                   const std::string& id) {
  for (const NodeProbe& probe : probes) {
    if (probe.node == node && probe.probe.id() == id) return &probe;
  }
  return nullptr;
}

}  // namespace zq::test
