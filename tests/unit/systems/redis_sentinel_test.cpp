#include "controller/systems/redis_answers.h"
#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

class RedisSentinelTest : public ::testing::Test {
 protected:
  std::vector<Sample> ask(NodeId node, const char* what, const std::string& body) {
    auto samples =
        adapter_->interpret(answer(node, std::string("redis-sentinel/") + what, body, 0));
    expect_known_names(samples);
    return samples;
  }
  std::vector<Sample> opinion(NodeId node, std::string master, std::string replicas) {
    ask(node, "master", master);
    return ask(node, "replicas", replicas);
  }
  static std::string server(const std::string& ip, const std::string& flags) {
    return R"({"ip":")" + ip + R"(","flags":")" + flags + "\"}";
  }

  Cluster cluster_ = coordinator_cluster("redis-sentinel", "{ip}:26379");
  std::unique_ptr<Adapter> adapter_ = adapter_of(cluster_);
};

TEST_F(RedisSentinelTest, AMasterLeadsWhateverItsPeersThink) {
  const auto master = ask(0, "role", fixture("redis-role-master.json"));
  EXPECT_EQ(value_of(master, "coordinator.leads", {}), 1);
  EXPECT_EQ(value_of(master, "coordinator.serves", {}), 1);
  const auto replica = ask(1, "role", fixture("redis-role-replica.json"));
  EXPECT_EQ(value_of(replica, "coordinator.leads", {}), 0);
  EXPECT_EQ(value_of(replica, "coordinator.serves", {}), 1);
  const auto alone = ask(1, "role", R"(["slave","10.66.1.1",6379,"connect",5])");
  EXPECT_EQ(value_of(alone, "coordinator.serves", {}), 0) << "its link is down";
}

TEST_F(RedisSentinelTest, SilenceAndRubbishAreNotZero) {
  const auto refused = silence(0, "redis-sentinel/role", kRefused);
  EXPECT_EQ(value_of(adapter_->interpret(refused), "coordinator.leads", {}), 0);
  auto cannot_connect = answer(0, "redis-sentinel/role", "", 1);
  cannot_connect.observation.set_error("Could not connect to Redis: Connection refused");
  EXPECT_EQ(value_of(adapter_->interpret(cannot_connect), "coordinator.leads", {}), 0);
  const auto hangs = adapter_->interpret(silence(0, "redis-sentinel/role", kTimedOut));
  EXPECT_EQ(value_of(hangs, "coordinator.leads", {}), std::nullopt);
  EXPECT_EQ(value_of(hangs, "coordinator.serves", {}), 0);
  for (const char* body : {"", "[]", "{}", "[5]", R"(["slave"])", R"(["sentinel",[]])", "\xff"}) {
    EXPECT_TRUE(all_unknown(ask(0, "role", body))) << body;
  }
}

TEST_F(RedisSentinelTest, MembersAreAsEachSentinelSeesThem) {
  const auto healthy =
      opinion(0, fixture("redis-sentinel-master.json"), fixture("redis-sentinel-replicas.json"));
  EXPECT_EQ(value_of(healthy, "member.state", {{"node", "n1"}, {"seen_by", "n1"}}), 1);
  EXPECT_EQ(value_of(healthy, "member.state", {{"node", "n2"}, {"seen_by", "n1"}}), 1);
  const auto down = opinion(1, server("10.66.2.1", "master"),
                            "[" + server("10.66.1.1", "s_down,slave,disconnected") + "," +
                                server("fd66::3:1", "slave") + "]");
  EXPECT_EQ(value_of(down, "member.state", {{"node", "n1"}, {"seen_by", "n2"}}), 0);
  EXPECT_EQ(value_of(down, "member.state", {{"node", "n3"}, {"seen_by", "n2"}}), 1);
  EXPECT_TRUE(all_unknown(ask(1, "replicas", "[{}]")));
}

TEST_F(RedisSentinelTest, TheLeaderIsTheMasterOfMostSentinels) {
  ask(0, "role", R"(["master",1,[]])");
  ask(1, "role", R"(["master",1,[]])");
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  ask(0, "master", server("10.66.1.1", "master"));
  ask(1, "master", server("10.66.2.1", "master"));
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  ask(2, "master", server("10.66.2.1", "master"));
  EXPECT_EQ(adapter_->leader(), NodeId{1});
  EXPECT_EQ(adapter_->voters().size(), 3U);
}

TEST_F(RedisSentinelTest, BoundsAreMadeOfTheSentinelsTimers) {
  EXPECT_FALSE(adapter_->ready());
  EXPECT_TRUE(adapter_->timers().empty());
  ask(0, "master", fixture("redis-sentinel-master.json"));
  ask(0, "info", R"("# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:0\r\n")");
  ask(0, "tcp", "1000\n");
  EXPECT_TRUE(adapter_->ready());
  EXPECT_EQ(adapter_->version(), "7.0.15");
  const auto timers = adapter_->timers();
  EXPECT_EQ(timers.at("down_after").seconds, 1);
  EXPECT_EQ(timers.at("failover_timeout").seconds, 3);
  // 1 + 2 x 1 + 1 + 3 + 1, again after 2 x 3 + 1, and 3 until seen.
  EXPECT_EQ(timers.at("election_max").seconds, 18);
  // 1 + 15 + 8 + 10 + 5 + 3.
  EXPECT_EQ(timers.at("reregister_max").seconds, 42);
}

TEST_F(RedisSentinelTest, TheWorkloadIsToldTheMastersName) {
  cluster_.systems[0].options["master"] = "main";
  const auto workload = make_write_workload(cluster_, cluster_.systems[0], "r", Nanos(1));
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ((*workload)->probes(false).at(0).probe.write().endpoint(), "10.66.1.1:26379/main");
}

}  // namespace
}  // namespace zq::test
