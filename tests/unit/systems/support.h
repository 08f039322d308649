// A small cluster, recorded answers, and a way to ask what samples say.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "controller/systems/adapter.h"

namespace zq::test {

inline std::string fixture(const std::string& name) {
  std::ifstream file(std::string(ZQ_SOURCE_DIR) + "/tests/unit/systems/data/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Node make_node(const std::string& name, const std::string& zone,
                      std::vector<std::string> roles, const std::string& address) {
  Node node;
  node.name = name;
  node.zone = zone;
  node.region = "r1";
  node.roles = std::move(roles);
  node.addresses = {IpPrefix::parse(address).value()};
  return node;
}

// Zones a, b, c: managers m1 and m2 and a worker a1 in a, workers b1 and c1.
inline Cluster swarm_cluster() {
  Cluster cluster;
  cluster.name = "test";
  cluster.path = "test.toml";
  cluster.regions = {"r1"};
  for (const char* zone : {"a", "b", "c"}) cluster.zones.push_back({zone, "r1", {}});
  cluster.nodes = {
      make_node("m1", "a", {"master", "scheduler"}, "10.98.0.1"),
      make_node("m2", "a", {"master", "scheduler"}, "10.98.1.2"),
      make_node("a1", "a", {"agent"}, "10.66.1.3"),
      make_node("b1", "b", {"agent"}, "10.66.2.1"),
      make_node("c1", "c", {"agent"}, "fd66::3:1"),
  };
  SystemSpec system;
  system.name = "swarm";
  system.kind = "swarm";
  system.nodes = Selector::parse("all", {"test.toml", 9, 9}).value();
  system.endpoint = "unix:/run/test/{name}/docker.sock";
  system.position = {"test.toml", 7, 3};
  cluster.systems = {system};
  AppSpec app;
  app.name = "web";
  app.system = "swarm";
  app.replicas = 2;
  app.port_first = 9000;
  app.port_last = 9007;
  cluster.apps = {app};
  return cluster;
}

// Three coordinators, one in each zone.
inline Cluster coordinator_cluster(const std::string& kind, const std::string& endpoint) {
  Cluster cluster = swarm_cluster();
  cluster.apps.clear();
  cluster.nodes = {
      make_node("n1", "a", {"coordinator"}, "10.66.1.1"),
      make_node("n2", "b", {"coordinator"}, "10.66.2.1"),
      make_node("n3", "c", {"coordinator"}, "fd66::3:1"),
  };
  cluster.systems[0].name = cluster.systems[0].kind = kind;
  cluster.systems[0].endpoint = endpoint;
  return cluster;
}

inline std::unique_ptr<Adapter> adapter_of(const Cluster& cluster) {
  auto adapter = make_adapter(cluster, cluster.systems[0]);
  EXPECT_TRUE(adapter) << adapter.error().message;
  return std::move(*adapter);
}

inline Answer answer(NodeId node, const std::string& probe, const std::string& body,
                     int status = 200) {
  Answer answer;
  answer.node = node;
  answer.probe = probe;
  answer.at = mono_from_ns(1'000'000'000);
  answer.observation.set_probe(probe);
  answer.observation.set_outcome(zonequake::Observation::ANSWER);
  answer.observation.set_status(status);
  answer.observation.set_body(body);
  return answer;
}

inline Answer silence(NodeId node, const std::string& probe,
                      zonequake::Observation::Outcome outcome) {
  Answer result = answer(node, probe, "", 0);
  result.observation.set_outcome(outcome);
  return result;
}

// One sample per series: "no such series" is a failure, an unknown value is nullopt.
inline std::optional<double> value_of(const std::vector<Sample>& samples, const std::string& signal,
                                      const Labels& labels) {
  const Sample* found = nullptr;
  for (const Sample& sample : samples) {
    if (sample.signal != signal) continue;
    bool matches = true;
    for (const auto& [name, value] : labels) {
      const auto label = sample.labels.find(name);
      matches = matches && label != sample.labels.end() && label->second == value;
    }
    if (!matches) continue;
    EXPECT_EQ(found, nullptr) << signal << ": more than one series";
    found = &sample;
  }
  EXPECT_NE(found, nullptr) << signal << ": no such series";
  return found == nullptr ? std::nullopt : found->value;
}

inline bool all_unknown(const std::vector<Sample>& samples) {
  for (const Sample& sample : samples) {
    if (sample.value) return false;
  }
  return true;
}

// Every label and signal must be one that authors of experiments can name.
inline void expect_known_names(const std::vector<Sample>& samples) {
  for (const Sample& sample : samples) {
    const SignalInfo* const info = find_signal(sample.signal);
    ASSERT_NE(info, nullptr) << sample.signal;
    ASSERT_EQ(info->labels.size(), sample.labels.size()) << sample.signal;
    for (const std::string_view label : info->labels) {
      EXPECT_TRUE(sample.labels.contains(std::string(label))) << sample.signal << " " << label;
    }
  }
}

inline constexpr auto kRefused = zonequake::Observation::REFUSED;
inline constexpr auto kTimedOut = zonequake::Observation::TIMED_OUT;
inline constexpr auto kUnreachable = zonequake::Observation::UNREACHABLE;
inline constexpr auto kFailed = zonequake::Observation::FAILED;

}  // namespace zq::test
