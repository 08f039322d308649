#include <nlohmann/json.hpp>
#include <set>

#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

using nlohmann::json;

constexpr NodeId kM1 = 0, kM2 = 1, kA1 = 2, kB1 = 3;

class SwarmTest : public ::testing::Test {
 protected:
  // What a manager needs to have said before tasks make sense.
  void introduce() {
    adapter_->interpret(answer(kM1, "swarm/services", fixture("swarm-services.json")));
    adapter_->interpret(answer(kM1, "swarm/nodes", fixture("swarm-nodes.json")));
  }
  // The recorded nodes, with the state of m2 replaced.
  static std::string nodes_with(const std::string& state) {
    json nodes = json::parse(fixture("swarm-nodes.json"));
    for (json& node : nodes) {
      if (node["Description"]["Hostname"] == "m2") node["Status"]["State"] = state;
    }
    return nodes.dump();
  }

  Cluster cluster_ = swarm_cluster();
  std::unique_ptr<Adapter> adapter_ = adapter_of(cluster_);
};

TEST_F(SwarmTest, ProbesManagersForBeliefsAndWorkersForContainers) {
  std::map<NodeId, std::set<std::string>> ids;
  for (const NodeProbe& probe : adapter_->probes()) {
    EXPECT_TRUE(ids[probe.node].insert(probe.probe.id()).second) << probe.probe.id();
    EXPECT_GT(probe.probe.timeout_ms(), 0U);
    if (probe.probe.id() == "swarm/nodes" && probe.node == kM2) {
      EXPECT_EQ(probe.probe.http().unix_socket(), "/run/test/m2/docker.sock");
      EXPECT_EQ(probe.probe.http().url(), "http://localhost/nodes");
    }
    if (probe.probe.id() == "swarm/update" && probe.node == kM1) {
      const auto& argv = probe.probe.exec().argv();
      EXPECT_EQ(
          (std::vector<std::string>(argv.begin(), argv.end())),
          (std::vector<std::string>{"/usr/bin/docker", "-H", "unix:///run/test/m1/docker.sock",
                                    "node", "update", "m1"}));
    }
  }
  EXPECT_EQ(ids[kM1], (std::set<std::string>{"swarm/info", "swarm/nodes", "swarm/ping",
                                             "swarm/services", "swarm/tasks", "swarm/update"}));
  EXPECT_EQ(ids[kB1], (std::set<std::string>{"swarm/containers"}));
}

TEST_F(SwarmTest, TheUpdateProbeCanBeLeftOut) {
  cluster_.systems[0].options["docker"] = "none";
  adapter_ = adapter_of(cluster_);
  for (const NodeProbe& probe : adapter_->probes()) EXPECT_FALSE(probe.probe.has_exec());
}

TEST_F(SwarmTest, NeverAsksForTheSecretsOfTheCluster) {
  for (const NodeProbe& probe : adapter_->probes()) {
    EXPECT_FALSE(probe.probe.http().url().ends_with("/swarm")) << "/swarm shows the join tokens";
  }
}

TEST_F(SwarmTest, ReadsWhoLeadsAndWhoIsReady) {
  const auto samples = adapter_->interpret(answer(kM1, "swarm/nodes", fixture("swarm-nodes.json")));
  expect_known_names(samples);
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m1"}, {"zone", "a"}}), 1);
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "scheduler.leads", {{"node", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "m2"}, {"seen_by", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "b1"}, {"seen_by", "m1"}}), 0)
      << "a node that never joined is no member";

  const auto follower =
      adapter_->interpret(answer(kM2, "swarm/nodes", fixture("swarm-nodes.json")));
  EXPECT_EQ(value_of(follower, "master.serves", {{"node", "m2"}}), 1);
  EXPECT_EQ(value_of(follower, "master.leads", {{"node", "m2"}}), 0);
}

TEST_F(SwarmTest, LeaderNeedsTheBeliefOfAMajority) {
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  adapter_->interpret(answer(kM1, "swarm/nodes", fixture("swarm-nodes.json")));
  EXPECT_EQ(adapter_->leader(), std::nullopt) << "one of two managers is no majority";
  adapter_->interpret(answer(kM2, "swarm/nodes", fixture("swarm-nodes.json")));
  EXPECT_EQ(adapter_->leader(), kM1);
  adapter_->interpret(silence(kM2, "swarm/nodes", kTimedOut));
  EXPECT_EQ(adapter_->leader(), std::nullopt) << "a belief that is not heard any more";
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{kM1, kM2}));
}

