#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

class EtcdTest : public ::testing::Test {
 protected:
  std::optional<double> leads(const Answer& seen) {
    const auto samples = adapter_->interpret(seen);
    expect_known_names(samples);
    EXPECT_EQ(samples.size(), 1U);
    return value_of(samples, "coordinator.leads", {});
  }
  std::optional<double> serves(const Answer& seen) {
    const auto samples = adapter_->interpret(seen);
    expect_known_names(samples);
    EXPECT_EQ(samples.size(), 1U);
    return value_of(samples, "coordinator.serves", {});
  }
  static Answer status(NodeId node, const std::string& name) {
    return answer(node, "etcd/status", fixture("etcd-status-" + name + ".json"));
  }

  Cluster cluster_ = coordinator_cluster("etcd", "http://{ip}:2379/");
  std::unique_ptr<Adapter> adapter_ = adapter_of(cluster_);
};

TEST_F(EtcdTest, AsksEveryMemberAtItsOwnAddress) {
  for (const NodeProbe& probe : adapter_->probes()) {
    if (probe.node == 2 && probe.probe.id() == "etcd/status") {
      EXPECT_EQ(probe.probe.http().url(), "http://[fd66::3:1]:2379/v3/maintenance/status");
      EXPECT_EQ(probe.probe.http().method(), "POST");
      EXPECT_EQ(probe.probe.http().body(), "{}");
    }
  }
  EXPECT_EQ(adapter_->probes().size(), 9U);
}

TEST_F(EtcdTest, LeadsWhoNamesItself) {
  EXPECT_EQ(leads(status(0, "leader")), 1);
  EXPECT_EQ(leads(status(1, "follower")), 0);
  EXPECT_EQ(leads(status(0, "no-leader")), 0);
  EXPECT_EQ(leads(silence(0, "etcd/status", kRefused)), 0);
  EXPECT_EQ(leads(silence(0, "etcd/status", kTimedOut)), std::nullopt);
  EXPECT_EQ(leads(silence(0, "etcd/status", kFailed)), std::nullopt);
  EXPECT_EQ(adapter_->version(), "3.4.23");
}

TEST_F(EtcdTest, ServesWhileItsQuorumAnswers) {
  EXPECT_EQ(serves(answer(0, "etcd/health", R"({"health":"true"})")), 1);
  EXPECT_EQ(serves(answer(0, "etcd/health", R"({"health":"false"})", 503)), 0);
  EXPECT_EQ(serves(answer(0, "etcd/health", R"({"health":"false","reason":"x"})")), 0);
  EXPECT_EQ(serves(silence(0, "etcd/health", kTimedOut)), 0) << "hanging is not serving";
  EXPECT_EQ(serves(silence(0, "etcd/health", kRefused)), 0);
  EXPECT_EQ(serves(silence(0, "etcd/health", kUnreachable)), std::nullopt);
  for (const char* body : {"", "true", "{}", R"({"health":true})", "[1", "\xff"}) {
    EXPECT_EQ(serves(answer(0, "etcd/health", body)), std::nullopt) << body;
  }
}

TEST_F(EtcdTest, MalformedStatusIsUnknown) {
  for (const char* body : {"", "null", "{}", R"({"header":[]})", R"({"header":{"member_id":5}})",
                           R"({"leader":"5"})", "{\"header\":{\"member_id\":\"1\""}) {
    EXPECT_EQ(leads(answer(0, "etcd/status", body)), std::nullopt) << body;
  }
  EXPECT_EQ(leads(answer(0, "etcd/status", fixture("etcd-status-leader.json"), 404)), std::nullopt);
}

TEST_F(EtcdTest, LeaderNeedsTheBeliefOfAMajority) {
  leads(status(0, "leader"));
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  leads(status(1, "follower"));
  EXPECT_EQ(adapter_->leader(), 0U);
  leads(status(0, "no-leader"));
  EXPECT_EQ(adapter_->leader(), std::nullopt);
}

TEST_F(EtcdTest, LearnersDoNotVote) {
  leads(status(0, "leader"));
  leads(status(1, "follower"));
  EXPECT_TRUE(adapter_->interpret(answer(0, "etcd/members", fixture("etcd-members.json"))).empty());
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{0, 1, 2}));
  std::string learner = fixture("etcd-members.json");
  learner.replace(learner.find("\"name\":\"n2\""), 11, R"("isLearner":true,"name":"n2")");
  adapter_->interpret(answer(0, "etcd/members", learner));
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{0, 2}));
  for (const char* body : {"", "[]", R"({"members":5})", R"({"members":[5,{"ID":7}]})"}) {
    adapter_->interpret(answer(0, "etcd/members", body));
  }
}

TEST_F(EtcdTest, BoundsComeFromTheOptions) {
  EXPECT_DOUBLE_EQ(adapter_->timers()["leader_exit_max"].seconds, 2 + 0.1 + 3);
  EXPECT_FALSE(adapter_->ready());
  leads(status(0, "leader"));
  EXPECT_TRUE(adapter_->ready());
  cluster_.systems[0].options = {{"election_timeout_ms", "200"}, {"heartbeat_ms", "20"}};
  adapter_ = adapter_of(cluster_);
  auto timers = adapter_->timers();
  EXPECT_DOUBLE_EQ(timers["leader_exit_max"].seconds, 0.4 + 0.02 + 3);
  EXPECT_DOUBLE_EQ(timers["election_max"].seconds, 0.8 + 0.02 + 3);
  EXPECT_DOUBLE_EQ(timers["reregister_max"].seconds, 5 + 1.2 + 0.8 + 3);
}

}  // namespace
}  // namespace zq::test
