// What holds for all kinds: endpoints, unknown kinds, and bodies that are not what they should be.
#include <random>

#include "tests/unit/systems/mesos_support.h"

namespace zq::test {
namespace {

std::string error_for(const Cluster& cluster) {
  const auto result = make_adapter(cluster, cluster.systems[0]);
  if (result) return "no error";
  EXPECT_EQ(result.error().code, ErrorCode::kInput);
  EXPECT_NE(result.error().message.find("test.toml:7:3"), std::string::npos)
      << result.error().message;
  return result.error().message;
}

TEST(AdapterTest, KnowsItsKinds) {
  EXPECT_EQ(adapter_kinds(), (std::vector<std::string>{"etcd", "marathon", "mesos", "pacemaker",
                                                       "redis-sentinel", "swarm", "zookeeper"}));
  Cluster cluster = coordinator_cluster("zookeper", "{ip}:2181");
  EXPECT_NE(error_for(cluster).find("did you mean 'zookeeper'"), std::string::npos);
}

TEST(AdapterTest, BadEndpointsAreNamed) {
  for (const char* endpoint : {"", ":2181", "{ip}", "{ip}:", "{ip}:0", "{ip}:70000", "{ip}:21x",
                               "fd66::1:2181", "[fd66::1:2181", "[]:2181", "http://{ip}:2181"}) {
    EXPECT_NE(error_for(coordinator_cluster("zookeeper", endpoint)), "no error") << endpoint;
  }
  for (const char* endpoint : {"", "{ip}:2379", "http://", "unix:", "unix:///", "https://",
                               "ftp://{ip}", "http:///mesos"}) {
    EXPECT_NE(error_for(coordinator_cluster("etcd", endpoint)), "no error") << endpoint;
  }
  EXPECT_NE(error_for(coordinator_cluster("etcd", "unix:{dir}/x")).find("'{dir}'"),
            std::string::npos);
  EXPECT_NE(error_for(coordinator_cluster("etcd", "unix:{na/x")).find("'{na"), std::string::npos);

  Cluster prefixes = coordinator_cluster("etcd", "http://{ip}:2379");
  prefixes.nodes[1].addresses = {IpPrefix::parse("10.66.2.0/24").value()};
  EXPECT_NE(error_for(prefixes).find("'n2'"), std::string::npos);
}

TEST(AdapterTest, FreshnessFollowsTheProbe) {
  NodeProbe probe;
  EXPECT_EQ(probe.stale_after(), std::chrono::seconds(4)) << "the agent's defaults are 1 s";
  probe.probe.set_interval_ms(500);
  probe.probe.set_timeout_ms(2000);
  EXPECT_EQ(probe.stale_after(), std::chrono::milliseconds(3500));
}

struct Case {
  Cluster cluster;
  NodeId node;
  std::string probe;
  std::string body;
};

std::vector<Case> recorded_answers() {
  std::vector<Case> cases;
  for (const char* what : {"nodes", "tasks", "services", "info"}) {
    cases.push_back({swarm_cluster(), 0, std::string("swarm/") + what,
                     fixture(std::string("swarm-") + what + ".json")});
  }
  cases.push_back({swarm_cluster(), 3, "swarm/containers", fixture("swarm-containers.json")});
  for (const char* what : {"leader", "follower", "no-leader"}) {
    cases.push_back({coordinator_cluster("etcd", "http://{ip}:2379"), 0, "etcd/status",
                     fixture(std::string("etcd-status-") + what + ".json")});
  }
  cases.push_back({coordinator_cluster("etcd", "http://{ip}:2379"), 0, "etcd/members",
                   fixture("etcd-members.json")});
  const Cluster mesos = mesos_cluster({"pa-31", "np-31"});
  for (const auto& [node, probe, file] : std::vector<std::tuple<NodeId, const char*, const char*>>{
           {kM1, "leader", "master-get-master"},
           {kM1, "agents", "master-slaves"},
           {kM1, "registry", "master-registry-unreachable"},
           {kM1, "events", "master-subscribed-unreachable"},
           {kM1, "tasks", "master-state-unreachable"},
           {kM1, "frameworks", "master-get-frameworks"},
           {kM1, "master-flags", "master-flags"},
           {kA1, "state", "agent-state"}}) {
    cases.push_back({mesos, node, std::string("mesos/") + probe,
                     fixture(std::string("mesos/") + file + ".json")});
  }
  return cases;
}

// An answer that was cut off anywhere is no answer.
TEST(AdapterTest, TruncatedAnswersSayNothing) {
  for (const Case& recorded : recorded_answers()) {
    const std::size_t whole = recorded.body.find_last_not_of(" \n") + 1;
    const auto adapter = adapter_of(recorded.cluster);
    for (std::size_t length = 0; length < whole; length += 7) {
      const auto samples = adapter->interpret(
          answer(recorded.node, recorded.probe, recorded.body.substr(0, length)));
      EXPECT_TRUE(all_unknown(samples)) << recorded.probe << " " << length;
    }
  }
}

TEST(AdapterTest, GarbledAnswersDoNotCrash) {
  std::mt19937 random(20261124);
  for (const Case& recorded : recorded_answers()) {
    const auto adapter = adapter_of(recorded.cluster);
    for (int round = 0; round < 300; ++round) {
      std::string body = recorded.body;
      for (int change = 0; change < 4; ++change) {
        body[random() % body.size()] = static_cast<char>(random() % 256);
      }
      expect_known_names(adapter->interpret(answer(recorded.node, recorded.probe, body)));
    }
    static_cast<void>(adapter->timers());
  }
}

// Values of the wrong type in every place, deep nesting, huge numbers.
TEST(AdapterTest, OddValuesDoNotCrash) {
  const std::string deep = std::string(20000, '[') + std::string(20000, ']');
  for (const Case& recorded : recorded_answers()) {
    const auto adapter = adapter_of(recorded.cluster);
    for (const std::string& body :
         {deep, std::string("[[],{},5,null]"), std::string(R"([{"ID":5,"Status":"x"}])"),
          std::string(R"([{"ID":"x","Status":{"State":["ready"]}}])"),
          std::string(R"({"ServerVersion":{},"Swarm":5})"),
          std::string(R"({"ServerVersion":"x","Swarm":{"Cluster":[1]}})"), std::string("1e400"),
          std::string(R"({"members":[null]})")}) {
      EXPECT_TRUE(all_unknown(adapter->interpret(answer(recorded.node, recorded.probe, body))))
          << recorded.probe << " " << body.substr(0, 60);
    }
  }
}

}  // namespace
}  // namespace zq::test