TEST_F(SwarmTest, DownIsZeroAndUnknownIsUnknown) {
  const Labels m2{{"node", "m2"}, {"seen_by", "m1"}};
  EXPECT_EQ(value_of(adapter_->interpret(answer(kM1, "swarm/nodes", nodes_with("down"))),
                     "member.state", m2),
            0);
  EXPECT_EQ(value_of(adapter_->interpret(answer(kM1, "swarm/nodes", nodes_with("disconnected"))),
                     "member.state", m2),
            0);
  EXPECT_EQ(value_of(adapter_->interpret(answer(kM1, "swarm/nodes", nodes_with("unknown"))),
                     "member.state", m2),
            std::nullopt);
}

TEST_F(SwarmTest, ANodeThatJoinedAgainCountsOnce) {
  json nodes = json::parse(nodes_with("down"));
  json again = nodes[0]["Description"]["Hostname"] == "m2" ? nodes[0] : nodes[1];
  again["ID"] = "another";
  again["Status"]["State"] = "ready";
  for (const bool first : {false, true}) {
    json both = nodes;
    both.insert(first ? both.begin() : both.end(), again);
    const auto samples = adapter_->interpret(answer(kM1, "swarm/nodes", both.dump()));
    EXPECT_EQ(value_of(samples, "member.state", {{"node", "m2"}, {"seen_by", "m1"}}), 1);
  }
}

TEST_F(SwarmTest, FindsNodesByAddressWhenHostNamesDiffer) {
  json nodes = json::parse(fixture("swarm-nodes.json"));
  for (json& node : nodes) node["Description"]["Hostname"] = "host-" + node["ID"].dump();
  const auto samples = adapter_->interpret(answer(kM1, "swarm/nodes", nodes.dump()));
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "m2"}, {"seen_by", "m1"}}), 1);
}

TEST_F(SwarmTest, AManagerThatListsItselfNowhereLeavesItsLeadershipUnknown) {
  json nodes = json::parse(fixture("swarm-nodes.json"));
  nodes.erase(nodes[0]["Description"]["Hostname"] == "m1" ? 0 : 1);
  const auto samples = adapter_->interpret(answer(kM1, "swarm/nodes", nodes.dump()));
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), std::nullopt);
}

TEST_F(SwarmTest, WithoutALeaderItServesNobody) {
  adapter_->interpret(answer(kM1, "swarm/nodes", fixture("swarm-nodes.json")));
  const auto samples =
      adapter_->interpret(answer(kM1, "swarm/nodes", fixture("swarm-no-leader.json"), 500));
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m1"}}), 0);
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), 0);
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "m2"}, {"seen_by", "m1"}}), std::nullopt);
}

TEST_F(SwarmTest, AHangingCallIsAnObservation) {
  const auto samples = adapter_->interpret(silence(kM1, "swarm/nodes", kTimedOut));
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m1"}}), 0);
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), std::nullopt);
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "m2"}, {"seen_by", "m1"}}), std::nullopt);
  EXPECT_EQ(value_of(adapter_->interpret(silence(kM1, "swarm/update", kTimedOut)),
                     "scheduler.accepts", {{"node", "m1"}}),
            0);
  EXPECT_EQ(value_of(adapter_->interpret(silence(kM1, "swarm/ping", kTimedOut)), "master.up", {}),
            0);
}

TEST_F(SwarmTest, ARefusedCallIsADeadManager) {
  const auto samples = adapter_->interpret(silence(kM1, "swarm/nodes", kRefused));
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m1"}}), 0);
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), 0);
  EXPECT_EQ(value_of(adapter_->interpret(silence(kM1, "swarm/ping", kRefused)), "master.up", {}),
            0);
  EXPECT_EQ(value_of(adapter_->interpret(answer(kM1, "swarm/ping", "OK")), "master.up", {}), 1);
}

TEST_F(SwarmTest, UpdatesTellWhetherChangesCommit) {
  const auto accepts = [&](const Answer& seen) {
    return value_of(adapter_->interpret(seen), "scheduler.accepts",
                    {{"node", "m1"}, {"zone", "a"}});
  };
  EXPECT_EQ(accepts(answer(kM1, "swarm/update", "m1\n", 0)), 1);
  Answer refused = answer(kM1, "swarm/update", "", 1);
  refused.observation.set_error("The swarm does not have a leader");
  EXPECT_EQ(accepts(refused), 0);
  refused.observation.set_error("rpc error: code = Unknown desc = update out of sequence");
  EXPECT_EQ(accepts(refused), std::nullopt) << "a collision says nothing about commits";
  EXPECT_EQ(accepts(silence(kM1, "swarm/update", kFailed)), std::nullopt) << "no client installed";
}

