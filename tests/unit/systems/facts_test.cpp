// What the adapters tell the checks of recommendations.
#include <nlohmann/json.hpp>

#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

using nlohmann::json;

constexpr NodeId kM1 = 0;

// The recorded nodes and service, with what an operator would have set.
class SwarmFacts : public ::testing::Test {
 protected:
  SwarmFacts() {
    nodes_ = json::parse(fixture("swarm-nodes.json"));
    services_ = json::parse(fixture("swarm-services.json"));
    tasks_ = json::parse(fixture("swarm-tasks.json"));
    nodes_[0]["Spec"]["Labels"] = {{"zone", "a"}};
    spec()["Resources"]["Reservations"] = {{"NanoCPUs", 500'000'000}, {"MemoryBytes", 1048576}};
  }
  json& spec() { return services_[0]["Spec"]["TaskTemplate"]; }

  Facts facts() {
    const auto adapter = adapter_of(cluster_);
    adapter->interpret(answer(kM1, "swarm/nodes", nodes_.dump()));
    adapter->interpret(answer(kM1, "swarm/services", services_.dump()));
    adapter->interpret(answer(kM1, "swarm/tasks", tasks_.dump()));
    Facts facts;
    adapter->add_facts(facts);
    return facts;
  }

  Cluster cluster_ = swarm_cluster();
  json nodes_, services_, tasks_;
};

TEST_F(SwarmFacts, MembersHaveLabelsAndWhatIsUnused) {
  const Facts facts = SwarmFacts::facts();
  EXPECT_TRUE(facts.missing.empty());
  ASSERT_EQ(facts.members.size(), 2U);
  const MemberFacts& m1 = facts.members[0];
  EXPECT_EQ(m1.node, kM1);
  EXPECT_TRUE(m1.active);
  EXPECT_EQ(m1.attributes.at("zone"), "a");
  EXPECT_EQ(m1.attributes.at("node.role"), "manager");
  unsigned here = 0;
  for (const std::string& id : facts.apps.at(0).running_on) here += id == m1.id ? 1U : 0U;
  EXPECT_GT(here, 0U);
  EXPECT_DOUBLE_EQ(m1.total->cpus, 2);
  EXPECT_DOUBLE_EQ(m1.unused->cpus, 2 - 0.5 * here);
  ASSERT_EQ(m1.advertised.size(), 1U);
  EXPECT_EQ(m1.advertised[0].to_string(), "10.98.0.1");
}

TEST_F(SwarmFacts, ManagersVoteAndSchedule) {
  const Facts facts = SwarmFacts::facts();
  ASSERT_FALSE(facts.voters.empty());
  EXPECT_EQ(facts.voters.size(), facts.schedulers.size());
  EXPECT_EQ(facts.voters[0].node, kM1);
  EXPECT_TRUE(facts.schedulers[0].leads);
}

TEST_F(SwarmFacts, DrainedNodesTakeNothing) {
  nodes_[0]["Spec"]["Availability"] = "drain";
  EXPECT_FALSE(facts().members[0].active);
}

TEST_F(SwarmFacts, ServicesHaveConstraintsMountsAndRestarts) {
  spec()["Placement"] = {{"Constraints", {"node.labels.zone == b", "node.role!=manager"}},
                         {"MaxReplicas", 2}};
  spec()["RestartPolicy"]["Condition"] = "none";
  spec()["ContainerSpec"]["Mounts"] = json::array({{{"Type", "volume"}, {"Source", "data"}}});
  const AppFacts app = facts().apps.at(0);
  EXPECT_EQ(app.id, "web");
  EXPECT_EQ(app.instances, 2U);
  EXPECT_EQ(app.running_on.size(), 2U);
  EXPECT_FALSE(app.reschedules);
  EXPECT_TRUE(app.local_volumes);
  EXPECT_DOUBLE_EQ(app.each.memory_mib, 1);
  ASSERT_EQ(app.constraints.size(), 3U);
  EXPECT_EQ(app.constraints[0].field, "zone");
  EXPECT_EQ(app.constraints[0].op, "IS");
  EXPECT_EQ(app.constraints[0].value, "b");
  EXPECT_EQ(app.constraints[1].op, "IS_NOT");
  EXPECT_EQ(app.constraints[2].op, "MAX_PER");
}

TEST_F(SwarmFacts, WhatIsOnlyReadIsNoVolume) {
  spec()["ContainerSpec"]["Mounts"] =
      json::array({{{"Type", "bind"}, {"Source", "/usr"}, {"ReadOnly", true}}});
  EXPECT_FALSE(facts().apps.at(0).local_volumes);
}

TEST_F(SwarmFacts, TasksWithoutANodeWait) {
  const auto adapter = adapter_of(cluster_);
  adapter->interpret(answer(kM1, "swarm/services", services_.dump()));
  adapter->interpret(answer(kM1, "swarm/nodes", nodes_.dump()));
  const auto waiting = [&] {
    return value_of(adapter->interpret(answer(kM1, "swarm/tasks", tasks_.dump())), "app.waiting",
                    {{"app", "web"}, {"seen_by", "m1"}});
  };
  EXPECT_EQ(waiting(), 0);
  tasks_[0].erase("NodeID");
  tasks_[0]["Status"]["State"] = "pending";
  EXPECT_EQ(waiting(), 1);
}

TEST_F(SwarmFacts, SilenceIsSaid) {
  Facts facts;
  adapter_of(cluster_)->add_facts(facts);
  EXPECT_FALSE(facts.missing.empty());
}

TEST(ZooKeeperFacts, VotersTimersAndSizeOfTheData) {
  const Cluster cluster = coordinator_cluster("zookeeper", "{ip}:2181");
  const auto adapter = adapter_of(cluster);
  Facts silent;
  adapter->add_facts(silent);
  EXPECT_FALSE(silent.missing.empty());
  adapter->interpret(answer(0, "zookeeper/conf", fixture("zookeeper-conf.txt"), 0));
  Facts facts;
  adapter->add_facts(facts);
  EXPECT_EQ(facts.voters.size(), 3U);
  EXPECT_DOUBLE_EQ(facts.snapshot_bytes.at("zookeeper"), 591);
  EXPECT_DOUBLE_EQ(facts.timers.at({"zookeeper", "tick_time"}), 0.2);
  // The recording's third server is at an address that this cluster does not have.
  ASSERT_EQ(facts.missing.size(), 1U);
  EXPECT_NE(facts.missing[0].find("127.0.0.1"), std::string::npos);
}

TEST(EtcdFacts, MembersVote) {
  const Cluster cluster = coordinator_cluster("etcd", "http://{ip}:2379");
  const auto adapter = adapter_of(cluster);
  Facts silent;
  adapter->add_facts(silent);
  EXPECT_FALSE(silent.missing.empty());
  adapter->interpret(answer(0, "etcd/status", fixture("etcd-status-leader.json")));
  adapter->interpret(answer(0, "etcd/members", fixture("etcd-members.json")));
  Facts facts;
  adapter->add_facts(facts);
  EXPECT_TRUE(facts.missing.empty());
  EXPECT_EQ(facts.voters.size(), 3U);
  EXPECT_TRUE(facts.snapshot_bytes.contains("etcd"));
  EXPECT_TRUE(facts.timers.contains({"etcd", "election_timeout"}));
}

}  // namespace
}  // namespace zq::test
