#include "controller/systems/pacemaker_answers.h"
#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

Cluster pacemaker_cluster() {
  Cluster cluster = swarm_cluster();
  cluster.nodes = {
      make_node("p1", "a", {"master", "scheduler", "agent"}, "10.66.1.1"),
      make_node("p2", "b", {"master", "scheduler", "agent"}, "10.66.2.1"),
      make_node("p3", "c", {"master", "scheduler", "agent"}, "10.66.3.1"),
  };
  cluster.systems[0].name = cluster.systems[0].kind = cluster.apps[0].system = "pacemaker";
  cluster.systems[0].endpoint = "exec:/run/{name}/in-node";
  return cluster;
}

class PacemakerTest : public ::testing::Test {
 protected:
  std::vector<Sample> state(NodeId node, const std::string& body, int status = 0) {
    auto samples = adapter_->interpret(answer(node, "pacemaker/state", body, status));
    expect_known_names(samples);
    return samples;
  }

  Cluster cluster_ = pacemaker_cluster();
  std::unique_ptr<Adapter> adapter_ = adapter_of(cluster_);
};

TEST_F(PacemakerTest, RunsItsCommandsWhereTheEndpointSays) {
  const auto probes = adapter_->probes();
  ASSERT_EQ(probes.size(), 9U);
  EXPECT_EQ(probes.at(0).probe.exec().argv(0), "/run/p1/in-node");
  EXPECT_EQ(probes.at(0).probe.exec().argv(1), "/usr/sbin/crm_mon");
  cluster_.systems[0].endpoint = "exec:";
  EXPECT_EQ(adapter_of(cluster_)->probes().at(0).probe.exec().argv(0), "/usr/sbin/crm_mon");
  cluster_.systems[0].endpoint = "http://{ip}";
  EXPECT_FALSE(make_adapter(cluster_, cluster_.systems[0]));
}

TEST_F(PacemakerTest, AWholeCluster) {
  const auto seen = state(1, fixture("pacemaker-crm-mon.xml"));  // p2 is the DC
  EXPECT_EQ(value_of(seen, "master.serves", {}), 1);
  EXPECT_EQ(value_of(seen, "master.leads", {}), 1);
  EXPECT_EQ(value_of(seen, "scheduler.leads", {}), 1);
  EXPECT_EQ(value_of(seen, "member.state", {{"node", "p3"}}), 1);
  EXPECT_EQ(value_of(seen, "member.unreachable", {{"node", "p3"}}), 0);
  EXPECT_EQ(value_of(seen, "app.instances", {{"zone", "a"}, {"source", "scheduler"}}), 2);
  EXPECT_EQ(value_of(seen, "app.instances", {{"source", "node"}}), 2);
  EXPECT_EQ(value_of(state(0, fixture("pacemaker-crm-mon.xml")), "master.leads", {}), 0);
  EXPECT_EQ(adapter_->version(), "2.1.5");
  EXPECT_EQ(adapter_->leader(), NodeId{1});
}

TEST_F(PacemakerTest, ADcWithoutAQuorumLeadsNothing) {
  const auto seen = state(1, fixture("pacemaker-crm-mon-no-quorum.xml"));
  EXPECT_EQ(value_of(seen, "master.serves", {}), 0);
  EXPECT_EQ(value_of(seen, "master.leads", {}), 0);
  EXPECT_EQ(value_of(seen, "member.state", {{"node", "p1"}}), 0);
  EXPECT_EQ(value_of(seen, "member.unreachable", {{"node", "p1"}}), 1);
  EXPECT_EQ(value_of(seen, "member.state", {{"node", "p2"}}), 1);
  EXPECT_EQ(adapter_->leader(), std::nullopt);
}

TEST_F(PacemakerTest, SilenceAndRubbishAreNotZero) {
  state(0, fixture("pacemaker-crm-mon.xml"));
  for (const char* body : {"", "<a>", "<pacemaker-result/>", "plain", "\xff"}) {
    EXPECT_TRUE(all_unknown(state(0, body))) << body;
  }
  const auto hangs = adapter_->interpret(silence(0, "pacemaker/state", kTimedOut));
  EXPECT_EQ(value_of(hangs, "master.serves", {}), 0);
  EXPECT_EQ(value_of(hangs, "app.instances", {{"source", "node"}}), std::nullopt);
  const auto down = state(0, "crm_mon: Connection to cluster failed", 102);
  EXPECT_EQ(value_of(down, "master.leads", {}), 0);
  EXPECT_EQ(value_of(down, "member.state", {{"node", "p2"}}), std::nullopt);
}

TEST_F(PacemakerTest, BoundsAreMadeOfCorosyncsTimers) {
  EXPECT_TRUE(adapter_->timers().empty());
  adapter_->interpret(answer(0, "pacemaker/totem",
                             "runtime.config.totem.consensus (u32) = 1980\n"
                             "runtime.config.totem.token (u32) = 1650\n"
                             "runtime.config.totem.token_retransmit (u32) = 392\n",
                             0));
  const auto timers = adapter_->timers();
  EXPECT_DOUBLE_EQ(timers.at("token").seconds, 1.65);
  EXPECT_DOUBLE_EQ(timers.at("unreachable_max").seconds, 6.63);
  EXPECT_FALSE(adapter_->ready()) << "nobody told a version yet";
  state(0, fixture("pacemaker-crm-mon.xml"));
  EXPECT_TRUE(adapter_->ready());
}

TEST(PacemakerResources, BelongToAppsByName) {
  for (const char* resource : {"web", "web-1", "web:0", "web-12"}) {
    EXPECT_TRUE(is_instance_of(resource, "web")) << resource;
  }
  for (const char* resource : {"we", "web-", "web-a", "web2", "webs-1", "web-1-app"}) {
    EXPECT_FALSE(is_instance_of(resource, "web")) << resource;
  }
}

}  // namespace
}  // namespace zq::test