TEST_F(SwarmTest, CountsWhatTheSchedulerClaims) {
  introduce();
  const auto samples = adapter_->interpret(answer(kM1, "swarm/tasks", fixture("swarm-tasks.json")));
  expect_known_names(samples);
  const auto count = [](const std::vector<Sample>& from, const std::string& zone,
                        const std::string& state) {
    return value_of(from, "app.instances",
                    {{"app", "web"},
                     {"zone", zone},
                     {"state", state},
                     {"source", "scheduler"},
                     {"seen_by", "m1"}});
  };
  EXPECT_EQ(count(samples, "a", "running"), 2);
  EXPECT_EQ(count(samples, "b", "running"), 0);
  EXPECT_EQ(count(samples, "c", "running"), 0);

  json moved = json::parse(fixture("swarm-tasks.json"));
  moved[0].erase("NodeID");
  moved[0]["Status"]["State"] = "pending";
  const auto pending = adapter_->interpret(answer(kM1, "swarm/tasks", moved.dump()));
  EXPECT_EQ(count(pending, "a", "running"), 1);
  EXPECT_EQ(count(pending, "", "pending"), 1);

  const auto gone = adapter_->interpret(answer(kM1, "swarm/tasks", "[]"));
  EXPECT_EQ(count(gone, "a", "running"), 0);
  EXPECT_EQ(count(gone, "", "pending"), 0) << "a series once named is repeated";
  const auto hanging = adapter_->interpret(silence(kM1, "swarm/tasks", kTimedOut));
  EXPECT_EQ(hanging.size(), gone.size());
  EXPECT_TRUE(all_unknown(hanging));
}

TEST_F(SwarmTest, TasksOfWhatIsNotKnownYetAreUnknownNotZero) {
  const auto before = adapter_->interpret(answer(kM1, "swarm/tasks", fixture("swarm-tasks.json")));
  EXPECT_EQ(before.size(), 3U + 1U);  // of the zones, and what waits
  EXPECT_TRUE(all_unknown(before));
  introduce();
  json fresh = json::parse(fixture("swarm-tasks.json"));
  fresh[0]["ServiceID"] = "younger";
  EXPECT_TRUE(all_unknown(adapter_->interpret(answer(kM1, "swarm/tasks", fresh.dump()))));
  fresh = json::parse(fixture("swarm-tasks.json"));
  fresh[0]["NodeID"] = "younger";
  EXPECT_TRUE(all_unknown(adapter_->interpret(answer(kM1, "swarm/tasks", fresh.dump()))));
}

TEST_F(SwarmTest, CountsWhatRunsOnTheNodeItself) {
  const Labels b1{
      {"app", "web"}, {"zone", "b"}, {"state", "running"}, {"source", "node"}, {"seen_by", "b1"}};
  const auto samples =
      adapter_->interpret(answer(kB1, "swarm/containers", fixture("swarm-containers.json")));
  expect_known_names(samples);
  EXPECT_EQ(value_of(samples, "app.instances", b1), 2);
  EXPECT_EQ(
      value_of(adapter_->interpret(answer(kB1, "swarm/containers", "[]")), "app.instances", b1), 0);
  EXPECT_EQ(value_of(adapter_->interpret(silence(kB1, "swarm/containers", kRefused)),
                     "app.instances", b1),
            std::nullopt)
      << "containers can outlive their daemon";
}

TEST_F(SwarmTest, SeedsWhatWillExistAsUnknown) {
  std::map<std::string, std::size_t> seeded;
  for (const NodeProbe& probe : adapter_->probes()) {
    const auto samples = adapter_->interpret(silence(probe.node, probe.probe.id(), kFailed));
    EXPECT_TRUE(all_unknown(samples));
    expect_known_names(samples);
    for (const Sample& sample : samples) ++seeded[sample.signal];
  }
  EXPECT_EQ(seeded, (std::map<std::string, std::size_t>{{"app.instances", 2 * 3 + 3},
                                                        {"app.waiting", 2},
                                                        {"master.leads", 2},
                                                        {"master.serves", 2},
                                                        {"master.up", 2},
                                                        {"member.state", 2 * 5},
                                                        {"member.unreachable", 2 * 5},
                                                        {"scheduler.accepts", 2},
                                                        {"scheduler.leads", 2}}));
}

TEST_F(SwarmTest, NoSeriesHasTwoFeeders) {
  introduce();
  std::map<std::pair<std::string, Labels>, std::string> feeders;
  for (const NodeProbe& probe : adapter_->probes()) {
    for (const Sample& sample :
         adapter_->interpret(silence(probe.node, probe.probe.id(), kFailed))) {
      const std::string feeder = std::to_string(probe.node) + " " + probe.probe.id();
      const auto [at, first] = feeders.insert({{sample.signal, sample.labels}, feeder});
      EXPECT_TRUE(first) << sample.signal << ": " << at->second << " and " << feeder;
    }
  }
}

TEST_F(SwarmTest, BoundsFollowTheLiveConfiguration) {
  EXPECT_TRUE(adapter_->timers().empty());
  EXPECT_FALSE(adapter_->ready());
  adapter_->interpret(answer(kM1, "swarm/info", fixture("swarm-info.json")));
  EXPECT_FALSE(adapter_->ready()) << "the services are not known yet";
  adapter_->interpret(answer(kM1, "swarm/services", fixture("swarm-services.json")));
  EXPECT_TRUE(adapter_->ready());
  EXPECT_EQ(adapter_->version(), "20.10.24+dfsg1");
  auto timers = adapter_->timers();
  EXPECT_DOUBLE_EQ(timers["heartbeat_period"].seconds, 1);
  EXPECT_DOUBLE_EQ(timers["unreachable_max"].seconds, 3 * 1.5 + 3);
  EXPECT_DOUBLE_EQ(timers["restart_delay"].seconds, 0.5);
  EXPECT_DOUBLE_EQ(timers["reschedule_max"].seconds, 0.5 + 1 + 10);
  EXPECT_DOUBLE_EQ(timers["stop_grace"].seconds, 1);
  EXPECT_DOUBLE_EQ(timers["reregister_max"].seconds, 8 + 5 + 8 + 1 + 5 + 3);
  EXPECT_DOUBLE_EQ(timers["leader_exit_max"].seconds, 23);
  EXPECT_DOUBLE_EQ(timers["election_max"].seconds, 43);
  EXPECT_NE(timers["unreachable_max"].derivation.find("heartbeat period 1s"), std::string::npos);

  json info = json::parse(fixture("swarm-info.json"));
  info["Swarm"]["Cluster"]["Spec"]["Dispatcher"]["HeartbeatPeriod"] = 5'000'000'000;
  adapter_->interpret(answer(kM1, "swarm/info", info.dump()));
  EXPECT_DOUBLE_EQ(adapter_->timers()["unreachable_max"].seconds, 3 * 5.5 + 3);
}

// A manager without a quorum still says "ControlAvailable", and shows a spec of zeros.
TEST_F(SwarmTest, ALostQuorumDoesNotBecomeZeroTimers) {
  const json info = json::parse(fixture("swarm-info-no-leader.json"));
  ASSERT_TRUE(info["Swarm"]["ControlAvailable"].get<bool>());
  adapter_->interpret(answer(kM1, "swarm/info", info.dump()));
  EXPECT_FALSE(adapter_->timers().contains("election_max"));
  adapter_->interpret(answer(kM1, "swarm/info", fixture("swarm-info.json")));
  adapter_->interpret(answer(kM1, "swarm/info", info.dump()));
  EXPECT_DOUBLE_EQ(adapter_->timers()["election_timeout"].seconds, 10);
}

TEST_F(SwarmTest, SaysWhatIsWrongWithTheSpec) {
  cluster_.systems[0].options["dokcer"] = "x";
  auto result = make_adapter(cluster_, cluster_.systems[0]);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInput);
  EXPECT_NE(result.error().message.find("test.toml:7:3"), std::string::npos);
  EXPECT_NE(result.error().message.find("did you mean 'docker'"), std::string::npos)
      << result.error().message;
  cluster_ = swarm_cluster();
  cluster_.systems[0].nodes = Selector::parse("role:agent", {}).value();
  result = make_adapter(cluster_, cluster_.systems[0]);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("role master"), std::string::npos);
}

TEST_F(SwarmTest, IgnoresAnswersThatAreNotItsOwn) {
  EXPECT_TRUE(adapter_->interpret(answer(99, "swarm/nodes", "[]")).empty());
  EXPECT_TRUE(adapter_->interpret(answer(kA1, "etcd/status", "{}")).empty());
  EXPECT_TRUE(adapter_->interpret(answer(kA1, "swarm/", "{}")).empty());
}

}  // namespace
}  // namespace zq::test
